"""components/chart.py: a frame that has its room at once, and buttons that say what they save."""

from __future__ import annotations

import pytest
from dash import dcc, html

from mloscope.components.chart import FORMATS, chart


def parts(component, kind) -> list:
    return [part for part in component._traverse() if isinstance(part, kind)]


def test_a_chart_has_its_room_and_its_words_before_it_is_filled():
    made = chart("course", "Accuracy over all steps", 190, cursor=True, class_name="wide")
    (graph,) = parts(made, dcc.Graph)
    assert graph.id == "course"
    assert graph.style == {"height": "190px"}
    assert made.className == "chart time-cursor wide"
    assert made.to_plotly_json()["props"]["aria-label"] == "Accuracy over all steps"
    assert made.role == "figure"


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_has_a_button_that_says_so(kind):
    (button,) = [
        button.to_plotly_json()["props"]
        for button in parts(chart("course", "Accuracy", 190), html.Button)
        if button.children == kind.upper()
    ]
    assert button["data-chart-format"] == kind
    assert button["aria-label"] == f"Accuracy: save as {kind.upper()}"
