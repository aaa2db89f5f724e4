"""What is seen of the main display, and the ids of its parts."""

from __future__ import annotations

import dash_bootstrap_components as dbc
from dash import html
from dash.development.base_component import Component

from mloscope.app.films.kinds import FilmKind, Option, film_kinds
from mloscope.app.process.url_prefix import mounted
from mloscope.app.web.dash.pages import main_display_histograms as layer_histograms
from mloscope.app.web.dash.view_state import FILM
from mloscope.components.browser_parts import (
    FilmCanvas,
    Fold,
    ImageGrid,
    NetworkGraph,
    PanelEdge,
    PinTray,
    PredictionBars,
)
from mloscope.components.chart import chart
from mloscope.components.figures.prediction_course import HEIGHT_PX
from mloscope.components.glossary import explained

UNIT_VIEW = "unit-view"  # JS. Store: what of the view the unit's charts show. One writer: assets/shell/view_parts.mjs
MAP_VIEW = (
    "map-view"  # JS. Store: what of the view the unit's feature map shows. One writer: assets/shell/view_parts.mjs
)
IMAGE_VIEW = "image-view"  # JS. Store {"image"}. One writer: assets/shell/view_parts.mjs
NETWORK = "network"
IMAGES = "images"
PINS = "pins"
PREDICTIONS = "predictions"
PREDICTION_COURSE = "prediction-course"
LAYER_DETAILS = "layer-details"
UNIT_HEAT_MAP = "unit-heat-map"
UNIT_MAP = "unit-map"
UNIT_COURSE = "unit-course"
TRAINING = "training"
TRAINING_COURSE = "training-course"
TRAINING_PROBLEMS = "training-problems"
MODE = "mode"
PARAMETER = "parameter"
COLOUR = "colour"
RANGE = "range"
SYMMETRIC = "symmetric"
LAYOUT = "layout"
UNITS = "units"
UNIT_RULE = "unit-rule"
UNIT_RULE_SHOWN = "unit-rule-shown"  # JS: assets/films/ranking.mjs
PREVIOUS_UNITS = "previous-units"
NEXT_UNITS = "next-units"
CHANNELS = "channels"
PREVIOUS_CHANNELS = "previous-channels"
NEXT_CHANNELS = "next-channels"
CHOSEN_UNITS = "chosen-units"  # Store: units chosen by a rule. One writer: main_display.choose_units

UNITS_CHOSEN_BY_RULE = 16
IN_BOTH = ("parameters", "features")
"""Kinds of films that stand side by side; assets/films/main_side.mjs shows them."""
MODES = (*((kind.name, kind.title) for kind in film_kinds().values()), ("both", "Both"))
"""What is drawn: a kind of film alone, or our parameters and feature maps side by side."""
RULES = (
    ("largest-norm", "largest norm at this step"),
    ("most-changed", "most changed since the first step"),
    ("most-active", "most active for this image"),
)


def _texts(key: str) -> tuple[tuple[str, str], ...]:
    """Value and text of each choice of a field."""
    (field,) = (field for field in FILM if field.key == key)
    return tuple((value, text) for value, text, _ in field.options())


def kind_controls() -> list[tuple[str, FilmKind, Option]]:
    """The controls of the toolbar that a kind of film alone has, in the table's order: id, kind and option."""
    return [
        (f"option-{kind.name}-{option.name}", kind, option)
        for kind in film_kinds().values()
        for option in kind.options
        if option.name not in (PARAMETER, LAYOUT)
    ]


def canvas_of(kind: str) -> str:
    """The id of the canvas that shows a kind of film."""
    return f"{kind}-canvas"


def layout() -> html.Div:
    return html.Div(
        [
            html.Section(
                [NetworkGraph(id=NETWORK), _edge("network", "the network", "y", ".graph", (80, 700))],
                className="display-network",
                **{"aria-label": "The network"},
            ),
            html.Div(
                [
                    _image_side(),
                    _edge("images", "images", "x", ".display-images", (180, 560)),
                    _centre(),
                    _edge("unit", "layer and unit", "x", ".display-unit", (240, 700), side="after"),
                    _unit_side(),
                ],
                className="display-columns",
            ),
        ],
        className="display",
    )


def _edge(
    panel: str,
    label: str,
    axis: str,
    sized: str,
    limits_px: tuple[int, int],
    *,
    side: str = "before",
    folds: bool = True,
) -> PanelEdge:
    least, most = limits_px
    return PanelEdge(
        id=f"{panel}-edge",
        panel=panel,
        label=label,
        axis=axis,
        side=side,
        sized=sized,
        least=least,
        most=most,
        folds=folds,
    )


def _section(panel: str, title: str, *parts: Component, level: int = 3, class_name: str = "") -> html.Div:
    """A part of a side that folds under its heading."""
    heading = Fold(id=f"{panel}-fold", panel=panel, title=title, level=level)
    return html.Div([heading, *parts], className=class_name, **{"data-panel": panel})


