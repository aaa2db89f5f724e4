"""assets/shell/time_slider.mjs: the timeline as a hand and a screen reader meet it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytestmark = pytest.mark.browser

TIMELINE = "TimeSlider:timeline"
BROKEN = 450
CANVAS = "FilmCanvas:canvas:parameters"


@pytest.fixture
def timeline(stage):
    return stage.show(TIMELINE, hash="#step=300")


def step(stage) -> int:
    return stage.js("() => time.step")


def at(stage, wanted: int) -> None:
    stage.wait("wanted => time.step === wanted", wanted)


def test_the_slider_is_native_and_every_checkpoint_is_a_stop(timeline):
    slider = timeline.page.locator("#time-slider")
    assert slider.evaluate("e => [e.tagName, e.type, e.min, e.max, e.step]") == [
        "INPUT",
        "range",
        "0",
        "21",
        "1",
    ]
    assert slider.input_value() == "11"
    ticks = timeline.page.get_attribute(".timeline-ticks", "d")
    assert ticks.count("M") == 22


def test_readout_and_spoken_value_name_the_checkpoint(timeline):
    assert timeline.page.inner_text(".timeline-readout") == "step 300 · epoch 3 · checkpoint 12 of 22"
    timeline.page.keyboard.press("End")
    at(timeline, 1200)
    timeline.wait("() => document.querySelector('.timeline-readout').textContent.startsWith('step 1\u202f200')")
    assert timeline.page.get_attribute("#time-slider", "aria-valuetext") == "step 1\u202f200, epoch 12"


def test_dragging_moves_the_bus(timeline):
    box = timeline.page.locator("#time-slider").bounding_box()
    timeline.page.mouse.move(box["x"] + 8 + (box["width"] - 16) * 11 / 21, box["y"] + box["height"] / 2)
    timeline.page.mouse.down()
    timeline.page.mouse.move(box["x"] + 8 + (box["width"] - 16) * 5 / 21, box["y"] + box["height"] / 2, steps=5)
    at(timeline, 20)
    timeline.page.mouse.up()


@pytest.mark.parametrize("focus", ["", "#time-slider"])
def test_keys_work_anywhere_and_on_the_slider_alike(timeline, focus):
    if focus:
        timeline.page.focus(focus)
    for key, wanted in (
        ("ArrowLeft", 250), ("ArrowRight", 350), ("Shift+ArrowLeft", 1), ("Shift+ArrowRight", 1200),
        ("Home", 0), ("End", 1200),
    ):  # fmt: skip
        timeline.js("() => time.requestStep(300)")
        at(timeline, 300)
        timeline.wait("() => document.querySelector('.timeline-readout').textContent.startsWith('step 300')")
        timeline.page.keyboard.press(key)
        at(timeline, wanted)


def test_space_plays_and_pauses(timeline):
    timeline.page.keyboard.press(" ")
    timeline.wait("() => time.playing")
    assert timeline.page.locator("button[aria-label=Pause]").count() == 1
    timeline.page.keyboard.press(" ")
    timeline.wait("() => !time.playing")
    assert timeline.page.locator("button[aria-label=Play]").count() == 1


def test_keys_in_a_text_field_or_a_select_are_its_own(timeline):
    for place in (".timeline-jump", ".timeline-speed"):
        timeline.page.focus(place)
        timeline.page.keyboard.press("Home")
        timeline.page.keyboard.press("ArrowLeft")
        assert step(timeline) == 300


def test_buttons_walk_the_checkpoints(timeline):
    for title, wanted in (
        ("One checkpoint back", 250),
        ("First", 0),
        ("One checkpoint on", 1),
        ("Last", 1200),
    ):
        timeline.page.click(f'button[title^="{title}"]')
        at(timeline, wanted)


def test_every_control_says_what_it_does(timeline):
    untitled = timeline.js(
        "() => [...document.querySelectorAll('#timeline button, #timeline input, #timeline select')]"
        ".filter((control) => !control.title || !control.getAttribute('aria-label')).length"
    )
    assert untitled == 0


def test_speed_and_loop_are_the_buses(timeline):
    timeline.page.select_option(".timeline-speed", "25")
    timeline.page.click('button[title^="Start again"]')
    assert timeline.js("() => [time.speed, time.loop]") == [25, True]
    timeline.page.reload()
    timeline.open()
    assert timeline.js("() => [time.speed, time.loop]") == [25, True], "as they were left"
    assert timeline.page.get_attribute('button[title^="Start again"]', "aria-pressed") == "true"
    assert timeline.page.input_value(".timeline-speed") == "25"


def test_a_typed_step_is_gone_to(timeline):
    for typed, reached, said in (
        ("soon", 300, "Enter a step number"),
        ("500", 500, ""),
        ("340", 350, "There is no step 340"),
        ("1 200", 1200, ""),
    ):
        timeline.page.fill(".timeline-jump", typed)
        timeline.page.press(".timeline-jump", "Enter")
        at(timeline, reached)
        timeline.wait(
            """said => { const status = document.querySelector('.timeline-status').textContent;
            return said ? status.startsWith(said) : status === ''; }""",
            said,
        )


def test_broken_checkpoints_are_marked_with_their_reason(timeline):
    cross = timeline.page.locator(".timeline-cross")
    assert cross.count() == 1
    assert cross.get_attribute("data-step") == "450"
    assert "cut short after 1,024 bytes" in cross.locator("title").text_content()
    assert "step 450" in timeline.page.locator(".timeline-broken").text_content()
    timeline.js("() => time.requestStep(450)")
    timeline.wait("() => document.querySelector('.timeline-status').textContent.includes('cut short')")
    assert "cannot be read" in timeline.page.get_attribute("#time-slider", "aria-valuetext")


def test_while_frames_are_missing_playing_waits_and_says_so(stage):
    stage.server.held = {50}
    stage.show(TIMELINE, CANVAS, hash="#step=1200&layer=conv1")
    stage.wait("() => films.inView().has(1200) && films.inView().has(300)")
    stage.js("() => { time.request(0); time.speed = 60; time.play(); }")
    stage.page.wait_for_selector("text=/waiting for frames: \\d+ of 22 loaded/")
    waiting_at = step(stage)
    assert waiting_at < 50
    assert stage.page.get_attribute(".timeline-status", "role") == "status"
    stage.server.release()
    at(stage, 1200)
    stage.wait("() => document.querySelector('.timeline-status').textContent === ''")


def test_what_is_loaded_shows_on_the_track(stage):
    stage.server.held = {0}
    stage.show(TIMELINE, CANVAS, hash="#layer=conv1")
    length = """() => { const d = document.querySelector('.timeline-loaded').getAttribute('d');
        return [...d.matchAll(/M([\\d.]+) 12H([\\d.]+)/g)].reduce((sum, [, a, b]) => sum + (b - a), 0); }"""
    stage.wait(f"() => ({length})() > 100")
    stage.page.wait_for_timeout(300)
    part = stage.js(length)
    stage.server.release()
    stage.loaded()
    stage.wait(f"() => ({length})() > {part + 50}")


def test_thousands_of_checkpoints_all_remain_stops(stage):
    checkpoints = [{"step": n * 10, "label": None, "epoch": None, "problem": None} for n in range(2000)]
    stage.show(TIMELINE, subject={"checkpoints": checkpoints})
    assert stage.page.get_attribute("#time-slider", "max") == "1999"
    assert stage.page.get_attribute(".timeline-ticks", "d").count("M") < 60
    assert stage.page.get_attribute(".timeline-band", "d") != ""
    stage.page.fill(".timeline-jump", "12340")
    stage.page.press(".timeline-jump", "Enter")
    at(stage, 12340)
    said = "step 12\u202f340 · checkpoint 1\u202f235 of 2\u202f000"
    stage.wait("said => document.querySelector('.timeline-readout').innerText === said", said)


def test_labels_do_not_run_into_each_other(timeline):
    boxes = timeline.js(
        "() => [...document.querySelectorAll('.timeline-label')].map((e) => e.getBoundingClientRect())"
        ".map(({ left, right }) => [left, right]).sort((a, b) => a[0] - b[0])"
    )
    assert len(boxes) >= 3
    assert all(before[1] + 4 < after[0] for before, after in pairwise(boxes))


def test_the_slider_keeps_its_width_whatever_the_readout_says(timeline):
    width = "() => document.getElementById('time-slider').getBoundingClientRect().width"
    widths = set()
    for step in (0, 5, 300, BROKEN, 1200):
        timeline.js("step => time.requestStep(step)", step)
        timeline.page.wait_for_timeout(50)
        widths.add(timeline.js(width))
    assert len(widths) == 1


def test_a_label_that_says_more_than_the_step_is_shown(stage):
    checkpoints = [{"step": 1000 + n, "label": label} for n, label in enumerate(["1000", "150.5"])]
    stage.show(TIMELINE, subject={"checkpoints": checkpoints})
    labels = stage.page.locator(".timeline-label")
    assert sorted(labels.all_text_contents()) == ["150.5", "1\u202f000"]
    assert stage.page.inner_text(".timeline-readout") == "step 150.5 · checkpoint 2 of 2"


def test_a_single_checkpoint_is_no_error(stage):
    stage.show(TIMELINE, subject={"checkpoints": [{"step": 7, "label": None, "epoch": None, "problem": None}]})
    assert stage.page.inner_text(".timeline-readout") == "step 7 · checkpoint 1 of 1"
    assert stage.page.is_disabled("#time-slider")


def test_steps_whose_values_exploded_or_are_no_numbers_are_marked(stage):
    stage.server.factors = {300: 1e9, 500: np.nan}
    stage.show("TimeSlider:slider,FilmCanvas:canvas:parameters", hash="#layer=conv1")
    stage.loaded()
    marks = "document.querySelectorAll('.timeline-troubles > path')"
    stage.wait(f"() => {marks}.length === 2")
    told = stage.js(f"[...{marks}].map((mark) => [mark.dataset.step, mark.classList[1]])")
    assert told == [["300", "timeline-explosion"], ["500", "timeline-nan"]]
    stage.view(layer="sick")
    stage.wait(f"() => {marks}.length > 2 && {marks}[0].classList.contains('timeline-some-nan')")


# ---------------------------------------------------------------------------------------------------- whose a key is


@pytest.fixture
def beside(stage):
    """The timeline beside a film and images, at step 300; the film's canvas has a size."""
    stage.show("TimeSlider:timeline", "FilmCanvas:canvas:parameters", "ImageGrid:images")
    stage.page.locator(".image-tile").first.wait_for()
    stage.go_to(300)
    return stage


