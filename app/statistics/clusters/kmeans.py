"""K-means of the images of one step, numbered after the clusters of the step before it.

A step begins from the centres of the step before it, so that clusters keep their numbers; where a fit from scratch is
better by REFIT (the network changed so much that the old centres are a bad place to begin), that one is taken and its
clusters get the numbers of those clusters of the step before with which they share most images (the Hungarian method).
A cluster without images is empty, and has died if it had images before; a number that had none, or other ones, is born.

The result is the same to the last bit for the same points, k and seed, with any number of processors.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix, issparse
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from mloscope.app.statistics.clusters.points import BLOCK_IMAGES, Points

COLD_STARTS = 4
"""The best of this many k-means++ starts is kept for a run's first step; a later step's fit from scratch has one."""
REFIT = 0.9
"""A fit from scratch is taken if its sum of squared distances is below this share of that of the continued fit."""
SHARED = 0.1
"""A number goes on as the same cluster if it shares at least this part of the smaller of its two sets of images."""
MINI_BATCH_VALUES = 10_000_000
"""Beyond this many values, images x classes (or x 20), MiniBatchKMeans takes the place of KMeans."""
BATCH_IMAGES = 4096
MOST_K = 32767


@dataclass(frozen=True)
class FoundClusters:
    """K-means of one step."""

    assignment: np.ndarray
    """int16 (image,), -1 where the image was not predicted"""
    distance: np.ndarray
    """float32 (image,), Euclidean, to the centre of the image's cluster; NaN where it has none"""
    centres: np.ndarray
    """float32 (cluster, class): the mean of the cluster's images; for an empty one its last centre"""
    inertia: float
    """Sum of the squared distances."""
    refit: bool
    """Whether it was fitted from scratch and numbered by shared images. True for the first step."""

    @property
    def k(self) -> int:
        return len(self.centres)

    @property
    def sizes(self) -> np.ndarray:
        """int64 (cluster,)"""
        return np.bincount(self.assignment[self.assignment >= 0], minlength=self.k)


def check_k(k: int) -> None:
    """Raise ValueError unless there can be this many clusters."""
    if not 1 <= k <= MOST_K:
        raise ValueError(f"the number of clusters must be 1 to {MOST_K:,}, got {k:,}")


def cluster_step(
    points: Points,
    predicted: np.ndarray,
    k: int,
    seed: int,
    before: FoundClusters | None = None,
    mini_batch_values: int = MINI_BATCH_VALUES,
) -> FoundClusters:
    """Cluster the images of one step.

    ``points``: float32 (image, class) probabilities, dense or CSR; rows of images that were not predicted are ignored.
    ``predicted``: bool (image,). ``before``: the step before, with the same images and k. There may be fewer images,
    or fewer different ones, than clusters: the rest stay empty. Beyond ``mini_batch_values`` values MiniBatchKMeans
    is used.
    """
    check_k(k)
    chosen = np.flatnonzero(predicted)
    values = points[chosen]
    if not len(chosen):
        centres = before.centres if before is not None else np.zeros((k, values.shape[1]), np.float32)
        nothing = np.full(len(predicted), -1, np.int16), np.full(len(predicted), np.nan, np.float32)
        return FoundClusters(*nothing, centres, 0.0, refit=before is None)
    lived = before if before is not None and bool(before.sizes.any()) else None
    labels, centres, distances, refit = _best_fit(values, k, seed, lived, mini_batch_values)
    if refit:
        numbers = match(lived.assignment[chosen], labels, k) if lived is not None else _own_order(labels, centres)
        centres = _renumbered(centres, numbers)
        labels = numbers[labels]
    if before is not None:  # an empty cluster is looked for where it was last
        empty = np.bincount(labels, minlength=k) == 0
        centres[empty] = before.centres[empty]
    assignment = np.full(len(predicted), -1, np.int16)
    assignment[chosen] = labels
    distance = np.full(len(predicted), np.nan, np.float32)
    distance[chosen] = distances
    return FoundClusters(assignment, distance, centres, _inertia(distances), refit)


