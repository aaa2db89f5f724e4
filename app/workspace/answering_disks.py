"""Detect disks that do not answer, such as a network mount whose server is down, so that only what lies on them is
affected.

A thread that asks such a disk waits until it is back, and cannot be stopped. So disks are asked by threads of their own: one asks
all paths in turn, and where it does not get on others take over what is left, in the end one for each path that hangs. Everybody
else waits for them no longer than :data:`PATIENCE_S`, and not at all once a path has waited so long.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

from mloscope.app.errors import Unavailable

PATIENCE_S = 3.0
FRESH_S = 1.0
"""An answer counts for so long; what begins within it may still have to wait for the disk."""
_GETS_ON_WITHIN_S = 0.02
"""Disks that answer do so a thousand times faster."""


def touch(path: Path) -> None:
    """Access the path; any result of the disk counts as an answer."""
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            os.scandir(path).close()
    except OSError:
        pass


class _Asked:
    """A path, and whether it has answered."""

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
        self._to_ask: deque[Path] = deque()
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
        asked = {path: self._queued(path) for path in dict.fromkeys(paths)}
        started = self._start(1)
        for each in asked.values():
            # Later callers do not wait again once the patience has been used up.
            until_s = each.began_s + self._patience_s
            while not each.answer.wait(max(0.0, min(_GETS_ON_WITHIN_S, until_s - self._clock()))):
                if self._clock() >= until_s:
                    break
                started += self._start(started or 1)
        return {path for path, each in asked.items() if each.answer.is_set()}

    def _queued(self, path: Path) -> _Asked:
        with self._lock:
            asked = self._asked.setdefault(path, _Asked())
            now = self._clock()
            if asked.answer.is_set() and now - asked.answered_s >= self._fresh_s:
                asked.began_s = now
                asked.answer.clear()
                self._to_ask.append(path)
            return asked

    def _start(self, most: int) -> int:
        """Start no more threads than that, and none that would find nothing to ask; how many it were."""
        count = min(most, len(self._to_ask))
        for _ in range(count):
            threading.Thread(target=self._ask_in_turn, name="asking disks", daemon=True).start()
        return count

    def _ask_in_turn(self) -> None:
        while True:
            with self._lock:
                if not self._to_ask:
                    return
                path = self._to_ask.popleft()
                asked = self._asked[path]
            try:
                self._ask(path)
            finally:
                asked.answered_s = self._clock()
                asked.answer.set()