@pytest.mark.parametrize("clicked", ["#canvas canvas.film-canvas", ".image-tile >> nth=2", ".timeline-button >> nth=0"])
def test_a_click_moves_no_keys(beside, clicked):
    beside.page.locator(clicked).click()
    beside.js("() => time.requestStep(300)")
    for key, wanted in (("ArrowLeft", 250), (".", 300)):
        beside.page.keyboard.press(key)
        at(beside, wanted)
    beside.page.keyboard.press(" ")
    beside.wait("() => time.playing")


def test_what_tab_has_reached_has_its_keys_and_time_the_rest(beside):
    images = beside.page.locator(".image-tile[tabindex='0']")
    images.focus()
    beside.page.keyboard.press("ArrowRight")
    assert step(beside) == 300
    beside.page.keyboard.press(",")
    at(beside, 250)
    beside.page.focus("#canvas .film-stage")
    beside.page.keyboard.press("ArrowRight")
    assert step(beside) == 250
    beside.page.keyboard.press(" ")  # a film has no use for it
    beside.wait("() => time.playing")


def test_space_on_a_button_that_tab_has_reached_is_the_buttons(beside):
    beside.page.focus('.timeline-button[title^="First"]')
    beside.page.keyboard.press(" ")
    at(beside, 0)
    assert not beside.js("() => time.playing")


