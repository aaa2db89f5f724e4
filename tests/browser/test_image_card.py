"""assets/images/card.mjs and what it is made of: since when an image is right or wrong, its course, its cell."""

from __future__ import annotations

import pytest
from statistics_server import CLASSES, STEPS

pytestmark = pytest.mark.browser

CARD = ("ImageCard:card", "ImageGrid:images")
SINCE = "#card .story-since"

# ---------------------------------------------------------------------------------------------------- pure functions


def since(stage, predicted: list, index: int, label: int | None = 1, steps: list[int] | None = None) -> str:
    """What is said at a checkpoint of 0, 10, 20 ...; ``steps``: those that have been evaluated."""
    every = [10 * n for n in range(len(predicted))]
    evaluated = every if steps is None else steps
    answers = [predicted[step // 10] for step in evaluated]
    return stage.js(
        """async ([trajectory, steps, index]) => {
        const { sinceWhen, verdicts } = await import("mloscope/images/verdicts.mjs");
        const checkpoints = steps.map((step) => ({ step }));
        return sinceWhen(verdicts(trajectory, checkpoints), checkpoints, index, (output) => `c${output}`); }""",
        [{"steps": evaluated, "label": label, "predicted": answers}, every, index],
    )


@pytest.mark.parametrize(
    ("predicted", "index", "said"),
    [
        ([1, 1, 1], 1, "Right at every step."),
        ([0, 1, 1], 2, "Right since step 10."),
        ([1, 0, 0], 2, "Wrong since step 10, as “c0”."),
        ([1, 0, 2, 2, 1], 2, "Wrong from step 10 to step 30, as “c2” from step 20 to step 30."),
        ([0, 2, 2], 2, "Wrong at every step, as “c2” since step 10."),
        ([0, 1, 0], 0, "Wrong at step 0 only, as “c0”."),
        ([0, 0, 1], 1, "Wrong from the first step to step 10, as “c0”."),
        ([1, None, None], 2, "Wrong since step 10, as nothing."),
        ([1, 0, None], 2, "Wrong since step 10, as nothing since step 20."),
    ],
)
def test_since_when_is_read_from_the_unbroken_stretch_around_the_step(bare, predicted, index, said):
    assert since(bare, predicted, index) == said


def test_a_step_that_has_not_been_evaluated_ends_a_stretch_and_is_named(bare):
    told = since(bare, [0, 0, 0, 0], 3, steps=[0, 20, 30])
    assert told == "Wrong since step 20, as “c0”. Step 10 has not been evaluated."
    assert since(bare, [0, 0, 0], 1, steps=[0, 20]) == ""


def test_without_a_true_class_nothing_is_right_or_wrong(bare):
    assert since(bare, [0, 2, 2], 2, label=None) == "Predicted as “c2” since step 10."


def test_the_likeliest_classes_come_first_and_the_true_one_is_never_left_out(bare):
    found = bare.js(
        """async () => { const { likeliest } = await import("mloscope/images/verdicts.mjs");
        const trajectory = { steps: [7], label: 9, predicted: [4], true_probability: [0.01], classes: [[4, 2, 0]],
          probabilities: [[0.6, null, 0.3]] };
        return [likeliest(trajectory, 7, 2).map(({ output, probability }) => [output, probability]), likeliest(trajectory, 8, 2)]; }"""
    )
    assert found == [[[4, 0.6], [0, 0.3], [9, 0.01]], None]


# ------------------------------------------------------------------------------------------------------------ the card


@pytest.fixture
def statistics(stage):
    stage.server.statistics = stage.server.new_statistics()
    return stage.server.statistics


def choose(stage, image: str) -> None:
    stage.js(
        'async (image) => (await import("mloscope/images/choosing.mjs")).choose(image)',
        image,
    )


def verdict(statistics, position: int, step: int) -> str:
    actual, predicted, _ = statistics.predictions(step)
    return "Right" if actual[position] == predicted[position] else "Wrong"


def test_a_chosen_image_is_told_and_followed_over_time_without_a_request(stage, statistics):
    stage.show(*CARD, hash="#step=1200&image=test-0")
    assert not stage.page.is_visible(".card")
    choose(stage, "test-12")
    stage.page.wait_for_selector(f"{SINCE} >> text={verdict(statistics, 12, 1200)}")
    stage.page.wait_for_selector(".card .images-facts >> text=test · test-12")
    assert stage.page.inner_text(".card .images-facts").split("\n") == ["test 12", "two true", "test · test-12"]
    assert stage.page.locator(".card .predictions-row").count() >= 5
    assert "card=open" in stage.js("() => location.hash")
    stage.wait("() => document.querySelector('#images .images-selected-picture').alt === 'test 12'")
    stage.page.wait_for_selector("#images [aria-selected='true'] >> visible=true")  # the grid has turned to it
    stage.quiet()
    stage.server.log.clear()
    for step in (STEPS[0], 20, 200):
        stage.js("step => time.requestStep(step)", step)
        stage.page.wait_for_selector(f"{SINCE} >> text={verdict(statistics, 12, step)}")
        predicted = int(statistics.predictions(step)[1][12])
        assert stage.page.inner_text(".card .predictions-predicted .predictions-name") == CLASSES[predicted]
    assert stage.server.log == []


def test_escape_closes_the_card_and_gives_the_focus_back(stage, statistics):
    stage.show(*CARD, hash="#step=1200&image=test-0")
    stage.page.wait_for_selector(".image-tile img")
    stage.page.focus(".images-search")
    choose(stage, "test-12")
    stage.wait("() => document.activeElement.className === 'card'")
    stage.page.keyboard.press("Escape")
    stage.page.wait_for_selector(".card", state="hidden")
    assert stage.js("() => document.activeElement.className") == "images-search"
    assert "card=" not in stage.js("() => location.hash")


def test_more_like_this_is_the_cell_of_the_step(stage, statistics):
    stage.show(*CARD, hash="#step=0&image=test-12&card=open")
    stage.page.wait_for_selector(".card .story-link[href*='actual=2']")
    predicted = int(statistics.predictions(0)[1][12])
    link = stage.page.locator(".card .story-link[href*='actual=']")
    assert f"&actual=2&predicted={predicted}" in link.get_attribute("href")
    assert link.get_attribute("href").startswith("/confusion?run=demo&corpus=digits#step=0&")
    assert "split" not in link.get_attribute("href")


def test_what_has_not_been_evaluated_is_said_with_where_to_get_it(stage, statistics):
    statistics.ready -= {20}
    stage.show(*CARD, hash="#step=20&image=test-12&card=open")
    stage.page.wait_for_selector(f"{SINCE} >> text=Step 20 has not been evaluated")
    assert stage.page.locator(".card .predictions-row:visible").count() == 0
    assert stage.page.get_attribute(".card [data-page=confusion]", "href") == "/confusion"


def test_an_image_that_was_chosen_elsewhere_is_brought_into_sight(stage, statistics):
    stage.show("ImageGrid:images", hash="#image=test-4321")
    stage.page.wait_for_selector('.image-tile[data-id="test-4321"][aria-selected="true"]')
    stage.view(image="training-77")
    stage.page.wait_for_selector('.image-tile[data-id="training-77"][aria-selected="true"]')
