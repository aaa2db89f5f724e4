"""How values are distributed at every step: a ridge for each, the first step at the back, the last in front.

``assets/shell/ridges.mjs`` marks the ridge of the time bus's step and writes its numbers, without asking Plotly to draw: the
layout's ``meta`` has the checkpoint of each ridge, ``ridges``, and a sentence for each checkpoint, ``said``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.components import theme as themes
from mloscope.components.figures.unchecked_figure import unchecked_figure
from mloscope.components.numbers import grouped, number_text

HEIGHT_PX = 300
MOST_RIDGES = 50
"""Of more steps, as many at equal distances are drawn, both ends among them."""
OVERLAP = 5.0
"""How far the highest ridge reaches, in distances between two ridges of :data:`MOST_RIDGES`."""
_MOST_NAMED, _MOST_DECADES = 7, 3


@dataclass(frozen=True)
class Distribution:
    """What is drawn; all arrays go by the steps that are known."""

    places: Sequence[int]
    """The checkpoints' positions on the time axis, ascending."""
    edges: np.ndarray
    """float (bin + 1,)"""
    counts: np.ndarray
    """int (step, bin)"""
    nan: np.ndarray
    infinite: np.ndarray
    low: np.ndarray
    """float (step,), NaN where no value is finite"""
    high: np.ndarray
    threshold: float | None = None
    """Of the symmetric logarithm in which bins are equally wide; None where they are equally wide themselves."""


def ridgeline(found: Distribution, step_labels: Sequence[str], *, log_heights: bool, theme: str) -> dict[str, Any]:
    """step_labels: all checkpoints' steps as written. log_heights: heights are log(1 + count)."""
    if not len(found.places):
        return themes.empty_figure(theme, "No step can be read.")
    shown = shown_ridges(len(found.places))
    heights = np.log1p(found.counts) if log_heights else found.counts.astype(np.float64)
    reach = max(1.0, OVERLAP * len(shown) / MOST_RIDGES)
    heights *= reach / max(1, heights.max(initial=0))
    at = found.edges if found.threshold is None else np.arcsinh(found.edges / found.threshold)
    x = np.concatenate([at[:1], (at[:-1] + at[1:]) / 2, at[-1:]])
    bins = _bins_in_words(found.edges)
    traces = [
        _ridge(x, heights[row], -rank, found.counts[row], bins, step_labels[found.places[row]], theme)
        for rank, row in enumerate(shown)
    ]
    named = sorted({0, len(shown) - 1, *range(0, len(shown), -(-len(shown) // _MOST_NAMED))})
    layout = {
        "showlegend": False,
        "hovermode": "closest",
        "margin": {"t": 8, "r": 12, "b": 36, "l": 52},
        "meta": {"ridges": [int(found.places[row]) for row in shown], "said": _said(found, step_labels)},
        "xaxis": {"zeroline": False, "showgrid": False, "fixedrange": True, **_value_axis(found)},
        "yaxis": {
            "tickmode": "array", "tickvals": [-rank for rank in named],
            "ticktext": [step_labels[found.places[shown[rank]]] for rank in named],
            "range": [0.5 - len(shown), reach + 0.3], "showgrid": False, "zeroline": False, "fixedrange": True,
            "title": {"text": "step"},
        },
    }  # fmt: skip
    return unchecked_figure(traces, layout, theme=theme)


def shown_ridges(count: int, most: int = MOST_RIDGES) -> list[int]:
    """Which of so many steps have a ridge."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most)).tolist()})


def _ridge(
    x: np.ndarray, heights: np.ndarray, base: int, counts: np.ndarray, bins: list[str], step: str, theme: str
) -> dict[str, Any]:
    tokens = themes.TOKENS[theme]
    return {
        "type": "scatter", "mode": "lines", "x": x, "y": base + np.concatenate([[0.0], heights, [0.0]]),
        "fill": "toself", "fillcolor": tokens["surface-sunken"], "line": {"width": 1, "color": tokens["accent"]},
        "hoveron": "points", "text": bins, "customdata": np.concatenate([[0], counts, [0]]),
        "hovertemplate": f"step {step}<br>%{{text}}: <b>%{{customdata:,}}</b><extra></extra>",
    }  # fmt: skip


def _bins_in_words(edges: np.ndarray) -> list[str]:
    ends = [number_text(edge, 3) for edge in edges.tolist()]
    return [ends[0], *(f"{low} to {high}" for low, high in itertools.pairwise(ends)), ends[-1]]


def _value_axis(found: Distribution) -> dict[str, Any]:
    if found.threshold is None:
        return {"nticks": 5, "tickformat": ".3~g", "title": {"text": "value"}}
    low, high = float(found.edges[0]), float(found.edges[-1])
    most = max(abs(low), abs(high), found.threshold)
    decades = np.arange(np.ceil(np.log10(found.threshold)), np.floor(np.log10(most)) + 1)
    some = 10.0 ** decades[:: -max(1, -(-len(decades) // _MOST_DECADES))]
    ticks = [tick for tick in (*-some, 0.0, *some[::-1]) if low <= tick <= high]
    return {
        "tickmode": "array", "tickvals": np.arcsinh(np.array(ticks) / found.threshold).tolist(),
        "ticktext": [number_text(tick, 2) for tick in ticks], "title": {"text": "value, symmetric log"},
    }  # fmt: skip


def _said(found: Distribution, step_labels: Sequence[str]) -> list[str]:
    """A sentence for each checkpoint; empty where it is not known."""
    said = [""] * len(step_labels)
    for row, place in enumerate(found.places):
        nan, infinite = int(found.nan[row]), int(found.infinite[row])
        total = int(found.counts[row].sum()) + nan + infinite
        span = f"{number_text(float(found.low[row]))} to {number_text(float(found.high[row]))}"
        also = [f"{grouped(count)} {word}" for count, word in ((nan, "NaN"), (infinite, "infinite")) if count]
        said[place] = f"Step {step_labels[place]}: {grouped(total)} values, " + ", ".join(
            [f"from {span}" if total > nan + infinite else "none finite", *also]
        )
    return said
