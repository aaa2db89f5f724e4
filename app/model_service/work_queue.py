"""The order in which one thread answers what many ask: urgent first, then newest first, the same thing once,
and nothing that nobody waits for any more."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field

from mloscope.app import errors


class Stopped(Exception):
    """Raised by work that was told to stop, because nobody wants its answer any more."""


_STOPPING = "The model service is stopping."


@dataclass(eq=False)
class Job:
    """One piece of work and how many wait for it."""

    key: Hashable
    work: Callable[[Callable[[], bool]], bytes]
    """Gives the answer; is passed a function that says whether to stop because nobody waits any more."""
    priority: int
    sequence: int
    waiters: int = 0
    answer: Future[bytes] = field(default_factory=Future)

    @property
    def abandoned(self) -> bool:
        return self.waiters == 0


class WorkQueue:
    """Jobs by priority (0 first), the newest first within a priority. Thread-safe; one thread calls
    :meth:`run`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: dict[Hashable, Job] = {}  # waiting and running
        self._running: Job | None = None
        self._sequence = itertools.count()
        self._closed = False
        self.counts = {"answered": 0, "coalesced": 0, "dropped": 0, "stopped": 0}
        """``dropped``: given up before it began; ``stopped``: in the middle."""

    def join(self, key: Hashable, priority: int, work: Callable[[Callable[[], bool]], bytes]) -> Job:
        """Wait for the job of this key, a new one unless it is there already. :meth:`leave` it in the end."""
        with self._changed:
            if self._closed:
                raise errors.Unavailable(_STOPPING)
            job = self._jobs.get(key)
            if job is None or job.abandoned:  # an abandoned one that runs may stop at any moment
                job = self._jobs[key] = Job(key, work, priority, next(self._sequence))
            else:
                self.counts["coalesced"] += 1
                job.priority = min(job.priority, priority)
                job.sequence = next(self._sequence)
            job.waiters += 1
            self._changed.notify()
            return job

    def leave(self, job: Job) -> None:
        """Wait no longer. A job that nobody waits for does not begin, or stops at its next checkpoint."""
        with self._changed:
            job.waiters -= 1
            if job.abandoned and job is not self._running and not job.answer.done():
                if self._jobs.get(job.key) is job:
                    del self._jobs[job.key]
                self.counts["dropped"] += 1

    def run(self) -> None:
        """Do what is asked until :meth:`close`."""
        while True:
            with self._changed:
                while not self._closed and not self._jobs:
                    self._changed.wait()
                if self._closed:
                    for job in self._jobs.values():
                        job.answer.set_exception(errors.Unavailable(_STOPPING))
                    self._jobs.clear()
                    return
                job = min(self._jobs.values(), key=lambda each: (each.priority, -each.sequence))
                self._running = job
            outcome, answer, failure = "answered", b"", None
            try:
                answer = job.work(lambda job=job: job.abandoned)
            except Stopped:
                outcome, failure = (
                    "stopped",
                    errors.Unavailable("Nobody waited for this any more; ask again."),
                )
            except Exception as error:
                failure = error
            with self._changed:
                self._running = None
                if self._jobs.get(job.key) is job:
                    del self._jobs[job.key]
                self.counts[outcome] += 1
            if failure is None:
                job.answer.set_result(answer)
            else:
                job.answer.set_exception(failure)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def waiting(self) -> int:
        with self._changed:
            return len(self._jobs) - (self._running is not None)
