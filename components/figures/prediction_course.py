"""What the network held the selected image for, over the whole of training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mloscope.components import theme as themes
from mloscope.components.figures.line_labels import Line, line_labels
from mloscope.components.figures.time_axis import time_axis
from mloscope.components.figures.unchecked_figure import unchecked_figure

MOST_CLASSES = 8
HEIGHT_PX, WIDTH_PX = 210, 232
"""Of the chart on the main display."""
MARGINS = {"l": 40, "t": 8, "b": 34}
PROBABILITY_AXIS = (-0.02, 1.02)


def classes_worth_showing(probabilities: np.ndarray, true_class: int | None, most: int = MOST_CLASSES) -> list[int]:
    """Classes by their largest probability at any checkpoint, the true class always among them.

    probabilities: float (checkpoint, class), NaN where a checkpoint gave none.
    """
    peak = np.where(np.isfinite(probabilities), probabilities, -np.inf).max(axis=0, initial=-np.inf)
    order = [int(c) for c in np.argsort(-peak, kind="stable")[:most]]
    if true_class is not None and true_class not in order and true_class < probabilities.shape[1]:
        order[-1] = true_class
    return sorted(order)


def prediction_course(
    probabilities: np.ndarray,
    class_names: Sequence[str],
    true_class: int | None,
    step_labels: Sequence[str],
    *,
    theme: str,
) -> dict[str, Any]:
    """Probability of each class worth showing at every checkpoint, named at the line's end; the true class is drawn heavy.

    probabilities: float (checkpoint, class), 0..1 for a softmax output; NaN rows break the lines.
    """
    positions = np.arange(len(step_labels))
    lines, named = [], []
    for rank, index in enumerate(classes_worth_showing(probabilities, true_class)):
        colour = themes.CATEGORIES[(index if len(class_names) <= 10 else rank) % len(themes.CATEGORIES)]
        name = class_names[index] if index < len(class_names) else f"class {index}"
        true = index == true_class
        named.append(Line(name, probabilities[:, index], colour, true))
        lines.append({
            "type": "scatter", "x": positions, "y": probabilities[:, index], "mode": "lines",
            "name": f"<b>{name}</b>" if true else name, "text": list(step_labels),
            "line": {"width": 2.5 if true else 1.25, "color": colour},
            "hovertemplate": f"{name}{' (true class)' if true else ''}<br>step %{{text}}: <b>%{{y:.4f}}</b><extra></extra>",
        })  # fmt: skip
    labels, room = line_labels(named, axis=PROBABILITY_AXIS, plot_px=HEIGHT_PX - MARGINS["t"] - MARGINS["b"])
    layout = {
        "showlegend": False,
        "xaxis": time_axis(step_labels, plot_px=WIDTH_PX - MARGINS["l"] - room),
        "yaxis": {
            "title": {"text": "probability"},
            "range": list(PROBABILITY_AXIS),
            "tickvals": [0, 0.5, 1],
            "fixedrange": True,
        },
        "margin": {**MARGINS, "r": max(18, room)},
        **({"annotations": labels} if labels else {}),
    }
    return unchecked_figure(lines, layout, theme=theme)
