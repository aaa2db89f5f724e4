"""How the selected unit's values moved over the whole of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mloscope.components import theme as themes
from mloscope.components.figures.robust_axis import robust_axis
from mloscope.components.figures.time_axis import time_axis
from mloscope.components.figures.unchecked_figure import unchecked_figure

LINES_UP_TO = 75
"""A line for each value up to this many (a 5x5 RGB filter); beyond, five quantiles that say so."""

_QUANTILES = ((0.0, "smallest"), (0.25, "first quartile"), (0.5, "median"), (0.75, "third quartile"), (1.0, "largest"))


def unit_course(values: np.ndarray, names: Sequence[str], step_labels: Sequence[str], *, theme: str) -> dict[str, Any]:
    """Lines over all checkpoints, on the axis of those that did not explode.

    values: float (checkpoint, value); NaN where a checkpoint could not be read: the line is broken there, never bridged.
    names: what each value is, e.g. ``row 0, column 3``. step_labels: the checkpoints' steps as written.
    """
    positions = np.arange(len(step_labels))
    lines = []
    quiet = themes.TOKENS[theme]["accent"]
    if values.shape[1] <= LINES_UP_TO:
        opacity = 0.9 if values.shape[1] <= 4 else 0.45
        for column, name in zip(values.T, names, strict=True):
            lines.append({
                "type": "scatter", "x": positions, "y": column, "mode": "lines", "line": {"width": 1, "color": quiet},
                "opacity": opacity, "name": name, "text": list(step_labels),
                "hovertemplate": f"{name}<br>step %{{text}}: <b>%{{y:.6g}}</b><extra></extra>",
            })  # fmt: skip
    else:
        for (quantile, name), line in zip(_QUANTILES, _quantiles(values), strict=True):
            lines.append({
                "type": "scatter", "x": positions, "y": line, "mode": "lines", "name": name, "text": list(step_labels),
                "line": {"width": 2 if quantile == 0.5 else 1, "color": quiet}, "opacity": 1 if quantile == 0.5 else 0.55,
                "hovertemplate": f"{name} of {values.shape[1]} values<br>step %{{text}}: <b>%{{y:.6g}}</b><extra></extra>",
            })  # fmt: skip
    axis, arrows = robust_axis(values, themes.TOKENS[theme]["text"])
    layout = {
        "showlegend": False,
        "xaxis": time_axis(step_labels),
        "yaxis": {"title": {"text": "value"}, "nticks": 5, "tickformat": ".3~g", **axis},
        **({"annotations": arrows} if arrows else {}),
    }
    return unchecked_figure(lines, layout, theme=theme)


def _quantiles(values: np.ndarray) -> np.ndarray:
    """float (quantile, checkpoint) of the finite values at each checkpoint; NaN where there is none."""
    finite = np.isfinite(values)
    whole, some = finite.all(axis=1), finite.any(axis=1)
    some &= ~whole  # leaving NaN out goes row by row, which is slow
    rest = np.where(finite[some], values[some], np.nan)
    lines = np.full((len(_QUANTILES), len(values)), np.nan)
    for line, (quantile, _) in zip(lines, _QUANTILES, strict=True):
        line[whole] = np.quantile(values[whole], quantile, axis=1)
        line[some] = np.nanquantile(rest, quantile, axis=1)
    return lines
