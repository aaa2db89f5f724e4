"""The selected unit enlarged: exact values under the pointer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mloscope.components import theme as themes
from mloscope.components.figures.unchecked_figure import unchecked_figure

FIELD_PX = (230, 160)
"""Room for the cells, across and down, in a panel of the side."""
TEXT_PX = 11
CHARACTER_PX = 6.4
"""Width of a character of the cells' numbers."""
CELL_PADDING_PX = 4

_CELLS: dict[str, Any] = {
    "type": "heatmap",
    "hoverongaps": False,
    "colorbar": {
        "thickness": 10, "len": 1.0, "outlinewidth": 0, "tickformat": ".3~g", "nticks": 5, "tickfont": {"size": 11},
    },
}  # fmt: skip


def mosaic(tiles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tiles side by side, as square a field as there is, one open cell between them.

    tiles: (channel, row, column). Returns the field, float (row, column) with NaN between tiles, and which tile, row and column each
    cell is, int (row, column, 3), -1 between tiles.
    """
    channels, rows, columns = tiles.shape
    across = min(channels, max(1, math.ceil(math.sqrt(channels * (rows + 1) / (columns + 1)))))
    down = math.ceil(channels / across)
    field = np.full((down * (rows + 1) - 1, across * (columns + 1) - 1), np.nan)
    origin = np.full((*field.shape, 3), -1, np.int32)
    for channel in range(channels):
        y, x = (channel // across) * (rows + 1), (channel % across) * (columns + 1)
        field[y : y + rows, x : x + columns] = tiles[channel]
        place = origin[y : y + rows, x : x + columns]
        place[..., 0] = channel
        place[..., 1], place[..., 2] = np.mgrid[:rows, :columns]
    return field, origin


def unit_heat_map(
    tiles: np.ndarray, *, value_range: tuple[float, float], diverging: bool, theme: str
) -> dict[str, Any]:
    """One unit as a heat map.

    tiles: float (channel, row, column), as stored; NaN and infinities are left open and named.
    value_range: ends of the colour scale, in the values' units; for ``diverging`` they should be symmetric about zero.
    """
    field, origin = mosaic(tiles)
    cells = {
        **_CELLS,
        "z": np.where(np.isfinite(field), field, np.nan),
        "zmin": value_range[0],
        "zmax": value_range[1],
        "colorscale": themes.DIVERGING if diverging else themes.SEQUENTIAL,
        "xgap": 1 if field.shape[1] <= 16 else 0,
        "ygap": 1 if field.shape[0] <= 16 else 0,
        **_hover(tiles, origin),
    }
    if (text := _numbers_that_fit(field)) is not None:
        cells |= {"text": text, "texttemplate": "%{text}", "textfont": {"size": TEXT_PX}}
    return unchecked_figure([cells], _axes(*field.shape, one=len(tiles) == 1), theme=theme)


def _hover(tiles: np.ndarray, origin: np.ndarray) -> dict[str, Any]:
    """Return what is said of the cell under the pointer: where it comes from, and the exact value."""
    in_tile = origin[..., 0] >= 0
    exact = np.full(in_tile.shape, "", object)
    exact[in_tile] = [exact_number(value) for value in tiles[tuple(origin[in_tile].T)]]
    channel = "channel %{customdata[1]}, " if len(tiles) > 1 else ""
    return {
        "customdata": [
            [[said, *place] for said, place in zip(*row, strict=True)]
            for row in zip(exact.tolist(), origin.tolist(), strict=True)
        ],
        "hovertemplate": f"{channel}row %{{customdata[2]}}, column %{{customdata[3]}}<br><b>%{{customdata[0]}}</b><extra></extra>",
    }


def _axes(rows: int, columns: int, *, one: bool) -> dict[str, Any]:
    """Return the layout around square cells, the first row above; numbers only beside a single tile."""
    axis = {"constrain": "domain", "showgrid": False, "zeroline": False, "showticklabels": one, "ticks": ""}
    return {
        "margin": {"l": 22 if one else 4, "r": 8, "t": 6, "b": 20 if one else 4},
        "xaxis": {**axis, "dtick": max(1, -(-columns // 8)), "range": [-0.5, columns - 0.5]},
        "yaxis": {**axis, "scaleanchor": "x", "dtick": max(1, -(-rows // 8)), "range": [rows - 0.5, -0.5]},
    }


def _numbers_that_fit(field: np.ndarray) -> list[list[str]] | None:
    """Return the cells' numbers as short as they must be to stay within their cells; None where one of them cannot."""
    cell_px = min(room / size for room, size in zip(FIELD_PX, field.shape[::-1], strict=True))
    room = int((cell_px - CELL_PADDING_PX) / CHARACTER_PX)
    text = [[short_number(value, room) for value in row] for row in field] if room >= 2 else [[None]]
    return None if any(number is None for row in text for number in row) else text  # type: ignore[return-value]


def short_number(value: float, room: int) -> str | None:
    """Return the number with two significant digits, or one, in at most ``room`` characters; None where it has none so short.

    What is no finite number has none: it is left open.
    """
    if not np.isfinite(value):
        return ""
    mantissa, exponent = f"{value:.0e}".split("e")
    candidates = (f"{value:.2g}", f"{value:.1g}", f"{mantissa}e{int(exponent)}")
    plain = (text.replace("0.", ".", 1) if abs(value) < 1 else text for text in candidates[:2] if "e" not in text)
    fitting = (text for text in (*plain, candidates[2]) if len(text) <= room)
    text = next(fitting, None)
    return None if text is None else text.replace("-", "−")


def exact_number(value: np.floating) -> str:
    """As many digits as give the stored number back."""
    return np.format_float_positional(value, trim="-") if 1e-4 <= abs(value) < 1e6 or value == 0 else str(value)
