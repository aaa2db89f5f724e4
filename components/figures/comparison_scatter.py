"""A number of each unit at B against the same number at A: who was large stays large, or not."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from mloscope.components import theme as themes

SELECTED_PX, POINT_PX = 13, 7


def comparison_scatter(
    a: np.ndarray, b: np.ndarray, units: np.ndarray, *, selected: int, measure: str, labels: tuple[str, str], theme: str
) -> go.Figure:
    """A point for each unit, B across and A up; on the dotted line both are the same.

    a, b: float (unit,), not negative; pairs that are not finite are left out. units: int (unit,), their numbers.
    selected: the unit that is marked. labels: the moments of A and B as written.
    """
    known = np.isfinite(a) & np.isfinite(b)
    a, b, units = a[known], b[known], units[known]
    most = float(max(a.max(initial=0), b.max(initial=0))) * 1.06 or 1.0
    marked = units == selected
    accent = themes.TOKENS[theme]["accent"]
    figure = go.Figure()
    figure.add_scatter(
        x=np.array([0, most]), y=np.array([0, most]), mode="lines", hoverinfo="skip",
        line={"width": 1, "dash": "dot", "color": themes.TOKENS[theme]["text-quiet"]},
    )  # fmt: skip
    figure.add_scatter(
        x=b, y=a, mode="markers",
        # A list: Plotly's typed arrays do not come back in click events.
        customdata=[int(unit) for unit in units],
        marker={
            "size": np.where(marked, SELECTED_PX, POINT_PX),
            "color": accent,
            "opacity": np.where(marked, 1.0, 0.6),
            "line": {"width": np.where(marked, 2, 0), "color": themes.TOKENS[theme]["text"]},
        },
        hovertemplate=f"unit %{{customdata}}<br>A <b>%{{y:.6g}}</b><br>B <b>%{{x:.6g}}</b><extra>{measure}</extra>",
    )  # fmt: skip
    span = [-0.03 * most, most]
    figure.update_layout(
        template=themes.template(theme),
        showlegend=False,
        margin={"l": 56, "r": 10, "t": 8, "b": 40},
        xaxis={"title": {"text": f"{measure} at B, {labels[1]}"}, "range": span, "nticks": 5, "tickformat": ".3~g"},
        yaxis={"title": {"text": f"{measure} at A, {labels[0]}"}, "range": span, "nticks": 5, "tickformat": ".3~g"},
    )
    return figure
