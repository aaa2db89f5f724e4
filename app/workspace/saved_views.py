"""Views that somebody saved with a name and a note: bookmarks, kept in the cache folder beside the names given to outputs.

A small file for each view, so that whoever changes one need not wait for, nor undo, what others change at the same time.
"""

from __future__ import annotations

import datetime
import json
import re
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.app.errors import BadRequest, NotFound, NotPossible, Unavailable
from mloscope.app.process.whole_files import write_file

MOST_VIEWS = 2000
LONGEST_NAME = 200
LONGEST_NOTE = 4000
LONGEST_ADDRESS = 8000
_MOST_BYTES = 64 << 10
_ID = r"[0-9a-f]{16}"


@dataclass(frozen=True)
class SavedView:
    id: str
    name: str
    note: str
    address: str
    """Path, search and hash of the page: ``/confusion?run=mnist&corpus=digits#step=2000``."""
    author: str
    """Who saved it; empty where nobody signs in."""
    saved: str
    """When, as ISO 8601 in UTC."""

    @property
    def run(self) -> str | None:
        return self._named("run")

    @property
    def corpus(self) -> str | None:
        return self._named("corpus")

    def _named(self, key: str) -> str | None:
        return parse_qs(urlsplit(self.address).query).get(key, [None])[-1]

    def has(self, words: list[str]) -> bool:
        """Whether name, note, author or address contain all of the words, in lower case."""
        text = " ".join((self.name, self.note, self.author, self.address)).lower()
        return all(word in text for word in words)


class SavedViews:
    """All saved views. Thread-safe, for any number of processes; without a folder nothing is saved."""

    def __init__(self, folder: str | Path | None) -> None:
        self._folder = Path(folder) / "views" if folder is not None else None

    def search(self, text: str = "") -> list[SavedView]:
        """Return the views that contain all words of the text, the latest first. Raises :class:`Unavailable`."""
        words = text.lower().split()
        found = [view for view in map(_read, self._paths()) if view is not None and view.has(words)]
        return sorted(found, key=lambda view: (view.saved, view.id), reverse=True)

    def find(self, identifier: str) -> SavedView:
        """Return the view. Raises :class:`NotFound`."""
        view = _read(self._path(identifier)) if re.fullmatch(_ID, identifier) and self._folder else None
        if view is None:
            raise NotFound(f'There is no saved view "{identifier[:100]}"; it may have been deleted.')
        return view

    def add(self, name: str, note: str, address: str, author: str = "") -> SavedView:
        """Save a view. Raises :class:`BadRequest`, :class:`NotPossible` if there are too many, and :class:`Unavailable`."""
        if len(self._paths()) >= MOST_VIEWS:
            raise NotPossible(f"{MOST_VIEWS:,} views are saved, the most there may be; delete some first.")
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        return self._keep(SavedView(secrets.token_hex(8), name, note, address, author, now))

    def change(self, identifier: str, **values: str) -> SavedView:
        """Change name, note or address of a view. Raises as :meth:`add` and :meth:`find`."""
        return self._keep(replace(self.find(identifier), **values))

    def remove(self, identifier: str) -> None:
        """Delete a view. Raises :class:`NotFound` and :class:`Unavailable`."""
        self.find(identifier)
        try:
            self._path(identifier).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"The view cannot be deleted: {error.strerror or error}.") from error

    def _paths(self) -> list[Path]:
        return list(self._folder.glob("*.json")) if self._folder is not None else []

    def _path(self, identifier: str) -> Path:
        if self._folder is None:
            raise NotPossible("There is no folder to save views in; set MLOSCOPE_CACHE_FOLDER.")
        return self._folder / f"{identifier}.json"

    def _keep(self, view: SavedView) -> SavedView:
        view, path = _checked(view), self._path(view.id)
        try:
            write_file(path, json.dumps(asdict(view)).encode(), private=True)
        except OSError as error:
            raise Unavailable(f"The view cannot be saved: {error.strerror or error}.") from error
        return view


def _read(path: Path) -> SavedView | None:
    try:
        return _checked(SavedView(**json.loads(read_regular(path, _MOST_BYTES))))
    except (OSError, ValueError, TypeError, AttributeError, BadRequest):
        return None  # deleted meanwhile, or not written by us


def _checked(view: SavedView) -> SavedView:
    """Return the view without spaces around its texts. Raises :class:`BadRequest`."""
    name, note = view.name.strip(), view.note.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"The name of a view needs 1 to {LONGEST_NAME} letters on one line; it has {len(name)}.")
    if len(note) > LONGEST_NOTE:
        raise BadRequest(f"The note has {len(note):,} letters; at most {LONGEST_NOTE:,} are allowed.")
    if len(view.address) > LONGEST_ADDRESS:
        raise BadRequest(
            f"The address of the view has {len(view.address):,} letters; at most {LONGEST_ADDRESS:,} are allowed."
        )
    if not re.match(r"/(?![/\\])", view.address) or not view.address.isprintable():
        raise BadRequest(
            f'"{view.address[:100]}" is not the address of a page here; expected one such as /confusion?run=mnist#step=2000.'
        )
    return replace(view, name=name, note=note)