def test_the_key_map_shows_every_key_that_is_registered(stage):
    stage.show("KeyMap:keys", "TimeSlider:timeline")
    told = stage.page.locator("#keys").inner_text()
    tables = stage.js("() => keyTables.map(({ place, rows }) => [place, rows.map(({ does }) => does)])")
    assert len(tables) > 8
    assert all(words in told for place, rows in tables for words in (place, *rows))
    keys = stage.page.locator("#keys kbd").all_inner_texts()
    assert {"Space", "←", "Shift + →", ",", ".", "Esc", "0", "Ctrl + wheel", "l", "?"} <= set(keys)


CURVE = {
    "name": "training loss", "source": "log.csv",
    "steps": [0, 1, 2, 300, 1200], "values": [4.0, 2.0, None, 1.0, 0.5],
}  # fmt: skip


def test_the_training_curve_lies_behind_the_slider_broken_where_it_is_not_finite(stage):
    stage.server.training_curve = CURVE
    stage.show(TIMELINE, hash="#step=300")
    stage.wait("() => document.querySelector('.timeline-curve-line')")
    path = stage.page.get_attribute(".timeline-curve-line", "d")
    assert path.count("M") == 2
    assert path.count("L") == 2
    points = [tuple(map(float, pair.split())) for pair in path.replace("M", "L").split("L")[1:]]
    assert [y for _, y in points] == sorted((y for _, y in points)), "a loss that falls goes down"
    thumb = stage.page.locator("#time-slider").bounding_box()
    assert points[2][0] == pytest.approx(8 + (thumb["width"] - 16) * 11 / 21, abs=0.1), "at its checkpoint"
    legend = stage.page.locator(".timeline-legend")
    assert legend.inner_text() == "training loss 1"
    assert "0.5" in legend.get_attribute("title")
    assert "4" in legend.get_attribute("title")
    before = list(stage.server.log)
    stage.page.keyboard.press("ArrowRight")
    at(stage, 350)
    stage.js("() => time.requestStep(2)")
    stage.wait("() => document.querySelector('.timeline-legend').textContent === 'training loss not finite'")
    assert stage.server.log == before, "moving time asks for nothing"


