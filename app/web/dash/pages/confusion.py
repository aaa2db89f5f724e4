"""The confusion matrix (report 5.2.1, Figure 4): which classes are taken for which, at one moment of training.

Matrix, accuracy, pairs and the selected cell are drawn in the browser from counts of all steps that are loaded once
(assets/statistics/*.mjs, assets/confusion/*.mjs): moving time asks for nothing. What is asked when time has settled are images, and:

    Store "confusion-view", "subject", "statistics-ready", "theme" ──► draw_course ──► confusion-course
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output, html

from mloscope.app import errors
from mloscope.app.statistics import image_orders
from mloscope.app.statistics.values import course
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.chart_over_time import chart_over_time
from mloscope.app.web.dash.page import Page, Store, ViewPart
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.app.web.dash.view_state import SPLIT, Choice, Field
from mloscope.components import theme as themes
from mloscope.components.browser_parts import (
    ConfusionAccuracy,
    ConfusionCell,
    ConfusionChanges,
    ConfusionMatrix,
    ConfusionPairs,
    ConfusionTools,
    StatisticsState,
)
from mloscope.components.chart import chart
from mloscope.components.figures.confusion_course import confusion_course
from mloscope.components.figures.confusion_heat_map import confusion_heat_map

if TYPE_CHECKING:
    from mloscope.app.web.services import Services

STATISTICS_STATE = "statistics-state"
STATISTICS_READY = "statistics-ready"  # JS. Store: which statistics are ready. One writer: assets/confusion/state.mjs
CONFUSION_VIEW = "confusion-view"  # JS. Store: split and actual class. One writer: assets/shell/view_parts.mjs
CONFUSION_MATRIX = "confusion-matrix"
CONFUSION_TOOLS = "confusion-tools"
CONFUSION_ACCURACY = "confusion-accuracy"
CONFUSION_COURSE = "confusion-course"
CONFUSION_PAIRS = "confusion-pairs"
CONFUSION_CELL = "confusion-cell"
CONFUSION_CHANGES = "confusion-changes"


def layout() -> html.Div:
    figures = {theme: confusion_heat_map(theme).to_plotly_json() for theme in themes.TOKENS}
    return html.Div(
        [
            html.Div(
                [
                    html.Section(
                        [
                            ConfusionTools(id=CONFUSION_TOOLS),
                            StatisticsState(id=STATISTICS_STATE, needs="classes"),
                            ConfusionMatrix(id=CONFUSION_MATRIX, figures=figures),
                        ],
                        className="confusion-centre",
                        **{"aria-label": "Confusion matrix"},
                    ),
                    html.Aside(
                        [
                            ConfusionAccuracy(id=CONFUSION_ACCURACY),
                            html.H3("accuracy and recall of each class over all steps", className="panel-subtitle"),
                            chart(
                                CONFUSION_COURSE,
                                "Accuracy and recall of each class over all steps",
                                190,
                                cursor=True,
                            ),
                            html.H2("Pairs", className="panel-title"),
                            ConfusionPairs(id=CONFUSION_PAIRS),
                        ],
                        className="confusion-side confusion-numbers",
                        **{"aria-label": "Accuracy and pairs of classes"},
                    ),
                    html.Aside(
                        [ConfusionCell(id=CONFUSION_CELL), ConfusionChanges(id=CONFUSION_CHANGES)],
                        className="confusion-side confusion-detail",
                        **{"aria-label": "The selected cell, and what changed"},
                    ),
                ],
                className="confusion-columns statistics-page",
            ),
        ],
        className="confusion",
        id="confusion-page",
    )


def bind(app: Dash, services: Services) -> None:
    here = Confusion(services)
    threaded(
        app,
        Output(CONFUSION_COURSE, "figure"),
        Input(ids.SUBJECT, "data"), Input(CONFUSION_VIEW, "data"), Input(STATISTICS_READY, "data"), Input(ids.THEME, "data"),
    )(here.draw_course)  # fmt: skip


class Confusion:
    """The callback's body, as a plain method over stores' contents: it can be called without Dash."""

    def __init__(self, services: Services):
        self.services = services

    def draw_course(self, subject: dict | None, view: dict | None, ready: Any, theme: str | None) -> Any:
        """``ready`` only says that there may be more to see than before."""

        def draw(of: Any, steps: list[int], labels: list[str]) -> Any:
            if not of.ready:
                raise errors.NotPossible("Not evaluated yet.")
            accuracy, recall = course(of, "accuracy"), course(of, "recall")
            return confusion_course(
                accuracy.at(steps)[:, 0], recall.at(steps), recall.names, labels, selected=view["actual"], theme=theme
            )

        return chart_over_time(self.services.statistics, subject, view, theme, draw)


PAGE = Page(
    name="confusion",
    path="/confusion",
    label="Confusion",
    title="Confusion",
    help="Which classes are confused with each other, at each moment of training",
    layout=layout,
    bind=bind,
    fields=(
        SPLIT,
        Field(
            "actual",
            "number",
            None,
            "row of the selected cell of the confusion matrix: a class number",
            of=("corpus",),
            lost="the selected cell",
        ),
        Field(
            "predicted",
            "number",
            None,
            "its column: a class number; the number of classes for not predicted",
            of=("corpus",),
        ),
        Field(
            "shade",
            "choice",
            "count",
            "what the matrix's shading follows",
            (
                Choice("count", "counts", "Shade cells by how many images they hold"),
                Choice("row", "by row", "Shade cells by their share of the images of the true class (the row)"),
                Choice(
                    "column",
                    "by column",
                    "Shade cells by their share of the images predicted as the class (the column)",
                ),
            ),
        ),
        Field("diagonal", "choice", "all", "whether the diagonal is shaded too", ("all", "off")),
        Field(
            "order",
            "choice",
            "given",
            "order of the matrix's classes",
            (
                Choice("given", "as given"),
                Choice("name", "by name"),
                Choice("similarity", "similar together"),
                Choice("group", "by group"),
            ),
        ),
        Field(
            "area",
            "text",
            "",
            "rows and columns of the matrix in view, as positions: 0-19,40-59; all where absent",
            of=("corpus",),
        ),
        Field(
            "cell-order",
            "choice",
            "confident",
            "order of a cell's images",
            tuple(Choice(order.name, order.title, order.help) for order in image_orders.ORDERS.values()),
        ),
        Field(
            "cell-offset",
            "number",
            0,
            "how many of the cell's images come before the page shown",
            of=("run", "corpus"),
        ),
        Field(
            "pairs",
            "choice",
            "confused",
            "which pairs of classes are listed",
            (
                Choice("confused", "most confused", "Pairs of classes with the most confused images at this step"),
                Choice("growing", "growing", "Pairs of classes whose number of confused images has grown most"),
            ),
        ),
        Field(
            "since",
            "number",
            None,
            "the earlier step of what changed; the checkpoint before where absent",
            of=("step",),
            lost="the earlier step of what changed",
        ),
    ),
    stores=(Store(STATISTICS_READY), ViewPart(CONFUSION_VIEW, ("split", "actual"))),
)
