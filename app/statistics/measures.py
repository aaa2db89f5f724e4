"""Numbers computed from class probabilities: pure NumPy, the same to the last bit however the images are sliced.

Ties always go to the lower class number, so an image is predicted right exactly if its true class ranks first. An image
with any probability that is not finite is "not predicted": class -1, in cells the column after the last class. An image
without a label (-1) is in no cell and in no rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

TOP_CLASSES = 20
"""How many classes of each image are kept if not all are."""
SMALLEST_PROBABILITY = 1e-7
"""The loss counts smaller probabilities of the true class as this one, as Keras does; so it is at most 16.118."""
CALIBRATION_BINS = 15
_BLOCK_VALUES = 1 << 17
"""How many values are processed at once, so that they stay in the processor's cache."""


@dataclass(frozen=True)
class ImageMeasures:
    """Measures of each image; all arrays by image."""

    predicted: np.ndarray
    """int32, -1 where not predicted"""
    confidence: np.ndarray
    """float32, 0..1: the probability of the predicted class; NaN where not predicted"""
    true_probability: np.ndarray
    """float32, 0..1; NaN for an image without a label or a prediction, as with the next two"""
    loss: np.ndarray
    """float32, the negative natural logarithm of the true class's probability, see SMALLEST_PROBABILITY"""
    margin: np.ndarray
    """float32, -1..1: the true class's probability less the best other one's"""
    in_top_5: np.ndarray
    """bool: whether the true class is among the five most probable; False if there is none"""
    top_classes: np.ndarray
    """uint16 or (beyond 65,536 classes) uint32, (image, k), the most probable first; k = min(classes, TOP_CLASSES)"""
    top_probabilities: np.ndarray
    """float32 (image, k); NaN where not predicted"""


