"""The time axis that all charts share: checkpoints at equal distances in their order, as on the slider, labelled by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PLOT_PX = 230
"""Width of a plot beside the films; wider ones may have more ticks."""
MOST_TICKS = 6
CHARACTER_PX, BETWEEN_PX = 7, 8


def time_axis(labels: Sequence[str], *, plot_px: float = PLOT_PX) -> dict[str, Any]:
    """Plotly x-axis for checkpoints 0..n-1. ``labels`` are their steps as written; those are shown that have room beside each
    other, both ends among them.

    ``assets/shell/time_cursor.mjs`` draws the cursor of the time bus on charts whose x values are these positions.
    """
    last = len(labels) - 1
    label_px = max((len(label) for label in labels), default=0) * CHARACTER_PX + BETWEEN_PX
    ticks = max(2, min(MOST_TICKS, int(plot_px / label_px)))
    every = max(1, -(-last // (ticks - 1)))
    positions = [*range(0, max(0, last - every + 1), every), last] if last > 0 else [0][: len(labels)]
    return {
        "range": [-0.5, last + 0.5] if last > 0 else [-1, 1],
        "tickmode": "array",
        "tickvals": positions,
        "ticktext": [labels[i] for i in positions],
        "tickangle": 0,
        "title": {"text": "step"},
        "showgrid": False,
        "zeroline": False,
    }
