"""Arrays over time as films: one byte per value, and the range that gives the value back.

A film holds one thing (a layer's filters, a layer's feature maps of one image) at several checkpoints. As bytes it is a
container (:mod:`mloscope.app.process.binary_container`) of the kind "MLF1", little-endian:

    header  {"steps": [int, ...], "shape": [units, channels, rows, columns, components]}
    arrays  float32 unit_ranges [step, unit, 2]
            float32 layer_ranges [step, 2]
            uint8   codes [step, unit, channel, row, column, component]

Code 0 is NaN, 1 minus infinity, 2 plus infinity; 3..255 stand for ``lo + (code - 3) / 252 * (hi - lo)``, with
lo and hi the unit's range at that step (lo == hi: code 3). Values are rounded to float32 first; what lies
beyond float32 counts as infinite. A finite value comes back within half a code step, ``(hi - lo) / 504``, but
for the rounding of float32 arithmetic (:data:`ERROR_SLACK`); NaN and infinities come back exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mloscope.app.errors import BadRequest, NotPossible
from mloscope.app.process import binary_container

KIND = b"MLF1"
NAN_CODE, MINUS_INFINITY_CODE, PLUS_INFINITY_CODE, FIRST_CODE = 0, 1, 2, 3
CODE_STEPS = 252
ERROR_SLACK = 1e-4
"""By how much of itself half a code step may be exceeded, because codes are computed in float32."""

# Outside this span float32 arithmetic overflows or loses the quotient 252 / span; float64 holds both.
_SPAN_FOR_FLOAT32 = (1e-35, 1e38)


def tiles(
    array: np.ndarray,
    axes: Sequence[str],
    preceding_shape: Sequence[int | None] | None = None,
    layout: str = "tiles",
    flattened: Sequence[str] = ("row", "column", "channel"),
) -> np.ndarray:
    """A parameter as pictures: (unit, channel, row, column), in the array's float type; a view where
    possible.

    ``axes`` are those of :class:`mloscope.adaptors.interface.Parameter`. Kernels of convolutions, in any
    order of axes: one tile a unit and channel. Depthwise kernels: unit ``u * multipliers + m``, one channel.
    Dense kernels: with layout ``tiles`` and a ``preceding_shape`` (row, column, channel) of as many values as
    the kernel has inputs, the unit's weights reshaped to it, for a map whose axes were flattened in the order
    of ``flattened``; otherwise one row a unit. Vectors: 1x1 tiles. Integers become floats.

    Raises :class:`NotPossible` for axes that are no picture.
    """
    if layout not in ("tiles", "matrix"):
        raise BadRequest(f'The layout "{layout}" does not exist: it is "tiles" or "matrix".')
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
        raise NotPossible(f"An array of type {array.dtype} cannot be drawn as tiles: its values are no real numbers.")
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
    """The array with its axes as wanted; an axis that it has not is there with size 1."""
    present = [axes.index(axis) for axis in wanted if axis in axes]
    array = array.transpose(present + [i for i, axis in enumerate(axes) if axis not in wanted])
    index = tuple(slice(None) if axis in axes else np.newaxis for axis in wanted)
    return array[index], wanted


def map_tiles(feature_map: np.ndarray) -> np.ndarray:
    """A layer's output for one image, (row, column, unit) or (row, unit) or (unit,), as (unit, 1, row,
    column)."""
    if feature_map.ndim > 3 or feature_map.ndim == 0:
        raise NotPossible(f"An output of shape {feature_map.shape} cannot be drawn as maps of rows and columns.")
    while feature_map.ndim < 3:
        feature_map = feature_map[..., np.newaxis, :]
    return feature_map.transpose(2, 0, 1)[:, np.newaxis]


def ranges(values: np.ndarray) -> np.ndarray:
    """float32 (unit, 2): least and greatest finite value of each unit of an array (unit, ...); NaN where none
    is."""
    values = _as_float32(values)
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


def _as_float32(values: np.ndarray) -> np.ndarray:
    if values.dtype == np.float32:
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Film:
    """Several checkpoints of one thing. Arrays may be read-only views of one buffer."""

    steps: tuple[int, ...]
    unit_ranges: np.ndarray
    """float32 (step, unit, 2): over all the unit's channels, also those not in this film."""
    layer_ranges: np.ndarray
    """float32 (step, 2): over all units of the layer, also those not in this film."""
    codes: np.ndarray
    """uint8 (step, unit, channel, row, column, component)"""

    def values(self) -> np.ndarray:
        """The values again, float32 in the shape of ``codes``, as exactly as the module's docstring says."""
        low = self.unit_ranges[..., 0].astype(np.float64)
        span = self.unit_ranges[..., 1] - low
        shape = (*self.codes.shape[:2], 256)
        table = np.empty(shape, np.float32)
        share = (np.arange(256) - FIRST_CODE) / CODE_STEPS
        with np.errstate(over="ignore", invalid="ignore"):
            table[...] = low[..., np.newaxis] + share * span[..., np.newaxis]
        table[..., NAN_CODE] = np.nan
        table[..., MINUS_INFINITY_CODE] = -np.inf
        table[..., PLUS_INFINITY_CODE] = np.inf
        flat = self.codes.reshape(*self.codes.shape[:2], int(np.prod(self.codes.shape[2:])))
        return np.take_along_axis(table, flat.astype(np.intp), axis=2).reshape(self.codes.shape)

    def to_bytes(self) -> bytes:
        """The film in the layout "MLF1"."""
        header = {"steps": list(self.steps), "shape": list(self.codes.shape[1:])}
        ranges = (np.asarray(self.unit_ranges, "<f4"), np.asarray(self.layer_ranges, "<f4"))
        return binary_container.pack(KIND, header, (*ranges, self.codes))

    @classmethod
    def from_bytes(cls, data: bytes) -> Film:
        """The film of such bytes, without copying them. Raises :class:`BadRequest` where they are not a film's."""
        header, start = binary_container.unpack(KIND, data)
        try:
            steps = tuple(int(step) for step in header["steps"])
            shape = tuple(int(size) for size in header["shape"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadRequest(f"The film's header cannot be read: {error}.") from error
        if len(shape) != 5 or min(shape) < 0:
            raise BadRequest(
                f"The film's shape is {list(shape)}; it must be units, channels, rows, columns, components."
            )
        count, units = len(steps), shape[0]
        sizes = (count * units * 8, count * 8, count * int(np.prod(shape, dtype=object)))
        if len(data) != start + sum(sizes):
            raise BadRequest(f"The film has {len(data)} bytes; by its header it should have {start + sum(sizes)}.")
        unit_ranges = np.frombuffer(data, "<f4", count * units * 2, start).reshape(count, units, 2)
        layer_ranges = np.frombuffer(data, "<f4", count * 2, start + sizes[0]).reshape(count, 2)
        codes = np.frombuffer(data, np.uint8, sizes[2], start + sizes[0] + sizes[1]).reshape(count, *shape)
        return cls(steps, unit_ranges, layer_ranges, codes)


def quantise(
    steps: Sequence[int],
    values: np.ndarray | Sequence[np.ndarray],
    unit_ranges: np.ndarray | None = None,
    layer_ranges: np.ndarray | None = None,
) -> Film:
    """The film of ``values`` (step, unit, channel, row, column, component), any float type; a list of arrays,
    one a step, will do and is not copied together.

    ``unit_ranges`` (step, unit, 2) and ``layer_ranges`` (step, 2) are those of :func:`ranges` and
    :func:`joint_range` over everything the unit and the layer have; left out, they are those of the values
    given. A value outside its unit's range is drawn as the range's end.
    """
    count = len(steps)
    if len(values) != count:
        raise ValueError(f"{len(values)} arrays for {count} steps")
    shape = np.shape(values[0]) if count else (0, 0, 0, 0, 0)
    if len(shape) != 5:
        raise ValueError(f"values of shape {shape} a step: unit, channel, row, column, component expected")
    if unit_ranges is None:
        unit_ranges = np.array([ranges(frame) for frame in values], np.float32).reshape(count, shape[0], 2)
    if layer_ranges is None:
        layer_ranges = np.array([joint_range(units) for units in unit_ranges], np.float32).reshape(count, 2)
    unit_ranges = np.asarray(unit_ranges, np.float32)
    layer_ranges = np.asarray(layer_ranges, np.float32)
    codes = np.empty((count, *shape), np.uint8)
    room: dict[type, np.ndarray] = {}  # one buffer of one checkpoint, small enough to stay in the processor's cache
    for frame, limits, out in zip(values, unit_ranges, codes, strict=True):
        _quantise_frame(_as_float32(np.asarray(frame)), limits, out, room)
    return Film(tuple(int(step) for step in steps), unit_ranges, layer_ranges, codes)


def _quantise_frame(frame: np.ndarray, limits: np.ndarray, out: np.ndarray, room: dict[type, np.ndarray]) -> None:
    """Codes of one checkpoint (unit, channel, row, column, component) into ``out``."""
    if frame.size == 0:
        return
    low = np.nan_to_num(limits[:, 0].astype(np.float64))
    span = np.nan_to_num(limits[:, 1].astype(np.float64)) - low
    moving = span > 0
    narrow, wide = _SPAN_FOR_FLOAT32
    small = not (moving & ((span < narrow) | (span > wide))).any()
    kind = np.float32 if small else np.float64
    buffer = room.get(kind)
    if buffer is None:
        buffer = room[kind] = np.empty(frame.shape, kind)
    scale = np.divide(CODE_STEPS, span, out=np.zeros_like(span), where=moving)
    column = (slice(None), *(np.newaxis,) * 4)
    with np.errstate(invalid="ignore", over="ignore"):
        np.subtract(frame, low.astype(kind)[column], out=buffer, dtype=kind)
        buffer *= scale.astype(kind)[column]
        buffer += kind(FIRST_CODE + 0.5)
        np.clip(buffer, kind(FIRST_CODE), kind(255), out=buffer)
        np.copyto(out, buffer, casting="unsafe")
    finite = np.isfinite(frame)
    if not finite.all():
        out[np.isnan(frame)] = NAN_CODE
        out[np.isneginf(frame)] = MINUS_INFINITY_CODE
        out[np.isposinf(frame)] = PLUS_INFINITY_CODE
