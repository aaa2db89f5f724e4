"""The maps of all images: places of every step in one range, as :mod:`.map_kinds` places them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.app.statistics.clusters.map_kinds import MapKind
from mloscope.app.statistics.clusters.store import CODE_VERSION, NO_COORDINATE, digest
from mloscope.app.statistics.stored.files import save_array
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore


class Stopped(Exception):
    """Raised between two steps of a map that is not wanted any more."""


def map_key(kind: MapKind, steps: Sequence[StepStatistics]) -> str:
    """Return the key of the map of all these steps."""
    return digest(*kind.key, *(step.key for step in steps))


def map_run(
    store: StatisticsStore,
    kind: MapKind,
    steps: Sequence[StepStatistics],
    went_on: Callable[[], None] = lambda: None,
) -> str:
    """Compute the map of all these steps, unless the store has it; its key. See :meth:`Clustering.coordinates`.

    ``went_on()`` is called after each step; what it raises ends the computation, and nothing of the map is kept."""
    key = map_key(kind, steps)

    def fill(made: Path) -> dict[str, Any]:
        low, high = np.full(2, np.inf), np.full(2, -np.inf)
        placement = kind.placed(steps)
        for number, found in enumerate(placement.steps):
            chosen = ~np.isnan(found).any(axis=1)
            if chosen.any():
                low, high = np.minimum(low, found[chosen].min(axis=0)), np.maximum(high, found[chosen].max(axis=0))
            save_array(made / f"codes-{number}.npy", found)
            went_on()
        low, high = np.where(low <= high, low, 0.0), np.where(low <= high, high, 1.0)
        high = np.where(high > low, high, low + 1.0)
        for number in range(len(steps)):
            path = made / f"codes-{number}.npy"
            save_array(path, _codes(np.load(path), low, high))
        for name, array in placement.arrays.items():
            save_array(made / f"{name}.npy", array)
        return {
            "version": CODE_VERSION,
            "planes": [step.key for step in steps],
            "x": [float(low[0]), float(high[0])],
            "y": [float(low[1]), float(high[1])],
            **placement.facts,
        }

    store.publish("projections", key, fill)
    return key


def _codes(coordinates: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """int16 of float (image, 2): -32767 at ``low``, 32767 at ``high``; NO_COORDINATE for NaN."""
    scaled = np.rint((coordinates - low) / (high - low) * 65534).clip(0, 65534) - 32767
    return np.where(np.isnan(scaled), NO_COORDINATE, scaled).astype(np.int16)
