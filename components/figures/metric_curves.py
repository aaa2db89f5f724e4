"""All curves of several runs: a row for each metric, a colour for each run, smoothed with the raw values faint behind.

What the cursor of time needs stands in the layout's ``meta``: where each checkpoint of the run that is open lies on the x-axis.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Curve
from mloscope.components import theme as themes
from mloscope.components.figures.line_labels import spread
from mloscope.components.figures.training_chart import thinned
from mloscope.components.figures.unchecked_figure import unchecked_figure

AXES = {"step": "step", "epoch": "epoch", "time": "hours since each run's first record"}
ROW_PX, LABEL_PX, MOST_LABELLED = 250, 15, 12
DASHES = {"training": "solid", "validation": "dash", "test": "dot", "": "solid"}
_TOP_PX, _BOTTOM_PX, _BETWEEN_PX, _LABELS_PX = 24, 44, 34, 200
_LONGEST_LABEL = 26
_MOST_POINTS = 60_000
"""Of all curves together; see :func:`thinned`."""


@dataclass(frozen=True)
class Shown:
    """How the curves are drawn."""

    x: str = "step"
    """One of :data:`AXES`."""
    smoothing: float = 0.0
    """Weight of what was before in the exponential moving average, 0 (none) to below 1."""
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class DrawnRun:
    """A run in the chart."""

    title: str
    colour: str
    curves: Sequence[Curve] = field(default_factory=tuple)

    @property
    def begin_s(self) -> float | None:
        """When its first record was made, in Unix time."""
        return min((float(c.times[0]) for c in self.curves if c.times is not None and len(c.times)), default=None)

    def places(self, curve: Curve, x: str) -> np.ndarray | None:
        """Where the curve's points lie on the axis; None where that is not known."""
        if x != "time":
            return curve.along(x)
        return None if curve.times is None else (curve.times - self.begin_s) / 3600


def height_px(rows: int) -> int:
    return _TOP_PX + _BOTTOM_PX + rows * ROW_PX + max(0, rows - 1) * _BETWEEN_PX


