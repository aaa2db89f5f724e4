"""components/figures/confusion_heat_map.py and confusion_course.py."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.components.figures.confusion_course import confusion_course
from mloscope.components.figures.confusion_heat_map import SHADES, confusion_heat_map, shade_scale


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_more_is_always_farther_from_the_surface(theme):
    steps = np.diff([luminance(colour) for colour in SHADES[theme]])
    assert (steps < 0).all() if theme == "light" else (steps > 0).all()
    assert [place for place, _ in shade_scale(theme)] == pytest.approx(np.linspace(0, 1, 6))


def test_the_heat_map_is_the_same_each_time_and_leaves_hovering_to_the_page():
    figure = confusion_heat_map("light")
    assert figure.to_json() == confusion_heat_map("light").to_json()
    assert (figure.data[0].zmin, figure.data[0].zmax, figure.data[0].hoverinfo) == (0, 1, "skip")


def test_few_classes_have_a_line_each_and_the_selected_one_is_strong():
    recall = np.array([[0.1, 0.2], [np.nan, np.nan], [0.8, 0.9]])
    figure = confusion_course(
        np.array([0.15, np.nan, 0.85]), recall, ["cat", "dog"], ["0", "5", "9"], selected=1, theme="dark"
    )
    assert [trace.name for trace in figure.data] == ["recall of cat", "recall of dog", "accuracy"]
    assert figure.data[1].line.width > figure.data[0].line.width
    assert np.isnan(figure.data[0].y[1]), "a step without statistics is bridged"
    assert not figure.data[0].connectgaps


def test_many_classes_are_quartiles_and_the_selected_one():
    recall = np.random.default_rng(0).random((4, 1000))
    recall[:, 7] = np.nan
    figure = confusion_course(
        recall.mean(1), recall, [str(n) for n in range(1000)], list("abcd"), selected=3, theme="light"
    )
    median = next(trace for trace in figure.data if trace.name == "median recall of 1\u202f000 classes")
    assert median.y == pytest.approx(np.nanmedian(recall, axis=1))
    assert figure.data[5].y == pytest.approx(recall[:, 3])
    assert len(figure.data) == 7
