"""Class probabilities of a step as points: what is clustered and put on the map.

Where the 20 largest probabilities of an image are kept and not all ("top-20", float16), the others count as 0: the
squared length that an image's vector loses is at most (its 20th probability) x (the probability left out), which is
below 1/80, and for nearly all images nothing. Nothing is scaled up to make the sum 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from mloscope.app.statistics.stored.step_statistics import FULL, StepStatistics

BLOCK_IMAGES = 8192

Points = np.ndarray | csr_matrix


def points_of(step: StepStatistics) -> Points:
    """The probabilities of a step as float32 (image, class): dense, or CSR with the 20 that are kept."""
    if step.form == FULL:
        return np.asarray(step.array("probabilities"), np.float32)
    classes = np.asarray(step.array("top_classes"), np.int32)
    values = np.nan_to_num(np.asarray(step.array("top_probabilities"), np.float32))
    ends = np.arange(0, classes.size + 1, classes.shape[1], dtype=np.int32 if classes.size < 1 << 31 else np.int64)
    points = csr_matrix((values.ravel(), classes.ravel(), ends), shape=(step.images, step.classes))
    points.sort_indices()
    return points


def blocks_of(steps: Sequence[StepStatistics]) -> Iterator[Points]:
    """The points of all predicted images of all steps, BLOCK_IMAGES at a time."""
    for step in steps:
        points, chosen = points_of(step), np.flatnonzero(np.asarray(step.predicted) >= 0)
        for start in range(0, len(chosen), BLOCK_IMAGES):
            yield points[chosen[start : start + BLOCK_IMAGES]]
