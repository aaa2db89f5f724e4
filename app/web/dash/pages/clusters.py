"""Clusters of the images by what the network makes of them (report 5.3), and all images on a map, at one moment of training.

Rows, map and lists are drawn in the browser from rows and points of all steps, which are loaded once (assets/clusters/*.mjs):
moving time makes no request. When time has settled, a page of a cluster's images is requested, and:

    Store "cluster-view", "subject", "clusters-ready", "theme" ──► draw_course ──► cluster-course
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output, html

from mloscope.app import errors
from mloscope.app.statistics import image_orders
from mloscope.app.statistics.clusters.map_kinds import MAP_KINDS, PCA
from mloscope.app.statistics.values import course
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.chart_over_time import chart_over_time
from mloscope.app.web.dash.page import Page, Store, ViewPart
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.app.web.dash.view_state import SPLIT, Choice, Field
from mloscope.components.browser_parts import ClusterImages, ClusterRows, PointMap, StatisticsState
from mloscope.components.chart import chart
from mloscope.components.figures.cluster_course import cluster_course

if TYPE_CHECKING:
    from mloscope.app.web.services import Services


STATISTICS_STATE = "statistics-state"
CLUSTERS_READY = "clusters-ready"  # JS. Store: which clusters there are. One writer: assets/clusters/rows.mjs
CLUSTER_VIEW = "cluster-view"  # JS. Store: split and cluster of the view. One writer: assets/shell/view_parts.mjs
CLUSTER_ROWS = "cluster-rows"
CLUSTER_IMAGES = "cluster-images"
CLUSTER_COURSE = "cluster-course"
POINT_MAP = "point-map"


def layout() -> html.Div:
    return html.Div(
        [
            html.Div(
                [
                    html.Section(
                        [ClusterRows(id=CLUSTER_ROWS), StatisticsState(id=STATISTICS_STATE)],
                        className="clusters-left",
                        **{"aria-label": "Clusters"},
                    ),
                    html.Aside(
                        [
                            PointMap(id=POINT_MAP),
                            ClusterImages(id=CLUSTER_IMAGES),
                            html.Div(
                                [
                                    html.H2("images in each cluster over all steps", className="panel-subtitle"),
                                    chart(
                                        CLUSTER_COURSE,
                                        "Number of images in each cluster over all steps",
                                        190,
                                        cursor=True,
                                    ),
                                ],
                                className="clusters-course",
                            ),
                        ],
                        className="clusters-right",
                        **{"aria-label": "Map of images"},
                    ),
                ],
                className="clusters-columns statistics-page",
            ),
        ],
        className="clusters-page",
        id="clusters-page",
    )


def bind(app: Dash, services: Services) -> None:
    here = Clusters(services)
    threaded(
        app,
        Output(CLUSTER_COURSE, "figure"),
        Input(ids.SUBJECT, "data"), Input(CLUSTER_VIEW, "data"), Input(CLUSTERS_READY, "data"), Input(ids.THEME, "data"),
    )(here.draw_course)  # fmt: skip


class Clusters:
    """The callback's body, as a plain method over stores' contents: it can be called without Dash."""

    def __init__(self, services: Services):
        self.services = services

    def draw_course(self, subject: dict | None, view: dict | None, ready: Any, theme: str | None) -> Any:
        """``ready`` only says that there may be more to see than before."""

        def draw(of: Any, steps: list[int], labels: list[str]) -> Any:
            if of.clustering is None:
                raise errors.NotPossible("There are no clusters yet.")
            sizes, purity = (course(of, name).at(steps) for name in ("cluster_size", "cluster_purity"))
            chosen = view["cluster"] if view["cluster"] is not None and view["cluster"] < sizes.shape[1] else None
            return cluster_course(sizes, purity, labels, selected=chosen, theme=theme)

        return chart_over_time(self.services.statistics, subject, view, theme, draw)


PAGE = Page(
    name="clusters",
    path="/clusters",
    label="Clusters",
    title="Clusters",
    help="Clusters of images the network finds similar, at every moment of training",
    layout=layout,
    bind=bind,
    fields=(
        SPLIT,
        Field(
            "cluster",
            "number",
            None,
            "the selected cluster: its images are listed, and stand out on the map",
            of=("run", "corpus"),
            lost="the selected cluster",
        ),
        Field("cluster-order", "choice", "place", "order of the clusters' rows", ("place", "size", "purity", "change")),
        Field(
            "cluster-offset",
            "number",
            0,
            "how many of the cluster's images come before the page shown",
            of=("run", "corpus"),
        ),
        Field(
            "member-order",
            "choice",
            "",
            "order of the cluster's images; nearest to its centre first where absent",
            (
                Choice("", "nearest its centre", "The nearest to the cluster's mean class probabilities first"),
                *(Choice(order.name, order.title, order.help) for order in image_orders.ORDERS.values()),
            ),
        ),
        Field(
            "member-judged",
            "choice",
            "",
            "which of the cluster's images",
            (Choice("", "right and wrong"), *(Choice(name, title) for name, title in image_orders.JUDGED.items())),
        ),
        Field(
            "point-colour",
            "choice",
            "class",
            "what a point's colour says",
            (Choice("class", "class"), Choice("prediction", "predicted class"), Choice("cluster", "cluster")),
        ),
        Field(
            "map",
            "choice",
            PCA.name,
            "how images are placed on the map",
            tuple(Choice(kind.name, kind.label) for kind in MAP_KINDS.values()),
        ),
        Field(
            "map-marks",
            "choice",
            "points",
            "what stands for an image on the map",
            (Choice("points", "points"), Choice("pictures", "points and pictures")),
        ),
        Field(
            "map-area",
            "text",
            "",
            "part of the map in view: its middle, from 0 to 1 across and up, and how often magnified: 0.25,0.5,4",
            of=("run", "corpus"),
        ),
        Field(
            "lasso",
            "text",
            "",
            "images chosen on the map: step:x,y;x,y;... with corners from 0 (left, below) to 999",
            of=("run", "corpus"),
            lost="the images selected on the map",
        ),
    ),
    stores=(Store(CLUSTERS_READY), ViewPart(CLUSTER_VIEW, ("split", "cluster"))),
)
