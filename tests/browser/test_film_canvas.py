"""assets/films/canvas.mjs: what is on the canvas, compared with what the film was made from."""

from __future__ import annotations

import io
from urllib.parse import parse_qsl

import numpy as np
import pytest
from basis_record import basis
from statistics_server import CLASSES

from mloscope.app.export.colour_scale import ColourChoice, ColourScale
from mloscope.app.export.whole_film import FilmFrame

pytestmark = pytest.mark.browser

PARAMETERS = "FilmCanvas:canvas:parameters"
FEATURES = "FilmCanvas:canvas:features"
BOTH = ("FilmCanvas:canvas:parameters", "FilmCanvas:maps:features")


def values_of(frame) -> np.ndarray:
    """float64 in the shape of the codes: what the codes stand for; NaN for what is no number."""
    low = frame.unit_ranges[:, 0].astype(np.float64)[:, None, None, None, None]
    high = frame.unit_ranges[:, 1].astype(np.float64)[:, None, None, None, None]
    values = low + (frame.codes.astype(np.float64) - 3) / 252 * (high - low)
    return np.where(frame.codes >= 3, values, np.nan)


def places(values: np.ndarray, low, high) -> np.ndarray:
    """Position in a colour table of 256, for a scale from low to high."""
    return np.clip(np.floor((values - low) / (high - low) * 255 + 0.5), 0, 255)


def assert_painted(tiles: np.ndarray, values: np.ndarray, low, high, table: np.ndarray) -> None:
    """Each pixel has its value's colour, or at a border between two of them, as few are, the other."""
    wanted = places(values, low, high)
    shown = tiles[: wanted.shape[0] * wanted.shape[1], :, :, :3].reshape(*wanted.shape, 3).astype(int)
    finite = np.isfinite(wanted)
    index = np.where(finite, wanted, 0).astype(int)
    candidates = [table.astype(int)[np.clip(index + shift, 0, 255)] for shift in (0, -1, 1)]
    exact, below, above = [(candidate == shown).all(-1) for candidate in candidates]
    assert (exact | below | above)[finite].all()
    assert exact[finite].mean() > 0.99


def frame_of(stage, show, layer, parameter, step, image=""):
    return stage.server.frame(show, layer, parameter, image, step)


def over_time(stage, *what, image="") -> tuple[float, float]:
    frames = [frame_of(stage, *what, step, image) for step in stage.server.steps if step not in stage.server.missing]
    return min(f.layer_range[0] for f in frames), max(f.layer_range[1] for f in frames)


def legend(stage, canvas="canvas") -> tuple[list[str], str]:
    ticks = stage.page.locator(f"#{canvas} .film-tick").all_inner_texts()
    return ticks, stage.page.inner_text(f"#{canvas} .film-rule")


# ------------------------------------------------------------------------------------- what is painted


@pytest.mark.parametrize("layer", ["conv2", pytest.param("conv1", marks=pytest.mark.slow)])
def test_parameters_are_painted_symmetric_about_zero_over_all_time(stage, layer):
    stage.show(PARAMETERS, hash=f"#layer={layer}")
    stage.loaded()
    low, high = over_time(stage, "parameters", layer, "kernel")
    most = max(abs(low), abs(high))
    table = stage.table("blue-red")
    for step in (0, 300, 1200):
        stage.go_to(step)
        frame = frame_of(stage, "parameters", layer, "kernel", step)
        assert_painted(stage.tiles(), values_of(frame)[..., 0], -most, most, table)
    ticks, words = legend(stage)
    assert ticks[1] == "0"
    assert ticks[0].replace("−", "-") == f"-{ticks[2]}"
    assert "one scale for all steps" in words
    assert "so far" not in words
    assert "centred on 0" in words
    assert "±0.2" in words


def test_feature_maps_are_painted_from_lowest_to_highest(stage):
    stage.show(FEATURES, hash="#layer=pool&image=test-1")
    stage.loaded()
    stage.go_to(500)
    low, high = over_time(stage, "features", "pool", "", image="test-1")
    values = values_of(frame_of(stage, "features", "pool", "", 500, "test-1"))[..., 0]
    assert_painted(stage.tiles(), values, low, high, stage.table("viridis"))


