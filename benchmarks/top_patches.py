"""The statistics pass with top patches of all convolutions and dense layers, against the pass alone.

    python benchmarks/top_patches.py [--json FILE]

10,000 images of noise through checkpoints of the report's network, by Dask, preparing and storing included. Both take turns, each
the best of its rounds.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from figures import Figure, report
from statistics_engine import CHECKPOINTS, ROUNDS, make_run

from mloscope.app.statistics.computing.dask_workers import connected
from mloscope.app.statistics.computing.engine import Engine
from mloscope.app.statistics.computing.plan import plan
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.workspace import Workspace


def against_the_pass_alone(folder: Path) -> list[Figure]:
    run, images = make_run(folder)
    workspace = Workspace.connect([RunEntry(run, "run")], [CorpusEntry(images, "images")])
    alone, with_patches = (plan(workspace, "run", "images", "test", patches_of=of) for of in (None, ()))
    seconds: dict[str, list[float]] = {"alone": [], "with": []}
    computing: dict[str, list[float]] = {"alone": [], "with": []}
    with connected() as client:
        for number in range(ROUNDS + 1):
            for name, job in (("alone", alone), ("with", with_patches)):
                store = folder / f"store-{name}-{number}"
                began = time.process_time()
                outcome = Engine(StatisticsStore(store), str(store), client).compute(job)
                assert not outcome.problems
                if number:  # the first round traces
                    seconds[name].append(outcome.seconds)
                    computing[name].append(time.process_time() - began)
    layers = len(with_patches.patches.layers)
    least = {name: min(rounds) for name, rounds in seconds.items()}
    return [
        Figure("statistics pass alone", 10_000 * CHECKPOINTS / least["alone"], "images/s"),
        Figure(f"with top patches of {layers} layers", 10_000 * CHECKPOINTS / least["with"], "images/s"),
        Figure(
            "computing time of all threads, with against alone",
            min(computing["with"]) / min(computing["alone"]),
            "times",
        ),
        Figure("with top patches against the pass alone", least["with"] / least["alone"], "times", "<=", 1.25),
    ]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        report("Top patches", against_the_pass_alone(Path(folder)))
