"""Ridgelines: a ridge per step, the same x for all, and what the browser needs to follow the slider."""

from __future__ import annotations

import numpy as np

from mloscope.components.figures.ridgeline import MOST_RIDGES, Distribution, ridgeline, shown_ridges


def distribution(counts: np.ndarray, edges: np.ndarray, threshold: float | None = None) -> Distribution:
    steps = len(counts)
    nothing = np.zeros(steps, np.int64)
    return Distribution(
        range(steps), edges, counts, nothing, nothing, np.full(steps, edges[0]), np.full(steps, edges[-1]), threshold
    )


def test_ridges_stand_behind_one_another_on_one_scale_of_heights():
    counts = np.array([[4, 0], [1, 3]])
    figure = ridgeline(distribution(counts, np.array([0.0, 1, 2])), ["0", "10"], log_heights=False, theme="light")
    first, second = figure["data"]
    assert first["x"].tolist() == second["x"].tolist() == [0, 0.5, 1.5, 2]
    heights = [trace["y"] - trace["y"][0] for trace in (first, second)]
    np.testing.assert_allclose(heights[1][1:3] * 4, heights[0][1] * counts[1])
    assert (first["y"][0], second["y"][0]) == (0, -1)
    assert figure["layout"]["meta"]["ridges"] == [0, 1]
    logs = ridgeline(distribution(counts, np.array([0.0, 1, 2])), ["0", "10"], log_heights=True, theme="light")
    rise = logs["data"][1]["y"] + 1
    np.testing.assert_allclose(rise[1] / rise[2], np.log(2) / np.log(4))


def test_many_steps_are_sampled_with_both_ends_and_all_are_said():
    assert shown_ridges(3) == [0, 1, 2]
    shown = shown_ridges(1000)
    assert (shown[0], shown[-1], len(shown)) == (0, 999, MOST_RIDGES)
    counts = np.ones((1000, 3), np.int64)
    labels = [str(step) for step in range(1000)]
    figure = ridgeline(distribution(counts, np.arange(4.0)), labels, log_heights=False, theme="dark")
    assert len(figure["data"]) == MOST_RIDGES
    assert len(figure["layout"]["meta"]["said"]) == 1000


def test_said_are_exact_ends_and_what_is_not_finite_and_unknown_steps_have_no_ridge():
    found = Distribution(
        [0, 2], np.array([-1.5, 0, 2]), np.array([[3, 1], [0, 0]]), np.array([2, 7]), np.array([1, 0]),
        np.array([-1.5, np.nan]), np.array([2.0, np.nan]),
    )  # fmt: skip
    figure = ridgeline(found, ["0", "5", "9"], log_heights=False, theme="light")
    first, unknown, last = figure["layout"]["meta"]["said"]
    assert all(words in first for words in ("Step 0", "7 values", "−1.5 to 2", "2 NaN", "1 infinite"))
    assert unknown == ""
    assert all(words in last for words in ("Step 9", "none finite", "7 NaN"))
    assert figure["layout"]["meta"]["ridges"] == [0, 2]


def test_symmetric_log_bins_are_equally_wide_and_named_by_their_values():
    edges = np.sinh(np.linspace(-8, 8, 5)) * 0.01
    figure = ridgeline(
        distribution(np.ones((2, 4), np.int64), edges, 0.01), ["0", "1"], log_heights=False, theme="light"
    )
    np.testing.assert_allclose(figure["data"][0]["x"], [-8, -6, -2, 2, 6, 8])
    axis = figure["layout"]["xaxis"]
    assert axis["ticktext"][len(axis["ticktext"]) // 2] == "0"
    assert len(axis["tickvals"]) <= 7
    assert axis["tickvals"] == sorted(axis["tickvals"])


def test_without_any_step_the_figure_says_so():
    nothing = Distribution([], np.arange(3.0), np.zeros((0, 2), int), *[np.zeros(0)] * 4)
    assert ridgeline(nothing, ["0"], log_heights=False, theme="light")["layout"]["annotations"][0]["text"]
