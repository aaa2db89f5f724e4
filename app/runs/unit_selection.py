"""Selections of units as people write them: ``"0-15,40"``. The browser reads and writes the same notation (its module of the view)."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAXIMUM_UNIT = 1_000_000
"""A larger number is a typing error, not a unit; nor may a selection count more numbers than this, repeated ones included."""
LONGEST_RANGE = 100_000


def parse_units(text: str) -> tuple[int, ...]:
    """Return the numbers of a selection such as ``"0-15,40"``, in the order given, each once.

    Raises ValueError with a sentence if the text is not a selection.
    """
    units: dict[int, None] = {}
    total = 0
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        first, last = _range(part)
        total += last - first + 1
        if total > MAXIMUM_UNIT:
            raise ValueError("The selection names more than any layer has.")
        units.update(dict.fromkeys(range(first, last + 1)))
    return tuple(units)


def _range(part: str) -> tuple[int, int]:
    """Return first and last number of one part of a selection, ``"40"`` or ``"0-15"``."""
    match = re.fullmatch(r"(\d{1,7})(?:\s*-\s*(\d{1,7}))?", part)
    if match is None:
        raise ValueError(f'"{part}" is not a number or a range of numbers; "0-15,40" would be right.')
    first, last = int(match[1]), int(match[2] or match[1])
    if last < first:
        raise ValueError(f'The range "{part}" runs backwards; "{last}-{first}" would be right.')
    if last > MAXIMUM_UNIT or last - first > LONGEST_RANGE:
        raise ValueError(f'The range "{part}" is larger than any layer.')
    return first, last


def format_units(units: Sequence[int]) -> str:
    """Return the shortest selection that :func:`parse_units` reads back as ``units``, order kept."""
    parts: list[list[int]] = []
    for unit in units:
        if parts and unit == parts[-1][1] + 1:
            parts[-1][1] = unit
        else:
            parts.append([unit, unit])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