@pytest.mark.parametrize("colour", ["magma", pytest.param("purple-green", marks=pytest.mark.slow)])
def test_the_range_of_a_step(stage, colour):
    stage.show(PARAMETERS, hash=f"#step=20&layer=conv1&range=step&symmetric=no&colour={colour}")
    stage.ready(20)
    frame = frame_of(stage, "parameters", "conv1", "kernel", 20)
    assert_painted(stage.tiles(), values_of(frame)[..., 0], *frame.layer_range, stage.table(colour))
    assert "range of this step" in legend(stage)[1]


def test_the_range_of_each_unit(stage):
    stage.show(PARAMETERS, hash="#step=20&layer=conv1&range=unit&symmetric=no&colour=magma&unit=4")
    stage.ready(20)
    frame = frame_of(stage, "parameters", "conv1", "kernel", 20)
    low, high = (frame.unit_ranges[:, end].astype(float)[:, None, None, None] for end in (0, 1))
    assert_painted(stage.tiles(), values_of(frame)[..., 0], low, high, stage.table("magma"))
    ticks, words = legend(stage)
    assert "each unit's own range" in words
    assert "numbers: unit 4" in words
    assert float(ticks[0].replace("−", "-")) == pytest.approx(frame.unit_ranges[4, 0], rel=1e-2)


def test_kernels_on_three_channels_are_painted_in_colour(stage):
    stage.show(PARAMETERS, hash="#step=700&layer=rgb&range=step&symmetric=no")
    stage.ready(700)
    frame = frame_of(stage, "parameters", "rgb", "kernel", 700)
    shown = stage.tiles()[:96, :, :, :3].astype(int)
    grey = stage.table("grey")[:, 0].astype(int)
    wanted = grey[places(values_of(frame), *frame.layer_range).astype(int)][:, 0]
    assert np.abs(shown - wanted).max() <= 2
    assert (shown == wanted).mean() > 0.99


def test_what_is_no_number_has_no_colour_and_is_named(stage):
    stage.show(PARAMETERS, hash="#step=100&layer=sick")
    stage.ready(100)
    alpha = stage.tiles()[:4, :, :, 3]
    codes = frame_of(stage, "parameters", "sick", "kernel", 100).codes[:, 0, :, :, 0]
    np.testing.assert_array_equal(alpha == 0, codes < 3)
    assert (alpha[codes >= 3] == 255).all()
    assert colours_on_screen(stage, 2) > 1
    assert reading(stage, 0, 0, 0) == "NaN"
    assert reading(stage, 1, 0, 1) == "∞"
    assert reading(stage, 2, 5, 5) == "NaN"


def test_a_matrix_has_one_row_a_unit(stage):
    stage.show(PARAMETERS, hash="#step=100&layer=dense&range=step&symmetric=no&colour=grey")
    stage.ready(100)
    tiles = stage.tiles()
    assert tiles.shape[:3] == (10, 1, 84)
    frame = frame_of(stage, "parameters", "dense", "kernel", 100)
    assert_painted(tiles, values_of(frame)[..., 0], *frame.layer_range, stage.table("grey"))


def test_the_gaps_follow_the_theme(stage):
    stage.show(PARAMETERS, hash="#step=100&layer=conv1")
    stage.ready(100)
    stage.js("() => { document.documentElement.dataset.theme = 'dark'; }")
    stage.wait(
        """() => { const c = document.querySelector('.film-canvas'); const g = JSON.parse(c.dataset.geometry);
        const [r] = c.getContext('2d').getImageData(g.columns * g.magnifyX, 0, 1, 1).data; return r < 40; }"""
    )


# ----------------------------------------------------------------------------------------- never stale


def test_a_frame_that_has_not_come_is_pending_and_shows_nothing_old(stage):
    stage.server.held = {0}
    stage.show(PARAMETERS, hash="#step=1200&layer=conv1")
    stage.ready(1200)
    stage.js("() => time.requestStep(1)")
    stage.page.wait_for_selector('#canvas canvas[data-state="pending"]')
    assert stage.page.get_attribute("#canvas canvas", "data-step") is None
    assert (stage.tiles()[:6, ..., 3] == 0).all()
    assert colours_on_screen(stage, 2) == 1
    stage.server.release()
    stage.ready(1)
    assert (stage.tiles()[:6, ..., 3] == 255).all()


