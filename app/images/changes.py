"""Changes to an image: shifted, rotated, covered, blurred …, as text that follows its id.

    test-3~shift=4,0~noise=20,1

A reference is an image's id followed by its changes, applied from left to right. Each is ``~``, the name of a :class:`Change` and its
numbers; numbers that are left out have their defaults. Wherever an image's id may stand in an address, a reference may.

A change takes and gives the picture's own pixels, uint8 (row, column, channel), in the picture's own size: what is shown is what the
network gets. Adding a change is one line of :data:`CHANGES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from mloscope.app.errors import BadRequest

MOST_CHANGES = 12
MOST_POINTS = 400
"""Of a brush's stroke."""
COVER = 128
"""The grey that covers what is occluded."""
_ONE = re.compile(r"([a-z]+)=(-?[0-9.]+(?:,-?[0-9.]+)*)")

Values = tuple[float, ...]


@dataclass(frozen=True)
class Number:
    """A number that a change takes."""

    name: str
    low: float
    high: float
    default: float
    unit: str = ""


@dataclass(frozen=True)
class Change:
    """One kind of change."""

    name: str
    """In references; small letters."""
    title: str
    help: str
    numbers: tuple[Number, ...]
    apply: Callable[[Image.Image, Values], Image.Image]
    """Of a picture in mode L or RGB."""
    is_stroke: bool = False
    """Whether pairs of numbers, row by row the points of a stroke, may follow :attr:`numbers`."""

    def checked(self, given: Sequence[float]) -> Values:
        """Return all numbers of the change. Raises :class:`BadRequest` for one out of range, or one too many."""
        values = [*given, *(number.default for number in self.numbers[len(given) :])]
        for number, value in zip(self.numbers, values, strict=False):
            if not number.low <= value <= number.high:
                raise BadRequest(
                    f"{self.title}: {number.name} must be from {number.low:g} to {number.high:g}, got {value:g}."
                )
        more = len(values) - len(self.numbers)
        if more and not self.is_stroke:
            raise BadRequest(f"{self.title} takes {len(self.numbers)} numbers at most, got {len(values)}.")
        if more % 2 or more > 2 * MOST_POINTS:
            raise BadRequest(
                f"{self.title}: the numbers after the first {len(self.numbers)} are pairs, {MOST_POINTS} at most."
            )
        return tuple(values)


@dataclass(frozen=True)
class Applied:
    """A change with its numbers."""

    change: Change
    values: Values

    def __str__(self) -> str:
        return f"~{self.change.name}={','.join(f'{value:g}' for value in self.values)}"


@dataclass(frozen=True)
class Reference:
    """An image and what is changed in it."""

    id: str
    changes: tuple[Applied, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference; text without changes is an id. Raises :class:`BadRequest` for a change that does not exist, or
        one with wrong numbers."""
        *_, most = cls.readings(text)
        return most

    @classmethod
    def readings(cls, text: str) -> Iterator[Reference]:
        """Yield all that a text may mean, for ids may look like references: the whole an id first, then a shorter id and one
        change more each time. Raises as :meth:`parse`, once a reading has such a change."""
        reference = cls(text)
        yield reference
        while True:
            rest, mark, last = reference.id.rpartition("~")
            found = _ONE.fullmatch(last) if mark else None
            if found is None:
                return
            if len(reference.changes) == MOST_CHANGES:
                raise BadRequest(f"An image takes {MOST_CHANGES} changes at most.")
            change = _change(found[1])
            reference = cls(rest, (Applied(change, change.checked(_numbers(found[2]))), *reference.changes))
            yield reference

    def __str__(self) -> str:
        return self.id + "".join(map(str, self.changes))

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Return the changed picture, uint8 (row, column, channel), of the same shape."""
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        for each in self.changes:
            picture = each.change.apply(picture, each.values)
        return np.asarray(picture, np.uint8).reshape(pixels.shape)


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise BadRequest(f'The numbers of a change stand between commas, got "{text}".') from None


def _change(name: str) -> Change:
    try:
        return CHANGES[name]
    except KeyError:
        raise BadRequest(f'There is no change "{name}" of an image; there are {", ".join(CHANGES)}.') from None


# ------------------------------------------------------------------------------------------------------- the changes


def _affine(picture: Image.Image, matrix: Sequence[float]) -> Image.Image:
    """Return the picture in which (x, y), measured from its centre, shows what was at ``matrix`` · (x, y, 1). Bilinear; what
    was outside is black."""
    a, b, c, d, e, f = matrix
    x, y = picture.width / 2, picture.height / 2
    # Pillow measures from the corner.
    around = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
    return picture.transform(picture.size, Image.Transform.AFFINE, around, Image.Resampling.BILINEAR)


def _shift(picture: Image.Image, values: Values) -> Image.Image:
    right, down = values
    return _affine(picture, (1, 0, -right, 0, 1, -down))


def _rotate(picture: Image.Image, values: Values) -> Image.Image:
    angle = np.deg2rad(values[0])
    # Rounded, so that right angles are exact.
    cosine, sine = round(float(np.cos(angle)), 12), round(float(np.sin(angle)), 12)
    return _affine(picture, (cosine, sine, 0, -sine, cosine, 0))


def _scale(picture: Image.Image, values: Values) -> Image.Image:
    (factor,) = values
    return _affine(picture, (1 / factor, 0, 0, 0, 1 / factor, 0))


def _mirror(picture: Image.Image, values: Values) -> Image.Image:
    if values[0]:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM) if values[1] else picture


