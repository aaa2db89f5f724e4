"""All curves of all chosen runs: which runs and metrics, smoothing, log axes, by step, epoch or time; the cursor of time on them.

    Stores "subject", "metrics-view", "theme" ──► draw ──► metrics-chart (figure, height), metrics-names, metrics-said

The choice of runs is drawn by the browser (assets/runs/choice.mjs); it is the legend too. Moving time asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from dash import Dash, Input, Output, html, no_update

from mloscope.app import errors
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.page import Page, ViewPart
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.app.web.dash.view_state import CHOSEN_RUNS, Field
from mloscope.components import theme as themes
from mloscope.components.browser_parts import RunChoice, ViewSelect
from mloscope.components.chart import chart
from mloscope.components.figures.metric_curves import (
    DrawnRun,
    Shown,
    checkpoint_places,
    height_px,
    metric_curves,
)
from mloscope.components.figures.training_chart import metrics_of

if TYPE_CHECKING:
    from mloscope.adaptors.interface import Curve
    from mloscope.app.web.services import Services

CHART, NAMES, SAID, RUNS = "metrics-chart", "metrics-names", "metrics-said", "metrics-runs"
METRICS_VIEW = "metrics-view"  # Store: what of the view is drawn. One writer: assets/shell/view_parts.mjs
METRICS_SHOWN = 2
MOST_METRICS = 40
LEARNING_RATE = "learning rate"
SMOOTHINGS = ("0", "0.5", "0.7", "0.8", "0.9", "0.95", "0.98", "0.99")
_OF_VIEW = ("runs-chosen", "b-run", "metrics", "metrics-x", "metrics-smoothing", "metrics-log")
_EMPTY_PX = 300


def layout() -> html.Div:
    tools = (
        ViewSelect(
            id="metrics-x", field="metrics-x", label="By", help="What the curves are drawn over",
            options=[("step", "step"), ("epoch", "epoch"), ("time", "time")],
        ),
        ViewSelect(
            id="metrics-smoothing", field="metrics-smoothing", label="Smoothing",
            help="Weight of what was before in the exponential moving average; the recorded values stay faint behind",
            options=[(weight, "none" if weight == "0" else weight) for weight in SMOOTHINGS],
        ),
        ViewSelect(
            id="metrics-log", field="metrics-log", label="Log axes", help="Axes with powers of ten at equal distances",
            options=[("none", "none"), ("y", "values"), ("x", "x-axis"), ("both", "both")],
        ),
    )  # fmt: skip
    return html.Div(
        [
            html.Aside(
                [
                    html.H2("Runs", className="panel-title"),
                    RunChoice(id=RUNS, colours=themes.CATEGORIES),
                ],
                className="metrics-side",
                **{"aria-label": "Runs"},
            ),
            html.Section(
                [
                    html.Div([html.H2("Metrics", className="runs-title"), *tools], className="toolbar"),
                    html.Div(id=NAMES, className="metrics-names", role="group", **{"aria-label": "Metrics"}),
                    html.P(id=SAID, className="quiet-text metrics-said", role="status"),
                    chart(CHART, "Metrics of the chosen runs over training", _EMPTY_PX, cursor=True),
                ],
                className="metrics-centre",
                **{"aria-label": "Curves"},
            ),
        ],
        className="metrics",
    )


def bind(app: Dash, services: Services) -> None:
    threaded(
        app,
        Output(CHART, "figure"), Output(CHART, "style"), Output(NAMES, "children"), Output(SAID, "children"),
        Input(ids.SUBJECT, "data"), Input(METRICS_VIEW, "data"), Input(ids.THEME, "data"),
    )(Metrics(services).draw)  # fmt: skip


class Metrics:
    """The callback's body, as a plain method over stores' contents."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def draw(self, subject: dict | None, view: dict | None, theme: str | None) -> Any:
        """The figure, its height, buttons for the metrics, and what is to be said."""
        if not subject or not subject.get("run") or not view or theme is None:
            return no_update, no_update, no_update, no_update
        # Where none are chosen, those that are compared.
        names = names_in(view["runs-chosen"]) or list(dict.fromkeys([subject["run"], view["b-run"] or subject["run"]]))
        known = [name for name in names if name in subject["runs"]]
        # The run that is open is read too, though perhaps not drawn: the cursor stands on its checkpoints.
        found = self.services.comparison.curves([*known, subject["run"]], subject["corpus"])
        drawn = [_drawn(subject, name, found[name], number) for number, name in enumerate(known)]
        metrics = metrics_of({run.title: run.curves for run in drawn})[:MOST_METRICS]
        shown = [name for name in names_in(view["metrics"]) if name in metrics] or _by_default(metrics)
        buttons = [_button(metric, metric in shown) for metric in metrics]
        if not shown:
            figure = themes.empty_figure(theme, "Nothing was recorded of the chosen runs.")
            return figure, {"height": f"{_EMPTY_PX}px"}, buttons, _said(names, drawn, subject, "step", [])
        how = Shown(
            view["metrics-x"], float(view["metrics-smoothing"]),
            log_x=view["metrics-log"] in ("x", "both"), log_y=view["metrics-log"] in ("y", "both"),
        )  # fmt: skip
        places = self._places(subject, found[subject["run"]], how.x)
        figure = metric_curves(drawn, shown, how, places, theme=theme)
        said = _said(names, drawn, subject, how.x, shown)
        return figure, {"height": f"{height_px(len(shown))}px"}, buttons, said

    def _places(self, subject: dict, curves: Sequence[Curve], x: str) -> list[float | None]:
        try:
            checkpoints = self.services.workspace.opened_run(subject["run"]).checkpoints
        except errors.MloscopeError:
            return []
        of = {
            c.step: place
            for c, place in zip(checkpoints, checkpoint_places(checkpoints, DrawnRun("", "", curves), x), strict=True)
        }
        return [of.get(checkpoint["step"]) for checkpoint in subject["checkpoints"]]