def test_another_layer_never_shows_the_old_ones_picture(stage):
    stage.show(PARAMETERS, hash="#step=1200&layer=conv1")
    stage.ready(1200)
    stage.server.held = set(stage.server.steps)
    stage.view(layer="sick")
    stage.page.wait_for_selector('#canvas canvas[data-state="pending"]')
    stage.page.wait_for_selector("text=sick · kernel")
    assert (stage.pixels()[..., 3] == 0).any()
    assert (stage.tiles()[..., 3] == 0).all()
    stage.server.release()
    stage.ready(1200)


def test_a_missing_checkpoint_is_hatched_and_its_reason_said(stage):
    stage.show(PARAMETERS, hash="#step=450&layer=conv1")
    stage.page.wait_for_selector('#canvas canvas[data-state="missing"][data-step="450"]')
    assert (stage.tiles()[:6, ..., 3] == 0).all()
    assert "cut short after 1,024 bytes" in stage.page.inner_text("#canvas .film-message")


def test_an_exploded_step_is_shown_in_its_own_range_and_flattens_no_other(stage):
    stage.server.factors = {300: 1e9}
    stage.show(PARAMETERS, hash="#layer=conv1")
    stage.loaded()
    table = stage.table("blue-red")
    others = [
        frame_of(stage, "parameters", "conv1", "kernel", step).layer_range
        for step in stage.server.steps
        if step not in stage.server.missing and step != 300
    ]
    most = float(np.abs(others).max())
    stage.go_to(200)
    assert_painted(
        stage.tiles(), values_of(frame_of(stage, "parameters", "conv1", "kernel", 200))[..., 0], -most, most, table
    )
    words = legend(stage)[1]
    assert "one scale for all steps, without step 300, which exploded" in words
    assert "Exploded" not in words

    stage.go_to(300)
    exploded = frame_of(stage, "parameters", "conv1", "kernel", 300)
    most = float(np.abs(exploded.layer_range).max())
    assert_painted(stage.tiles(), values_of(exploded)[..., 0], -most, most, table)
    words = legend(stage)[1]
    reaches = np.sort([np.abs(limits).max() for limits in [*others, exploded.layer_range]])
    times = most / reaches[(len(reaches) - 1) // 2]
    assert words.startswith(f"Exploded: the largest value is {times:.1e}".replace("e+0", "e"))
    assert "range of this step" in words


def test_values_that_a_fixed_scale_flattens_are_said_to_be(stage):
    stage.server.factors = {200: 1e-3}
    stage.show(PARAMETERS, hash="#layer=conv1")
    stage.loaded()
    stage.go_to(200)
    assert legend(stage)[1].startswith("Looks flat: these values fill 0.")
    stage.view(range="step")
    stage.page.wait_for_function("() => !document.querySelector('.film-rule').textContent.includes('Looks flat')")
    stage.view(range="fixed")
    stage.go_to(300)
    assert "Looks flat" not in legend(stage)[1]


def test_while_frames_come_the_legend_says_of_how_many_it_knows(stage):
    stage.server.held = {0}
    stage.show(PARAMETERS, hash="#layer=conv1")
    stage.page.wait_for_selector("text=over 17 of 22 steps so far")
    assert "18 of 22 steps loaded" in stage.page.inner_text("#canvas .film-status")
    stage.server.release()
    stage.loaded()
    stage.wait("() => !document.querySelector('.film-rule').textContent.includes('so far')")
    assert stage.page.inner_text("#canvas .film-status") == ""


# -------------------------------------------------------------------------------------------- requests


def test_dragging_and_playing_a_loaded_film_asks_for_nothing(stage):
    stage.show(*BOTH, "TimeSlider:timeline", hash="#layer=conv2&image=test-1")
    stage.loaded()
    stage.server.log.clear()
    requests = []
    stage.page.on("request", lambda request: requests.append(request.url))
    box = stage.page.locator("#time-slider").bounding_box()
    stage.page.mouse.move(box["x"] + box["width"] - 8, box["y"] + box["height"] / 2)
    stage.page.mouse.down()
    for share in np.linspace(1, 0, 40):
        stage.page.mouse.move(box["x"] + 8 + share * (box["width"] - 16), box["y"] + box["height"] / 2)
    stage.page.mouse.up()
    stage.ready(0)
    stage.js("() => { time.speed = 60; time.play(); }")
    stage.ready(1200)
    assert requests == []
    assert stage.server.log == []


def test_two_canvases_of_the_same_film_share_it(stage):
    stage.show(PARAMETERS, "FilmCanvas:second:parameters", hash="#layer=conv1")
    stage.loaded()
    stage.ready(1200, "second")
    assert stage.server.count("/film?") == 1


def test_a_hidden_canvas_asks_for_nothing(stage):
    stage.show(*BOTH, hash="#layer=conv1&image=test-1&mode=parameters")
    stage.loaded()
    assert stage.server.count("show=features") == 0
    stage.view(mode="features")
    stage.ready(1200, "maps")
    assert stage.js("() => document.getElementById('canvas').hidden")


def test_the_question_is_the_views(stage):
    stage.show(PARAMETERS, hash="#step=300&layer=conv2&units=0-3,9&channels=1-2")
    stage.page.wait_for_selector("#canvas .film-title:not(:empty)")
    asked = next(line for line in stage.server.log if "/film?" in line)
    assert asked.startswith("/api/v1/runs/demo/layers/conv2/film?")
    for part in ("show=parameters", "units=0-3,9", "channels=1-2", "near=300"):
        assert part in asked


def test_going_back_to_a_layer_seen_before_asks_for_nothing(stage):
    stage.show(PARAMETERS, hash="#layer=conv1")
    stage.loaded()
    stage.view(layer="rgb")
    stage.page.wait_for_selector("text=rgb · kernel")
    stage.loaded()
    stage.page.wait_for_load_state("networkidle")
    stage.server.log.clear()
    stage.view(layer="conv1")
    stage.ready(1200)
    assert stage.server.log == []


# ------------------------------------------------------------------------------------ pointer and keys


def point(stage, unit: int, row: int, column: int, channel: int = 0, canvas: str = "canvas") -> tuple[float, float]:
    """Where a value lies on screen, by the geometry that the canvas states."""
    return stage.js(
        """([id, unit, row, column, channel]) => {
        const c = document.querySelector(`#${id} canvas.film-canvas`);
        const g = JSON.parse(c.dataset.geometry), box = c.getBoundingClientRect();
        const scale = box.width / c.width;
        const grid = g.down > 1 && channel > 0;
        const place = grid ? unit * g.across + channel : unit;
        const x = (place % g.across) * g.stepX + (column + 0.5) * g.magnifyX;
        const y = g.head + Math.floor(place / g.across) * g.stepY + (row + 0.5) * g.magnifyY;
        return [box.left + x * scale, box.top + y * scale]; }""",
        [canvas, unit, row, column, channel],
    )


def colours_on_screen(stage, unit: int) -> int:
    """How many colours somebody sees on a tile: one if it is filled, several if it is hatched."""
    from PIL import Image

    x, y = point(stage, unit, 2, 2)
    picture = stage.page.screenshot(clip={"x": x, "y": y, "width": 40, "height": 40})
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).reshape(-1, 3)
    return len(np.unique(pixels, axis=0))


