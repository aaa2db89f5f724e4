"""The main display (report 5.1, Figure 3): a layer's filters and feature maps, the network, the image, at one moment of training.

Frames while time moves are drawn in the browser from films (assets/film_canvas.js). The callbacks below run when time or view
have settled:

    Store "view" ──assets: view_parts──┬──► Store "unit-view" ──┬──► show_layer     ──► layer-details   ◄──┬── Store "settled-time"
                                       │                        ├──► enlarge_unit   ──► unit-heat-map   ◄──┘
                                       │                        └──► draw_course    ──► unit-course
                                       └──► Store "image-view" ────► draw_classes   ──► prediction-course
    Store "subject" ──────────────────────────────────────────────► draw_training  ──► training-course
    select "by rule" ─────────────────────────────────────────────► choose_units   ──► Store "chosen-units" ──► assets: view.set({units})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash
import dash_bootstrap_components as dbc
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update

from mloscope.app import errors
from mloscope.app.web import view_state
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.components import theme as themes
from mloscope.components.browser_parts import FilmCanvas, ImageGrid, NetworkGraph, PredictionBars
from mloscope.components.chart import chart
from mloscope.components.figures.prediction_course import prediction_course
from mloscope.components.figures.training_chart import metrics_of, run_course
from mloscope.components.figures.unit_course import unit_course
from mloscope.components.figures.unit_heat_map import unit_heat_map
from mloscope.components.layer_details import layer_facts, parameter_statistics

if TYPE_CHECKING:
    from mloscope.app.observatory import Observatory

UNITS_CHOSEN_BY_RULE = 16
METRICS_SHOWN = 2

MODES = (("parameters", "Parameters"), ("features", "Feature maps"), ("both", "Both"))
COLOURS = (
    ("auto", "automatic"), ("viridis", "viridis"), ("cividis", "cividis"), ("magma", "magma"), ("grey", "grey"),
    ("blue-red", "blue–red"), ("purple-green", "purple–green"),
)  # fmt: skip
RANGES = (("fixed", "fixed over time"), ("step", "per step"), ("unit", "per unit"))
SYMMETRIES = (("auto", "automatic"), ("yes", "symmetric about 0"), ("no", "from lowest to highest"))
LAYOUTS = (("tiles", "preceding map"), ("matrix", "matrix"))
RULES = (
    ("largest-norm", "largest norm at this step"),
    ("most-changed", "most changed since the first step"),
    ("most-active", "most active for this image"),
)


def register(observatory: Observatory) -> None:
    dash.register_page(
        "network", path="/", order=0, name="Network", title="ML-o-scope", layout=lambda **_: layout(),
        description="Filters and feature maps of a layer, at every moment of training",
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- layout


def layout() -> html.Div:
    return html.Div(
        [
            dcc.Store(id=ids.CHOSEN_UNITS),
            dcc.Store(id=ids.UNIT_VIEW),
            dcc.Store(id=ids.IMAGE_VIEW),
            html.Section(NetworkGraph(id=ids.NETWORK), className="display-network", **{"aria-label": "The network"}),
            html.Div(
                [_image_side(), _centre(), _unit_side()],
                className="display-columns",
            ),
        ],
        className="display",
    )


def _image_side() -> html.Aside:
    return html.Aside(
        [
            ImageGrid(id=ids.IMAGES),
            html.H2("Predicted class", className="panel-title"),
            PredictionBars(id=ids.PREDICTIONS),
            html.H3("over all steps", className="panel-subtitle"),
            chart(ids.PREDICTION_COURSE, "Class probabilities of the selected image over all steps", 210, cursor=True),
        ],
        className="display-side display-images",
        **{"aria-label": "Images"},
    )


def _centre() -> html.Section:
    return html.Section(
        [
            _toolbar(),
            html.Div(
                [
                    html.Div(
                        FilmCanvas(id=ids.PARAMETER_CANVAS, show="parameters"),
                        className="display-film",
                        id="parameters-pane",
                    ),
                    html.Div(
                        FilmCanvas(id=ids.FEATURE_CANVAS, show="features"), className="display-film", id="features-pane"
                    ),
                ],
                className="display-films",
                id="films",
            ),
        ],
        className="display-centre",
        **{"aria-label": "Filters and feature maps"},
    )


def _unit_side() -> html.Aside:
    return html.Aside(
        [
            html.Div(id=ids.LAYER_DETAILS, className="details", **{"aria-live": "polite"}),
            html.Div(
                [
                    html.H3("selected unit, exact values", className="panel-subtitle"),
                    chart(ids.UNIT_HEAT_MAP, "The selected unit enlarged", 190),
                ]
            ),
            html.Div(
                [
                    html.H3("its values over all steps", className="panel-subtitle"),
                    chart(ids.UNIT_COURSE, "Values of the selected unit over all steps", 150, cursor=True),
                ]
            ),
            html.Div(
                [
                    html.H3("how training went", className="panel-subtitle"),
                    chart(ids.TRAINING_COURSE, "Loss and other metrics of the run over all steps", 190, cursor=True),
                    html.P(id=ids.TRAINING_PROBLEMS, className="quiet-text"),
                ],
                id=ids.TRAINING,
                hidden=True,
            ),
        ],
        className="display-side display-unit",
        **{"aria-label": "Layer and unit"},
    )


def _choice(
    control_id: str, label: str, options: tuple[tuple[str, str], ...], tip: str, placeholder: str | None = None
) -> html.Label:
    return html.Label(
        [
            html.Span(label),
            dbc.Select(
                id=control_id,
                options=[{"value": v, "label": text} for v, text in options],
                value="" if placeholder or not options else options[0][0],
                placeholder=placeholder or "",
                class_name="tool-select",
            ),
        ],
        className="tool",
        title=tip,
        id=f"{control_id}-tool",
    )


def _selection(control_id: str, previous_id: str, next_id: str, label: str, tip: str) -> html.Div:
    return html.Div(
        [
            html.Label(
                [
                    html.Span(label),
                    dbc.Input(
                        id=control_id, value="", placeholder="all", debounce=True, class_name="tool-input",
                        type="text", autocomplete="off",
                    ),
                ],
                title=tip,
            ),
            *(
                html.Button(sign, id=button, className="tool-button", title=tip, **{"aria-label": tip})
                for sign, button, tip in (
                    ("‹", previous_id, f"Previous page of {label}"),
                    ("›", next_id, f"Next page of {label}"),
                )
            ),
        ],
        className="tool",
        id=f"{control_id}-tool",
    )  # fmt: skip


def _toolbar() -> html.Div:
    return html.Div(
        [
            dbc.RadioItems(
                id=ids.MODE, options=[{"value": v, "label": text} for v, text in MODES], value="both", inline=True,
                class_name="segments", input_class_name="segment-input", label_class_name="segment",
            ),
            _choice(ids.PARAMETER, "array", (), "Which of the layer's arrays is drawn"),
            _choice(ids.LAYOUT, "as", LAYOUTS, "Dense weights in the shape of the map before them, or as a matrix"),
            _choice(ids.COLOUR, "colour", COLOURS, "Colour table; automatic is blue–red for parameters, viridis for feature maps"),
            _choice(ids.RANGE, "range", RANGES, "What the ends of the colour scale follow"),
            _choice(ids.SYMMETRIC, "scale", SYMMETRIES, "Whether zero lies in the middle of the scale; automatic: for parameters"),
            _selection(ids.UNITS, ids.PREVIOUS_UNITS, ids.NEXT_UNITS, "units", "Units shown, such as 0-15,40"),
            _selection(ids.CHANNELS, ids.PREVIOUS_CHANNELS, ids.NEXT_CHANNELS, "channels", "Incoming channels shown, such as 0-7"),
            _choice(ids.UNIT_RULE, "choose", RULES, f"Show the {UNITS_CHOSEN_BY_RULE} units that a rule finds", "by rule …"),
        ],
        className="toolbar",
        role="toolbar",
        **{"aria-label": "What is drawn, and how"},
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- callbacks


def bind(app: Dash, observatory: Observatory) -> None:
    subject, view, time, theme = (
        Input(ids.SUBJECT, "data"), Input(ids.VIEW, "data"), Input(ids.SETTLED_TIME, "data"), Input(ids.THEME, "data"),
    )  # fmt: skip
    unit, image = Input(ids.UNIT_VIEW, "data"), Input(ids.IMAGE_VIEW, "data")
    here = Main(observatory)
    threaded(app, Output(ids.LAYER_DETAILS, "children"), subject, unit, time)(here.show_layer)
    threaded(app, Output(ids.UNIT_HEAT_MAP, "figure"), subject, unit, time, theme)(here.enlarge_unit)
    threaded(app, Output(ids.UNIT_COURSE, "figure"), subject, unit, theme)(here.draw_course)
    threaded(app, Output(ids.PREDICTION_COURSE, "figure"), subject, image, theme)(here.draw_classes)
    training = (
        Output(ids.TRAINING_COURSE, "figure"),
        Output(ids.TRAINING_PROBLEMS, "children"),
        Output(ids.TRAINING, "hidden"),
    )
    threaded(app, *training, subject, theme)(here.draw_training)
    threaded(
        app,
        Output(ids.CHOSEN_UNITS, "data"),
        Input(ids.UNIT_RULE, "value"),
        State(ids.SUBJECT, "data"), State(ids.VIEW, "data"), State(ids.SETTLED_TIME, "data"),
        prevent_initial_call=True,
    )(here.choose_units)  # fmt: skip

    def browser(function: str, *args: Any, **kwargs: Any) -> None:
        app.clientside_callback(ClientsideFunction("mloscope", function), *args, **kwargs)

    app.clientside_callback(
        ClientsideFunction("mloscopeView", "viewParts"),
        Output(ids.UNIT_VIEW, "data"), Output(ids.IMAGE_VIEW, "data"),
        view, State(ids.UNIT_VIEW, "data"), State(ids.IMAGE_VIEW, "data"),
    )  # fmt: skip
    controls = (ids.MODE, ids.PARAMETER, ids.LAYOUT, ids.COLOUR, ids.RANGE, ids.SYMMETRIC, ids.UNITS, ids.CHANNELS)
    shown = (*(Output(c, "value") for c in controls), Output(ids.PARAMETER, "options"))
    browser("showView", *shown, subject, view, *(State(c, "value") for c in controls))
    browser("useControl", *(Input(c, "value") for c in controls), prevent_initial_call=True)
    browser(
        "turnPage",
        *(Input(b, "n_clicks") for b in (ids.PREVIOUS_UNITS, ids.NEXT_UNITS, ids.PREVIOUS_CHANNELS, ids.NEXT_CHANNELS)),
        prevent_initial_call=True,
    )
    browser(
        "useChosenUnits", Output(ids.UNIT_RULE, "value"), Input(ids.CHOSEN_UNITS, "data"), prevent_initial_call=True
    )


class Main:
    """The callbacks' bodies, as plain methods over stores' contents: they can be called without Dash."""

    def __init__(self, observatory: Observatory):
        self.observatory = observatory

    def show_layer(self, subject: dict | None, view: dict | None, time: dict | None) -> Any:
        if not _ready(subject, view) or not time:
            return no_update
        shown: list[Any] = []
        try:
            layer = self.observatory.layer(subject["run"], view["layer"])
            shown.append(layer_facts(layer))
            if not layer.parameters:
                return [*shown, html.P("This layer has no parameters.", className="quiet-text")]
            statistics = self.observatory.layer_details(subject["run"], time["step"], layer.name, unit=view["unit"])
        except errors.MloscopeError as error:
            return [*shown, html.P(str(error), className="warning-text")]
        return [*shown, parameter_statistics(_label(subject, time), statistics, view["unit"])]

    def enlarge_unit(self, subject: dict | None, view: dict | None, time: dict | None, theme: str | None) -> Any:
        if not _ready(subject, view) or not time or theme is None:
            return no_update
        parameters = view["mode"] != "features"
        if not parameters and not view["image"]:
            return themes.empty_figure(theme, "Choose an image.")
        try:
            values, value_range = self.observatory.unit_values(
                subject["run"], time["step"], view["layer"], view["unit"],
                parameter=view["parameter"] if parameters else None,
                image=None if parameters else view["image"], corpus=subject["corpus"],
            )  # fmt: skip
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, _wrapped(str(error)))
        diverging = view["symmetric"] == "yes" or (view["symmetric"] == "auto" and parameters)
        if diverging:
            reach = max(abs(value_range[0]), abs(value_range[1]))
            value_range = (-reach, reach)
        return unit_heat_map(values, value_range=value_range, diverging=diverging, theme=theme)

    def draw_course(self, subject: dict | None, view: dict | None, theme: str | None) -> Any:
        if not _ready(subject, view) or theme is None:
            return no_update
        try:
            values, names = self.observatory.unit_course(subject["run"], view["layer"], view["parameter"], view["unit"])
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, _wrapped(str(error)))
        return unit_course(values, names, [c["label"] for c in subject["checkpoints"]], theme=theme)

    def draw_training(self, subject: dict | None, theme: str | None) -> Any:
        """The figure, what is to be said about it, and whether both are hidden, as where nothing was recorded."""
        if not subject or not subject.get("run") or theme is None:
            return no_update, no_update, no_update
        try:
            curves = self.observatory.metrics(subject["run"])
            said = " ".join(self.observatory.metric_problems(subject["run"]))
        except errors.MloscopeError:
            return no_update, "", True  # the run itself cannot be opened, which is said elsewhere
        metrics = metrics_of({"": [curve for curve in curves if curve.along("step") is not None]})[:METRICS_SHOWN]
        checkpoints = subject["checkpoints"]
        if not metrics or len(checkpoints) < 2:
            return themes.empty_figure(theme, "Nothing was recorded."), said, not said
        steps, labels = zip(*((c["step"], c["label"]) for c in checkpoints), strict=True)
        return run_course(curves, metrics, steps, labels, theme=theme), said, False

    def draw_classes(self, subject: dict | None, view: dict | None, theme: str | None) -> Any:
        if not subject or not subject.get("run") or not view or theme is None:
            return no_update
        if not view["image"]:
            return themes.empty_figure(theme, "Choose an image.")
        try:
            course = self.observatory.prediction_course(subject["run"], subject["corpus"], view["image"])
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, _wrapped(str(error)))
        return prediction_course(
            course.probabilities,
            course.class_names,
            course.true_class,
            [c["label"] for c in subject["checkpoints"]],
            theme=theme,
        )

    def choose_units(self, rule: str | None, subject: dict | None, view: dict | None, time: dict | None) -> Any:
        if not rule or not time or not _ready(subject, view):
            return no_update
        try:
            ranking = self.observatory.unit_ranking(
                subject["run"], time["step"], view["layer"], rule,
                image=view["image"] or None, corpus=subject["corpus"], count=UNITS_CHOSEN_BY_RULE,
            )  # fmt: skip
        except errors.MloscopeError as error:
            return {"problem": str(error)}
        return {"units": view_state.format_units(ranking.units), "unit": int(ranking.units[0])}


def _ready(subject: dict | None, view: dict | None) -> bool:
    """Stores are empty until the browser has opened a run."""
    return bool(subject and subject.get("run") and view and view.get("layer"))


def _label(subject: dict, time: dict) -> str:
    return next((c["label"] for c in subject["checkpoints"] if c["step"] == time["step"]), str(time["step"]))


def _wrapped(sentence: str, width: int = 30) -> str:
    """Plotly annotations do not wrap."""
    lines = [""]
    for word in sentence.replace("<", "&lt;").split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "<br>".join(lines)
