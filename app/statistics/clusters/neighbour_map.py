"""The map of images by t-SNE (van der Maaten and Hinton, 2008; scikit-learn's Barnes-Hut approximation), step after step.

Each step starts from the places of the one before and is then turned, mirrored and moved onto them (orthogonal Procrustes),
so that the map does not spin: what moves between two steps moves because probabilities changed. Distances are taken between
square roots of probabilities (Hellinger), which tells apart images whose small probabilities differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from mloscope.app.statistics.clusters.map_kinds import MOST_NEIGHBOURS, Placement
from mloscope.app.statistics.clusters.points import Points, points_of
from mloscope.app.statistics.stored.step_statistics import StepStatistics

PERPLEXITY = 30.0
"""About how many neighbours an image has; fewer where there are few images."""
FEWEST = 5
"""Images that a map needs; of fewer, each step has no places."""
FIRST_ROUNDS, LATER_ROUNDS = 500, 250
"""Iterations of the first step, and of those that start from the step before. scikit-learn allows no fewer than 250."""


def placed(steps: Sequence[StepStatistics], most_placed: int = MOST_NEIGHBOURS) -> Placement:
    """Return the places of at most ``most_placed`` images at each step; the others have none."""
    images = steps[0].images
    shown = np.unique(np.linspace(0, images - 1, min(images, most_placed)).round().astype(np.int64))
    facts = {"placed": len(shown), "images": images, "perplexity": PERPLEXITY}
    return Placement(_step_after_step(steps, shown), facts)


def _step_after_step(steps: Sequence[StepStatistics], shown: np.ndarray) -> Iterator[np.ndarray]:
    before = np.full((steps[0].images, 2), np.nan, np.float32)
    for step in steps:
        here = np.full((step.images, 2), np.nan, np.float32)
        chosen = shown[np.asarray(step.predicted)[shown] >= 0]
        if len(chosen) >= FEWEST:
            here[chosen] = _one_step(_roots(points_of(step)[chosen]), before[chosen])
            before = np.where(np.isnan(here), before, here)  # an image that is left out once comes back where it was
        yield here


def _one_step(points: Points, before: np.ndarray) -> np.ndarray:
    """float32 (image, 2): places of these points, ``before`` (NaN where unknown) those of the step before."""
    from sklearn.manifold import TSNE

    known = ~np.isnan(before).any(axis=1)
    perplexity = min(PERPLEXITY, (points.shape[0] - 1) / 3)
    if known.sum() < FEWEST:
        made = TSNE(init=_spread(points), perplexity=perplexity, max_iter=FIRST_ROUNDS, random_state=0)
        return _fitted(made, points)
    start = np.where(known[:, None], before, before[known].mean(axis=0)).astype(np.float32)
    made = TSNE(init=start, perplexity=perplexity, early_exaggeration=1.0, max_iter=LATER_ROUNDS, random_state=0)
    return turned_onto(_fitted(made, points), start, known)


def _fitted(made: object, points: Points) -> np.ndarray:
    with threadpool_limits(1):  # the same places with any number of processors
        return np.asarray(made.fit_transform(points), np.float32)  # type: ignore[attr-defined]


def _spread(points: Points) -> np.ndarray:
    """A start for the first step: two principal components, as small as t-SNE wants them."""
    from sklearn.decomposition import TruncatedSVD

    dense = np.asarray(points.toarray() if hasattr(points, "toarray") else points, np.float32)
    dense = dense - dense.mean(axis=0)
    if min(dense.shape) < 3:
        found = dense[:, :2] if dense.shape[1] > 1 else np.column_stack([dense[:, 0], np.zeros(len(dense))])
    else:
        with threadpool_limits(1):
            found = TruncatedSVD(2, random_state=0).fit_transform(dense)
    found = found + 1e-3 * np.random.default_rng(0).normal(size=found.shape)  # images at one point can part
    return (found / max(float(found[:, 0].std()), 1e-12) * 1e-4).astype(np.float32)


def _roots(points: Points) -> Points:
    return np.sqrt(points) if isinstance(points, np.ndarray) else points.sqrt()


def turned_onto(places: np.ndarray, before: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return ``places`` float32 (image, 2) moved, turned and mirrored so that those that are ``known`` lie as near to
    ``before`` as they can in the sum of squares. Sizes and distances stay (Schönemann, 1966)."""
    here, there = places[known].mean(axis=0), before[known].mean(axis=0)
    left, _, right = np.linalg.svd((places[known] - here).T.astype(np.float64) @ (before[known] - there))
    return ((places - here) @ (left @ right) + there).astype(np.float32)