def reading(stage, unit: int, row: int, column: int, channel: int = 0) -> str:
    stage.page.mouse.move(*point(stage, unit, row, column, channel))
    return stage.page.inner_text("#canvas .film-tip b")


def test_the_value_under_the_pointer_is_the_true_one_within_what_it_says(stage, picture_values):
    stage.show(PARAMETERS, hash="#step=300&layer=conv2")
    stage.ready(300)
    true = picture_values("parameters", "conv2", "kernel", 300)
    for unit, channel, row, column in ((3, 2, 1, 4), (15, 5, 4, 0)):
        text = reading(stage, unit, row, column, channel)
        value, error = (float(part) for part in text.replace("≈", "").replace("−", "-").split("±"))
        assert 0 < error < 0.01
        assert abs(value - true[unit, channel, row, column, 0]) <= error * 2
        assert stage.page.inner_text("#canvas .film-tip span") == (
            f"unit {unit} · channel {channel} · row {row} · column {column}"
        )


def test_a_single_value_is_exact(stage, picture_values):
    stage.show(PARAMETERS, hash="#step=300&layer=conv1&parameter=bias")
    stage.ready(300)
    true = picture_values("parameters", "conv1", "bias", 300)
    assert float(reading(stage, 2, 0, 0).replace("−", "-")) == pytest.approx(true[2].item(), rel=1e-6)


