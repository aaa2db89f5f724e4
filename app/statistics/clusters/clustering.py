"""Clusters of images by their class probabilities, the same clusters from one step to the next, and a map of all images.

K-means (scikit-learn) of the probability vectors of one step. A step begins from the centres of the step before it, so
that clusters keep their numbers; where a fit from nothing is better by REFIT (the network changed so much that the old
centres are no place to begin), that one is taken and its clusters are numbered after those of the step before by how
many images they share (the Hungarian method). A cluster without images is empty, and has died if it had some before; a
number that had no images, or other ones, is born.

The map is a principal component analysis of the probabilities of all steps together: one pair of axes and one range, so
that an image moves because the network changed its mind and never because the axes turned.

Where a plane keeps the 20 largest probabilities of an image and not all ("top-20", float16), the others count as 0: the
squared length that an image's vector loses is at most (its 20th probability) x (the probability left out), which is
below 1/80, and for nearly all images nothing. Nothing is scaled up to make the sum 1.

Everything is the same to the last bit for the same planes, k and seed, with any number of processors.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix, issparse
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from mloscope.app.errors import Conflict
from mloscope.app.statistics.clusters.store import MAJORITY, NO_COORDINATE, Fit, StepClusters, note_fit
from mloscope.app.statistics.stored.store import FULL, Plane, StatisticsStore, read_complete, save_array

CODE_VERSION = "clusters 1"
"""Part of every key; raise it whenever other clusters come of the same probabilities."""
MOST_CLUSTERS = 30
"""As in the report's prototype."""
CLUSTERS_A_CLASS = 2
COLD_STARTS = 4
"""Of these k-means++ beginnings of a run's first step the best is kept; a later step's fit from nothing has one."""
REFIT = 0.9
"""A fit from nothing is taken where the sum of squared distances is below this share of that of the continued fit."""
SHARED = 0.1
"""A number goes on as the same cluster where it shares at least this part of the smaller of its two sets of images."""
MINI_BATCH_VALUES = 10_000_000
"""Beyond so many values, images x classes (or x 20), MiniBatchKMeans takes the place of KMeans."""
BATCH_IMAGES = 4096
EXACT_CLASSES = 4096
"""Up to so many classes the map's axes come of the whole covariance matrix, beyond of a subspace iteration."""
_BLOCK_IMAGES = 8192

Points = np.ndarray | csr_matrix


def default_clusters(classes: int) -> int:
    """How many clusters where nobody says: two for each class, so that there is room for confusions beside the classes,
    at most MOST_CLUSTERS, at least 2. Ten classes have 20; fifteen and more have 30."""
    return max(2, min(MOST_CLUSTERS, CLUSTERS_A_CLASS * classes))


# --------------------------------------------------------------------------------------------------- one step, on arrays


@dataclass(frozen=True)
class Clustering:
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
    """Whether it was fitted from nothing and numbered by shared images. True for the first step."""

    @property
    def k(self) -> int:
        return len(self.centres)

    @property
    def sizes(self) -> np.ndarray:
        """int64 (cluster,)"""
        return np.bincount(self.assignment[self.assignment >= 0], minlength=self.k)


