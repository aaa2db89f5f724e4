"""How training went: loss, accuracy and whatever else was recorded, of one run or of several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from mloscope.adaptors.interface import Curve
from mloscope.components import theme as themes
from mloscope.components.figures.time_axis import time_axis

MOST_POINTS = 2000
"""Of longer curves the smallest and the largest value of each stretch are drawn, so that no peak is lost."""
AXIS_TITLES = {"step": "step", "epoch": "epoch", "share": "share of training"}
_DASHES = {"training": "solid", "validation": "dash", "test": "dot", "": "dashdot"}
_RATES, _LOSSES = ("accuracy", "acc", "error"), ("loss", "logprob", "cost")
BEHIND_TIMELINE_POINTS = 600
"""More cannot be told apart behind the slider."""


def metrics_of(curves_by_run: Mapping[str, Sequence[Curve]]) -> tuple[str, ...]:
    """What can be drawn, each once and without its split (``loss`` for ``training loss`` and ``validation loss``): what
    most runs have first; of these losses, then accuracies and errors, then the rest, by name."""
    runs_with: dict[str, set[str]] = {}
    for run, curves in curves_by_run.items():
        for curve in curves:
            runs_with.setdefault(curve.metric, set()).add(run)

    return tuple(sorted(runs_with, key=lambda name: (-len(runs_with[name]), _rank(name), name)))


def _rank(metric: str) -> int:
    """0 for losses, 1 for accuracies and errors, 2 for the rest."""
    lower = metric.lower()
    return 1 if any(word in lower for word in _RATES) else 0 if any(word in lower for word in _LOSSES) else 2


def curve_behind_timeline(curves: Sequence[Curve], steps: Sequence[int]) -> Curve | None:
    """Return the curve that says best how training went between the checkpoints' ``steps``, by step and thinned: a loss before
    an accuracy, and the first of these that has two finite values there; None where none has."""
    for curve in sorted((curve for curve in curves if _rank(curve.metric) < 2), key=lambda curve: _rank(curve.metric)):
        x = curve.along("step")
        if x is None or len(steps) < 2:
            continue
        inside = (x >= steps[0]) & (x <= steps[-1])
        if np.count_nonzero(np.isfinite(curve.y[inside])) > 1:
            at, values, _ = thinned(x[inside], curve.y[inside], x[inside], BEHIND_TIMELINE_POINTS)
            return Curve(curve.name, "step", at, values, curve.source)
    return None


def training_chart(
    curves_by_run: Mapping[str, Sequence[Curve]], metrics: Sequence[str], x: str = "step", *, theme: str
) -> go.Figure:
    """One row for each metric, all runs in it: a colour for each run, a dash style for training, validation and test.

    metrics: as :func:`metrics_of` names them, or whole names of curves (``training loss``); rows are in their order.
    x: ``step``, ``epoch`` or ``share`` (of each run's own training, 0 to 1: up to the last point of any of its curves).
    Curves that are not known on that axis are left out and counted in a note.
    """
    placed: dict[str, list[tuple[Curve, np.ndarray]]] = {}
    left_out = 0
    for run, curves in curves_by_run.items():
        known = [(curve, places) for curve in curves if (places := _places(curve, x, curves)) is not None]
        wanted = [curve for curve in curves if _wanted(curve, metrics)]
        placed[run] = [(curve, places) for curve, places in known if _wanted(curve, metrics)]
        left_out += len(wanted) - len(placed[run])
    if not any(placed.values()):
        said = f"No such curve is known by {AXIS_TITLES[x]}." if left_out else "Nothing was recorded."
        return themes.empty_figure(theme, said)
    figure = _rows(placed, metrics, theme)
    figure.update_xaxes(showgrid=False, zeroline=False)
    title = AXIS_TITLES[x]
    if left_out:
        title += f" ({left_out} {'curve is' if left_out == 1 else 'curves are'} not known by it)"
    figure.update_xaxes(title={"text": title}, row=len(metrics))
    if x == "share":
        figure.update_xaxes(range=[-0.02, 1.02], tickformat=".0%")
    return figure


def run_course(
    curves: Sequence[Curve], metrics: Sequence[str], steps: Sequence[int], step_labels: Sequence[str], *, theme: str
) -> go.Figure:
    """One run's curves over its checkpoints, at equal distances as on the slider: what lies between two checkpoints is
    drawn between them, what lies beyond the first or the last is left out.

    steps: the checkpoints', ascending. step_labels: the same as written.
    """
    placed = []
    positions = np.arange(len(steps), dtype=np.float64)
    for curve in curves:
        x = curve.along("step")
        if x is not None and _wanted(curve, metrics) and len(steps):
            inside = (x >= steps[0]) & (x <= steps[-1])
            at = np.interp(x[inside], np.asarray(steps, np.float64), positions)
            kept = Curve(curve.name, curve.axis, x[inside], curve.y[inside], curve.source)
            if inside.any():
                placed.append((kept, at))
    if not placed:
        return themes.empty_figure(theme, "Nothing was recorded between the checkpoints.")
    figure = _rows({"": placed}, metrics, theme)
    for row in range(1, len(metrics) + 1):
        axis = time_axis(step_labels)
        figure.update_xaxes(**(axis if row == len(metrics) else {**axis, "title": None}), row=row)
    return figure


def _wanted(curve: Curve, metrics: Sequence[str]) -> bool:
    return curve.name in metrics or curve.metric in metrics


def _places(curve: Curve, x: str, curves: Sequence[Curve]) -> np.ndarray | None:
    if x != "share":
        return curve.along(x)
    ends = {
        axis: max((float(p[-1]) for each in curves if (p := each.along(axis)) is not None and len(p)), default=0.0)
        for axis in ("step", "epoch")
    }
    axis = "step" if curve.along("step") is not None else "epoch"
    places = curve.along(axis)
    return places / ends[axis] if places is not None and ends[axis] > 0 else None


def _rows(placed: Mapping[str, Sequence[tuple[Curve, np.ndarray]]], metrics: Sequence[str], theme: str) -> go.Figure:
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=len(metrics),
        shared_xaxes=True,
        vertical_spacing=(0.22 if len(placed) == 1 else 0.14) / max(1, len(metrics) - 1),
    )
    shown: set[tuple[str, str]] = set()
    for number, (run, curves) in enumerate(placed.items()):
        colour = (
            themes.CATEGORIES[number % len(themes.CATEGORIES)] if len(placed) > 1 else themes.TOKENS[theme]["accent"]
        )
        for curve, places in curves:
            split, what = curve.split, curve.metric
            row = metrics.index(curve.name if curve.name in metrics else what) + 1
            at, values, exact = thinned(places, curve.y, curve.x)
            name = " · ".join(word for word in (run, split or ("" if run else what)) if word)
            figure.add_scatter(
                x=at, y=values, customdata=exact.tolist(), mode="lines" if len(at) > 1 else "markers",
                name=name, legendgroup=name, showlegend=(run, split) not in shown,
                line={"width": 1.5, "color": colour, "dash": _DASHES[split]}, marker={"color": colour},
                hovertemplate=f"{f'{run}<br>' if run else ''}{curve.name}<br>{curve.axis} %{{customdata:,}}: "
                "<b>%{y:.5g}</b><extra></extra>",
                row=row, col=1,
            )  # fmt: skip
            shown.add((run, split))
    one = len(placed) == 1
    beside = {"y": 1, "yanchor": "top"}
    above = {"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "itemwidth": 30}
    figure.update_layout(
        template=themes.template(theme),
        margin={"t": 22},
        legend={**(above if one else beside), "font": {"size": 11}},
        showlegend=len(shown) > 1,
    )
    for row, metric in enumerate(metrics, 1):
        figure.update_yaxes(nticks=5, tickformat=".3~g", row=row)
        figure.add_annotation(
            text=metric, showarrow=False, x=0, xref="paper", xanchor="left", y=1, yanchor="bottom",
            yref=f"y{row if row > 1 else ''} domain", font={"size": 11, "color": themes.TOKENS[theme]["text-quiet"]},
        )  # fmt: skip
    return figure


def thinned(
    x: np.ndarray, y: np.ndarray, exact: np.ndarray, most_points: int = MOST_POINTS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return at most about ``most_points`` of the points, with the extremes of every stretch; a stretch with a NaN keeps one,
    so that the line stays broken there."""
    if len(x) <= most_points:
        return x, y, exact
    chosen: set[int] = {0, len(x) - 1}
    for piece in np.array_split(np.arange(len(x)), most_points // 3):
        values = y[piece]
        known = np.flatnonzero(~np.isnan(values))
        if len(known):
            chosen.update((int(piece[known[values[known].argmin()]]), int(piece[known[values[known].argmax()]])))
        if len(known) < len(piece):
            chosen.add(int(piece[np.isnan(values).argmax()]))
    order = np.array(sorted(chosen))
    return x[order], y[order], exact[order]
