"""Accuracy and per-class recall over the whole of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from mloscope.components import theme as themes
from mloscope.components.figures.time_axis import time_axis
from mloscope.components.numbers import grouped

CLASSES_UP_TO = 10
"""A line for each class up to this many, as many as there are colours to tell apart; beyond, the quartiles of all classes."""

_QUARTILES = ((0.0, "lowest"), (0.25, "first quartile"), (0.5, "median"), (0.75, "third quartile"), (1.0, "highest"))


def confusion_course(
    accuracy: np.ndarray, recall: np.ndarray, class_names: Sequence[str], step_labels: Sequence[str], *,
    selected: int | None, theme: str,
) -> go.Figure:  # fmt: skip
    """Lines over all checkpoints.

    accuracy: float (checkpoint,), 0..1. recall: float (checkpoint, class), 0..1, NaN for a class without images. Both NaN where a
    checkpoint has no statistics: the line is broken there, never bridged. selected: a class number, drawn strongly, or None.
    """
    positions = np.arange(len(step_labels))
    tokens = themes.TOKENS[theme]
    figure = go.Figure()

    def line(values: np.ndarray, name: str, colour: str, width: float, opacity: float = 1.0, **more: object) -> None:
        figure.add_scatter(
            x=positions, y=values, mode="lines", name=name, opacity=opacity, text=list(step_labels),
            line={"color": colour, "width": width, **more},
            hovertemplate=f"{name}<br>step %{{text}}: <b>%{{y:.2%}}</b><extra></extra>",
        )  # fmt: skip

    if len(class_names) <= CLASSES_UP_TO:
        for number, name in enumerate(class_names):
            strong = number == selected
            faint = 0.75 if selected is None else 0.3
            colour = themes.CATEGORIES[number % len(themes.CATEGORIES)]
            line(recall[:, number], f"recall of {name}", colour, 2.5 if strong else 1, 1.0 if strong else faint)
    else:
        known = np.isfinite(recall).any(axis=1)
        for share, name in _QUARTILES:
            course = np.full(len(recall), np.nan)
            if known.any():
                course[known] = np.nanquantile(recall[known], share, axis=1)
            line(course, f"{name} recall of {grouped(len(class_names))} classes", tokens["text-quiet"], 1, 0.6)
        if selected is not None and selected < len(class_names):
            line(recall[:, selected], f"recall of {class_names[selected]}", themes.CATEGORIES[1], 2.5)
    line(accuracy, "accuracy", tokens["text"], 2, dash="dot")
    if len(step_labels) == 1:
        figure.update_traces(mode="markers")
    figure.update_layout(
        template=themes.template(theme),
        showlegend=False,
        margin={"l": 40},
        xaxis=time_axis(step_labels),
        yaxis={"range": [-0.02, 1.02], "tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]},
    )
    return figure