def test_the_value_under_a_resting_pointer_follows_time(stage):
    stage.show(PARAMETERS, hash="#step=300&layer=conv1")
    stage.loaded()
    before = reading(stage, 1, 2, 2)
    stage.go_to(0)
    assert stage.page.inner_text("#canvas .film-tip b") != before


def test_a_click_selects_a_unit_and_outlines_it(stage):
    stage.show(PARAMETERS, hash="#step=300&layer=rgb")
    stage.ready(300)
    stage.page.mouse.click(*point(stage, 17, 5, 5))
    assert stage.js("() => view.get().unit") == 17
    mark = stage.page.locator("#canvas .film-mark-selected").bounding_box()
    x, y = point(stage, 17, 5, 5)
    assert mark["x"] < x < mark["x"] + mark["width"]
    assert mark["y"] < y < mark["y"] + mark["height"]


def test_keys_move_a_cursor_and_enter_selects(stage):
    stage.show(PARAMETERS, hash="#step=300&layer=rgb")
    stage.ready(300)
    stage.page.focus("#canvas .film-stage")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        stage.page.keyboard.press(key)
    across = stage.js("() => JSON.parse(document.querySelector('.film-canvas').dataset.geometry).across")
    assert stage.js("() => view.get().unit") == 1 + across
    assert f"unit {1 + across}" in stage.page.inner_text("#canvas .film-live")
    assert stage.js("() => time.step") == 300


def test_zoom_by_keys_wheel_and_buttons(stage):
    stage.show(PARAMETERS, hash="#step=300&layer=rgb")
    stage.ready(300)
    width = "() => document.querySelector('.film-canvas').getBoundingClientRect().width"
    fitted = stage.js(width)
    stage.page.focus("#canvas .film-stage")
    stage.page.keyboard.press("+")
    stage.wait(f"() => ({width})() > {fitted * 1.1}")
    zoom = stage.js("() => view.get().zoom")
    assert zoom == "8"
    stage.page.mouse.move(*point(stage, 20, 5, 5))
    stage.page.keyboard.down("Control")
    stage.page.mouse.wheel(0, -100)
    stage.page.keyboard.up("Control")
    stage.wait("() => view.get().zoom === '16'")
    stage.wait("() => document.querySelector('.film-stage').scrollTop > 0")
    stage.page.keyboard.press("0")
    stage.wait(f"() => Math.abs(({width})() - {fitted}) < 1")


def test_the_picture_stays_inside_its_box(stage):
    stage.show(PARAMETERS, hash="#layer=conv2")
    stage.ready(1200)
    for layer in ("conv2", "rgb", "dense", "conv1"):
        stage.view(layer=layer)
        stage.ready(1200)
        inside = stage.js(
            """() => { const outer = document.querySelector('.film-box').getBoundingClientRect();
            const inner = document.querySelector('.film-canvas').getBoundingClientRect();
            return inner.left >= outer.left && inner.right <= outer.right && inner.top >= outer.top
              && inner.bottom <= outer.bottom
              && Math.max(inner.width / outer.width, inner.height / outer.height) > 0.8; }"""
        )
        assert inside, layer


# ------------------------------------------------------------------------------------- nothing to show


def message(stage) -> str:
    stage.page.wait_for_selector("#canvas .film-message:not([hidden])")
    assert stage.page.get_attribute("#canvas canvas", "data-state") == "missing"
    return stage.page.inner_text("#canvas .film-message")


def test_a_layer_without_parameters_says_so(stage):
    stage.show(PARAMETERS, hash="#layer=pool")
    assert message(stage).startswith("pool (max pooling) has no parameters")
    assert stage.server.count("/film?") == 0


def test_without_an_image_it_asks_for_one(stage):
    stage.show(FEATURES, hash="#layer=conv1")
    assert "Select an image" in message(stage)


def test_where_evaluation_is_impossible_the_subjects_sentence_is_shown(stage):
    sentence = 'TensorFlow is not installed: pip install "mloscope[evaluate]".'
    stage.show(
        FEATURES,
        hash="#layer=conv1&image=test-1",
        subject={"evaluation": {"possible": False, "message": sentence}},
    )
    assert message(stage) == sentence
    assert stage.server.count("/film?") == 0
    stage.open()
    stage.ready(1200)


