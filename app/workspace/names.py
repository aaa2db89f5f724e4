"""Names of runs and corpora: a name for addresses, and a title for people.

A name says the same for ever, on every worker, in any script: it depends on what it names and never on what came first. Plain
names, of letters a-z, digits and ``-_.``, stay as they are; one that had to be changed or cut ends in a hash of the whole.
Where several would have one name, none of them has it, and each is called by more of its path.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

LONGEST = 60
_HASH_LETTERS = 8
_GENERIC = frozenset(
    (
        "checkpoints",
        "checkpoint",
        "ckpts",
        "ckpt",
        "weights",
        "snapshots",
        "saved_model",
        "model_checkpoints",
        "variables",
    )
)
"""Folders that everybody's runs have; the folder around them tells which run it is."""


def url_safe(name: str) -> str:
    """Return the name reduced to letters a-z, A-Z, digits and ``-_.``, at most :data:`LONGEST`; ``unnamed`` if nothing
    is left. A name that it leaves unchanged is valid; otherwise the result is a suggestion."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)[:LONGEST].strip("-.")
    return safe or "unnamed"


def address_name(name: str) -> str:
    """Return the name for addresses: the original if it is valid, else as much of it as possible and a hash of the
    whole."""
    safe = url_safe(name)
    return safe if safe == name else _hashed(safe, name)


def _hashed(safe: str, whole: str) -> str:
    # One name for all encodings of its accents, because file systems change them.
    digest = hashlib.sha256(os.fsencode(unicodedata.normalize("NFC", whole))).hexdigest()[:_HASH_LETTERS]
    return f"{safe[: LONGEST - _HASH_LETTERS - 1].rstrip('-.')}-{digest}"


def title_of(name: str) -> str:
    """Return the name of a file for people, whatever bytes it has."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def own_name(path: Path, otherwise: str | None = None) -> str:
    """Return the name of a file without its format's extension. ``otherwise``: the result if it is unknown whether it
    is a file, as for a link that is broken at the moment."""
    if not path.suffix:  # not looked at: it may be a link to a disk that does not answer
        return path.name
    try:
        return path.stem if stat.S_ISREG(os.stat(path).st_mode) else path.name
    except OSError:
        return otherwise or path.name


def names_of_entries(
    entries: Iterable[Path], taken: Collection[str] = (), own: Callable[[Path], str] = own_name
) -> dict[Path, str]:
    """Return a name for each entry of a folder. If several would share a name, as ``a.npz`` and a folder ``a``, or it
    is ``taken``, none of them gets it, and each is named by its full name with a hash."""
    plain = {entry: address_name(own(entry)) for entry in entries}
    counts = Counter(plain.values())
    return {
        entry: name if counts[name] == 1 and name not in taken else _hashed(url_safe(entry.name), entry.name)
        for entry, name in plain.items()
    }


def is_generic(path: Path) -> bool:
    """Return whether the parent folder is needed to identify it."""
    return path.name.lower() in _GENERIC and bool(path.parent.name)


def names_of_paths(paths: Sequence[Path], taken: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return name and title of each path, wherever it lies, distinct from those taken."""
    places = [Path(os.path.abspath(path.expanduser())) for path in paths]
    calls = [_calls(place) for place in places]
    ranks = [int(is_generic(place)) for place in places]
    reserved = set(taken)
    while True:  # until no rank rises any more
        chosen = [names[rank] for names, rank in zip(calls, ranks, strict=True)]
        owners: dict[str, set[Path]] = {}
        for (name, _title), place in zip(chosen, places, strict=True):
            owners.setdefault(name, set()).add(place)
        doubled = {name for name, them in owners.items() if len(them) > 1 or name in reserved}
        higher = [
            min(rank + 1, len(names) - 1) if name in doubled else rank
            for (name, _title), rank, names in zip(chosen, ranks, calls, strict=True)
        ]
        if higher == ranks:
            break
        ranks = higher
    return [(unique_name(name, reserved), title) for name, title in chosen]


def _calls(place: Path) -> list[tuple[str, str]]:
    """Return candidate names with their titles, from the last part of its path to all of it."""
    own = own_name(place) or "root"
    around = f"{title_of(place.parent.name)}/{title_of(own)}" if place.parent.name else title_of(own)
    return [
        (address_name(own), title_of(own)),
        (address_name(f"{place.parent.name}-{own}" if place.parent.name else own), around),
        (_hashed(url_safe(own), str(place)), around),
    ]


def unique_name(name: str, taken: set[str]) -> str:
    """Return the name, or the name with the first number that makes it unique, and mark it as taken. For paths that are
    otherwise identical."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    taken.add(candidate)
    return candidate
