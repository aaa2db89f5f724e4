"""The main display's histograms: how a layer's weights, and its outputs for the selected image, are distributed at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Dash, Input, Output, html, no_update

from mloscope.app import errors
from mloscope.app.runs.histograms import SYMLOG, Histograms, weight_histograms
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.page import ViewPart
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.app.web.dash.view_state import Choice, Field
from mloscope.components import theme as themes
from mloscope.components.browser_parts import Fold, ViewSelect
from mloscope.components.chart import chart
from mloscope.components.figures.ridgeline import HEIGHT_PX, MOST_RIDGES, Distribution, ridgeline
from mloscope.components.numbers import step_names

if TYPE_CHECKING:
    from mloscope.app.web.services import Services

WEIGHT_HISTOGRAMS = "weight-histograms"
MAP_HISTOGRAMS = "map-histograms"
WEIGHT_HISTOGRAM_VIEW = "weight-histogram-view"
MAP_HISTOGRAM_VIEW = "map-histogram-view"

OF = Field(
    "histogram-of", "choice", "layer", "whose values histograms count",
    (Choice("layer", "all units"), Choice("unit", "selected unit")),
)  # fmt: skip
SCALE = Field(
    "histogram-bins", "choice", "auto", "where the bins of histograms lie",
    (
        Choice("auto", "automatic", "at equal distances; on a symmetric logarithmic scale where a step exploded"),
        Choice("linear", "equal"),
        Choice("symlog", "symmetric log"),
    ),
)  # fmt: skip
HEIGHTS = Field(
    "histogram-heights", "choice", "linear", "how high ridges of histograms are",
    (Choice("linear", "counts"), Choice("log", "log counts")),
)  # fmt: skip
FIELDS = (OF, SCALE, HEIGHTS)
_KEYS = tuple(field.key for field in FIELDS)
_OF_UNIT = ("histogram-of", "unit")
STORES = (
    ViewPart(WEIGHT_HISTOGRAM_VIEW, ("layer", "unit", "parameter", *_KEYS), only_where={"unit": _OF_UNIT}),
    ViewPart(
        MAP_HISTOGRAM_VIEW,
        ("layer", "unit", "image", *_KEYS),
        only_where={"unit": _OF_UNIT, "image": ("mode", "features", "both")},
    ),
)


def panel() -> html.Div:
    """Both charts, and how they are drawn."""
    selects = [
        ViewSelect(
            id=field.key, field=field.key, label=label, help=field.help.capitalize(),
            options=[(value, text) for value, text, _ in field.options()],
        )
        for field, label in ((OF, "of"), (SCALE, "bins"), (HEIGHTS, "heights"))
    ]  # fmt: skip
    return html.Div(
        [
            html.Div(
                [
                    Fold(
                        id="weight-histograms-fold", panel=WEIGHT_HISTOGRAMS, title="histograms of its values over time"
                    ),
                    _ridges(WEIGHT_HISTOGRAMS, "Histograms of the layer's parameter over all steps"),
                ],
                className="of-parameters",
                **{"data-panel": WEIGHT_HISTOGRAMS},
            ),
            html.Div(
                [
                    Fold(
                        id="map-histograms-fold",
                        panel=MAP_HISTOGRAMS,
                        title="histograms of its outputs for the selected image",
                    ),
                    _ridges(MAP_HISTOGRAMS, "Histograms of the layer's outputs for the selected image over all steps"),
                ],
                className="of-features",
                **{"data-panel": MAP_HISTOGRAMS},
            ),
            html.Div(selects, className="histogram-tools"),
            html.P(
                f"The same bins at all steps; with more than {MOST_RIDGES} steps, {MOST_RIDGES} of them are drawn.",
                className="quiet-text",
            ),
        ]
    )


def _ridges(graph_id: str, label: str) -> html.Div:
    return html.Div([chart(graph_id, label, HEIGHT_PX), html.P(className="ridges-said quiet-text")], className="ridges")


def bind(app: Dash, services: Services) -> None:
    here = LayerHistograms(services)
    for graph, part, draw in (
        (WEIGHT_HISTOGRAMS, WEIGHT_HISTOGRAM_VIEW, here.draw_weights),
        (MAP_HISTOGRAMS, MAP_HISTOGRAM_VIEW, here.draw_maps),
    ):
        threaded(
            app, Output(graph, "figure"), Input(ids.SUBJECT, "data"), Input(part, "data"), Input(ids.THEME, "data")
        )(draw)


class LayerHistograms:
    """The callbacks' bodies, as plain methods over stores' contents."""

    def __init__(self, services: Services):
        self.services = services

    def draw_weights(self, subject: dict | None, view: dict | None, theme: str | None) -> Any:
        if not subject or not subject.get("run") or not view or not view["layer"] or theme is None:
            return no_update
        try:
            run = self.services.workspace.opened_run(subject["run"])
            found = weight_histograms(
                self.services.cache, run, view["layer"], view["parameter"], _unit(view), view["histogram-bins"]
            )
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, themes.wrapped(str(error)))
        return _drawn(found, subject, view, theme)

    def draw_maps(self, subject: dict | None, view: dict | None, theme: str | None) -> Any:
        if not subject or not subject.get("run") or not view or not view["layer"] or theme is None:
            return no_update
        if not view["image"]:
            return themes.empty_figure(theme, "Choose an image.")
        try:
            workspace = self.services.workspace
            run = workspace.opened_run(subject["run"])
            image = workspace.network_input(run, subject["corpus"], view["image"])
            found = self.services.feature_maps.histograms(
                run, view["layer"], image, _unit(view), view["histogram-bins"]
            )
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, themes.wrapped(str(error)))
        return _drawn(found, subject, view, theme)


def _unit(view: dict) -> int | None:
    return view["unit"] if view["histogram-of"] == "unit" else None


def _drawn(found: Histograms, subject: dict, view: dict, theme: str) -> Any:
    place = {checkpoint["step"]: position for position, checkpoint in enumerate(subject["checkpoints"])}
    kept = [row for row, step in enumerate(found.steps) if step in place]  # the run may have grown meanwhile
    distribution = Distribution(
        [place[found.steps[row]] for row in kept],
        found.edges, found.counts[kept], found.nan[kept], found.infinite[kept], found.low[kept], found.high[kept],
        found.threshold if found.scale == SYMLOG else None,
    )  # fmt: skip
    return ridgeline(
        distribution, step_names(subject["checkpoints"]), log_heights=view["histogram-heights"] == "log", theme=theme
    )
