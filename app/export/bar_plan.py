"""A film with one number per unit, outputs of a dense layer or a bias, as bars from zero, as in ``assets/films/bars.mjs``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.app.export.tile_plan import Label
from mloscope.app.export.whole_film import FilmFrame
from mloscope.app.films.encoding import FIRST_CODE, MINUS_INFINITY_CODE, NAN_CODE

_LEAST_ROW_PX, _MOST_ROW_PX = 16, 26
_LEAST_BAR_PX, _CHARACTER_PX, _MOST_LABEL_PX = 60, 7, 110
_GAP_PX, _COLUMN_GAP_PX = 2, 14


def is_bars(header: Mapping[str, Any]) -> bool:
    """Whether a film has one number per unit."""
    values = len(header["channels"]) * header["rows"] * header["columns"] * header["components"]
    return len(header["units"]) > 1 and values == 1


@dataclass(frozen=True)
class BarPlan:
    """A row per unit, in columns read downwards."""

    size: tuple[int, int]
    labels: tuple[Label, ...]
    left: tuple[int, ...]
    """Per unit, where its bar's room begins; a row is ``row_height`` high and its bar's room ``length`` long."""
    top: tuple[int, ...]
    length: int
    row_height: int

    @classmethod
    def of(cls, header: Mapping[str, Any], names: Sequence[str], room: tuple[int, int]) -> BarPlan:
        width, height = room
        units = len(header["units"])
        label = min(_MOST_LABEL_PX, max(map(len, names)) * _CHARACTER_PX + 8)
        most = max(1, (width + _COLUMN_GAP_PX) // (label + _LEAST_BAR_PX + _COLUMN_GAP_PX))
        down = -(-units // min(most, max(1, -(-units * _LEAST_ROW_PX // height))))
        across = -(-units // down)
        step_y = max(_LEAST_ROW_PX, min(_MOST_ROW_PX, height // down))
        step_x = (width + _COLUMN_GAP_PX) // across
        places = [divmod(unit, down) for unit in range(units)]
        labels = tuple(
            Label(column * step_x, row * step_y + (step_y - _GAP_PX - 14) // 2, name)
            for (column, row), name in zip(places, names, strict=True)
        )
        return cls(
            (across * step_x - _COLUMN_GAP_PX, down * step_y - _GAP_PX),
            labels,
            tuple(column * step_x + label for column, _ in places),
            tuple(row * step_y for _, row in places),
            step_x - _COLUMN_GAP_PX - label,
            step_y - _GAP_PX,
        )

    def paint(
        self,
        target: np.ndarray,
        frame: FilmFrame,
        ends: Sequence[tuple[float, float] | None],
        table: np.ndarray,
        ground: np.ndarray,
        hatch: np.ndarray,
    ) -> None:
        """Paint the rows into ``target`` (y, x), in colours of the same kind; a unit without a number is hatched."""
        for unit, (value, (low, high), x, y) in enumerate(
            zip(_values(frame), ((each or (0.0, 0.0)) for each in ends), self.left, self.top, strict=True)
        ):
            row = target[y : y + self.row_height, x : x + self.length]
            if np.isnan(value) or ends[unit] is None:
                row[:] = hatch[y : y + self.row_height, x : x + self.length]
                continue
            row[:] = ground
            start, stop = _extent(value, min(low, 0.0), max(high, 0.0), self.length)
            place = (value - low) / (high - low) * 255 + 0.5 if high > low else 128.0
            row[:, start:stop] = table[int(np.clip(place, 0, 255))]


def _extent(value: float, low: float, high: float, length: int) -> tuple[int, int]:
    """Where a bar begins and ends, in pixels."""
    shares = [0.0, 0.0] if high <= low else [(np.clip(each, low, high) - low) / (high - low) for each in (0.0, value)]
    zero, at = (int(share * length + 0.5) for share in shares)
    return (max(0, zero - 1), max(1, zero)) if zero == at else (min(zero, at), max(zero, at))


def _values(frame: FilmFrame) -> list[float]:
    """One number per unit: its range is of one value."""
    special = {NAN_CODE: np.nan, MINUS_INFINITY_CODE: -np.inf}
    codes, lows = frame.codes.reshape(-1).tolist(), frame.unit_ranges[:, 0].tolist()
    return [low if code >= FIRST_CODE else special.get(code, np.inf) for code, low in zip(codes, lows, strict=True)]
