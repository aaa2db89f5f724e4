"""Tiles of values as a PNG picture, with the colours that its address asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import Depends, Query
from fastapi.responses import Response

from mloscope.app.errors import BadRequest
from mloscope.app.images import pictures
from mloscope.app.runs.tiles import joint_range, ranges
from mloscope.app.web.rest.answers import answer

Zoom = Annotated[int, Query(description="Pixels per value, 1 to 32.")]


@dataclass(frozen=True)
class ColourScale:
    low: float | None
    """None: the least value of the layer."""
    high: float | None
    table: str | None
    """None: as the kind of values has it."""

    def ends(self, tiles: np.ndarray, symmetric: bool) -> tuple[float, float]:
        """Return the values of the two ends: as asked, else of all ``tiles``, ``symmetric`` about zero."""
        low, high = joint_range(ranges(tiles)).tolist()
        if low != low:
            low = high = 0.0
        if symmetric and self.low is None and self.high is None:
            reach = max(abs(low), abs(high))
            low, high = -reach, reach
        low = low if self.low is None else self.low
        high = high if self.high is None else self.high
        if not np.isfinite([low, high]).all() or low > high:
            raise BadRequest(f"The range goes from low = {low:g} to high = {high:g}; low must not be above high.")
        return low, high


async def colour_scale(
    low: Annotated[
        float | None, Query(description="Value of the colour table's lower end; default: by the layer.")
    ] = None,
    high: Annotated[
        float | None, Query(description="Value of the colour table's upper end; default: by the layer.")
    ] = None,
    colour: Annotated[str | None, Query(description=f"Colour table: {', '.join(pictures.COLOUR_TABLES)}.")] = None,
) -> ColourScale:
    return ColourScale(low, high, colour)


AskedColours = Annotated[ColourScale, Depends(colour_scale)]


def picture_answer(
    shown: np.ndarray, ends: tuple[float, float], table: str, zoom: int, etag: str | None = None
) -> Response:
    """Return the PNG; its header X-Mloscope-Range has the two ends."""
    png = pictures.draw(shown, *ends, table, zoom)
    return answer(png, "image/png", etag, **{"X-Mloscope-Range": f"{ends[0]!r},{ends[1]!r}"})
