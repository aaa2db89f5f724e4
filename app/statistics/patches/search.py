"""The strongest places of every unit over many images: one place per image, the k images with the highest values.

    maps, batch by batch ──► PatchSearch ──► TopPatches of a slice ──► joined ──► TopPatches of all images

Ties go to the lowest image number, then to the lowest row and column, so that the result does not depend on how images were
cut into batches and slices. Values that are not finite do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TopPatches:
    """Of each unit of one layer, over some images. What there are not enough images for is -1, and NaN as a value."""

    images: np.ndarray
    """int32 (unit, k): numbers of the images within the split, the highest value first."""
    places: np.ndarray
    """int32 (unit, k, 2): row and column in the layer's map; 0, 0 for a layer without a map."""
    values: np.ndarray
    """float32 (unit, k): what the unit makes of the image there."""
    counted: np.ndarray
    """int32 (unit,): images for which all of the unit's values are finite."""
    excited: np.ndarray
    """int32 (unit,): those of them that drive the unit above 0 somewhere."""
    total: np.ndarray
    """float64 (unit,): sum over these images of the mean over the map."""

    @property
    def mean(self) -> np.ndarray:
        """float64 (unit,): mean activation over images and places; NaN where no image counted."""
        return np.where(self.counted > 0, self.total / np.maximum(self.counted, 1), np.nan)

    @property
    def is_dead(self) -> np.ndarray:
        """bool (unit,): images were counted, and none of them drives the unit above 0."""
        return (self.counted > 0) & (self.excited == 0)


FIELDS = ("images", "places", "values", "counted", "excited", "total")
"""The arrays of :class:`TopPatches`, in the order of its arguments."""


def joined(parts: Sequence[TopPatches]) -> TopPatches:
    """Of all images together; ``parts`` in the order of images, no image in two of them."""
    count = parts[0].images.shape[1]
    units = np.concatenate([_unit_numbers(part.images) for part in parts])
    flat = [np.concatenate([getattr(part, name).reshape(-1, *rest) for part in parts]) for name, rest in _PER_PATCH]
    images, places, values = _best(units, *flat, len(parts[0].counted), count)
    counts = (sum((getattr(part, name) for part in parts[1:]), getattr(parts[0], name)) for name in FIELDS[3:])
    return TopPatches(images, places, values, *counts)


_PER_PATCH: tuple[tuple[str, tuple[int, ...]], ...] = (("images", ()), ("places", (2,)), ("values", ()))


class PatchSearch:
    """Sees the maps of consecutive images batch by batch, and remembers what is best of each layer."""

    def __init__(self, layers: Sequence[str], count: int, first_image: int = 0) -> None:
        """``count``: images per unit. ``first_image``: the number of the first image that will be seen."""
        self.layers = tuple(layers)
        self._count, self._next = count, first_image
        self._found: dict[str, TopPatches] = {}

    def see(self, maps: Mapping[str, np.ndarray], usable: np.ndarray) -> None:
        """``maps``: by layer, float32 (image, row, column, unit) or (image, unit). ``usable``: bool (image,), False for those
        that could not be read."""
        for layer in self.layers:
            found = self._of_batch(maps[layer], usable, self._found.get(layer))
            self._found[layer] = found
        self._next += len(usable)

    def found(self) -> dict[str, TopPatches]:
        """By layer."""
        return {layer: self._found[layer] for layer in self.layers}

    def _of_batch(self, maps: np.ndarray, usable: np.ndarray, before: TopPatches | None) -> TopPatches:
        columns = maps.shape[2] if maps.ndim == 4 else 1
        flat = maps.reshape(len(maps), -1, maps.shape[-1])
        best, means = flat.max(axis=1), flat.mean(axis=1)  # a value that is not finite makes the mean so
        counts = np.isfinite(best) & np.isfinite(means) & usable[:, np.newaxis]
        best = np.where(counts, best, -np.inf)
        images, units = np.nonzero(self._could_be_among_the_best(best, before))
        places = flat[images, :, units].argmax(axis=1)
        here = TopPatches(
            *_best(
                units, (images + self._next).astype(np.int32), np.stack(divmod(places, columns), axis=1).astype(np.int32),
                best[images, units], best.shape[1], self._count,
            ),
            counts.sum(axis=0, dtype=np.int32),
            (best > 0).sum(axis=0, dtype=np.int32),
            np.where(counts, means, 0).sum(axis=0, dtype=np.float64),
        )  # fmt: skip
        return here if before is None else joined([before, here])

    def _could_be_among_the_best(self, best: np.ndarray, before: TopPatches | None) -> np.ndarray:
        """bool (image, unit): values among the highest of the batch and above the lowest that is kept so far; of equal ones
        the earlier image stays."""
        likely = best > -np.inf
        if len(best) > self._count:
            least = np.partition(best, len(best) - self._count, axis=0)[-self._count]
            ties = best == least
            likely &= (best > least) | (ties & (np.cumsum(ties, axis=0) <= self._count))
        if before is not None:
            lowest = before.values[:, -1]
            likely &= best > np.where(np.isnan(lowest), -np.inf, lowest)
        return likely


def _unit_numbers(images: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(images)), images.shape[1])


def _best(
    units: np.ndarray, images: np.ndarray, places: np.ndarray, values: np.ndarray, unit_count: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, places and values of the ``count`` best of each unit, out of any number of patches, (patch,) each."""
    there = images >= 0
    units, images, places, values = units[there], images[there], places[there], values[there]
    order = np.lexsort((images, -values, units))
    units = units[order]
    rank = np.arange(len(units)) - np.searchsorted(units, units)
    kept = rank < count
    at = (units[kept], rank[kept])
    result = (
        np.full((unit_count, count), -1, np.int32),
        np.zeros((unit_count, count, 2), np.int32),
        np.full((unit_count, count), np.nan, np.float32),
    )
    for made, given in zip(result, (images, places, values), strict=True):
        made[at] = given[order][kept]
    return result
