"""Top patches by looking at everything."""

from __future__ import annotations

import numpy as np

from mloscope.app.statistics.patches.search import TopPatches

COUNT = 9


def by_brute_force(maps: np.ndarray, count: int = COUNT) -> list[list[tuple[int, int, int, float]]]:
    """Of each unit: image, row, column, value of the best, each image at its first strongest place."""
    maps = maps.reshape(len(maps), 1, 1, -1) if maps.ndim == 2 else maps
    found = []
    for unit in range(maps.shape[-1]):
        best = []
        for image, values in enumerate(maps[..., unit]):
            if np.isfinite(values).all():
                row, column = np.unravel_index(values.argmax(), values.shape)
                best.append((-float(values.max()), image, int(row), int(column)))
        found.append([(image, row, column, -value) for value, image, row, column in sorted(best)[:count]])
    return found


def listed(found: TopPatches) -> list[list[tuple[int, int, int, float]]]:
    return [
        [
            (image, *place, value)
            for image, place, value in zip(images.tolist(), places.tolist(), values.tolist(), strict=True)
            if image >= 0
        ]
        for images, places, values in zip(found.images, found.places, found.values, strict=True)
    ]
