"""Runs and corpora as named by the user: not yet opened, with their options checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mloscope.adaptors.interface import ASSUMED, Preprocessing, RunOptions
from mloscope.app.errors import BadRequest, MloscopeError
from mloscope.app.evaluation.preprocessing import BY_DEFAULT


@dataclass(frozen=True)
class RunEntry:
    """A run named by the user, not yet opened."""

    path: Path
    name: str | None = None
    format: str | None = None
    corpus: str | None = None
    options: RunOptions = field(default_factory=RunOptions)


@dataclass(frozen=True)
class CorpusEntry:
    """A corpus named by the user, not yet opened."""

    path: Path
    name: str | None = None
    format: str | None = None
    hierarchy: Path | None = None
    """A file that groups its classes, see :mod:`mloscope.app.statistics.class_order.hierarchy`; None: what lies beside it."""


def check_step_pattern(pattern: str, wrong: Callable[[str], MloscopeError] = BadRequest) -> None:
    """Raise ``wrong(sentence)`` unless the pattern is a regular expression with a group."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise wrong(f'step_pattern = "{pattern}" is not a regular expression: {error}') from None
    if groups < 1:
        raise wrong(f'step_pattern = "{pattern}" has no group; put the step in parentheses, as in "epoch-([0-9]+)"')


def make_preprocessing(
    scale: float | None = None,
    mean: float | str | Sequence[float] | None = None,
    channel_order: str | None = None,
) -> Preprocessing:
    """Check and combine the user's options. ``mean`` is a number, numbers, the path of a ``.npy``, or "corpus".

    With a mean but no scale, pixels stay 0..255, as they do in networks that subtract a mean image; a scale that was not
    given is marked as assumed.
    """
    if scale is not None and not (np.isfinite(scale) and scale != 0):
        raise BadRequest(f"scale must be a non-zero number, such as 0.00392156862745098; got {scale}.")
    if channel_order not in (None, "rgb", "bgr"):
        raise BadRequest(f'channel_order must be "rgb" or "bgr"; got "{channel_order}".')
    numbers: tuple[float, ...] | str | None
    if mean is None or isinstance(mean, str):
        numbers = mean
    else:
        values = list(mean) if isinstance(mean, Sequence) else [mean]
        if not all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in values):
            raise BadRequest(f"mean must be numbers, one per channel; got {mean}.")
        if len(values) not in (1, 3):
            raise BadRequest(f"mean must have one number, or one for each of 3 channels; got {len(values)}: {mean}.")
        numbers = tuple(float(v) for v in values)
    scale_from = ASSUMED if scale is None else ""
    if scale is None:
        scale = 1 / 255 if mean is None else 1.0
    order_from = "" if channel_order is not None else BY_DEFAULT
    return Preprocessing(
        float(scale), numbers, channel_order or "rgb", scale_from=scale_from, channel_order_from=order_from
    )
