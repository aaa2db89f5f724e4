"""What runs and corpora are called: a name for addresses, and a title for people.

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
    """The name with letters a-z, A-Z, digits and ``-_.`` only, at most :data:`LONGEST`; ``unnamed`` where nothing is left.
    What it equals can be a name; for what it does not equal it is one to suggest."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)[:LONGEST].strip("-.")
    return safe or "unnamed"


def address_name(name: str) -> str:
    """What stands in addresses for something that is called so: the name itself where it can, else as much of it as can
    and a hash of all of it."""
    safe = url_safe(name)
    return safe if safe == name else _hashed(safe, name)


def _hashed(safe: str, whole: str) -> str:
    # One name, whichever way its accents are written: file systems change that.
    digest = hashlib.sha256(os.fsencode(unicodedata.normalize("NFC", whole))).hexdigest()[:_HASH_LETTERS]
    return f"{safe[: LONGEST - _HASH_LETTERS - 1].rstrip('-.')}-{digest}"


def title_of(name: str) -> str:
    """The name of a file for people to read, whatever bytes it is made of."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def own_name(path: Path, otherwise: str | None = None) -> str:
    """Of a file without what tells its format. ``otherwise``: where nobody can tell whether it is one, as of a link that
    leads nowhere just now."""
    if not path.suffix:  # not looked at: it may be a link to a disk that does not answer
        return path.name
    try:
        return path.stem if stat.S_ISREG(os.stat(path).st_mode) else path.name
    except OSError:
        return otherwise or path.name


def names_of_entries(
    entries: Iterable[Path], taken: Collection[str] = (), own: Callable[[Path], str] = own_name
) -> dict[Path, str]:
    """A name for each entry of one folder. Where several would have the same, as ``a.npz`` and a folder ``a``, or it is
    ``taken``, it is nobody's, and each is called by its whole name with a hash."""
    plain = {entry: address_name(own(entry)) for entry in entries}
    counts = Counter(plain.values())
    return {
        entry: name if counts[name] == 1 and name not in taken else _hashed(url_safe(entry.name), entry.name)
        for entry, name in plain.items()
    }


def is_generic(path: Path) -> bool:
    """Whether the folder around it is needed to tell what it is."""
    return path.name.lower() in _GENERIC and bool(path.parent.name)


def names_of_paths(paths: Sequence[Path], taken: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Name and title for each of these, wherever they lie, none of them among those taken."""
    places = [Path(os.path.abspath(path.expanduser())) for path in paths]
    calls = [_calls(place) for place in places]
    ranks = [int(is_generic(place)) for place in places]
    reserved = set(taken)
    for _ in calls:  # each round tells at least two apart
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
    return [(unique_name(name, reserved), title) for name, title in chosen] if calls else []


def _calls(place: Path) -> list[tuple[str, str]]:
    """What it could be called, from little of its path to all."""
    own = own_name(place) or place.parent.name or "root"
    around = f"{title_of(place.parent.name)}/{title_of(own)}" if place.parent.name else title_of(own)
    return [
        (address_name(own), title_of(own)),
        (address_name(f"{place.parent.name}-{own}" if place.parent.name else own), around),
        (_hashed(url_safe(own), str(place)), around),
    ]


def unique_name(name: str, taken: set[str]) -> str:
    """The name, or with the first number that makes it another than those taken; it is taken from now on. For what is the
    same in all else."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}-{number}", number + 1
    taken.add(candidate)
    return candidate
