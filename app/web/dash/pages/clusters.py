"""Clusters of the images by what the network makes of them (report 5.3), and all images on a map, at one moment of training.

Rows, map and lists are drawn in the browser from rows and points of all steps that are loaded once (assets/statistics_points.js,
assets/cluster_*.js, assets/point_*.js): moving time asks for nothing. What is asked when time has settled is a page of a
cluster's images, and:

    Store "cluster-view", "subject", "clusters-ready", "theme" ──► draw_course ──► cluster-course
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash
import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from mloscope.app import errors
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.components import theme as themes
from mloscope.components.browser_parts import ClusterImages, ClusterRows, PointMap, StatisticsState
from mloscope.components.chart import chart
from mloscope.components.figures.cluster_course import cluster_course

if TYPE_CHECKING:
    from mloscope.app.observatory import Observatory


def register(observatory: Observatory) -> None:
    dash.register_page(
        "clusters", path="/clusters", order=2, name="Clusters", title="Clusters – ML-o-scope", layout=lambda **_: layout(),
        description="Which images the network takes for alike, at every moment of training",
    )  # fmt: skip


def layout() -> html.Div:
    return html.Div(
        [
            dcc.Store(id=ids.CLUSTERS_READY),
            dcc.Store(id=ids.CLUSTER_VIEW),
            StatisticsState(id=ids.STATISTICS_STATE),
            html.Div(
                [
                    html.Section(
                        ClusterRows(id=ids.CLUSTER_ROWS, colours=themes.CATEGORIES),
                        className="clusters-left",
                        **{"aria-label": "Clusters"},
                    ),
                    html.Aside(
                        [
                            PointMap(id=ids.POINT_MAP, colours=themes.CATEGORIES),
                            ClusterImages(id=ids.CLUSTER_IMAGES),
                            html.Div(
                                [
                                    html.H3("images in each cluster over all steps", className="panel-subtitle"),
                                    chart(
                                        ids.CLUSTER_COURSE,
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
                className="clusters-columns",
            ),
        ],
        className="clusters-page",
        id="clusters-page",
    )


def bind(app: Dash, observatory: Observatory) -> None:
    here = Clusters(observatory)
    threaded(
        app,
        Output(ids.CLUSTER_COURSE, "figure"),
        Input(ids.SUBJECT, "data"), Input(ids.CLUSTER_VIEW, "data"), Input(ids.CLUSTERS_READY, "data"), Input(ids.THEME, "data"),
    )(here.draw_course)  # fmt: skip
    app.clientside_callback(
        ClientsideFunction("mloscopeView", "clusterPart"),
        Output(ids.CLUSTER_VIEW, "data"), Input(ids.VIEW, "data"), State(ids.CLUSTER_VIEW, "data"),
    )  # fmt: skip


class Clusters:
    """The callback's body, as a plain method over stores' contents: it can be called without Dash."""

    def __init__(self, observatory: Observatory):
        self.observatory = observatory

    def draw_course(self, subject: dict | None, view: dict | None, ready: Any, theme: str | None) -> Any:
        """``ready`` only says that there may be more to see than before."""
        if not subject or not subject.get("run") or not view or theme is None:
            return no_update
        steps = [checkpoint["step"] for checkpoint in subject["checkpoints"]]
        try:
            fit = self.observatory.statistics.overview(subject["run"], subject["corpus"], view["split"] or None).fit
            if fit is None:
                return themes.empty_figure(theme, "There are no clusters yet.")
            sizes = np.full((len(steps), fit.k), np.nan)
            purity = np.full((len(steps), fit.k), np.nan)
            for index, step in enumerate(steps):
                if step in fit.clusters:
                    about = fit.step(step).about
                    sizes[index] = about["sizes"]
                    purity[index] = [np.nan if value is None else value for value in about["purity"]]
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, str(error))
        labels = [checkpoint["label"] for checkpoint in subject["checkpoints"]]
        chosen = view["cluster"] if view["cluster"] is not None and view["cluster"] < fit.k else None
        return cluster_course(sizes, purity, labels, selected=chosen, theme=theme)
