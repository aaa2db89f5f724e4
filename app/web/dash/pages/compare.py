"""Direct comparison (report 5.4, Figure 5): two moments, or two runs, side by side, as a difference, a ratio, a blink or a wipe.

Side A is what every page shows (subject, view, time bus); side B follows by rule, in the browser (assets/compare/state.mjs).
Frames while time moves are drawn there from two films. The callbacks below run when both sides have settled:

    Stores "subject", "compare-view", "settled-time" (A), "compare-settled" (B) ─┬──► summarise  ──► compare-summary
                                                                         ├──► scatter    ──► compare-scatter
                                                                         ├──► rank       ──► compare-change
                                                                         ├──► enlarge    ──► compare-unit
                                                                         └──► train      ──► compare-training
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from dash import Dash, Input, Output, html, no_update
from pydantic import AfterValidator, BaseModel, ConfigDict

from mloscope.app import errors
from mloscope.app.comparison import pairing
from mloscope.app.comparison.compared_runs import Shown, Side
from mloscope.app.films.kinds import film_kinds
from mloscope.app.process.url_prefix import mounted
from mloscope.app.runs.unit_selection import parse_units
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.page import Page, Store, ViewPart
from mloscope.app.web.dash.pages import compare_layout as parts
from mloscope.app.web.dash.pages.compare_fields import FIELDS
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.components import theme as themes
from mloscope.components.figures.comparison_change import comparison_change
from mloscope.components.figures.comparison_scatter import comparison_scatter
from mloscope.components.figures.comparison_unit import comparison_unit
from mloscope.components.figures.training_chart import metrics_of, training_chart
from mloscope.components.numbers import name_of_step

if TYPE_CHECKING:
    from mloscope.adaptors.interface import Curve
    from mloscope.app.web.services import Services

METRICS_SHOWN = 2
_OF_VIEW = (
    "layer", "unit", "units", "parameter", "image", "symmetric", "split", "compare-show", "compare-align", "compare-panel",
    "compare-measure", "compare-runs", "compare-metric",
)  # fmt: skip
"""What the callbacks show of the view."""


def _selection(text: str) -> str:
    parse_units(text)
    return text


class _SideB(BaseModel):
    """What the browser says of side B, once all rests."""

    model_config = ConfigDict(strict=True, extra="ignore")

    run: str
    step: int | None = None
    label: str | None
    layer: str | None = None
    parameter: str | None
    units: Annotated[str, AfterValidator(_selection)]
    align: str = "step"
    reason: str | None = None
    problem: str | None = None


def bind(app: Dash, services: Services) -> None:
    stores = [
        Input(ids.SUBJECT, "data"),
        Input(parts.COMPARE_VIEW, "data"),
        Input(ids.SETTLED_TIME, "data"),
        Input(parts.COMPARE_SETTLED, "data"),
    ]
    theme = Input(ids.THEME, "data")
    here = Compare(services)
    threaded(app, Output(parts.COMPARE_SUMMARY, "children"), *stores)(here.summarise)
    threaded(app, Output(parts.COMPARE_SCATTER, "figure"), *stores, theme)(here.scatter)
    threaded(app, Output(parts.COMPARE_CHANGE, "figure"), *stores, theme)(here.rank)
    threaded(app, Output(parts.COMPARE_UNIT, "figure"), *stores, theme)(here.enlarge)
    threaded(
        app,
        Output(parts.COMPARE_TRAINING, "figure"),
        Output(parts.COMPARE_METRIC, "children"),
        *(stores[0], stores[1], stores[3]),
        theme,
    )(here.train)


class Compare:
    """The callbacks' bodies, as plain methods over stores' contents."""

    def __init__(self, services: Services) -> None:
        self.compared = services.comparison

    def summarise(self, subject: dict | None, view: dict | None, time: dict | None, other: dict | None) -> Any:
        if not _ready(subject, view, time, other) or _hidden(view, "change"):
            return no_update
        try:
            question = _question(subject, view, time, other)
            changes = self.compared.changes(*question)
            whole = self.compared.whole(*question)
        except errors.MloscopeError as error:
            return html.P(str(error), className="quiet-text")
        found = pairing.correlate(*changes.measure(view["compare-measure"]))
        return [
            html.Dl(
                [
                    part
                    for name, value, tip in (
                        ("relative change", _number(whole.change[0]), "‖A − B‖ / ‖B‖ of all values together"),
                        ("cosine", _number(whole.cosine[0]), "of all values of A and of B"),
                        ("norms", f"{_number(whole.norm_a[0])} and {_number(whole.norm_b[0])}", "of A and of B"),
                    )
                    for part in (html.Dt(name, title=tip), html.Dd(value))
                ],
                className="details-list",
            ),
            html.P(_correlation_in_words(found, view["compare-measure"]), className="compare-finding"),
        ]

    def scatter(
        self, subject: dict | None, view: dict | None, time: dict | None, other: dict | None, theme: str | None
    ) -> Any:
        def draw(*question: Any) -> Any:
            changes = self.compared.changes(*question)
            return comparison_scatter(
                *changes.measure(view["compare-measure"]), _units(view, changes.count),
                selected=view["unit"], measure=view["compare-measure"],
                labels=(f"step {name_of_step(subject['checkpoints'], time['step'])}", f"step {other['label']}"), theme=theme,
            )  # fmt: skip

        return _drawn(subject, view, time, other, theme, draw)

    def rank(
        self, subject: dict | None, view: dict | None, time: dict | None, other: dict | None, theme: str | None
    ) -> Any:
        def draw(*question: Any) -> Any:
            changes = self.compared.changes(*question)
            units = _units(view, changes.count)
            return comparison_change(changes.change, changes.cosine, units, selected=view["unit"], theme=theme)

        return _drawn(subject, view, time, other, theme, draw)

    def enlarge(
        self, subject: dict | None, view: dict | None, time: dict | None, other: dict | None, theme: str | None
    ) -> Any:
        def draw(*question: Any) -> Any:
            a, b = self.compared.both(*question)
            place = np.flatnonzero(_units(view, len(a)) == view["unit"])
            if not len(place):
                return themes.empty_figure(theme, "The selected unit is not among those shown.")
            has_sign = film_kinds()[view["compare-show"]].scale == "diverging"
            diverging = view["symmetric"] == "yes" or (view["symmetric"] == "auto" and has_sign)
            return comparison_unit(a[place[0]], b[place[0]], diverging=diverging, theme=theme)

        return _drawn(subject, view, time, other, theme, draw)

    def train(self, subject: dict | None, view: dict | None, other: dict | None, theme: str | None) -> Any:
        if not subject or not subject.get("run") or not view or not other or theme is None or _hidden(view, "training"):
            return no_update, no_update
        align = view["compare-align"] if view["compare-align"] != "auto" else other.get("align", "step")
        x = {"epoch": "epoch", "share": "share"}.get(align, "step")
        sides = (subject["run"], other["run"])
        asked = [run for run in view["compare-runs"].split(",") if run in subject["runs"] and run not in sides]
        titles = subject.get("titles", {}).get("runs", {})
        buttons = [
            html.Button(
                f"+ {titles.get(run, run)}", className="segment", title=f"{titles.get(run, run)} in the chart too",
                **{"data-toggle": "compare-runs", "data-value": run, "aria-pressed": "true"},
            )
            for run in asked
        ]  # fmt: skip
        # Of more runs, and with smoothing, the page of metrics has them.
        more = html.A("More runs …", href=mounted("/curves"), className="segment", **{"data-page": "metrics"})
        buttons.append(more)
        try:
            curves = self.compared.curves((*sides, *asked), subject["corpus"], view["split"] or None)
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, str(error)), buttons
        names = metrics_of(curves)
        if not names:
            runs = " nor ".join(curves)
            sentence = f"No metrics were recorded for<br>{runs},<br>and neither has been evaluated."
            return themes.empty_figure(theme, sentence), buttons
        chosen = [view["compare-metric"]] if view["compare-metric"] in names else list(names[:METRICS_SHOWN])
        figure = training_chart(curves, chosen, x, theme=theme)
        figure.update_layout(
            meta={"x": x, "ends": {run: _end(known) for run, known in curves.items()}},
            margin={"l": 52, "r": 10, "t": 24, "b": 130},
            legend={
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": -0.16,
                "yanchor": "top",
                "traceorder": "normal",
            },
        )
        metrics = [
            html.Button(
                text, className="segment",
                **{"data-view": "compare-metric", "data-value": name, "aria-pressed": str(name == view["compare-metric"]).lower()},
            )
            for name, text in (("", "automatic"), *((name, name) for name in names))
        ]  # fmt: skip
        return figure, [*metrics, *buttons]


def _end(curves: list[Curve]) -> float:
    """The last step that anything was recorded at, 0 where nothing was: what the chart's share of training is of."""
    places = (curve.along("step") for curve in curves)
    return max((float(steps[-1]) for steps in places if steps is not None and len(steps)), default=0.0)


