"""Figures that Plotly did not check are those that it would have made."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import pytest

from mloscope.components import theme as themes
from mloscope.components.figures.prediction_course import prediction_course
from mloscope.components.figures.unchecked_figure import unchecked_figure
from mloscope.components.figures.unit_course import unit_course
from mloscope.components.figures.unit_heat_map import unit_heat_map

LABELS = [str(step) for step in range(41)]
NAMES = [f"class {number}" for number in range(30)]


def noise(*shape: int) -> np.ndarray:
    values = np.random.default_rng(shape).normal(size=shape).astype(np.float32)
    values.flat[:2] = np.nan, np.inf
    return values


FIGURES: dict[str, Callable[[str], go.Figure]] = {
    "ten classes": lambda theme: prediction_course(noise(41, 10), NAMES[:10], 3, LABELS, theme=theme),
    "many classes": lambda theme: prediction_course(noise(41, 30), NAMES, 29, LABELS, theme=theme),
    "no classes": lambda theme: prediction_course(noise(41, 10)[:, :0], [], None, LABELS, theme=theme),
    "lines": lambda theme: unit_course(noise(41, 25), NAMES[:25], LABELS, theme=theme),
    "quantiles": lambda theme: unit_course(noise(41, 150), [""] * 150, LABELS, theme=theme),
    "labelled cells": lambda theme: unit_heat_map(noise(1, 5, 5), value_range=(-1.0, 1.0), diverging=True, theme=theme),
    "tiles": lambda theme: unit_heat_map(noise(6, 5, 5), value_range=(-1.0, 1.0), diverging=True, theme=theme),
    "a large map": lambda theme: unit_heat_map(noise(1, 28, 28), value_range=(0.0, 2.0), diverging=False, theme=theme),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", FIGURES)
def test_what_was_not_checked_is_right(name: str, theme: str) -> None:
    figure = FIGURES[name](theme)
    parts = figure.to_plotly_json()
    checked = go.Figure(parts["data"], {**parts["layout"], "template": themes.template(theme)})
    assert json.loads(figure.to_json()) == json.loads(checked.to_json())


def test_arrays_are_sent_as_bytes() -> None:
    figure = unchecked_figure([{"type": "scatter", "y": np.arange(3.0)}], {"showlegend": False})
    assert figure.data[0].type == "scatter"
    assert json.loads(figure.to_json())["data"][0]["y"] == {"bdata": "AAAAAAAAAAAAAAAAAADwPwAAAAAAAABA", "dtype": "f8"}
