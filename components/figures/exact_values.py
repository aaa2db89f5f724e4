"""The selected unit enlarged, in the form that suits its shape: a number, bars, or a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np

from mloscope.components import theme as themes
from mloscope.components.figures.unit_bars import unit_bars
from mloscope.components.figures.unit_heat_map import exact_number, unit_heat_map

AXES = ("channel", "row", "input")
"""What the axes of tiles are called where only one of them is longer than 1."""


def exact_values(tiles: np.ndarray, *, value_range: tuple[float, float], diverging: bool, theme: str) -> Any:
    """One unit's values, float (channel, row, column); the rest as :func:`unit_heat_map` takes it."""
    longer = [axis for axis, size in enumerate(tiles.shape) if size > 1]
    if tiles.size > 1 and not np.isfinite(tiles).any():
        what = "NaN" if np.isnan(tiles).all() else "not finite"
        return themes.empty_figure(theme, f"all {tiles.size:,} values are {what}")
    if tiles.size == 1:
        return themes.empty_figure(theme, f"<b>{exact_number(tiles.flat[0])}</b>")
    if len(longer) == 1:
        return unit_bars(tiles.ravel(), axis=AXES[longer[0]], theme=theme)
    return unit_heat_map(tiles, value_range=value_range, diverging=diverging, theme=theme)
