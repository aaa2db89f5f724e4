"""Arrays of numbers as pictures: which range stands for black to white, found from the values and said.

Pictures are uint8 everywhere else. Integers in 0..255 are kept as they are. Everything else is read as
``(value - black) * 255 / (white - black)``, rounded to the nearest of 256 levels, and a sentence says so wherever that is
a reading and not just a conversion. Where the values do not tell what black and white were, the array is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from mloscope.adaptors.interface import Unreadable

BLOCK_VALUES = 1 << 22
LARGEST_OVERSHOOT = 0.3
"""How far resizing with a bicubic or Lanczos filter may leave the range, as a part of it."""
MOST_OVERSHOOTING = 0.4
"""The part of all values that may lie outside; more are no overshoot but another range, as after subtracting a mean."""
DARK = 32
_EXPECTED = "pixels lie in 0..255, or as floats in 0..1 or -1..1"


@dataclass(frozen=True)
class _Range:
    """What black and white are in an array."""

    black: float
    white: float
    note: str = ""
    """What the user should know about this reading, without the array's name."""


_BYTES = _Range(0, 255)


@dataclass(frozen=True)
class Original:
    """An array whose values are not all among the 256 levels of a picture, as it is in the file."""

    array: np.ndarray
    """(image, row, column, channel)."""
    black: float
    white: float

    def block(self, start: int, stop: int) -> np.ndarray:
        """float32 (image, row, column, channel), on the scale of pixels, neither rounded nor cut off."""
        values = np.asarray(self.array[start:stop], np.float64)
        return ((values - self.black) * (255 / (self.white - self.black))).astype(np.float32)


@dataclass
class Pictures:
    """The arrays of a file as pictures, by name."""

    pixels: dict[str, np.ndarray] = field(default_factory=dict)
    """uint8 (image, row, column, channel)."""
    originals: dict[str, Original] = field(default_factory=dict)
    """Of those arrays whose values changed by being rounded or cut off."""
    notes: list[str] = field(default_factory=list)
    """Sentences about how their values were read."""


def read_pictures(arrays: Mapping[str, np.ndarray], where: str) -> Pictures:
    """The arrays as pictures.

    ``where`` names the file. The arrays belong together: only where none of them holds a whole number above 1 are they
    taken for black and white. Raises Unreadable.
    """
    read = Pictures()
    notes = read.notes
    laid_out = {name: _axes(array, f"{where}: {name}", notes) for name, array in arrays.items()}
    is_binary = _is_binary([array for array in laid_out.values() if array.dtype.kind in "ui"])
    ranges = {}
    for name, array in laid_out.items():
        what = f"{where}: {name}"
        ranges[name] = chosen = _range(array, what, is_binary)
        read.pixels[name], remark = _converted(array, chosen, what)
        if remark:
            read.originals[name] = Original(array, chosen.black, chosen.white)
        remarks = [text for text in (chosen.note, remark) if text]
        if remarks:
            notes.append(f"{what} {'; '.join(remarks)}.")
    if len({(each.black, each.white) for each in ranges.values()}) > 1:
        spans = ", ".join(f"{name} from {each.black:g} to {each.white:g}" for name, each in ranges.items())
        notes.append(f"{where}: the arrays have different ranges of values, and each is read by its own: {spans}.")
    return read


def _axes(array: np.ndarray, what: str, notes: list[str]) -> np.ndarray:
    """(image, row, column, channel)."""
    given = f"{what} is {array.dtype} {array.shape}"
    if array.ndim == 3:
        if array.shape[-1] in (1, 3) and len(array) > 1:
            notes.append(f"{given}: read as {len(array)} grey pictures of {array.shape[1]} × {array.shape[2]} pixels.")
        array = array[..., np.newaxis]
    elif array.ndim == 4 and array.shape[1] in (1, 3):
        if array.shape[-1] not in (1, 3):
            array = array.transpose(0, 2, 3, 1)
        elif array.shape[1:] != (1, 1, 1):
            notes.append(f"{given}: the last axis is read as channels.")
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or array.dtype.kind not in "buif":
        raise Unreadable(f"{given}; pictures should be numbers of (image, row, column[, 1 or 3 channels]).")
    return array


