"""Every checkpoint over every image: hands the work to Dask and joins the results.

    Job (plan) ──► checkpoints x slices ──► what the store lacks ──► Dask workers (tasks.evaluate_slice) ──► slices
                                                                           store ◄── finish ◄──── complete

Checkpoints are computed one after the other, so that views fill up from the first one on. Where not all prepared images
fit into a worker's memory, :data:`GROUP` checkpoints go together, slice by slice, so that an image is prepared once for
all of them. A worker has two tasks at a time, the second one waiting, and is preferably given slices that it has
prepared; the tasks of a lost worker go to another one.

Computing the same job again resumes where the last one ended, however it ended. Only this module,
:mod:`mloscope.app.statistics.computing.dask_workers` and :mod:`mloscope.app.commands.statistics` know Dask; none is
imported by the web process.
"""

from __future__ import annotations

import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mloscope.app.errors import MloscopeError, NotPossible, Unavailable
from mloscope.app.statistics.computing.dask_workers import FoundWorkers
from mloscope.app.statistics.computing.order import Order
from mloscope.app.statistics.computing.plan import Job, PlannedStep
from mloscope.app.statistics.computing.step_in_the_making import StepInTheMaking
from mloscope.app.statistics.computing.tasks import SliceDone, SliceTask, Span, describe, evaluate_slice
from mloscope.app.statistics.patches.store import PatchStore
from mloscope.app.statistics.stored.files import unwritable
from mloscope.app.statistics.stored.step_statistics import FULL, StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore

KEEP_BYTES = 512 << 20
"""A worker's memory for prepared slices."""
GROUP = 8
AT_A_TIME = 2
RETRIES = 2
_RATE_OVER_S = 20.0


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    state: str
    """``starting``, ``running``, ``paused``, ``done`` or ``failed``"""
    done: int
    """Evaluations (image x checkpoint) completed, those of earlier jobs included."""
    of: int
    rate: float | None = None
    """Recent evaluations per second."""
    seconds_left: float | None = None
    step: int | None = None
    """The checkpoint being evaluated."""
    message: str = ""


@dataclass
class Outcome:
    """The result of a job."""

    state: str = "done"
    """``done`` or ``paused``"""
    ready: dict[int, StepStatistics] = field(default_factory=dict)
    """By step, ascending; those that existed before included."""
    problems: dict[int, str] = field(default_factory=dict)
    """By step: why it has no statistics."""
    done: int = 0
    """Evaluations (image x checkpoint) completed by this job or before."""
    evaluated: int = 0
    """Those of them that this job completed."""
    seconds: float = 0.0
    """From the first image to the last."""
    device: str = ""


def is_complete(job: Job, store: StatisticsStore) -> bool:
    """Whether the store has all that the job is to compute."""
    patches = PatchStore(store.folder)
    return all(
        store.find(planned.key) is not None and not patches.lacking(planned.key, job.patches).layers
        for planned in job.steps
    )


@dataclass(frozen=True)
class Engine:
    """Computes jobs. ``report`` is called with every change, by this thread, at least twice a second. ``stop()`` is asked
    between tasks: once it returns True, running tasks are waited for and no more are started. ``first()`` is asked as often:
    of what is left, the checkpoint nearest to this step comes first, then its neighbours outward."""

    store: StatisticsStore
    cache_folder: str
    client: Any
    """A ``distributed.Client``."""
    report: Callable[[Progress], None] = lambda _progress: None
    stop: Callable[[], bool] = lambda: False
    first: Callable[[], int | None] = lambda: None
    keep_bytes: int = KEEP_BYTES
    clock: Callable[[], float] = time.monotonic

    def compute(self, job: Job) -> Outcome:
        """Compute what the store lacks. Raises :class:`MloscopeError` if nothing can be computed at all: no worker can
        open the run, it does not belong to the corpus, the store cannot be written."""
        return _Computation(self, job).outcome()


class _Pace:
    """Counts evaluations and estimates their rate."""

    def __init__(self, of: int, clock: Callable[[], float]) -> None:
        self.done, self.of = 0, of
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque()

    def start(self) -> None:
        self._recent.append((self._clock(), self.done))

    def progress(self, state: str, step: int | None, message: str) -> Progress:
        now = self._clock()
        rate = left = None
        if self._recent:
            if self._recent[-1][1] != self.done:
                self._recent.append((now, self.done))
            while len(self._recent) > 2 and now - self._recent[1][0] > _RATE_OVER_S:
                self._recent.popleft()
            then, done = self._recent[0]
            if self.done > done and now > then:
                rate = (self.done - done) / (now - then)
                left = (self.of - self.done) / rate
        return Progress(state, self.done, self.of, rate, left, step, message)


