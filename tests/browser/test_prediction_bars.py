"""assets/images/prediction_bars.mjs: the bars are those of the step, or say why not."""

from __future__ import annotations

import pytest
from basis_record import basis, unnamed

pytestmark = pytest.mark.browser

BARS = "PredictionBars:bars"


def ready(stage, step: int) -> None:
    stage.page.wait_for_selector(f'#bars[data-state="ready"][data-step="{step}"]', timeout=8000)


def rows(stage) -> dict[str, tuple[float, float]]:
    """Length of each bar and percentage written, by class."""
    found = stage.js(
        """() => [...document.querySelectorAll('.predictions-row')].map((row) => [
        row.querySelector('.predictions-name').textContent,
        new DOMMatrix(getComputedStyle(row.querySelector('.predictions-bar')).transform).a,
        parseFloat(row.querySelector('.predictions-text').textContent)])"""
    )
    return {name: (length, percent) for name, length, percent in found}


def all_came(stage) -> None:
    stage.wait("() => !document.querySelector('#bars[data-state=pending]')")
    stage.page.wait_for_timeout(150)


def test_bars_are_the_probabilities_of_the_step(stage):
    stage.show(BARS, hash="#image=test-7")
    for step in (1200, 0, 300):
        stage.js("step => time.requestStep(step)", step)
        ready(stage, step)
        shown = rows(stage)
        for name, probability in zip(shown, stage.server.probabilities("test-7", step), strict=True):
            assert shown[name] == (
                pytest.approx(probability, abs=1e-4),
                pytest.approx(probability * 100, abs=0.06),
            )


def test_the_true_and_the_predicted_class_are_marked(stage):
    stage.show(BARS, hash="#image=test-7")
    ready(stage, 1200)
    stage.page.wait_for_selector(".predictions-true")
    assert stage.page.inner_text(".predictions-true .predictions-name") == "seven"
    best = max(rows(stage), key=lambda name: rows(stage)[name])
    assert stage.page.inner_text(".predictions-predicted .predictions-name") == best
    assert "predicted" in stage.page.get_attribute(".predictions-predicted", "title")


def test_classes_in_another_order_have_the_right_bar_marked(stage):
    names, labels = ["nine", "seven", *map(str, range(8))], [9, 7, *[None] * 8]
    stage.show(BARS, hash="#image=test-7", subject={"classNames": names, "basis": basis(names, labels)})
    ready(stage, 1200)
    stage.page.wait_for_selector(".predictions-true")
    assert stage.page.locator(".predictions-true .predictions-name").all_inner_texts() == ["seven"]
    assert stage.page.locator(".predictions-row").nth(1).get_attribute("class").endswith("predictions-true")


@pytest.mark.parametrize(
    "labels", [[None] * 10, [*range(7), None, 8, 9]], ids=["other classes", "one class it does not know"]
)
def test_where_no_output_stands_for_the_images_class_nothing_is_right(stage, labels):
    names = unnamed(10)["classNames"]
    stage.show(BARS, hash="#image=test-7", subject={"classNames": names, "basis": basis(names, labels)})
    ready(stage, 1200)
    all_came(stage)
    assert list(rows(stage)) == [f"output {number}" for number in range(10)]
    assert stage.page.locator(".predictions-predicted").count() == 1
    assert stage.page.locator(".predictions-true").count() == 0
    colour = "row => getComputedStyle(row.querySelector('.predictions-bar')).backgroundColor"
    token = """name => { const node = document.createElement('i'); node.style.color = `var(--${name})`;
    document.body.append(node); return getComputedStyle(node).color; }"""
    drawn = stage.page.locator(".predictions-predicted").evaluate(colour)
    assert drawn not in [stage.js(token, name) for name in ("good", "bad")]
    assert "true class" not in "".join(
        row.get_attribute("title") for row in stage.page.locator(".predictions-row").all()
    )


def test_a_network_that_tells_no_classes_has_a_sentence_and_no_bars(stage):
    stage.show(
        BARS, hash="#image=test-7", subject={"basis": basis((), refusal="The output age is one number for each image.")}
    )
    stage.page.wait_for_selector("text=The output age is one number")
    assert stage.page.locator(".predictions-row:visible").count() == 0
    assert stage.server.count("/predictions/") == 0


