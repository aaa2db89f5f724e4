"""The map of all images by principal components: one analysis of the probabilities of all steps together. One pair of axes,
so that an image moves because the network's answer changed and never because the axes turned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix, issparse
from threadpoolctl import threadpool_limits

from mloscope.app.statistics.clusters.map_kinds import Placement
from mloscope.app.statistics.clusters.points import Points, blocks_of, points_of
from mloscope.app.statistics.stored.step_statistics import StepStatistics

EXACT_CLASSES = 4096
"""Up to this many classes the axes come from the whole covariance matrix, beyond from a subspace iteration."""


def placed(steps: Sequence[StepStatistics]) -> Placement:
    """Return the places of all images on the two axes of largest variance."""
    mean, axes, explained = principal_axes(lambda: blocks_of(steps))
    arrays = {"axes": axes.astype(np.float32), "mean": mean.astype(np.float32)}

    def places() -> Iterator[np.ndarray]:
        for step in steps:
            found = np.full((step.images, 2), np.nan, np.float32)
            chosen = np.asarray(step.predicted) >= 0
            if chosen.any():
                found[chosen] = points_of(step)[np.flatnonzero(chosen)] @ axes.T - mean @ axes.T
            yield found

    return Placement(places(), {"explained": explained}, arrays)


def principal_axes(
    blocks: Callable[[], Iterator[Points]], exact_classes: int = EXACT_CLASSES
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Mean float64 (class,), the two axes of largest variance float64 (2, class), and the share of variance of each.

    ``blocks()`` iterates over all points from the start; it is called once for up to ``exact_classes`` classes. The
    largest component of an axis is positive. Axes without variance are 0.
    """
    with threadpool_limits(1):
        mean, count, second, squares = _moments(blocks, exact_classes)
        if not count:
            return mean, np.zeros((2, len(mean))), [0.0, 0.0]
        if second is not None:
            values, vectors = np.linalg.eigh(second / count - np.outer(mean, mean))
            variances, axes, whole = values[::-1][:2], vectors.T[::-1][:2], float(values.clip(0).sum())
        else:
            variances, axes = _leading_axes(blocks, mean, count)
            whole = squares / count - float(mean @ mean)
    axes = np.concatenate([axes, np.zeros((2 - len(axes), len(mean)))])  # one class has only one axis
    variances = np.concatenate([variances, np.zeros(2 - len(variances))]).clip(0)
    axes[variances <= 1e-12 * max(whole, 1e-300)] = 0.0
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])
    return mean, axes * np.where(signs == 0, 1, signs)[:, None], (variances / max(whole, 1e-300)).tolist()


def _moments(
    blocks: Callable[[], Iterator[Points]], exact_classes: int
) -> tuple[np.ndarray, int, np.ndarray | None, float]:
    """Mean of the points, their number, the sum of their outer products (None beyond ``exact_classes`` classes), and the
    sum of their squared lengths (only then)."""
    count, total, squares, second = 0, np.zeros(0), 0.0, None
    for block in blocks():
        total = total if len(total) else np.zeros(block.shape[1])
        wide = block.astype(np.float64)
        total += np.asarray(wide.sum(axis=0)).ravel()
        count += block.shape[0]
        if block.shape[1] <= exact_classes:
            second = np.zeros((block.shape[1],) * 2) if second is None else second
            outer = wide.T @ wide
            second += outer.toarray() if issparse(outer) else outer
        else:
            squares += float((wide.multiply(wide) if isinstance(wide, csr_matrix) else wide * wide).sum())
    return total / max(count, 1), count, second, squares


def _leading_axes(
    blocks: Callable[[], Iterator[Points]], mean: np.ndarray, count: int, rounds: int = 6, width: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    """Variances (2,) and axes (2, class) by subspace iteration, without the covariance matrix."""
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(len(mean), width)))[0]
    image = basis
    for _ in range(rounds):
        image = np.zeros_like(basis)
        for block in blocks():
            image += block.T @ (block @ basis)
        image = image / count - np.outer(mean, mean @ basis)
        values, turn = np.linalg.eigh(basis.T @ image)
        found = values[::-1][:2], (basis @ turn).T[::-1][:2]
        basis = np.linalg.qr(image)[0]
    return found
