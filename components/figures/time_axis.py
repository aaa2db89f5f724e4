"""The time axis that all charts share: checkpoints at equal distances in their order, as on the slider, labelled by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def time_axis(labels: Sequence[str], *, most_ticks: int = 6) -> dict[str, Any]:
    """Plotly x-axis for checkpoints 0..n-1. ``labels`` are their steps as written; about ``most_ticks`` are shown, both ends among them.

    ``assets/shell/time_cursor.mjs`` draws the cursor of the time bus on charts whose x values are these positions.
    """
    last = len(labels) - 1
    wanted = min(most_ticks, len(labels))
    positions = sorted({round(i * last / max(1, wanted - 1)) for i in range(wanted)})
    return {
        "range": [-0.5, last + 0.5] if last > 0 else [-1, 1],
        "tickmode": "array",
        "tickvals": positions,
        "ticktext": [labels[i] for i in positions],
        "title": {"text": "step"},
        "showgrid": False,
        "zeroline": False,
    }