def _blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    count = max(1, BLOCK_VALUES // max(1, int(np.prod(array.shape[1:]))))
    return (array[start : start + count] for start in range(0, len(array), count))


def _is_binary(arrays: list[np.ndarray]) -> bool:
    """Whether 0 and 1 are all that occurs, and 1 does. Stops at the first other value."""
    highest = 0
    for array in arrays:
        for block in _blocks(array):
            if block.size and (block.min() < 0 or block.max() > 1):
                return False
            highest = max(highest, int(block.max(initial=0)))
    return highest == 1


def _range(array: np.ndarray, what: str, is_binary: bool) -> _Range:
    if array.dtype.kind == "b":
        return _Range(0, 1, "is of truth values, shown as black and white (0 and 255)")
    if array.dtype.kind in "ui" and is_binary:
        note = f"holds only 0 and 1 ({array.dtype}), shown as black and white (0 and 255)"
        return _Range(0, 1, f"{note}; a scale that is set must count from 255")
    if array.dtype == np.uint8:
        return _BYTES
    low, high = _extremes(array, what)
    return (_range_of_floats if array.dtype.kind == "f" else _range_of_integers)(array, low, high, what)


def _extremes(array: np.ndarray, what: str) -> tuple[float, float]:
    if not array.size:
        return 0.0, 0.0
    lowest, highest, unusable = [], [], 0
    for block in _blocks(array):
        low, high = float(block.min()), float(block.max())
        if not np.isfinite(low + high):
            unusable += int(block.size - np.isfinite(block).sum())
            continue
        lowest.append(low)
        highest.append(high)
    if unusable:
        raise Unreadable(f"{what} has {unusable:,} values that are not finite numbers (NaN or infinite).")
    return min(lowest), max(highest)


def _range_of_integers(array: np.ndarray, low: float, high: float, what: str) -> _Range:
    if low >= 0 and high <= 255:
        return _Range(0, 255, _darkness(high))
    if array.dtype == np.int8:
        return _Range(-128, 127, "is of int8: -128 is read as black and 127 as white")
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return _Range(0, 65535, f"is of 16 bits and runs to {high:.0f}: 65535 is read as white")
    raise Unreadable(f"{what} runs from {low:.0f} to {high:.0f}; {_EXPECTED}.")


def _range_of_floats(array: np.ndarray, low: float, high: float, what: str) -> _Range:
    runs = f"runs from {low:.7g} to {high:.7g}"
    room = LARGEST_OVERSHOOT
    if low >= 0 and high <= 1:
        return _Range(0, 1, f"has the value {low:g} everywhere, read as one in 0..1" if low == high != 0 else "")
    if -room <= low and high <= 1 + room:
        return _Range(0, 1, f"{runs}: read as 0..1")
    if -1 - 2 * room <= low <= -0.95 and high <= 1 + 2 * room:
        note = f"{runs}: -1 is read as black and 1 as white"
        return _Range(-1, 1, f"{note}, so a network trained on these values wants the scale 1/127.5 and the mean 1")
    are_pixels = high > 16 or all(np.array_equal(block, np.rint(block)) for block in _blocks(array))
    if low >= 0 and high <= 255 and are_pixels:
        return _Range(0, 255, _darkness(high))
    if -255 * room <= low and 16 < high <= 255 * (1 + room):
        return _Range(0, 255, f"{runs}: read as 0..255")
    raise Unreadable(f"{what} {runs}; {_EXPECTED}. {_advice(low)}")


def _advice(low: float) -> str:
    if low < 0:
        return (
            "Values like these are left by subtracting a mean or dividing by a deviation, which cannot be undone from them: "
            "save the pixels as they were before, and set that mean and scale as preprocessing."
        )
    return "Save the pixels as they were before they were scaled, and set the scale as preprocessing."


def _darkness(high: float) -> str:
    if not 0 < high <= DARK:
        return ""
    return (
        f"has no value above {high:g}: kept as it is, of 255, so pictures look dark; a network trained on values "
        f"divided by {high:g} wants the scale 1/{high:g}"
    )


def _converted(array: np.ndarray, chosen: _Range, what: str) -> tuple[np.ndarray, str]:
    """uint8, and a remark where values changed by the rounding or were cut off."""
    if array.dtype == np.uint8 and chosen is _BYTES:
        return array, ""
    result = np.empty(array.shape, np.uint8)
    outside, largest, done = 0, 0.0, 0
    factor = 255 / (chosen.white - chosen.black)
    is_float = array.dtype.kind == "f"
    for block in _blocks(array):
        values = (block.astype(np.float64 if block.dtype.itemsize > 4 else np.float32) - chosen.black) * factor
        whole = np.clip(np.rint(values), 0, 255)
        difference = np.abs(values - whole)
        is_outside = (values < -0.5) | (values > 255.5)
        outside += int(is_outside.sum())
        largest = max(largest, float(difference[~is_outside].max(initial=0)))
        result[done : done + len(block)] = whole
        done += len(block)
    if outside > MOST_OVERSHOOTING * array.size:
        raise Unreadable(
            f"{what} has {outside / array.size:.0%} of its values outside {chosen.black:g}..{chosen.white:g}; {_EXPECTED}. "
            f"{_advice(-1)}"
        )
    precision = 255 * float(np.finfo(array.dtype).eps) + 0.002 if is_float else 0.002
    remarks = [f"{outside:,} of {array.size:,} values are shown cut off"] if outside else []
    if largest > precision:
        remarks.append("values lie between the 256 levels of a picture and are shown rounded to the nearest")
    return result, "; ".join(remarks)
