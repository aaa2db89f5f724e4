"""About how long a network takes over all images at all checkpoints: said before somebody starts it.

Right within a factor of a few, which tells seconds from minutes from hours. What was measured before is better than any count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from mloscope.adaptors.interface import Layer

_START_S = 3.0
"""To start the process and import the framework."""
_CHECKPOINT_S = 0.02
"""To load the weights of a checkpoint."""
_PRODUCTS_PER_S = 15e9
"""Multiplications and additions of an ordinary machine without a GPU."""


def expected_seconds(layers: Iterable[Layer], evaluations: int, checkpoints: int, rate: float | None = None) -> float:
    """Return the expected time for ``evaluations`` images at ``checkpoints`` checkpoints in all. ``rate``: evaluations per
    second, where they were measured."""
    each_s = 1 / rate if rate else products(layers) / _PRODUCTS_PER_S
    return _START_S + checkpoints * _CHECKPOINT_S + evaluations * each_s


def products(layers: Iterable[Layer]) -> int:
    """Return the number of products that the network forms of one image: each kernel once per place of its layer's map."""
    return sum(
        _places(layer) * math.prod(p.shape)
        for layer in layers
        for p in layer.parameters
        if len(p.shape) > 1 and not p.slot
    )


def _places(layer: Layer) -> int:
    return math.prod(size or 1 for size in (layer.output_shape or ())[:-1])
