"""Units: over the run, enlarged, and ranked by rules."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mloscope.app.errors import MloscopeError
from mloscope.app.runs.units import enlarged_map, enlarged_weights, unit_ranking, unit_values_over_time

CONV = "block/conv1"


def test_a_units_course_is_exactly_what_is_stored(make_bench: Any, array_run: Any) -> None:
    run = array_run(steps=range(6), broken=[2], torn=[4])
    bench = make_bench(run=run)
    values, names = unit_values_over_time(bench.services.cache, bench.opened, CONV, "", 3)
    assert (values.shape, values.dtype) == ((6, 27), np.float32)
    assert names[5] == "row 0, column 1, channel 2"
    for step in (0, 1, 3, 5):
        kernel = run.values(step, CONV, run.layers()[1].parameters[0])
        np.testing.assert_array_equal(values[step], kernel[..., 3].ravel())
    assert np.isnan(values[[2, 4]]).all()
    reads = len(run.reads)
    unit_values_over_time(bench.services.cache, bench.opened, CONV, "kernel", 3)
    assert len(run.reads) == reads
    run.versions[5] += 1  # a file that was written again is read again
    unit_values_over_time(bench.services.cache, bench.opened, CONV, "kernel", 3)
    assert len(run.reads) > reads


def test_units_of_vectors_and_depthwise_kernels_have_courses(bench: Any) -> None:
    values, names = unit_values_over_time(bench.services.cache, bench.opened, CONV, "bias", 1)
    assert (values.shape, names) == ((40, 1), ("bias",))
    values, names = unit_values_over_time(bench.services.cache, bench.opened, "depthwise", None, 2 * 7 + 1)
    kernel = bench.run.values(390, "depthwise", bench.run.layers()[3].parameters[0])
    assert values[-1, 0] == kernel[0, 0, 7, 1]
    assert names == ("row 0, column 0",)


def test_a_unit_enlarged_is_its_tiles_and_the_layers_range(bench: Any) -> None:
    kernel = bench.run.values(10, CONV, bench.run.layers()[1].parameters[0])
    tiles, span = enlarged_weights(bench.services.cache, bench.opened, 10, CONV, 2)
    np.testing.assert_array_equal(tiles, kernel[..., 2].transpose(2, 0, 1))
    assert span == (kernel.min(), kernel.max())
    tiles, _ = enlarged_map(bench.feature_maps([10], CONV, "test-3").maps[10], CONV, 2)
    image = bench.network_input(43)
    np.testing.assert_array_equal(tiles[0], bench.service.expected((4, 4, 4), 10, CONV, image)[..., 2])
    bench.run.replaced[(20, CONV, "bias")] = np.full(4, np.nan, np.float32)
    assert enlarged_weights(bench.services.cache, bench.opened, 20, CONV, 0, parameter="bias")[1] == (0.0, 0.0)


def test_rankings_by_norm_and_change_put_ties_in_order_and_nan_last(make_bench: Any, array_run: Any) -> None:
    run = array_run(steps=range(4), broken=[0])
    bench = make_bench(run=run)
    run.replaced[(1, CONV, "bias")] = np.array([1, 1, 1, 1], np.float32)
    run.replaced[(3, CONV, "bias")] = np.array([2, -5, np.nan, 2], np.float32)
    ranked = unit_ranking(bench.opened, 3, CONV, "largest-norm", parameter="bias")
    assert ranked.units == (1, 0, 3, 2)
    assert ranked.values[:3] == (5, 2, 2)
    assert np.isnan(ranked.values[3])
    changed = unit_ranking(bench.opened, 3, CONV, "most-changed", parameter="bias", count=2)
    assert (changed.units, changed.values, changed.unit_total) == ((1, 0), (6, 1), 4)
    run.replaced[(3, "conv2", "kernel")] = np.tile(np.float32([1, 2]), (3, 3, 4, 20))
    ties = unit_ranking(bench.opened, 3, "conv2", "largest-norm", count=40).units
    assert ties == (*range(1, 40, 2), *range(0, 40, 2))


def test_the_most_active_units_are_those_of_the_image(bench: Any) -> None:
    image = bench.network_input(41)
    maps = np.abs(bench.service.expected((4, 4, 4), 20, CONV, image).astype(np.float64)).mean(axis=(0, 1))
    ranked = unit_ranking(
        bench.opened, 20, CONV, "most-active", feature_map=lambda: bench.feature_maps([20], CONV, "test-1").maps[20]
    )
    assert ranked.units == tuple(np.argsort(-maps, kind="stable"))
    np.testing.assert_allclose(ranked.values, np.sort(maps)[::-1])


def test_units_and_rules_that_do_not_exist_are_said(bench: Any) -> None:
    for ask, words in (
        (lambda: unit_values_over_time(bench.services.cache, bench.opened, CONV, "bias", 4), "0 to 3"),
        (lambda: enlarged_weights(bench.services.cache, bench.opened, 0, CONV, -1), "0 to 3"),
        (lambda: unit_ranking(bench.opened, 0, CONV, "best"), "largest-norm"),
        (lambda: unit_ranking(bench.opened, 0, CONV, "most-active"), "image"),
    ):
        with pytest.raises(MloscopeError, match=words):
            ask()
