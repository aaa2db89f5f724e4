"""What people say about files of theirs, kept elsewhere: a small JSON file for each path, in one folder, replaced atomically.

Read by every web worker and command that uses the folder; a file is read again only once it has changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from mloscope.app.errors import NotPossible, Unavailable
from mloscope.app.process.whole_files import write_file

Kept = TypeVar("Kept")


class KeptBesidePaths(Generic[Kept]):
    """Values by path. Thread-safe; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, parsed: Callable[[Any], Kept]) -> None:
        """``parsed(document)`` makes the value; what it raises of the kind of ValueError, KeyError or TypeError means that the file
        says nothing to this version."""
        self._folder = folder
        self._parsed = parsed
        self._read: dict[Path, tuple[int, Kept | None]] = {}

    def find(self, about: Path) -> Kept | None:
        """Return what is kept of this path, None where nothing is."""
        if self._folder is None:
            return None
        path = self._path(about)
        try:
            changed = path.stat().st_mtime_ns
        except OSError:
            return None
        known = self._read.get(path)
        if known is None or known[0] != changed:
            known = self._read[path] = (changed, self._value(path))
        return known[1]

    def save(self, about: Path, document: dict[str, Any] | None) -> None:
        """Keep the document, or forget with None. Raises :class:`NotPossible` without a folder, and :class:`Unavailable` if it
        cannot be written at the moment."""
        if self._folder is None:
            if document is None:
                return
            raise NotPossible("There is no folder to save this in; set MLOSCOPE_CACHE_FOLDER.")
        path = self._path(about)
        self._read.pop(path, None)
        try:
            if document is None:
                path.unlink(missing_ok=True)
                return
            write_file(path, json.dumps(document).encode(), private=True)
        except OSError as error:
            raise Unavailable(f"The setting cannot be saved: {error.strerror or error}.") from error

    def _path(self, about: Path) -> Path:
        assert self._folder is not None
        # Not resolved, because its disk may not answer and every question needs this.
        digest = hashlib.sha256(os.path.abspath(about.expanduser()).encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / f"{digest[:32]}.json"

    def _value(self, path: Path) -> Kept | None:
        try:
            return self._parsed(json.loads(path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # written by a later version, or half of it lost: as if nothing were kept
