"""The table of runs: prepared once, again when files change, never for longer than a request may take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.app.runs.training_curves import TrainingCurvesReader
from mloscope.app.workspace.connected import Activity, ConnectedRun
from mloscope.app.workspace.run_labels import RunLabels, RunLabelsStore
from mloscope.app.workspace.run_table import BROKEN, LIVE, NEW, OPENING, READY, RunTable
from mloscope.app.workspace.workspace import Workspace

NOW_S = 1_000_000.0


class Clock:
    """Moves on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        self.s += 1.0
        return self.s


@pytest.fixture
def counted(array_run: Any) -> type:
    class Counted(array_run):
        opened = 0

        def checkpoints(self) -> Any:
            type(self).opened += 1
            return super().checkpoints()

        def metrics(self) -> Any:
            steps = np.arange(3)
            return {"test loss": (steps, np.array([2.0, 0.5, np.nan])), "lost": (steps, np.full(3, np.nan))}

    return Counted


Made = Callable[..., tuple[Workspace, RunTable]]


@pytest.fixture
def made() -> Made:
    def make(*runs: ConnectedRun, **options: Any) -> tuple[Workspace, RunTable]:
        workspace = Workspace(runs)
        return workspace, RunTable(workspace, TrainingCurvesReader(), now=lambda: NOW_S, **options)

    return make


def test_a_row_has_what_one_sorts_by(made: Made, counted: Any, tmp_path: Path) -> None:
    (tmp_path / "args.json").write_text('{"lr": 0.1}')
    workspace, table = made(ConnectedRun("lenet", tmp_path, counted()))
    workspace.labels = RunLabelsStore(tmp_path / "cache")
    workspace.labels.save(tmp_path, RunLabels.of(["good", "b"], "sweep"))
    (row,) = table.rows()
    assert row.state == READY
    assert row.is_prepared
    assert row.facts.checkpoints == len(counted().checkpoints())
    assert row.facts.settings["lr"] == 0.1
    assert row.facts.settings["network parameters"] > 0
    ends = row.facts.metrics["test loss"]
    assert (ends.last, ends.lowest, ends.highest) == (0.5, 0.5, 2.0)
    assert row.facts.metrics["lost"].last is None
    assert (row.labels.tags, row.labels.group) == (("b", "good"), "sweep")


def test_files_are_read_again_only_once_they_changed(made: Made, counted: Any) -> None:
    run = ConnectedRun("lenet", Path("arrays"), counted())
    workspace, table = made(run, prepare_for_s=100.0)
    table.rows()
    opened = counted.opened
    assert table.rows()[0].is_prepared
    assert counted.opened == opened
    workspace.replace([replace(run, version="2")], [])
    table.rows()
    assert counted.opened > opened


def test_one_question_prepares_no_more_than_its_share(made: Made, array_run: Any) -> None:
    runs = [ConnectedRun(f"run-{number}", Path(f"{number}"), array_run()) for number in range(10)]
    _, table = made(*runs, prepare_for_s=3.5, clock=Clock())
    prepared = [sum(row.is_prepared for row in table.rows()) for _ in range(4)]
    assert prepared[0] == 3
    assert prepared[-1] == 10
    assert prepared == sorted(prepared)


@pytest.mark.parametrize(
    ("about", "state"),
    [
        ({}, READY),
        ({"activity": Activity(NOW_S - 60)}, LIVE),
        ({"activity": Activity(NOW_S - 3600)}, READY),
        ({"activity": Activity(NOW_S - 3600, pause_s=1800)}, LIVE),
        ({"activity": Activity(NOW_S - 86_400, pause_s=86_400)}, READY),
        ({"found_s": NOW_S - 60}, NEW),
        ({"found_s": NOW_S - 10 * 86_400}, READY),
        ({"adaptor": None, "problem": "It is broken."}, BROKEN),
        ({"adaptor": None, "problem": "It is being opened.", "is_being_opened": True}, OPENING),
    ],
)
def test_states(made: Made, array_run: Any, about: dict, state: str) -> None:
    _, table = made(ConnectedRun(**{"name": "run", "path": Path("run"), "adaptor": array_run(), **about}))
    assert table.rows()[0].state == state


def test_a_broken_run_says_why(made: Made) -> None:
    _, table = made(ConnectedRun("run", Path("run"), None, problem="It is broken."))
    (row,) = table.rows()
    assert row.problem == "It is broken."
    assert row.is_prepared


def test_activity_is_the_pace_of_the_last_changes() -> None:
    assert Activity.of([]) is None
    assert Activity.of([50.0, 10.0, 30.0]) == Activity(50.0, 20.0)
