"""How often somebody may do what costs: token buckets (Turner 1986), one for each name or address.

A bucket holds ``at_once`` at most and fills evenly, at ``a_second``. Whoever finds something in theirs may take more than it
holds and then waits until it has filled again: so a large question is answered, and paid for afterwards.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_BUCKETS = 10_000


class Allowance:
    """Buckets by key. Thread-safe. They are of this process: several web processes each give as much."""

    def __init__(self, a_second: float, at_once: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second = a_second
        self._at_once = at_once
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what it held, and when

    def take(self, key: str, count: float = 1.0) -> float:
        """0 where so many were taken; else nothing was, and the answer is in how many seconds to try again."""
        now = self._clock()
        with self._lock:
            held, since = self._buckets.get(key, (self._at_once, now))
            held = min(self._at_once, held + (now - since) * self._a_second)
            if held < min(count, 1.0):
                return (min(count, 1.0) - held) / self._a_second
            self._buckets[key] = held - count, now
            self._buckets.move_to_end(key)
            if len(self._buckets) > MOST_BUCKETS:  # the one that was used longest ago is full by now, or nearly
                self._buckets.popitem(last=False)
            return 0.0
