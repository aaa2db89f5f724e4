"""Connecting runs and corpora while a server is up: by links in the folder that it watches, which every worker of it sees.

:class:`LinkFolder` is such a folder; :class:`PageConnections` is what pages may do with it.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mloscope.adaptors.interface import RunOptions
from mloscope.app.errors import BadRequest, Forbidden, MloscopeError, NotPossible, of_adaptors
from mloscope.app.workspace.names import address_name, is_generic, names_of_entries, own_name, title_of, url_safe


@dataclass(frozen=True)
class Linked:
    """What is connected now."""

    name: str
    """In addresses."""
    title: str
    was_there: bool
    """Whether it was connected before."""


@dataclass(frozen=True)
class LinkFolder:
    """A folder that a server watches, as whoever may change it sees it."""

    folder: Path
    named: Mapping[str, Path] = field(default_factory=dict)
    """Where the runs or corpora lie that the server was started with, by name."""

    def add(self, path: Path, name: str | None = None) -> Linked:
        """Link the path, which is absolute, under its own name or another. Raises :class:`BadRequest` for a name that cannot be
        one or is another's, and :class:`MloscopeError` where the link cannot be created."""
        if name and url_safe(name) != name:
            raise BadRequest(f'"{name}" cannot be a name, because it stands in addresses; "{url_safe(name)}" could be.')
        # The link keeps the folder's own name, in whatever script, for that is what is shown.
        own = name or (f"{path.parent.name}-{path.name}" if is_generic(path) else own_name(path))
        address = address_name(own)
        linked = Linked(address, title_of(own), False)
        there = {name: entry for entry, name in names_of_entries([*self.folder.iterdir()]).items()}
        there |= {address_name(own_name(entry)): entry for entry in there.values()}
        taken = there | dict(self.named)
        if address in taken:
            lies = os.path.realpath(taken[address])
            if lies != os.path.realpath(path):
                raise BadRequest(f"The name {address} is in use by {lies}; choose another with --name.")
            return Linked(address, linked.title, True)
        link = self.folder / (own + path.suffix if path.is_file() else own)
        try:
            link.symlink_to(path)
        except OSError as error:
            raise MloscopeError(f"The link {link} cannot be created: {error.strerror or error}.") from error
        return linked


@dataclass(frozen=True)
class PageConnections:
    """What pages may connect: runs that lie in some folders, or beside those that the server was started with."""

    links: LinkFolder | None = None
    """None where the server watches no folder."""
    allowed: tuple[Path, ...] = ()
    """Runs at any depth of these may be connected."""
    beside: tuple[Path, ...] = ()
    """Runs directly in these."""
    port: int | None = None
    open_run: Callable[[Path, RunOptions], Any] | None = None
    """Default: the registry's."""

    @classmethod
    def of(
        cls, links: LinkFolder | None, allowed: Sequence[Path], runs: Sequence[Path], port: int | None = None
    ) -> Self:
        """``allowed``: what the settings say; where they say nothing, the folders of ``runs``, which the server was started
        with."""
        places = dict.fromkeys(Path(os.path.realpath(run)).parent for run in runs)
        inside = tuple(Path(os.path.realpath(folder)) for folder in allowed)
        return cls(links, inside, () if inside else tuple(places), port)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where what may be connected lies; empty where pages may connect nothing."""
        return () if self.links is None else (*self.allowed, *self.beside)

    @property
    def command(self) -> str:
        """How it is done from a terminal."""
        port = f" --port {self.port}" if self.port else ""
        watched = f" --watched {shlex.quote(str(self.links.folder))}" if self.links is not None and not port else ""
        return f"mloscope connect PATH{port or watched}"

    def connect(self, text: str, name: str | None = None) -> Linked:
        """Connect the run at this path. Raises :class:`NotPossible` where pages may connect nothing, :class:`Forbidden` outside
        the folders, :class:`BadRequest` for what is no absolute path or a bad name, and what the adaptors say of it."""
        if self.links is None or not self.folders:
            raise NotPossible(f"This server lets pages connect nothing; `{self.command}` in a terminal does.")
        path = Path(text.strip())
        if not path.is_absolute() or "\0" in text:
            raise BadRequest(f'"{text[:200]}" is not an absolute path, such as {self.folders[0] / "run-2"}.')
        path = Path(os.path.realpath(path))
        if path.parent not in self.beside and not any(path.is_relative_to(folder) for folder in self.allowed):
            places = ", ".join(map(str, self.folders))
            raise Forbidden(f"Pages may connect only what lies in {places}. For others, in a terminal: {self.command}")
        with of_adaptors():
            self._open(path)
        return self.links.add(path, name or None)

    def _open(self, path: Path) -> None:
        from mloscope.adaptors import registry

        (self.open_run or registry.open_run)(path, RunOptions())