def metric_curves(
    runs: Sequence[DrawnRun], metrics: Sequence[str], shown: Shown, places: Sequence[float | None], *, theme: str
) -> dict[str, Any]:
    """``metrics`` as :func:`mloscope.components.figures.training_chart.metrics_of` names them, a row each; ``places``: see
    :func:`checkpoint_places`."""
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = _frame(len(metrics), shown, theme)
    layout["meta"] = {"places": list(places)}
    drawn = [(run, curve, at) for run in runs for curve in run.curves if (at := run.places(curve, shown.x)) is not None]
    room = max(100, _MOST_POINTS // max(1, len(drawn)) // (2 if shown.smoothing else 1))
    layout["xaxis"]["range"] = _span([at for _, curve, at in drawn if curve.metric in metrics], shown.log_x, 0.01)
    for number, metric in enumerate(metrics, 1):
        mine = [each for each in drawn if each[1].metric == metric]
        made = [_traces(run, curve, at, shown, number, room) for run, curve, at in mine]
        traces += itertools.chain(*made)
        layout["annotations"].append(_title(metric, number, theme))
        ends = {run.title: (run, each[-1]) for (run, _, _), each in zip(mine, made, strict=True)}
        span = _span([trace["y"] for each in made for trace in each], shown.log_y)
        layout["yaxis" if number == 1 else f"yaxis{number}"]["range"] = span
        if len(ends) <= MOST_LABELLED:
            layout["annotations"] += _end_labels(list(ends.values()), span, shown, number)
    is_labelled = any("yshift" in each for each in layout["annotations"])
    layout["margin"] = {"l": 56, "r": _LABELS_PX if is_labelled else 24, "t": _TOP_PX, "b": _BOTTOM_PX}
    return unchecked_figure(traces, layout, theme=theme)


def _span(values: Sequence[np.ndarray], is_log: bool, margin: float = 0.06) -> list[float]:
    """Both ends of an axis: Plotly would make room for the labels at the lines' ends too."""
    every = np.concatenate([np.zeros(0), *values])
    every = every[np.isfinite(every)]
    every = np.log10(every[every > 0]) if is_log else every
    if not len(every):
        return [0.0, 1.0]
    low, high = float(every.min()), float(every.max())
    room = (high - low) * margin or 0.5 * (abs(high) or 1.0)
    return [low - room, high + room]


def checkpoint_places(checkpoints: Sequence[Checkpoint], run: DrawnRun, x: str) -> list[float | None]:
    """Where each checkpoint of the run lies on the axis; None where that is not known."""
    if x == "step":
        return [float(checkpoint.step) for checkpoint in checkpoints]
    if x == "epoch":
        return [checkpoint.epoch for checkpoint in checkpoints]
    timed = [curve for curve in run.curves if curve.times is not None and curve.along("step") is not None]
    if not timed:
        return [None] * len(checkpoints)
    longest = max(timed, key=lambda curve: len(curve.x))
    steps, hours = longest.along("step"), run.places(longest, "time")
    assert steps is not None
    assert hours is not None
    found = np.interp([c.step for c in checkpoints], steps.astype(float), hours, left=np.nan, right=np.nan)
    return [None if np.isnan(hour) else float(hour) for hour in found]


def smoothed(y: np.ndarray, weight: float) -> np.ndarray:
    """Return the exponential moving average ``s = weight * s + (1 - weight) * y`` from 0, divided by ``1 - weight**n`` so that
    it does not begin at 0. Values that are not finite stay as they are and do not count."""
    found = y.astype(np.float64, copy=True)
    known = np.isfinite(y)
    steps = itertools.accumulate(
        y[known].tolist(), lambda sum_, value: weight * sum_ + (1 - weight) * value, initial=0.0
    )
    sums = np.fromiter(steps, np.float64)[1:]
    found[known] = sums / (1 - weight ** np.arange(1, len(sums) + 1))
    return found


def _traces(run: DrawnRun, curve: Curve, at: np.ndarray, shown: Shown, row: int, room: int) -> list[dict[str, Any]]:
    """The raw curve, and where it is smoothed, that in front of it."""
    axes = {"xaxis": _axis("x", row), "yaxis": _axis("y", row)}
    x, y, exact = thinned(at, curve.y, curve.x, room)
    line = {"color": run.colour, "dash": DASHES[curve.split], "width": 1.6}
    values = {
        "type": "scattergl" if len(x) > 5000 else "scatter", "x": x, "y": y, "customdata": exact, **axes,
        "mode": "lines" if len(x) > 1 else "markers", "name": f"{run.title} · {curve.name}", "line": line,
        "marker": {"color": run.colour},
        "hovertemplate": f"<b>%{{y:.5g}}</b> {curve.name}, {curve.axis} %{{customdata:,}}<br>{run.title}<extra></extra>",
    }  # fmt: skip
    if not shown.smoothing:
        return [values]
    smooth_x, smooth_y, smooth_exact = thinned(at, smoothed(curve.y, shown.smoothing), curve.x, room)
    raw = {
        **values,
        "opacity": 0.25,
        "hoverinfo": "skip",
        "hovertemplate": None,
        "line": {**line, "width": 1, "dash": "solid"},
    }
    hover = str(values["hovertemplate"]).replace(curve.name, f"{curve.name}, smoothed {shown.smoothing:g}", 1)
    return [raw, {**values, "x": smooth_x, "y": smooth_y, "customdata": smooth_exact, "hovertemplate": hover}]


def _axis(letter: str, row: int) -> str:
    return letter if row == 1 else f"{letter}{row}"


def _frame(rows: int, shown: Shown, theme: str) -> dict[str, Any]:
    """Axes of the rows, the first on top; the x-axes move together."""
    height = height_px(rows)
    plot = height - _TOP_PX - _BOTTOM_PX
    layout: dict[str, Any] = {
        "showlegend": False, "hovermode": "closest", "annotations": [], "height": height,
    }  # fmt: skip
    for row in range(1, rows + 1):
        top = 1 - (row - 1) * (ROW_PX + _BETWEEN_PX) / plot
        number = "" if row == 1 else str(row)
        is_last = row == rows
        layout[f"xaxis{number}"] = {
            "anchor": _axis("y", row), "showgrid": False, "zeroline": False, "type": "log" if shown.log_x else "linear",
            **({} if row == 1 else {"matches": "x"}), "title": {"text": AXES[shown.x] if is_last else ""},
            "exponentformat": "none",
        }  # fmt: skip
        layout[f"yaxis{number}"] = {
            "anchor": _axis("x", row), "domain": [max(0.0, top - ROW_PX / plot), top], "nticks": 6,
            "type": "log" if shown.log_y else "linear", **({} if shown.log_y else {"tickformat": ".3~g"}),
            "title": {"text": ""}, "zeroline": False,
        }  # fmt: skip
    return layout


def _title(metric: str, row: int, theme: str) -> dict[str, Any]:
    return {
        "text": f"<b>{metric}</b>", "showarrow": False, "x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yanchor": "bottom",
        "yref": f"{_axis('y', row)} domain", "font": {"size": 12, "color": themes.TOKENS[theme]["text"]},
    }  # fmt: skip


def _end_labels(
    drawn: Sequence[tuple[DrawnRun, Mapping[str, Any]]], span: Sequence[float], shown: Shown, row: int
) -> list[dict[str, Any]]:
    """The runs' names where their last lines end, moved apart where they would be printed over one another."""
    ends = []
    for run, trace in drawn:
        x, y = trace["x"], trace["y"]
        known = np.flatnonzero(np.isfinite(y) & ((y > 0) | (not shown.log_y)) & ((x > 0) | (not shown.log_x)))
        if len(known):
            at_x, at_y = float(x[known[-1]]), float(y[known[-1]])
            ends.append((run, np.log10(at_x) if shown.log_x else at_x, np.log10(at_y) if shown.log_y else at_y))
    if not ends:
        return []
    px = ROW_PX / (span[1] - span[0])
    heights = np.array([y for _, _, y in ends]) * px
    shifts = spread(heights, LABEL_PX, (span[0] * px, span[1] * px)) - heights
    return [
        {
            "text": _middle(run.title), "showarrow": False, "x": float(x), "xref": _axis("x", row), "xanchor": "left", "xshift": 6,
            "y": float(y), "yref": _axis("y", row), "yshift": shift, "font": {"size": 11, "color": run.colour},
        }
        for (run, x, y), shift in zip(ends, shifts.tolist(), strict=True)
    ]  # fmt: skip


def _middle(text: str) -> str:
    """The text without its middle where it is long."""
    half = _LONGEST_LABEL // 2
    return text if len(text) <= _LONGEST_LABEL else f"{text[: half - 1]}…{text[-half:]}"
