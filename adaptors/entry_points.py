"""The tables that packages can add to, and what is installed in each: ours and strangers' alike."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from mloscope.adaptors.installation import how_to_install


@dataclass(frozen=True)
class Group:
    """A group of entry points."""

    name: str
    """As packages write it in their pyproject.toml."""
    called: str
    """What each of its objects is, for sentences."""
    has: str
    """The method that every such object has."""


RUNS = Group("mloscope.run_adaptors", "adaptor", "can_open")
CORPORA = Group("mloscope.corpus_adaptors", "adaptor", "can_open")
NETWORK_BACKENDS = Group("mloscope.network_backends", "network backend", "load")
FILM_KINDS = Group("mloscope.film_kinds", "film kind", "open")
STATISTICS = Group("mloscope.statistics", "statistic", "compute")
PAGES = Group("mloscope.pages", "page", "bind")
GROUPS = (RUNS, CORPORA, NETWORK_BACKENDS, FILM_KINDS, STATISTICS, PAGES)


@dataclass(frozen=True)
class Registered:
    """What some installed package offers: a class, or an object."""

    name: str
    package: str
    implementation: Any | None
    """None where it could not be imported; ``problem`` then says why."""
    problem: str | None = None

    @property
    def description(self) -> str:
        """Its own words for people; empty where it has none."""
        words = (getattr(self.implementation, name, "") for name in ("description", "help", "title"))
        return next(filter(None, words), "")


def registered(group: Group, points: Iterable[EntryPoint] | None = None) -> list[Registered]:
    """What the entry points of the group name, by name; default: all that are installed. One that cannot be imported costs
    nobody anything but itself."""
    points = _installed(tuple(sys.path)).select(group=group.name) if points is None else points
    return [_loaded(point, group.called, group.has) for point in sorted(points, key=lambda point: point.name)]


@cache
def _installed(path: tuple[str, ...]) -> EntryPoints:
    """Every entry point of the packages on the path, read once: each reading opens a file per package."""
    return entry_points()


def _loaded(point: EntryPoint, called: str, has: str) -> Registered:
    package = point.dist.name if point.dist else point.module.split(".")[0]
    try:
        implementation = point.load()
        if not callable(getattr(implementation, has, None)):
            raise TypeError(f"{point.value} has no {has}")
        return Registered(point.name, package, implementation)
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == point.module.split(".")[0]:
            problem = f"cannot be imported: its own module {error.name} is missing; reinstall {package}."
        else:
            problem = f"needs the package {error.name}, which is not installed: {how_to_install(str(error.name))}"
    except Exception as error:  # a stranger's module may raise anything while it is imported
        problem = f"cannot be imported: {type(error).__name__}: {error}."
    return Registered(point.name, package, None, f"The {called} {point.name} of {package} {problem}")