def measure_images(probabilities: np.ndarray, actual: np.ndarray) -> ImageMeasures:
    """Measure each image by itself. ``probabilities``: float32 (image, class), negative values count as 0; ``actual``:
    int (image,), -1 where not known, else below the number of classes."""
    images, classes = probabilities.shape
    count = min(classes, TOP_CLASSES)
    top_classes = np.empty((images, count), np.uint16 if classes <= 1 << 16 else np.uint32)
    top = np.empty((images, count), np.float32)
    rows = max(1, _BLOCK_VALUES // classes)
    for start in range(0, images, rows):
        part = slice(start, start + rows)
        _most_probable(np.asarray(probabilities[part], np.float32), top_classes[part], top[part])
    predicted = np.where(np.isnan(top[:, 0]), -1, top_classes[:, 0].astype(np.int32)).astype(np.int32)
    known = (actual >= 0) & (predicted >= 0)
    true = np.full(images, np.nan, np.float32)
    true[known] = probabilities[np.flatnonzero(known), actual[known]]
    runner_up = top[:, 1] if classes > 1 else np.zeros(images, np.float32)
    return ImageMeasures(
        predicted,
        top[:, 0].copy(),
        true,
        losses(true),
        true - np.where(predicted == actual, runner_up, top[:, 0]),
        known & (top_classes[:, :5] == actual[:, None]).any(axis=1),
        top_classes,
        top,
    )


def losses(true_probability: np.ndarray) -> np.ndarray:
    """float32: the negative natural logarithm of each, see SMALLEST_PROBABILITY; NaN stays NaN."""
    return -np.log(np.maximum(true_probability, np.float32(SMALLEST_PROBABILITY)), dtype=np.float32)


def _most_probable(probabilities: np.ndarray, classes: np.ndarray, values: np.ndarray) -> None:
    """Fill in the classes and probabilities of each row's largest, sorted by probability falling, then class rising.

    A float32 of 0 or more sorts as its bits do, so bits and class in one integer sort by both, and a selection (not
    a sort) of distinct integers has one answer on any machine."""
    total, count = probabilities.shape[1], classes.shape[1]
    # the sum turns -0.0, whose bits are those of a large number, into 0.0
    bits = (np.maximum(probabilities, np.float32(0)) + np.float32(0)).view(np.uint32)
    keys = bits.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(total - 1, -1, -1, dtype=np.uint64)
    if count < total:
        keys.partition(total - count, axis=1)
        keys = keys[:, total - count :]
    keys = np.sort(keys, axis=1)[:, ::-1]
    classes[:] = total - 1 - (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    values[:] = (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
    broken = ~(np.isfinite(probabilities.max(axis=1)) & np.isfinite(probabilities.min(axis=1)))
    if broken.any():
        classes[broken] = np.arange(count)
        values[broken] = np.nan


def confusion(actual: np.ndarray, predicted: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The cells that hold any image, and the images behind them.

    Returns cells, int64 (cell, 3): actual, predicted (== ``classes``: not predicted), count, sorted by the first two;
    and order, int32 (image,): the images by cell, then by position, those without a label at the end, so that the
    images of cell i are the ``order`` from the sum of the counts before it on.
    """
    codes = actual.astype(np.int64) * (classes + 1) + np.where(predicted < 0, classes, predicted)
    codes[actual < 0] = np.iinfo(np.int64).max
    order = np.argsort(codes, kind="stable").astype(np.int32)
    labelled = int(np.count_nonzero(actual >= 0))
    found, counts = np.unique(codes[order[:labelled]], return_counts=True)
    return np.stack([found // (classes + 1), found % (classes + 1), counts], axis=1).astype(np.int64), order


def dense(cells: np.ndarray, classes: int) -> np.ndarray:
    """int64 (actual, predicted), classes x (classes + 1): the cells as a matrix, "not predicted" its last column."""
    matrix = np.zeros((classes, classes + 1), np.int64)
    matrix[cells[:, 0], cells[:, 1]] = cells[:, 2]
    return matrix


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float | None:
    """Expected calibration error (Guo et al., On Calibration of Modern Neural Networks, 2017, equation 3): the mean
    of |share right - mean confidence| over 15 bins of equal width, (0, 1/15] first, weighted by their images. None
    where there is no image."""
    if not len(confidence):
        return None
    bins = np.clip(np.ceil(confidence.astype(np.float64) * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, right.astype(np.float64) - confidence, CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def summarise(
    actual: np.ndarray,
    predicted: np.ndarray,
    confidence: np.ndarray,
    loss: np.ndarray,
    in_top_5: np.ndarray,
    cells: np.ndarray,
    classes: int,
) -> dict[str, Any]:
    """The content of ``summary.json``, JSON-able; a rate over no image is None.

    ``accuracy`` and ``top_5_accuracy`` are shares of the labelled images, so an image that is not predicted counts as
    wrong; ``loss`` is the mean over labelled images that have one; ``precision``, ``recall`` and ``support`` are lists
    by class, of labelled images.
    """
    labelled = actual >= 0
    total = int(np.count_nonzero(labelled))
    rated = labelled & (predicted >= 0)
    on_diagonal = cells[cells[:, 0] == cells[:, 1]]
    right = np.zeros(classes, np.int64)
    right[on_diagonal[:, 0]] = on_diagonal[:, 2]
    support = np.bincount(cells[:, 0], cells[:, 2], classes).astype(np.int64)
    chosen = np.bincount(cells[:, 1], cells[:, 2], classes + 1).astype(np.int64)[:classes]
    return {
        "images": len(actual),
        "labelled": total,
        "not_predicted": int(np.count_nonzero(predicted < 0)),
        "accuracy": int(right.sum()) / total if total else None,
        "top_5_accuracy": int(np.count_nonzero(in_top_5)) / total if total else None,
        "loss": float(loss[rated].mean(dtype=np.float64)) if rated.any() else None,
        "calibration_error": calibration_error(confidence[rated], predicted[rated] == actual[rated]),
        "precision": _shares(right, chosen),
        "recall": _shares(right, support),
        "support": support.tolist(),
    }


def _shares(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
    return [p / w if w else None for p, w in zip(part.tolist(), whole.tolist(), strict=True)]
