"""The main display (report 5.1, Figure 3): a layer's filters and feature maps, the network, the image, at one moment of training.

Frames while time moves are drawn in the browser from films (assets/films/canvas.mjs). The callbacks below run when time or view
have settled:

    Store "view" ──assets: view_parts──┬──► Store "unit-view" ──┬──► show_layer     ──► layer-details   ◄──┬── Store "settled-time"
                                       │                        ├──► enlarge_unit   ──► unit-heat-map   ◄──┤
                                       │                        └──► draw_course    ──► unit-course        │
                                       ├──► Store "map-view" ───────► enlarge_map    ──► unit-map        ◄──┘
                                       └──► Store "image-view" ────► draw_classes   ──► prediction-course
                                       ├──► Store "weight-histogram-view", "map-histogram-view" ──► see main_display_histograms
    Store "subject" ──────────────────────────────────────────────► draw_training  ──► training-course
    select "by rule" ─────────────────────────────────────────────► choose_units   ──► Store "chosen-units" ──► assets: view.set({units})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from dash import ClientsideFunction, Dash, Input, Output, State, html, no_update

from mloscope.app import errors
from mloscope.app.evaluation.predictions import PredictionCourse
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.parameters import parameter_details
from mloscope.app.runs.unit_selection import format_units
from mloscope.app.runs.units import (
    RANKING_RULES,
    EnlargedUnit,
    enlarged_map,
    enlarged_weights,
    unit_ranking,
    unit_values_over_time,
)
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.page import Page, Store, ViewPart
from mloscope.app.web.dash.pages import main_display_histograms as layer_histograms
from mloscope.app.web.dash.pages import main_display_layout as parts
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.app.web.dash.view_state import FILM, IMAGES, Field
from mloscope.components import theme as themes
from mloscope.components.figures.exact_values import exact_values
from mloscope.components.figures.prediction_course import prediction_course
from mloscope.components.figures.training_chart import metrics_of, run_course
from mloscope.components.figures.unit_course import unit_course
from mloscope.components.layer_details import layer_facts, parameter_statistics
from mloscope.components.numbers import name_of_step, step_names

if TYPE_CHECKING:
    from mloscope.app.web.services import Services

METRICS_SHOWN = 2
FEATURES, BOTH = "features", "both"
"""Modes in which feature maps are seen."""


def bind(app: Dash, services: Services) -> None:
    subject, view, time, theme = (
        Input(ids.SUBJECT, "data"), Input(ids.VIEW, "data"), Input(ids.SETTLED_TIME, "data"), Input(ids.THEME, "data"),
    )  # fmt: skip
    unit, image = Input(parts.UNIT_VIEW, "data"), Input(parts.IMAGE_VIEW, "data")
    here = Main(services)
    threaded(app, Output(parts.LAYER_DETAILS, "children"), subject, unit, time)(here.show_layer)
    threaded(app, Output(parts.UNIT_HEAT_MAP, "figure"), subject, unit, time, theme)(here.enlarge_unit)
    map_view = Input(parts.MAP_VIEW, "data")
    threaded(app, Output(parts.UNIT_MAP, "figure"), subject, map_view, time, theme)(here.enlarge_map)
    threaded(app, Output(parts.UNIT_COURSE, "figure"), subject, unit, theme)(here.draw_course)
    threaded(app, Output(parts.PREDICTION_COURSE, "figure"), subject, image, theme)(here.draw_classes)
    training = (
        Output(parts.TRAINING_COURSE, "figure"),
        Output(parts.TRAINING_PROBLEMS, "children"),
        Output(parts.TRAINING, "hidden"),
    )
    threaded(app, *training, subject, theme)(here.draw_training)
    threaded(
        app,
        Output(parts.CHOSEN_UNITS, "data"),
        Input(parts.UNIT_RULE, "value"),
        State(ids.SUBJECT, "data"), State(ids.VIEW, "data"), State(ids.SETTLED_TIME, "data"),
        prevent_initial_call=True,
    )(here.choose_units)  # fmt: skip
    layer_histograms.bind(app, services)
    _bind_controls(app, subject, view)


def _bind_controls(app: Dash, subject: Input, view: Input) -> None:
    """What the toolbar shows and sets of the view, in the browser only (assets/shell/controls.mjs)."""

    def browser(function: str, *args: Any, **kwargs: Any) -> None:
        app.clientside_callback(ClientsideFunction("mloscope", function), *args, **kwargs)

    controls = (
        parts.MODE,
        parts.PARAMETER,
        parts.LAYOUT,
        parts.COLOUR,
        parts.RANGE,
        parts.SYMMETRIC,
        parts.UNITS,
        parts.CHANNELS,
        *(control for control, _kind, _option in parts.kind_controls()),
    )
    shown = (*(Output(c, "value") for c in controls), Output(parts.PARAMETER, "options"))
    browser("showView", *shown, subject, view, *(State(c, "value") for c in controls))
    browser("useControl", *(Input(c, "value") for c in controls), prevent_initial_call=True)
    browser(
        "turnPage",
        *(
            Input(b, "n_clicks")
            for b in (parts.PREVIOUS_UNITS, parts.NEXT_UNITS, parts.PREVIOUS_CHANNELS, parts.NEXT_CHANNELS)
        ),
        prevent_initial_call=True,
    )
    browser(
        "useChosenUnits", Output(parts.UNIT_RULE, "value"), Input(parts.CHOSEN_UNITS, "data"), prevent_initial_call=True
    )


class Main:
    """The callbacks' bodies, as plain methods over stores' contents: they can be called without Dash."""

    def __init__(self, services: Services):
        self.services = services

    def show_layer(self, subject: dict | None, view: dict | None, time: dict | None) -> Any:
        if not _ready(subject, view) or not time:
            return no_update
        shown: list[Any] = []
        try:
            run = self.services.workspace.opened_run(subject["run"])
            layer = run.layer(view["layer"])
            shown.append(layer_facts(layer))
            if not layer.parameters:
                return [*shown, html.P("This layer has no parameters.", className="quiet-text")]
            statistics = parameter_details(self.services.cache, run, time["step"], layer.name, view["unit"])
        except errors.MloscopeError as error:
            return [*shown, html.P(str(error), className="warning-text")]
        slots = {parameter.name for parameter in layer.parameters if parameter.slot}
        step = name_of_step(subject["checkpoints"], time["step"])
        return [*shown, parameter_statistics(step, statistics, view["unit"], slots)]

    def enlarge_unit(self, subject: dict | None, view: dict | None, time: dict | None, theme: str | None) -> Any:
        """The selected unit's weights."""
        if not _ready(subject, view) or not time or theme is None or view["mode"] == FEATURES:
            return no_update
        try:
            run = self.services.workspace.opened_run(subject["run"])
            found = enlarged_weights(
                self.services.cache, run, time["step"], view["layer"], view["unit"], view["parameter"]
            )
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, themes.wrapped(str(error)))
        return _enlarged(found, view["symmetric"] != "no", theme)

    def enlarge_map(self, subject: dict | None, view: dict | None, time: dict | None, theme: str | None) -> Any:
        """The selected unit's feature map of the selected image."""
        if not _ready(subject, view) or not time or theme is None or view["mode"] not in (FEATURES, BOTH):
            return no_update
        if not view["image"]:
            return themes.empty_figure(theme, "Choose an image.")
        try:
            run = self.services.workspace.opened_run(subject["run"])
            feature_map = self._feature_map(run, subject, view, time["step"])
            found = enlarged_map(feature_map, view["layer"], view["unit"])
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, themes.wrapped(str(error)))
        return _enlarged(found, view["symmetric"] == "yes", theme)

    def _feature_map(self, run: OpenedRun, subject: dict, view: dict, step: int) -> np.ndarray:
        image = self.services.workspace.network_input(run, subject["corpus"], view["image"])
        return self.services.feature_maps.one(run, step, view["layer"], image)

    def draw_course(self, subject: dict | None, view: dict | None, theme: str | None) -> Any:
        if not _ready(subject, view) or theme is None:
            return no_update
        try:
            run = self.services.workspace.opened_run(subject["run"])
            values, names = unit_values_over_time(
                self.services.cache, run, view["layer"], view["parameter"], view["unit"]
            )
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, themes.wrapped(str(error)))
        return unit_course(values, names, step_names(subject["checkpoints"]), theme=theme)

    def draw_training(self, subject: dict | None, theme: str | None) -> Any:
        """The figure, what is to be said about it, and whether both are hidden, as where nothing was recorded."""
        if not subject or not subject.get("run") or theme is None:
            return no_update, no_update, no_update
        try:
            curves, problems = self.services.training_curves.of(self.services.workspace.opened_run(subject["run"]))
        except errors.MloscopeError:
            return no_update, "", True  # the run itself cannot be opened, which is said elsewhere
        said = " ".join(problems)
        metrics = metrics_of({"": [curve for curve in curves if curve.along("step") is not None]})[:METRICS_SHOWN]
        checkpoints = subject["checkpoints"]
        if not metrics or len(checkpoints) < 2:
            return themes.empty_figure(theme, "Nothing was recorded."), said, not said
        steps = [checkpoint["step"] for checkpoint in checkpoints]
        return run_course(curves, metrics, steps, step_names(checkpoints), theme=theme), said, False

    def draw_classes(self, subject: dict | None, view: dict | None, theme: str | None) -> Any:
        if not subject or not subject.get("run") or not view or theme is None:
            return no_update
        if not view["image"]:
            return themes.empty_figure(theme, "Choose an image.")
        try:
            course = self._prediction_course(subject, view["image"])
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, themes.wrapped(str(error)))
        return prediction_course(
            course.probabilities,
            course.class_names,
            course.true_class,
            step_names(subject["checkpoints"]),
            theme=theme,
        )

    def _prediction_course(self, subject: dict, image: str) -> PredictionCourse:
        workspace = self.services.workspace
        run = workspace.opened_run(subject["run"])
        corpus = workspace.corpus_for(run, subject["corpus"])
        taken = workspace.network_input(run, corpus.name, image)
        return self.services.predictor.course(run, corpus, corpus.position(image), taken)

    def choose_units(self, rule: str | None, subject: dict | None, view: dict | None, time: dict | None) -> Any:
        if not rule or not time or not _ready(subject, view):
            return no_update
        try:
            run, step = self.services.workspace.opened_run(subject["run"]), time["step"]
            ranking = unit_ranking(
                run, step, view["layer"], rule, count=parts.UNITS_CHOSEN_BY_RULE,
                feature_map=(lambda: self._feature_map(run, subject, view, step)) if view["image"] else None,
            )  # fmt: skip
        except errors.MloscopeError as error:
            return {"problem": str(error)}
        scores = [
            [unit, value] for unit, value in zip(ranking.units, ranking.values, strict=True) if np.isfinite(value)
        ]
        return {"units": format_units(ranking.units), "unit": int(ranking.units[0]), "rule": rule, "scores": scores}


