"""Arrays as tiles: which value lands where, and the ranges of the finite ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mloscope.app.errors import BadRequest, NotPossible
from mloscope.app.runs import tiles

SHAPES = hnp.array_shapes(min_dims=6, max_dims=6, min_side=1, max_side=4)
ANY_FLOATS = st.sampled_from((np.float16, np.float32, np.float64)).flatmap(
    lambda kind: hnp.arrays(kind, SHAPES, elements=hnp.from_dtype(np.dtype(kind)))
)


@given(ANY_FLOATS)
def test_ranges_are_those_of_the_finite_values(values: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        frame = values[0].astype(np.float32)
    found = tiles.ranges(frame)
    for unit, (low, high) in zip(frame, found, strict=True):
        finite = unit[np.isfinite(unit)]
        if finite.size:
            assert (low, high) == (finite.min(), finite.max())
        else:
            assert np.isnan([low, high]).all()
    finite = frame[np.isfinite(frame)]
    joint = tiles.joint_range(found)
    np.testing.assert_array_equal(joint, [finite.min(), finite.max()] if finite.size else [np.nan, np.nan])


def numbered(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_a_kernel_has_a_tile_for_each_unit_and_channel() -> None:
    kernel = numbered(3, 5, 2, 4)
    found = tiles.tiles(kernel, ("row", "column", "channel", "unit"))
    assert found.shape == (4, 2, 3, 5)
    assert found[3, 1, 2, 4] == kernel[2, 4, 1, 3]
    assert np.shares_memory(found, kernel)


def test_a_transposed_convolution_has_its_units_before_its_channels() -> None:
    kernel = numbered(3, 5, 4, 2)
    found = tiles.tiles(kernel, ("row", "column", "unit", "channel"))
    assert found.shape == (4, 2, 3, 5)
    assert found[3, 1, 2, 4] == kernel[2, 4, 3, 1]


@pytest.mark.parametrize("base", ["unit", "channel"])
def test_a_depthwise_kernel_counts_units_through_its_multipliers(base: str) -> None:
    kernel = numbered(3, 5, 4, 2)
    found = tiles.tiles(kernel, ("row", "column", base, "multiplier"))
    assert found.shape == (8, 1, 3, 5)
    assert found[3 * 2 + 1, 0, 2, 4] == kernel[2, 4, 3, 1]


def test_dense_weights_take_the_shape_of_the_map_before_them() -> None:
    kernel = numbered(2 * 3 * 5, 4)
    axes = ("channel", "unit")
    found = tiles.tiles(kernel, axes, (2, 3, 5))
    assert found.shape == (4, 5, 2, 3)
    # Keras flattens row, column, channel.
    assert found[1, 4, 1, 2] == kernel[(1 * 3 + 2) * 5 + 4, 1]
    matrix = tiles.tiles(kernel, axes, (2, 3, 5), "matrix")
    assert matrix.shape == (4, 1, 1, 30)
    assert matrix[1, 0, 0, 7] == kernel[7, 1]


def test_dense_weights_that_take_a_map_flattened_otherwise() -> None:
    kernel = numbered(2 * 3 * 5, 4)
    found = tiles.tiles(kernel, ("channel", "unit"), (2, 3, 5), flattened=("channel", "row", "column"))
    assert found.shape == (4, 5, 2, 3)
    assert found[1, 4, 1, 2] == kernel[(4 * 2 + 1) * 3 + 2, 1]  # Caffe flattens channel, row, column
    found = tiles.tiles(kernel, ("channel", "unit"), (2, 3, 5), flattened=("column", "channel", "row"))
    assert found[1, 4, 1, 2] == kernel[(2 * 5 + 4) * 2 + 1, 1]


@pytest.mark.parametrize("preceding", [None, (2, 3, 4), (1, 1, 30), (None, None, 5), (30,)])
def test_dense_weights_without_a_map_that_fits_are_a_matrix(preceding: tuple[int | None, ...] | None) -> None:
    assert tiles.tiles(numbered(30, 4), ("channel", "unit"), preceding).shape == (4, 1, 1, 30)


def test_vectors_are_tiles_of_one_value() -> None:
    for axis in ("unit", "channel"):
        assert tiles.tiles(numbered(7), (axis,))[:, 0, 0, 0].tolist() == list(range(7))
    assert tiles.tiles(np.float32(3), ()).shape == (1, 1, 1, 1)


def test_kernels_along_one_axis_are_single_columns_or_rows() -> None:
    assert tiles.tiles(numbered(9, 2, 4), ("row", "channel", "unit")).shape == (4, 2, 9, 1)
    assert tiles.tiles(numbered(9, 2, 4), ("column", "channel", "unit")).shape == (4, 2, 1, 9)


def test_types_are_kept_and_integers_become_floats() -> None:
    for kind, result in (
        (np.float16, np.float16),
        (np.float64, np.float64),
        (np.int8, np.float32),
        (np.uint16, np.float32),
    ):
        assert tiles.tiles(np.zeros(3, kind), ("unit",)).dtype == result
    assert tiles.tiles(np.array([2**40]), ("unit",)).ravel()[0] == 2**40


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(NotPossible, match="axes"):
        tiles.tiles(numbered(3, 4), ("time", "unit"))
    with pytest.raises(NotPossible, match="axes"):
        tiles.tiles(numbered(3, 4), ("unit",))
    with pytest.raises(NotPossible, match="not real numbers"):
        tiles.tiles(np.zeros(3, complex), ("unit",))
    with pytest.raises(NotPossible, match="not real numbers"):
        tiles.tiles(np.zeros(3, "m8[s]"), ("unit",))
    with pytest.raises(BadRequest, match='"tiles" or "matrix"'):
        tiles.tiles(numbered(3), ("unit",), layout="rows")


def test_feature_maps_are_a_tile_a_unit() -> None:
    feature_map = numbered(3, 5, 4)
    assert tiles.map_tiles(feature_map)[2, 0].tolist() == feature_map[..., 2].tolist()
    assert tiles.map_tiles(numbered(7)).shape == (7, 1, 1, 1)
    assert tiles.map_tiles(numbered(5, 7)).shape == (7, 1, 5, 1)
    with pytest.raises(NotPossible, match="cannot be drawn"):
        tiles.map_tiles(numbered(2, 2, 2, 2))
    with pytest.raises(NotPossible, match="cannot be drawn"):
        tiles.map_tiles(np.float32(1))


def test_floats_of_any_size_become_float32() -> None:
    kept = numbered(3)
    assert tiles.as_float32(kept) is kept
    with np.errstate(all="raise"):
        made = tiles.as_float32(np.array([1.5, -1e300]))
    assert (made.dtype, made.tolist()) == (np.float32, [1.5, -np.inf])


def test_a_parameter_has_a_row_per_unit() -> None:
    kernel = numbered(3, 5, 2, 4)
    rows, shape, axes = tiles.by_unit(kernel, ("row", "column", "channel", "unit"))
    assert (rows.shape, shape, axes) == ((4, 30), (3, 5, 2), ("row", "column", "channel"))
    assert rows[3].tolist() == kernel[..., 3].ravel().tolist()
    rows, shape, axes = tiles.by_unit(kernel, ("row", "column", "channel", "multiplier"))
    assert (rows.shape, shape, axes) == ((8, 15), (3, 5), ("row", "column"))
    assert rows[1 * 4 + 2].tolist() == kernel[..., 1, 2].ravel().tolist()
    assert tiles.by_unit(numbered(7), ("channel",)).rows.tolist() == [[value] for value in range(7)]


def test_ranges_leave_out_what_is_not_finite() -> None:
    rows = np.array([[-2.0, np.inf, -3.0], [np.nan, 5.0, -np.inf], [np.nan] * 3], np.float32)
    np.testing.assert_array_equal(tiles.ranges(rows), [[-3, -2], [5, 5], [np.nan, np.nan]])
    np.testing.assert_array_equal(tiles.ranges(np.zeros((3, 0), np.float32)), np.full((3, 2), np.nan))