def test_leaving_the_page_closes_everything(stage):
    stage.show(PARAMETERS, hash="#layer=conv1")
    stage.ready(1200)
    stage.js("() => roots.forEach((root) => root.unmount())")
    stage.wait("() => films.inView().count === 0")
    stage.js("() => { time.request(0); view.set({ layer: 'rgb' }); }")
    stage.page.wait_for_timeout(100)
    assert stage.server.count("layers/rgb") == 0


# ------------------------------------------------------------------------------------------------- units by name


def labels(stage) -> list[str]:
    return stage.page.locator("#canvas .film-heads > span").all_text_contents()


def test_every_tile_has_its_units_number(stage):
    stage.show(PARAMETERS, hash="#step=300&layer=conv1")
    stage.ready(300)
    assert labels(stage) == ["0", "1", "2", "3", "4", "5"]


def test_one_number_per_unit_is_a_bar_with_the_name_of_its_class(stage):
    named = {"basis": basis(output={"layer": "dense", "rule": "softmax", "refusal": None})}
    stage.show(FEATURES, hash="#step=300&layer=dense&image=test-1&range=step&symmetric=no", subject=named)
    stage.ready(300)
    assert labels(stage) == [name if name == str(number) else f"{number} {name}" for number, name in enumerate(CLASSES)]
    values = values_of(frame_of(stage, "features", "dense", "", 300, "test-1")).ravel()
    lengths = stage.js(
        """() => { const c = document.querySelector('#canvas .film-canvas'), g = JSON.parse(c.dataset.geometry);
        const ground = (p) => p.slice(0, 3).join() === '236,238,242';
        return [...Array(10).keys()].map((unit) => {
          const y = (unit % g.down) * g.stepY + 2, x = Math.floor(unit / g.down) * g.stepX + g.stepX - 12 - g.magnifyX;
          const row = c.getContext('2d').getImageData(x, y, g.magnifyX, 1).data;
          return [...Array(g.magnifyX).keys()].filter((i) => !ground([...row.slice(4 * i, 4 * i + 4)])).length / g.magnifyX; }); }"""
    )
    reach = max(values.max(), 0) - min(values.min(), 0)
    np.testing.assert_allclose(lengths, np.abs(values) / reach, atol=0.02)


def test_bars_can_stand_by_value(stage):
    stage.show(FEATURES, hash="#step=300&layer=dense&image=test-1&bars=value")
    stage.ready(300)
    tops = stage.js(
        "[...document.querySelectorAll('#canvas .film-heads > span')].map((s) => s.getBoundingClientRect().top)"
    )
    values = values_of(frame_of(stage, "features", "dense", "", 300, "test-1")).ravel()
    assert np.argsort(tops, kind="stable").tolist() == np.argsort(-values, kind="stable").tolist()
    stage.page.locator("#canvas .film-button[aria-pressed=true]").click()
    stage.wait("() => view.get().bars === 'number'")


def test_a_drag_moves_the_film_and_selects_nothing(stage):
    stage.show(PARAMETERS, hash="#step=300&layer=conv2&zoom=32&unit=5")
    stage.ready(300)
    box = stage.page.locator("#canvas .film-stage").bounding_box()
    before = stage.js(
        "(() => { const s = document.querySelector('#canvas .film-stage'); return [s.scrollLeft, s.scrollTop]; })()"
    )
    mouse = stage.page.mouse
    mouse.move(box["x"] + 200, box["y"] + 200)
    mouse.down()
    mouse.move(box["x"] + 80, box["y"] + 120, steps=3)
    mouse.up()
    after = stage.js(
        "(() => { const s = document.querySelector('#canvas .film-stage'); return [s.scrollLeft, s.scrollTop]; })()"
    )
    assert after[1] - before[1] == 80
    assert stage.js("view.get().unit") == 5


def test_units_that_the_layer_has_not_are_left_out_instead_of_blanking_the_film(stage):
    stage.show(PARAMETERS, hash="#step=300&layer=conv1&units=3-999")
    stage.ready(300)
    assert "units=3-5" in next(line for line in stage.server.log if "/film?" in line)
    assert stage.js("view.get().units") == "3-999"


