"""What installed packages offer under one group of entry points, ours and strangers' alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from mloscope.adaptors.installation import how_to_install


@dataclass(frozen=True)
class Registered:
    """A class that some installed package offers."""

    name: str
    package: str
    implementation: type[Any] | None
    """None where it could not be imported; ``problem`` then says why."""
    problem: str | None = None

    @property
    def description(self) -> str:
        return getattr(self.implementation, "description", "")


def registered(points: Iterable[EntryPoint], *, called: str, has: str) -> list[Registered]:
    """The classes behind entry points, by name. One that cannot be imported costs nobody anything but itself.

    ``called``: what they are, for sentences; ``has``: the method that every such class has."""
    return [_loaded(point, called, has) for point in sorted(points, key=lambda point: point.name)]


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
