"""Where the tiles of a film lie on a picture, as on pages: units in rows, or a row per unit and a column per channel.

The sizes are those of ``assets/films/draw.mjs``, in whole pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.app.errors import NotPossible

_SMALLEST_TILE = 8
_MOST_STRETCH = 24
_MOST_SCALE = 32
MOST_PIXELS = 16_000_000
"""Of the tiles on one picture."""
HEAD_PX = 14
"""The room for a label above a tile."""
_LEAST_LABELLED_PX = 26
_ROW_HEADER_PX, _NAMED_ROW_HEADER_PX, _COLUMN_HEADER_PX = 38, 100, 18
_ROW_LABEL_PX, _COLUMN_LABEL_PX = 14, 26


@dataclass(frozen=True)
class Label:
    x: int
    y: int
    text: str


@dataclass(frozen=True, eq=False)
class TilePlan:
    """A plan of pixels."""

    source: np.ndarray
    """int32 (y, x): place of what the pixel shows among the frame's values (unit, channel, row, column)."""
    shown: np.ndarray
    """bool (y, x): whether the pixel shows a value; not between tiles."""
    labels: tuple[Label, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.source.shape[1], self.source.shape[0]

    @classmethod
    def of(
        cls, header: Mapping[str, Any], names: Sequence[str], room: tuple[int, int], across: int | None = None
    ) -> TilePlan:
        """Plan for about so much room, width and height. ``across``: tiles in a row, where units stand in rows; default: what lets
        them be largest."""
        return _Grid(header, room, across).plan(names)


class _Grid:
    """Sizes and counts of the tiles."""

    def __init__(self, header: Mapping[str, Any], room: tuple[int, int], across: int | None) -> None:
        self.units, self.channels = len(header["units"]), len(header["channels"])
        self.channel_numbers = header["channels"]
        self.rows, self.columns = header["rows"], header["columns"]
        self.is_matrix = self.rows == 1 and self.columns > 1
        self.is_grid = self.channels > 1
        gap = 0 if self.is_matrix else 1
        magnify_x, magnify_y = self._magnified(room)
        step_x, step_y = self.columns * magnify_x + gap, self.rows * magnify_y + gap
        if self.is_grid or self.is_matrix:
            across = self.channels if self.is_grid else 1
        else:
            across = min(self.units, across or best_wrap(self.units, step_x, step_y, gap, room))
        self.across = max(1, across)
        self.down = self.units if self.is_grid else -(-self.units // self.across)
        fit = min(room[0] / (self.across * step_x - gap), room[1] / (self.down * step_y - gap))
        scale = max(1.0, min(_MOST_SCALE, fit))
        self.magnify_x, self.magnify_y = int(magnify_x * scale), int(magnify_y * scale)
        self.gap = gap * int(scale)
        self.tile_width, self.tile_height = self.columns * self.magnify_x, self.rows * self.magnify_y

    def _magnified(self, room: tuple[int, int]) -> tuple[int, int]:
        """Pixels per value, across and down, before the whole is enlarged."""
        if not self.is_matrix:
            return (max(1, -(-_SMALLEST_TILE // max(1, min(self.rows, self.columns)))),) * 2
        aspect = self.columns / max(1, self.units) / (room[0] / room[1])
        return tuple(min(_MOST_STRETCH, max(1, round(factor))) for factor in (1 / aspect, aspect))  # type: ignore[return-value]

    def plan(self, names: Sequence[str]) -> TilePlan:
        by_head = (
            not self.is_grid and not self.is_matrix and min(self.tile_width, self.tile_height) >= _LEAST_LABELLED_PX
        )
        head = HEAD_PX if by_head else 0
        is_named = any(not name.isdecimal() for name in names)
        left = 0 if by_head else _NAMED_ROW_HEADER_PX if is_named else _ROW_HEADER_PX
        top = _COLUMN_HEADER_PX if self.is_grid else 0
        step_x, step_y = self.tile_width + self.gap, self.tile_height + self.gap + head
        width, height = left + self.across * step_x - self.gap, top + self.down * step_y - self.gap
        if width * height > MOST_PIXELS:
            raise NotPossible(
                f"A picture of these {self.units} units would have {width} × {height} pixels, more than can be saved; choose fewer units."
            )
        source, shown = np.zeros((height, width), np.int32), np.zeros((height, width), bool)
        values = self.rows * self.columns
        within = np.arange(values, dtype=np.int32).reshape(self.rows, self.columns)
        tile = within.repeat(self.magnify_y, 0).repeat(self.magnify_x, 1)
        for number in range(self.units * self.channels):
            of_unit, channel = divmod(number, self.channels)
            row, column = (of_unit, channel) if self.is_grid else divmod(of_unit, self.across)
            y, x = top + row * step_y + head, left + column * step_x
            source[y : y + self.tile_height, x : x + self.tile_width] = tile + number * values
            shown[y : y + self.tile_height, x : x + self.tile_width] = True
        if by_head:
            labels = [Label(i % self.across * step_x, i // self.across * step_y, name) for i, name in enumerate(names)]
        else:
            first = names if self.is_grid or self.is_matrix else names[:: self.across]
            labels = [
                Label(0, top + place * step_y + self.tile_height // 2 - HEAD_PX // 2, name)
                for place, name in _legible(first, step_y, _ROW_LABEL_PX)
            ]
        if self.is_grid:
            channels = _legible([str(channel) for channel in self.channel_numbers], step_x, _COLUMN_LABEL_PX)
            labels += [Label(left + place * step_x, 0, name) for place, name in channels]
        return TilePlan(source, shown, tuple(labels))


def _legible(texts: Sequence[str], step_px: int, least_px: int) -> list[tuple[int, str]]:
    """As many of the texts as do not touch, with their places."""
    every = max(1, -(-least_px // max(1, step_px)))
    return list(enumerate(texts))[::every]


def best_wrap(count: int, step_x: int, step_y: int, gap: int, room: tuple[int, int]) -> int:
    """Return how many tiles per row let the picture be largest; of equals, the number with the fewest empty places."""
    best, best_worth = 1, 0.0
    for across in range(1, count + 1):
        down = -(-count // across)
        scale = min(room[0] / (across * step_x - gap), room[1] / (down * step_y - gap))
        worth = scale * (1 - 0.15 * (across * down - count) / count)
        if worth > best_worth * 1.0001:
            best, best_worth = across, worth
    return best
