"""Arrays over time as films: one byte per value, and the range that gives the value back.

A film holds one thing (a layer's filters, a layer's feature maps of one image) at several checkpoints. As bytes it is a
container (:mod:`mloscope.app.process.binary_container`) of the kind "MLF1", little-endian:

    header  {"steps": [int, ...], "shape": [units, channels, rows, columns, components],
             "figures": [{name: [number, word or null, of each unit]}, of each step], where there are any}
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
from typing import Any

import numpy as np

from mloscope.app.errors import BadRequest
from mloscope.app.films.kinds import Figures
from mloscope.app.process import binary_container
from mloscope.app.runs.tiles import as_float32, joint_range, ranges

KIND = b"MLF1"
NAN_CODE, MINUS_INFINITY_CODE, PLUS_INFINITY_CODE, FIRST_CODE = 0, 1, 2, 3
CODE_STEPS = 252
ERROR_SLACK = 1e-4
"""By how much of itself half a code step may be exceeded, because codes are computed in float32."""

# Outside this span float32 arithmetic overflows or loses the quotient 252 / span; float64 holds both.
_SPAN_FOR_FLOAT32 = (1e-35, 1e38)


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
    figures: tuple[Figures, ...] = ()
    """Of each step what stands beside its units; empty where nothing does."""

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
        header: dict[str, Any] = {"steps": list(self.steps), "shape": list(self.codes.shape[1:])}
        if any(self.figures):
            header["figures"] = [{name: list(of_units) for name, of_units in each.items()} for each in self.figures]
        limits = (np.asarray(self.unit_ranges, "<f4"), np.asarray(self.layer_ranges, "<f4"))
        return binary_container.pack(KIND, header, (*limits, self.codes))

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
        return cls(steps, unit_ranges, layer_ranges, codes, tuple(header.get("figures", ())))


def quantise(
    steps: Sequence[int],
    values: np.ndarray | Sequence[np.ndarray],
    unit_ranges: np.ndarray | None = None,
    layer_ranges: np.ndarray | None = None,
    figures: Sequence[Figures] = (),
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
        _quantise_frame(as_float32(np.asarray(frame)), limits, out, room)
    return Film(tuple(int(step) for step in steps), unit_ranges, layer_ranges, codes, tuple(figures))


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
