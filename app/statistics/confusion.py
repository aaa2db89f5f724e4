"""Which classes are taken for which: the images of a cell, what moved between two steps, the most confused pairs, and
the counts of all steps as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mloscope.app.errors import Conflict
from mloscope.app.process import binary_container
from mloscope.app.statistics import chunks
from mloscope.app.statistics.images import ImageSet, describe
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.statistics.stored.step_statistics import StepStatistics

MOST_MOVES = 2000


# ------------------------------------------------------------------------------------------------ counts of all steps


def count_chunks(of: RunStatistics) -> chunks.Chunks:
    """How the confusion counts of the ready steps are cut."""
    return chunks.cut([(step, found.key, 8 * found.cell_count, found.classes) for step, found in of.ready.items()])


def count_bytes(of: RunStatistics, steps: Sequence[int], digest: str) -> bytes:
    """Confusion counts of some steps, a :mod:`binary_container` of the kind "MLC1" with the header ``{"steps": [..],
    "classes": C, "cells": [n of each step], "images": [labelled images of each step]}``; then for every step n uint32 cell
    numbers actual * (C + 1) + predicted, ascending (predicted == C: not predicted), and n uint32 counts. Raises as
    :func:`chunks.current`."""
    found = chunks.current(of, steps, digest, lambda step: of.ready[step].key)
    header = {
        "steps": list(steps),
        "classes": found[0].classes,
        "cells": [step.cell_count for step in found],
        "images": [step.rates["labelled"] for step in found],
    }
    arrays = (array for step in found for array in (step.cell_numbers, step.cells[:, 2]))
    return binary_container.pack(b"MLC1", header, (array.astype("<u4") for array in arrays))


# ------------------------------------------------------------------------------------------------ cells, pairs, moves


def cell_images(of: RunStatistics, step: int, actual: int, predicted: int) -> ImageSet:
    """Return the images of one cell, in the split's order; ``predicted`` equal to the number of classes: those not
    predicted."""
    found = of.step(step)
    return ImageSet(of, found, np.asarray(found.cell(actual, predicted)))


def most_confused(of: RunStatistics, step: int, limit: int = 50) -> list[dict[str, Any]]:
    """Pairs of different classes by how many images of the one are taken for the other, most first: ``actual``,
    ``predicted``, ``count``, ``share`` of the class's images."""
    found = of.step(step)
    support = np.bincount(found.cells[:, 0], found.cells[:, 2], found.classes).tolist()
    return [
        {"actual": a, "predicted": p, "count": n, "share": n / support[a]}
        for a, p, n in pairs(found.cells, found.classes, limit).tolist()
    ]


def fastest_growing(of: RunStatistics, from_step: int, to_step: int, limit: int = 50) -> list[dict[str, Any]]:
    """Pairs of different classes whose count grew most between two steps: ``actual``, ``predicted``, ``count`` (at
    ``to_step``), ``before``, ``growth``."""
    old, new = of.step(from_step), of.step(to_step)
    return [
        {"actual": a, "predicted": p, "count": n, "before": n - g, "growth": g}
        for a, p, n, g in growth(old.cells, new.cells, new.classes, limit).tolist()
    ]


def moves(
    of: RunStatistics,
    from_step: int,
    to_step: int,
    actual: int | None = None,
    before: int | None = None,
    after: int | None = None,
    offset: int = 0,
    limit: int = 60,
) -> dict[str, Any]:
    """Labelled images whose prediction differs between two steps; optionally only those of one class, from one prediction
    or to one.

    ``moves``: at most MOST_MOVES dicts of actual, from, to, count, the most frequent first; ``kinds``: how many there
    are; ``total``: how many images; ``images``: a page of them, by position, described as of ``to_step``, with
    ``before`` and ``before_name``, the earlier prediction. "Not predicted" is the number of classes.
    """
    old, new = of.step(from_step), of.step(to_step)
    found, counts, positions = moved(old, new, actual, before, after)
    shown = positions[offset : offset + limit]
    images = describe(of, shown, new)
    names = of.names_of(new.classes)
    for image, prediction in zip(images, old.predicted[shown].tolist(), strict=True):
        image["before"] = prediction if prediction >= 0 else None
        image["before_name"] = names[prediction] if prediction >= 0 else None
    rows = [
        {"actual": a, "from": f, "to": t, "count": n}
        for (a, f, t), n in zip(found[:MOST_MOVES].tolist(), counts[:MOST_MOVES].tolist(), strict=True)
    ]
    return {"moves": rows, "kinds": len(found), "total": len(positions), "images": images}


# --------------------------------------------------------------------------------------------- on counts and steps alone


def moved(
    old: StepStatistics,
    new: StepStatistics,
    actual: int | None = None,
    before: int | None = None,
    after: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labelled images whose prediction in ``new`` differs from that in ``old``: kinds, int64 (kind, 3): actual, from, to
    ("not predicted" is the number of classes), by their counts falling, then ascending; counts, int64 (kind,);
    positions, int64, ascending. Optionally only those of one class, from one prediction or to one."""
    if old.images != new.images or old.classes != new.classes:
        raise Conflict(
            f"{old.images} images of {old.classes} classes and {new.images} images of {new.classes} classes "
            "cannot be compared one by one."
        )
    classes = new.classes
    was = np.where(old.predicted < 0, classes, old.predicted).astype(np.int64)
    now = np.where(new.predicted < 0, classes, new.predicted).astype(np.int64)
    truth = np.asarray(new.actual, np.int64)
    chosen = (was != now) & (truth >= 0)
    for wanted, values in ((actual, truth), (before, was), (after, now)):
        if wanted is not None:
            chosen &= values == wanted
    positions = np.flatnonzero(chosen)
    codes = (truth[positions] * (classes + 1) + was[positions]) * (classes + 1) + now[positions]
    found, counts = np.unique(codes, return_counts=True)
    by_count = np.argsort(-counts, kind="stable")
    found = found[by_count]
    kinds = np.stack(
        [found // (classes + 1) ** 2, found // (classes + 1) % (classes + 1), found % (classes + 1)], axis=1
    )
    return kinds, counts[by_count], positions


def pairs(cells: np.ndarray, classes: int, limit: int) -> np.ndarray:
    """int64 (pair, 3): actual, predicted, count of the ``limit`` largest cells off the diagonal; ties ascending. Images
    that are not predicted are in none."""
    off = cells[(cells[:, 0] != cells[:, 1]) & (cells[:, 1] < classes)]
    return off[np.argsort(-off[:, 2], kind="stable")[:limit]]


def growth(old: np.ndarray, new: np.ndarray, classes: int, limit: int) -> np.ndarray:
    """int64 (pair, 4): actual, predicted, count, growth of the cells off the diagonal that grew most from ``old`` to
    ``new``; ties ascending."""
    numbers = new[:, 0] * (classes + 1) + new[:, 1]
    known = old[:, 0] * (classes + 1) + old[:, 1]
    before = np.zeros(len(new), np.int64)
    if len(old):
        places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        same = known[places] == numbers
        before[same] = old[places[same], 2]
    grown = np.column_stack([new, new[:, 2] - before])
    grown = grown[(grown[:, 0] != grown[:, 1]) & (grown[:, 1] < classes) & (grown[:, 3] > 0)]
    return grown[np.argsort(-grown[:, 3], kind="stable")[:limit]]