def test_moving_through_time_asks_for_nothing(stage):
    stage.show(BARS, hash="#image=test-7")
    ready(stage, 1200)
    all_came(stage)
    stage.server.log.clear()
    for step in (0, 100, 500):
        stage.js("step => time.requestStep(step)", step)
        ready(stage, step)
    assert stage.server.log == []


def test_a_missing_step_has_its_reason_and_no_numbers(stage):
    stage.show(BARS, hash="#image=test-7")
    ready(stage, 1200)
    all_came(stage)
    stage.js("() => time.requestStep(450)")
    stage.page.wait_for_selector('#bars[data-state="missing"][data-step="450"]')
    assert "cut short" in stage.page.inner_text(".predictions-message")
    assert all(length == 0 for length, _ in rows(stage).values())
    assert "%" not in stage.page.inner_text(".predictions-list")


def test_another_image_never_shows_the_old_ones_bars(stage):
    stage.show(BARS, hash="#image=test-7")
    ready(stage, 1200)
    lengths = stage.js(
        """async () => { view.set({ image: 'test-8' }); await null;
        return [document.getElementById('bars').dataset.state,
          ...[...document.querySelectorAll('.predictions-bar')].map((bar) => bar.style.transform)]; }"""
    )
    assert lengths[0] == "pending"
    assert set(lengths[1:]) == {"scaleX(0)"}
    ready(stage, 1200)
    assert rows(stage)["eight"][0] == pytest.approx(stage.server.probabilities("test-8", 1200)[8], abs=1e-4)


def test_of_many_classes_the_likeliest_and_the_true_one(stage):
    names = [f"class number {n}" for n in range(10)] + [f"other {n}" for n in range(90)]
    stage.page.route(
        "**/predictions/**",
        lambda route: route.fulfill(
            content_type="application/x-ndjson",
            body='{"steps": [1200], "probabilities": [[' + ",".join(str(n / 4950) for n in range(100)) + "]]}\n"
            '{"done": true}\n',
        ),
    )
    stage.show(BARS, hash="#image=test-7", subject={"classNames": names, "basis": basis(names)})
    ready(stage, 1200)
    stage.page.wait_for_selector(".predictions-true")
    shown = list(rows(stage))
    assert shown[:2] == ["other 89", "other 88"]
    assert shown[-1] == "class number 7"
    assert len(shown) == 11


def test_a_network_that_gives_nan_predicts_nothing(stage):
    stage.page.route(
        "**/predictions/**",
        lambda route: route.fulfill(
            content_type="application/x-ndjson",
            body='{"steps": [1200], "probabilities": [[null, 0.0, 1.0, null, null, null, null, null, null, null]]}\n'
            '{"done": true}\n',
        ),
    )
    stage.show(BARS, hash="#image=test-7")
    ready(stage, 1200)
    said = stage.page.locator(".predictions-text").all_inner_texts()
    assert said == ["NaN", "0.0\u202f%", "100.0\u202f%", *["NaN"] * 7]
    assert stage.page.locator(".predictions-predicted").count() == 0


def test_a_stream_that_breaks_off_is_said_and_asked_for_again(stage):
    asked = []

    def answer(route):
        asked.append(route.request.url)
        if len(asked) > 1:
            route.fallback()
            return
        message = "The model service stopped; it is being restarted."
        route.fulfill(body=f'{{"error": {{"kind": "unavailable", "message": "{message}"}}}}\n')

    stage.page.route("**/predictions/**", answer)
    stage.show(BARS, hash="#image=test-7")
    stage.page.wait_for_selector("text=it is being restarted")
    ready(stage, 1200)
    assert len(asked) == 2


def test_where_evaluation_is_impossible_nothing_is_asked(stage):
    stage.show(BARS, hash="#image=test-7", subject={"evaluation": {"possible": False, "message": "No TensorFlow."}})
    stage.page.wait_for_selector("text=No TensorFlow.")
    assert stage.server.count("predictions") == 0
    assert stage.page.get_attribute("#bars", "data-state") == "missing"
