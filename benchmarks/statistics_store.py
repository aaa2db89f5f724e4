"""How long statistics take beyond evaluating the network, and how soon they are answered: the store and REST routes.

Random probabilities of 10,000 images x 10 classes and 50,000 x 1,000, slices of 5,000 images, in a temporary folder; REST
routes through the application itself, without a network between.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from starlette.testclient import TestClient

sys.path.insert(0, str(Path(__file__).parent))

from figures import Figure, report

from mloscope.adaptors.interface import Checkpoint, ImageRecord, Layer
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.web.rest.api import add_rest
from mloscope.app.web.services import Services
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace

SLICE_IMAGES = 5000
IMAGES, CLASSES, CHECKPOINTS, TRAJECTORY_CHECKPOINTS = 50_000, 1000, 100, 50


@dataclass
class Run:
    """A run of which nothing but its checkpoints is looked at."""

    steps: range
    format = "made up"
    description = ""
    class_names = ()
    preprocessing = None
    input_shape = (8, 8, 1)

    def __post_init__(self) -> None:
        self._checkpoints = tuple(Checkpoint(step, f"{step}") for step in self.steps)
        self._layers = (Layer("classes", "dense", (), (CLASSES,)),)

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self._checkpoints

    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        return checkpoint.name

    def problems(self) -> tuple[str, ...]:
        return ()


class Corpus:
    """Labels without pictures."""

    format = "made up"
    description = ""
    image_shape = (8, 8, 1)

    def __init__(self, images: int, classes: int) -> None:
        self.labels = (np.arange(images) % classes).astype(np.int32)
        self.class_names = tuple(f"class {number}" for number in range(classes))
        self.splits = {"test": range(images)}

    def __len__(self) -> int:
        return len(self.labels)

    def names(self) -> list[str]:
        return [f"image {number}" for number in range(len(self.labels))]

    def record(self, position: int) -> ImageRecord:
        return ImageRecord(str(position), f"image {position}", int(self.labels[position]), "test")

    def position(self, image_id: str) -> int:
        return int(image_id)

    def problems(self) -> tuple[str, ...]:
        return ()


def probabilities(images: int, classes: int, labels: np.ndarray, surer: float, seed: int) -> np.ndarray:
    """float32 (image, class), right more often the surer."""
    values = np.random.default_rng(seed).standard_normal((images, classes), np.float32)
    values[np.arange(images), labels] += np.float32(surer)
    np.exp(values, out=values)
    values /= values.sum(axis=1, keepdims=True)
    return values


def write(store: StatisticsStore, key: str, values: np.ndarray, labels: np.ndarray) -> float:
    """Measure, write and finish a plane; seconds."""
    start = time.perf_counter()
    plane = store.begin(key, {"images": len(values), "classes": values.shape[1]}, labels)
    for first in range(0, len(values), SLICE_IMAGES):
        plane.write(first, min(len(values), first + SLICE_IMAGES), values[first : first + SLICE_IMAGES])
    plane.finish()
    return time.perf_counter() - start


def writing(folder: Path) -> list[Figure]:
    found = []
    for images, classes, asked in ((10_000, 10, 0.05), (50_000, 1000, 1.5)):
        labels = np.arange(images) % classes
        values = probabilities(images, classes, labels, 3, 0)
        store = StatisticsStore(folder / f"{classes}")
        before = time.process_time()
        times = [write(store, f"{number}", values, labels) for number in range(5)]
        name = f"measures and writing of a checkpoint, {images:,} x {classes:,}"
        found.append(Figure(name, statistics.median(times), "s", "<=", asked))
        found.append(Figure("  of it processor time, mean", (time.process_time() - before) / len(times), "s"))
    return found


def fill(statistics_of_run: Statistics, steps: range) -> None:
    """Planes of every step. Evaluating and measuring so many would take minutes: every tenth is made, and links stand for
    the others' large files."""
    subject = statistics_of_run.of("run")
    checkpoints = {c.step: c for c in statistics_of_run.workspace.opened_run("run").checkpoints}
    store = statistics_of_run.store
    made: StepStatistics | None = None
    for number, step in enumerate(steps):
        key = statistics_of_run.identity.step("run", checkpoints[step], subject.corpus, subject.split)
        if number % 10 == 0:
            values = probabilities(
                IMAGES, CLASSES, subject.opened_corpus.adaptor.labels, 1 + 3 * number / len(steps), number
            )
            write(store, key, values, subject.opened_corpus.adaptor.labels)
            made = store.find(key)
            continue
        assert made is not None
        source = made

        def linked(target: Path, source: StepStatistics = source) -> dict[str, Any]:
            for path in source.folder.iterdir():
                if path.name != "about.json":
                    (target / path.name).hardlink_to(path)
            return source.about

        store.publish("planes", key, linked)


