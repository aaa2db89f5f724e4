"""How often somebody may do what costs: token buckets (Turner 1986), one for each name or address.

A bucket holds ``at_once`` at most and fills evenly, at ``a_second``. Whoever finds something in theirs may take more than it
holds and then waits until it has filled again: so a large question is answered, and paid for afterwards.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, MutableMapping

from cachetools import LRUCache

from mloscope.app.errors import TooManyRequests
from mloscope.app.process.request_context import CALLER

MOST_BUCKETS = 10_000


class Allowance:
    """Buckets by key. Thread-safe. They are of this process: several web processes each give as much."""

    def __init__(self, a_second: float, at_once: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second = a_second
        self._at_once = at_once
        self._clock = clock
        self._lock = threading.Lock()
        # What each held, and when. The one that was used longest ago is full by now, or nearly.
        self._buckets: MutableMapping[str, tuple[float, float]] = LRUCache(MOST_BUCKETS)

    def take(self, key: str, count: float = 1.0) -> float:
        """0 where so many were taken; else nothing was, and the answer is in how many seconds to try again."""
        now = self._clock()
        with self._lock:
            held, since = self._buckets.get(key, (self._at_once, now))
            held = min(self._at_once, held + (now - since) * self._a_second)
            if held < min(count, 1.0):
                return (min(count, 1.0) - held) / self._a_second
            self._buckets[key] = held - count, now
            return 0.0


class EvaluationCharge:
    """Called before checkpoints are evaluated, on behalf of whoever asks (:data:`CALLER`); see :class:`Evaluations`."""

    def __init__(
        self,
        a_minute: int,
        count: Callable[[int], None] = lambda _count: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``a_minute``: checkpoints for each user or address, as many at once; 0: any number. ``count`` hears of all."""
        self._allowance = Allowance(a_minute / 60, a_minute, clock) if a_minute else None
        self._a_minute = a_minute
        self._count = count

    def __call__(self, count: int) -> None:
        """Raises :class:`TooManyRequests`."""
        caller = CALLER.get()
        if self._allowance is not None and not caller.is_owner:
            wait_s = self._allowance.take(caller.key, count)
            if wait_s:
                raise TooManyRequests(
                    f"That is more than {self._a_minute:,} evaluations a minute, your share of the model service; "
                    f"ask again in {math.ceil(wait_s)} seconds. What was computed before is there all the time.",
                    wait_s,
                )
        self._count(count)
