"""What every kind of film promises, as tests. Subclass it beside your kind:

    class TestMyKind(FilmKindConformance):
        kind = MyKind

The kind is asked about a made-up run and corpus, and a model service that computes by a formula: nothing of yours is needed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pytest

from mloscope.adaptors.interface import Checkpoint, ImageRecord, Layer, Parameter, Unreadable
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import MloscopeError
from mloscope.app.evaluation.evaluations import Evaluations
from mloscope.app.evaluation.feature_maps import FeatureMaps
from mloscope.app.evaluation.pictures import Pictures
from mloscope.app.films.encoding import Film
from mloscope.app.films.kinds import FilmKind, FilmQuestion, Footage, Scale, Sources, as_json, options_of
from mloscope.app.films.manifest import Films
from mloscope.app.model_service import client
from mloscope.app.model_service.client import Asked, Evaluation, RunSpec
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace

WORD = re.compile(r"[a-z][a-z0-9-]*")
STEPS = (0, 1, 5, 20, 21, 30)
TORN = 5
"""The step whose file can neither be read nor evaluated."""
CONV = Layer(
    "conv",
    "convolution",
    ("image",),
    (4, 4, 5),
    (Parameter("kernel", (3, 3, 3, 5), ("row", "column", "channel", "unit")), Parameter("bias", (5,), ("unit",))),
)
LAYERS = (Layer("image", "input", (), (6, 6, 3)), CONV)


class MadeUpRun:
    """A run of arrays that follow from step and name."""

    format = "made up"
    description = "arrays made up on the spot"
    backend = "made up"
    class_names = ()
    preprocessing = None
    input_shape = (6, 6, 3)

    def __init__(self) -> None:
        self.reads: Counter[int] = Counter()

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return tuple(Checkpoint(step, f"{step}.npz") for step in STEPS)

    def layers(self) -> tuple[Layer, ...]:
        return LAYERS

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        return f"{checkpoint.step:x}"

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        self.reads[checkpoint.step] += 1
        if checkpoint.step == TORN:
            raise Unreadable(f"{checkpoint.name} ends in the middle.")
        random = np.random.default_rng([checkpoint.step, len(layer.name)])
        return {each.name: random.normal(size=each.shape).astype(np.float32) for each in layer.parameters}

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        raise AssertionError("films never read all weights")

    def problems(self) -> tuple[str, ...]:
        return ()


class MadeUpCorpus:
    """Six images of noise."""

    format = "made up"
    class_names = ("one", "other")
    labels = np.arange(6) % 2
    image_shape = (6, 6, 3)
    splits: ClassVar[Mapping[str, range]] = {"test": range(6)}

    def __len__(self) -> int:
        return 6

    def names(self) -> Sequence[str]:
        return [self.record(position).name for position in range(6)]

    def record(self, position: int) -> ImageRecord:
        return ImageRecord(f"test-{position}", f"test {position}", position % 2, "test", {})

    def position(self, image_id: str) -> int:
        return int(image_id.removeprefix("test-"))

    def pixels(self, position: int) -> np.ndarray:
        return np.random.default_rng(position).integers(0, 256, self.image_shape, np.uint8)

    def problems(self) -> tuple[str, ...]:
        return ()


class MadeUpService:
    """A model service that evaluates by a formula and counts what it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def evaluate(
        self, spec: RunSpec, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Evaluation:
        self.calls += 1
        shapes = {layer.name: tuple(size or 1 for size in layer.output_shape or ()) for layer in LAYERS}
        arrays = {name: np.stack([self.maps(shapes[name], step, image) for step in steps]) for name in layers}
        failed = {step: "It does not fit the network." for step in steps if step == TORN}
        return Evaluation(arrays, steps, failed)

    def pictures(
        self,
        spec: RunSpec,
        steps: Sequence[int],
        method: str,
        asked: Asked,
        before: np.ndarray | None = None,
        priority: int = 0,
    ) -> client.Pictures:
        self.calls += 1
        units = len(asked.options.get("units", (0,)))
        told = json.dumps(asked.options, sort_keys=True)
        values = np.stack([self.maps((*asked.image.shape, units), step + len(told), asked.image) for step in steps])
        figures = {step: {"activation": list(range(units))} for step in steps}
        failed = {step: "It does not fit the network." for step in steps if step == TORN}
        return client.Pictures(tuple(steps), values, figures, failed)

    @staticmethod
    def maps(shape: tuple[int, ...], step: int, image: np.ndarray) -> np.ndarray:
        """What a layer of this shape makes of the image at the step."""
        return np.sin(np.arange(np.prod(shape)) + step + float(image.sum())).astype(np.float32).reshape(shape)


def made_up_workspace(run: MadeUpRun | None = None) -> Workspace:
    """The run "run" and the corpus "images"."""
    connected = ConnectedRun("run", Path("run"), run or MadeUpRun())
    return Workspace([connected], [ConnectedCorpus("images", Path("images"), MadeUpCorpus())])


class FilmKindConformance:
    """The promises of :class:`mloscope.app.films.kinds.FilmKind`."""

    kind: ClassVar[type[FilmKind]]
    options: ClassVar[Mapping[str, str]] = {}
    """Options to ask with, where the defaults will not do."""

    @pytest.fixture(autouse=True)
    def _made_up(self) -> None:
        self.run, self.service, cache = MadeUpRun(), MadeUpService(), ResultCache(MemoryStore(1 << 24))
        evaluations = Evaluations(self.service)
        self.sources = Sources(
            made_up_workspace(self.run), FeatureMaps(cache, evaluations), Pictures(cache, evaluations)
        )
        self.films = Films(self.sources, cache, evaluations.pace, kinds={self.kind.name: self.kind()})

    def question(self, image: str = "test-3", **more: Any) -> FilmQuestion:
        run = self.sources.workspace.opened_run("run")
        options = options_of(self.kind(), self.options)
        return FilmQuestion(run, run.layer("conv"), self.kind.name, options, image, "images", **more)

    def footage(self, **more: Any) -> Footage:
        return self.kind().open(self.question(**more), self.sources)

    def manifest(self, **more: Any) -> list[dict[str, Any]]:
        return [line for lines in self.films.manifest(self.question(**more)) for line in lines]

    def shown(self, lines: list[dict[str, Any]]) -> Iterator[Film]:
        for line in lines:
            if "chunk" in line:
                yield Film.from_bytes(self.films.chunk(line["chunk"]["address"].rpartition("/")[2]))

    # ---------------------------------------------------------------------------------------- the promises

    def test_it_says_what_it_is(self) -> None:
        told = as_json(self.kind())
        assert json.loads(json.dumps(told)) == told
        assert WORD.fullmatch(self.kind.name)
        assert all((self.kind.title, self.kind.help, self.kind.doing))
        assert self.kind.scale in get_args(Scale)
        assert isinstance(self.kind.needs_image, bool)
        assert isinstance(self.kind.needs_evaluation, bool)

    def test_its_options_stand_in_addresses_and_have_defaults(self) -> None:
        names = [option.name for option in self.kind.options]
        assert len(set(names)) == len(names)
        assert not set(names) & {"show", "units", "channels", "image", "corpus", "near", "steps", "run", "layer"}
        for option in self.kind.options:
            assert option.name.isidentifier(), option.name
            assert option.help, option.name
            assert not option.choices or option.default in option.choices, option.name

    def test_it_has_one_frame_per_checkpoint_in_their_order(self) -> None:
        footage, run = self.footage(), self.question().run
        assert len(footage.shape) == 5
        readable = [checkpoint for checkpoint in run.checkpoints if checkpoint.step != TORN]
        frames = list(footage.frames(readable, run.fingerprints(readable).known))
        assert [frame.step for frame in frames] == [checkpoint.step for checkpoint in readable]
        for frame in frames:
            assert frame.values is not None, frame.problem
            assert frame.values.shape == tuple(footage.shape)
            assert frame.values.dtype.kind == "f"
            assert all(len(of_units) == footage.shape[0] for of_units in frame.figures.values())

    def test_what_it_shows_is_named_by_its_content(self) -> None:
        assert self.footage().content == self.footage().content
        if self.kind.needs_image:
            assert self.footage(image="test-4").content != self.footage().content

    def test_without_the_image_that_it_needs_it_is_refused(self) -> None:
        if self.kind.needs_image:
            with pytest.raises(MloscopeError):
                self.footage(image="")

    def test_a_checkpoint_that_fails_costs_itself_alone(self) -> None:
        lines = self.manifest(near=20)
        missing = {line["missing"]["step"]: line["missing"]["reason"] for line in lines if "missing" in line}
        assert lines[-1] == {"done": True}
        assert set(missing) <= {TORN}
        assert all(missing.values())
        steps = [step for film in self.shown(lines) for step in film.steps]
        assert sorted([*steps, *missing]) == sorted(STEPS)

    def test_its_frames_come_back_from_the_film(self) -> None:
        footage, run = self.footage(), self.question().run
        chunk = next(self.shown(self.manifest(near=20)))
        checkpoints = [run.checkpoint(step) for step in chunk.steps]
        frames = footage.frames(checkpoints, run.fingerprints(checkpoints).known)
        for found, frame in zip(chunk.values(), frames, strict=True):
            np.testing.assert_allclose(found, frame.values, atol=float(np.ptp(frame.values)) / 500)

    def test_the_same_question_again_reads_no_file_and_evaluates_nothing(self) -> None:
        self.manifest()
        first = self.manifest()  # what failed is asked for once more
        self.run.reads.clear()
        self.service.calls = 0
        again = self.manifest()
        assert [line for line in again if "chunk" in line] == [line for line in first if "chunk" in line]
        assert not set(self.run.reads) - {TORN}
        assert self.service.calls == 0 or any("missing" in line for line in again)
