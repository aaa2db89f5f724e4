"""In which order images are listed, and which of them, by what statistics say of them at one step.

Another order is one more line of :data:`ORDERS`: it is an ``order`` of the REST API, stands in the pages' lists and in addresses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mloscope.app.errors import BadRequest
from mloscope.app.statistics.stored.step_statistics import StepStatistics


@dataclass(frozen=True)
class ImageOrder:
    """An order of images. What has no number, such as the loss of an image without a class, comes last."""

    name: str
    """As addresses have it."""
    title: str
    """As pages have it."""
    help: str
    key: Callable[[StepStatistics], np.ndarray]
    """Gives (image,) of the whole split; the lowest comes first."""


ORDERS: Mapping[str, ImageOrder] = {
    order.name: order
    for order in (
        ImageOrder("confident", "most confident", "The highest predicted probability first", lambda s: -s.confidence),
        ImageOrder("unsure", "least confident", "The lowest predicted probability first", lambda s: s.confidence),
        ImageOrder("loss", "highest loss", "The lowest probability of the true class first", lambda s: -s.loss),
        ImageOrder("margin", "lowest margin", "The true class farthest below the likeliest other one first", lambda s: s.margin),
        ImageOrder("close", "closest calls", "The true class nearest to the likeliest other one first", lambda s: abs(s.margin)),
        ImageOrder("position", "in order", "In the order of the corpus", lambda s: np.arange(s.images)),
    )
}  # fmt: skip

JUDGED: Mapping[str, str] = {"wrong": "wrong only", "right": "right only"}
"""Which images: those whose prediction is so, and as pages have it. Images without a true class are neither."""


def ordered(step: StepStatistics, positions: np.ndarray, order: str) -> np.ndarray:
    """Return the positions in this order; those that are alike keep theirs. Raises :class:`BadRequest`."""
    if order not in ORDERS:
        raise BadRequest(f'order must be one of {", ".join(ORDERS)}, got "{order}".')
    return positions[np.argsort(ORDERS[order].key(step)[positions], kind="stable")]


def judged(step: StepStatistics, positions: np.ndarray, which: str) -> np.ndarray:
    """Return those of the positions whose images are predicted right, or wrong. Raises :class:`BadRequest`."""
    if which not in JUDGED:
        raise BadRequest(f'judged must be one of {", ".join(JUDGED)}, got "{which}".')
    truth = np.asarray(step.actual)[positions]
    is_right = np.asarray(step.predicted)[positions] == truth
    return positions[(truth >= 0) & (is_right == (which == "right"))]
