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
)


@pytest.mark.parametrize("name", PARTS)
def test_every_part_names_the_script_that_draws_it(name):
    part = getattr(browser_parts, name)(id="here")
    told = part.to_plotly_json()
    assert (told["namespace"], told["type"], told["props"]["id"]) == ("mloscope", name, "here")
    exported = re.search(r"window\.mloscope = \{(.*?)\}", (ASSETS / "main.mjs").read_text(), re.DOTALL)
    assert name in re.findall(r"\w+", exported[1])


def test_a_canvas_shows_parameters_or_features():
    assert browser_parts.FilmCanvas(id="x", show="features").to_plotly_json()["props"]["show"] == "features"
    with pytest.raises(ValueError, match='"weights"; it must be "parameters" or "features"'):
        browser_parts.FilmCanvas(id="x", show="weights")
