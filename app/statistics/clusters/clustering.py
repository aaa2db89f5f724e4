"""Clusters of images by their class probabilities over a whole run: the same clusters from one step to the next.

    statistics of the steps ──► kmeans, step after step ──► clusters/<key>/ ──► image_map ──► the run's latest Clustering

Everything is the same to the last bit for the same statistics, k and seed, with any number of processors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.app.errors import Conflict
from mloscope.app.statistics.clusters.image_map import Stopped, map_key, map_run
from mloscope.app.statistics.clusters.kmeans import FoundClusters, check_k, cluster_step, flows, states
from mloscope.app.statistics.clusters.map_kinds import MAP_KINDS
from mloscope.app.statistics.clusters.points import points_of
from mloscope.app.statistics.clusters.store import (
    CODE_VERSION,
    MAJORITY,
    Clustering,
    StepClusters,
    digest,
    record_clustering,
)
from mloscope.app.statistics.stored.files import read_complete, save_array
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore

MOST_CLUSTERS = 30
"""As in the report's prototype."""
CLUSTERS_PER_CLASS = 2


def default_clusters(classes: int) -> int:
    """The default number of clusters: two per class, so that there is room for confusions beside the classes, at most
    MOST_CLUSTERS and at least 2. Ten classes get 20; fifteen and more get 30."""
    return max(2, min(MOST_CLUSTERS, CLUSTERS_PER_CLASS * classes))


def cluster_run(
    store: StatisticsStore,
    series: str,
    steps: Sequence[tuple[int, StepStatistics]],
    k: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    maps: Collection[str] = (),
) -> Clustering | None:
    """Cluster every step of a run over one split, put its images on maps, and record both as the run's latest.

    ``steps``: (step, its statistics), one or more, of the same images and classes. ``k``: default
    :func:`default_clusters`. ``series``: what the clustering is found by, see
    :meth:`mloscope.app.statistics.identity.Identity.series`. ``maps``: names of the kinds of :data:`.map_kinds.MAP_KINDS`
    to compute beside those that always are. What an earlier call left complete in the store is reused:
    that call was killed, or steps were added at the end. A step added between others changes all that follow.
    ``progress(done, of)`` is called after each piece of work, ``stop()`` before each: if it returns True, finished work
    is kept and None is returned.

    Raises :class:`Conflict` for steps that do not belong together, ValueError for no steps or a k outside 1..32,767.
    """
    steps = sorted(steps, key=lambda item: item[0])
    _check_same_images(steps)
    k = default_clusters(steps[0][1].classes) if k is None else k
    check_k(k)
    wanted = [kind for kind in MAP_KINDS.values() if not kind.is_asked_for or kind.name in maps]
    of = len(steps) * (1 + len(wanted))
    keys: dict[int, str] = {}
    before: StepClusters | None = None
    for done, (number, step) in enumerate(steps, start=1):
        if stop is not None and stop():
            return None
        before = _step_in_store(store, step, k, seed, before)
        keys[number] = before.key
        if progress is not None:
            progress(done, of)
    planes = [step for _, step in steps]
    for number, kind in enumerate(wanted, start=1):
        if stop is not None and stop():
            return None
        try:
            map_run(store, kind, planes, _went_on(len(steps) * number, of, progress, stop))
        except Stopped:
            return None
    found = {name: map_key(kind, planes) for name, kind in MAP_KINDS.items()}
    made = {name: key for name, key in found.items() if read_complete(store.folder / "projections" / key) is not None}
    clustering = Clustering(store, k, seed, {number: step.key for number, step in steps}, keys, made)
    record_clustering(store, series, clustering)
    if progress is not None:
        progress(of, of)
    return clustering


def _went_on(
    done: int, of: int, progress: Callable[[int, int], None] | None, stop: Callable[[], bool] | None
) -> Callable[[], None]:
    """What is called after each step of a map: it counts on from ``done``."""

    def went_on() -> None:
        nonlocal done
        done += 1
        if progress is not None and done < of:
            progress(done, of)
        if stop is not None and done < of and stop():
            raise Stopped

    return went_on


def _check_same_images(steps: Sequence[tuple[int, StepStatistics]]) -> None:
    if not steps:
        raise ValueError("no steps to cluster")
    first_number, first = steps[0]
    for number, step in steps:
        if (step.images, step.classes) != (first.images, first.classes):
            raise Conflict(
                f"Step {number} has statistics of {step.images} images and {step.classes} classes, step {first_number} of "
                f"{first.images} and {first.classes}; clusters need the same images and classes at every step."
            )


def _step_in_store(
    store: StatisticsStore, step: StepStatistics, k: int, seed: int, before: StepClusters | None
) -> StepClusters:
    key = digest("step", before.key if before is not None else None, step.key, k, seed)
    folder = store.folder / "clusters" / key
    about = read_complete(folder)
    if about is None:
        earlier = _found_before(before) if before is not None else None

        def fill(made: Path) -> dict[str, Any]:
            found = cluster_step(points_of(step), np.asarray(step.predicted) >= 0, k, seed, earlier)
            moved = flows(earlier.assignment, found.assignment) if earlier is not None else np.empty((0, 3), np.int64)
            for name, array in (
                ("assignment", found.assignment),
                ("distance", found.distance),
                ("order", _nearest_first(found)),
                ("centres", found.centres),
                ("flows", moved),
            ):
                save_array(made / f"{name}.npy", array)
            return _about(found, earlier, step, seed, before.key if before is not None else None)

        folder = store.publish("clusters", key, fill)
        about = read_complete(folder)
        if about is None:
            raise Conflict(f"The clusters in {folder} were removed at the moment they were made; start again.")
    return StepClusters(folder, about)


def _found_before(stored: StepClusters) -> FoundClusters:
    arrays = (np.asarray(stored.assignment), np.asarray(stored.distance), np.asarray(stored.centres))
    return FoundClusters(*arrays, stored.about["inertia"], stored.about["refit"])


def _nearest_first(found: FoundClusters) -> np.ndarray:
    positions = np.flatnonzero(found.assignment >= 0).astype(np.int32)
    return positions[np.lexsort((positions, found.distance[positions], found.assignment[positions]))]


def _about(
    found: FoundClusters, earlier: FoundClusters | None, step: StepStatistics, seed: int, before: str | None
) -> dict[str, Any]:
    words, born, died = states(found, earlier)
    purity, majority = [], []
    for counts in _class_counts(found.assignment, np.asarray(step.actual), found.k, step.classes):
        most = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
        labelled = sum(count for _, count in most)
        purity.append(most[0][1] / labelled if labelled else None)
        majority.append([list(pair) for pair in most[:MAJORITY]])
    return {
        "version": CODE_VERSION,
        "k": found.k,
        "seed": seed,
        "plane": step.key,
        "before": before,
        "sizes": found.sizes.tolist(),
        "states": words,
        "born": born,
        "died": died,
        "purity": purity,
        "majority": majority,
        "inertia": found.inertia,
        "refit": found.refit,
    }


def _class_counts(assignment: np.ndarray, actual: np.ndarray, k: int, classes: int) -> list[list[tuple[int, int]]]:
    """For each cluster the true classes of its images and how many images each has; images without a label left out."""
    known = (assignment >= 0) & (actual >= 0)
    numbers, counts = np.unique(assignment[known].astype(np.int64) * classes + actual[known], return_counts=True)
    found: list[list[tuple[int, int]]] = [[] for _ in range(k)]
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        found[number // classes].append((number % classes, count))
    return found
