"""How a network's output becomes class probabilities: one rule for one image at many steps
(:mod:`mloscope.app.evaluation.predictions`) and for many images at one step (:mod:`mloscope.app.model_service.evaluator`).

Which layer that is, and which rule applies, is decided once for a run by :mod:`mloscope.app.evaluation.outputs`."""

from __future__ import annotations

import numpy as np

AS_GIVEN = "output"
SOFTMAX = "softmax of the output"
SIGMOID = "sigmoid of the output"
PROBABILITY_OF_CLASS_1 = "1 - p and p of the one output"
LOGIT_OF_CLASS_1 = "1 - p and p, p = sigmoid of the one output"
BY_VALUE = "the output where its rows are probabilities, else their softmax"
RULES = (AS_GIVEN, SOFTMAX, SIGMOID, PROBABILITY_OF_CLASS_1, LOGIT_OF_CLASS_1, BY_VALUE)

_SUM_TOLERANCE = 1e-3


def class_count(rule: str, outputs: int) -> int:
    """How many classes a rule makes of ``outputs`` values."""
    return 2 if rule in (PROBABILITY_OF_CLASS_1, LOGIT_OF_CLASS_1) else outputs


def as_probabilities(rule: str, rows: np.ndarray) -> tuple[np.ndarray, str]:
    """An output's values, float (row, value), as class probabilities, (row, class) in the same type; and the rule that was
    applied, which is another one for :data:`BY_VALUE` alone.

    A row that is not finite stays so: NaN gives NaN, and a softmax of +infinity is NaN.
    """
    if rule == BY_VALUE:
        rule = AS_GIVEN if _are_probabilities(rows) else SOFTMAX
    if rule == SOFTMAX:
        return softmax(rows), rule
    if rule == SIGMOID:
        return sigmoid(rows), rule
    if rule in (PROBABILITY_OF_CLASS_1, LOGIT_OF_CLASS_1):
        if rows.shape[1] != 1:
            raise ValueError(f"{rule}: rows of {rows.shape[1]} values were given, and 1 is expected")
        one = sigmoid(rows) if rule == LOGIT_OF_CLASS_1 else rows
        return np.concatenate([1 - one, one], axis=1), rule
    return rows, rule


def _are_probabilities(rows: np.ndarray) -> bool:
    """Whether every finite row is at least 0 and sums to 1."""
    finite = rows[np.isfinite(rows).all(axis=1)]
    if not len(finite) or finite.min() < 0:
        return False
    return bool((np.abs(finite.sum(axis=1, dtype=np.float64) - 1) < _SUM_TOLERANCE).all())


def softmax(rows: np.ndarray) -> np.ndarray:
    """Of each row, float (row, class), in the same type. A row with NaN or +infinity becomes NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        powers = rows - rows.max(axis=1, keepdims=True)
        np.exp(powers, out=powers)
        powers /= powers.sum(axis=1, keepdims=True)
    return powers


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-value)), in the same type, without overflow."""
    powers = np.exp(-np.abs(values))
    return np.where(values >= 0, 1, powers) / (1 + powers)
