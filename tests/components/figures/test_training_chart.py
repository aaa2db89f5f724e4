from __future__ import annotations

import numpy as np
import pytest

from mloscope.adaptors.interface import Curve
from mloscope.components.figures.training_chart import (
    BEHIND_TIMELINE_POINTS,
    MOST_POINTS,
    curve_behind_timeline,
    metrics_of,
    run_course,
    training_chart,
)


def curve(name: str, x, y=None, axis: str = "step", converted=None) -> Curve:
    x = np.asarray(x)
    y = np.asarray(x, np.float64) if y is None else np.asarray(y, np.float64)
    return Curve(name, axis, x, y, "log.csv", converted)


RUNS = {
    "a": [curve("training loss", [1, 2, 4]), curve("validation loss", [2, 4]), curve("learning rate", [1, 4])],
    "b": [
        curve("training loss", [1, 2], axis="epoch", converted=np.array([100.0, 200.0])),
        curve("test accuracy", [1, 2], axis="epoch"),
    ],
}


def test_what_most_runs_have_comes_first_then_losses_then_rates():
    assert metrics_of(RUNS) == ("loss", "accuracy", "learning rate")
    assert metrics_of({}) == ()
    named = {"": [curve("test logprob error", [1]), curve("test logprob", [1]), curve("zeta", [1])]}
    assert metrics_of(named) == ("logprob", "logprob error", "zeta")


def test_behind_the_timeline_is_a_loss_before_an_accuracy_and_only_what_lies_between_the_checkpoints():
    accuracy, rate = curve("test accuracy", [1, 2, 9]), curve("learning rate", [1, 2])
    loss = curve("training loss", [0, 1, 2, 3, 9], [9, 4, np.nan, 2, 9])
    lone = curve("validation loss", [1, 2], [np.nan, 3])
    found = curve_behind_timeline([rate, accuracy, lone, loss], [1, 3])
    assert found.name == "training loss"
    assert found.x.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(found.y, [4, np.nan, 2])
    assert curve_behind_timeline([rate, accuracy, lone], [1, 3]).name == "test accuracy"
    assert curve_behind_timeline([rate, lone], [1, 3]) is None
    assert curve_behind_timeline([loss], [1]) is None
    long = curve("training loss", np.arange(100_000))
    assert len(curve_behind_timeline([long], [0, 100_000]).x) <= BEHIND_TIMELINE_POINTS + 2


def test_a_colour_a_run_a_dash_a_split_and_a_row_a_metric():
    figure = training_chart(RUNS, ("loss", "learning rate"), theme="light")
    lines = {trace.name: trace for trace in figure.data if "rate" not in trace.hovertemplate}
    assert set(lines) == {"a · training", "a · validation", "b · training"}
    assert lines["a · training"].line.color == lines["a · validation"].line.color != lines["b · training"].line.color
    assert lines["a · training"].line.dash == lines["b · training"].line.dash != lines["a · validation"].line.dash
    assert {trace.yaxis for trace in figure.data} == {"y", "y2"}
    assert [note.text for note in figure.layout.annotations] == ["loss", "learning rate"]
    assert figure == training_chart(RUNS, ("loss", "learning rate"), theme="light")


def test_a_curve_may_be_named_alone():
    figure = training_chart(RUNS, ("validation loss",), theme="dark")
    assert [trace.name for trace in figure.data] == ["a · validation"]


def test_axes_are_steps_epochs_or_each_run_s_own_share():
    at = {
        x: {trace.name: list(trace.x) for trace in training_chart(RUNS, ("loss",), x, theme="light").data}
        for x in ("step", "epoch", "share")
    }
    assert at["step"] == {"a · training": [1, 2, 4], "a · validation": [2, 4], "b · training": [100, 200]}
    assert at["epoch"] == {"b · training": [1, 2]}
    assert at["share"] == {"a · training": [0.25, 0.5, 1], "a · validation": [0.5, 1], "b · training": [0.5, 1]}
    left_out = training_chart(RUNS, ("loss",), "epoch", theme="light").layout.xaxis.title.text
    assert left_out == "epoch (2 curves are not known by it)"
    assert training_chart(RUNS, ("loss",), "step", theme="light").layout.xaxis.title.text == "step"


@pytest.mark.parametrize(
    ("runs", "metrics", "x", "said"),
    [({}, ("loss",), "step", "Nothing was recorded."), ({"a": RUNS["a"]}, ("loss",), "epoch", "known by epoch")],
)
def test_where_there_is_nothing_it_is_said(runs, metrics, x, said):
    figure = training_chart(runs, metrics, x, theme="light")
    assert said in figure.layout.annotations[0].text


def test_nan_breaks_the_line_and_long_curves_keep_their_peaks():
    values = np.zeros(100_000)
    values[12_345], values[54_321], values[77_777] = 9, -9, np.nan
    figure = training_chart({"a": [curve("loss", np.arange(100_000), values)]}, ("loss",), theme="light")
    (trace,) = figure.data
    assert len(trace.x) <= MOST_POINTS
    kept = dict(zip(trace.x, trace.y, strict=True))
    assert (kept[12_345], kept[54_321]) == (9, -9)
    assert np.isnan(kept[77_777])
    assert {0, 99_999} <= set(kept)
    assert not trace.connectgaps


def test_a_run_s_course_lies_on_its_checkpoints():
    curves = [curve("training loss", [-5, 0, 50, 100, 550, 2000]), curve("training acc", [1], axis="epoch")]
    figure = run_course(curves, ("loss",), (0, 100, 1000), ("0", "100", "1000"), theme="dark")
    (trace,) = figure.data
    assert list(trace.x) == [0, 0.5, 1, 1.5]
    assert list(trace.customdata) == [0, 50, 100, 550]
    assert figure.layout.xaxis.ticktext == ("0", "100", "1000")
    nothing = run_course(curves, ("acc",), (0, 100), ("0", "100"), theme="dark")
    assert "Nothing was recorded" in nothing.layout.annotations[0].text
