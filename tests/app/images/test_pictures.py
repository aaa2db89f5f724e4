"""Pictures: colours where there are numbers, a hatch where there are none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mloscope.app.errors import BadRequest
from mloscope.app.images import pictures

GREYS = pictures.colour_table("grey")[:, 0].tolist()


def drawn(tiles: np.ndarray, low: float, high: float, colours: str = "grey", zoom: int = 1) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(pictures.draw(tiles, low, high, colours, zoom))))


@pytest.mark.parametrize("name", pictures.COLOUR_TABLES)
def test_a_colour_table_has_256_colours_and_its_lightness_runs_one_way_or_to_the_middle(name: str) -> None:
    table = pictures.colour_table(name)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    change = np.diff(table.astype(float) @ [0.299, 0.587, 0.114])
    if name in ("blue-red", "purple-green"):
        assert change[:120].min() >= -0.5
        assert change[-120:].max() <= 0.5
    else:
        assert change.min() >= -0.5


def test_values_from_low_to_high_take_the_colours_from_end_to_end() -> None:
    tiles = np.array([-9, 0, 1, 2, 9], np.float32).reshape(1, 1, 1, 5, 1)
    assert drawn(tiles, 0, 2)[0, :, 0].tolist() == [0, 0, GREYS[128], 255, 255]
    assert drawn(np.full((1, 1, 1, 1, 1), 7.0), 7, 7)[0, 0, 0] == GREYS[128]


def test_colours_of_a_kernel_are_red_green_and_blue() -> None:
    assert drawn(np.array([0, 1, 2], np.float32).reshape(1, 1, 1, 1, 3), 0, 2).tolist() == [[[0, 128, 255]]]


def test_units_are_rows_and_channels_columns_with_a_line_between() -> None:
    tiles = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1, 1)
    picture = drawn(tiles, 0, 5)[..., 0]
    assert picture.shape == (3, 5)
    assert picture[::2, ::2].tolist() == [[GREYS[51 * n] for n in range(3)], [GREYS[51 * n] for n in range(3, 6)]]
    assert set(picture[1]) == {236}


def test_units_of_one_channel_stand_in_a_square() -> None:
    assert drawn(np.zeros((9, 1, 4, 4, 1)), 0, 1).shape[:2] == (14, 14)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_hatched_and_has_no_colour(broken: float) -> None:
    picture = drawn(np.full((1, 1, 2, 2, 1), broken, np.float32), 0, 1, "viridis", 8)
    colours = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert len(colours) == 2
    assert all(red == green == blue for red, green, blue in colours)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(BadRequest, match="viridis, cividis"):
        drawn(np.zeros((1, 1, 1, 1, 1)), 0, 1, "jet")
    with pytest.raises(BadRequest, match="from 1 to 32"):
        drawn(np.zeros((1, 1, 1, 1, 1)), 0, 1, zoom=0)
    with pytest.raises(BadRequest, match="fewer units"):
        drawn(np.broadcast_to(np.float32(0), (4096, 1, 20, 20, 1)), 0, 1, zoom=32)
    with pytest.raises(BadRequest, match="fewer units"):
        drawn(np.broadcast_to(np.float32(0), (5000, 1, 65, 65, 1)), 0, 1, zoom=1)


def test_a_large_picture_is_drawn_like_its_parts() -> None:
    tiles = np.random.default_rng(0).normal(size=(300, 1, 8, 8, 1)).astype(np.float32)
    tiles[7, 0, 3, 3, 0] = np.nan
    together = drawn(tiles, -1, 1, "viridis", 8)  # more than is drawn at once
    across = (together.shape[1] + 1) // 65
    for unit in (0, 7, 150, 299):
        row, column = unit // across * 65, unit % across * 65
        alone = drawn(tiles[unit : unit + 1], -1, 1, "viridis", 8)
        assert np.array_equal(together[row : row + 64, column : column + 64], alone)


def test_a_sheet_fits_images_into_squares_and_leaves_what_is_not_there_transparent() -> None:
    wide = np.full((2, 8, 1), 200, np.uint8)
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 255
    data = pictures.sheet(iter([wide, None, red]), 3, 16, 2)
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)
    assert picture.shape == (32, 32, 4)
    assert picture[8, 8].tolist() == pytest.approx([200, 200, 200, 255], abs=6)
    assert picture[1, 8, 3] == 0  # above the wide one
    assert picture[:16, 16:, 3].max() == 0  # no image
    assert picture[24, 8].tolist() == pytest.approx([255, 0, 0, 255], abs=8)
