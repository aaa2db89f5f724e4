"""What bad input gets: a sentence where it matters, while the rest keeps working."""

import json
import os
import signal
import urllib.error
import urllib.request

import pytest

pytestmark = pytest.mark.browser


def answer(dashboard, path: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"{dashboard.address}{path}") as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_hash_with_nonsense_gives_the_default_and_a_sentence(display, dashboard):
    display.open("#step=abc&layer=no-such-layer&mode=upside-down&flavour=vanilla").wait_drawn(
        "parameters", dashboard.steps[-1]
    )
    for part in ('step="abc" is not a whole number', 'no layer "no-such-layer"', "upside-down", '"flavour"'):
        display.page.locator("#notices", has_text=part).wait_for()


def test_an_unknown_run_in_the_address_is_said_and_another_shown(display):
    display.open(search="?run=nowhere").wait_drawn()
    display.page.locator("#notices", has_text="nowhere").wait_for()


def test_an_unknown_image_is_said_where_its_maps_would_be(display):
    display.open("#image=test-99999").wait_drawn("features", state="missing")
    display.page.locator("[data-show=features]", has_text="test-99999").wait_for()  # once TensorFlow is there
    display.wait_drawn("parameters")
    display.problems.clear()  # the browser reports the 404 itself


def test_a_broken_checkpoint_keeps_its_place_and_says_why(display, dashboard):
    display.open(f"#step={dashboard.cut_step}&layer=conv1", "?run=damaged").wait_drawn(
        "parameters", dashboard.cut_step, "missing"
    )
    said = display.page.locator("[data-show=parameters]").inner_text()
    assert f"{dashboard.cut_step}" in said
    assert ".keras" in said
    display.page.keyboard.press("ArrowRight")
    display.wait_drawn("parameters")
    assert (
        display.page.locator(".timeline").inner_html().count("✕")
        + display.page.locator(".timeline [class*=broken]").count()
        >= 1
    )


def test_nan_and_infinite_weights_are_hatched_never_coloured(display, dashboard):
    display.open(
        f"#step={dashboard.nan_step}&layer=conv1&mode=parameters&colour=viridis&symmetric=no", "?run=damaged"
    ).wait_loaded()
    painted = display.canvas().evaluate(
        """canvas => {
          const g = JSON.parse(canvas.dataset.geometry);
          const alphas = left => {
            const image = canvas.getContext('2d').getImageData(left, g.head, g.columns * g.magnifyX, g.rows * g.magnifyY).data;
            return Array.from({ length: image.length / 4 }, (_, i) => image[i * 4 + 3]);
          };
          const next = g.stepX;
          return { nan: alphas(0), infinite: alphas(next), ground: getComputedStyle(canvas.parentElement).backgroundImage };
        }"""
    )
    assert set(painted["nan"]) == {0}  # unit 0 is NaN all over: no colour at all
    assert painted["infinite"].count(0) * 25 == len(painted["infinite"])  # one of unit 1's 25 weights
    assert "repeating-linear-gradient" in painted["ground"]  # and the hatch shows through
    display.page.locator("#layer-details", has_text="25 of 300 values are NaN").wait_for()


@pytest.mark.slow  # tests/app/model_service has it without a page, test_asking_again.py without a server
def test_a_model_service_that_is_killed_comes_back_by_itself(display, dashboard):
    display.open("#image=test-20").wait_drawn("features")
    os.kill(dashboard.model_service_pid(), signal.SIGKILL)
    display.js("view.set({ image: 'test-21' })")
    display.wait("view.get().image === 'test-21'")
    display.wait_drawn("parameters")  # the rest keeps working
    display.page.wait_for_function(
        "() => document.querySelector('[data-show=features] canvas.film-canvas').dataset.state === 'ready'",
        timeout=60_000,
    )
    display.problems.clear()  # 503s on the way are reported by the browser itself


@pytest.mark.parametrize(
    ("path", "status", "part"),
    [
        ("/api/v1/nothing", 404, "nothing"),
        ("/api/nothing", 404, "nothing"),
        ("/api/v1/runs/nowhere", 404, "nowhere"),
        ("/api/v1/runs/mnist/checkpoints/123456/layers/conv1/parameters", 404, "123456"),
        ("/api/v1/runs/mnist/checkpoints/0/layers/conv9/parameters", 404, "conv9"),
        ("/api/v1/runs/mnist/checkpoints/0/layers/conv1/features/test-99999?corpus=mnist-digits", 404, "test-99999"),
        ("/api/v1/runs/mnist/layers/conv1/film?show=sideways", 422, "show"),
        ("/api/v1/runs/mnist/layers/conv1/film?units=5-2", 400, "2-5"),
        ("/api/v1/films/abc", 404, "film"),
        ("/api/v1/corpora/mnist-digits/images?offset=-1", 422, "offset"),
    ],
)
def test_rest_errors_are_json_with_a_kind_and_a_sentence(dashboard, path, status, part):
    code, body = answer(dashboard, path)
    assert code in (status, 400, 422) if status in (400, 422) else code == status
    assert set(body["error"]) == {"kind", "message"}
    assert part in body["error"]["message"]
    assert "Traceback" not in json.dumps(body)