def _best_fit(
    values: Points, k: int, seed: int, before: FoundClusters | None, mini_batch_values: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Labels, centres and distances of the fit that continues ``before``, or of one from scratch if that is better by
    REFIT; and whether it is the latter."""
    stored = values.nnz if isinstance(values, csr_matrix) else values.size
    method = MiniBatchKMeans if stored > mini_batch_values else KMeans
    images = values.shape[0]
    with threadpool_limits(1), warnings.catch_warnings():
        # Several threads add in any order: the last bits, and with them ties, would differ from run to run.
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different images than clusters: the rest stay empty
        cold = _fitted(method, values, min(k, images), seed, 1 if before is not None else COLD_STARTS)
        labels, centres = _padded(cold, k, values)
        distances = _distances(values, labels, centres)
        if before is not None and images >= k:
            warm_labels, warm_centres = _fitted(method, values, k, seed, 1, before.centres)
            warm_distances = _distances(values, warm_labels, warm_centres)
            if _inertia(distances) >= REFIT * _inertia(warm_distances):
                return warm_labels, warm_centres, warm_distances, False
    return labels, centres, distances, True


def match(before: np.ndarray, now: np.ndarray, k: int) -> np.ndarray:
    """For each cluster ``now`` the number of the cluster ``before`` that it continues: one to one, with as many images
    as possible keeping their number. ``before``, ``now``: int (image,) of the same images, -1 for none."""
    both = (before >= 0) & (now >= 0)
    shared = np.bincount(now[both].astype(np.int64) * k + before[both], minlength=k * k).reshape(k, k)
    rows, columns = linear_sum_assignment(-shared)
    numbers = np.empty(k, np.int64)
    numbers[rows] = columns
    return numbers


def flows(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """int64 (flow, 3): cluster before, cluster now, images; sorted; -1 for no cluster. Images that had and have none
    are left out."""
    width = int(max(before.max(initial=-1), now.max(initial=-1))) + 2
    numbers, counts = np.unique((before.astype(np.int64) + 1) * width + now + 1, return_counts=True)
    found = np.stack([numbers // width - 1, numbers % width - 1, counts], axis=1)
    return found[(found[:, 0] >= 0) | (found[:, 1] >= 0)]


def states(clustering: FoundClusters, before: FoundClusters | None) -> tuple[list[str], list[int], list[int]]:
    """State of each cluster ("alive", "born", "died", "empty"), those that were born, and those that died.

    A cluster whose number other images took is born and has died in one step. At a run's first step nothing is born.
    """
    now = clustering.sizes
    if before is None:
        return ["alive" if size else "empty" for size in now], [], []
    then = before.sizes
    both = (before.assignment == clustering.assignment) & (clustering.assignment >= 0)
    shared = np.bincount(clustering.assignment[both], minlength=clustering.k)
    another = (now > 0) & (then > 0) & (shared < SHARED * np.minimum(now, then))
    born, died = (now > 0) & ((then == 0) | another), (then > 0) & ((now == 0) | another)
    words = np.where(now == 0, np.where(died, "died", "empty"), np.where(born, "born", "alive"))
    return words.tolist(), np.flatnonzero(born).tolist(), np.flatnonzero(died).tolist()


def _fitted(
    method: type[KMeans | MiniBatchKMeans],
    values: Points,
    k: int,
    seed: int,
    starts: int,
    centres: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 (image,), and centres float32 (cluster, class), the means of their images."""
    chosen: dict[str, Any] = {"init": "k-means++" if centres is None else np.array(centres), "n_init": starts}
    if method is MiniBatchKMeans:
        chosen["batch_size"] = BATCH_IMAGES
        if centres is not None:
            # It would move living clusters from their places; empty ones wait until a fit from scratch is better.
            chosen["reassignment_ratio"] = 0.0
    model = method(k, random_state=seed, **chosen).fit(values)
    labels = model.labels_.astype(np.int64)
    return labels, _means(values, labels, model.cluster_centers_.astype(np.float32))


def _means(values: Points, labels: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """float32 (cluster, class): the mean of each cluster's images, the row of ``empty`` where there are none."""
    k, images = len(empty), len(labels)
    ones = csr_matrix((np.ones(images), (labels, np.arange(images))), shape=(k, images))
    sums = ones @ values if isinstance(values, csr_matrix) else ones @ values.astype(np.float64, copy=False)
    sums = sums.toarray() if issparse(sums) else sums
    sizes = np.bincount(labels, minlength=k)[:, None]
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), empty).astype(np.float32)


def _distances(values: Points, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """float64 (image,)"""
    found = np.empty(len(labels))
    for start in range(0, len(labels), BLOCK_IMAGES):
        part = slice(start, start + BLOCK_IMAGES)
        block = values[part]
        block = block.toarray() if isinstance(block, csr_matrix) else block
        found[part] = np.linalg.norm(block.astype(np.float64) - centres[labels[part]], axis=1)
    return found


def _inertia(distances: np.ndarray) -> float:
    return float(np.square(distances).sum())


def _padded(fitted: tuple[np.ndarray, np.ndarray], k: int, values: Points) -> tuple[np.ndarray, np.ndarray]:
    """With fewer images than clusters, put the others, empty, in the middle of all points."""
    labels, centres = fitted
    if len(centres) == k:
        return fitted
    middle = np.asarray(values.mean(axis=0), np.float32).reshape(1, -1)
    return labels, np.concatenate([centres, np.repeat(middle, k - len(centres), axis=0)])


def _own_order(labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Numbers for a run's first clusters: by the most probable class, the larger first, empty ones last."""
    sizes = np.bincount(labels, minlength=len(centres))
    numbers = np.empty(len(centres), np.int64)
    numbers[np.lexsort((-sizes, centres.argmax(axis=1), sizes == 0))] = np.arange(len(centres))
    return numbers


def _renumbered(rows: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    moved = np.empty_like(rows)
    moved[numbers] = rows
    return moved
