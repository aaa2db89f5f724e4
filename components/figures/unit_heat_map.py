"""The selected unit enlarged: exact values under the pointer."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from mloscope.components import theme as themes

SHOW_NUMBERS_UP_TO = 49
"""Cells are labelled with their value while they are at most this many (a 7x7 filter)."""


def unit_heat_map(
    values: np.ndarray, *, value_range: tuple[float, float], diverging: bool, theme: str, colour_scale: list | None = None
) -> go.Figure:
    """One tile as a heat map.

    values: float (row, column); NaN and infinities are left open and named in the hover text.
    value_range: ends of the colour scale, in the values' units; for ``diverging`` they should be symmetric about zero.
    """
    rows, columns = values.shape
    finite = np.isfinite(values)
    figure = go.Figure(
        go.Heatmap(
            z=np.where(finite, values, np.nan).astype(np.float64),
            zmin=value_range[0],
            zmax=value_range[1],
            colorscale=colour_scale or (themes.DIVERGING if diverging else themes.SEQUENTIAL),
            xgap=1 if columns <= 16 else 0,
            ygap=1 if rows <= 16 else 0,
            customdata=[[f"{value:.9g}" for value in row] for row in values],
            hovertemplate="row %{y}, column %{x}<br><b>%{customdata}</b><extra></extra>",
            hoverongaps=True,
            colorbar={"thickness": 10, "len": 1.0, "outlinewidth": 0, "tickformat": ".3~g", "nticks": 5, "tickfont": {"size": 11}},
        )
    )
    if values.size <= SHOW_NUMBERS_UP_TO:
        figure.data[0].update(text=[[f"{value:.2g}" for value in row] for row in values], texttemplate="%{text}", textfont={"size": 10})
    figure.update_layout(
        template=themes.template(theme),
        margin={"l": 22, "r": 8, "t": 6, "b": 20},
        xaxis={"constrain": "domain", "showgrid": False, "zeroline": False, "dtick": max(1, -(-columns // 8)), "range": [-0.5, columns - 0.5]},
        yaxis={
            "scaleanchor": "x",
            "constrain": "domain",
            "showgrid": False,
            "zeroline": False,
            "dtick": max(1, -(-rows // 8)),
            "range": [rows - 0.5, -0.5],
        },
    )
    return figure
