"""Detect disks that do not answer, such as a network mount whose server is down, so that only what lies on them is
affected.

A thread that asks such a disk waits until it is back, and cannot be stopped. So a disk is asked by a thread of its own, one for
each path, and everybody else waits for that thread no longer than :data:`PATIENCE_S`, and not at all once it has waited
so long.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from mloscope.app.errors import Unavailable

PATIENCE_S = 3.0
FRESH_S = 1.0
"""An answer counts for so long; what begins within it may still have to wait for the disk."""


def touch(path: Path) -> None:
    """Access the path; any result of the disk counts as an answer."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            os.scandir(path).close()
    except OSError:
        pass


class _Asked:
    """A path, and the thread that is accessing it."""

    def __init__(self) -> None:
        self.began_s = 0.0
        self.answered_s = -float("inf")
        self.answer = threading.Event()
        self.answer.set()


class AnsweringDisks:
    """Check disks by the paths of runs and corpora. Thread-safe."""

    def __init__(
        self,
        ask: Callable[[Path], None] = touch,
        *,
        patience_s: float = PATIENCE_S,
        fresh_s: float = FRESH_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ask(path)`` returns once the disk has answered."""
        self._ask, self._patience_s, self._fresh_s, self._clock = ask, patience_s, fresh_s, clock
        self._asked: dict[Path, _Asked] = {}
        self._lock = threading.Lock()

    def check(self, path: Path, what: str) -> None:
        """Raise :class:`Unavailable` if the disk does not answer; ``what`` lies on it, such as ``The run "lenet"``."""
        if not self.answers(path):
            raise Unavailable(self.sentence(path, what))

    def sentence(self, path: Path, what: str) -> str:
        return f"{what} does not answer: the disk of {path} does not respond. It is retried continually."

    def answers(self, path: Path) -> bool:
        return path in self.answering([path])

    def answering(self, paths: Iterable[Path]) -> set[Path]:
        """Return the paths whose disks answer. All are checked concurrently."""
        asked = {path: self._start(path) for path in dict.fromkeys(paths)}
        for each in asked.values():
            # Later callers do not wait again once the patience has been used up.
            each.answer.wait(max(0.0, each.began_s + self._patience_s - self._clock()))
        return {path for path, each in asked.items() if each.answer.is_set()}

    def _start(self, path: Path) -> _Asked:
        with self._lock:
            asked = self._asked.setdefault(path, _Asked())
            now = self._clock()
            if not asked.answer.is_set() or now - asked.answered_s < self._fresh_s:
                return asked
            asked.began_s = now
            asked.answer.clear()
        threading.Thread(target=self._wait, args=(path, asked), name="asking a disk", daemon=True).start()
        return asked

    def _wait(self, path: Path, asked: _Asked) -> None:
        try:
            self._ask(path)
        finally:
            asked.answered_s = self._clock()
            asked.answer.set()
