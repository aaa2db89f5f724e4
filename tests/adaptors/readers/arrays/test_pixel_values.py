from __future__ import annotations

import numpy as np
import pytest

from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.arrays.pixel_values import read_pictures

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
PICTURES[0, 0, 0] = (0, 255, 1)
UNIT = PICTURES / 255.0


def read(array: np.ndarray) -> tuple[np.ndarray, list[str]]:
    read_array = read_pictures({"x": array}, "a.npz")
    assert read_array.pixels["x"].dtype == np.uint8
    return read_array.pixels["x"], read_array.notes


@pytest.mark.parametrize("kind", ["uint8", "int16", "int32", "int64", ">u2", "float16", "float32", "float64", ">f4"])
def test_whole_values_of_0_to_255_are_kept_without_a_word(kind: str) -> None:
    pixels, notes = read(PICTURES.astype(kind))
    assert np.array_equal(pixels, PICTURES)
    assert notes == []


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_256_levels_of_0_to_1_are_kept_without_a_word(kind: str) -> None:
    pixels, notes = read(UNIT.astype(kind))
    assert np.array_equal(pixels, PICTURES)
    assert notes == []


@pytest.mark.parametrize("factor", [1, 255])
@pytest.mark.parametrize(("low", "high"), [(0, 1.0000002), (0, 1.047), (-0.05, 1.047), (-1e-7, 1), (-0.12, 1.13)])
def test_values_a_hair_outside_are_cut_off_and_said(factor: int, low: float, high: float) -> None:
    values = UNIT * factor
    values[1, 0, 0, 0], values[1, 0, 0, 1] = low * factor, high * factor
    pixels, notes = read(values.astype(np.float32))
    assert np.abs(pixels.astype(int) - np.clip(np.rint(values * 255 / factor), 0, 255)).max() == 0
    assert len(notes) == 1
    assert f"read as 0..{factor}" in notes[0]


def test_values_between_levels_are_said_to_be_rounded() -> None:
    pixels, notes = read((UNIT * 0.7).astype(np.float32))
    assert np.array_equal(pixels, np.rint(UNIT.astype(np.float32) * np.float32(0.7) * 255))
    assert "rounded" in notes[0]


@pytest.mark.parametrize(
    "array",
    [
        (PICTURES / 127.5 - 1).astype(np.float32),
        PICTURES.astype(np.uint16) * 257,
        (PICTURES.astype(np.int16) - 128).astype(np.int8),
    ],
    ids=["-1 to 1", "16 bits", "int8"],
)
def test_other_ranges_that_the_values_tell_are_read_and_said(array: np.ndarray) -> None:
    pixels, notes = read(array)
    assert np.array_equal(pixels, PICTURES)
    assert "read as" in notes[0]


@pytest.mark.parametrize("kind", ["uint8", "int64", "bool"])
def test_black_and_white_of_0_and_1_is_seen_and_said(kind: str) -> None:
    pixels, notes = read((PICTURES > 127).astype(kind))
    assert np.array_equal(pixels, (PICTURES > 127) * 255)
    assert "black and white" in notes[0]


def test_a_dark_part_of_other_pictures_is_not_black_and_white() -> None:
    dark = (PICTURES > 127).astype(np.uint8)
    found = read_pictures({"x_train": PICTURES, "x_test": dark}, "a.npz")
    assert np.array_equal(found.pixels["x_test"], dark)
    assert found.notes == []


@pytest.mark.parametrize("kind", ["int64", "float32"])
def test_sixteen_levels_are_kept_and_said(kind: str) -> None:
    pixels, notes = read((PICTURES >> 4).astype(kind))
    assert np.array_equal(pixels, PICTURES >> 4)
    assert "1/15" in notes[0]


def test_a_constant_array_is_said() -> None:
    pixels, notes = read(np.ones((2, 4, 4), np.float32))
    assert (pixels == 255).all()
    assert "everywhere" in notes[0]
    assert read(np.zeros((2, 4, 4), np.float32))[1] == []


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ((UNIT - 0.45) / 0.25, "subtracting a mean"),
        (UNIT - UNIT.mean(axis=0), "subtracting a mean"),
        (np.where(UNIT > 0.8, UNIT, 0) - 0.13, "subtracting a mean"),
        (PICTURES - PICTURES.mean(), "subtracting a mean"),
        (UNIT * 3.3, "before they were scaled"),
        (PICTURES * 40.0, "before they were scaled"),
        (PICTURES.astype(np.int32) * 16, "runs from 0 to 4080"),
        (PICTURES.astype(np.int16) - 3, "runs from -3"),
        (np.where(UNIT == 0, np.nan, UNIT), "not finite"),
        (np.where(UNIT == 0, np.inf, UNIT), "not finite"),
        (UNIT.astype(np.complex64), "complex64"),
        (PICTURES[..., :2], "should be"),
        (PICTURES.reshape(6, -1), "should be"),
    ],
)
def test_what_the_values_do_not_tell_is_refused(array: np.ndarray, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(array)


def test_channels_first_and_grey() -> None:
    assert np.array_equal(read(PICTURES.transpose(0, 3, 1, 2))[0], PICTURES)
    assert np.array_equal(read(PICTURES[..., 0])[0], PICTURES[..., :1])
    assert np.array_equal(read(PICTURES[:, np.newaxis, ..., 0])[0], PICTURES[..., :1])


@pytest.mark.parametrize("shape", [(4, 3, 5, 3), (28, 28, 3)])
def test_shapes_with_two_readings_are_said(shape: tuple[int, ...]) -> None:
    _, notes = read(np.full(shape, 99, np.uint8))
    assert str(shape) in notes[0]


def test_arrays_of_different_ranges_are_said() -> None:
    found = read_pictures({"x_train": UNIT, "x_test": PICTURES}, "a.npz")
    assert np.array_equal(found.pixels["x_train"], found.pixels["x_test"])
    assert "x_train from 0 to 1" in found.notes[0]
    assert "x_test from 0 to 255" in found.notes[0]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (UNIT * 1.1, UNIT * 1.1 * 255),
        (UNIT * 0.7, UNIT * 0.7 * 255),
        (UNIT * 2.2 - 1.1, UNIT * 2.2 * 127.5 - 0.1 * 127.5),
        (PICTURES.astype(np.uint16) * 200, PICTURES.astype(float) * 200 / 257),
    ],
    ids=["beyond 1", "between levels", "beyond -1 and 1", "16 bits"],
)
def test_what_a_picture_cannot_hold_is_kept(array: np.ndarray, expected: np.ndarray) -> None:
    original = read_pictures({"x": array}, "a.npz").originals["x"]
    assert np.allclose(original.block(1, 3), expected[1:3], atol=1e-4)
    assert original.block(1, 3).dtype == np.float32


@pytest.mark.parametrize("array", [PICTURES, UNIT, (UNIT * 2 - 1).astype(np.float32), PICTURES.astype(np.uint16) * 257])
def test_what_a_picture_holds_is_not_kept_twice(array: np.ndarray) -> None:
    assert read_pictures({"x": array}, "a.npz").originals == {}
