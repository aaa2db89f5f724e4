"""The demo's pages about all images are filled once, by the job that visitors could start."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from mloscope.app.demo import statistics as demo_statistics
from mloscope.app.errors import Conflict, NotFound, Unavailable


class Jobs:
    """Answers one state after the other."""

    def __init__(self, *told: dict[str, Any], refuses: Exception | None = None) -> None:
        self.told, self.refuses, self.acted = list(told), refuses, []

    def act(self, action: str, *names: str) -> dict[str, Any]:
        self.acted.append((action, *names))
        if self.refuses is not None:
            raise self.refuses
        return self.state(*names)

    def state(self, *_: str) -> dict[str, Any]:
        return {"done": 0, "of": 0, "message": None, **(self.told.pop(0) if len(self.told) > 1 else self.told[0])}


def statistics(jobs: Jobs | None, *, measured: int = 0, broken: bool = False, clusters: bool = False) -> Any:
    steps = [SimpleNamespace(statistics=object() if number < measured else None, problem=None) for number in range(3)]
    if broken:
        steps[-1].problem = "torn"
    of = SimpleNamespace(
        run="mnist",
        corpus="digits",
        split="test",
        positions=range(1000),
        steps=steps,
        clustering=object() if clusters else None,
    )
    workspace = SimpleNamespace(runs=[SimpleNamespace(name="mnist")])
    return SimpleNamespace(workspace=workspace, jobs=jobs, of=lambda run: of)


def told(jobs: Jobs | None, **what: Any) -> str:
    stream = io.StringIO()
    demo_statistics.compute(statistics(jobs, **what), stream, sleep=lambda seconds: None)
    return stream.getvalue()


RUNNING = {"state": "running", "done": 1500, "of": 3000}


def test_what_is_missing_is_computed_and_its_progress_told() -> None:
    jobs = Jobs({"state": "starting"}, RUNNING, {"state": "running", "done": 3000, "of": 3000}, {"state": "done"})
    said = told(jobs, measured=1)

    assert jobs.acted == [("start", "mnist", "digits", "test")]
    assert "3 checkpoints, 1,000 images" in said
    assert "1500 of 3000" in said
    assert said.endswith("filled.\n")


@pytest.mark.parametrize("what", [{"measured": 3}, {"measured": 2, "broken": True}])
def test_what_is_there_is_not_computed_again(what: dict[str, Any]) -> None:
    jobs = Jobs({"state": "done"})

    assert told(jobs, clusters=True, **what) == ""
    assert jobs.acted == []
    told(jobs, clusters=False, **what)
    assert jobs.acted != []


def test_a_visitor_who_was_quicker_is_no_trouble() -> None:
    said = told(Jobs(RUNNING, {"state": "done"}, refuses=Conflict("being computed already")))

    assert "already" not in said
    assert said.endswith("filled.\n")


@pytest.mark.parametrize(
    ("jobs", "word"),
    [
        (Jobs({"state": "none"}, refuses=Unavailable("Statistics need distributed: pip.")), "distributed"),
        (Jobs({"state": "failed", "message": "The disk is full."}), "disk is full"),
        (Jobs(RUNNING, {"state": "cancelled", "message": "Cancelled."}), "cancelled"),
    ],
)
def test_what_went_wrong_is_told_and_nothing_raised(jobs: Jobs, word: str) -> None:
    assert word in told(jobs)


def test_a_run_that_cannot_be_opened_is_told() -> None:
    wrong = statistics(Jobs({"state": "none"}))

    def of(run: str) -> None:
        raise NotFound(f"No {run}.")

    wrong.of = of
    stream = io.StringIO()
    demo_statistics.compute(wrong, stream)
    assert "No mnist." in stream.getvalue()
