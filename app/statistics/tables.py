"""Statistics as tables: what REST's ``format`` and ``mloscope statistics export`` write."""

from __future__ import annotations

from typing import Any

import numpy as np

from mloscope.app.statistics.clusters.answers import clusters
from mloscope.app.statistics.confusion import moved
from mloscope.app.statistics.export import Table
from mloscope.app.statistics.run_statistics import RunStatistics


def steps_table(of: RunStatistics) -> Table:
    """A row per step: its state and rates."""
    rows = [state.json() for state in of.steps]
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {"step": []}


def confusion_table(of: RunStatistics, step: int) -> Table:
    """A row per cell that holds any image; an empty ``predicted`` stands for not predicted."""
    found = of.step(step)
    names = of.names_of(found.classes)
    actual, predicted, count = found.cells.T
    chosen = [number if number < found.classes else None for number in predicted.tolist()]
    return {
        "actual": actual,
        "actual_name": [names[number] for number in actual.tolist()],
        "predicted": chosen,
        "predicted_name": [None if number is None else names[number] for number in chosen],
        "count": count,
    }


def classes_table(of: RunStatistics, step: int) -> Table:
    """A row per class: precision, recall, support."""
    found = of.step(step)
    summary = found.summary
    return {
        "class": np.arange(found.classes),
        "class_name": list(of.names_of(found.classes)[: found.classes]),
        "precision": summary["precision"],
        "recall": summary["recall"],
        "support": summary["support"],
    }


def images_table(of: RunStatistics, step: int) -> Table:
    """A row per image: the predicted class and how sure it is."""
    found = of.step(step)
    return {
        "id": of.image_ids(),
        "actual": [None if number < 0 else number for number in found.actual.tolist()],
        "predicted": [None if number < 0 else number for number in found.predicted.tolist()],
        "confidence": np.asarray(found.confidence),
        "true_probability": np.asarray(found.true_probability),
        "loss": np.asarray(found.loss),
        "margin": np.asarray(found.margin),
        "in_top_5": np.asarray(found.in_top_5),
    }


def moves_table(of: RunStatistics, from_step: int, to_step: int) -> Table:
    """A row per way that images moved between two steps; an empty class stands for not predicted."""
    old, new = of.step(from_step), of.step(to_step)
    found, counts, _ = moved(old, new)
    names = of.names_of(new.classes)
    columns: dict[str, Any] = {}
    for place, name in enumerate(("actual", "from", "to")):
        numbers = [number if number < new.classes else None for number in found[:, place].tolist()]
        columns[name] = numbers
        columns[f"{name}_name"] = [None if number is None else names[number] for number in numbers]
    return {**columns, "count": counts}


def clusters_table(of: RunStatistics, step: int) -> Table:
    """A row per cluster."""
    rows = clusters(of, step)["clusters"]
    table: dict[str, Any] = {name: [row[name] for row in rows] for name in ("cluster", "size", "state", "purity")}
    for column, name in (("majority_class", "class"), ("majority_count", "count")):
        table[column] = [row["majority"][0][name] if row["majority"] else None for row in rows]
    return table


def members_table(of: RunStatistics, step: int) -> Table:
    """A row per image: its cluster and its distance from the cluster's centre."""
    found = of.clustered().step(step)
    return {
        "id": of.image_ids(),
        "cluster": [None if number < 0 else number for number in np.asarray(found.assignment).tolist()],
        "distance": np.asarray(found.distance),
    }
