"""Any statistic over time: the values of a :class:`Statistic` at every step of a run.

    RunStatistics + name ──► what it is made of, per step ──► compute, or what was kept ──► Course (step, item)

Nothing here evaluates a network: a step without stored probabilities has no values until they are computed or imported.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.app.errors import BadRequest, MloscopeError, NotFound, NotPossible
from mloscope.app.statistics.clusters.store import StepClusters
from mloscope.app.statistics.export import Table
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.statistics.stored.derived import kept
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.table import Statistic
from mloscope.app.statistics.weights import LayerWeights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Course:
    """A statistic at some steps."""

    statistic: Statistic
    steps: tuple[int, ...]
    """Ascending; those that have values."""
    items: tuple[str, ...]
    """What each column is: numbers of classes, clusters or units, "actual:predicted", ids of images, the layer; "" for a
    checkpoint's number."""
    names: tuple[str, ...]
    """The items as people call them."""
    values: np.ndarray
    """float64 (step, item), NaN where not defined."""

    def at(self, steps: Sequence[int]) -> np.ndarray:
        """float64 (step, item) at these steps: rows of NaN for those without values. What a chart draws."""
        found = np.full((len(steps), len(self.items)), np.nan)
        row_of = {step: row for row, step in enumerate(self.steps)}
        for row, step in enumerate(steps):
            if step in row_of:
                found[row] = self.values[row_of[step]]
        return found

    def table(self) -> Table:
        """A row per step and item."""
        scope, columns = self.statistic.scope, {"step": np.repeat(self.steps, len(self.items))}
        if scope == "cell":
            cells = [item.split(":") for item in self.items]
            for place, column in enumerate(("actual", "predicted")):
                columns[column] = np.tile([int(cell[place]) for cell in cells], len(self.steps))
        elif scope in ("class", "cluster", "unit"):
            columns[scope] = np.tile([int(item) for item in self.items], len(self.steps))
        elif scope in ("image", "layer"):
            columns[scope] = list(self.items) * len(self.steps)
        if scope == "class":
            columns["class_name"] = list(self.names) * len(self.steps)
        return {**columns, self.statistic.name: self.values.ravel()}

    def json(self) -> dict[str, Any]:
        rows = [[value if value == value else None for value in row] for row in self.values.tolist()]
        return {
            "statistic": self.statistic.json(),
            "steps": list(self.steps),
            "items": list(self.items),
            "names": list(self.names),
            "values": rows,
        }


def course(
    of: RunStatistics,
    name: str,
    steps: Sequence[int] | None = None,
    items: Sequence[str] | None = None,
    layer: str | None = None,
    most_values: int | None = None,
) -> Course:
    """The values of the statistic of this name.

    ``steps``: default all that have what it is made of. ``items``: default all, written as :attr:`Course.items` has them.
    ``layer``: for statistics of weights. ``most_values``: how many there may be, steps x items. Raises :class:`NotFound`
    for a statistic, step, layer or item that does not exist, :class:`BadRequest` for more than ``most_values``, and
    :class:`NotPossible` for a statistic that fails.
    """
    statistic = of.table.named(name)
    source = _SOURCES[statistic.made_of](of, layer)
    for step in steps or ():
        source.check(step)
    chosen = tuple(source.steps() if steps is None else sorted(set(steps)))
    rows: list[tuple[list[str], np.ndarray]] = []
    columns: dict[str, None] = {}
    for step in chosen:
        found, values = _at_step(of, statistic, source, step)
        if not rows or found is not rows[-1][0]:
            columns |= dict.fromkeys(found)
        rows.append((found, values))
        _check_size(len(chosen), len(columns if items is None else items), most_values)
    wanted = tuple(_sorted(columns, statistic.scope) if items is None or not rows else items)
    for item in wanted:
        if item not in columns and statistic.scope != "cell":  # a cell may hold no image at any step
            raise NotFound(
                f'The statistic "{name}" has no item "{item}"; items are such as {", ".join([*columns][:3])}.'
            )
    return Course(statistic, chosen, wanted, source.names(wanted, statistic.scope), _matrix(rows, wanted))


def _check_size(steps: int, items: int, most: int | None) -> None:
    if most is not None and steps * items > most:
        raise BadRequest(
            f"{steps:,} steps of {items:,} items are more than {most:,} values; name fewer steps or items."
        )


def _at_step(of: RunStatistics, statistic: Statistic, source: Any, step: int) -> tuple[list[str], np.ndarray]:
    """Items and values, float64 (item,), of one step. Raises :class:`NotPossible` if the statistic fails or returns
    something else than it should."""
    whose = f'The statistic "{statistic.name}" of the package {statistic.package}'
    items = source.items(step, statistic.scope)

    def compute() -> np.ndarray:
        material = source.material(step)
        try:
            values = np.atleast_1d(np.array(statistic.compute(material), np.float64))
        except MloscopeError:
            raise
        except Exception as error:  # another package's code may raise anything
            logger.exception("the statistic %s failed", statistic.name)
            raise NotPossible(f"{whose} failed: {type(error).__name__}: {error}.") from error
        if values.ndim != 1 or (items is not None and len(items) != len(values)):
            raise NotPossible(
                f"{whose} returned values of shape {values.shape}, expected {statistic.scope} by {statistic.scope}."
            )
        return values

    def kept_values() -> np.ndarray:
        return kept(of.store, statistic.name, statistic.version, source.key(step), compute)

    values = compute() if statistic.is_stored else kept_values()
    return _numbers(len(values)) if items is None else items, values


