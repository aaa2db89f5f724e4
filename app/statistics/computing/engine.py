"""Every checkpoint over every image: plans the work, hands it to Dask, joins what comes of it.

    plan ──► Job: checkpoints x slices ──► what the store has not ──► Dask workers (tasks.evaluate_slice) ──► slices
                                                                                   store ◄── finish ◄──── complete

Checkpoints are worked on one after the other, so that views fill up from the first on. Where not all prepared images fit
into a worker's memory, :data:`GROUP` checkpoints go together, slice by slice, so that an image is prepared once for all
of them. A worker has two tasks at a time, the second one waiting, and is preferably given slices that it has prepared;
what a lost worker had in hand goes to another one.

The same job again goes on where the last one ended, however it ended. Only this module,
:mod:`mloscope.app.statistics.computing.dask_workers` and :mod:`mloscope.app.commands.statistics` know of Dask; none is imported by the web
process.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mloscope.adaptors.interface import AdaptorError, Checkpoint, EvaluableRun
from mloscope.app.errors import MloscopeError, NotFound, NotPossible, Unavailable, from_adaptor
from mloscope.app.model_service.wire import RunSpec
from mloscope.app.statistics.computing.tasks import (
    NetworkSource,
    SliceDone,
    SliceTask,
    Source,
    Span,
    describe,
    evaluate_slice,
)
from mloscope.app.statistics.identity import Identity
from mloscope.app.statistics.stored.files import unwritable
from mloscope.app.statistics.stored.step_statistics import FULL, StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.statistics.stored.unfinished import UnfinishedStep
from mloscope.app.workspace.workspace import Workspace

SLICE_IMAGES = 2500
"""Images of a slice at most, so that little is lost with a task."""
SLICE_INPUT_BYTES = 64 << 20
SLICE_OUTPUT_BYTES = 16 << 20
BATCH_IMAGES = 250
BATCH_INPUT_BYTES = 4 << 20
UNKNOWN_INPUT_BYTES = 224 * 224 * 3 * 4
"""What an image is taken for where neither run nor corpus tells its size."""
KEEP_BYTES = 512 << 20
"""Memory of a worker for prepared slices."""
GROUP = 8
AT_A_TIME = 2
RETRIES = 2
_WORKERS_EVERY_S = 2.0
_RATE_OVER_S = 20.0
_MOST_NAMES = 1000

# ------------------------------------------------------------------------------------------------- what to do


@dataclass(frozen=True)
class PlannedStep:
    """One checkpoint of a job."""

    step: int
    key: str
    fingerprint: str
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the plane is to say of itself, beside what its numbers are."""