def cluster_step(
    points: Points,
    predicted: np.ndarray,
    k: int,
    seed: int,
    before: Clustering | None = None,
    mini_batch_values: int = MINI_BATCH_VALUES,
) -> Clustering:
    """Cluster the images of one step.

    ``points``: float32 (image, class) probabilities, dense or CSR; rows of images that were not predicted are not looked
    at. ``predicted``: bool (image,). ``before``: the step before, with the same images and k. There may be fewer images,
    or fewer different ones, than clusters: the rest stay empty. Of more than ``mini_batch_values`` values MiniBatchKMeans
    is used.
    """
    if not 1 <= k <= 32767:
        raise ValueError(f"{k} clusters; there can be 1 to 32,767")
    chosen = np.flatnonzero(predicted)
    values = points[chosen]
    images, classes = values.shape
    if not images:
        centres = before.centres if before is not None else np.zeros((k, classes), np.float32)
        nothing = np.full(len(predicted), -1, np.int16), np.full(len(predicted), np.nan, np.float32)
        return Clustering(*nothing, centres, 0.0, refit=before is None)
    stored = values.nnz if isinstance(values, csr_matrix) else values.size
    method = MiniBatchKMeans if stored > mini_batch_values else KMeans
    lived = before is not None and bool(before.sizes.any())
    with threadpool_limits(1), warnings.catch_warnings():
        # Several threads add in any order: the last bits, and with them ties, would differ from run to run.
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different images than clusters: the rest stay empty
        cold = _fitted(method, values, min(k, images), seed, 1 if lived else COLD_STARTS)
        labels, centres = _padded(cold, k, values)
        distances = _distances(values, labels, centres)
        refit = True
        if lived and images >= k:
            warm_labels, warm_centres = _fitted(method, values, k, seed, 1, before.centres)
            warm_distances = _distances(values, warm_labels, warm_centres)
            if _inertia(distances) >= REFIT * _inertia(warm_distances):
                labels, centres, distances, refit = warm_labels, warm_centres, warm_distances, False
    if refit:
        numbers = _own_order(labels, centres) if not lived else match(before.assignment[chosen], labels, k)
        centres = _renumbered(centres, numbers)
        labels = numbers[labels]
    if before is not None:  # an empty cluster is looked for where it was last
        empty = np.bincount(labels, minlength=k) == 0
        centres[empty] = before.centres[empty]
    assignment = np.full(len(predicted), -1, np.int16)
    assignment[chosen] = labels
    distance = np.full(len(predicted), np.nan, np.float32)
    distance[chosen] = distances
    return Clustering(assignment, distance, centres, _inertia(distances), refit)


def match(before: np.ndarray, now: np.ndarray, k: int) -> np.ndarray:
    """For each of the clusters ``now`` the number of the one ``before`` that it goes on as: one to one, with as many
    images as possible keeping their number. ``before``, ``now``: int (image,) of the same images, -1 for none."""
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


