"""Which units and channels a film shows: those asked for, else all, or the first of many."""

from __future__ import annotations

from mloscope.app.errors import NotFound
from mloscope.app.films.kinds import FilmQuestion

TILES_SHOWN = 256
"""Up to this many tiles, all are shown where no units are given; beyond, the first :data:`FIRST_UNITS` and so on."""
FIRST_UNITS = 32
FIRST_CHANNELS = 16
FIRST_VECTORS = 64
"""The page of units that the browser turns to where each is a vector."""


def selection(question: FilmQuestion, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The units and channels to show. Raises :class:`NotFound` for one that the layer does not have."""
    unit_total, channel_total = shape[:2]
    for numbers, total, what in (
        (question.units, unit_total, "units"),
        (question.channels, channel_total, "channels"),
    ):
        wrong = next((number for number in numbers or () if not 0 <= number < total), None)
        if wrong is not None:
            raise NotFound(
                f'The layer "{question.layer.name}" has the {what} 0 to {total - 1}; {wrong} is not one of them.'
            )
    units, channels = question.units, question.channels
    if units is None:
        shown = len(channels) if channels is not None else channel_total
        units = tuple(range(unit_total if unit_total * shown <= TILES_SHOWN else min(unit_total, FIRST_UNITS)))
        if channels is None and len(units) == unit_total and unit_total * channel_total <= TILES_SHOWN:
            channels = tuple(range(channel_total))
    if channels is None:
        many = len(units) * channel_total > TILES_SHOWN
        channels = tuple(range(min(channel_total, FIRST_CHANNELS) if many else channel_total))
    return units, channels
