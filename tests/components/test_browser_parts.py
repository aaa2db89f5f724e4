"""components/browser_parts.py: what Dash is told. In a real application: tests/browser/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mloscope.components import browser_parts

ASSETS = Path(__file__).resolve().parents[2] / "assets"
PARTS = (
    "TimeSlider",
    "FilmCanvas",
    "ImageGrid",
    "PredictionBars",
    "NetworkGraph",
    "StatisticsState",
    "ConfusionMatrix",
    "ConfusionTools",
    "ConfusionAccuracy",
    "ConfusionCell",
    "ConfusionPairs",
    "ConfusionChanges",
    "ClusterRows",
    "PointMap",
    "ClusterImages",
    "ViewSelect",
    "Fold",
    "PanelEdge",
    "PinTray",
    "RunPicker",
)


@pytest.mark.parametrize("name", PARTS)
def test_every_part_names_the_script_that_draws_it(name):
    part = getattr(browser_parts, name)(id="here")
    told = part.to_plotly_json()
    assert (told["namespace"], told["type"], told["props"]["id"]) == ("mloscope", name, "here")
    exported = re.search(r"window\.mloscope = \{(.*?)\}", (ASSETS / "main.mjs").read_text(), re.DOTALL)
    assert name in re.findall(r"\w+", exported[1])


def test_a_part_takes_its_own_properties_and_no_others():
    told = browser_parts.FilmCanvas(id="x", show="features").to_plotly_json()["props"]
    assert told == {"id": "x", "show": "features"}
    assert "show" not in browser_parts.FilmCanvas(id="x").to_plotly_json()["props"]
    with pytest.raises(TypeError, match="show"):
        browser_parts.ImageGrid(id="x", show="features")