def states(clustering: Clustering, before: Clustering | None) -> tuple[list[str], list[int], list[int]]:
    """State of each cluster ("alive", "born", "died", "empty"), those that were born, and those that died.

    A cluster that lost its images and whose number others took is born and has died in one step. At a run's first step
    nothing is born.
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
            # It would move living clusters from their places; empty ones wait until a fit from nothing is better.
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
    for start in range(0, len(labels), _BLOCK_IMAGES):
        part = slice(start, start + _BLOCK_IMAGES)
        block = values[part]
        block = block.toarray() if isinstance(block, csr_matrix) else block
        found[part] = np.linalg.norm(block.astype(np.float64) - centres[labels[part]], axis=1)
    return found


def _inertia(distances: np.ndarray) -> float:
    return float(np.square(distances).sum())


def _padded(fitted: tuple[np.ndarray, np.ndarray], k: int, values: Points) -> tuple[np.ndarray, np.ndarray]:
    """With fewer images than clusters: the others lie, empty, in the middle of all."""
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


# ------------------------------------------------------------------------------------------------------- a whole run


def points_of(plane: Plane) -> Points:
    """The probabilities of a plane as float32 (image, class): dense, or CSR with the 20 that are kept."""
    if plane.form == FULL:
        return np.asarray(plane.array("probabilities"), np.float32)
    classes = np.asarray(plane.array("top_classes"), np.int32)
    values = np.nan_to_num(np.asarray(plane.array("top_probabilities"), np.float32))
    ends = np.arange(0, classes.size + 1, classes.shape[1], dtype=np.int32 if classes.size < 1 << 31 else np.int64)
    points = csr_matrix((values.ravel(), classes.ravel(), ends), shape=(plane.images, plane.classes))
    points.sort_indices()
    return points


def fit_run(
    store: StatisticsStore,
    series: str,
    planes: Sequence[tuple[int, Plane]],
    k: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Fit | None:
    """Cluster every step of a run over one split, put its images on one map, and note both as the run's latest.

    ``planes``: (step, plane), one or more, of the same images and classes. ``k``: default :func:`default_clusters`.
    ``series``: what the fit is found by, see :meth:`mloscope.app.statistics.identity.Identity.series`. What an earlier
    call left complete in the store is not made again: it was killed, or steps were added at the end. A step added
    between others changes all that follow. ``progress(done, of)`` is called after each piece of work; ``stop()`` before
    each: where it is true the fit so far stays, and None is returned.

    Raises :class:`Conflict` where planes do not belong together, ValueError where there is none or k is not 1..32,767.
    """
    planes = sorted(planes, key=lambda item: item[0])
    if not planes:
        raise ValueError("no planes to cluster")
    first = planes[0][1]
    for step, plane in planes:
        if (plane.images, plane.classes) != (first.images, first.classes):
            raise Conflict(
                f"Step {step} has statistics of {plane.images} images and {plane.classes} classes, step {planes[0][0]} of "
                f"{first.images} and {first.classes}; clusters need the same images and classes at every step."
            )
    if k is None:
        k = default_clusters(first.classes)
    if not 1 <= k <= 32767:
        raise ValueError(f"{k} clusters; there can be 1 to 32,767")
    of = len(planes) + 1
    keys: dict[int, str] = {}
    before: StepClusters | None = None
    for done, (step, plane) in enumerate(planes, start=1):
        if stop is not None and stop():
            return None
        before = _step_in_store(store, plane, k, seed, before)
        keys[step] = before.key
        if progress is not None:
            progress(done, of)
    if stop is not None and stop():
        return None
    projection = project_run(store, [plane for _, plane in planes])
    fit = Fit(store, k, seed, {step: plane.key for step, plane in planes}, keys, projection)
    note_fit(store, series, fit)
    if progress is not None:
        progress(of, of)
    return fit


def _step_in_store(
    store: StatisticsStore, plane: Plane, k: int, seed: int, before: StepClusters | None
) -> StepClusters:
    key = _digest("step", before.key if before is not None else None, plane.key, k, seed)
    folder = store.folder / "clusters" / key
    about = read_complete(folder)
    if about is None:
        earlier = _clustering(before) if before is not None else None

        def fill(made: Path) -> dict[str, Any]:
            found = cluster_step(points_of(plane), np.asarray(plane.predicted) >= 0, k, seed, earlier)
            moved = flows(earlier.assignment, found.assignment) if earlier is not None else np.empty((0, 3), np.int64)
            for name, array in (
                ("assignment", found.assignment),
                ("distance", found.distance),
                ("order", _nearest_first(found)),
                ("centres", found.centres),
                ("flows", moved),
            ):
                save_array(made / f"{name}.npy", array)
            return _about(found, earlier, plane, seed, before.key if before is not None else None)

        folder = store.publish("clusters", key, fill)
        about = read_complete(folder)
        if about is None:
            raise Conflict(f"The clusters in {folder} were removed at the moment they were made; start again.")
    return StepClusters(folder, about)


def _clustering(stored: StepClusters) -> Clustering:
    arrays = (np.asarray(stored.assignment), np.asarray(stored.distance), np.asarray(stored.centres))
    return Clustering(*arrays, stored.about["inertia"], stored.about["refit"])


def _nearest_first(found: Clustering) -> np.ndarray:
    positions = np.flatnonzero(found.assignment >= 0).astype(np.int32)
    return positions[np.lexsort((positions, found.distance[positions], found.assignment[positions]))]


def _about(
    found: Clustering, earlier: Clustering | None, plane: Plane, seed: int, before: str | None
) -> dict[str, Any]:
    words, born, died = states(found, earlier)
    purity, majority = [], []
    for counts in _class_counts(found.assignment, np.asarray(plane.actual), found.k, plane.classes):
        most = sorted(counts, key=lambda pair: (-pair[1], pair[0]))
        labelled = sum(count for _, count in most)
        purity.append(most[0][1] / labelled if labelled else None)
        majority.append([list(pair) for pair in most[:MAJORITY]])
    return {
        "version": CODE_VERSION,
        "k": found.k,
        "seed": seed,
        "plane": plane.key,
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
    """For each cluster the true classes of its images and how many each has; images without a label left out."""
    known = (assignment >= 0) & (actual >= 0)
    numbers, counts = np.unique(assignment[known].astype(np.int64) * classes + actual[known], return_counts=True)
    found: list[list[tuple[int, int]]] = [[] for _ in range(k)]
    for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
        found[number // classes].append((number % classes, count))
    return found


# ----------------------------------------------------------------------------------------------------------- the map


def project_run(store: StatisticsStore, planes: Sequence[Plane]) -> str:
    """Make the map of all these steps, unless the store has it; its key. See :meth:`Fit.coordinates`."""
    key = _digest("map", *(plane.key for plane in planes))

    def fill(made: Path) -> dict[str, Any]:
        mean, axes, explained = principal_axes(lambda: _rows(planes))
        low, high = np.full(2, np.inf), np.full(2, -np.inf)
        for number, plane in enumerate(planes):
            found = np.full((plane.images, 2), np.nan, np.float32)
            chosen = np.asarray(plane.predicted) >= 0
            if chosen.any():
                found[chosen] = points_of(plane)[np.flatnonzero(chosen)] @ axes.T - mean @ axes.T
                low, high = np.minimum(low, found[chosen].min(axis=0)), np.maximum(high, found[chosen].max(axis=0))
            save_array(made / f"codes-{number}.npy", found)
        low, high = np.where(low <= high, low, 0.0), np.where(low <= high, high, 1.0)
        high = np.where(high > low, high, low + 1.0)
        for number in range(len(planes)):
            path = made / f"codes-{number}.npy"
            save_array(path, _codes(np.load(path), low, high))
        save_array(made / "axes.npy", axes.astype(np.float32))
        save_array(made / "mean.npy", mean.astype(np.float32))
        return {
            "version": CODE_VERSION,
            "planes": [plane.key for plane in planes],
            "x": [float(low[0]), float(high[0])],
            "y": [float(low[1]), float(high[1])],
            "explained": explained,
        }

    store.publish("projections", key, fill)
    return key


def principal_axes(
    rows: Callable[[], Iterator[Points]], exact_classes: int = EXACT_CLASSES
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Mean float64 (class,), the two axes of largest variance float64 (2, class), and the share of variance of each.

    ``rows()`` goes through all points again, block by block; it is read once for up to ``exact_classes`` classes. The
    largest component of an axis is positive. Axes without variance are 0.
    """
    with threadpool_limits(1):
        count, total, squares, second = 0, None, 0.0, None
        for block in rows():
            total = np.zeros(block.shape[1]) if total is None else total
            wide = block.astype(np.float64)
            total += np.asarray(wide.sum(axis=0)).ravel()
            count += block.shape[0]
            exact = block.shape[1] <= exact_classes
            if exact:
                second = np.zeros((block.shape[1],) * 2) if second is None else second
                outer = wide.T @ wide
                second += outer.toarray() if issparse(outer) else outer
            else:
                squares += float((wide.multiply(wide) if isinstance(wide, csr_matrix) else wide * wide).sum())
        if not count or total is None:
            classes = 0 if total is None else len(total)
            return np.zeros(classes), np.zeros((2, classes)), [0.0, 0.0]
        mean = total / count
        if second is not None:
            values, vectors = np.linalg.eigh(second / count - np.outer(mean, mean))
            variances, axes, whole = values[::-1][:2], vectors.T[::-1][:2], float(values.clip(0).sum())
        else:
            variances, axes = _leading_axes(rows, mean, count)
            whole = squares / count - float(mean @ mean)
    axes = np.concatenate([axes, np.zeros((2 - len(axes), len(mean)))])  # one class has but one axis
    variances = np.concatenate([variances, np.zeros(2 - len(variances))]).clip(0)
    axes[variances <= 1e-12 * max(whole, 1e-300)] = 0.0
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])
    return mean, axes * np.where(signs == 0, 1, signs)[:, None], (variances / max(whole, 1e-300)).tolist()


