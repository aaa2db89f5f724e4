"""The theme of ``assets/theme.css`` for Plotly: the same values, as one template for light and one for dark."""

from __future__ import annotations

import functools
from typing import Any

import plotly.graph_objects as go

from mloscope.components.colour_tables import plotly_scale
from mloscope.components.numbers import SPACE

FONT = '"Inter", "Segoe UI", system-ui, -apple-system, "Helvetica Neue", "DejaVu Sans", sans-serif'
SIZE_SMALL_PX, SIZE_PX = 12, 13

TOKENS = {
    "light": {
        "surface": "#ffffff",
        "surface-sunken": "#eceef2",
        "text": "#16191f",
        "text-quiet": "#565e6c",
        "line": "#d9dde4",
        "accent": "#0b62c4",
    },
    "dark": {
        "surface": "#14171c",
        "surface-sunken": "#0d0f13",
        "text": "#eceff4",
        "text-quiet": "#a2abba",
        "line": "#303640",
        "accent": "#6cb0ff",
    },
}

CATEGORIES = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8c6d31",
    "#7a5195",
    "#6b7280",
    "#b8a100",
)
"""Ten colours told apart with every common colour blindness, on both surfaces; the first eight after Okabe and Ito (2008).
Where classes and clusters are drawn together, these are the classes'."""

CLUSTERS = (
    "#a85850",
    "#08a0a8",
    "#7078b8",
    "#687030",
    "#989090",
    "#087898",
    "#905078",
    "#b08860",
    "#68a070",
    "#487060",
)
"""Ten muted colours of clusters, none near one of :data:`CATEGORIES`, at least 3:1 on both surfaces. A cluster also has its number."""

SEQUENTIAL = plotly_scale("viridis")
DIVERGING = plotly_scale("blue-red")
"""The colour tables of films, for Plotly's heat maps."""


@functools.cache
def template(theme: str) -> go.layout.Template:
    """Plotly template for ``light`` or ``dark``; transparent paper, so that the page shows through."""
    tokens = TOKENS[theme]
    axis = {
        "gridcolor": tokens["line"],
        "linecolor": tokens["line"],
        "zerolinecolor": tokens["text-quiet"],
        "zerolinewidth": 1,
        "tickfont": {"size": SIZE_SMALL_PX - 1, "color": tokens["text-quiet"]},
        "title": {"font": {"size": SIZE_SMALL_PX, "color": tokens["text-quiet"]}, "standoff": 6},
        "automargin": False,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": SIZE_SMALL_PX, "color": tokens["text"]},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "separators": f".{SPACE}",
            "colorway": list(CATEGORIES),
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": tokens["surface-sunken"],
                "bordercolor": tokens["line"],
                "font": {"family": FONT, "size": SIZE_SMALL_PX, "color": tokens["text"]},
            },
            "colorscale": {"sequential": SEQUENTIAL, "diverging": DIVERGING},
            "margin": {"l": 44, "r": 18, "t": 8, "b": 34},
        }
    )


@functools.cache
def plain_template(theme: str) -> dict[str, Any]:
    """:func:`template` as it is sent; not to be changed."""
    return template(theme).to_plotly_json()


def empty_figure(theme: str, sentence: str) -> go.Figure:
    """A figure that says in words why there is nothing to see."""
    return go.Figure(
        layout={
            "template": template(theme),
            "xaxis": {"visible": False},
            "yaxis": {"visible": False},
            "annotations": [
                {
                    "text": sentence,
                    "showarrow": False,
                    "x": 0.5,
                    "y": 0.5,
                    "xref": "paper",
                    "yref": "paper",
                    "font": {"color": TOKENS[theme]["text-quiet"]},
                }
            ],
        }
    )


def wrapped(sentence: str, width: int = 30) -> str:
    """Break a sentence into lines for an annotation: Plotly does not."""
    lines = [""]
    for word in sentence.replace("<", "&lt;").split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)
