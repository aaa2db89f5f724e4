"""The image lab over a run that really trained: an image changed by hand and by numbers, and what the network makes of it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser

READY = "() => document.querySelector('.lab-sweep').dataset.state === 'ready'"
SHOWN = "(image) => document.querySelector('.lab-picture').dataset.shown === image"


def opened(display, view: str = ""):
    display.show(f"#image=test-3{view}", search="lab?run=mnist")
    display.wait(READY)
    return display.page


def pixels(display, address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(display.page.request.get(f"{display.address}/api/v1/{address}").body())))


def rest(display, path: str) -> dict:
    return display.page.request.get(f"{display.address}/api/v1/runs/mnist/{path}").json()


def test_every_view_answers_for_the_changed_image(display, dashboard):
    page = opened(display, "&change=shift=4,2~noise=20,1")
    display.wait(SHOWN, "test-3~shift=4,2~noise=20,1")
    display.wait_quiet()
    step = dashboard.steps[-1]
    probabilities = rest(display, f"checkpoints/{step}/predictions/test-3~shift=4,2~noise=20,1")["probabilities"]
    said = page.locator("#lab-bars .predictions-text").all_inner_texts()
    assert [float(text.split()[0].rstrip("%\u202f")) for text in said] == pytest.approx(
        [100 * each for each in probabilities], abs=0.051
    )
    films = display.js("() => [...document.querySelectorAll('.lab-film')].map((film) => film.hidden)")
    assert films == [False, False]
    assert page.locator(".lab-number").evaluate_all("nodes => nodes.map((node) => node.value)") == ["4", "2", "20", "1"]


def test_a_hand_moves_the_picture_and_back_undoes_it_at_once(display):
    page = opened(display)
    before = page.url
    stage = page.locator(".lab-stage").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for part in range(1, 6):
        page.mouse.move(x + stage["width"] / 28 * part, y)  # 28 pixels wide: five pixels to the right
    page.mouse.up()
    display.wait(SHOWN, "test-3~shift=5,0")
    moved = pixels(display, "corpora/mnist-digits/images/test-3~shift=5,0.png")
    np.testing.assert_array_equal(moved[:, 5:], pixels(display, "corpora/mnist-digits/images/test-3.png")[:, :-5])
    page.go_back()
    display.wait(SHOWN, "test-3")
    assert page.url == before


def test_changes_are_added_set_and_taken_back_by_numbers(display):
    page = opened(display)
    page.get_by_label("Add a change").select_option("rotate")
    angle = page.get_by_label("Rotate: angle")
    angle.fill("90")
    angle.press("Enter")
    display.wait(SHOWN, "test-3~rotate=90")
    angle.fill("500")
    angle.press("Enter")
    assert display.js("() => view.get().change") == "rotate=90"
    page.get_by_role("button", name="Take rotate back").click()
    display.wait(SHOWN, "test-3")


def test_a_picture_of_ones_own_is_looked_at_and_its_link_works(display_of, dashboard):
    display = display_of(dashboard.address)
    page = opened(display)
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(5).integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(file, "PNG")
    page.locator(".lab-file").set_input_files({"name": "mine.png", "mimeType": "image/png", "buffer": file.getvalue()})
    display.wait("() => view.get().own")
    display.wait(READY)
    own = display.js("() => view.get().own")
    display.wait(SHOWN, own)
    assert own in page.url
    page.locator(".lab-file").set_input_files({"name": "no.png", "mimeType": "image/png", "buffer": b"nonsense"})
    display.wait("() => /picture/.test(document.querySelector('.lab-message').textContent)")
    page.get_by_role("button", name="Corpus image").click()
    display.wait(SHOWN, "test-3")


def test_a_sweep_is_what_rest_says_and_follows_time_without_a_request(display, dashboard):
    page = opened(display, "&sweep=rotation")
    display.wait_quiet()
    text = page.request.get(f"{display.address}/api/v1/runs/mnist/sweeps/rotation/test-3").text()
    label = page.request.get(f"{display.address}/api/v1/corpora/mnist-digits/images?search=test-3&limit=1").json()[
        "images"
    ][0]["label"]
    assert f'"class":{label}' in text
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    paths = []
    for step in (dashboard.steps[-1], dashboard.steps[1]):
        display.js("step => time.requestStep(step)", step)
        display.frames()
        display.frames()
        paths.append(page.locator(".lab-line").evaluate_all("lines => lines.map((line) => line.getAttribute('d'))"))
    assert paths[0] != paths[1]
    assert [url for url in requests if "/sweeps/" in url] == []


def test_changes_that_no_image_takes_are_named_and_left_out(display):
    page = opened(display, "&change=turn=9~shift=1,0~blur")
    display.wait(SHOWN, "test-3~shift=1,0")
    said = page.locator(".lab-message").first.inner_text()
    assert "turn=9" in said
    assert "blur" in said


def test_an_own_image_that_is_gone_is_said_and_nothing_else_stops(display_of, dashboard):
    display = display_of(dashboard.address)
    display.show(f"#own=own-{'0' * 32}", search="lab?run=mnist")
    display.wait("() => document.querySelector('.lab-sweep').dataset.state === 'missing'")
    assert "no longer" in display.page.locator(".lab-sweep .lab-message").inner_text()
    display.page.get_by_role("button", name="Theme").wait_for()
