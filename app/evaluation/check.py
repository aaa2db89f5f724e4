"""``mloscope check``: test whether other preprocessing, or another order of classes, gives a better accuracy.

    sample of labelled images ──► each usual preprocessing ──► probabilities at the last checkpoint ──► accuracy of each
                                                                  └──► the assignment of outputs to classes that fits best

Wrong preprocessing is the commonest cause of wrong numbers and does not crash; comparing accuracies reveals it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment

from mloscope.adaptors.interface import Preprocessing
from mloscope.app.errors import NotPossible
from mloscope.app.evaluation.basis import Basis

CURRENT = "current"
SAMPLE_IMAGES = 500
_FAR = 0.1
"""An alternative is far better from so much more accuracy on."""
_IMAGENET_MEAN = (123.68, 116.779, 103.939)
"""Of pixels 0..255, RGB, as Keras' ``preprocess_input(mode="caffe")`` and VGG subtract it."""


class Prepares(Protocol):
    """Prepares images for the network."""

    def __call__(self, how: Preprocessing) -> np.ndarray:
        """Return the sample as float32 (image, row, column, channel)."""
        ...


@dataclass(frozen=True)
class Alternative:
    """One preprocessing of the sample and its result."""

    name: str
    preprocessing: Preprocessing
    accuracy: float | None
    """0..1 over the labelled images of the sample; None where it cannot be tried."""
    problem: str | None = None


@dataclass(frozen=True)
class Check:
    """The results."""

    step: int
    images: int
    """Labelled images that were tried."""
    alternatives: tuple[Alternative, ...]
    """The current one first, then the others, best first."""
    best_order: tuple[int | None, ...] | None
    """For each output the class of the corpus with which accuracy would be best, where that is far better; else None."""
    best_order_accuracy: float | None
    warnings: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "step": self.step,
            "images": self.images,
            "alternatives": [
                {
                    "name": each.name,
                    "scale": each.preprocessing.scale,
                    "mean": each.preprocessing.mean,
                    "channel_order": each.preprocessing.channel_order,
                    "accuracy": each.accuracy,
                    "problem": each.problem,
                }
                for each in self.alternatives
            ],
            "best_order": None if self.best_order is None else list(self.best_order),
            "best_order_accuracy": self.best_order_accuracy,
            "warnings": list(self.warnings),
        }


def check(
    basis: Basis,
    step: int,
    labels: np.ndarray,
    prepare: Prepares,
    probabilities: Callable[[np.ndarray], np.ndarray],
    with_corpus_mean: bool = True,
    progress: Callable[[str], None] = lambda name: None,
) -> Check:
    """Try the usual alternatives on a sample.

    ``labels``: int (image,), classes of the corpus, -1 if unknown; ``prepare`` returns the sample with a given
    preprocessing; ``probabilities`` evaluates it at the step, (image, class). Raises :class:`NotPossible` if accuracy is
    undefined."""
    if basis.output.rule is None:
        raise NotPossible(f"There is nothing to check. {basis.output.refusal}")
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        raise NotPossible(
            "The sample has no labelled images, so accuracy cannot be computed; --split selects other images."
        )
    found: list[Alternative] = []
    in_force: np.ndarray | None = None
    for name, how in alternatives(
        basis.preprocessing, channels=(basis.input_shape or (0, 0, 3))[2], corpus=with_corpus_mean
    ):
        progress(name)
        try:
            predicted = probabilities(prepare(how))
        except NotPossible as error:
            found.append(Alternative(name, how, None, str(error)))
            continue
        if in_force is None and name == CURRENT:
            in_force = predicted
        found.append(Alternative(name, how, _accuracy(predicted, basis.classes.outputs_of(labels))))
    order, order_accuracy = (
        _best_order(in_force, labels, len(basis.classes.names)) if in_force is not None else (None, None)
    )
    first, *others = found
    others.sort(key=lambda each: -1.0 if each.accuracy is None else each.accuracy, reverse=True)
    warnings = _warnings(basis, first, others, order_accuracy)
    worth_it = order_accuracy is not None and order_accuracy >= (first.accuracy or 0.0) + _FAR
    return Check(
        step, len(known), (first, *others), order if worth_it else None, order_accuracy if worth_it else None, warnings
    )


