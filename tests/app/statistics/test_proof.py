"""Figures that others recorded, reached by the command line's own way: docs/proof.md."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.interface import HasMetrics, RunOptions
from mloscope.app.commands import cli
from mloscope.app.statistics import measures
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.entries import CorpusEntry, RunEntry, make_preprocessing
from mloscope.app.workspace.workspace import Workspace

REAL_DATA = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[3] / "../shared/real"))
TEST_DATA = Path(os.environ.get("MLOSCOPE_TEST_DATA", Path.home() / ".cache" / "mloscope-test-data"))
CIFAR10 = TEST_DATA / "cifar-10-batches-bin"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.real_data,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real snapshots at {REAL_DATA}; set MLOSCOPE_REAL_DATA"),
    pytest.mark.skipif(not CIFAR10.is_dir(), reason=f"no CIFAR-10 at {CIFAR10}; set MLOSCOPE_TEST_DATA"),
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("tensorflow", "distributed")),
        reason="needs TensorFlow and Dask: make test installs it",
    ),
]


def computed(run: Path, mean: str, split: str, folder: Path, monkeypatch) -> dict[int, StepStatistics]:
    monkeypatch.setenv("MLOSCOPE_CACHE_FOLDER", str(folder))
    words = ["statistics", str(run), "--images", str(CIFAR10), "--split", split, "--mean", mean, "--clusters", "0"]
    assert cli.main(words) == 0
    options = RunOptions(preprocessing=make_preprocessing(None, mean, None))
    workspace = Workspace.connect([RunEntry(run, "run", options=options)], [CorpusEntry(CIFAR10, "cifar")])
    return dict(Statistics(workspace, StatisticsStore(folder)).of("run", "cifar", split).ready)


def trace(plane: StepStatistics) -> int:
    return int(np.trace(measures.dense(np.asarray(plane.cells), plane.classes)))


def test_cifar10_quick_knows_the_images_that_its_log_says(tmp_path: Path, monkeypatch) -> None:
    planes = computed(REAL_DATA / "caffe" / "cifar10_quick", "corpus", "test", tmp_path, monkeypatch)
    assert {step: trace(plane) for step, plane in planes.items()} == {4000: 6854, 5000: 7491}
    for plane in planes.values():
        assert plane.images == 10_000
        assert plane.summary["accuracy"] == trace(plane) / 10_000


@pytest.mark.parametrize(
    ("name", "split", "images"),
    [
        ("dropout_5sets", "test", slice(0, 10_000)),
        ("ourdropout", "test", slice(0, 10_000)),
        ("no_dropout", "training", slice(40_000, 50_000)),  # trained on four batches, tested on the fifth
    ],
)
def test_cuda_convnet_errs_as_often_as_it_recorded(
    name: str, split: str, images: slice, tmp_path: Path, monkeypatch
) -> None:
    path = REAL_DATA / "cuda_convnet" / name / "ConvNet"
    mean = str((REAL_DATA / "cuda_convnet" / "cifar-10-batches.meta").resolve())
    planes = computed(path, mean, split, tmp_path, monkeypatch)
    run = registry.open_run(path)
    assert isinstance(run, HasMetrics)
    steps, errors = run.metrics()["test logprob error"]
    recorded = dict(zip(steps.tolist(), errors.tolist(), strict=True))
    assert list(planes) == [checkpoint.step for checkpoint in run.checkpoints()]
    for step, plane in planes.items():
        right = int((np.asarray(plane.predicted[images]) == np.asarray(plane.actual[images])).sum())
        assert right == round(10_000 * (1 - recorded[step]))
        if split == "test":
            assert trace(plane) == right
