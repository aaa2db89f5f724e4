"""Colour tables, judged in CIELAB, which is not the space that they are computed in."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.app.web.dash.view_state import FILM
from mloscope.components.colour_tables import NAMES, colour_table, is_diverging, plotly_scale

SEQUENTIAL = ("viridis", "cividis", "magma", "grey")
DIVERGING = ("blue-red", "purple-green")


def lab(table: np.ndarray) -> np.ndarray:
    """CIELAB (D65) of sRGB bytes."""
    channel = table / 255
    linear = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    matrix = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    xyz = linear @ np.array(matrix).T / [0.95047, 1, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def test_names_are_those_of_the_view() -> None:
    (colour,) = (field for field in FILM if field.key == "colour")
    assert ("auto", *NAMES) == colour.choices
    assert set(NAMES) == {*SEQUENTIAL, *DIVERGING}


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_sequential_tables_only_get_lighter_and_evenly_so(name: str) -> None:
    lightness = lab(colour_table(name))[8:, 0]  # next to black all measures of lightness differ
    smooth = np.convolve(np.diff(lightness), np.ones(16) / 16, "valid")
    assert smooth.min() > 0.15
    assert smooth.max() / smooth.min() < 3
    assert lightness[-1] - lightness[0] > 65


@pytest.mark.parametrize("name", DIVERGING)
def test_diverging_tables_are_lightest_in_the_middle_and_the_same_on_both_sides(name: str) -> None:
    table = colour_table(name)
    lightness = lab(table)[:, 0]
    assert lightness.argmax() in (127, 128)
    assert np.abs(lightness - lightness[::-1]).max() < 6
    assert np.diff(lightness[:127]).min() > -0.6
    assert np.ptp(table[127].astype(int)) < 12
    assert is_diverging(name)


@pytest.mark.parametrize(
    ("name", "place", "colour"),
    [
        ("viridis", 0, "440154"),
        ("viridis", 255, "fde725"),
        ("magma", 255, "fcfdbf"),
        ("cividis", 0, "00224e"),
    ],
)
def test_ends_are_the_published_colours(name: str, place: int, colour: str) -> None:
    assert colour_table(name)[place].tobytes().hex() == colour


def test_plotly_has_the_same_colours() -> None:
    (first, *_, last) = plotly_scale("magma")
    assert first == [0.0, "#000004"]
    assert last == [1.0, "#fcfdbf"]
