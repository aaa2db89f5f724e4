"""What is seen of a comparison, and the ids of its parts."""

from __future__ import annotations

from typing import Any

from dash import html

from mloscope.components.browser_parts import (
    Comparison,
    ComparisonConfusion,
    ComparisonLayers,
    ComparisonPredictions,
    ImageGrid,
)
from mloscope.components.chart import chart
from mloscope.components.glossary import explained

COMPARISON = "comparison"
COMPARE_VIEW = "compare-view"  # Store: what of the view the charts show. One writer: assets/shell/view_parts.mjs
COMPARE_SETTLED = "compare-settled"  # JS. Store: side B when all rests. One writer: assets/compare/state.mjs
COMPARE_LAYERS = "compare-layers"
COMPARE_PREDICTIONS = "compare-predictions"
COMPARE_CONFUSION = "compare-confusion"
COMPARE_IMAGES = "compare-images"
COMPARE_SUMMARY = "compare-summary"
COMPARE_SCATTER = "compare-scatter"
COMPARE_CHANGE = "compare-change"
COMPARE_UNIT = "compare-unit"
COMPARE_TRAINING = "compare-training"
COMPARE_METRIC = "compare-metric"

PANELS = (
    ("change", "Change", "How each unit differs between the two moments"),
    ("image", "Image", "The image whose feature maps and predictions are compared"),
    ("training", "Training", "How both runs' training went; a click moves time"),
    ("layers", "Layers", "Which layers of the two runs belong together"),
)
MEASURES = (("norm", "norm"), ("variance", "variance"))


def layout() -> html.Div:
    return html.Div(
        [
            html.Section(
                [Comparison(id=COMPARISON), ComparisonConfusion(id=COMPARE_CONFUSION)],
                className="compare-centre",
                **{"aria-label": "Both sides"},
            ),
            html.Aside(
                [
                    _tabs("compare-panel", PANELS, "Beside the pictures"),
                    html.Div(_change_panel(), className="compare-panel", **{"data-compare-panel": "change"}),
                    html.Div(_image_panel(), className="compare-panel", **{"data-compare-panel": "image"}),
                    html.Div(_training_panel(), className="compare-panel", **{"data-compare-panel": "training"}),
                    html.Div(
                        ComparisonLayers(id=COMPARE_LAYERS),
                        className="compare-panel",
                        **{"data-compare-panel": "layers"},
                    ),
                ],
                className="compare-side",
                **{"aria-label": "Change, image, layers"},
            ),
        ],
        className="compare",
    )


def _tabs(key: str, options: tuple[tuple[str, ...], ...], label: str) -> html.Div:
    """Buttons of which one is pressed, bound to a key of the view by assets/compare/panels.mjs."""
    return html.Div(
        [
            html.Button(text, className="segment", title=(tip or [text])[0], **{"data-view": key, "data-value": value})
            for value, text, *tip in options
        ],
        className="segments",
        role="group",
        **{"aria-label": label},
    )  # fmt: skip


def _change_panel() -> list[Any]:
    return [
        html.Div(id=COMPARE_SUMMARY, className="compare-summary", **{"aria-live": "polite"}),
        html.Div(
            [
                html.H2("each unit, A against B", className="panel-subtitle"), explained("rank correlation"),
                _tabs("compare-measure", MEASURES, "Measure"),
            ],
            className="compare-title",
        ),
        chart(COMPARE_SCATTER, "A number of each unit at A against the same at B", 250, class_name="compare-chart"),
        html.H2("change of each unit, sorted", className="panel-subtitle"),
        chart(COMPARE_CHANGE, "Relative change and cosine of each unit, most changed first", 220, class_name="compare-chart"),
        html.H2("selected unit, exact values", className="panel-subtitle"),
        chart(COMPARE_UNIT, "The selected unit on both sides and the difference", 170, class_name="compare-chart"),
    ]  # fmt: skip


def _image_panel() -> list[Any]:
    return [
        html.H2("Predicted class, A and B", className="panel-title"),
        ComparisonPredictions(id=COMPARE_PREDICTIONS),
        ImageGrid(id=COMPARE_IMAGES),
    ]


def _training_panel() -> list[Any]:
    return [
        html.Div(id=COMPARE_METRIC, className="compare-metrics", role="group", **{"aria-label": "Metric"}),
        chart(COMPARE_TRAINING, "Metrics of both runs over training; a click moves time", 460, class_name="compare-chart"),
        html.P(
            "The line is A's moment, the broken one B's. A click moves time. "
            "The axis is what time is aligned by: step, epoch, or share of training.",
            className="quiet-text",
        ),
    ]  # fmt: skip
