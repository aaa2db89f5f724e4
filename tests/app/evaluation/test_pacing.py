"""The order of checkpoints, nearest first."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mloscope.app.evaluation.pacing import FIRST_BLOCK_STEPS, nearest_first


@given(st.integers(0, 300), st.sampled_from([1, 2, 4, 8, 16]), st.data())
def test_blocks_hold_every_checkpoint_once_nearest_first(count: int, size: int, data: Any) -> None:
    near = data.draw(st.integers(0, max(0, count - 1)))
    blocks = nearest_first(count, near, size)
    assert sorted(i for block in blocks for i in block) == list(range(count))
    assert all(0 < len(block) <= size for block in blocks)
    if count:
        assert near in blocks[0]
        assert len(blocks[0]) <= min(size, FIRST_BLOCK_STEPS)
    ends = [max(block.start - near, near - block.stop + 1, 0) for block in blocks]
    beyond = [end for end, block in zip(ends, blocks, strict=True) if block.start // size != near // size]
    assert beyond == sorted(beyond)
