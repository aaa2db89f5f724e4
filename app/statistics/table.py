"""What a statistic is, and the table of all of them: ours, then those of other packages.

    OURS (standard.py) and entry points mloscope.statistics ──► StatisticTable ──► values ──► REST, export, charts, docs

A package outside this tree adds a statistic by an entry point of the group ``mloscope.statistics`` that names a
:class:`Statistic` (docs/adding_a_statistic.md) and passes :mod:`mloscope.app.statistics.conformance`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any

from mloscope.adaptors.entry_points import STATISTICS, registered
from mloscope.app.errors import NotFound, NotPossible

SCOPES = {
    "checkpoint": "one number",
    "class": "a number per class",
    "cell": "a number per cell of the confusion matrix that holds an image: actual and predicted class",
    "image": "a number per image",
    "cluster": "a number per cluster of images",
    "layer": "one number for a layer",
    "unit": "a number per unit of a layer",
}
"""What a statistic gives numbers for, at each step."""
MADE_OF = {
    "probabilities": "class probabilities, labels and confusion counts of a step: a StepStatistics",
    "clusters": "the clusters of a step: a StepClusters",
    "weights": "the arrays of one layer at a checkpoint: a LayerWeights",
}
"""What a statistic is computed from: stored or read from the run's files, so that no network is evaluated for it."""
UNITS = ("", "share", "images", "nats", "class", "cluster", "yes or no")
_SCOPES_OF = {
    "probabilities": ("checkpoint", "class", "cell", "image"),
    "clusters": ("checkpoint", "cluster", "image"),
    "weights": ("layer", "unit"),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True)
class Statistic:
    """A number, or a number per class, cell, image, cluster or unit, at every step of a run.

    ``compute`` gets what :data:`MADE_OF` says and returns, by scope: a number or None (checkpoint, layer); an array
    (class,); (cell,), in the order of ``StepStatistics.cells``; (image,); (cluster,); (unit,). NaN and None stand for "not
    defined". It must be deterministic and read nothing else: its result is kept under ``name``, ``version`` and the content
    of what it was given.
    """

    name: str
    """Unique; small letters, digits and underscores. Stands in addresses, columns and file names."""
    help: str
    """What it means, in one sentence."""
    unit: str
    """One of UNITS; "share" is 0..1, shown as percent."""
    scope: str
    """A key of SCOPES."""
    made_of: str
    """A key of MADE_OF."""
    version: int
    """Raise it whenever the same input gives another result."""
    compute: Callable[[Any], Any]
    title: str = ""
    """What people call it; default: the name with spaces."""
    is_stored: bool = False
    """Whether ``compute`` only looks the number up; else its result is kept on disk."""
    package: str = "mloscope"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f'name must be small letters, digits and underscores, got "{self.name}"')
        for field, value, known in (
            ("made_of", self.made_of, MADE_OF),
            ("scope", self.scope, _SCOPES_OF.get(self.made_of, ())),
            ("unit", self.unit, UNITS),
        ):
            if value not in known:
                raise ValueError(f'{field} must be one of {", ".join(map(repr, known))}, got "{value}"')
        object.__setattr__(self, "title", self.title or self.name.replace("_", " "))

    def json(self) -> dict[str, Any]:
        fields = ("name", "title", "help", "scope", "made_of", "unit", "version", "package")
        return {field: getattr(self, field) for field in fields}


class StatisticTable(Sequence[Statistic]):
    """All statistics by name. One that cannot be loaded, or whose name is taken, is a problem and costs no other."""

    def __init__(self, ours: Iterable[Statistic], points: Iterable[EntryPoint] | None = ()) -> None:
        self._known = {statistic.name: statistic for statistic in ours}
        self.problems: dict[str, str] = {}
        """By name of the entry point: why it is not in the table."""
        for found in registered(STATISTICS, points):
            statistic: Any = found.implementation
            if found.problem is not None:
                self.problems[found.name] = found.problem
            elif not isinstance(statistic, Statistic):
                self.problems[found.name] = f"The statistic {found.name} of {found.package} is not a Statistic."
            elif statistic.name in self._known:
                owner = self._known[statistic.name].package
                self.problems[found.name] = (
                    f'The statistic {found.name} of {found.package} is left out: {owner} has a statistic "{statistic.name}".'
                )
            else:
                self._known[statistic.name] = replace(statistic, package=found.package)

    @classmethod
    def installed(cls) -> StatisticTable:
        """The table of this installation."""
        from mloscope.app.statistics.standard import OURS  # which is made of Statistic

        return cls(OURS, None)

    def __getitem__(self, index: Any) -> Any:
        return list(self._known.values())[index]

    def __len__(self) -> int:
        return len(self._known)

    def named(self, name: str) -> Statistic:
        """Raises :class:`NotFound` with the names that there are, or :class:`NotPossible` with the problem."""
        if name in self.problems:
            raise NotPossible(self.problems[name])
        try:
            return self._known[name]
        except KeyError:
            raise NotFound(f'There is no statistic "{name}"; there are: {", ".join(self._known)}.') from None
