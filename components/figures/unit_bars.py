"""A unit whose values stand in one row: a bar per value, exact under the pointer."""

from __future__ import annotations

from typing import Any

import numpy as np

from mloscope.components import theme as themes
from mloscope.components.figures.unchecked_figure import unchecked_figure
from mloscope.components.figures.unit_heat_map import exact_number

BARS_UP_TO = 200
"""Beyond this, bars are narrower than a pixel: one filled line."""


def unit_bars(values: np.ndarray, *, axis: str, theme: str) -> dict[str, Any]:
    """One bar per value, from zero.

    values: float (value,), as stored; those that are not finite are marked on the axis and named.
    axis: what the values are numbered by, such as ``channel``.
    """
    numbers = np.arange(len(values))
    finite = np.isfinite(values)
    colour = themes.TOKENS[theme]["accent"]
    look: dict[str, Any] = (
        {"type": "bar", "marker": {"color": colour, "line": {"width": 0}}}
        if len(values) <= BARS_UP_TO
        else {"type": "scatter", "mode": "lines", "line": {"width": 1, "color": colour}, "fill": "tozeroy"}
    )
    hover = f"{axis} %{{x}}<br><b>%{{text}}</b><extra></extra>"
    traces = [
        {
            **look,
            "x": numbers,
            "y": np.where(finite, values, np.nan),
            "text": [exact_number(value) for value in values],
            "textposition": "none",
            "hovertemplate": hover,
        }
    ]
    if look["type"] == "scatter":
        del traces[0]["textposition"]  # a bar's only
    if not finite.all():
        traces.append({
            "type": "scatter", "mode": "markers", "x": numbers[~finite], "y": np.zeros(int((~finite).sum())),
            "text": [exact_number(value) for value in values[~finite]], "hovertemplate": hover,
            "marker": {"symbol": "x-thin", "size": 8, "line": {"width": 1.5, "color": themes.TOKENS[theme]["text"]}},
        })  # fmt: skip
    layout = {
        "showlegend": False,
        "bargap": 0.15 if len(values) <= 40 else 0,
        "xaxis": {"title": {"text": axis}, "showgrid": False, "zeroline": False, "nticks": 8, "tickformat": "d"},
        "yaxis": {"nticks": 5, "tickformat": ".3~g"},
    }
    return unchecked_figure(traces, layout, theme=theme)
