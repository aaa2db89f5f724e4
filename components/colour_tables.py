"""Colour tables: 256 colours each, computed, perceptually even, safe for the common kinds of colour blindness.

viridis and magma (Smith and van der Walt), cividis (Nuñez, Anderton and Renslow, doi:10.1371/journal.pone.0199239) pass through a
few of their published colours; between them the way is straight in Oklab (Björn Ottosson), whose distances follow the eye. The
diverging tables are drawn in Oklab itself: lightness falls evenly, and by the same amount on both sides, from a near-white middle,
so that equal distances from zero look equally strong.

The browser gets them as data of the page; pictures of the REST API and Plotly's heat maps use them too. NaN and infinities have no colour.
"""

from __future__ import annotations

import functools

import numpy as np

TITLES = {
    "viridis": "viridis",
    "cividis": "cividis",
    "magma": "magma",
    "grey": "grey",
    "blue-red": "blue–red",
    "purple-green": "purple–green",
}
"""What each table is called on pages."""
NAMES = tuple(TITLES)
_STOPS = {
    "viridis": "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725",
    "magma": "000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf",
    "cividis": "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838",
}
_HUES = {"blue-red": (254, 32), "purple-green": (314, 150)}
"""Degrees on Oklab's circle, at the negative and the positive end."""
_MIDDLE_LIGHTNESS, _END_LIGHTNESS, _MOST_CHROMA = 0.975, 0.36, 0.165
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.793617785, -0.0040720468],
        [1.9779984951, -2.428592205, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.808675766],
    ]
)


def is_diverging(name: str) -> bool:
    """Return whether the table has a middle that stands for zero."""
    return name in _HUES


@functools.cache
def colour_table(name: str) -> np.ndarray:
    """Return a table as uint8 (256, 3): red, green, blue. Raises KeyError for a name that is not in :data:`NAMES`."""
    share = np.linspace(0, 1, 256)
    if name in _HUES:
        colours = _diverging(share, *_HUES[name])
    elif name in _STOPS:
        colours = _through(share, _STOPS[name])
    else:
        colours = np.zeros((256, 3))
        colours[:, 0] = np.cbrt(_luminance(share * 100))
        TITLES[name]
    table = (np.clip(_srgb(colours), 0, 1) * 255 + 0.5).astype(np.uint8)
    table.flags.writeable = False
    return table


def plotly_scale(name: str, stops: int = 17) -> list[list[float | str]]:
    """Return a table as Plotly's colour scale, straight in sRGB between its stops."""
    places = np.linspace(0, 1, stops)
    colours = colour_table(name)[(places * 255 + 0.5).astype(int)]
    return [[float(place), f"#{r:02x}{g:02x}{b:02x}"] for place, (r, g, b) in zip(places, colours, strict=True)]


def _through(share: np.ndarray, text: str) -> np.ndarray:
    """Oklab colours through stops, at equal distances."""
    stops = _oklab(np.array([[int(each[i : i + 2], 16) for i in (0, 2, 4)] for each in text.split()]) / 255)
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(share, places, stops[:, axis]) for axis in range(3)], axis=1)


def _diverging(share: np.ndarray, negative: float, positive: float) -> np.ndarray:
    away = np.abs(share - 0.5) * 2
    hue = np.radians(np.where(share < 0.5, negative, positive))
    lightness = _MIDDLE_LIGHTNESS + (_END_LIGHTNESS - _MIDDLE_LIGHTNESS) * away
    # Colour grows quickly out of the neutral middle and fades a little where it gets dark.
    chroma = _MOST_CHROMA * np.sin(np.minimum(1, away * 1.12) * np.pi * 0.62) ** 0.9

    def colours() -> np.ndarray:
        return np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)

    while True:
        srgb = _srgb(colours())
        outside = ((srgb < 0) | (srgb > 1)).any(axis=1) & (chroma > 0)
        if not outside.any():
            return colours()
        chroma = np.where(outside, chroma - 0.002, chroma)


def _luminance(lightness: np.ndarray) -> np.ndarray:
    """Luminance 0..1 of a CIE lightness 0..100: greys are even in this older measure, which knows black better."""
    return np.where(lightness > 8, ((lightness + 16) / 116) ** 3, lightness / 903.3)


def _oklab(srgb: np.ndarray) -> np.ndarray:
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.cbrt(linear @ _TO_LMS.T) @ _TO_LAB.T


def _srgb(oklab: np.ndarray) -> np.ndarray:
    """sRGB 0..1, not clipped: outside that interval the colour cannot be shown."""
    lms = (oklab @ np.linalg.inv(_TO_LAB).T) ** 3
    light = lms @ np.linalg.inv(_TO_LMS).T
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 0) ** (1 / 2.4) - 0.055)
