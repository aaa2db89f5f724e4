"""Arrays as tiles: a layer's parameters and outputs arranged as pictures of units and channels, and their ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mloscope.app.errors import BadRequest, NotPossible

LAYOUTS = ("tiles", "matrix")


def tiles(
    array: np.ndarray,
    axes: Sequence[str],
    preceding_shape: Sequence[int | None] | None = None,
    layout: str = "tiles",
    flattened: Sequence[str] = ("row", "column", "channel"),
) -> np.ndarray:
    """Arrange a parameter as pictures: (unit, channel, row, column), in the array's float type; a view where possible.

    ``axes`` are those of :class:`mloscope.adaptors.interface.Parameter`. Kernels of convolutions, in any
    order of axes: one tile per unit and channel. Depthwise kernels: unit ``u * multipliers + m``, one channel.
    Dense kernels: with layout ``tiles`` and a ``preceding_shape`` (row, column, channel) of as many values as
    the kernel has inputs, the unit's weights reshaped to it, for a map whose axes were flattened in the order
    of ``flattened``; otherwise one row per unit. Vectors: 1x1 tiles. Integers become floats.

    Raises :class:`NotPossible` for axes that do not make a picture.
    """
    if layout not in ("tiles", "matrix"):
        raise BadRequest(f'The layout must be "tiles" or "matrix"; got "{layout}".')
    array = np.asarray(array)
    axes = tuple(axes)
    known = {"row", "column", "channel", "unit", "multiplier"}
    if len(axes) != array.ndim or not set(axes) <= known or len(set(axes)) != len(axes):
        raise NotPossible(
            f"An array of shape {array.shape} with the axes ({', '.join(axes)}) cannot be drawn as tiles: "
            "every axis must be one of row, column, channel, unit and multiplier, each at most once."
        )
    if array.dtype.kind in "biu":
        array = array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    elif array.dtype.kind != "f":
        raise NotPossible(f"An array of type {array.dtype} cannot be drawn as tiles: its values are not real numbers.")
    if "multiplier" in axes:
        base = "unit" if "unit" in axes else "channel"
        array, axes = _ordered(array, axes, (base, "multiplier", *(a for a in axes if a in ("row", "column"))))
        array = array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])
        axes = ("unit", *axes[2:])
    elif "unit" not in axes:
        axes = tuple("unit" if axis == "channel" else axis for axis in axes)
    array, _ = _ordered(array, axes, ("unit", "channel", "row", "column"))
    if "row" in axes or "column" in axes or "channel" not in axes:
        return array
    units, inputs = array.shape[:2]
    if layout == "tiles" and preceding_shape is not None and None not in preceding_shape and len(preceding_shape) == 3:
        rows, columns, channels = (int(size) for size in preceding_shape if size is not None)
        if rows * columns * channels == inputs and rows * columns > 1:
            sizes = {"row": rows, "column": columns, "channel": channels}
            order = [1 + list(flattened).index(axis) for axis in ("channel", "row", "column")]
            return array.reshape(units, *(sizes[axis] for axis in flattened)).transpose(0, *order)
    return array.reshape(units, 1, 1, inputs)


def _ordered(array: np.ndarray, axes: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reorder the axes as wanted; an axis that the array lacks gets size 1."""
    present = [axes.index(axis) for axis in wanted if axis in axes]
    array = array.transpose(present + [i for i, axis in enumerate(axes) if axis not in wanted])
    index = tuple(slice(None) if axis in axes else np.newaxis for axis in wanted)
    return array[index], wanted


def map_tiles(feature_map: np.ndarray) -> np.ndarray:
    """Arrange a layer's output for one image, (row, column, unit) or (row, unit) or (unit,), as (unit, 1, row, column)."""
    if feature_map.ndim > 3 or feature_map.ndim == 0:
        raise NotPossible(f"An output of shape {feature_map.shape} cannot be drawn as maps of rows and columns.")
    while feature_map.ndim < 3:
        feature_map = feature_map[..., np.newaxis, :]
    return feature_map.transpose(2, 0, 1)[:, np.newaxis]


def ranges(values: np.ndarray) -> np.ndarray:
    """float32 (unit, 2): least and greatest finite value of each unit of an array (unit, ...); NaN where there is none."""
    values = as_float32(values)
    units = values.shape[0]
    if values.size == 0:
        return np.full((units, 2), np.nan, np.float32)
    others = tuple(range(1, values.ndim))
    found = np.empty((units, 2), np.float32)
    # NumPy reduces a transposed view in the order of memory: several times quicker than a copy first.
    found[:, 0] = values.min(axis=others) if others else values
    found[:, 1] = values.max(axis=others) if others else values
    unsure = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(unsure):
        some = values[unsure].reshape(len(unsure), -1)
        finite = np.isfinite(some)
        found[unsure, 0] = np.where(finite, some, np.inf).min(axis=1)
        found[unsure, 1] = np.where(finite, some, -np.inf).max(axis=1)
        found[unsure[~finite.any(axis=1)]] = np.nan
    return found


def joint_range(unit_ranges: np.ndarray) -> np.ndarray:
    """float32 (2,): the range over all units (unit, 2); NaN, NaN where no unit has a finite value."""
    known = unit_ranges[~np.isnan(unit_ranges[:, 0])]
    if len(known) == 0:
        return np.full(2, np.nan, np.float32)
    return np.array([known[:, 0].min(), known[:, 1].max()], np.float32)


def as_float32(values: np.ndarray) -> np.ndarray:
    """The values as float32; what lies beyond becomes infinite."""
    if values.dtype == np.float32:
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


class ByUnit(NamedTuple):
    """An array with a row per unit."""

    rows: np.ndarray
    """(unit, value)"""
    shape: tuple[int, ...]
    """Of the axes that make up the value."""
    axes: tuple[str, ...]
    """Their names."""


def by_unit(array: np.ndarray, axes: Sequence[str]) -> ByUnit:
    """Arrange a parameter with a row per unit, numbered as in :func:`tiles`."""
    axes = tuple(axes)
    if "unit" not in axes:
        axes = tuple("unit" if axis == "channel" else axis for axis in axes)
    leading = [axes.index(axis) for axis in ("unit", "multiplier") if axis in axes]
    inner = [i for i in range(len(axes)) if i not in leading]
    units = int(np.prod([array.shape[i] for i in leading], dtype=np.int64))
    flat = array.transpose(leading + inner).reshape(units, -1)
    return ByUnit(flat, tuple(array.shape[i] for i in inner), tuple(axes[i] for i in inner))
