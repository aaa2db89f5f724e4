"""The selected unit on both sides and their difference, exact values under the pointer."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from mloscope.components import theme as themes
from mloscope.components.figures.unit_heat_map import mosaic

GAP = 0.06


def comparison_unit(a: np.ndarray, b: np.ndarray, *, diverging: bool, theme: str) -> go.Figure:
    """Three heat maps beside each other: A, B on one scale, A − B on one of its own with zero in its middle.

    a, b: float (channel, row, column) of the same shape, as stored; what is not finite is left open.
    diverging: whether the scale of A and B is symmetric about zero.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        apart = a.astype(np.float64) - b.astype(np.float64)
    both = np.concatenate([a.ravel(), b.ravel()]).astype(np.float64)
    both = both[np.isfinite(both)]
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    finite = apart[np.isfinite(apart)]
    reach = float(np.abs(finite).max(initial=0)) or 1.0
    figure = go.Figure()
    width = (1 - 2 * GAP) / 3
    for place, (name, tiles, ends, centred) in enumerate(
        (("A", a, (low, high), diverging), ("B", b, (low, high), diverging), ("A − B", apart, (-reach, reach), True))
    ):
        field, origin = mosaic(tiles)
        number = "" if place == 0 else str(place + 1)
        left = place * (width + GAP)
        exact = [["" if np.isnan(value) else repr(float(value)) for value in row] for row in field]
        figure.add_heatmap(
            z=np.where(np.isfinite(field), field, np.nan), zmin=ends[0], zmax=ends[1], showscale=False,
            colorscale=themes.DIVERGING if centred else themes.SEQUENTIAL,
            customdata=[[[exact[y][x], *map(int, origin[y, x])] for x in range(field.shape[1])] for y in range(field.shape[0])],
            hovertemplate=f"{name}, channel %{{customdata[1]}}, row %{{customdata[2]}}, column %{{customdata[3]}}"
            "<br><b>%{customdata[0]}</b><extra></extra>",
            hoverongaps=False, xaxis=f"x{number}", yaxis=f"y{number}",
        )  # fmt: skip
        axis = {"showgrid": False, "zeroline": False, "showticklabels": False, "constrain": "domain", "ticks": ""}
        figure.update_layout({
            f"xaxis{number}": {**axis, "domain": [left, left + width], "range": [-0.5, field.shape[1] - 0.5], "anchor": f"y{number}"},
            f"yaxis{number}": {**axis, "range": [field.shape[0] - 0.5, -0.5], "scaleanchor": f"x{number}", "anchor": f"x{number}"},
        })  # fmt: skip
        figure.add_annotation(
            text=f"{name}<br>{ends[0]:.3g} … {ends[1]:.3g}", x=left + width / 2, y=0, xref="paper", yref="paper",
            yanchor="top", showarrow=False, font={"size": 11, "color": themes.TOKENS[theme]["text-quiet"]},
        )  # fmt: skip
    figure.update_layout(template=themes.template(theme), margin={"l": 2, "r": 2, "t": 4, "b": 36})
    return figure