def names_in(text: str) -> list[str]:
    """Return the names that an entry of the view lists: commas between them, those in them percent-encoded."""
    return list(dict.fromkeys(unquote(name) for name in text.split(",") if name))


def in_names(names: Sequence[str]) -> str:
    """Return the entry of the view for these names."""
    return ",".join(name.replace("%", "%25").replace(",", quote(",")) for name in names)


def _drawn(subject: Mapping[str, Any], name: str, curves: Sequence[Curve], number: int) -> DrawnRun:
    titles = subject.get("titles", {}).get("runs", {})
    return DrawnRun(titles.get(name, name), themes.CATEGORIES[number % len(themes.CATEGORIES)], tuple(curves))


def _by_default(metrics: Sequence[str]) -> list[str]:
    """The first metrics, and the learning rate where it was recorded."""
    first = [name for name in metrics if name != LEARNING_RATE][:METRICS_SHOWN]
    return [*first, *(name for name in metrics if name == LEARNING_RATE)]


def _button(metric: str, is_shown: bool) -> html.Button:
    return html.Button(
        metric, className="metrics-name", **{"data-metric": in_names([metric]), "aria-pressed": str(is_shown).lower()}
    )


def _said(
    names: Sequence[str], drawn: Sequence[DrawnRun], subject: Mapping[str, Any], x: str, metrics: Sequence[str]
) -> str:
    """Sentences about what is not in the chart."""
    sentences = []
    missing = [name for name in names if name not in subject["runs"]]
    if missing:
        sentences.append(f"Not connected: {_few(missing)}.")
    empty = [run.title for run in drawn if not any(curve.metric in metrics for curve in run.curves)]
    if metrics and empty:
        sentences.append(f"Nothing of this was recorded of {_few(empty)}.")
    unknown = [
        run.title
        for run in drawn
        if any(curve.metric in metrics and run.places(curve, x) is None for curve in run.curves)
    ]
    if unknown:
        file = " (TensorBoard's files do)" if x == "time" else ""
        sentences.append(f"Left out, because their files do not tell the {x}{file}: curves of {_few(unknown)}.")
    return " ".join(sentences)


def _few(names: Sequence[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


PAGE = Page(
    name="metrics",
    path="/curves",
    label="Metrics",
    title="Metrics",
    help="All recorded curves of the chosen runs, smoothed, on log axes, by step, epoch or time",
    layout=layout,
    bind=bind,
    fields=(
        CHOSEN_RUNS,
        Field(
            "metrics",
            "text",
            "",
            "names of the metrics drawn, separated by commas; the first two where absent",
            longest=8000,
        ),
        Field("metrics-x", "choice", "step", "what curves are drawn over", ("step", "epoch", "time")),
        Field("metrics-smoothing", "choice", "0", "weight of the exponential moving average", SMOOTHINGS),
        Field("metrics-log", "choice", "none", "which axes are logarithmic", ("none", "y", "x", "both")),
    ),
    stores=(ViewPart(METRICS_VIEW, _OF_VIEW),),
)