def _ready(subject: dict | None, view: dict | None, time: dict | None, other: dict | None) -> bool:
    """Stores are empty until the browser has opened a run and side B is known."""
    return bool(subject and subject.get("run") and view and view.get("layer") and time and other and other.get("run"))


def _drawn(
    subject: dict | None,
    view: dict | None,
    time: dict | None,
    other: dict | None,
    theme: str | None,
    draw: Callable[..., Any],
) -> Any:
    """What ``draw`` makes of what is compared; an empty figure where it cannot be: the summary says why."""
    if not _ready(subject, view, time, other) or theme is None or _hidden(view, "change"):
        return no_update
    try:
        return draw(*_question(subject, view, time, other))
    except errors.MloscopeError:
        return themes.empty_figure(theme, "")


def _hidden(view: dict, panel: str) -> bool:
    return bool(view["compare-panel"] != panel)


COMPARED = ("parameters", "features")
"""Kinds of films whose units are compared in numbers, too."""


def _question(subject: dict, view: dict, time: dict, other: dict) -> tuple[Side, Side, Shown]:
    """What is compared, from the stores. Raises :class:`errors.NotPossible` with the reason where one side is missing."""
    kind = film_kinds().get(view["compare-show"])
    if kind is None or kind.name not in COMPARED:
        raise errors.NotPossible("Per-unit change is available for parameters and feature maps.")
    if kind.needs_image and not view["image"]:
        raise errors.NotPossible(f"Choose an image, under Image, to compare {kind.title.lower()}.")
    for reason in (other.get("problem"), other.get("reason")):
        if reason:
            raise errors.NotPossible(reason)
    if not other.get("layer"):
        raise errors.NotPossible(f"{view['layer']} has no partner in {other['run']}.")
    if other.get("step") is None:
        raise errors.NotPossible("Side B has no checkpoint at this step.")
    return (
        Side(subject["run"], time["step"], view["layer"], view["parameter"] or None, parse_units(view["units"]) or None),
        Side(other["run"], other["step"], other["layer"], other["parameter"] or None, parse_units(other["units"]) or None),
        Shown(view["image"] if kind.needs_image else None, subject["corpus"]),
    )  # fmt: skip


def _units(view: dict, count: int) -> np.ndarray:
    """Numbers of A's units, in the order of the rows."""
    return np.array(parse_units(view["units"]) or range(count))


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else ("none" if np.isnan(value) else "infinite")


def _correlation_in_words(found: pairing.Correlation, measure: str) -> str:
    if not np.isfinite(found.rank):
        return f"{found.count} units are too few, or too similar, for a correlation of their {measure}s."
    chance = f"= {found.chance:.2g}" if found.chance > 1 / pairing.SHUFFLES else f"< {2 / pairing.SHUFFLES:.1g}"
    rank, pearson = (f"{value:.2f}".replace("-", "−") for value in (found.rank, found.pearson))
    return f"Unit {measure}s, A vs B: Spearman {rank}, Pearson {pearson} ({found.count} units, permutation p {chance})."


PAGE = Page(
    name="compare",
    path="/compare",
    label="Compare",
    title="Compare",
    help="Two moments or two runs, side by side and as a difference",
    layout=parts.layout,
    bind=bind,
    fields=FIELDS,
    stores=(ViewPart(parts.COMPARE_VIEW, _OF_VIEW), Store(parts.COMPARE_SETTLED, _SideB)),
)
