"""What a worker does: one slice of the images at one checkpoint, evaluated, measured and written to the store.

    SliceTask ──► bench (one per process and source) ──► inputs, prepared once ──► probabilities, patches ──► StepInTheMaking

A worker is any process that imports this module: a thread of the command's own process, or one of a Dask cluster. It
needs what the task names at the same paths: the run's folder, the corpus, the store. Only a few numbers go back.

Slices are prepared by a thread of their own, the next one while this one is evaluated, and are kept for the next
checkpoint as long as they fit into a budget.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from cachetools import LRUCache

from mloscope.adaptors.interface import AdaptorError, EvaluableRun
from mloscope.app.errors import MloscopeError, NotPossible, from_adaptor
from mloscope.app.evaluation.class_matching import labels_as_outputs
from mloscope.app.model_service.backends import backends_of_this_process
from mloscope.app.model_service.class_probabilities import class_count
from mloscope.app.model_service.evaluator import Watch, evaluator_in_this_process
from mloscope.app.model_service.wire import RunSpec
from mloscope.app.statistics.computing.step_in_the_making import NO_PATCHES, StepInTheMaking
from mloscope.app.statistics.patches.asked import AskedPatches
from mloscope.app.statistics.patches.search import PatchSearch
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.workspace import Workspace

Span = tuple[int, int]
"""Images start up to stop - 1, counted within the split."""

_MOST_BENCHES = 2
_LEAST_WEIGHTS_BYTES = 256 << 20


@dataclass(frozen=True)
class Inputs:
    """A slice as the network takes it: float32 (image, row, column, channel), in as few batches as shapes allow."""

    batches: tuple[np.ndarray, ...]

    @property
    def nbytes(self) -> int:
        return sum(batch.nbytes for batch in self.batches)


class OpenSource(Protocol):
    """What is evaluated, opened in this process."""

    labels: np.ndarray
    """int32 (image,) of the split: which of the network's classes is right, -1 where none is or it is not known."""

    def prepare(self, span: Span) -> Inputs:
        """Called by one thread at a time, while another evaluates."""
        ...

    def probabilities(self, step: int, inputs: Inputs, search: PatchSearch | None = None) -> np.ndarray:
        """float32 (image, class), NaN where there is none; ``search`` is shown the maps of its layers on the way. Called by
        one thread at a time. Raises :class:`MloscopeError` where this step cannot be evaluated."""
        ...

    def fingerprint(self, step: int) -> str:
        """As :meth:`mloscope.adaptors.interface.RunAdaptor.fingerprint`."""
        ...

    def describe(self) -> dict[str, Any]:
        """``classes``: how many; ``device``; ``versions``: by package."""
        ...


class Source(Protocol, Hashable):
    """What is evaluated, so small that it travels to workers; equal ones share what is open."""

    def open(self) -> OpenSource: ...


@dataclass(frozen=True)
class NetworkSource:
    """A run's network over one split of a corpus, both opened by their paths."""

    run: RunSpec
    corpus: str
    corpus_format: str
    split: str
    batch: int
    output: str
    """The layer that tells classes."""
    rule: str
    """How its values become probabilities: one of :data:`mloscope.app.model_service.class_probabilities.RULES`."""
    corpus_classes: tuple[int | None, ...]
    """The class of the corpus that each of the network's classes stands for; see
    :class:`mloscope.app.evaluation.class_matching.ClassMatch`."""

    def open(self) -> OpenNetwork:
        return OpenNetwork(self)