def _image_side() -> html.Aside:
    course = chart(
        PREDICTION_COURSE, "Class probabilities of the selected image over all steps", HEIGHT_PX, cursor=True
    )
    return html.Aside(
        [
            ImageGrid(id=IMAGES),
            _edge("image-grid", "the grid of images", "y", ".display-images .images-scroller", (60, 900), folds=False),
            _section("predictions", "Predicted class", PredictionBars(id=PREDICTIONS), level=2),
            _section("prediction-course", "over all steps", course),
        ],
        className="display-side display-images panel-column",
        **{"aria-label": "Images", "data-panel": "images"},
    )


def _centre() -> html.Section:
    return html.Section(
        [
            _toolbar(),
            html.Div(
                [
                    html.Div(FilmCanvas(id=canvas_of(name), show=name), className="display-film", id=f"{name}-pane")
                    for name in film_kinds()
                ],
                className="display-films",
                id="films",
            ),
            PinTray(id=PINS),
        ],
        className="display-centre",
        **{"aria-label": "Filters and feature maps"},
    )


def _unit_side() -> html.Aside:
    return html.Aside(
        [
            _section(
                "layer-numbers",
                "layer",
                html.Div(id=LAYER_DETAILS, className="details", **{"aria-live": "polite"}),
            ),
            _section(
                "unit-values",
                "selected unit, exact values",
                chart(UNIT_HEAT_MAP, "The selected unit's weights, enlarged", 190),
                class_name="of-parameters",
            ),
            html.A("Unit page: all about the selected unit", href=mounted("/unit"), **{"data-page": "unit"}),
            _section(
                "unit-map-values",
                "its feature map",
                chart(UNIT_MAP, "The selected unit's feature map, enlarged", 190),
                class_name="of-features",
            ),
            _section(
                "unit-values-course",
                "its values over all steps",
                chart(UNIT_COURSE, "Values of the selected unit over all steps", 150, cursor=True),
                class_name="of-parameters",
            ),
            layer_histograms.panel(),
            html.Div(
                [
                    Fold(id="training-fold", panel="training-course", title="how training went", level=3),
                    chart(TRAINING_COURSE, "Loss and other metrics of the run over all steps", 190, cursor=True),
                    html.P(id=TRAINING_PROBLEMS, className="quiet-text"),
                    html.A("All metrics, and those of other runs", href=mounted("/curves"), **{"data-page": "metrics"}),
                ],
                id=TRAINING,
                hidden=True,
                **{"data-panel": "training-course"},
            ),
        ],
        className="display-side display-unit panel-column",
        **{"aria-label": "Layer and unit", "data-panel": "unit"},
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


def _option(control_id: str, option: Option) -> html.Label:
    """An option of a kind of film, from the table alone."""
    if option.choices:
        return _choice(control_id, option.name, tuple((value, value) for value in option.choices), option.help)
    return html.Label(
        [
            html.Span(option.name),
            dbc.Input(
                id=control_id, value="", placeholder=option.default or "default", debounce=True, class_name="tool-input",
                type="text", autocomplete="off",
            ),
        ],
        className="tool",
        title=option.help,
        id=f"{control_id}-tool",
    )  # fmt: skip


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
            *([explained("channel")] if label == "channels" else []),
            *(
                html.Button(sign, id=button, className="tool-button", title=tip, **{"aria-label": tip})
                for sign, button, tip in (
                    ("‹", previous_id, f"Previous page of {label}"),
                    ("›", next_id, f"Next page of {label}"),
                )
            ),
            html.Span(id=f"{control_id}-note", className="tool-note", role="status", hidden=True),
        ],
        className="tool",
        id=f"{control_id}-tool",
    )  # fmt: skip


def _toolbar() -> html.Div:
    return html.Div(
        [
            html.Div(
                dbc.RadioItems(
                    id=MODE, name=MODE, options=[{"value": v, "label": text} for v, text in MODES], value="both", inline=True,
                    class_name="segments", input_class_name="segment-input", label_class_name="segment",
                ),
                role="radiogroup",
                **{"aria-label": "Kind of film"},
            ),
            _choice(PARAMETER, "array", (), "Which of the layer's arrays is drawn"),
            _choice(LAYOUT, "as", _texts("layout"), "Dense weights in the shape of the map before them, or as a matrix"),
            *(_option(control_id, option) for control_id, _kind, option in kind_controls()),
            _choice(COLOUR, "colour", _texts("colour"), "Colour table; automatic is blue–red for parameters, viridis for feature maps"),
            _choice(RANGE, "range", _texts("range"), "What the ends of the colour scale follow"),
            _choice(SYMMETRIC, "scale", _texts("symmetric"), "Whether zero lies in the middle of the scale; automatic: for parameters"),
            _selection(UNITS, PREVIOUS_UNITS, NEXT_UNITS, "units", "Units shown, such as 0-15,40"),
            _selection(CHANNELS, PREVIOUS_CHANNELS, NEXT_CHANNELS, "channels", "Incoming channels shown, such as 0-7"),
            _choice(UNIT_RULE, "choose", RULES, f"Show the {UNITS_CHOSEN_BY_RULE} units that a rule finds", "by rule …"),
            html.Button(id=UNIT_RULE_SHOWN, className="tool-chip", title="Show the units in their own order again", hidden=True),
        ],
        className="toolbar",
        role="toolbar",
        **{"aria-label": "What is drawn, and how"},
    )  # fmt: skip
