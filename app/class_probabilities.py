"""When a network's output is class probabilities, and how logits become them: one rule for one image at many
steps (:mod:`mloscope.app.observatory`) and for many images at one step
(:mod:`mloscope.app.model_service.evaluation`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mloscope.adaptors.interface import Layer
from mloscope.app.errors import NotPossible

AS_GIVEN = "output"
SOFTMAX = "softmax of the output"

_SUM_TOLERANCE = 1e-3


def output_layer(layers: Sequence[Layer], run: str) -> Layer:
    """The layer that classifies: of those that no other takes, the last that gives a vector, else the last.
    Raises :class:`NotPossible` where there is none; ``run`` is how the sentence names the run."""
    taken = {name for layer in layers for name in layer.inputs}
    ends = [layer for layer in layers if layer.name not in taken]
    vectors = [end for end in ends if end.output_shape is not None and len(end.output_shape) == 1]
    if not ends:
        raise NotPossible(f'The network of the run "{run}" has no output layer.')
    return (vectors or ends)[-1]


def as_probabilities(output: Layer, rows: np.ndarray) -> tuple[np.ndarray, str]:
    """The output layer's values, float (row, class), as class probabilities, same shape and type; and how:
    :data:`AS_GIVEN` or :data:`SOFTMAX`.

    They are probabilities already where the layer says that it is a softmax or sigmoid, or where every finite
    row is at least 0 and sums to 1 (one class alone: at most 1). Rows that are not finite stay so.
    """
    activation = str(output.hyperparameters.get("activation") or output.source_class).lower().replace("_", "")
    # A log-softmax ends in logits like any other: their softmax is the probabilities.
    probable = any(word in activation for word in ("softmax", "sigmoid")) and "logsoftmax" not in activation
    classes = rows.shape[1]
    if not probable:
        finite = rows[np.isfinite(rows).all(axis=1)]
        if len(finite) and finite.min() >= 0:
            sums = finite.sum(axis=1, dtype=np.float64)
            probable = bool((np.abs(sums - 1) < _SUM_TOLERANCE).all()) or (classes == 1 and bool((sums <= 1).all()))
    if probable or classes < 2:
        return rows, AS_GIVEN
    return softmax(rows), SOFTMAX


def softmax(rows: np.ndarray) -> np.ndarray:
    """Of each row, float (row, class), in the same type. A row with NaN or +infinity becomes NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        powers = rows - rows.max(axis=1, keepdims=True)
        np.exp(powers, out=powers)
        powers /= powers.sum(axis=1, keepdims=True)
    return powers
