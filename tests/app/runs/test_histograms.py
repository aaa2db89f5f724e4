"""Histograms over time: the same bins at all steps, counts that NumPy agrees with, and what is in no bin."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.runs.histograms import Histograms, bin_edges, histograms, weight_histograms

CONV = "block/conv1"


def read_of(arrays: dict[int, np.ndarray]) -> Any:
    def read(step: int) -> np.ndarray:
        if arrays[step].size == 0:
            raise NotPossible(f"The checkpoint of step {step} is cut short.")
        return arrays[step]

    return read


def test_counts_are_numpys_over_edges_that_all_steps_share() -> None:
    rng = np.random.default_rng(7)
    arrays = {0: rng.normal(size=(5, 5, 3, 8)).astype(np.float32), 10: rng.normal(2, 0.1, size=600), 20: np.zeros(4)}
    for scale in ("linear", "symlog"):
        found = histograms(read_of(arrays), [20, 0, 10], scale, bins=17)
        assert (found.steps, found.scale, found.missing) == ((0, 10, 20), scale, {})
        lowest, highest = arrays[0].min(), max(arrays[0].max(), arrays[10].max())
        assert (found.edges[0], found.edges[-1]) == (lowest, highest)
        for row, step in enumerate(found.steps):
            wanted, edges = np.histogram(arrays[step].astype(np.float64), bins=found.edges)
            np.testing.assert_array_equal(edges, found.edges)
            np.testing.assert_array_equal(found.counts[row], wanted)
            assert found.counts[row].sum() == arrays[step].size
            assert (found.low[row], found.high[row]) == (arrays[step].min(), arrays[step].max())


def test_edges_written_out() -> None:
    np.testing.assert_allclose(bin_edges(-1, 3, 4), [-1, 0, 1, 2, 3])
    np.testing.assert_allclose(bin_edges(2, 2, 2), [1.5, 2, 2.5])
    np.testing.assert_allclose(bin_edges(-100, 100, 4, threshold=1)[2], 0, atol=1e-12)
    log = bin_edges(-100, 100, 4, threshold=1)
    np.testing.assert_allclose(np.diff(np.arcsinh(log)), np.arcsinh(100) / 2)
    most = np.finfo(np.float64).max
    assert np.isfinite(bin_edges(-most, most, 3)).all()


def test_counts_written_out_with_both_ends_of_the_last_bin() -> None:
    found = histograms(read_of({1: np.array([0, 1, 1, 2, 3, 4.0])}), [1], "linear", bins=4)
    assert found.counts.tolist() == [[1, 2, 1, 2]]


def test_what_is_not_finite_is_counted_beside_the_bins() -> None:
    arrays = {
        0: np.array([1, np.nan, np.inf, -np.inf, 3, np.nan]),
        1: np.array([np.nan, np.nan]),
        2: np.array([]),
        3: np.array([2.0], np.float16),
    }
    found = histograms(read_of(arrays), [0, 1, 2, 3], bins=2)
    assert found.steps == (0, 1, 3)
    assert found.counts.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert (found.nan.tolist(), found.infinite.tolist()) == ([2, 2, 0], [2, 0, 0])
    np.testing.assert_array_equal(found.low, [1, np.nan, 2])
    assert "cut short" in found.missing[2]
    assert found.json()["high"] == [3.0, None, 2.0]
    again = Histograms.of_json(found.json())
    np.testing.assert_array_equal(again.counts, found.counts)
    np.testing.assert_array_equal(again.low, found.low)
    assert again.missing == found.missing


def test_without_a_finite_value_bins_are_there_and_empty() -> None:
    found = histograms(read_of({0: np.full(3, np.nan), 1: np.array([])}), [0, 1], bins=2)
    assert (found.edges.tolist(), found.counts.tolist(), found.nan.tolist()) == ([0, 0.5, 1], [[0, 0]], [3])
    assert histograms(read_of({1: np.array([])}), [1], bins=2).counts.shape == (0, 2)


def test_an_exploded_step_does_not_put_all_others_into_one_bin() -> None:
    calm = {step: np.linspace(-1, 1, 101) for step in range(4)}
    assert histograms(read_of(calm), list(calm)).scale == "linear"
    wild = {**calm, 4: np.array([-1e30, 5.0])}
    found = histograms(read_of(wild), list(wild))
    assert found.scale == "symlog"
    assert found.threshold == 0.5
    assert np.count_nonzero(found.counts[0]) > 1
    assert np.count_nonzero(histograms(read_of(wild), list(wild), "linear").counts[0]) == 1
    with pytest.raises(BadRequest):
        histograms(read_of(calm), list(calm), "cubic")


def test_weights_of_a_layer_and_of_a_unit_are_read_once(make_bench: Any, array_run: Any) -> None:
    run = array_run(steps=range(4), broken=[2])
    bench = make_bench(run=run)
    kernels = [run.values(step, CONV, run.layers()[1].parameters[0]) for step in (0, 1, 3)]
    whole = weight_histograms(bench.services.cache, bench.opened, CONV, None, None)
    assert whole.steps == (0, 1, 3)
    assert list(whole.missing) == [2]
    np.testing.assert_array_equal(whole.counts[1], np.histogram(kernels[1].astype(np.float64), whole.edges)[0])
    reads = len(run.reads)
    assert reads == 3
    unit = weight_histograms(bench.services.cache, bench.opened, CONV, "kernel", 3)
    np.testing.assert_array_equal(unit.low, [kernel[..., 3].min() for kernel in kernels])
    assert (unit.counts.sum(axis=1) == kernels[0][..., 3].size).all()
    reads = len(run.reads)
    weight_histograms(bench.services.cache, bench.opened, CONV, "kernel", 3)
    assert len(run.reads) == reads
    with pytest.raises(NotFound):
        weight_histograms(bench.services.cache, bench.opened, CONV, None, 4)


def test_outputs_for_an_image_are_counted_at_every_checkpoint(bench: Any) -> None:
    image = bench.services.workspace.network_input(bench.opened, "noise", "test-1")
    found = bench.services.feature_maps.histograms(bench.opened, CONV, image, 2, "linear")
    expected = bench.service.expected((4, 4, 4), 20, CONV, bench.network_input(41))[..., 2]
    row = found.steps.index(20)
    assert (found.low[row], found.high[row]) == (expected.min(), expected.max())
    np.testing.assert_array_equal(found.counts[row], np.histogram(expected.astype(np.float64), found.edges)[0])
    with pytest.raises(NotFound):
        bench.services.feature_maps.histograms(bench.opened, CONV, image, 4)


def test_where_no_step_can_be_read_there_are_bins_and_reasons() -> None:
    def read(step: int) -> np.ndarray:
        raise NotFound("It was removed.")

    found = Histograms.of_json(json.loads(json.dumps(histograms(read, [1, 2]).json())))
    assert (found.steps, len(found.counts), found.missing) == ((), 0, {1: "It was removed.", 2: "It was removed."})
