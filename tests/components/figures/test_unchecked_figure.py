"""Figures that Plotly did not check are those that it would have made."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import plotly.graph_objects as go
import pytest
from dash._utils import to_json

from mloscope.components import theme as themes
from mloscope.components.figures.prediction_course import prediction_course
from mloscope.components.figures.ridgeline import Distribution, ridgeline
from mloscope.components.figures.unchecked_figure import unchecked_figure
from mloscope.components.figures.unit_bars import unit_bars
from mloscope.components.figures.unit_course import unit_course
from mloscope.components.figures.unit_heat_map import unit_heat_map

LABELS = [str(step) for step in range(41)]
NAMES = [f"class {number}" for number in range(30)]


def noise(*shape: int) -> np.ndarray:
    values = np.random.default_rng(shape).normal(size=shape).astype(np.float32)
    values.flat[:2] = np.nan, np.inf
    return values


RIDGES = Distribution(
    range(41), np.sinh(np.linspace(-8, 8, 9)), np.arange(328).reshape(41, 8), *np.zeros((4, 41)), threshold=1.0
)
FIGURES: dict[str, Callable[[str], dict[str, Any]]] = {
    "ten classes": lambda theme: prediction_course(noise(41, 10), NAMES[:10], 3, LABELS, theme=theme),
    "many classes": lambda theme: prediction_course(noise(41, 30), NAMES, 29, LABELS, theme=theme),
    "no classes": lambda theme: prediction_course(noise(41, 10)[:, :0], [], None, LABELS, theme=theme),
    "lines": lambda theme: unit_course(noise(41, 25), NAMES[:25], LABELS, theme=theme),
    "quantiles": lambda theme: unit_course(noise(41, 150), [""] * 150, LABELS, theme=theme),
    "labelled cells": lambda theme: unit_heat_map(noise(1, 5, 5), value_range=(-1.0, 1.0), diverging=True, theme=theme),
    "tiles": lambda theme: unit_heat_map(noise(6, 5, 5), value_range=(-1.0, 1.0), diverging=True, theme=theme),
    "ridges": lambda theme: ridgeline(RIDGES, LABELS, log_heights=False, theme=theme),
    "bars": lambda theme: unit_bars(noise(84), axis="input", theme=theme),
    "very many bars": lambda theme: unit_bars(noise(400), axis="input", theme=theme),
    "a large map": lambda theme: unit_heat_map(noise(1, 28, 28), value_range=(0.0, 2.0), diverging=False, theme=theme),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", FIGURES)
def test_what_was_not_checked_is_right(name: str, theme: str) -> None:
    built = FIGURES[name](theme)
    checked = go.Figure(built)  # raises where a property is unknown or wrong
    plain = plain_arrays(json.loads(checked.to_json()))
    assert plain == json.loads(to_json(built))
    assert checked.layout.template == themes.template(theme)


def plain_arrays(part: Any) -> Any:
    """Plotly writes arrays as bytes; here they are lists again, NaN and infinities None as in JSON."""
    if isinstance(part, dict) and "bdata" in part:
        values = np.frombuffer(base64.b64decode(part["bdata"]), part["dtype"])
        values = values.astype(str).astype(float)  # as many digits as the type has
        shape = [int(extent) for extent in part.get("shape", "-1").split(",")]
        return np.where(np.isfinite(values), values.astype(object), None).reshape(shape).tolist()
    if isinstance(part, dict):
        return {key: plain_arrays(value) for key, value in part.items()}
    return [plain_arrays(value) for value in part] if isinstance(part, list) else part


def test_arrays_in_any_order_of_memory_go_the_short_way() -> None:
    turned = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    built = unchecked_figure([{"type": "heatmap", "z": turned}], {"showlegend": False}, theme="dark")
    said = json.loads(
        orjson.dumps(built, option=orjson.OPT_SERIALIZE_NUMPY)
    )  # raises where Dash would have to walk through it
    assert said["data"][0]["z"] == [[0, 1, 2], [3, 4, 5]]
