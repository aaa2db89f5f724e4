"""components/figures/statistic_course.py: a line per item, quartiles of many, nothing bridged."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.components.figures.statistic_course import LINES_UP_TO, statistic_course

LABELS = ["0", "10", "20"]


def drawn(values: np.ndarray, names: list[str], **more):
    return statistic_course(
        values, names, LABELS[: len(values)], title="recall", theme="light", **{"unit": "share", **more}
    )


def test_one_number_per_checkpoint_is_one_line_called_as_the_statistic():
    figure = drawn(np.array([[0.5], [np.nan], [0.75]]), [""])
    assert [trace.name for trace in figure.data] == ["recall"]
    np.testing.assert_array_equal(figure.data[0].y, [0.5, np.nan, 0.75])
    assert figure.layout.yaxis.tickformat == ".0%"


def test_items_are_named_and_the_selected_one_is_strong():
    figure = drawn(np.ones((3, 2)), ["cat", "dog"], selected=1)
    assert [trace.name for trace in figure.data] == ["recall of cat", "recall of dog"]
    assert figure.data[1].line.width > figure.data[0].line.width
    assert figure.data[1].opacity > figure.data[0].opacity


def test_many_items_are_quartiles_and_the_selected_one():
    values = np.vstack([np.arange(41.0), np.full(41, np.nan), np.arange(41.0) * 2])
    figure = drawn(values, [str(number) for number in range(41)], unit="images", selected=7)
    assert len(figure.data) == 6
    np.testing.assert_array_equal([trace.y[0] for trace in figure.data], [0, 10, 20, 30, 40, 7])
    assert all(np.isnan(trace.y[1]) for trace in figure.data)
    assert figure.layout.yaxis.title.text == "images"


@pytest.mark.parametrize("items", [1, LINES_UP_TO + 1])
def test_a_single_checkpoint_is_drawn_as_points(items):
    assert {trace.mode for trace in drawn(np.ones((1, items)), ["x"] * items).data} == {"markers"}
