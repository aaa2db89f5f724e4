"""Series over all steps, cut into pieces under addresses that hold a digest of what they were computed from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence

from mloscope.app.errors import BadRequest, Conflict, NotFound
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.statistics.stored.step_statistics import StepStatistics

CHUNK_BYTES = 1 << 20
"""A chunk has as many steps as fit in, and at least one."""

Chunks = list[tuple[list[int], str]]
"""Steps and digest of each chunk."""


def cut(steps: Sequence[tuple[int, str, int, int]]) -> Chunks:
    """Consecutive (step, key, bytes, kind) in chunks of one kind and of at most CHUNK_BYTES."""
    chunks: list[list[tuple[int, str]]] = []
    size, before = 0, None
    for step, key, length, kind in steps:
        if not chunks or size + length > CHUNK_BYTES or kind != before:
            chunks.append([])
            size, before = 0, kind
        chunks[-1].append((step, key))
        size += length
    return [([step for step, _ in chunk], _digest_of(chunk)) for chunk in chunks]


def current(of: RunStatistics, steps: Sequence[int], digest: str, key_of: Callable[[int], str]) -> list[StepStatistics]:
    """The statistics of a chunk's steps. Raises :class:`NotFound` for a step that is not ready, :class:`Conflict` if the
    digest is not that of the present content."""
    if not steps:
        raise BadRequest("steps = nothing: it must name steps, such as 0,100,200.")
    for step in steps:
        if step not in of.ready:
            raise NotFound(f"Step {step} has no statistics; the overview says which have.")
    if digest != _digest_of([(step, key_of(step)) for step in steps]):
        raise Conflict("The statistics changed since this address was made; the overview has the new one.")
    return [of.ready[step] for step in steps]


def _digest_of(chunk: Sequence[tuple[int, str]]) -> str:
    return hashlib.blake2b(json.dumps(chunk).encode(), digest_size=16).hexdigest()
