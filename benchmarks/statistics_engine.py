"""The statistics engine against a bare TensorFlow loop, and its memory in a large job. What measuring and storing take is in
statistics_store.py.

    python benchmarks/statistics_engine.py [--json FILE]

``engine``: 10,000 images of noise through checkpoints of the report's network, by Dask, preprocessing (no prepared image is kept
from an earlier round), measuring and storing included; ``bare``: one compiled function over the same batches, weights as
arguments, inputs prepared in memory beforehand, its output an array. Both take turns, each the best of its rounds.

``large job``: one checkpoint of 1,281,167 images x 1,000 classes, by a source that yields random probabilities instead of a network.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from figures import Figure, report

from mloscope.app.statistics.computing.dask_workers import connected
from mloscope.app.statistics.computing.engine import Engine
from mloscope.app.statistics.computing.plan import Job, PlannedStep, plan
from mloscope.app.statistics.computing.tasks import Inputs, Span
from mloscope.app.statistics.patches.search import PatchSearch
from mloscope.app.statistics.stored.store import StatisticsStore

CHECKPOINTS = 3
ROUNDS = 3
LARGE_IMAGES, LARGE_CLASSES = 1_281_167, 1000


# --------------------------------------------------------------------------------------------- engine and bare loop


def make_run(folder: Path) -> tuple[Path, Path]:
    """A run of random weights of the report's network, and images."""
    import keras

    from mloscope.app.demo.networks import cifar10_network

    run = folder / "run"
    run.mkdir()
    model, random = cifar10_network(), np.random.default_rng(0)
    for step in range(CHECKPOINTS):
        model.set_weights([random.normal(0, 0.05, array.shape) for array in model.get_weights()])
        model.save(run / f"step_{step}.keras")
    keras.backend.clear_session()
    images = folder / "images.npz"
    np.savez(
        images, x_test=random.integers(0, 256, (10_000, 32, 32, 3), np.uint8), y_test=random.integers(0, 10, 10_000)
    )
    return run, images


def bare_loop(run: Path, pixels: np.ndarray, batch: int) -> Any:
    """A function that evaluates all checkpoints over all images, as quick as TensorFlow alone does it."""
    import keras
    import tensorflow as tf

    models = [keras.models.load_model(path) for path in sorted(run.glob("*.keras"))]
    model = models[0]
    weights = [[tf.identity(tf.constant(value)) for value in each.get_weights()] for each in models]
    inputs = pixels.astype(np.float32) / 255

    @tf.function(
        input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32), [tf.TensorSpec(w.shape) for w in weights[0]]]
    )
    def forward(images: Any, arrays: Any) -> Any:
        return model.stateless_call(arrays, [], images, training=False)[0]

    def loop() -> list[np.ndarray]:
        return [
            np.concatenate(
                [np.asarray(forward(tf.constant(inputs[i : i + batch]), arrays)) for i in range(0, len(inputs), batch)]
            )
            for arrays in weights
        ]

    return loop


def against_bare_loop(folder: Path) -> list[Figure]:
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.workspace import Workspace

    run, images = make_run(folder)
    workspace = Workspace.connect([RunEntry(run, "run")], [CorpusEntry(images, "images")])
    job = plan(workspace, "run", "images", "test")
    pixels = np.load(images)["x_test"]
    loop = bare_loop(run, pixels, job.batch)
    engine_s, bare_s = [], []
    with connected() as client:
        for number in range(ROUNDS + 1):
            store = folder / f"store-{number}"
            outcome = Engine(StatisticsStore(store), str(store), client, keep_bytes=0).compute(job)
            began = time.perf_counter()
            bare = loop()
            if number:  # the first round traces
                bare_s.append(time.perf_counter() - began)
                engine_s.append(outcome.seconds)
    for plane, rows in zip(outcome.ready.values(), bare, strict=True):
        assert np.abs(plane.probabilities()[1] - rows).max() < 1e-5
        assert np.ptp(rows, axis=0).max() > 0
    evaluations = 10_000 * CHECKPOINTS
    engine, alone = evaluations / min(engine_s), evaluations / min(bare_s)
    return [
        Figure("engine, 10,000 images of 32x32", engine, "images/s"),
        Figure("bare TensorFlow loop over them", alone, "images/s"),
        Figure("engine against the bare loop", engine / alone, "times", ">=", 0.9),
    ]


# ------------------------------------------------------------------------------------------------------- a large job


@dataclass(frozen=True)
class _Random:
    """A source that yields random probabilities."""

    images: int
    classes: int

    def open(self) -> _Random:
        return self

    @property
    def labels(self) -> np.ndarray:
        return (np.arange(self.images) % self.classes).astype(np.int32)

    def prepare(self, span: Span) -> Inputs:
        """As large as slices of 32x32 images, so that what a worker keeps is there."""
        return Inputs((np.ones((span[1] - span[0], 32, 32, 3), np.float32),))

    def probabilities(self, step: int, inputs: Inputs, search: PatchSearch | None = None) -> np.ndarray:
        rows = np.random.default_rng(step).standard_exponential((len(inputs.batches[0]), self.classes), np.float32)
        return rows / rows.sum(axis=1, keepdims=True)

    def fingerprint(self, step: int) -> str:
        return "made up"

    def describe(self) -> dict[str, Any]:
        return {"classes": self.classes}


class _Memory(threading.Thread):
    """The most memory that this process held while it was watched."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = 0
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.02):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.most = max(self.most, pages * os.sysconf("SC_PAGE_SIZE"))

    def stop(self) -> int:
        self._ended.set()
        self.join()
        return self.most


def large_job(folder: Path) -> list[Figure]:
    """In this process, TensorFlow among what it holds before it begins."""
    with connected() as client:
        before = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        source = _Random(LARGE_IMAGES, LARGE_CLASSES)
        job = Job(source, source.labels, (PlannedStep(0, "large", "made up"),), input_bytes=12_288)
        memory = _Memory()
        began = time.perf_counter()
        outcome = Engine(StatisticsStore(folder), str(folder), client).compute(job)
        seconds = time.perf_counter() - began
        most = memory.stop()
    plane = outcome.ready[0]
    assert plane.form == "top-20"
    assert plane.images == LARGE_IMAGES
    size = sum(path.stat().st_size for path in plane.folder.iterdir())
    return [
        Figure("large job: a checkpoint without a network", seconds, "s"),
        Figure("large job: memory beyond what the process began with", (most - before) / 1e9, "GB", "<=", 1.5),
        Figure("large job: 50 checkpoints in the store", 50 * size / 1e9, "GB", "<=", 8),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = against_bare_loop(folder)
        figures += large_job(folder)
    report("statistics engine", figures)


if __name__ == "__main__":
    main()