class OpenNetwork:
    """Raises :class:`MloscopeError` where this process cannot open run or corpus, or lacks the network's backend."""

    def __init__(self, source: NetworkSource) -> None:
        self._source = source
        self._workspace = Workspace.connect(
            [RunEntry(Path(source.run.path), "run", source.run.format, options=source.run.options)],
            [CorpusEntry(Path(source.corpus), "corpus", source.corpus_format)],
        )
        self._run, self._corpus = self._workspace.opened_run("run"), self._workspace.opened_corpus("corpus")
        self._positions = self._corpus.split(source.split)
        own = np.asarray(self._corpus.adaptor.labels)[self._positions.start : self._positions.stop]
        self.labels = labels_as_outputs(own, source.corpus_classes)
        # Weights that do not fit are read again for every slice.
        checkpoint_bytes = 4 * sum(layer.parameter_count for layer in self._run.layers)
        self._evaluator = evaluator_in_this_process(
            self._run.adaptor, weights_budget_bytes=max(_LEAST_WEIGHTS_BYTES, 5 * checkpoint_bytes // 4)
        )

    def _batch(self, positions: range) -> np.ndarray:
        return self._workspace.inputs.batch(self._run, self._corpus, positions)

    def prepare(self, span: Span) -> Inputs:
        start, stop = (self._positions.start + position for position in span)
        try:
            return Inputs((self._batch(range(start, stop)),))
        except NotPossible:
            shape = self._run.adaptor.input_shape
            if shape is not None and None not in shape:
                raise
        # A network that takes any size, and images that have several: batches of neighbours that have one.
        single = [self._batch(range(each, each + 1)) for each in range(start, stop)]
        batches: list[list[np.ndarray]] = []
        for image in single:
            if batches and batches[-1][0].shape == image.shape:
                batches[-1].append(image)
            else:
                batches.append([image])
        return Inputs(tuple(np.concatenate(batch) for batch in batches))

    def probabilities(self, step: int, inputs: Inputs, search: PatchSearch | None = None) -> np.ndarray:
        pieces, source = [], self._source
        for batch in inputs.batches:
            # A picture that could not be read is NaN, but networks need not give NaN for it: a rectifier may give 0.
            lost = np.isnan(batch[:, 0, 0, 0])
            watch = None if search is None else Watch(search.layers, _seeing(search, ~lost))
            rows = self._evaluator.probabilities(
                source.run, step, batch, source.output, source.rule, source.batch, watch
            )
            if lost.any():
                rows = np.where(lost[:, np.newaxis], np.float32(np.nan), rows)
            pieces.append(rows)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def fingerprint(self, step: int) -> str:
        return self._run.fingerprint(self._run.checkpoint(step))

    def describe(self) -> dict[str, Any]:
        outputs = self._evaluator.output_size(self._source.run, self._source.output)
        assert isinstance(self._run.adaptor, EvaluableRun)
        backend = backends_of_this_process().backend(self._run.adaptor.backend)
        return {
            "classes": class_count(self._source.rule, outputs),
            "device": backend.device,
            "versions": dict(backend.versions),
        }


def _seeing(search: PatchSearch, usable: np.ndarray) -> Callable[[Mapping[str, np.ndarray]], None]:
    """What shows maps to the search, batch by batch, with those of ``usable`` that belong to their images."""
    seen = 0

    def see(maps: Mapping[str, np.ndarray]) -> None:
        nonlocal seen
        count = len(next(iter(maps.values())))
        search.see(maps, usable[seen : seen + count])
        seen += count

    return see


# ----------------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class SliceTask:
    """One slice of the images at one checkpoint."""

    source: Source
    store: str
    """The folder that :class:`StatisticsStore` takes."""
    key: str
    step: int
    fingerprint: str
    """Of the checkpoint when its key was made."""
    span: Span
    images: int
    classes: int
    form: str | None
    patches: AskedPatches = NO_PATCHES
    """Those that the checkpoint lacks."""
    following: Span | None = None
    """The slice that this worker is likely to be given next."""
    keep_bytes: int = 0
    """How much memory prepared slices may take."""


@dataclass(frozen=True)
class SliceDone:
    """What comes back of a task."""

    images: int = 0
    seconds: float = 0.0
    """Spent in evaluating alone."""
    problem: str | None = None
    """Why this checkpoint cannot be evaluated."""
    hopeless: bool = False
    """True where ``problem`` holds for every checkpoint."""


def describe(source: Source) -> dict[str, Any]:
    """As :meth:`OpenSource.describe`, or ``{"problem": sentence}``."""
    try:
        return _bench(source).opened.describe()
    except (MloscopeError, AdaptorError) as error:
        return {"problem": str(error)}


def evaluate_slice(task: SliceTask) -> SliceDone:
    """Evaluate, measure, write. What is wrong with the checkpoint comes back in words; what goes wrong with the machine
    (OSError, MemoryError) is raised, for it may go better the next time or elsewhere."""
    try:
        bench = _bench(task.source)
    except (MloscopeError, AdaptorError) as error:
        return SliceDone(problem=str(error), hopeless=True)
    about: dict[str, Any] = {"images": task.images, "classes": task.classes}
    if task.form is not None:
        about["form"] = task.form
    start, stop = task.span
    try:
        making = StepInTheMaking.begin(_store(task.store), task.key, about, bench.opened.labels, task.patches)
        if not making.missing([task.span]):  # another process works at the same, and was quicker
            return SliceDone(stop - start)
        inputs = bench.prepared(task.span, task.keep_bytes)
        if task.following is not None:
            bench.prefetch(task.following)
        with bench.evaluating:
            began = time.perf_counter()
            search = PatchSearch(task.patches.layers, task.patches.count, start) if task.patches.layers else None
            probabilities = bench.opened.probabilities(task.step, inputs, search)
            seconds = time.perf_counter() - began
        if bench.opened.fingerprint(task.step) != task.fingerprint:
            return SliceDone(problem="The checkpoint was changed while it was evaluated; start again.")
        if probabilities.shape != (stop - start, task.classes):
            return SliceDone(
                problem=f"It gives {probabilities.shape[1]} classes, where the run's network gives {task.classes}."
            )
        making.write(task.span, probabilities, search.found() if search is not None else {})
    except (MloscopeError, AdaptorError) as error:
        return SliceDone(problem=str(from_adaptor(error) if isinstance(error, AdaptorError) else error))
    return SliceDone(stop - start, seconds)


class _Bench:
    """An opened source, and its prepared slices."""

    def __init__(self, source: Source) -> None:
        self.opened = source.open()
        self.evaluating = threading.Lock()
        self._lock = threading.Lock()
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="preparing")
        self._prepared: OrderedDict[Span, Future[Inputs]] = OrderedDict()

    def prefetch(self, span: Span) -> Future[Inputs]:
        """Begin to prepare, unless it is prepared."""
        with self._lock:
            future = self._prepared.get(span)
            if future is None:
                future = self._prepared[span] = self._preparing.submit(self.opened.prepare, span)
            self._prepared.move_to_end(span)
        return future

    def prepared(self, span: Span, keep_bytes: int) -> Inputs:
        """The slice, prepared. Forgets the longest unused ones beyond the budget, the two last used never."""
        try:
            inputs = self.prefetch(span).result()
        except BaseException:
            with self._lock:
                self._prepared.pop(span, None)  # to be tried again
            raise
        with self._lock:
            done = [each for each, future in self._prepared.items() if future.done() and future.exception() is None]
            used = sum(self._prepared[each].result().nbytes for each in done)
            for each in done[:-2]:
                if used <= keep_bytes:
                    break
                used -= self._prepared.pop(each).result().nbytes
        return inputs

    def close(self) -> None:
        self._preparing.shutdown(wait=False, cancel_futures=True)


@functools.cache
def _store(folder: str) -> StatisticsStore:
    return StatisticsStore(folder)


class _Benches(LRUCache[Source, _Bench]):
    def popitem(self) -> tuple[Source, _Bench]:
        source, bench = super().popitem()
        bench.close()
        return source, bench


_benches = _Benches(_MOST_BENCHES)
_benches_lock = threading.RLock()


def _bench(source: Source) -> _Bench:
    with _benches_lock:
        bench = _benches.get(source)
        if bench is None:
            bench = _benches[source] = _Bench(source)
        return bench
