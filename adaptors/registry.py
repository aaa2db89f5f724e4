"""Finds the installed adaptors and opens a path with the one that fits.

Ours and strangers' adaptors register alike, by entry points. Four refusals are told apart: there is nothing
at the path; nothing installed reads what is there; something would, but a package it needs is not installed;
something does, but the file is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from mloscope.adaptors.entry_points import CORPORA, RUNS, Registered, registered
from mloscope.adaptors.files.foreign_files import counted, kind_of
from mloscope.adaptors.files.regular_files import open_regular
from mloscope.adaptors.interface import (
    AdaptorError,
    CorpusAdaptor,
    DependencyMissing,
    NothingFits,
    NothingThere,
    RunAdaptor,
    RunOptions,
)
from mloscope.adaptors.readers.image_folder.other_formats import advice

_MOST_LISTED = 10_000
_MOST_FOLDERS = 20
_MOST_NAMED = 3


@cache
def run_adaptors() -> list[Registered]:
    """Every installed run adaptor by name, those that cannot be imported included."""
    return registered(RUNS)


@cache
def corpus_adaptors() -> list[Registered]:
    """Every installed corpus adaptor by name, those that cannot be imported included."""
    return registered(CORPORA)


def open_run(
    path: Path | str,
    options: RunOptions | None = None,
    format: str | None = None,
    adaptors: list[Registered] | None = None,
) -> RunAdaptor:
    """The run at the path, opened by the adaptor named ``format`` or else by the first that can.

    Raises NothingThere, NothingFits, DependencyMissing, or what the adaptor raises (Unreadable, Refused). Of
    several adaptors that take the path for theirs, one that fails gives way to the next; one that the user
    named does not.
    """
    chosen = options or RunOptions()
    known = run_adaptors() if adaptors is None else adaptors
    return _open(Path(path), known, format, "run", lambda adaptor: adaptor.open(Path(path), chosen))


def open_corpus(path: Path | str, format: str | None = None, adaptors: list[Registered] | None = None) -> CorpusAdaptor:
    """The corpus at the path; everything else as for :func:`open_run`."""
    known = corpus_adaptors() if adaptors is None else adaptors
    return _open(Path(path), known, format, "corpus", lambda adaptor: adaptor.open(Path(path)))


def _open(path: Path, known: list[Registered], format: str | None, what: str, opening: Callable[[Any], Any]) -> Any:
    if not path.exists():
        raise NothingThere(f"{path} does not exist.")
    if format is not None:
        named = next((adaptor for adaptor in known if adaptor.name == format), None)
        if named is None:
            names = ", ".join(adaptor.name for adaptor in known)
            raise NothingFits(f"There is no {what} format {format!r}; installed are: {names}.")
        if named.implementation is None:
            raise DependencyMissing(str(named.problem))
        return opening(named.implementation)
    failures: list[AdaptorError] = []
    for adaptor in known:
        if adaptor.implementation is None:
            continue
        try:
            if adaptor.implementation.can_open(path):
                return opening(adaptor.implementation)
        except AdaptorError as error:
            failures.append(error)
        except Exception as error:
            # Chosen by the program, so the next has its turn; but a fault in an adaptor must not pass unseen.
            failures.append(AdaptorError(f"The adaptor {adaptor.name} failed on {path}: {error!r}."))
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise type(failures[0])(" ".join(str(failure) for failure in failures)) from failures[0]
    raise NothingFits(_nothing_fits(path, known, what))


def _nothing_fits(path: Path, known: list[Registered], what: str) -> str:
    looked = ", ".join(
        f"{adaptor.name} ({adaptor.description})" for adaptor in known if adaptor.implementation is not None
    )
    absent = " ".join(str(adaptor.problem) for adaptor in known if adaptor.problem)
    what_looked = f"Supported formats: {looked or 'none'}."
    contents, instead = _contents(path)
    sentences = (
        f"No adaptor can read {path} as a {what}.",
        contents,
        instead if what == "run" else advice(path),
        _within(path, known, what),
        what_looked,
        absent,
    )
    return " ".join(filter(None, sentences))


def _contents(path: Path) -> tuple[str, str]:
    """What is there, in a sentence: the file's first bytes, or the folder's files counted by kind; and what can be done with
    what is known for no run."""
    try:
        if not path.is_dir():
            kind = kind_of(path)
            with open_regular(path) as file:
                head = file.read(8)
            size = path.stat().st_size
            if kind is not None:
                return f"It is a {kind.name} of {size:,} bytes.", kind.instead
            return f"It is a file of {size:,} bytes that begins with {head!r}.", ""
        listed = list(islice(path.iterdir(), _MOST_LISTED))
        folders = sum(entry.is_dir() for entry in listed)
        counts, kinds = counted(entry for entry in listed if not entry.is_dir())
    except OSError as error:
        return f"It cannot be {'listed' if path.is_dir() else 'read'} ({error.strerror}).", ""
    if folders:
        counts.append("1 folder" if folders == 1 else f"{folders} folders")
    more = " (only the first were counted)" if len(listed) == _MOST_LISTED else ""
    holds = f"It holds {', '.join(counts)}{more}." if counts else "It is an empty folder."
    return holds, " ".join(dict.fromkeys(kind.instead for kind in kinds[:2]))


def _within(path: Path, known: list[Registered], what: str) -> str:
    """Which of its folders would be read, in a sentence."""
    try:
        folders = sorted(entry for entry in islice(path.iterdir(), _MOST_LISTED) if entry.is_dir())[:_MOST_FOLDERS]
    except OSError:
        return ""
    found = [folder.name for folder in folders if any(_takes(each, folder) for each in known)]
    if not found:
        return ""
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{', '.join(found[:_MOST_NAMED])}{more} in it {'looks' if len(found) == 1 else 'look'} like a {what}: open that."


def _takes(adaptor: Registered, path: Path) -> bool:
    try:
        return adaptor.implementation is not None and bool(adaptor.implementation.can_open(path))
    except Exception:  # a stranger's; what it says of a folder nobody named is a hint and no more
        return False
