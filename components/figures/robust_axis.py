"""An axis that one exploded step does not set: its range is that of the other steps, and an arrow says what lies outside."""

from __future__ import annotations

from typing import Any

import numpy as np

from mloscope.components.exploded_steps import exploded_steps

_PADDING = 0.06


def robust_axis(values: np.ndarray, colour: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what the y-axis needs for values, float (step, value), and the arrows, as Plotly's annotations; nothing of
    both where no step exploded."""
    exploded = exploded_steps(values)
    if not len(exploded):
        return {}, []
    rest = np.delete(values, exploded, axis=0)
    rest = rest[np.isfinite(rest)].astype(np.float64)
    low, high = float(rest.min()), float(rest.max())
    room = (high - low or abs(high) or 1.0) * _PADDING
    return {"range": [low - room, high + room]}, [_arrow(int(step), values[step], colour) for step in exploded]


def _arrow(step: int, values: np.ndarray, colour: str) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    extreme = float(finite[np.abs(finite).argmax()])
    up = extreme > 0
    return {
        "x": step, "xref": "x", "y": 1 if up else 0, "yref": "y domain", "yanchor": "top" if up else "bottom", "showarrow": False,
        "text": f"{'▲' if up else '▼'} {extreme:.1e}".replace("e+", "e").replace("-", "−"),
        "font": {"size": 11, "color": colour}, "hovertext": "this step exploded: its values are outside the axis",
    }  # fmt: skip
