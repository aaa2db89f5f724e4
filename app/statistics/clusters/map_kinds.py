"""The kinds of map that all images can lie on: the table. Another kind is one more line of :data:`MAP_KINDS`.

What computes a map is imported when it is computed; the web process only reads this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mloscope.components.numbers import grouped, percent

if TYPE_CHECKING:
    import numpy as np

    from mloscope.app.statistics.stored.step_statistics import StepStatistics

MOST_NEIGHBOURS = 2000
"""Images on a map by t-SNE; of larger splits so many, evenly spaced. The time grows faster than their number."""
_FIRST_STEP_S, _LATER_STEP_S = 0.005, 0.002


@dataclass(frozen=True)
class Placement:
    """Where the images of a run's steps lie."""

    steps: Iterator[np.ndarray]
    """For each step float32 (image, 2); NaN for an image without a place. All steps share one pair of axes."""
    facts: Mapping[str, Any]
    """What the map's note needs, JSON-able."""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Kept beside the map."""


@dataclass(frozen=True)
class MapKind:
    name: str
    """In addresses and on the command line."""
    label: str
    key: tuple[str, ...]
    """Begins the key of its maps; its last word changes whenever the same statistics give other places."""
    note: Callable[[Mapping[str, Any]], str]
    """The sentences that stand under a map: how it was made, and what it means and does not mean. Given its facts."""
    placed: Callable[[Sequence[StepStatistics]], Placement]
    expected_s: Callable[[int, int], float] | None = None
    """About how long a map of so many images at so many steps takes. Such a map is computed only where somebody asks for it;
    None: quick, and computed with the clusters."""

    @property
    def is_asked_for(self) -> bool:
        return self.expected_s is not None


def _principal(steps: Sequence[StepStatistics]) -> Placement:
    from mloscope.app.statistics.clusters.principal_map import placed

    return placed(steps)


def _principal_note(facts: Mapping[str, Any]) -> str:
    first, second = map(percent, facts["explained"])
    return f"PCA of class probabilities, fitted over all steps. x explains {first} of the variance, y {second}."


def _neighbours(steps: Sequence[StepStatistics]) -> Placement:
    from mloscope.app.statistics.clusters.neighbour_map import placed

    return placed(steps)


def _neighbours_note(facts: Mapping[str, Any]) -> str:
    placed, images = facts["placed"], facts["images"]
    which = f"{grouped(images)} images"
    if placed < images:
        which = f"{grouped(placed)} of {which}, evenly spaced"
    return (
        f"t-SNE of class probabilities of {which}; each step begins where the one before ended. Neighbours have similar "
        "probabilities; axes, sizes of groups and distances between groups mean nothing."
    )


def _neighbours_s(images: int, steps: int) -> float:
    placed = min(images, MOST_NEIGHBOURS)  # measured: so many seconds per image on one core
    return placed * (_FIRST_STEP_S + _LATER_STEP_S * (steps - 1))


PCA = MapKind("pca", "PCA", ("map",), _principal_note, _principal)
TSNE = MapKind("tsne", "t-SNE", ("map", "tsne", "1"), _neighbours_note, _neighbours, _neighbours_s)
MAP_KINDS: Mapping[str, MapKind] = {kind.name: kind for kind in (PCA, TSNE)}
