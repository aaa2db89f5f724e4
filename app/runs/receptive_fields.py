"""Which part of the network's input each place of a layer's map can see, from the architecture alone.

    Layer.sights, from the image on ──► for each place of a map: first row, row behind the last; the same of columns

Rows and columns are independent of each other. Where several ways lead to a layer, its field is the smallest rectangle around
all that comes over them; what lies in the padding is no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mloscope.adaptors.interface import Layer, Sight

Box = tuple[int, int, int, int]
"""Top, left, bottom, right in the input; bottom and right are the first row and column outside."""


@dataclass(frozen=True, eq=False)
class ReceptiveFields:
    """Those of all places of one layer's map; a vector is a map of one place."""

    rows: np.ndarray
    """int32 (row of the map, 2): first row of the input seen, and the row behind the last; both 0 where none is."""
    columns: np.ndarray

    def box(self, row: int, column: int) -> Box:
        """Of the place; beyond the map's edge, of the place nearest to it."""
        top, bottom = self.rows[min(row, len(self.rows) - 1)].tolist()
        left, right = self.columns[min(column, len(self.columns) - 1)].tolist()
        return top, left, bottom, right

    @cached_property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the largest field: what a place far from the edges sees."""
        return int(np.ptp(self.rows, axis=1).max()), int(np.ptp(self.columns, axis=1).max())


def receptive_fields(layers: Sequence[Layer], image: tuple[int, int]) -> dict[str, ReceptiveFields]:
    """By name, of all layers of a network (in topological order) that takes images of this many rows and columns."""
    found: dict[str, ReceptiveFields] = {}
    for layer in layers:
        inputs = [found[name] for name in layer.inputs if name in found]
        sizes = _sizes(layer)
        if layer.kind == "input" and len(layer.output_shape or ()) == 3:
            found[layer.name] = ReceptiveFields(_each(image[0]), _each(image[1]))
        elif not inputs:
            found[layer.name] = ReceptiveFields(_all(image[0]), _all(image[1]))
        else:
            is_known = len(layer.sights) == len(layer.inputs) == len(inputs)
            rows, columns = (
                _along(
                    axis, layer.sights if is_known else (), [(each.rows, each.columns)[axis] for each in inputs], size
                )
                for axis, size in enumerate(sizes)
            )
            found[layer.name] = ReceptiveFields(rows, columns)
    return found


def _sizes(layer: Layer) -> tuple[int | None, int | None]:
    """Rows and columns of the layer's map; None where not known."""
    shape = layer.output_shape
    return (1, 1) if shape is None or len(shape) != 3 else (shape[0], shape[1])


def _each(length: int) -> np.ndarray:
    first = np.arange(length, dtype=np.int32)
    return np.stack([first, first + 1], axis=1)


def _all(length: int) -> np.ndarray:
    return np.array([[0, length]], np.int32)


def _along(axis: int, sights: Sequence[Sight], inputs: Sequence[np.ndarray], size: int | None) -> np.ndarray:
    """The fields along one axis of a layer with ``size`` places on it. Of sights or sizes that are not known, all that any
    place of the inputs sees."""
    if sights and size is not None:
        seen = [_through(sight, axis, fields, size) for sight, fields in zip(sights, inputs, strict=True)]
    else:
        seen = [np.repeat(_around(fields[np.newaxis]), size or 1, axis=0) for fields in inputs]
    return _around(np.stack(seen, axis=1))


def _through(sight: Sight, axis: int, fields: np.ndarray, size: int) -> np.ndarray:
    """What ``size`` places see through a sight of what has these fields."""
    if len(fields) == 1 and sight == Sight():
        return np.repeat(fields, size, axis=0)  # one number for all places
    places = sight.start[axis] + sight.stride[axis] * np.arange(size)[:, np.newaxis]
    taps = places + sight.dilation[axis] * np.arange(sight.size[axis])
    is_there = (taps >= 0) & (taps < sight.spread[axis] * len(fields))
    if not sight.repeats:
        is_there &= taps % sight.spread[axis] == 0
    seen = fields[np.where(is_there, taps // sight.spread[axis], 0)]
    seen[~is_there] = 0
    return _around(seen)


def _around(fields: np.ndarray) -> np.ndarray:
    """int32 (place, 2): the smallest stretch around each place's stretches (place, stretch, 2), of which empty ones do not
    count."""
    first, behind = fields[..., 0], fields[..., 1]
    is_empty = first == behind
    least = np.where(is_empty, np.iinfo(np.int32).max, first).min(axis=1)
    most = np.where(is_empty, 0, behind).max(axis=1)
    return np.stack([np.where(most > 0, least, 0), most], axis=1).astype(np.int32)
