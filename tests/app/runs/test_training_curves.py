"""A run's curves: its own, those of its logs, and reading files again only where they have changed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Checkpoint, Unreadable
from mloscope.adaptors.registry import open_run
from mloscope.app.process.plain_json import plain
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.training_curves import OWN_SOURCE, TrainingCurvesReader, curve_json
from mloscope.app.workspace.connected import ConnectedRun
from mloscope.app.workspace.workspace import Workspace

REAL_DATA = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[3] / "../shared/real"))


def opened(adaptor: Any, path: Path) -> OpenedRun:
    return Workspace([ConnectedRun("run", path, adaptor)]).opened_run("run")


class Run:
    """As much of an adaptor as is asked here."""

    format = "made"

    def __init__(self, metrics: Any = None) -> None:
        self._metrics = metrics or {}
        self.asked = 0

    def metrics(self) -> Any:
        self.asked += 1
        if isinstance(self._metrics, Exception):
            raise self._metrics
        return self._metrics

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return (Checkpoint(0, "a", epoch=0.0), Checkpoint(10, "b", epoch=1.0))


def test_own_curves_come_first_and_logs_after(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("epoch,loss\n0,3\n")
    own = {"test error": (np.array([0, 10]), np.array([0.5, np.nan]))}
    curves, problems = TrainingCurvesReader().of(opened(Run(own), tmp_path))
    assert problems == ()
    assert [(c.name, c.source, c.axis, c.along("step").tolist(), c.along("epoch").tolist()) for c in curves] == [
        ("test error", OWN_SOURCE, "step", [0, 10], [0, 1]),
        ("training loss", "log.csv", "epoch", [10], [1]),
    ]
    assert json.loads(json.dumps(plain(curve_json(curves[0]))))["y"] == [0.5, None]


def test_files_are_read_again_only_where_they_have_changed(tmp_path: Path) -> None:
    reader, run = TrainingCurvesReader(), Run()
    log = tmp_path / "log.csv"
    log.write_text("epoch,loss\n1,3\n")
    first = reader.of(opened(run, tmp_path))
    assert reader.of(opened(run, tmp_path)) is first
    assert run.asked == 1
    log.write_text("epoch,loss\n1,3\n2,2\n")
    assert reader.of(opened(run, tmp_path)).curves[0].x.tolist() == [1, 2]
    log.unlink()
    assert reader.of(opened(run, tmp_path)).curves == ()


@pytest.mark.parametrize(
    ("failure", "said"), [(Unreadable("The file x is cut off."), "The file x is cut off."), (KeyError("x"), "KeyError")]
)
def test_an_adaptor_that_fails_costs_its_own_curves_only(tmp_path: Path, failure: Exception, said: str) -> None:
    (tmp_path / "log.csv").write_text("epoch,loss\n1,3\n")
    curves, problems = TrainingCurvesReader().of(opened(Run(failure), tmp_path))
    assert [curve.name for curve in curves] == ["training loss"]
    assert said in problems[0]


def test_a_run_without_any(tmp_path: Path) -> None:
    run = SimpleNamespace(format="plain", checkpoints=lambda: ())
    assert TrainingCurvesReader().of(opened(run, tmp_path)) == ((), ())


@pytest.mark.real_data
def test_the_curves_inside_cuda_convnets_files_are_the_run_s_metrics() -> None:
    folder = REAL_DATA / "cuda_convnet" / "dropout_5sets" / "ConvNet"
    if not folder.is_dir():
        pytest.skip(f"no real snapshots at {REAL_DATA}; set MLOSCOPE_REAL_DATA")
    curves, problems = TrainingCurvesReader().of(opened(open_run(folder), folder))
    assert problems == ()
    assert {curve.name: len(curve.x) for curve in curves} == {
        "training logprob": 1500,
        "training logprob error": 1500,
        "test logprob": 100,
        "test logprob error": 100,
    }
    assert curves[-1].y[-1] == pytest.approx(0.2091)
    assert curves[-1].x[-1] == 3_000_005
