"""The compare page over a run that really trained: two moments, two runs, one of them damaged."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytestmark = pytest.mark.browser


def opened(display, hash: str = "", run: str = "mnist"):
    display.open(f"#{hash}" if hash else "", search=f"compare?run={run}")
    display.wait("() => compare.overview")
    return display.page


def canvas_ready(display, *sides: str) -> None:
    for side in sides:
        display.wait(
            "side => document.querySelector(`.compare-film-${side} canvas.film-canvas`)?.dataset.state === 'ready'",
            side,
        )


def array(display, step: int, layer: str) -> np.ndarray:
    address = f"{display.address}/api/v1/runs/mnist/checkpoints/{step}/layers/{layer}/parameters.npy"
    return np.load(io.BytesIO(display.page.request.get(address).body())).astype(np.float64)


def test_the_first_and_the_last_checkpoint_and_how_far_each_filter_moved(display, dashboard):
    first, last = dashboard.steps[0], dashboard.steps[-1]
    page = opened(display, "layer=conv1&unit=3")
    canvas_ready(display, "a", "b", "pair")
    page.locator("#compare-summary dd").first.wait_for()
    a, b = array(display, last, "conv1"), array(display, first, "conv1")
    said = page.locator("#compare-summary dd").all_text_contents()
    assert float(said[0]) == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(b), rel=1e-3)
    assert float(said[1]) == pytest.approx((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-3)
    page.get_by_role("button", name="variance").click()
    page.locator(".compare-finding", has_text="Unit variances, A vs B: Spearman").wait_for()
    points = "document.querySelector('#compare-scatter .js-plotly-plot').data"
    display.wait(f"() => {points}.length === 2 && {points}[1].customdata.length === 12")
    display.wait("() => document.querySelector('#compare-unit .js-plotly-plot')?.data?.length === 3")
    assert "compare-measure=variance" in display.js("location.hash")


def test_dragging_asks_for_nothing_and_playing_waits_for_both(display, dashboard):
    opened(display, "layer=conv1&compare-follow=lag&compare-lag=1&compare-panel=layers")
    canvas_ready(display, "a", "b", "pair")
    display.wait(
        "() => [...document.querySelectorAll('.compare-film .film-status')].every((s) => !/of/.test(s.textContent))"
    )
    display.js("time.step")  # its module is there
    display.wait_quiet()
    display.requests.clear()
    display.js("time.hold()")
    for step in dashboard.steps[1:4]:
        display.js("step => time.requestStep(step)", step)
        display.wait("step => document.querySelector('.compare-film-pair canvas').dataset.step === String(step)", step)
    assert display.requests == []
    display.js("time.release()")


def test_another_run_that_is_damaged_says_what_is_wrong_where_it_is(display, dashboard):
    page = opened(display, f"layer=conv1&b-run=damaged&step={dashboard.cut_step}")
    canvas_ready(display, "a")
    message = page.locator(".compare-film-b .film-message")
    display.wait("() => document.querySelector('.compare-film-b canvas').dataset.state === 'missing'")
    assert f"Step {dashboard.cut_step}" in message.text_content().replace("\u202f", "")
    page.locator("#compare-summary p").wait_for()
    display.js("step => time.requestStep(step)", dashboard.nan_step)
    canvas_ready(display, "a", "b", "pair")
    # A filter of NaN on one side is no difference, but a hatch.
    alpha = display.js(
        """() => { const canvas = document.querySelector('.compare-film-pair canvas');
          const { head, stepX, stepY, gap } = JSON.parse(canvas.dataset.geometry);
          const tile = canvas.getContext('2d').getImageData(gap, gap + head, stepX - 2 * gap, stepY - head - 2 * gap);
          return Math.min(...tile.data.filter((_, index) => index % 4 === 3)); }"""
    )
    assert alpha == 0
    display.problems[:] = [problem for problem in display.problems if "422" not in problem]


def test_feature_maps_and_predictions_of_the_same_image(display, dashboard):
    page = opened(display, "layer=conv1&compare-show=features&image=test-3&compare-panel=image")
    canvas_ready(display, "a", "b", "pair")
    display.wait("() => document.querySelectorAll('.compare-bar-row').length === 10")
    display.wait("() => !document.querySelector('.compare-predictions .quiet-text').textContent")
    rows = page.locator(".compare-bar-row .compare-bar-text").all_text_contents()
    assert sum(float(text.split()[0]) for text in rows[::2]) == pytest.approx(100, abs=1)


def test_what_is_saved_is_exact(display, dashboard):
    page = opened(display, "layer=conv2")
    canvas_ready(display, "pair")
    with page.expect_download() as download:
        page.locator("[data-save=npz]").click()
    archive = np.load(download.value.path(), allow_pickle=False)
    exact = array(display, dashboard.steps[-1], "conv2") - array(display, dashboard.steps[0], "conv2")
    np.testing.assert_allclose(archive["difference"], exact.transpose(3, 2, 0, 1), atol=1e-7)
    with page.expect_download() as download:
        page.locator("[data-save=svg]").first.click()
    assert download.value.path().read_text().startswith("<svg")


def test_confusion_without_statistics_says_the_command(display):
    page = opened(display, "compare-show=confusion&split=training")
    page.locator(".compare-matrix-message", has_text="mloscope statistics").first.wait_for()
    page.get_by_text("A − B needs both sides").wait_for()


def test_the_same_address_shows_the_same_elsewhere(display, another_display, dashboard):
    page = opened(display, "layer=conv1")
    page.get_by_role("button", name="Wipe").click()
    page.get_by_role("button", name="Run of side B").click()
    page.get_by_role("option", name="damaged").click()
    page.get_by_role("button", name="share of training").click()
    display.wait("() => location.hash.includes('compare-align=share')")
    canvas_ready(display, "pair")
    address = page.url
    another_display.page.goto(address)
    another_display.wait("() => compare && compare.overview")
    canvas_ready(another_display, "pair")
    assert another_display.page.locator('#compare-align [aria-pressed="true"]').inner_text() == "share of training"
    pixels = "document.querySelector('.compare-film-pair canvas').toDataURL()"
    another_display.wait(f"expected => {pixels} === expected", display.js(pixels))


def test_a_run_that_is_not_there_any_more(display):
    page = display.open("#b-run=removed", search="compare?run=mnist").page
    display.wait("() => compare.problem")
    page.locator(".compare-film-b .film-message", has_text='no run "removed"').wait_for(state="attached")
    page.locator("#compare-summary p", has_text='no run "removed"').wait_for()
    display.problems[:] = [problem for problem in display.problems if "404" not in problem]


def test_both_moments_stand_on_the_training_chart_and_a_click_moves_time(display, dashboard):
    page = opened(display, "compare-panel=training&b-run=damaged")
    chart = page.locator("#compare-training .js-plotly-plot .nsewdrag").first
    page.locator("#compare-metric button", has_text="loss").first.click()
    display.wait("() => location.hash.includes('compare-metric=loss')")
    cursor = page.locator(".compare-cursor-a")
    display.wait(
        "step => document.querySelector('.compare-cursor-a')?.dataset.step === String(step)", dashboard.steps[-1]
    )
    box = chart.bounding_box()
    at_the_end = cursor.bounding_box()["x"]
    assert at_the_end == pytest.approx(box["x"] + box["width"], abs=box["width"] * 0.1)
    page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
    display.wait("step => time.step < step", dashboard.steps[-1] / 4)
    display.wait("() => document.querySelector('.compare-cursor-a').dataset.step === String(time.step)")
    assert cursor.bounding_box()["x"] < box["x"] + box["width"] / 3
    assert page.locator(".compare-cursor-b").get_attribute("data-step") == page.locator(
        ".compare-cursor-a"
    ).get_attribute("data-step")
