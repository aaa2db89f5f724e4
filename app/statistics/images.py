"""What a network says of single images: listed and described at one step, or followed over all steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from mloscope.app.images.image_query import ImageQuery
from mloscope.app.statistics import image_orders
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.statistics.stored.step_statistics import FULL, StepStatistics


@dataclass(frozen=True)
class Page:
    """Some images of many."""

    total: int
    images: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Some images of a split at one step, in the order in which they are listed: those of a cell, of a cluster, within a
    lasso."""

    of: RunStatistics
    step: StepStatistics
    positions: np.ndarray
    """Within the split, each once."""
    numbers: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What is said of an image besides :func:`describe`: float (image,) of the whole split, by name."""

    def narrowed(self, query: ImageQuery) -> Self:
        """Return those that match, in the order that is wanted. Raises as :meth:`ImageIndex.matching` and
        :mod:`.image_orders`."""
        positions = self.positions
        if query.judged:
            positions = image_orders.judged(self.step, positions, query.judged)
        if query.order:
            positions = image_orders.ordered(self.step, positions, query.order)
        start = self.of.positions.start
        return replace(self, positions=self.of.image_index.matching(query, positions + start) - start)

    def page_of(self, position: int, limit: int = 60) -> int:
        """Return the offset of the page on which an image stands, 0 where it is not among them."""
        places = np.flatnonzero(self.positions == position)
        return int(places[0]) // limit * limit if len(places) else 0

    def page(self, offset: int = 0, limit: int = 60) -> Page:
        """Return ``limit`` of them from ``offset`` on, described."""
        shown = self.positions[offset : offset + limit]
        images = describe(self.of, shown, self.step)
        for name, values in self.numbers.items():
            for image, value in zip(images, values[shown].tolist(), strict=True):
                image[name] = number(value)
        return Page(len(self.positions), images)


def all_images(of: RunStatistics, step: int) -> ImageSet:
    """Return all images of the split. Raises as :meth:`RunStatistics.step`."""
    found = of.step(step)
    return ImageSet(of, found, np.arange(found.images))


def describe(of: RunStatistics, positions: Sequence[int] | np.ndarray, step: StepStatistics) -> list[dict[str, Any]]:
    """Of each image: id, name, position, label, class_name, probability (of the predicted class), predicted,
    predicted_name, true_probability; None for what is not known."""
    names = of.names_of(step.classes)
    chosen = np.asarray(positions, np.int64)
    confidence, true = step.confidence[chosen].tolist(), step.true_probability[chosen].tolist()
    predicted, actual = step.predicted[chosen].tolist(), step.actual[chosen].tolist()
    images = []
    for i, position in enumerate(chosen.tolist()):
        record = of.opened_corpus.record(of.positions[position])
        images.append(
            {
                "id": record.id,
                "name": record.name,
                "position": position,
                "label": actual[i] if actual[i] >= 0 else None,
                "class_name": names[actual[i]] if actual[i] >= 0 else None,
                "probability": number(confidence[i]),
                "predicted": predicted[i] if predicted[i] >= 0 else None,
                "predicted_name": names[predicted[i]] if predicted[i] >= 0 else None,
                "true_probability": number(true[i]),
            }
        )
    return images


def trajectory(steps: Mapping[int, StepStatistics], position: int) -> dict[str, Any]:
    """The predictions for one image at every step, JSON-able; reads one row of each.

    ``steps``; ``predicted`` (class or None); ``true_probability``; ``label``; ``form``: "full" if ``probabilities`` has
    every class and ``classes`` is None, else "top-20": ``classes`` tells which classes the probabilities are of.
    """
    full = all(step.form == FULL for step in steps.values())
    predicted, true, classes, probabilities, label = [], [], [], [], None
    for step in steps.values():
        names = ("probabilities",) if step.form == FULL else ("top_probabilities", "top_classes")
        chosen, true_probability, row, *whose = step.row(position, ("predicted", "true_probability", *names))
        predicted.append(int(chosen) if chosen >= 0 else None)
        true.append(number(float(true_probability)))
        probabilities.append([number(value) for value in row.tolist()])
        classes.append(whose[0].tolist() if whose else list(range(step.classes)) if not full else None)
    if steps:
        (actual,) = next(iter(steps.values())).row(position, ("actual",))  # the same at all steps
        label = int(actual) if actual >= 0 else None
    return {
        "steps": list(steps),
        "label": label,
        "predicted": predicted,
        "true_probability": true,
        "classes": None if full else classes,
        "probabilities": probabilities,
        "form": FULL if full else next(step.form for step in steps.values() if step.form != FULL),
    }


def number(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return value if value == value else None
