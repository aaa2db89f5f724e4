"""The order and grouping in which checkpoints are processed while a user waits.

The ones nearest to what is looked at come first, in short blocks at first; blocks are grouped so that one call of the
model service takes about :data:`CALL_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mloscope.adaptors.interface import Checkpoint

BLOCK_STEPS = 16
"""Checkpoints per block at most; a power of two, see :func:`nearest_first`."""
FIRST_BLOCK_STEPS = 2
MOST_STEPS = 64
"""Checkpoints in one call of the model service at most."""
CALL_S = 0.5
"""How long a call of the model service should take, so that the reader sees progress and hanging up stops the work."""
_TELLING_STEPS = 8
"""Calls with at least this many steps are long enough to estimate the time per step."""


def nearest_first(count: int, near: int, size: int = BLOCK_STEPS) -> list[range]:
    """Yield 0..count-1 in ranges of at most ``size`` (a power of two), nearest to ``near`` first.

    The block around ``near`` is halved again and again, so that the first range is short (:data:`FIRST_BLOCK_STEPS`) and
    the next ones grow. Ranges begin at multiples of their length: wherever a viewer stands, mostly the same ranges come,
    and the cache has them.
    """
    if count == 0:
        return []
    first: list[range] = []
    start, length = near // size * size, size
    while length > FIRST_BLOCK_STEPS:
        length //= 2
        if near < start + length:
            first.append(range(start + length, start + 2 * length))
        else:
            first.append(range(start, start + length))
            start += length
    first.append(range(start, start + length))
    others = [range(begin, begin + size) for begin in range(0, count, size) if begin != near // size * size]
    others.sort(key=lambda block: max(block.start - near, near - block.stop + 1))
    clipped = (range(block.start, min(block.stop, count)) for block in [*reversed(first), *others])
    return [block for block in clipped if block]


def place_of(checkpoints: Sequence[Checkpoint], step: int | None) -> int:
    """Return the position of the step among the checkpoints; 0 if it is not among them."""
    return next((i for i, checkpoint in enumerate(checkpoints) if checkpoint.step == step), 0)


class Pace:
    """Learns evaluation times of networks, by the digest of their architecture. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._step_s: dict[str, float] = {}

    @contextmanager
    def timed(self, architecture: str, steps: int) -> Iterator[None]:
        """Time a call of the model service."""
        began = self._clock()
        yield
        if steps >= _TELLING_STEPS:
            self._step_s[architecture] = (self._clock() - began) / steps

    def groups(self, architecture: str, blocks: Sequence[range]) -> Iterator[list[range]]:
        """Group the blocks so that each group takes about :data:`CALL_S`, judged by recent evaluations of the network,
        or at first by the previous group."""
        rest = list(blocks)
        allowed = 1.0
        while rest:
            group = [rest.pop(0)]
            count = len(group[0])
            while rest and count + len(rest[0]) <= allowed:
                group.append(rest.pop(0))
                count += len(group[-1])
            began = self._clock()
            yield group
            step_s = self._step_s.get(architecture) or (self._clock() - began) / count
            allowed = min(MOST_STEPS, CALL_S / max(step_s, 1e-6))