def _leading_axes(
    rows: Callable[[], Iterator[Points]], mean: np.ndarray, count: int, rounds: int = 6, width: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Variances (2,) and axes (2, class) by subspace iteration: the covariance matrix is never made."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(len(mean), width)))[0]
    image = basis
    for _ in range(rounds):
        image = np.zeros_like(basis)
        for block in rows():
            image += block.T @ (block @ basis)
        image = image / count - np.outer(mean, mean @ basis)
        values, turn = np.linalg.eigh(basis.T @ image)
        found = values[::-1][:2], (basis @ turn).T[::-1][:2]
        basis = np.linalg.qr(image)[0]
    return found


def _rows(planes: Sequence[Plane]) -> Iterator[Points]:
    for plane in planes:
        points, chosen = points_of(plane), np.flatnonzero(np.asarray(plane.predicted) >= 0)
        for start in range(0, len(chosen), _BLOCK_IMAGES):
            yield points[chosen[start : start + _BLOCK_IMAGES]]


def _codes(coordinates: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """int16 of float (image, 2): -32767 at ``low``, 32767 at ``high``; NO_COORDINATE for NaN."""
    scaled = np.rint((coordinates - low) / (high - low) * 65534).clip(0, 65534) - 32767
    return np.where(np.isnan(scaled), NO_COORDINATE, scaled).astype(np.int16)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps([CODE_VERSION, *parts]).encode()).hexdigest()
