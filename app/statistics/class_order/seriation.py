"""Classes in an order that puts those side by side that a network confuses."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigsh
from threadpoolctl import threadpool_limits

_EDGE = 3
"""How many classes at the end of a group decide which end meets the neighbour."""
_DENSE = 80
"""Groups of up to this many are ordered by all eigenvectors."""
_TOLERANCE = 1e-8
_UNCUT = 40
"""Groups of up to this many are not cut any more."""


def similarity_of(confused: np.ndarray) -> np.ndarray:
    """float64 (class, class), symmetric, diagonal 0: the mean of how large a share of each class is taken for the other.
    ``confused``: counts (actual, predicted), classes x (at least classes)."""
    classes = len(confused)
    counts = confused[:, :classes].astype(np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    return (shares + shares.T) / 2


def seriate(similarity: np.ndarray) -> np.ndarray:
    """int64 (class,): the classes so ordered that similar ones are near each other; a permutation.

    ``similarity``: float64 (class, class), symmetric, at least 0. Classes that nothing connects come in groups, the
    largest first, classes like no other last. Each group is ordered by the Fiedler vector of its normalised Laplacian
    (Barnard, Pothen, Simon 1995; Shi, Malik 2000), cut where the normalised cut is least, and its two parts ordered the
    same way until they are small, each turned so that the ends that meet are alike. Deterministic: ties go by class
    number. 1,000 classes take well under a second.
    """
    order: list[int] = []
    # Many small products: threads would wait for each other most of the time, on a busy machine ten times as long.
    with threadpool_limits(1, user_api="blas"):
        _, part_of = connected_components(similarity > 0, directed=False)
        groups = [np.flatnonzero(part_of == part) for part in np.unique(part_of)]
        for group in sorted(groups, key=lambda group: (-len(group), group[0])):
            order += _ordered(similarity, group)
    return np.array(order, np.int64)


def _ordered(similarity: np.ndarray, group: np.ndarray) -> list[int]:
    if len(group) < 3:
        return group.tolist()
    here = similarity[np.ix_(group, group)]
    degrees = here.sum(axis=1)
    if not (degrees > 0).all():  # a part of a cut may hold classes that only the other part is like
        lonely = group[degrees == 0]
        return [*_ordered(similarity, group[degrees > 0]), *lonely.tolist()]
    scale = 1 / np.sqrt(degrees)
    vector = _second_vector(here * scale[:, None] * scale[None, :], np.sqrt(degrees)) * scale
    # Rounded, so that what differs in the last bits only (other libraries, other numbers of threads) sorts the same.
    vector = np.round(vector / np.abs(vector).max(), 6)
    if (vector * np.arange(len(group))).sum() < 0:
        vector = -vector
    along = np.argsort(vector, kind="stable")
    if len(group) <= _UNCUT:
        return group[along].tolist()
    cut = _least_cut(here[np.ix_(along, along)], degrees[along])
    return _joined(
        similarity, _ordered(similarity, group[np.sort(along[:cut])]), _ordered(similarity, group[np.sort(along[cut:])])
    )


def _second_vector(matrix: np.ndarray, first: np.ndarray) -> np.ndarray:
    """float64 (class,): the eigenvector of the second largest eigenvalue of a symmetric matrix, where ``first`` is the one
    of the largest, which is 1. Of large matrices as close as sorting needs."""
    first = first / np.linalg.norm(first)
    if len(matrix) <= _DENSE:
        return np.linalg.eigh(matrix - 3 * np.outer(first, first))[1][:, -1]  # the largest eigenvalue becomes -2
    deflated = LinearOperator(
        matrix.shape, lambda vector: matrix @ vector - 3 * first * (first @ vector), dtype=np.float64
    )
    start = np.random.default_rng(0).normal(size=len(matrix))
    return eigsh(deflated, k=1, which="LA", v0=start, tol=_TOLERANCE)[1][:, 0]


def _least_cut(sorted_similarity: np.ndarray, degrees: np.ndarray) -> int:
    """How many of the classes, in the order given, make the first part, by the least normalised cut. Each part gets at
    least a quarter: peeling off single classes would take far too long."""
    count = len(degrees)
    inner = 2 * np.cumsum(np.tril(sorted_similarity, -1).sum(axis=1))
    volume = np.cumsum(degrees)
    between = volume - inner
    low, high = max(1, count // 4), count - max(1, count // 4)
    sizes = np.arange(low, high + 1)
    first = volume[sizes - 1]
    cost = between[sizes - 1] / first + between[sizes - 1] / np.maximum(volume[-1] - first, np.finfo(float).tiny)
    return int(sizes[np.argmin(np.round(cost, 12))])


def _joined(similarity: np.ndarray, left: list[int], right: list[int]) -> list[int]:
    """One after the other, each forwards or backwards, so that the ends that meet are most alike."""
    best, found = -1.0, left + right
    for first in (left, left[::-1]):
        for second in (right, right[::-1]):
            ends = similarity[np.ix_(first[: -_EDGE - 1 : -1], second[:_EDGE])]
            apart = 1 + np.arange(ends.shape[0])[:, None] + np.arange(ends.shape[1])
            alike = float((ends / apart).sum())
            if alike > best + 1e-12:
                best, found = alike, first + second
    return found
