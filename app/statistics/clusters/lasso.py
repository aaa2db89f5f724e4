"""A closed line drawn around images on the map of a step, as addresses hold it, and what lies within it.

200:0,0;999,0;500,999      the step; then at least three corners, x and y from 0 (left, below) to 999
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

import numpy as np

from mloscope.app.errors import BadRequest

MOST_CORNERS = 100
"""As many as a page writes; each is compared with every image."""


BORDER = 32766.5
"""Just within the last code of the map; as in assets/clusters/points.mjs."""


@dataclass(frozen=True)
class Lasso:
    step: int
    corners: tuple[tuple[int, int], ...]
    """x and y from 0 to 999, in the order in which they were drawn."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the line that the text of an address means. Raises :class:`BadRequest`."""
        found = re.fullmatch(r"([0-9]{1,15}):([0-9]{1,3},[0-9]{1,3}(?:;[0-9]{1,3},[0-9]{1,3}){2,})", text)
        if found is None:
            raise BadRequest(
                f'lasso = {text}: it must be a step and at least three corners from 0 to 999, such as "200:0,0;999,0;500,999".'
            )
        corners = [tuple(map(int, corner.split(","))) for corner in found[2].split(";")]
        if len(corners) > MOST_CORNERS:
            raise BadRequest(f"A lasso may have at most {MOST_CORNERS} corners, got {len(corners)}.")
        return cls(int(found[1]), tuple((x, y) for x, y in corners))

    def contains(self, codes: np.ndarray) -> np.ndarray:
        """Return for each place, int16 (image, 2) as :meth:`Clustering.coordinates` gives it, whether it lies within: bool
        (image,). That is so where the number of edges to its right is odd: never for NO_COORDINATE, left of all corners.
        What lies on the map's own right or upper border lies within a line along it."""
        x, y = np.minimum(codes.astype(np.float64), BORDER).T
        corners = np.array(self.corners, np.float64) / 999 * 65534 - 32767
        within = np.zeros(len(codes), bool)
        for (ax, ay), (bx, by) in zip(corners.tolist(), np.roll(corners, 1, axis=0).tolist(), strict=True):
            if ay != by:
                within ^= ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
        return within
