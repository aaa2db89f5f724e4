"""The confusion matrix's heat map: axes, colours, colour bar. Counts come in the browser (``assets/confusion/matrix.mjs``)."""

from __future__ import annotations

import plotly.graph_objects as go

from mloscope.components import theme as themes

SHADES = {
    "light": ("#f3f5f9", "#cfe0f4", "#8fb9e6", "#3f86cf", "#0b56a8", "#072f61"),
    "dark": ("#1d2129", "#1f3858", "#245d99", "#3a89d6", "#86c0f6", "#e0f0ff"),
}
"""One hue, evenly from nothing to much; away from the surface in both themes. Steps even in CIE lightness, within 3."""


def shade_scale(theme: str) -> list[list[float | str]]:
    """Plotly colour scale of :data:`SHADES`, straight in sRGB between its stops, as ``assets/confusion/draw.mjs`` reads it."""
    stops = SHADES[theme]
    return [[position / (len(stops) - 1), colour] for position, colour in enumerate(stops)]


def confusion_heat_map(theme: str) -> go.Figure:
    """Rows true, columns predicted, both as positions in the order shown; no values yet.

    z is to be the shading in 0..1 (the square root of value over scale's end), NaN where there is no number; row 0 is at the top.
    """
    tokens = themes.TOKENS[theme]
    figure = go.Figure(
        go.Heatmap(
            z=[[0.0]],
            zmin=0,
            zmax=1,
            colorscale=shade_scale(theme),
            hoverinfo="skip",
            showscale=True,
            colorbar={
                "orientation": "h",
                "thickness": 8,
                "len": 0.62,
                "x": 0,
                "xanchor": "left",
                "yref": "container",
                "y": 0.002,
                "yanchor": "bottom",
                "outlinewidth": 0,
                "ticks": "",
                "tickfont": {"size": 11, "color": tokens["text-quiet"]},
                "title": {"side": "bottom", "font": {"size": 11, "color": tokens["text-quiet"]}},
            },
        )
    )
    # Ticks that are not seen keep the names off the cells.
    axis = {"showgrid": False, "zeroline": False, "showline": False, "tickmode": "array"}
    axis |= {"ticks": "outside", "ticklen": 4, "tickcolor": "rgba(0,0,0,0)"}
    figure.update_layout(
        template=themes.template(theme),
        xaxis={**axis, "side": "top", "title": {"text": "predicted class", "standoff": 4}},
        yaxis={**axis, "title": {"text": "true class", "standoff": 4}},
        dragmode="zoom",
        modebar={
            "bgcolor": "rgba(0,0,0,0)",
            "color": tokens["text-quiet"],
            "activecolor": tokens["accent"],
            "orientation": "h",
        },
    )
    return figure
