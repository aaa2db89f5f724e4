import numpy as np
import plotly.graph_objects as go
import pytest
from dash._utils import to_json

from mloscope.components.figures.exact_values import exact_values
from mloscope.components.figures.line_labels import spread
from mloscope.components.figures.prediction_course import classes_worth_showing, prediction_course
from mloscope.components.figures.time_axis import time_axis
from mloscope.components.figures.unit_course import LINES_UP_TO, unit_course
from mloscope.components.figures.unit_heat_map import mosaic, short_number, unit_heat_map

LABELS = [str(step) for step in (0, 1, 2, 5, 10, 100)]


def test_the_heat_map_tells_exact_values_and_leaves_nan_open():
    values = np.array([[[0.1234567, np.nan], [np.inf, -1.0]]], np.float32)
    heat_map = go.Figure(unit_heat_map(values, value_range=(-1, 1), diverging=True, theme="light")).data[0]
    assert np.float32(heat_map.customdata[0][0][0]) == values[0, 0, 0]  # the stored number, to the last digit
    assert heat_map.customdata[0][1][0] == "nan"
    assert heat_map.customdata[1][0][0] == "inf"
    assert np.isnan(np.asarray(heat_map.z)[0, 1])
    assert np.isnan(np.asarray(heat_map.z)[1, 0])
    assert (heat_map.zmin, heat_map.zmax) == (-1, 1)


@pytest.mark.parametrize(
    ("value", "room", "written"),
    [
        (0.25, 5, ".25"), (-0.043, 5, "−.043"), (-0.0043, 5, "−.004"), (12345.0, 5, "1e4"), (-2.47e10, 4, None), (-2.47e10, 5, "−2e10"),
        (0.0, 2, "0"), (3.14, 3, "3.1"), (3.14, 2, "3"), (np.nan, 2, ""),
    ],
)  # fmt: skip
def test_numbers_within_cells_stay_within_them(value, room, written):
    assert short_number(value, room) == written


def test_cells_too_small_for_one_of_their_numbers_have_none():
    def text_of(values):
        return go.Figure(unit_heat_map(values, value_range=(-1, 1), diverging=True, theme="light")).data[0].text

    values = np.full((1, 5, 5), 0.25)
    assert text_of(values)[0][0] == ".25"
    values[0, 0, 0] = -2e-10
    assert text_of(values) is None
    assert text_of(np.full((1, 9, 9), -0.25)) is None


@pytest.mark.parametrize("shape", [(7, 1, 1), (1, 7, 1), (1, 1, 7), (1, 1, 300)])
def test_values_in_one_row_are_bars_and_what_is_not_finite_is_marked(shape):
    values = np.linspace(-1, 1, np.prod(shape)).astype(np.float32).reshape(shape)
    values.flat[1] = np.nan
    bars, marks = go.Figure(exact_values(values, value_range=(-1, 1), diverging=True, theme="dark")).data
    assert np.isnan(np.asarray(bars.y)[1])
    assert np.float32(bars.text[2]) == values.flat[2]
    assert (list(marks.x), list(marks.text)) == ([1], ["nan"])


def test_nothing_but_nan_is_a_sentence():
    figure = exact_values(np.full((1, 5, 5), np.nan), value_range=(0, 0), diverging=True, theme="light")
    assert figure.layout.annotations[0].text == "all 25 values are NaN"


def test_one_value_is_a_number():
    figure = exact_values(np.array([[[0.125]]]), value_range=(-1, 1), diverging=True, theme="light")
    assert "0.125" in figure.layout.annotations[0].text


def test_channels_stand_side_by_side_and_are_named():
    tiles = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    field, origin = mosaic(tiles)
    for y, x in np.ndindex(field.shape):
        channel, row, column = origin[y, x]
        assert np.isnan(field[y, x]) if channel < 0 else field[y, x] == tiles[channel, row, column]
    assert (origin[..., 0] >= 0).sum() == tiles.size
    assert (
        "channel"
        in go.Figure(unit_heat_map(tiles, value_range=(0, 11), diverging=False, theme="light")).data[0].hovertemplate
    )


def test_row_zero_is_at_the_top():
    figure = go.Figure(unit_heat_map(np.zeros((1, 5, 3)), value_range=(0, 1), diverging=False, theme="dark"))
    assert figure.layout.yaxis.range == (4.5, -0.5)


