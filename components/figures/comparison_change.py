"""How far each unit moved between two moments, sorted: relative change above, cosine below."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from mloscope.components import theme as themes


def comparison_change(
    change: np.ndarray, cosine: np.ndarray, units: np.ndarray, *, selected: int, theme: str
) -> go.Figure:
    """Units side by side, most changed first, the same order in both rows.

    change: float (unit,), ‖A − B‖ / ‖B‖, infinite where B is 0. cosine: float (unit,), -1..1, NaN where a norm is 0.
    units: int (unit,), their numbers. selected: the unit that is marked.
    """
    order = np.argsort(-np.where(np.isnan(change), -np.inf, change), kind="stable")
    change, cosine, units = change[order], cosine[order], units[order]
    finite = np.isfinite(change)
    top = float(change[finite].max(initial=0)) or 1.0
    accent, text = themes.TOKENS[theme]["accent"], themes.TOKENS[theme]["text"]
    colours = np.where(units == selected, text, accent)
    place = np.arange(len(units))
    said = [_said(number, value) for number, value in zip(units, change, strict=True)]
    figure = go.Figure()
    figure.add_bar(
        x=place, y=np.where(finite, change, top * 1.05), marker={"color": colours, "line": {"width": 0}},
        customdata=[int(unit) for unit in units], text=said, textposition="none",
        hovertemplate="%{text}<extra></extra>", xaxis="x", yaxis="y",
    )  # fmt: skip
    figure.add_scatter(
        x=place, y=cosine, mode="markers", marker={"size": 5, "color": colours},
        customdata=[int(unit) for unit in units],
        hovertemplate="unit %{customdata}<br>cosine <b>%{y:.6f}</b><extra></extra>", xaxis="x2", yaxis="y2",
    )  # fmt: skip
    known = cosine[np.isfinite(cosine)]
    low = float(min(known.min(initial=1.0), 0.98)) if len(known) else -1.0
    below = [low - 0.03 * (1 - low) - 0.001, 1 + 0.06 * (1 - low)]
    across = {
        "range": [-0.6, max(len(units) - 0.4, 0.6)],
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
    }
    figure.update_layout(
        template=themes.template(theme),
        showlegend=False,
        bargap=0.15 if len(units) <= 64 else 0,
        margin={"l": 56, "r": 10, "t": 8, "b": 24},
        xaxis={**across, "anchor": "y"},
        xaxis2={**across, "anchor": "y2", "matches": "x", "title": {"text": "units, most changed first"}},
        yaxis={"domain": [0.5, 1], "title": {"text": "relative change"}, "nticks": 4, "rangemode": "tozero", "tickformat": ".3~g"},
        yaxis2={"domain": [0, 0.44], "title": {"text": "cosine"}, "range": below, "nticks": 4},
    )  # fmt: skip
    return figure


def _said(unit: int, change: float) -> str:
    if np.isnan(change):
        return f"unit {unit}<br>a value is no number"
    if np.isinf(change):
        return f"unit {unit}<br>B is 0: no relative change"
    return f"unit {unit}<br>relative change <b>{change:.6g}</b>"
