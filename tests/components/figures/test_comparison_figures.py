"""Figures of the compare page: what is drawn is what was given, what cannot be drawn is left open."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.components.figures.comparison_change import comparison_change
from mloscope.components.figures.comparison_scatter import comparison_scatter
from mloscope.components.figures.comparison_unit import comparison_unit

UNITS = np.array([4, 9, 2, 7])


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    return request.param


def test_each_unit_is_a_point_and_the_selected_one_is_larger(theme: str) -> None:
    a, b = np.array([1.0, 2, np.nan, 3]), np.array([2.0, 1, 5, 4])
    figure = comparison_scatter(
        a, b, UNITS, selected=9, measure="norm", labels=("step 5", "step 0"), theme=theme
    )  # fmt: skip
    points = figure.data[1]
    assert list(points.customdata) == [4, 9, 7]  # a list, so that a click brings it back
    assert np.asarray(points.x).tolist() == [2, 1, 4]
    assert np.asarray(points.y).tolist() == [1, 2, 3]
    assert np.asarray(points.marker.size).argmax() == 1
    assert figure.layout.xaxis.range == figure.layout.yaxis.range
    assert figure.layout.xaxis.title.text == "norm at B, step 0"


def test_units_stand_by_how_much_they_changed(theme: str) -> None:
    change, cosine = np.array([0.1, np.inf, np.nan, 2.0]), np.array([0.9, np.nan, np.nan, -0.5])
    figure = comparison_change(change, cosine, UNITS, selected=7, theme=theme)
    bars, dots = figure.data
    assert list(bars.customdata) == list(dots.customdata) == [9, 7, 4, 2]
    assert np.asarray(dots.y)[1] == -0.5
    assert "B is 0" in bars.text[0]
    assert "no number" in bars.text[3]
    assert figure.layout.yaxis2.range[0] < -0.5
    assert bars.marker.color[1] != bars.marker.color[0] == bars.marker.color[2]


def test_no_units_and_all_alike_are_drawn_all_the_same(theme: str) -> None:
    nothing = np.array([])
    comparison_change(nothing, nothing, nothing, selected=0, theme=theme)
    comparison_scatter(nothing, nothing, nothing, selected=0, measure="norm", labels=("", ""), theme=theme)
    ones = np.ones(3)
    low, high = comparison_change(ones, ones, np.arange(3), selected=0, theme=theme).layout.yaxis2.range
    assert low < 1 < high


def test_both_sides_share_a_scale_and_the_difference_has_zero_in_its_middle(theme: str) -> None:
    a, b = np.array([[[1.0, np.nan], [3.0, -4.0]]]), np.array([[[0.5, 1.0], [np.inf, 0.0]]])
    left, right, apart = comparison_unit(a, b, diverging=False, theme=theme).data
    assert (left.zmin, left.zmax) == (right.zmin, right.zmax) == (-4, 3)
    assert (apart.zmin, apart.zmax) == (-4, 4)
    shown = np.asarray(apart.z, float)
    assert shown[0, 0] == 0.5
    assert shown[1, 1] == -4
    assert np.isnan(shown[0, 1])
    assert np.isnan(shown[1, 0])
    symmetric = comparison_unit(a, b, diverging=True, theme=theme).data[0]
    assert (symmetric.zmin, symmetric.zmax) == (-4, 4)


def test_values_in_one_row_are_bars_of_both_sides_and_of_the_difference(theme: str) -> None:
    a, b = np.array([[[1.0, np.nan, 3.0]]]), np.array([[[0.5, 1.0, np.inf]]])
    figure = comparison_unit(a, b, diverging=True, theme=theme)
    assert [bars.name for bars in figure.data] == ["A", "B", "A − B"]
    assert np.asarray(figure.data[2].y).tolist()[0] == 0.5
    assert np.isnan(np.asarray(figure.data[2].y)[1:]).all()
    assert figure.data[0].yaxis != figure.data[2].yaxis


def test_no_caption_stands_beside_another(theme: str) -> None:
    figure = comparison_unit(np.ones((1, 3, 3)), np.full((1, 3, 3), -0.237123), diverging=True, theme=theme)
    below = [note for note in figure.layout.annotations if note.yanchor == "top"]
    assert len(below) == 2
    assert max(len(note.text) for note in below) <= 20


def test_the_same_arrays_give_the_same_figure(theme: str) -> None:
    a = np.random.default_rng(0).normal(size=(3, 5, 5))
    assert comparison_unit(a, -a, diverging=True, theme=theme).to_json() == comparison_unit(
        a, -a, diverging=True, theme=theme
    ).to_json()  # fmt: skip