def alternatives(how: Preprocessing, channels: int, corpus: bool) -> Iterator[tuple[str, Preprocessing]]:
    """List the current preprocessing and then the usual alternatives, each with a name, without duplicates."""
    yield CURRENT, how
    seen = {_essence(how, channels)}
    scalings: list[tuple[str, float, Any]] = [
        ("0..1", 1 / 255, None),
        ("0..255", 1.0, None),
        ("-1..1", 1 / 127.5, (1.0,)),
        ("-0.5..0.5", 1 / 255, (0.5,)),
    ]
    if corpus:
        scalings += [
            ("0..255 minus the corpus's mean", 1.0, "corpus"),
            ("0..1 minus the corpus's mean", 1 / 255, "corpus"),
        ]
    if channels == 3:
        scalings += [("0..255 minus ImageNet's mean", 1.0, _IMAGENET_MEAN)]
    for name, scale, mean in scalings:
        for order in ("rgb", "bgr") if channels == 3 else (how.channel_order,):
            means = tuple(reversed(mean)) if order == "bgr" and isinstance(mean, tuple) else mean
            each = Preprocessing(scale, means, order)
            if _essence(each, channels) not in seen:
                seen.add(_essence(each, channels))
                yield (f"{name}, {order.upper()}" if channels == 3 else name), each
    if channels == 3:
        turned = replace(how, channel_order="bgr" if how.channel_order == "rgb" else "rgb")
        if _essence(turned, channels) not in seen:
            yield f"current, but {turned.channel_order.upper()}", turned


def _essence(how: Preprocessing, channels: int) -> tuple[Any, ...]:
    return round(how.scale, 9), how.mean or None, how.channel_order if channels == 3 else ""


def _accuracy(probabilities: np.ndarray, right: np.ndarray) -> float | None:
    """Return the share of images with a known output that are predicted right; NaN predicts nothing."""
    judged = right >= 0
    if not judged.any():
        return None
    best = np.where(np.isnan(probabilities).any(axis=1), -2, np.nan_to_num(probabilities).argmax(axis=1))
    return float((best[judged] == right[judged]).mean())


def _best_order(
    probabilities: np.ndarray, labels: np.ndarray, outputs: int
) -> tuple[tuple[int | None, ...] | None, float | None]:
    """Return the assignment of outputs to classes with the most right predictions (the Hungarian method on the
    counts)."""
    judged = (labels >= 0) & ~np.isnan(probabilities).any(axis=1)
    if not judged.any():
        return None, None
    counts = np.zeros((outputs, int(labels.max()) + 1), np.int64)
    np.add.at(counts, (probabilities[judged].argmax(axis=1), labels[judged]), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    order: list[int | None] = [None] * outputs
    for output, label in zip(rows.tolist(), columns.tolist(), strict=True):
        if counts[output, label]:
            order[output] = label
    return tuple(order), float(counts[rows, columns].sum() / (labels >= 0).sum())


def _warnings(
    basis: Basis, first: Alternative, others: Sequence[Alternative], order_accuracy: float | None
) -> tuple[str, ...]:
    warnings = []
    now = first.accuracy or 0.0
    if others and others[0].accuracy is not None and others[0].accuracy >= now + _FAR:
        best = others[0]
        warnings.append(
            f"{best.name} gives an accuracy of {best.accuracy:.3f}, the current preprocessing {now:.3f}: the current one is "
            f"probably not the network's. {_flags(best.preprocessing)} would set it."
        )
    if order_accuracy is not None and basis.classes.matched and order_accuracy >= now + _FAR:
        warnings.append(
            f"With the outputs in another order, accuracy would be {order_accuracy:.3f} instead of {now:.3f}: outputs and "
            "classes are probably not in the same order. --classes names the outputs."
        )
    elif order_accuracy is not None and not basis.classes.matched:
        warnings.append(
            f"Outputs and classes are not matched. Their best assignment on this sample gives an accuracy of {order_accuracy:.3f}; "
            "--classes names the outputs."
        )
    return tuple(warnings)


def _flags(how: Preprocessing) -> str:
    words = [f"--scale {how.scale:g}" if how.scale == 1 else f"--scale 1/{1 / how.scale:g}"]
    if how.mean is not None:
        words.append(
            "--mean " + (how.mean if isinstance(how.mean, str) else ",".join(f"{value:g}" for value in how.mean))
        )
    if how.channel_order != "rgb":
        words.append(f"--channel-order {how.channel_order}")
    return " ".join(words)