class _Computation:
    """One job being computed."""

    def __init__(self, engine: Engine, job: Job) -> None:
        self._engine, self._job, self._client, self._store = engine, job, engine.client, engine.store
        self._outcome = Outcome(problems=dict(job.problems))
        self._pace = _Pace(job.images * len(job.steps), engine.clock)
        self._workers = FoundWorkers(engine.client, engine.clock)
        self._step: int | None = None
        self._first: int | None = None
        self._came: queue.Queue[Any] = queue.Queue()
        self._running: dict[Any, tuple[str, PlannedStep, Span]] = {}
        self._patches = PatchStore(engine.store.folder)
        self._unfinished: dict[int, StepInTheMaking] = {}
        self._slices: Sequence[Span] = ()
        self._waiting_for: dict[int, set[Span]] = {}
        self._seconds: dict[int, float] = {}
        self._finisher = ThreadPoolExecutor(1, thread_name_prefix="finishing")
        self._finishing: dict[int, Future[StepStatistics]] = {}

    def outcome(self) -> Outcome:
        todo = []
        for planned in self._job.steps:
            found = self._store.find(planned.key)
            if found is not None and self._job.form == FULL != found.form:
                self._store.remove("planes", planned.key)  # more is asked for than was kept
                found = None
            if found is None or self._patches.lacking(planned.key, self._job.patches).layers:
                todo.append(planned)
            else:
                self._outcome.ready[planned.step] = found
                self._pace.done += self._job.images
                self._store.remove("unfinished", planned.key)  # of a process that was killed between the two
        try:
            if todo:
                self._compute(todo)
        finally:
            self._finisher.shutdown(wait=True, cancel_futures=True)
        outcome = self._outcome
        outcome.done = self._pace.done
        outcome.ready = dict(sorted(outcome.ready.items()))
        outcome.problems = dict(sorted(outcome.problems.items()))
        return outcome

    def _compute(self, todo: Sequence[PlannedStep]) -> None:
        self._tell("starting", "The network backend is loading")
        about = self._described()
        self._outcome.device = str(about.get("device", ""))
        classes = int(about["classes"])
        slices = self._slices = self._job.slices(classes)
        missing = self._begun(todo, classes, about.get("versions", {}))
        slice_bytes = self._job.input_bytes * (slices[0][1] - slices[0][0]) if slices else 1
        keep_bytes = self._engine.keep_bytes
        fits = slice_bytes * len(slices) <= keep_bytes
        order = Order(missing, 1 if fits else GROUP, keep_bytes // max(1, slice_bytes))
        began = self._engine.clock()
        self._pace.start()
        try:
            self._run(order, classes)
        finally:
            self._outcome.seconds = self._engine.clock() - began
            for future in self._running:
                future.cancel()
        while self._finishing:
            self._take_finished(wait=True)
        if order:
            self._outcome.state = "paused"
            self._tell("paused", "Paused; finished work is kept")

    def _begun(
        self, todo: Sequence[PlannedStep], classes: int, versions: Any
    ) -> list[tuple[PlannedStep, Sequence[Span]]]:
        """Begin each step in the store; the slices that each one lacks."""
        job, missing = self._job, []
        for planned in todo:
            about: dict[str, Any] = {**planned.about, "images": job.images, "classes": classes, "versions": versions}
            if job.form is not None:
                about["form"] = job.form
            lacking = self._patches.lacking(planned.key, job.patches)
            making = StepInTheMaking.begin(self._store, planned.key, about, job.labels, lacking)
            self._unfinished[planned.step], spans = making, making.missing(self._slices)
            self._pace.done += job.images - sum(stop - start for start, stop in spans)
            self._waiting_for[planned.step] = set(spans)
            if spans:
                missing.append((planned, spans))
            else:
                self._finish(planned.step)
        return missing

    def _described(self) -> dict[str, Any]:
        """What a worker says about the source. Waits until there is a worker."""
        while not self._engine.stop():
            if self._workers.addresses():
                future = self._client.submit(
                    describe, self._job.source, pure=False, resources=self._workers.resources, retries=RETRIES
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

    def _run(self, order: Order, classes: int) -> None:
        while True:
            stopping = self._engine.stop()
            if not stopping:
                self._rearrange(order)
                self._hand_out(order, classes)
            if not self._running and (stopping or not order):
                return
            self._take_finished(wait=False)
            self._tell("running", self._message(stopping))
            try:
                future = self._came.get(timeout=0.5)
            except queue.Empty:
                if self._client.status not in ("running", "connecting"):
                    raise Unavailable(
                        "The Dask scheduler is gone. Finished work is kept; run the command again to resume."
                    ) from None
                continue
            self._take(future, order)

    def _rearrange(self, order: Order) -> None:
        first = self._engine.first()
        if first is not None and first != self._first:
            self._first = first
            order.begin_with(first)

    def _message(self, stopping: bool) -> str:
        if stopping:
            return "Stopping after the running tasks"
        if not self._workers.known:
            return "Waiting for the cluster's workers"
        return "Evaluating"

    def _hand_out(self, order: Order, classes: int) -> None:
        workers = self._workers.addresses()
        busy = dict.fromkeys(workers, 0)
        for worker, _planned, _span in self._running.values():
            if worker in busy:
                busy[worker] += 1
        for count in range(AT_A_TIME):  # one each before anyone gets two
            for worker in workers:
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
            job.source, self._engine.cache_folder, planned.key, planned.step, planned.fingerprint, span, job.images,
            classes, job.form, self._unfinished[planned.step].asked, following, self._engine.keep_bytes,
        )  # fmt: skip
        future = self._client.submit(
            evaluate_slice, task, key=f"step-{planned.step}-{span[0]}-{uuid.uuid4().hex[:8]}", workers=[worker],
            allow_other_workers=True, resources=self._workers.resources, retries=RETRIES, pure=False,
        )  # fmt: skip
        self._running[future] = (worker, planned, span)
        future.add_done_callback(self._came.put)

    def _take(self, future: Any, order: Order) -> None:
        """Record the result of a task."""
        worker, planned, span = self._running.pop(future)
        if future.status == "finished":
            done: SliceDone = future.result()
        elif future.status == "cancelled":
            order.put_back(planned, span)
            return
        else:
            done = self._of_error(future.exception())
            order.forget(worker)
            self._workers.look_again()
        if done.problem is not None:
            if done.hopeless:
                raise NotPossible(done.problem)
            self._give_up(planned.step, done.problem, order)
            return
        self._pace.done += done.images
        self._outcome.evaluated += done.images
        if planned.step in self._outcome.problems:
            return
        self._seconds[planned.step] = self._seconds.get(planned.step, 0.0) + done.seconds
        waiting = self._waiting_for[planned.step]
        waiting.discard(span)
        if not waiting:
            self._finish(planned.step)

    @staticmethod
    def _of_error(error: BaseException | None) -> SliceDone:
        if isinstance(error, OSError):
            return SliceDone(problem=unwritable(error), hopeless=True)
        return SliceDone(problem=_in_words(error))

    def _give_up(self, step: int, problem: str, order: Order) -> None:
        order.drop(step)
        self._pace.done += sum(stop - start for start, stop in self._waiting_for[step])
        self._waiting_for[step] = set()
        self._outcome.problems.setdefault(step, problem)

    def _finish(self, step: int) -> None:
        """Join the slices of a checkpoint, while the next ones are evaluated."""
        more = {"seconds": round(self._seconds.get(step, 0.0), 3)}
        self._finishing[step] = self._finisher.submit(self._unfinished[step].finish, self._slices, more)

    def _take_finished(self, wait: bool) -> None:
        for step, future in list(self._finishing.items()):
            if not (wait or future.done()):
                continue
            del self._finishing[step]
            try:
                self._outcome.ready[step] = future.result()
            except MloscopeError as error:
                self._outcome.problems[step] = str(error)
            except OSError as error:
                raise Unavailable(unwritable(error)) from error

    def _tell(self, state: str, message: str) -> None:
        self._step = next((planned.step for _worker, planned, _span in self._running.values()), self._step)
        self._engine.report(self._pace.progress(state, self._step, message))


def _in_words(error: BaseException | None) -> str:
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "Each worker that took it died, perhaps for lack of memory; a smaller --batch may help."
    if isinstance(error, MemoryError):
        return "There is not enough memory to evaluate it; a smaller --batch may help."
    text = " ".join(str(error).split())[:300]
    return f"Evaluating it failed with {type(error).__name__} ({text or 'no message'})."