def test_steps_lie_as_far_apart_as_they_are_where_that_is_chosen(timeline):
    page = timeline.page
    page.select_option(".timeline-spacing", "true")
    slider = page.locator("#time-slider")
    assert slider.evaluate("e => [e.min, e.max, e.value]") == ["0", "1200", "300"]
    box = slider.bounding_box()
    ticks = [float(tick.split()[0]) for tick in page.get_attribute(".timeline-ticks", "d").split("M")[1:]]
    assert ticks[11] == pytest.approx(8 + (box["width"] - 16) * 300 / 1200, abs=1)
    page.keyboard.press("ArrowRight")
    at(timeline, 350)
    for share, wanted in ((0.5, 600), (0, 0), (1, 1200), (320 / 1200, 300)):
        page.mouse.click(box["x"] + 8 + (box["width"] - 16) * share, box["y"] + box["height"] / 2)
        reached = timeline.js("() => time.step")
        steps = timeline.js("() => time.checkpoints.map(({step}) => step)")
        assert reached == min(steps, key=lambda known: abs(known - wanted))
    timeline.wait("() => document.getElementById('time-slider').value === String(time.step)")
    page.reload()
    timeline.open()
    timeline.wait("() => document.getElementById('time-slider').max === '1200'")
    page.select_option(".timeline-spacing", "even")
    assert slider.evaluate("e => [e.min, e.max]") == ["0", "21"]
