"""Parameters of a layer: as pictures and as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import NotFound, NotPossible
from mloscope.app.runs.parameters import parameter_details, parameter_of, parameter_tiles
from mloscope.app.runs.units import enlarged_weights

CONV = "block/conv1"


def test_details_are_the_numbers_of_the_array(bench: Any) -> None:
    kernel = np.array([0, 0, 1, -2, np.nan, np.inf, -np.inf, 5], np.float32)
    kernel = np.resize(kernel, (3, 3, 3, 4))
    bench.run.replaced[(20, CONV, "kernel")] = kernel
    rows = parameter_details(bench.services.cache, bench.opened, 20, CONV, unit=3)
    assert [row["parameter"] for row in rows] == ["kernel", "bias"]
    row, finite = rows[0], kernel[np.isfinite(kernel)].astype(np.float64)
    assert (row["shape"], row["dtype"], row["count"]) == ([3, 3, 3, 4], "float32", 108)
    assert (row["nan"], row["infinite"]) == (np.isnan(kernel).sum(), np.isinf(kernel).sum())
    assert row["share_of_zeros"] == (kernel == 0).sum() / 108
    expected = (finite.min(), finite.max(), finite.mean(), finite.std(), np.sqrt((finite**2).sum()))
    np.testing.assert_allclose([row[key] for key in ("min", "max", "mean", "std", "norm")], expected)
    unit = kernel[..., 3]
    unit = unit[np.isfinite(unit)].astype(np.float64)
    found = [row[f"unit_{key}"] for key in ("min", "max", "norm")]
    np.testing.assert_allclose(found, [unit.min(), unit.max(), np.sqrt((unit**2).sum())])
    assert parameter_details(bench.services.cache, bench.opened, 20, CONV, unit=9)[1]["unit_norm"] is None


def test_details_of_nothing_finite_and_of_what_exploded(bench: Any) -> None:
    bench.run.replaced[(20, CONV, "bias")] = np.full(4, np.nan, np.float32)
    bench.run.replaced[(30, CONV, "bias")] = np.array([3e200, 4e200, 0, 0])
    row = parameter_details(bench.services.cache, bench.opened, 20, CONV)[1]
    assert (row["min"], row["norm"], row["nan"], row["share_of_zeros"]) == (None, None, 4, 0)
    assert parameter_details(bench.services.cache, bench.opened, 30, CONV)[1]["norm"] == pytest.approx(5e200)


def test_colours_are_red_green_blue_whatever_the_networks_order(make_bench: Any) -> None:
    options = RunOptions(preprocessing=Preprocessing(channel_order="bgr"))
    bench = make_bench(options=options)
    kernel = bench.run.values(10, CONV, bench.run.layers()[1].parameters[0])
    tiles = parameter_tiles(bench.opened, 10, CONV)
    np.testing.assert_array_equal(tiles[:, 0], kernel[:, :, ::-1].transpose(3, 0, 1, 2))


def test_only_a_kernel_on_the_networks_colours_is_coloured(bench: Any) -> None:
    assert parameter_tiles(bench.opened, 0, CONV).shape == (4, 1, 3, 3, 3)
    assert parameter_tiles(bench.opened, 0, "conv2").shape == (40, 4, 3, 3, 1)
    assert parameter_tiles(bench.opened, 0, "depthwise").shape == (80, 1, 1, 1, 1)
    # Through the flatten layer back to the map of 2 by 2 by 80.
    assert parameter_tiles(bench.opened, 0, "dense").shape == (8, 80, 2, 2, 1)
    assert parameter_tiles(bench.opened, 0, "dense", layout="matrix").shape == (8, 1, 1, 320, 1)
    assert parameter_tiles(bench.opened, 0, "classes").shape == (10, 1, 1, 8, 1)


def test_details_and_the_enlarged_unit_are_read_from_a_file_once(bench: Any) -> None:
    ask = [
        lambda: parameter_details(bench.services.cache, bench.opened, 20, CONV, unit=1),
        lambda: enlarged_weights(bench.services.cache, bench.opened, 20, CONV, 1)[0].tolist(),
    ]
    first = [question() for question in ask]
    bench.run.reads.clear()
    assert [question() for question in ask] == first
    assert bench.run.reads == []
    bench.run.versions[20] += 1
    bench.run.replaced[(20, CONV, "kernel")] = np.zeros((3, 3, 3, 4), np.float32)
    assert parameter_details(bench.services.cache, bench.opened, 20, CONV, unit=1)[0]["max"] == 0


def test_a_parameter_that_a_layer_lacks_is_said(bench: Any) -> None:
    assert parameter_of(bench.opened.layer(CONV)).name == "kernel"
    assert parameter_of(bench.opened.layer(CONV), "bias").name == "bias"
    with pytest.raises(NotFound, match="kernel, bias"):
        parameter_of(bench.opened.layer(CONV), "gamma")
    with pytest.raises(NotPossible, match="no parameters"):
        parameter_of(bench.opened.layer("flatten"))
