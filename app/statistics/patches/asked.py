"""Which patches are wanted: layers that fit into a budget of memory, and how many images per unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mloscope.adaptors.interface import Layer
from mloscope.app.errors import NotFound, NotPossible

PER_UNIT = 9
"""Images per unit, unless told otherwise."""
MAPS_BYTES = 256 << 20
"""By default, layers are taken as long as the maps of one batch fit into this much memory, smaller maps first."""
_KINDS = (
    *("convolution", "depthwise convolution", "separable convolution", "transposed convolution"),
    *("locally connected", "dense"),
)


@dataclass(frozen=True)
class AskedPatches:
    """Of these layers, the strongest ``count`` images of each unit."""

    layers: tuple[str, ...]
    count: int = PER_UNIT


def asked_patches(layers: Sequence[Layer], named: Sequence[str], count: int, batch: int) -> AskedPatches:
    """The layers of these names; of none, those that :func:`default_layers` takes. Raises :class:`NotFound` and
    :class:`NotPossible`."""
    known = {layer.name: layer for layer in layers}
    for name in named:
        if name not in known:
            raise NotFound(f'The network has no layer "{name}"; there are: {", ".join(known)}.')
        if known[name].problem:
            raise NotPossible(str(known[name].problem))
    return AskedPatches(tuple(dict.fromkeys(named)) or default_layers(layers, batch), count)


def default_layers(layers: Sequence[Layer], batch: int) -> tuple[str, ...]:
    """Convolutions and dense layers, in the network's order, whose maps of a batch fit into :data:`MAPS_BYTES` together."""
    likely = [
        (4 * batch * math.prod(size or 0 for size in layer.output_shape or ()), place, layer.name)
        for place, layer in enumerate(layers)
        if layer.kind in _KINDS and layer.problem is None and _is_known(layer)
    ]
    taken, used = [], 0
    for size, place, name in sorted(likely):
        used += size
        if used <= MAPS_BYTES:
            taken.append((place, name))
    return tuple(name for _place, name in sorted(taken))


def batch_that_fits(layers: Sequence[Layer], asked: AskedPatches, batch: int) -> int:
    """As many images as a batch may have for the maps of the layers asked for to fit into :data:`MAPS_BYTES`; at least 1, at
    most ``batch``."""
    of_image = sum(
        4 * math.prod(size or 1 for size in layer.output_shape or ()) for layer in layers if layer.name in asked.layers
    )
    return max(1, min(batch, MAPS_BYTES // max(1, of_image)))


def _is_known(layer: Layer) -> bool:
    shape = layer.output_shape
    return shape is not None and None not in shape and len(shape) in (1, 3)