def test_the_pointer_over_one_film_outlines_the_unit_in_the_other(stage):
    stage.show(*BOTH, hash="#step=300&layer=conv1&image=test-1")
    stage.ready(300)
    stage.ready(300, "maps")
    x, y = point(stage, 4, 2, 2)
    stage.page.mouse.move(x, y)
    marks = "['canvas', 'maps'].map((id) => document.querySelector(`#${id} .film-mark-hover`))"
    stage.wait(f"() => {marks}.every((mark) => !mark.hidden)")


# ------------------------------------------------------------------------------------------- films as files


def test_a_saved_film_has_the_colours_of_the_page(stage):
    """The scale of app/export/ against what stands on the canvas: one that leaves out a step that exploded, and the units' own."""
    for layer, words in (("conv2", "fixed"), ("conv1", "unit")):
        stage.show(PARAMETERS, hash=f"#step=300&layer={layer}&range={words}&symmetric=no&colour=magma")
        stage.loaded()
        stage.ready(300)
        frames = {step: frame_of(stage, "parameters", layer, "kernel", step) for step in stage.server.steps}
        frames = {step: FilmFrame(f.codes, f.unit_ranges, f.layer_range) for step, f in frames.items()}
        frames = {step: frame for step, frame in frames.items() if step not in stage.server.missing}
        scale = ColourScale.of(ColourChoice("magma", words, "no"), "diverging", 1, frames)
        codes = frames[300].codes[..., 0]
        wanted = scale.colours(300, frames[300])[np.arange(len(codes))[:, None, None, None], codes]
        shown = stage.tiles()[: codes.shape[0] * codes.shape[1], :, :, :3].reshape(wanted.shape)
        assert (shown == wanted).all(-1).mean() > 0.99, layer


def test_a_film_is_saved_as_it_is_shown(stage):
    stage.show(PARAMETERS, hash="#step=20&layer=conv1&range=step&colour=magma&units=0-3")
    stage.ready(20)
    asked = []

    def making(route):
        asked.append(route.request.url)
        file = '{"file":{"address":"/api/v1/saved-films/00","name":"conv1.gif","bytes":1234567}}'
        route.fulfill(body=f'{{"progress":{{"done":1,"of":2,"doing":"drawing"}}}}\n{file}\n{{"done":true}}\n')

    stage.page.route("**/making?*", making)
    stage.page.route("**/saved-films/*", lambda route: route.fulfill(body="GIF89a"))
    stage.page.click("#canvas >> text=Save")
    stage.page.select_option("dialog select", "gif")
    stage.page.fill("dialog [name=last]", "40")
    with stage.page.expect_download() as saved:
        stage.page.click("dialog button[type=submit]")

    assert saved.value.suggested_filename == "conv1.gif"
    assert "1.2 MB" in stage.page.inner_text("dialog [role=status]")
    path, _, query = asked[0].partition("?")
    fields = dict(parse_qsl(query))
    assert path.endswith("/layers/conv1/film.gif/making")
    wanted = {"units": "0-3", "range": "step", "colour": "magma", "last": "40", "theme": "light", "title": "true"}
    assert wanted.items() <= fields.items()
    stage.page.keyboard.press("Escape")


def test_a_page_of_the_whole_view_says_its_size_before_it_is_saved(stage):
    stage.show(*BOTH, hash="#step=20&layer=conv1&image=test-1")
    stage.ready(20)
    asked = []

    def page(route):
        asked.append(dict(parse_qsl(route.request.url.partition("?")[2])))
        name = {"Content-Disposition": 'attachment; filename="demo-conv1.html"'}
        route.fulfill(body="<!doctype html>" + "x" * 2_500_000, headers=name)

    stage.page.route("**/page.html?*", page)
    stage.page.click("#canvas >> text=Save")
    stage.page.click("dialog >> text=Make a page")
    stage.page.wait_for_selector("dialog >> text=2.5 MB")
    with stage.page.expect_download() as saved:
        stage.page.click("dialog >> text=Save page")

    assert saved.value.suggested_filename == "demo-conv1.html"
    assert asked[0]["image"] == "test-1"
    assert "layer=conv1" in asked[0]["hash"]
    stage.page.keyboard.press("Escape")