@functools.lru_cache(64)
def _numbers(count: int) -> list[str]:
    """The same list each time: what has the same items at each step is put together without looking them up."""
    return [str(number) for number in range(count)]


def _matrix(rows: Iterable[tuple[list[str], np.ndarray]], wanted: Sequence[str]) -> np.ndarray:
    """float64 (step, item)"""
    lines, before, index = [], None, np.empty(0, np.int64)
    for found, values in rows:
        if found is not before:
            place = {item: number for number, item in enumerate(found)}
            before, index = found, np.array([place.get(item, len(found)) for item in wanted], np.int64)
        lines.append(np.append(values, np.nan)[index])
    return np.stack(lines) if lines else np.empty((0, len(wanted)))


def _sorted(items: Iterable[str], scope: str) -> list[str]:
    return sorted(items, key=lambda item: [int(part) for part in item.split(":")]) if scope == "cell" else list(items)


# ------------------------------------------------------------------------------------------- what statistics are made of


class _OfProbabilities:
    def __init__(self, of: RunStatistics, _layer: str | None) -> None:
        self._of = of

    def steps(self) -> Iterable[int]:
        return self._of.ready

    def check(self, step: int) -> None:
        """Raise :class:`NotFound` unless the step has values."""
        if step not in self._of.ready:
            self._of.step(step)  # raises, saying what is missing

    def material(self, step: int) -> StepStatistics:
        return self._of.ready[step]

    def key(self, step: int) -> str:
        return self._of.ready[step].key

    def items(self, step: int, scope: str) -> list[str]:
        found = self._of.ready[step]
        if scope == "checkpoint":
            return [""]
        if scope == "image":
            return self._of.image_ids()
        if scope == "cell":
            return [f"{actual}:{predicted}" for actual, predicted in found.cells[:, :2].tolist()]
        return _numbers(found.classes)

    def names(self, items: Sequence[str], scope: str) -> tuple[str, ...]:
        if scope not in ("class", "cell"):
            return tuple(items)
        classes = max((step.classes for step in self._of.ready.values()), default=0)
        names = (*self._of.class_names[:classes], "not predicted")
        try:
            return tuple(" as ".join(names[int(number)] for number in item.split(":")) for item in items)
        except (ValueError, IndexError):
            said = ", ".join(items)[:100]
            raise NotFound(
                f'There are no items "{said}"; a cell is written as the numbers of two classes, as in 0:1.'
            ) from None


class _OfClusters:
    def __init__(self, of: RunStatistics, _layer: str | None) -> None:
        self._of, self._clustering = of, of.clustered()

    def steps(self) -> Iterable[int]:
        return self._clustering.steps

    def check(self, step: int) -> None:
        self._clustering.step(step)

    def material(self, step: int) -> StepClusters:
        return self._clustering.step(step)

    def key(self, step: int) -> str:
        return self._clustering.clusters[step]

    def items(self, _step: int, scope: str) -> list[str]:
        if scope == "checkpoint":
            return [""]
        return self._of.image_ids() if scope == "image" else _numbers(self._clustering.k)

    def names(self, items: Sequence[str], scope: str) -> tuple[str, ...]:
        return tuple(f"cluster {item}" for item in items) if scope == "cluster" else tuple(items)


class _OfWeights:
    def __init__(self, of: RunStatistics, layer: str | None) -> None:
        if layer is None:
            raise BadRequest("A statistic of weights is of one layer; name it, such as layer=conv1.")
        self._run, self._layer = of.opened_run, of.opened_run.layer(layer)
        self._fingerprints, self._missing = of.opened_run.fingerprints(of.opened_run.checkpoints)

    def steps(self) -> Iterable[int]:
        return self._fingerprints

    def check(self, step: int) -> None:
        if step not in self._fingerprints:
            self._run.checkpoint(step)
            raise NotFound(f"Step {step} has no weights: {self._missing[step]}")

    def material(self, step: int) -> LayerWeights:
        arrays = self._run.read(self._run.checkpoint(step), self._layer, self._fingerprints[step])
        return LayerWeights(self._layer, arrays)

    def key(self, step: int) -> str:
        parts = [self._run.architecture, self._fingerprints[step], self._layer.name]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def items(self, _step: int, scope: str) -> list[str] | None:
        """None: as many as there are values."""
        return [self._layer.name] if scope == "layer" else None

    def names(self, items: Sequence[str], scope: str) -> tuple[str, ...]:
        return tuple(f"unit {item}" for item in items) if scope == "unit" else tuple(items)


_SOURCES: dict[str, Callable[[RunStatistics, str | None], Any]] = {
    "probabilities": _OfProbabilities,
    "clusters": _OfClusters,
    "weights": _OfWeights,
}
