"""Any statistic over the whole of training: the chart for whatever the table of statistics holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mloscope.components import theme as themes
from mloscope.components.figures.time_axis import time_axis
from mloscope.components.numbers import grouped

LINES_UP_TO = 10
"""A line per item up to this many, as many as there are colours to tell apart; beyond, the quartiles of all items."""

_QUARTILES = ((0.0, "lowest"), (0.25, "first quartile"), (0.5, "median"), (0.75, "third quartile"), (1.0, "highest"))


def statistic_course(
    values: np.ndarray, names: Sequence[str], step_labels: Sequence[str], *,
    title: str, unit: str, selected: int | None = None, theme: str,
) -> go.Figure:  # fmt: skip
    """Lines over all checkpoints.

    values: float (checkpoint, item), NaN where not defined: the line is broken there, never bridged. names: of the items; "" for
    the only one. title, unit: of the statistic; "share" is shown as percent. selected: an item, drawn strongly, or None.
    """
    shown = ".2%" if unit == "share" else ",.6~g"
    figure = go.Figure()

    def line(course: np.ndarray, name: str, colour: str, width: float, opacity: float = 1.0) -> None:
        label = f"{title} of {name}" if name else title
        figure.add_scatter(
            x=np.arange(len(step_labels)), y=course, mode="markers" if len(step_labels) == 1 else "lines", name=label,
            opacity=opacity, text=list(step_labels), line={"color": colour, "width": width},
            hovertemplate=f"{label}<br>step %{{text}}: <b>%{{y:{shown}}}</b><extra></extra>",
        )  # fmt: skip

    if len(names) <= LINES_UP_TO:
        for number, name in enumerate(names):
            strong = number == selected
            colour = themes.CATEGORIES[number % len(themes.CATEGORIES)]
            line(values[:, number], name, colour, 2.5 if strong else 1.5, 1.0 if strong or selected is None else 0.3)
    else:
        for quartile, name in _quartiles(values):
            line(quartile, f"{name} of {grouped(len(names))}", themes.TOKENS[theme]["text-quiet"], 1, 0.6)
        if selected is not None:
            line(values[:, selected], names[selected], themes.CATEGORIES[1], 2.5)
    figure.update_layout(
        template=themes.template(theme),
        showlegend=False,
        margin={"l": 48},
        xaxis=time_axis(step_labels),
        yaxis={
            "title": {"text": title if unit in ("", "share") else unit},
            "tickformat": ".0%" if unit == "share" else "",
        },
    )
    return figure


def _quartiles(values: np.ndarray) -> list[tuple[np.ndarray, str]]:
    known = np.isfinite(values).any(axis=1)
    courses = np.full((len(_QUARTILES), len(values)), np.nan)
    if known.any():
        courses[:, known] = np.nanquantile(values[known], [share for share, _ in _QUARTILES], axis=1)
    return [(course, name) for course, (_, name) in zip(courses, _QUARTILES, strict=True)]
