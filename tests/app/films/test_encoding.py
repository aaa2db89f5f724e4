"""Films: bytes there and back, and how near the values come to what they were."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mloscope.app.errors import BadRequest
from mloscope.app.films import encoding
from mloscope.app.runs.tiles import map_tiles

SHAPES = hnp.array_shapes(min_dims=6, max_dims=6, min_side=1, max_side=4)
ANY_FLOATS = st.sampled_from((np.float16, np.float32, np.float64)).flatmap(
    lambda kind: hnp.arrays(kind, SHAPES, elements=hnp.from_dtype(np.dtype(kind)))
)


def film_of(values: np.ndarray) -> encoding.Film:
    return encoding.quantise(range(len(values)), values)


# ------------------------------------------------------------------------------------------------ quantising


@given(ANY_FLOATS)
def test_values_come_back_within_half_a_code_step(values: np.ndarray) -> None:
    film = film_of(values)
    with np.errstate(over="ignore"):
        true = values.astype(np.float32)
    back = film.values()
    finite = np.isfinite(true)
    np.testing.assert_array_equal(back[~finite], true[~finite])
    low, high = (film.unit_ranges[..., i].astype(np.float64)[:, :, None, None, None, None] for i in (0, 1))
    half_step = np.nan_to_num((high - low) / 504) * (1 + encoding.ERROR_SLACK)
    largest = np.maximum(np.abs(np.nan_to_num(low)), np.abs(np.nan_to_num(high)))
    rounding = largest * 2.0**-23 + 2.0**-149
    with np.errstate(invalid="ignore"):
        error = np.abs(back.astype(np.float64) - true)
    assert (error[finite] <= np.broadcast_to(half_step + rounding, true.shape)[finite]).all()


@given(ANY_FLOATS)
def test_bytes_there_and_back(values: np.ndarray) -> None:
    film = encoding.quantise([7 * i - 3 for i in range(len(values))], values)
    data = film.to_bytes()
    again = encoding.Film.from_bytes(data)
    assert again.steps == film.steps
    assert again.to_bytes() == data
    for name in ("codes", "unit_ranges", "layer_ranges"):
        np.testing.assert_array_equal(getattr(again, name), getattr(film, name))
    assert (8 + struct.unpack_from("<I", data, 4)[0]) % 8 == 0


def frame(*numbers: float) -> np.ndarray:
    """(step 1, unit 1, channel 1, row 1, column n, component 1)"""
    return np.array(numbers, np.float32).reshape(1, 1, 1, 1, -1, 1)


def test_codes_are_those_of_the_contract() -> None:
    film = film_of(frame(np.nan, -np.inf, np.inf, -1, 0, 1))
    assert film.codes.ravel().tolist() == [0, 1, 2, 3, 129, 255]
    assert film.values().ravel().tolist()[3:] == [-1, 0, 1]


def test_a_constant_unit_is_code_3_and_comes_back_exactly() -> None:
    film = film_of(frame(0.1, 0.1, np.nan))
    assert film.codes.ravel().tolist() == [3, 3, 0]
    assert film.values().ravel()[0] == np.float32(0.1)


def test_subnormal_and_exploded_units_lose_no_more_than_others() -> None:
    tiny = np.float32(1e-45)
    film = film_of(frame(0, tiny * 50, tiny * 100))
    np.testing.assert_allclose(film.values().ravel(), [0, tiny * 50, tiny * 100], rtol=0.05)
    film = film_of(frame(-3.4e38, 0, 3.4e38))
    assert film.codes.ravel().tolist() == [3, 129, 255]
    np.testing.assert_allclose(film.values().ravel(), [-3.4e38, 0, 3.4e38], rtol=1e-6)


def test_what_float32_cannot_hold_counts_as_infinite() -> None:
    film = encoding.quantise([0], np.array([1e300, -1e300, 1.0]).reshape(1, 1, 1, 1, 3, 1))
    assert film.codes.ravel().tolist() == [2, 1, 3]


def test_each_unit_has_its_own_range_and_ranges_given_count() -> None:
    values = np.stack([frame(0, 1)[0], frame(0, 100)[0]], axis=1).reshape(1, 2, 1, 1, 2, 1)
    film = film_of(values)
    assert film.unit_ranges.tolist() == [[[0, 1], [0, 100]]]
    assert film.layer_ranges.tolist() == [[0, 100]]
    part = encoding.quantise([5], values[:, :1], np.array([[[-1, 3]]]), np.array([[-1, 100]]))
    assert part.codes.ravel().tolist() == [66, 129]
    assert part.layer_ranges.tolist() == [[-1, 100]]


@pytest.mark.parametrize("dimensions", [4, 6])
def test_a_frame_has_five_axes(dimensions: int) -> None:
    with pytest.raises(ValueError, match="unit, channel, row, column, component"):
        encoding.quantise([0], [np.zeros((1,) * dimensions, np.float32)])


def test_a_value_outside_the_range_is_its_end() -> None:
    film = encoding.quantise([0], frame(-5, 0.5, 5), np.array([[[0, 1]]]), np.array([[0, 1]]))
    assert film.codes.ravel().tolist() == [3, 129, 255]


@pytest.mark.parametrize("shape", [(0, 2, 1, 3, 3, 1), (2, 0, 1, 3, 3, 1), (2, 3, 1, 0, 3, 1)])
def test_nothing_is_a_film_too(shape: tuple[int, ...]) -> None:
    film = encoding.quantise(range(shape[0]), np.zeros(shape, np.float32))
    again = encoding.Film.from_bytes(film.to_bytes())
    assert again.values().shape == again.codes.shape == (shape if shape[0] else (0, 0, 0, 0, 0, 0))


def test_a_list_of_transposed_views_is_the_same_film() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 5, 4, 7)).astype(np.float32)
    views = [map_tiles(each)[..., None] for each in maps]
    whole = encoding.quantise(range(3), np.ascontiguousarray(np.stack(views)))
    assert encoding.quantise(range(3), views).to_bytes() == whole.to_bytes()


# --------------------------------------------------------------------------------------------- broken bytes


def test_bytes_that_are_no_film_are_refused_with_a_sentence() -> None:
    data = film_of(frame(0, 1)).to_bytes()
    with pytest.raises(BadRequest, match="MLF1"):
        encoding.Film.from_bytes(b"PNG" + data)
    with pytest.raises(BadRequest, match=r"has \d+ bytes; by its header it should have"):
        encoding.Film.from_bytes(data[:-1])
    with pytest.raises(BadRequest, match="header"):
        encoding.Film.from_bytes(data[:8] + b"}" + data[9:])
    text = json.dumps({"steps": [1], "shape": [1, 2]}).encode()
    with pytest.raises(BadRequest, match="units, channels, rows"):
        encoding.Film.from_bytes(b"MLF1" + struct.pack("<I", len(text)) + text)


def test_what_stands_beside_units_comes_back() -> None:
    figures = [{"activation": [1.5, "silent"]}, {"activation": [None, 2.0]}]
    film = encoding.quantise([0, 5], np.zeros((2, 2, 1, 3, 3, 1), np.float32), figures=figures)
    assert list(encoding.Film.from_bytes(film.to_bytes()).figures) == figures
    assert b"figures" not in encoding.quantise([0], np.zeros((1, 2, 1, 3, 3, 1), np.float32)).to_bytes()
