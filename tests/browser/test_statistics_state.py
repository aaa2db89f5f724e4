"""assets/statistics/state.mjs: what has no statistics yet is said, with what to do about it."""

from __future__ import annotations

from basis_record import basis, unnamed
from statistics_server import STEPS


def shown(stage, *, subject: dict | None = None, needs: str = "", **changes: object):
    stage.server.statistics = stage.server.new_statistics(**changes)
    stage.show(f"StatisticsState:state:{needs}", subject=subject)
    stage.wait(
        "() => document.getElementById('state').dataset.state && document.getElementById('state').dataset.state !== 'loading'"
    )
    return stage.page.locator("#state")


def test_nothing_yet_names_the_images_the_command_and_offers_to_compute(stage):
    state = shown(stage, ready=set())
    assert state.get_attribute("data-state") == "empty"
    assert (
        state.locator(".statistics-sentence").inner_text()
        == "demo has not been evaluated on digits (test, 2\u202f000 images) yet."
    )
    assert state.locator("code").inner_text() == "mloscope statistics demo --images digits"
    assert state.get_by_role("button", name="Evaluate now").is_visible()


def test_the_button_starts_the_job_and_progress_is_seen(stage):
    state = shown(stage, ready=set())
    state.get_by_role("button", name="Evaluate now").click()
    progress = state.locator(".statistics-progress")
    progress.wait_for()
    stage.wait("() => document.querySelector('.statistics-progress').textContent.startsWith('0 of 22 steps')")
    assert state.locator("progress").evaluate("meter => meter.value") == 0.25
    assert "8\u202f123 images per second" in progress.inner_text()
    assert "about 75 s left" in progress.inner_text()
    assert stage.server.statistics.posted == [("start", "1")]
    assert stage.server.statistics.first == [STEPS[-1]]
    stage.js("step => time.requestStep(step)", 300)
    stage.wait("() => time.step === 300")
    for _ in range(200):
        if len(stage.server.statistics.posted) > 1:
            break
        stage.page.wait_for_timeout(20)
    assert stage.server.statistics.posted[1:] == [("reorder", "1")]
    assert stage.server.statistics.first[1:] == [300]
    state.get_by_role("button", name="Pause").click()
    state.get_by_role("button", name="Resume").click()
    state.get_by_role("button", name="Cancel").click()
    state.get_by_role("button", name="Evaluate now").wait_for()
    assert [action for action, *_ in stage.server.statistics.posted] == [
        "start",
        "reorder",
        "pause",
        "resume",
        "cancel",
    ]


def test_part_of_it_says_how_much(stage):
    state = shown(stage, ready=set(STEPS[:5]))
    assert state.get_attribute("data-state") == "partial"
    assert state.locator(".statistics-sentence").inner_text().startswith("5 of 22 checkpoints have been evaluated")
    assert state.get_by_role("button", name="Evaluate the rest now").is_visible()


def test_all_of_it_needs_no_words(stage):
    state = shown(stage, ready=set(STEPS))
    assert state.get_attribute("data-state") == "complete"
    assert not state.is_visible()


def test_a_refusal_is_said_and_can_be_tried_again(stage):
    state = shown(stage, failure={"status": 404, "message": "The corpus digits has no split test."})
    assert state.get_attribute("data-state") == "failed"
    assert state.locator(".statistics-sentence").inner_text() == "The corpus digits has no split test."
    stage.server.statistics.failure = None
    state.get_by_role("button", name="Try again").click()
    stage.wait("() => document.getElementById('state').dataset.state === 'partial'")


def test_a_network_that_cannot_be_evaluated_here_offers_no_button(stage):
    why = 'TensorFlow is not installed: pip install "mloscope[evaluate]".'
    state = shown(stage, subject={"evaluation": {"possible": False, "message": why}}, ready=set())
    assert not state.get_by_role("button", name="Evaluate now").is_visible()
    assert why in state.inner_text()


def test_a_network_that_tells_no_classes_offers_no_button_and_no_command(stage):
    refused = {"basis": basis((), refusal="The output age is one number for each image.")}
    state = shown(stage, ready=set(), subject=refused)
    assert "The output age is one number for each image." in state.inner_text()
    assert state.locator("button:visible, code:visible").count() == 0


def test_a_job_that_failed_says_what_went_wrong(stage):
    job = {
        "state": "failed",
        "done": 1,
        "of": 9,
        "rate": None,
        "seconds_left": None,
        "step": 0,
        "message": "No space left on the disk.",
    }
    state = shown(stage, ready=set(), job=job)
    assert "No space left on the disk." in state.inner_text()
    assert state.get_by_role("button", name="Evaluate now").is_visible()


def test_a_network_that_can_be_evaluated_nowhere_offers_no_command(stage):
    why = "Its format contains only weights."
    impossible = {"evaluation": {"possible": False, "state": "impossible", "message": why}}
    state = shown(stage, ready=set(), subject=impossible)
    assert why in state.inner_text()
    assert state.locator("button:visible, code:visible").count() == 0


def test_where_classes_are_needed_outputs_without_any_offer_nothing_to_compute(stage):
    state = shown(stage, needs="classes", subject=unnamed(2))
    assert state.get_attribute("data-state") == "empty"
    assert "not matched" in state.locator(".statistics-sentence").inner_text()
    assert state.locator("button:visible, code:visible").count() == 0
    assert shown(stage, subject=unnamed(2), ready=set()).get_by_role("button", name="Evaluate now").is_visible()
