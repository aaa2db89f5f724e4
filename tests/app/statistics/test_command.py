"""The command line that computes what is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace


def test_the_command_says_all_that_decides_the_key(array_run: Any, array_corpus: Any) -> None:
    options = RunOptions("epoch-([0-9]+)", "nets:lenet", Preprocessing(0.5, (1.0, 2.0, 3.0), "bgr"), trust=True)
    workspace = Workspace(
        [ConnectedRun("r", Path("my runs/a"), array_run(), options, asked_format="keras")],
        [ConnectedCorpus("c", Path("data"), array_corpus(), asked_format="npz")],
    )
    statistics = Statistics(workspace, StatisticsStore(None))
    assert statistics.of("r").command == (
        "mloscope statistics 'my runs/a' --images data --split test --images-format npz --format keras "
        "--step-pattern 'epoch-([0-9]+)' --architecture nets:lenet --trust --scale 0.5 --mean=1.0,2.0,3.0 "
        "--channel-order bgr"
    )