def _crop(picture: Image.Image, values: Values) -> Image.Image:
    left, top, width, height = _in_pixels(picture, values)
    box = (left, top, min(picture.width, left + width), min(picture.height, top + height))
    if box[2] - box[0] < 1 or box[3] - box[1] < 1:
        raise BadRequest("Crop: nothing of the picture is left.")
    return picture.resize(picture.size, Image.Resampling.BILINEAR, box)


def _occlude(picture: Image.Image, values: Values) -> Image.Image:
    left, top, width, height = _in_pixels(picture, values)
    covered = picture.copy()
    box = tuple(round(edge) for edge in (left, top, left + width, top + height))
    covered.paste(_cover(picture), box)
    return covered


def _brush(picture: Image.Image, values: Values) -> Image.Image:
    radius = values[0] / 100 * max(picture.size)
    points = [
        (x / 100 * picture.width, y / 100 * picture.height) for x, y in zip(values[1::2], values[2::2], strict=True)
    ]
    covered = picture.copy()
    pen = ImageDraw.Draw(covered)
    if len(points) > 1:
        pen.line(points, fill=_cover(picture), width=max(1, round(2 * radius)), joint="curve")
    for x, y in points:
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_cover(picture))
    return covered


def _blur(picture: Image.Image, values: Values) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(values[0]))


def _brightness(picture: Image.Image, values: Values) -> Image.Image:
    added, contrast = values
    levels = (np.arange(256) - 127.5) * contrast + 127.5 + added
    return picture.point(np.clip(np.rint(levels), 0, 255).astype(int).tolist() * len(picture.getbands()))


def _noise(picture: Image.Image, values: Values) -> Image.Image:
    deviation, seed = values
    pixels = np.asarray(picture, np.float64)
    noise = np.random.default_rng(int(seed)).normal(0, deviation, pixels.shape)
    return Image.fromarray(np.clip(np.rint(pixels + noise), 0, 255).astype(np.uint8))


def _in_pixels(picture: Image.Image, values: Values) -> tuple[float, float, float, float]:
    """(left, top, width, height) in per cent of the picture, as pixels."""
    left, top, width, height = values
    return (
        left / 100 * picture.width,
        top / 100 * picture.height,
        width / 100 * picture.width,
        height / 100 * picture.height,
    )


def _cover(picture: Image.Image) -> Any:
    return COVER if picture.mode == "L" else (COVER,) * 3


def _box(default: tuple[float, float, float, float]) -> tuple[Number, ...]:
    names = (("left", 0), ("top", 0), ("width", 0), ("height", 0))
    return tuple(Number(name, low, 100, value, "%") for (name, low), value in zip(names, default, strict=True))


_LEVELS = "levels"

CHANGES: Mapping[str, Change] = {
    change.name: change
    for change in (
        Change(
            "shift", "Shift", "Moved; what comes in is black.",
            (Number("right", -512, 512, 0, "px"), Number("down", -512, 512, 0, "px")), _shift,
        ),
        Change("rotate", "Rotate", "Turned clockwise around the centre.", (Number("angle", -180, 180, 0, "°"),), _rotate),
        Change("scale", "Scale", "Enlarged or reduced around the centre.", (Number("factor", 0.1, 10, 1, "×"),), _scale),
        Change(
            "mirror", "Mirror", "Left and right exchanged, or top and bottom.",
            (Number("left-right", 0, 1, 1), Number("top-bottom", 0, 1, 0)), _mirror,
        ),
        Change("crop", "Crop", "A part of the picture, enlarged to its size.", _box((0, 0, 100, 100)), _crop),
        Change("occlude", "Occlude", "A rectangle covered with grey.", _box((25, 25, 50, 50)), _occlude),
        Change(
            "brush", "Brush", "A stroke of grey: its radius and its points.",
            (Number("radius", 0.5, 50, 5, "%"),), _brush, is_stroke=True,
        ),
        Change("blur", "Blur", "Gaussian blur.", (Number("deviation", 0, 64, 0, "px"),), _blur),
        Change(
            "brightness", "Brightness", "Grey levels added, and contrast around the middle grey.",
            (Number("added", -255, 255, 0, _LEVELS), Number("contrast", 0, 8, 1, "×")), _brightness,
        ),
        Change(
            "noise", "Noise", "Gaussian noise of a seed, added to each pixel.",
            (Number("deviation", 0, 255, 0, _LEVELS), Number("seed", 0, 9999, 0)), _noise,
        ),
    )
}  # fmt: skip


def as_json() -> list[dict[str, Any]]:
    """All that pages say about the changes."""
    return [
        {
            "name": change.name,
            "title": change.title,
            "help": change.help,
            "numbers": [vars(number) for number in change.numbers],
            "is_stroke": change.is_stroke,
        }
        for change in CHANGES.values()
    ]
