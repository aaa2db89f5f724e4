"""The selected unit on both sides and their difference, exact values under the pointer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from mloscope.components import theme as themes
from mloscope.components.figures.exact_values import AXES
from mloscope.components.figures.unit_heat_map import exact_number, mosaic

GAP = 0.06


class _Part(NamedTuple):
    """One of the three pictures."""

    name: str
    tiles: np.ndarray
    ends: tuple[float, float]
    centred: bool


def comparison_unit(a: np.ndarray, b: np.ndarray, *, diverging: bool, theme: str) -> go.Figure:
    """A and B on one scale, A − B on one of its own with zero in its middle: heat maps beside each other; values that
    stand in one row as bars below each other.

    a, b: float (channel, row, column) of the same shape, as stored; what is not finite is left open.
    diverging: whether the scale of A and B is symmetric about zero.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        apart = a.astype(np.float64) - b.astype(np.float64)
    longer = [axis for axis, size in enumerate(a.shape) if size > 1]
    if len(longer) < 2:
        return _bars(a.ravel(), b.ravel(), apart.ravel(), AXES[longer[0]] if longer else AXES[0], theme)
    both = np.concatenate([a.ravel(), b.ravel()]).astype(np.float64)
    both = both[np.isfinite(both)]
    low, high = (float(both.min()), float(both.max())) if len(both) else (0.0, 1.0)
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    reach = float(np.abs(apart[np.isfinite(apart)]).max(initial=0)) or 1.0
    sides = (_Part("A", a, (low, high), diverging), _Part("B", b, (low, high), diverging))
    return _heat_maps((*sides, _Part("A − B", apart, (-reach, reach), True)), theme)


def _heat_maps(parts: tuple[_Part, ...], theme: str) -> go.Figure:
    """Each picture under its name; the scale of A and B once under both, that of the difference under it."""
    figure = go.Figure()
    width = (1 - 2 * GAP) / 3
    for place, part in enumerate(parts):
        field, origin = mosaic(part.tiles)
        number = "" if place == 0 else str(place + 1)
        left = place * (width + GAP)
        exact = [["" if np.isnan(value) else exact_number(value) for value in row] for row in field]
        figure.add_heatmap(
            z=np.where(np.isfinite(field), field, np.nan), zmin=part.ends[0], zmax=part.ends[1], showscale=False,
            colorscale=themes.DIVERGING if part.centred else themes.SEQUENTIAL,
            customdata=[[[exact[y][x], *map(int, origin[y, x])] for x in range(field.shape[1])] for y in range(field.shape[0])],
            hovertemplate=f"{part.name}, channel %{{customdata[1]}}, row %{{customdata[2]}}, column %{{customdata[3]}}"
            "<br><b>%{customdata[0]}</b><extra></extra>",
            hoverongaps=False, xaxis=f"x{number}", yaxis=f"y{number}",
        )  # fmt: skip
        axis = {"showgrid": False, "zeroline": False, "showticklabels": False, "constrain": "domain", "ticks": ""}
        figure.update_layout({
            f"xaxis{number}": {**axis, "domain": [left, left + width], "range": [-0.5, field.shape[1] - 0.5], "anchor": f"y{number}"},
            f"yaxis{number}": {**axis, "range": [field.shape[0] - 0.5, -0.5], "scaleanchor": f"x{number}", "anchor": f"x{number}"},
        })  # fmt: skip
        _caption(figure, part.name, left + width / 2, above=True, theme=theme)
    _caption(figure, f"both {_ends(parts[0].ends)}", width + GAP / 2, above=False, theme=theme)
    _caption(figure, _ends(parts[2].ends), 1 - width / 2, above=False, theme=theme)
    figure.update_layout(template=themes.template(theme), margin={"l": 2, "r": 2, "t": 20, "b": 22})
    return figure


def _bars(a: np.ndarray, b: np.ndarray, apart: np.ndarray, axis: str, theme: str) -> go.Figure:
    figure = go.Figure()
    tokens = themes.TOKENS[theme]
    for name, values, colour, number in (
        ("A", a, tokens["accent"], ""), ("B", b, tokens["text-quiet"], ""), ("A − B", apart, themes.CATEGORIES[1], "2"),
    ):  # fmt: skip
        figure.add_bar(
            x=np.arange(len(values)), y=np.where(np.isfinite(values), values, np.nan), name=name, xaxis=f"x{number}", yaxis=f"y{number}",
            marker={"color": colour, "line": {"width": 0}}, textposition="none", text=[exact_number(value) for value in values],
            hovertemplate=f"{name}, {axis} %{{x}}<br><b>%{{text}}</b><extra></extra>",
        )  # fmt: skip
    sides = f'<span style="color:{tokens["accent"]}">A</span>, <span style="color:{tokens["text-quiet"]}">B</span>'
    quiet = {"showgrid": False, "zeroline": False, "nticks": 8, "tickformat": "d"}
    values = {"nticks": 4, "tickformat": ".3~g"}
    figure.update_layout(
        template=themes.template(theme), barmode="group", bargap=0.15, bargroupgap=0, showlegend=False,
        margin={"l": 52, "r": 8, "t": 8, "b": 32},
        xaxis={**quiet, "anchor": "y", "showticklabels": False, "matches": "x2"},
        yaxis={**values, "domain": [0.5, 1], "title": {"text": sides}},
        xaxis2={**quiet, "anchor": "y2", "title": {"text": axis}},
        yaxis2={**values, "domain": [0, 0.42], "title": {"text": "A − B"}},
    )  # fmt: skip
    return figure


def _ends(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3g} … {ends[1]:.3g}".replace("-", "−")


def _caption(figure: go.Figure, text: str, x: float, *, above: bool, theme: str) -> None:
    """Write above or below the pictures, in the margin."""
    figure.add_annotation(
        text=text, x=x, y=1 if above else 0, xref="paper", yref="paper", yanchor="bottom" if above else "top",
        showarrow=False, font={"size": 11, "color": themes.TOKENS[theme]["text-quiet"]},
    )  # fmt: skip