def test_the_same_arrays_give_the_same_figure():
    values = np.linspace(-1, 1, 25).reshape(1, 5, 5)
    once, again = (to_json(unit_heat_map(values, value_range=(-1, 1), diverging=True, theme="light")) for _ in range(2))
    assert once == again


def test_the_course_breaks_where_a_checkpoint_is_missing():
    values = np.arange(12, dtype=float).reshape(6, 2)
    values[3] = np.nan
    figure = go.Figure(unit_course(values, ["a", "b"], LABELS, theme="light"))
    assert len(figure.data) == 2
    assert np.isnan(np.asarray(figure.data[0].y)[3])
    assert not figure.data[0].connectgaps


def test_an_exploded_step_lies_outside_the_axis_and_an_arrow_says_how_far():
    values = np.linspace(-1, 1, 12).reshape(6, 2)
    values[1], values[2] = np.nan, (-4.2e9, 3e8)
    figure = go.Figure(unit_course(values, ["a", "b"], LABELS, theme="light"))
    low, high = figure.layout.yaxis.range
    assert -1.5 < low < -1
    assert 1 < high < 1.5
    (arrow,) = figure.layout.annotations
    assert (arrow.x, arrow.y, arrow.text) == (2, 0, "▼ −4.2e09")
    values[2] = 3
    assert go.Figure(unit_course(values, ["a", "b"], LABELS, theme="light")).layout.yaxis.range is None


def test_many_values_become_quantiles_that_say_so():
    values = np.random.default_rng(0).normal(size=(6, LINES_UP_TO + 1))
    figure = go.Figure(unit_course(values, [""] * values.shape[1], LABELS, theme="light"))
    assert [trace.name for trace in figure.data] == [
        "smallest",
        "first quartile",
        "median",
        "third quartile",
        "largest",
    ]
    np.testing.assert_allclose(figure.data[2].y, np.median(values, axis=1))
    assert f"of {values.shape[1]} values" in figure.data[0].hovertemplate


def test_the_true_class_is_always_among_those_shown():
    probabilities = np.zeros((3, 1000))
    probabilities[:, :20] = 0.05
    assert 777 in classes_worth_showing(probabilities, 777)
    assert classes_worth_showing(probabilities, None, most=2) == [0, 1]
    assert classes_worth_showing(np.full((3, 4), np.nan), 2, most=2) == [0, 2]


def test_the_prediction_course_marks_the_true_class():
    figure = go.Figure(prediction_course(np.full((6, 3), 1 / 3), ["cat", "dog", "ship"], 1, LABELS, theme="dark"))
    assert [trace.name for trace in figure.data] == ["cat", "<b>dog</b>", "ship"]
    assert figure.data[1].line.width > figure.data[0].line.width
    assert not figure.layout.showlegend
    assert [note.text for note in figure.layout.annotations] == ["cat", "<b>dog</b>", "ship"]


def test_names_at_the_ends_of_lines_keep_apart_and_within_the_axis():
    places = spread(np.array([0.98, 0.0, 0.99, 0.01, 0.0]), 0.1, (-0.02, 1.02))
    assert np.diff(np.sort(places)).min() >= 0.1 - 1e-9
    assert places.max() <= 1.02
    assert np.argsort(places, kind="stable").tolist() == [1, 4, 3, 0, 2]


@pytest.mark.parametrize(("width", "letters"), [(230, 5), (120, 5), (230, 9), (60, 12)])
def test_ticks_have_room_beside_each_other(width, letters):
    for count in (2, 8, 9, 41):
        labels = ["1" * letters] * count
        positions = time_axis(labels, plot_px=width)["tickvals"]
        least = min(np.diff(positions)) * width / (count - 1)
        assert len(positions) == 2 or least >= letters * 7


@pytest.mark.parametrize("count", [1, 2, 6, 100])
def test_the_time_axis_shows_both_ends(count):
    labels = [str(10 * i) for i in range(count)]
    axis = time_axis(labels)
    assert axis["tickvals"][0] == 0
    assert axis["tickvals"][-1] == count - 1
    assert axis["ticktext"][-1] == labels[-1]
