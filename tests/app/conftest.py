"""A small run, a small corpus and a model service made of NumPy: what the tests of the web process look
at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import (
    Checkpoint,
    ImageRecord,
    Layer,
    Parameter,
    Preprocessing,
    RunOptions,
    Unknown,
    Unreadable,
)
from mloscope.app import errors
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.evaluation.evaluations import Availability
from mloscope.app.evaluation.feature_maps import MapsByStep
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.evaluation.predictions import PredictionCourse, Predictions
from mloscope.app.films.kinds import FilmQuestion
from mloscope.app.model_service.client import Asked, Evaluation, Pictures, RunSpec
from mloscope.app.process.line_streams import Lines
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.web.services import Services
from mloscope.app.web.subject import subject
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace

KERNEL = ("row", "column", "channel", "unit")
LAYERS = (
    Layer("image", "input", (), (6, 6, 3)),
    Layer(
        "block/conv1",
        "convolution",
        ("image",),
        (4, 4, 4),
        (Parameter("kernel", (3, 3, 3, 4), KERNEL), Parameter("bias", (4,), ("unit",))),
        {"filters": 4, "activation": "relu"},
        "Conv2D",
    ),
    Layer("conv2", "convolution", ("block/conv1",), (2, 2, 40), (Parameter("kernel", (3, 3, 4, 40), KERNEL),)),
    Layer(
        "depthwise",
        "depthwise convolution",
        ("conv2",),
        (2, 2, 80),
        (Parameter("kernel", (1, 1, 40, 2), ("row", "column", "unit", "multiplier")),),
    ),
    Layer("flatten", "flatten", ("depthwise",), (320,)),
    Layer("dense", "dense", ("flatten",), (8,), (Parameter("kernel", (320, 8), ("channel", "unit")),)),
    Layer("lambda", "lambda", ("dense",), (8,), problem="The layer lambda runs code from its file: use --trust."),
    Layer(
        "classes",
        "dense",
        ("lambda",),
        (10,),
        (Parameter("kernel", (8, 10), ("channel", "unit")),),
        {"activation": "softmax"},
        "Dense",
    ),
)


class ArrayRun:
    """A run of arrays made from step and name. ``broken`` steps say so beforehand, ``torn`` ones only when
    read."""

    format = "arrays"
    description = "arrays made up on the spot"
    backend = "keras"
    class_names = ("Bird", "cat", *map(str, range(2, 10)))

    def __init__(
        self,
        steps: Sequence[int] = tuple(range(0, 400, 10)),
        broken: Sequence[int] = (),
        torn: Sequence[int] = (),
        preprocessing: Preprocessing | None = None,
        input_shape: tuple[int | None, int | None, int] | None = (6, 6, 3),
        layers: tuple[Layer, ...] = LAYERS,
    ) -> None:
        self.preprocessing = preprocessing
        self.input_shape = input_shape
        self.torn = set(torn)
        self.versions: Counter[int] = Counter()
        self.reads: list[tuple[int, str]] = []
        self.replaced: dict[tuple[int, str, str], np.ndarray] = {}
        self._layers = layers
        self._checkpoints = tuple(
            Checkpoint(
                step,
                f"{step}.npz",
                epoch=step / 100,
                problem="The file is cut off." if step in broken else None,
            )
            for step in steps
        )

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return path.name == "arrays"

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> ArrayRun:
        return cls()

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self._checkpoints

    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        self.reads.append((checkpoint.step, layer.name))
        if checkpoint.step in self.torn:
            raise Unreadable(f"{checkpoint.name} ends in the middle of {layer.name}.")
        return {
            parameter.name: self.replaced.get(
                (checkpoint.step, layer.name, parameter.name),
                self.values(checkpoint.step, layer.name, parameter),
            )
            for parameter in layer.parameters
        }

    @staticmethod
    def values(step: int, layer: str, parameter: Parameter) -> np.ndarray:
        seed = [step, *f"{layer}/{parameter.name}".encode()]
        return np.random.default_rng(seed).normal(size=parameter.shape).astype(np.float32)

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        return f"{checkpoint.step:x}v{self.versions[checkpoint.step]}"

    def problems(self) -> tuple[str, ...]:
        return ("notes.txt is not a checkpoint.",)

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        raise AssertionError("the web process never reads all weights")


class ArrayCorpus:
    """Grey or colour images of noise: 40 of training, 20 of test; ``bird`` and ``cat`` in turns."""

    format = "arrays"
    description = "arrays made up on the spot"
    backend = "keras"
    class_names = ("Bird", "cat")

    def __init__(self, shape: tuple[int, int, int] = (6, 6, 3), training: int = 40, test: int = 20) -> None:
        self.image_shape = shape
        self.splits = {"training": range(training), "test": range(training, training + test)}
        if not training:
            del self.splits["training"]
        self._count = training + test
        self.labels = np.arange(self._count, dtype=np.int32) % 2
        self.broken: set[int] = set()
        self._names = [self._id(position).replace("-", " ") for position in range(self._count)]

    def _id(self, position: int) -> str:
        split, positions = next((s, p) for s, p in self.splits.items() if position in p)
        return f"{split}-{position - positions.start}"

    def __len__(self) -> int:
        return self._count

    def names(self) -> Sequence[str]:
        return self._names

    def record(self, position: int) -> ImageRecord:
        name = self._names[position]
        return ImageRecord(
            name.replace(" ", "-"),
            name,
            int(self.labels[position]),
            name.split()[0],
            {"sharpness": float("nan")},
        )

    def position(self, image_id: str) -> int:
        split, _, number = image_id.rpartition("-")
        if split not in self.splits or not number.isdecimal() or int(number) >= len(self.splits[split]):
            raise Unknown(f'There is no image "{image_id}".')
        return self.splits[split][int(number)]

    def pixels(self, position: int) -> np.ndarray:
        if position in self.broken:
            raise Unreadable(f"The picture {self._names[position]} is broken.")
        return np.random.default_rng(position).integers(0, 256, self.image_shape, np.uint8)

    def problems(self) -> tuple[str, ...]:
        return ()


@dataclass
class CountingService:
    """Evaluates by a formula, counts what it is asked."""

    shapes: dict[str, tuple[int, ...]]
    calls: list[tuple[tuple[int, ...], tuple[str, ...], int]] = field(default_factory=list)
    failing: set[int] = field(default_factory=set)
    down: bool = False
    after_call: Callable[[], None] = lambda: None
    """Called once an answer is ready, before it is given."""

    @staticmethod
    def expected(shape: tuple[int, ...], step: int, layer: str, image: np.ndarray) -> np.ndarray:
        """float32 of the layer's shape, different for every step, layer and image; classes sum to 1."""
        values = np.sin(np.arange(np.prod(shape)) * (len(layer) + 1) + step + float(image.sum())).astype(np.float32)
        if layer == "classes":
            values = np.exp(values) / np.exp(values).sum()
        return values.reshape(shape)

    def evaluate(
        self, spec: RunSpec, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Evaluation:
        if self.down:
            raise errors.Unavailable("The model service stopped in the middle of this and is being restarted.")
        self.calls.append((tuple(steps), tuple(layers), priority))
        failed = {step: f"Step {step} does not fit the network." for step in steps if step in self.failing}
        arrays = {
            layer: np.stack(
                [
                    np.full(self.shapes[layer], np.nan, np.float32)
                    if step in failed
                    else self.expected(self.shapes[layer], step, layer, image)
                    for step in steps
                ]
            )
            for layer in layers
        }
        self.after_call()
        return Evaluation(arrays, steps, failed)

    def pictures(
        self,
        spec: RunSpec,
        steps: Sequence[int],
        method: str,
        asked: Asked,
        before: np.ndarray | None = None,
        priority: int = 0,
    ) -> Pictures:
        self.calls.append((tuple(steps), (method, asked.layer), priority))
        units = len(asked.options.get("units", (0,)))
        shape = (*asked.image.shape, units)
        values = np.stack([self.expected(shape, step, method + asked.layer, asked.image) for step in steps])
        failed = {step: f"Step {step} does not fit the network." for step in steps if step in self.failing}
        return Pictures(tuple(steps), values, {step: {"activation": [1.0] * units} for step in steps}, failed)

    @property
    def evaluated(self) -> Counter[tuple[int, str]]:
        """How often each step and layer was evaluated."""
        return Counter((step, layer) for steps, layers, _ in self.calls for step in steps for layer in layers)


@dataclass
class Bench:
    """Services with all that they look at: the run "lenet" and the corpus "noise"."""

    run: ArrayRun
    corpus: ArrayCorpus
    service: CountingService
    store: MemoryStore
    services: Services

    def network_input(self, position: int) -> np.ndarray:
        """An image of the corpus as the run's network takes it."""
        return self.services.workspace.inputs.one(self.opened, self.services.workspace.opened_corpus("noise"), position)

    @property
    def opened(self) -> OpenedRun:
        return self.services.workspace.opened_run("lenet")

    @property
    def available(self) -> Availability:
        return self.services.evaluations.availability(self.opened)

    def subject(self, run: str | None = None, corpus: str | None = None) -> dict[str, Any]:
        return subject(self.services.workspace, self.services.evaluations, run, corpus)

    def parameters(self, step: int, layer: str) -> dict[str, np.ndarray]:
        return self.opened.read(self.opened.checkpoint(step), self.opened.layer(layer))

    def image(self, image_id: str) -> NetworkInput:
        return self.services.workspace.network_input(self.opened, "noise", image_id)

    def feature_maps(self, steps: Iterable[int], layer: str, image_id: str) -> MapsByStep:
        return self.services.feature_maps.at_steps(self.opened, steps, layer, self.image(image_id))

    def predictions(self, steps: Iterable[int], image_id: str) -> Predictions:
        return self.services.predictor.at_steps(self.opened, steps, None, self.image(image_id))

    def prediction_course(self, image_id: str) -> PredictionCourse:
        corpus = self.services.workspace.opened_corpus("noise")
        return self.services.predictor.course(self.opened, corpus, corpus.position(image_id), self.image(image_id))

    def prediction_pieces(self, image_id: str, near: int | None = None) -> Iterator[Lines]:
        return self.services.predictor.stream(self.opened, None, self.image(image_id), near)

    def question(self, layer: str, kind: str = "parameters", **words: Any) -> FilmQuestion:
        """A question for a film; words that the question does not know are options of the kind."""
        own = {name: words.pop(name) for name in ("image", "corpus", "units", "channels", "near") if name in words}
        return FilmQuestion(self.opened, self.opened.layer(layer), kind, words, **own)

    def film(self, question: FilmQuestion) -> Iterator[dict[str, Any]]:
        """The lines of its manifest, one by one. Closing the iterator stops the work."""
        manifest = self.services.films.manifest(question)
        return (line for lines in manifest for line in lines)


@pytest.fixture
def array_run() -> type[ArrayRun]:
    return ArrayRun


@pytest.fixture
def array_corpus() -> type[ArrayCorpus]:
    return ArrayCorpus


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    """``make_bench(run=..., corpus=..., service=True, cache_folder=..., **arguments of Services.of)``; statistics are kept
    in the cache folder, nowhere without one."""

    def make(
        run: ArrayRun | None = None,
        corpus: ArrayCorpus | None = None,
        service: bool = True,
        store: MemoryStore | None = None,
        options: RunOptions = RunOptions(),  # noqa: B008 - frozen
        cache_folder: Path | None = None,
        **arguments: Any,
    ) -> Bench:
        run, corpus = run or ArrayRun(), corpus or ArrayCorpus()
        shapes = {layer.name: layer.output_shape or () for layer in run.layers()}
        counting = CountingService({name: tuple(n or 6 for n in shape) for name, shape in shapes.items()})
        store = store or MemoryStore(1 << 26)
        workspace = Workspace(
            [
                ConnectedRun("lenet", Path("arrays"), run, options),
                ConnectedRun("lost", Path("gone"), None, problem="gone does not exist.", asked_format="keras"),
            ],
            [
                ConnectedCorpus("noise", Path("noise"), corpus),
                ConnectedCorpus("nowhere", Path("gone"), None, "gone does not exist."),
            ],
        )
        if cache_folder is not None:
            arguments["statistics"] = Statistics(workspace, StatisticsStore(cache_folder))
        services = Services.of(workspace, ResultCache(store), counting if service else None, **arguments)
        return Bench(run, corpus, counting, store, services)

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()


@pytest.fixture
def measure() -> Callable[..., dict[int, np.ndarray]]:
    """``measure(bench, steps, split="test", form=None, lost=())``: put statistics of made-up probabilities, float32
    (image, class), into the bench's store and return them by step. Images ``lost`` are NaN. Later steps are surer."""

    def put(
        bench: Bench,
        steps: Sequence[int],
        split: str = "test",
        form: str | None = None,
        lost: Sequence[int] = (),
        classes: int = 10,
        corpus: str = "noise",
    ) -> dict[int, np.ndarray]:
        statistics, positions = bench.services.statistics, bench.corpus.splits[split]
        actual = bench.corpus.labels[positions.start : positions.stop]
        made = {}
        for step in steps:
            logits = np.random.default_rng([step, classes]).normal(size=(len(positions), classes)).astype(np.float32)
            logits[np.arange(len(actual)), actual] += step / 50
            powers = np.exp(logits)
            powers /= powers.sum(axis=1, keepdims=True)
            powers[list(lost)] = np.nan
            checkpoint = bench.opened.checkpoint(step)
            key = statistics.identity.step("lenet", checkpoint, corpus, split)
            about = {"images": len(positions), "classes": classes, **({"form": form} if form else {})}
            plane = statistics.store.begin(key, about, actual)
            plane.write(0, len(positions), powers)
            plane.finish()
            made[step] = powers
        return made

    return put