@dataclass(frozen=True)
class Job:
    """Some checkpoints of a run over one split of one corpus."""

    source: Source
    labels: np.ndarray
    """int32 (image,): which of the network's classes is right, -1 where none is or it is not known"""
    steps: tuple[PlannedStep, ...]
    input_bytes: int
    """Of one prepared image."""
    problems: Mapping[int, str] = field(default_factory=dict)
    """By step: checkpoints that are known to be unusable before anything is evaluated."""
    batch: int = BATCH_IMAGES
    form: str | None = None
    """What to keep of the probabilities, see :meth:`StatisticsStore.begin`; None: by size."""

    @property
    def images(self) -> int:
        return len(self.labels)

    def slices(self, classes: int) -> list[Span]:
        """The images in equal pieces, each a multiple of the batch but for the last. The same for the same job, so that
        what an earlier process wrote fits."""
        most = min(
            SLICE_IMAGES, SLICE_INPUT_BYTES // max(1, self.input_bytes), SLICE_OUTPUT_BYTES // max(1, 4 * classes)
        )
        size = max(1, most // self.batch) * self.batch
        return [(start, min(start + size, self.images)) for start in range(0, self.images, size)]


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    state: str
    """``starting``, ``running``, ``paused``, ``done`` or ``failed``"""
    done: int
    """Images evaluated, each counted once a checkpoint, those of earlier jobs included."""
    of: int
    rate: float | None = None
    """Images a second, of late."""
    seconds_left: float | None = None
    step: int | None = None
    """The checkpoint in hand."""
    message: str = ""


@dataclass
class Outcome:
    """What came of a job."""

    state: str = "done"
    """``done`` or ``paused``"""
    planes: dict[int, StepStatistics] = field(default_factory=dict)
    """By step, ascending; those that were there before included."""
    problems: dict[int, str] = field(default_factory=dict)
    """By step: why it has no statistics."""
    done: int = 0
    """Images, each counted once a checkpoint, that are evaluated, by this job or before."""
    evaluated: int = 0
    """Those of them that this job evaluated."""
    seconds: float = 0.0
    """From the first image to the last."""
    device: str = ""


def default_split(splits: Mapping[str, range]) -> str:
    """``test`` where there is one, else the last that has images. Raises :class:`NotPossible` where there is none."""
    filled = [name for name, positions in splits.items() if len(positions)]
    if not filled:
        raise NotPossible("The corpus has no images, so there is nothing to compute.")
    return "test" if "test" in filled else filled[-1]


def plan(
    workspace: Workspace,
    run: str,
    corpus: str,
    split: str,
    *,
    steps: Sequence[int] | None = None,
    batch: int | None = None,
    form: str | None = None,
    identity: Identity | None = None,
) -> Job:
    """What there is to do for a run of a workspace; reads no weights.

    ``steps``: default all. Raises :class:`NotFound` for a split or step that there is not, and :class:`NotPossible`
    where the run's network cannot be evaluated.
    """
    connected, adaptor = workspace.opened_run(run)
    images, corpus_adaptor = workspace.opened_corpus(corpus)
    if split not in corpus_adaptor.splits:
        known = ", ".join(corpus_adaptor.splits) or "none"
        raise NotFound(f'The corpus "{corpus}" has no split "{split}"; it has: {known}.')
    if not isinstance(adaptor, EvaluableRun):
        raise NotPossible(
            f'The network of the run "{run}" cannot be evaluated: the format {adaptor.format} holds its weights only. '
            "Predictions computed elsewhere can be imported: mloscope statistics import --help."
        )
    try:
        checkpoints = adaptor.checkpoints()
    except AdaptorError as error:
        raise from_adaptor(error) from error
    if steps is not None:
        checkpoints = _chosen(run, checkpoints, steps)
    positions = corpus_adaptor.splits[split]
    shape = adaptor.input_shape or (None, None, 3)
    own = corpus_adaptor.image_shape or (None, None, shape[2])
    rows, columns = shape[0] or own[0], shape[1] or own[1]
    basis = workspace.basis(run, corpus)
    if basis.output.layer is None or basis.output.rule is None:
        raise NotPossible(f'The run "{run}" gives no class probabilities. {basis.output.refusal}')
    input_bytes = 4 * rows * columns * shape[2] if rows and columns else UNKNOWN_INPUT_BYTES
    batch = batch or max(8, min(BATCH_IMAGES, BATCH_INPUT_BYTES // input_bytes))
    spec = RunSpec(str(connected.path.expanduser().absolute()), adaptor.format, connected.options)
    corpus_path = str(images.path.expanduser().absolute())
    identity = identity or Identity(workspace)
    planned, problems = [], {}
    for checkpoint in checkpoints:
        if checkpoint.problem:
            problems[checkpoint.step] = checkpoint.problem
            continue
        about = {
            "run": spec.path,
            "format": spec.format,
            "step": checkpoint.step,
            "label": checkpoint.label or str(checkpoint.step),
            "checkpoint": checkpoint.name,
            "corpus": corpus_path,
            "split": split,
            "source": "evaluated",
            "output": basis.output.layer,
            "rule": basis.output.rule,
            "class_names": list(basis.classes.names[:_MOST_NAMES]),
        }
        try:
            key = identity.plane(run, checkpoint, corpus, split)
            planned.append(PlannedStep(checkpoint.step, key, adaptor.fingerprint(checkpoint), about))
        except (MloscopeError, AdaptorError, OSError) as error:
            problems[checkpoint.step] = str(error)
    return Job(
        NetworkSource(
            spec,
            corpus_path,
            corpus_adaptor.format,
            split,
            batch,
            basis.output.layer,
            basis.output.rule,
            basis.classes.corpus_classes,
        ),
        basis.classes.outputs_of(np.asarray(corpus_adaptor.labels)[positions.start : positions.stop]),
        tuple(planned),
        input_bytes,
        problems,
        batch,
        form,
    )


def _chosen(run: str, checkpoints: Sequence[Checkpoint], steps: Sequence[int]) -> list[Checkpoint]:
    by_step = {checkpoint.step: checkpoint for checkpoint in checkpoints}
    for step in steps:
        if step not in by_step:
            span = f"its steps go from {min(by_step)} to {max(by_step)}" if by_step else "it has none"
            raise NotFound(f'The run "{run}" has no checkpoint of step {step}; {span}.')
    return [by_step[step] for step in sorted(set(steps))]


# --------------------------------------------------------------------------------------------------- in what order


class _Order:
    """Which task a worker gets next."""

    def __init__(self, missing: Sequence[tuple[PlannedStep, Sequence[Span]]], group: int, kept_slices: int) -> None:
        """``kept_slices``: how many prepared slices a worker keeps."""
        self._kept_slices = max(1, kept_slices)
        self._groups: deque[OrderedDict[Span, deque[PlannedStep]]] = deque()
        for first in range(0, len(missing), group):
            slices: OrderedDict[Span, deque[PlannedStep]] = OrderedDict()
            for planned, spans in missing[first : first + group]:
                for span in spans:
                    slices.setdefault(span, deque()).append(planned)
            self._groups.append(OrderedDict(sorted(slices.items())))
        self._prepared: dict[str, OrderedDict[Span, None]] = {}

    def __bool__(self) -> bool:
        return any(self._groups)

    def take(self, worker: str) -> tuple[PlannedStep, Span] | None:
        """None where there is no more."""
        span = self.next_slice(worker)
        if span is None:
            return None
        group = self._groups[0]
        planned = group[span].popleft()
        if not group[span]:
            del group[span]
        prepared = self._prepared.setdefault(worker, OrderedDict())
        prepared[span] = None
        prepared.move_to_end(span)
        while len(prepared) > self._kept_slices:
            prepared.popitem(last=False)
        return planned, span

    def next_slice(self, worker: str) -> Span | None:
        """Which slice :meth:`take` would choose: one that the worker has prepared, else one that no other has, else the
        first."""
        while self._groups and not self._groups[0]:
            self._groups.popleft()
        if not self._groups:
            return None
        own = self._prepared.get(worker, {})
        others = {span for name, spans in self._prepared.items() if name != worker for span in spans}
        best = None
        for span in self._groups[0]:
            if span in own:
                return span
            if best is None and span not in others:
                best = span
        return best or next(iter(self._groups[0]))

    def put_back(self, planned: PlannedStep, span: Span) -> None:
        if not self._groups:
            self._groups.append(OrderedDict())
        self._groups[0].setdefault(span, deque()).appendleft(planned)

    def drop(self, step: int) -> None:
        """Forget all tasks of a checkpoint."""
        for group in self._groups:
            for span in list(group):
                group[span] = deque(planned for planned in group[span] if planned.step != step)
                if not group[span]:
                    del group[span]

    def forget(self, worker: str) -> None:
        self._prepared.pop(worker, None)


# -------------------------------------------------------------------------------------------------------- doing it


class Engine:
    """Does jobs. ``client``: a ``distributed.Client``; ``report`` is called with every change, by this thread, at least
    twice a second; ``stop()`` is asked between tasks: where it is true, what is in hand is waited for, and no more."""

    def __init__(
        self,
        store: StatisticsStore,
        cache_folder: str,
        client: Any,
        *,
        report: Callable[[Progress], None] = lambda _progress: None,
        stop: Callable[[], bool] = lambda: False,
        keep_bytes: int = KEEP_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._cache_folder, self._client = store, cache_folder, client
        self._report, self._stop, self._keep_bytes, self._clock = report, stop, keep_bytes, clock

    def compute(self, job: Job) -> Outcome:
        """Do what the store has not. Raises :class:`MloscopeError` where nothing can be done at all: no worker can open
        the run, it does not belong to the corpus, the store cannot be written."""
        return _Doing(self, job).outcome()


class _Doing:
    """One job being done."""

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine, self._job, self._client = engine, job, engine._client
        self._store, self._clock = engine._store, engine._clock
        self._outcome = Outcome(problems=dict(job.problems))
        self._of = job.images * len(job.steps)
        self._done = 0
        self._step: int | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._came: queue.Queue[Any] = queue.Queue()
        self._in_hand: dict[Any, tuple[str, PlannedStep, Span]] = {}
        self._unfinished: dict[int, UnfinishedStep] = {}
        self._waiting_for: dict[int, set[Span]] = {}
        self._seconds: dict[int, float] = {}
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix="finishing")
        self._finishing: dict[int, Future[StepStatistics]] = {}
        self._workers: dict[str, int] = {}
        self._resources: dict[str, int] | None = None
        self._workers_known = -float("inf")

    def outcome(self) -> Outcome:
        todo = []
        for planned in self._job.steps:
            plane = self._store.find(planned.key)
            if plane is not None and self._job.form == FULL != plane.form:
                self._store.remove("planes", planned.key)  # more is asked for than was kept
                plane = None
            if plane is None:
                todo.append(planned)
            else:
                self._outcome.planes[planned.step] = plane
                self._done += self._job.images
                self._store.remove("unfinished", planned.key)  # of a process that was killed between the two
        try:
            if todo:
                self._compute(todo)
        finally:
            self._finisher.shutdown(wait=True, cancel_futures=True)
        outcome = self._outcome
        outcome.done = self._done
        outcome.planes = dict(sorted(outcome.planes.items()))
        outcome.problems = dict(sorted(outcome.problems.items()))
        return outcome

    def _compute(self, todo: Sequence[PlannedStep]) -> None:
        self._tell("starting", "TensorFlow is loading")
        job = self._job
        about = self._described()
        classes, versions = int(about["classes"]), about.get("versions", {})
        self._outcome.device = str(about.get("device", ""))
        slices = job.slices(classes)
        missing = []
        for planned in todo:
            said: dict[str, Any] = {**planned.about, "images": job.images, "classes": classes, "versions": versions}
            if job.form is not None:
                said["form"] = job.form
            unfinished = self._unfinished[planned.step] = self._store.begin(planned.key, said, job.labels)
            spans = unfinished.missing(slices)
            self._done += job.images - sum(stop - start for start, stop in spans)
            self._waiting_for[planned.step] = set(spans)
            if spans:
                missing.append((planned, spans))
            else:
                self._finish(planned.step)
        slice_bytes = job.input_bytes * (slices[0][1] - slices[0][0]) if slices else 1
        fits = slice_bytes * len(slices) <= self._engine._keep_bytes
        order = _Order(missing, 1 if fits else GROUP, self._engine._keep_bytes // max(1, slice_bytes))
        began = self._clock()
        self._recent.append((began, self._done))
        try:
            self._run(order, classes)
        finally:
            self._outcome.seconds = self._clock() - began
            for future in self._in_hand:
                future.cancel()
        while self._finishing:
            self._take_finished(wait=True)
        if order:
            self._outcome.state = "paused"
            self._tell("paused", "Paused; what is done stays")

    def _described(self) -> dict[str, Any]:
        """What a worker says of the source. Waits for workers where there are none yet."""
        while not self._engine._stop():
            self._find_workers()
            if self._workers:
                future = self._client.submit(
                    describe, self._job.source, pure=False, resources=self._resources, retries=RETRIES
                )
                try:
                    about = future.result()
                except Exception as error:
                    raise Unavailable(f"No worker could open the run: {_in_words(error)}") from error
                if about.get("problem"):
                    raise NotPossible(str(about["problem"]))
                return about
            self._tell("starting", "Waiting for the cluster's workers")
            time.sleep(0.5)
        raise Unavailable("Stopped before a worker was there.")

    def _run(self, order: _Order, classes: int) -> None:
        while True:
            stopping = self._engine._stop()
            if not stopping:
                self._hand_out(order, classes)
            if not self._in_hand and (stopping or not order):
                return
            self._take_finished(wait=False)
            self._tell("running", self._message(stopping))
            try:
                future = self._came.get(timeout=0.5)
            except queue.Empty:
                if self._client.status not in ("running", "connecting"):
                    raise Unavailable(
                        "The Dask scheduler is gone; what is done stays, and the same command goes on."
                    ) from None
                continue
            self._take(future, order)

    def _message(self, stopping: bool) -> str:
        if stopping:
            return "Stopping after the tasks in hand"
        if not self._workers:
            return "Waiting for the cluster's workers"
        return "Evaluating"

    def _hand_out(self, order: _Order, classes: int) -> None:
        self._find_workers()
        busy = dict.fromkeys(self._workers, 0)
        for worker, _planned, _span in self._in_hand.values():
            if worker in busy:
                busy[worker] += 1
        for count in range(AT_A_TIME):  # one each before two for anybody
            for worker in self._workers:
                if busy[worker] > count:
                    continue
                taken = order.take(worker)
                if taken is None:
                    return
                busy[worker] += 1
                self._submit(worker, *taken, order.next_slice(worker), classes)

    def _submit(self, worker: str, planned: PlannedStep, span: Span, following: Span | None, classes: int) -> None:
        job = self._job
        task = SliceTask(
            job.source, self._engine._cache_folder, planned.key, planned.step, planned.fingerprint, span, job.images,
            classes, job.form, following, self._engine._keep_bytes,
        )  # fmt: skip
        future = self._client.submit(
            evaluate_slice, task, key=f"step-{planned.step}-{span[0]}-{uuid.uuid4().hex[:8]}", workers=[worker],
            allow_other_workers=True, resources=self._resources, retries=RETRIES, pure=False,
        )  # fmt: skip
        self._step = planned.step if self._step is None else self._step
        self._in_hand[future] = (worker, planned, span)
        future.add_done_callback(self._came.put)

    def _find_workers(self) -> None:
        now = self._clock()
        if now - self._workers_known < _WORKERS_EVERY_S and self._workers:
            return
        self._workers_known = now
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        with_gpu = [address for address, worker in known.items() if (worker.get("resources") or {}).get("GPU", 0) >= 1]
        self._resources = {"GPU": 1} if with_gpu else None
        self._workers = {address: known[address].get("nthreads", 1) for address in sorted(with_gpu or known)}

    def _take(self, future: Any, order: _Order) -> None:
        """What came of a task."""
        worker, planned, span = self._in_hand.pop(future)
        if future.status == "finished":
            done: SliceDone = future.result()
        elif future.status == "cancelled":
            order.put_back(planned, span)
            return
        else:
            done = self._of_error(future.exception())
            order.forget(worker)
            self._workers_known = -float("inf")
        if done.problem is not None:
            if done.hopeless:
                raise NotPossible(done.problem)
            self._give_up(planned.step, done.problem, order)
            return
        self._done += done.images
        self._outcome.evaluated += done.images
        if planned.step in self._outcome.problems:
            return
        self._seconds[planned.step] = self._seconds.get(planned.step, 0.0) + done.seconds
        waiting = self._waiting_for[planned.step]
        waiting.discard(span)
        if not waiting:
            self._finish(planned.step)
            self._step = min((step for step, spans in self._waiting_for.items() if spans), default=planned.step)

    @staticmethod
    def _of_error(error: BaseException | None) -> SliceDone:
        if isinstance(error, OSError):
            return SliceDone(problem=unwritable(error), hopeless=True)
        return SliceDone(problem=_in_words(error))

    def _give_up(self, step: int, problem: str, order: _Order) -> None:
        order.drop(step)
        self._done += sum(stop - start for start, stop in self._waiting_for[step])
        self._waiting_for[step] = set()
        self._outcome.problems.setdefault(step, problem)

    def _finish(self, step: int) -> None:
        """Join the slices of a checkpoint, while the next ones are evaluated."""
        more = {"seconds": round(self._seconds.get(step, 0.0), 3)}
        self._finishing[step] = self._finisher.submit(self._unfinished[step].finish, more)

    def _take_finished(self, wait: bool) -> None:
        for step, future in list(self._finishing.items()):
            if not (wait or future.done()):
                continue
            del self._finishing[step]
            try:
                self._outcome.planes[step] = future.result()
            except MloscopeError as error:
                self._outcome.problems[step] = str(error)
            except OSError as error:
                raise Unavailable(unwritable(error)) from error

    def _tell(self, state: str, message: str) -> None:
        now = self._clock()
        rate = left = None
        if self._recent:
            if self._recent[-1][1] != self._done:
                self._recent.append((now, self._done))
            while len(self._recent) > 2 and now - self._recent[1][0] > _RATE_OVER_S:
                self._recent.popleft()
            then, done = self._recent[0]
            if self._done > done and now > then:
                rate = (self._done - done) / (now - then)
                left = (self._of - self._done) / rate
        self._engine._report(Progress(state, self._done, self._of, rate, left, self._step, message))


def _in_words(error: BaseException | None) -> str:
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "The workers that took it died again and again, perhaps for want of memory; a smaller --batch may help."
    if isinstance(error, MemoryError):
        return "There is not enough memory to evaluate it; a smaller --batch may help."
    text = " ".join(str(error).split())[:300]
    return f"A fault in evaluating it, {type(error).__name__} ({text or 'no message'})."
