"""Names at the ends of lines instead of a legend: each beside its line, none over another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

LABEL_PX = 12
"""From one label to the next."""
CHARACTER_PX = 6.8
MOST_CHARACTERS = 12


class Line(NamedTuple):
    """A line that wants a name."""

    name: str
    values: np.ndarray
    """float (position,); NaN where it is broken."""
    colour: str
    strong: bool = False


def line_labels(
    lines: Sequence[Line], *, axis: tuple[float, float], plot_px: float
) -> tuple[list[dict[str, Any]], int]:
    """Return Plotly's annotations right of the plot, and the margin in pixels that they need.

    axis: ends of the y-axis. plot_px: height of the plot. A line without any value has no name.
    """
    known = [line for line in lines if np.isfinite(line.values).any()]
    if not known:
        return [], 0
    ends = np.array([line.values[np.isfinite(line.values)][-1] for line in known], np.float64)
    places = spread(ends, LABEL_PX * (axis[1] - axis[0]) / plot_px, axis)
    names = [
        line.name if len(line.name) <= MOST_CHARACTERS else f"{line.name[: MOST_CHARACTERS - 1]}…" for line in known
    ]
    annotations = [
        {
            "x": 1,
            "xref": "paper",
            "xanchor": "left",
            "xshift": 4,
            "y": float(place),
            "yref": "y",
            "yanchor": "middle",
            "text": f"<b>{name}</b>" if line.strong else name,
            "font": {"size": 11, "color": line.colour},
            "hovertext": line.name,
            "showarrow": False,
        }
        for line, name, place in zip(known, names, places, strict=True)
    ]
    return annotations, round(max(map(len, names)) * CHARACTER_PX) + 8


def spread(wanted: np.ndarray, gap: float, axis: tuple[float, float]) -> np.ndarray:
    """Return places at least ``gap`` apart, as near to the wanted ones as that allows, within the axis while there is room."""
    order = np.argsort(wanted, kind="stable")
    places = wanted[order].astype(np.float64)
    for at in range(1, len(places)):
        places[at] = max(places[at], places[at - 1] + gap)
    if len(places) and places[-1] > axis[1]:
        places[-1] = axis[1]
        for at in range(len(places) - 2, -1, -1):
            places[at] = min(places[at], places[at + 1] - gap)
    found = np.empty_like(places)
    found[order] = places
    return found
