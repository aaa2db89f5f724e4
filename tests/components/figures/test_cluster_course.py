"""components/figures/cluster_course.py: sizes are lines in the clusters' colours, the selected one's purity beside them."""

from __future__ import annotations

import numpy as np

from mloscope.components import theme as themes
from mloscope.components.figures.cluster_course import cluster_course

SIZES = np.array([[3.0, 7, 0], [4, 6, 0], [np.nan] * 3])
PURITY = np.array([[0.5, 1, np.nan], [0.75, 0.9, np.nan], [np.nan] * 3])
LABELS = ["0", "10", "20"]


def test_a_line_for_each_cluster_in_its_colour():
    figure = cluster_course(SIZES, PURITY, LABELS, selected=None, theme="light")
    assert [trace.line.color for trace in figure.data] == list(themes.CLUSTERS[:3])
    np.testing.assert_array_equal([trace.y for trace in figure.data], SIZES.T)
    assert figure.layout.yaxis2.visible is False


def test_the_selected_cluster_is_strong_and_its_purity_has_an_axis():
    figure = cluster_course(SIZES, PURITY, LABELS, selected=0, theme="dark")
    assert figure.data[0].opacity > figure.data[1].opacity
    np.testing.assert_array_equal(figure.data[3].y, PURITY[:, 0])
    assert figure.data[3].yaxis == "y2"
    assert figure.layout.yaxis2.visible is True


def test_the_same_arrays_give_the_same_figure():
    first = cluster_course(SIZES, PURITY, LABELS, selected=1, theme="light")
    assert first.to_json() == cluster_course(SIZES, PURITY, LABELS, selected=1, theme="light").to_json()


def test_a_single_checkpoint_is_drawn_as_points():
    figure = cluster_course(SIZES[:1], PURITY[:1], LABELS[:1], selected=None, theme="light")
    assert {trace.mode for trace in figure.data} == {"markers"}
