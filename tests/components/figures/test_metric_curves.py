"""The chart of all curves: smoothing is the average it says, axes are what is known, labels do not lie over one another."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from mloscope.adaptors.interface import Checkpoint, Curve
from mloscope.components.figures.line_labels import spread
from mloscope.components.figures.metric_curves import (
    LABEL_PX,
    DrawnRun,
    Shown,
    checkpoint_places,
    metric_curves,
    smoothed,
)

STEPS = np.arange(5)


def run(title: str = "a", **more: object) -> DrawnRun:
    loss = Curve("training loss", "step", STEPS, np.array([4.0, 3, 2, 1, 0.5]), "log.csv", **more)
    held_out = Curve("validation loss", "step", STEPS, np.array([5.0, 4, np.nan, 2, 1]), "log.csv")
    return DrawnRun(title, "#123456", (loss, held_out))


def test_the_average_is_exponential_and_does_not_begin_at_zero() -> None:
    y = np.array([2.0, 4.0, np.nan, 8.0])
    first, second, gap, third = smoothed(y, 0.5)
    assert first == 2
    assert second == pytest.approx((0.5 * 2 + 1 * 4) / 1.5)
    assert np.isnan(gap)
    assert third == pytest.approx((0.25 * 2 + 0.5 * 4 + 1 * 8) / 1.75)
    assert np.array_equal(y, [2, 4, np.nan, 8], equal_nan=True), "what was recorded stays as it is"


def test_smoothed_curves_have_the_raw_ones_faint_behind() -> None:
    figure = metric_curves([run()], ["loss"], Shown(smoothing=0.9), [], theme="light")
    raw, smooth, *_ = figure["data"]
    assert raw["opacity"] < 0.5
    assert raw["y"].tolist() == [4, 3, 2, 1, 0.5]
    assert smooth["y"].tolist() == smoothed(raw["y"], 0.9).tolist()
    assert "0.9" in smooth["hovertemplate"]
    assert len(metric_curves([run()], ["loss"], Shown(), [], theme="light")["data"]) == 2


def test_each_metric_has_a_row_and_each_run_a_colour() -> None:
    other = DrawnRun("b", "#654321", (Curve("learning rate", "step", STEPS, STEPS * 1.0, "log.csv"),))
    figure = metric_curves([run(), other], ["loss", "learning rate"], Shown(log_y=True), [], theme="dark")
    assert [(trace["yaxis"], trace["line"]["color"]) for trace in figure["data"]] == [
        ("y", "#123456"), ("y", "#123456"), ("y2", "#654321"),
    ]  # fmt: skip
    assert figure["layout"]["yaxis2"]["type"] == "log"
    assert figure["layout"]["xaxis"]["type"] == "linear"
    go.Figure(figure)  # every property is one that Plotly knows


def test_time_is_hours_since_the_first_record_and_what_does_not_tell_it_is_left_out() -> None:
    timed = run(times=1e9 + STEPS * 1800.0)
    figure = metric_curves([timed], ["loss"], Shown(x="time"), [], theme="light")
    (trace,) = figure["data"]
    assert trace["x"].tolist() == [0, 0.5, 1, 1.5, 2]


def test_checkpoints_have_their_place_on_each_axis_where_it_is_known() -> None:
    checkpoints = [Checkpoint(1, "1", epoch=0.5), Checkpoint(3, "3"), Checkpoint(9, "9")]
    timed = run(times=1e9 + STEPS * 3600.0)
    assert checkpoint_places(checkpoints, timed, "step") == [1, 3, 9]
    assert checkpoint_places(checkpoints, timed, "epoch") == [0.5, None, None]
    assert checkpoint_places(checkpoints, timed, "time") == [1, 3, None]
    assert checkpoint_places(checkpoints, run(), "time") == [None] * 3


def test_labels_at_line_ends_are_moved_apart() -> None:
    apart = spread(np.array([10.0, 10.0, 200.0, 12.0]), 15, (0, 250))
    assert np.diff(np.sort(apart)).min() >= 15
    assert apart[2] == apart.max()
    runs = [run(str(number)) for number in range(4)]
    figure = metric_curves(runs, ["loss"], Shown(), [], theme="light")
    labels = [each for each in figure["layout"]["annotations"] if "yshift" in each]
    assert [label["text"] for label in labels] == ["0", "1", "2", "3"]
    assert np.diff(sorted(label["yshift"] for label in labels)).min() >= LABEL_PX - 1e-9
    low, high = figure["layout"]["yaxis"]["range"]
    assert (low < 0.5, high > 5, high - low < 6) == (True, True, True), "labels make the axis no longer"


def test_a_curve_without_finite_values_has_no_label() -> None:
    lost = DrawnRun("a", "#123456", (Curve("loss", "step", STEPS, np.full(5, np.nan), "log.csv"),))
    figure = metric_curves([lost], ["loss"], Shown(log_x=True, log_y=True), [], theme="light")
    assert not [each for each in figure["layout"]["annotations"] if "yshift" in each]