def _ready(subject: dict | None, view: dict | None) -> bool:
    """Stores are empty until the browser has opened a run."""
    return bool(subject and subject.get("run") and view and view.get("layer"))


def _enlarged(unit: EnlargedUnit, diverging: bool, theme: str) -> Any:
    low, high = unit.range
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    return exact_values(unit.values, value_range=(low, high), diverging=diverging, theme=theme)


PAGE = Page(
    name="network",
    path="/",
    label="Network",
    title="{layer}",
    help="Filters and feature maps of a layer, at every moment of training",
    layout=parts.layout,
    bind=bind,
    fields=(
        Field("mode", "choice", "both", "what is drawn", tuple(mode for mode, _ in parts.MODES)),
        *FILM,
        Field("fold", "text", "", "ids of the graph's blocks that stand open, separated by commas", of=("network",)),
        Field(
            parts.PINS,
            "text",
            "",
            'pinned films: kind, layer and unit if any, "parameters:conv1,features:conv2:3"',
            of=("network",),
            lost="pinned films",
        ),
        *layer_histograms.FIELDS,
        IMAGES,
    ),
    stores=(
        ViewPart(
            parts.UNIT_VIEW,
            ("layer", "unit", "parameter", "mode", "symmetric"),
        ),
        ViewPart(
            parts.MAP_VIEW,
            ("layer", "unit", "mode", "symmetric", "image"),
            only_where=dict.fromkeys(("unit", "image"), ("mode", FEATURES, BOTH)),
        ),
        ViewPart(parts.IMAGE_VIEW, ("image",)),
        *layer_histograms.STORES,
        Store(parts.CHOSEN_UNITS),
    ),
    controls={f"{parts.UNIT_RULE}.value": Literal["", *RANKING_RULES] | None},
)