def seconds(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start


def answering(folder: Path) -> list[Figure]:
    steps = range(0, CHECKPOINTS * 10, 10)
    workspace = Workspace(
        [ConnectedRun("run", folder / "run", Run(steps))],  # type: ignore[arg-type]
        [ConnectedCorpus("corpus", folder / "corpus", Corpus(IMAGES, CLASSES))],  # type: ignore[arg-type]
    )
    fill(Statistics(workspace, StatisticsStore(folder / "cache")), steps)

    def served() -> TestClient:
        """The application as it is when it has just started."""
        asked = Statistics(workspace, StatisticsStore(folder / "cache"))
        app = FastAPI()
        add_rest(app, Services.of(workspace, ResultCache(MemoryStore(1 << 20)), statistics=asked))
        client = TestClient(app)
        client.get("/nothing")  # what starts once
        return client

    def checked(client: TestClient, address: str) -> Any:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        return answer

    overview = "/api/v1/runs/run/statistics"

    def first_view() -> float:
        client = served()
        return seconds(lambda: checked(client, checked(client, overview).json()["confusions"][0]["address"]))

    first = [first_view() for _ in range(3)]
    client = served()
    chunks = checked(client, overview).json()["confusions"]
    each = [
        seconds(lambda address=chunk["address"]: checked(client, address)) / len(chunk["steps"])  # type: ignore[misc]
        for chunk in chunks
    ]
    whole = [seconds(lambda address=chunk["address"]: checked(client, address)) for chunk in chunks]  # type: ignore[misc]
    cells = [
        seconds(lambda a=a, s=s: checked(client, f"/api/v1/runs/run/checkpoints/{s}/confusion/{a}/{a}"))  # type: ignore[misc]
        for a, s in zip(range(20), steps[::5], strict=False)
    ]
    before = time.process_time()
    similar = seconds(lambda: checked(client, f"{overview}/class_order?rule=similarity&step=500"))
    similar_processor = time.process_time() - before
    again = seconds(lambda: checked(client, f"{overview}/class_order?rule=similarity&step=500"))
    moves = [seconds(lambda s=s: checked(client, f"{overview}/moves?from=0&to={s}")) for s in steps[10:20]]  # type: ignore[misc]
    ready = Statistics(workspace, StatisticsStore(folder / "cache")).of("run").ready
    planes = {step: ready[step] for step in list(ready)[:TRAJECTORY_CHECKPOINTS]}

    from mloscope.app.statistics.images import trajectory

    rows = [seconds(lambda p=p: trajectory(planes, p)) for p in range(0, IMAGES, IMAGES // 40)]  # type: ignore[misc]
    shape = f"{CLASSES:,} classes x {CHECKPOINTS} checkpoints"
    return [
        Figure(f"first view (overview and first chunk), {shape}", 1000 * statistics.median(first), "ms", "<=", 500),
        Figure(f"a step's counts, {shape}, slowest chunk", 1000 * max(each), "ms", "<=", 50),
        Figure("a chunk, median", 1000 * statistics.median(whole), "ms"),
        Figure(f"images of a cell, {IMAGES:,} x {CLASSES:,}", 1000 * statistics.median(cells), "ms", "<=", 100),
        Figure(
            f"an image's trajectory over {TRAJECTORY_CHECKPOINTS} checkpoints of {IMAGES:,} x {CLASSES:,}",
            1000 * statistics.median(rows), "ms", "<=", 5,
        ),
        Figure(f"order of {CLASSES:,} classes by similarity", similar, "s", "<=", 1),
        Figure("  of it processor time", similar_processor, "s"),
        Figure("the same once more", 1000 * again, "ms"),
        Figure("what moved between two steps", 1000 * statistics.median(moves), "ms"),
    ]  # fmt: skip


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="mloscope-benchmark-") as folder:
        figures = writing(Path(folder)) + answering(Path(folder))
    report("statistics: store and answers", figures)
