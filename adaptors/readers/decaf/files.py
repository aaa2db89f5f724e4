"""The files of decaf, read with stubs for its classes.

Sources: ``decaf/base.py`` (``Net.save``), ``decaf/_blob.py``.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.files.regular_files import open_regular
from mloscope.adaptors.interface import AdaptorError, Unreadable
from mloscope.adaptors.networks.network import Unsupported
from mloscope.adaptors.readers.cuda_convnet.files import read_meta, read_pickle_of_python_2

_HEAD_BYTES = 64 * 1024
_MOST_LOOKED_AT = 1000
_LOOKED_AT_OF_A_KIND = 8


class Stub:
    """Stands for an object of decaf's: keeps its state, does nothing."""

    class_name = ""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def get(self, name: str, default: Any = None) -> Any:
        state = getattr(self, "state", None)
        return state.get(name, default) if isinstance(state, dict) else default

    def array(self, name: str) -> np.ndarray | None:
        """The data of the blob called so."""
        blob = self.get(name)
        state = getattr(blob, "state", None) if isinstance(blob, Stub) else None
        found = state[0] if isinstance(state, tuple) and state else None
        return found if isinstance(found, np.ndarray) and found.ndim else None

    def whole(self, name: str) -> int:
        """A whole number. Raises Unsupported."""
        value = self.get(name)
        if not isinstance(value, int) or not 0 <= value < 1 << 31:
            raise Unsupported(f"has no whole number as its {name}")
        return value

    def number(self, name: str) -> float:
        value = self.get(name)
        if not isinstance(value, int | float):
            raise Unsupported(f"has no number as its {name}")
        return float(value)


def stub_of_decaf(module: str, name: str) -> type | None:
    """What stands for the class of this name, where it is decaf's."""
    return type("Stub", (Stub,), {"class_name": name}) if module.split(".")[0] == "decaf" else None


@dataclass(frozen=True)
class Entry:
    """One layer as it was saved."""

    name: str
    layer: Stub
    needs: tuple[str, ...]
    provides: tuple[str, ...]


@dataclass(frozen=True)
class SavedNet:
    path: Path
    entries: tuple[Entry, ...]
    """In an order in which they can be computed."""


def read_content(path: Path) -> SavedNet | tuple[Mapping[str, Any], ...]:
    """What the file holds: a net, or the layers of one of cuda-convnet. Raises Refused and Unreadable."""
    content = read_pickle_of_python_2(path, stub_of_decaf)
    if isinstance(content, list) and len(content) == 2 and isinstance(content[1], dict):
        return SavedNet(path, _ordered([_entry(name, value, path) for name, value in content[1].items()], path))
    if isinstance(content, list) and content and all(isinstance(each, dict) for each in content):
        return tuple(content)
    raise Unreadable(f"{path} holds neither a net that decaf saved nor a list of cuda-convnet's layers.")


def _entry(name: Any, value: Any, path: Path) -> Entry:
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[0], Stub) and isinstance(name, str):
        names = [
            tuple(each) if isinstance(each, list | tuple) and all(isinstance(blob, str) for blob in each) else None
            for each in value[1:]
        ]
        if names[0] is not None and names[1] is not None:
            return Entry(name, value[0], names[0], names[1])
    raise Unreadable(f"{path}: {str(name)[:100]} is not stored as a layer with the blobs it needs and provides.")


def _ordered(entries: list[Entry], path: Path) -> tuple[Entry, ...]:
    provided = {blob for entry in entries for blob in entry.provides}
    ordered: list[Entry] = []
    known: set[str] = set()
    waiting = sorted(entries, key=lambda entry: entry.name)
    while waiting:
        ready = [entry for entry in waiting if all(b in known or b not in provided for b in entry.needs)]
        if not ready:
            raise Unreadable(f"{path}: {waiting[0].name} needs what comes after it.")
        ordered += ready
        known.update(blob for entry in ready for blob in entry.provides)
        waiting = [entry for entry in waiting if entry not in ready]
    return tuple(ordered)


# ------------------------------------------------------------------------------------------- what is there


def places(path: Path) -> list[Path]:
    """The file, or the folder's files that may be one of decaf's by name."""
    if not path.is_dir():
        return [path] if path.is_file() else []
    with os.scandir(path) as entries:
        names = [entry.name for _, entry in zip(range(_MOST_LOOKED_AT), entries, strict=False) if entry.is_file()]
    return [path / name for name in names if not name.endswith(".meta")]


def some_of_each_kind(paths: list[Path]) -> list[Path]:
    """At most eight of the files whose names end alike but for digits; of files without an extension, whose names are
    alike. A folder of somebody else's thousand checkpoints is not opened file by file."""
    taken: Counter[str] = Counter()
    chosen = []
    for path in paths:
        kind = re.sub(r"\d+", "", path.suffix) or re.sub(r"\d+", "", path.name)
        taken[kind] += 1
        if taken[kind] <= _LOOKED_AT_OF_A_KIND:
            chosen.append(path)
    return chosen


def is_net(path: Path) -> bool:
    """Whether the file is a pickled list of decaf's, or of cuda-convnet's layers."""
    try:
        with open_regular(path) as file:
            head = file.read(4)
            if head[:1] != b"\x80" or b"]" not in head:
                return False
            head += file.read(_HEAD_BYTES)
    except OSError:
        return False
    return b"decaf." in head or all(word in head for word in (b"name", b"type", b"outputs"))


def meta_beside(folder: Path, name: str) -> tuple[str | None, tuple[str, ...], tuple[str, ...]]:
    """The path of a ``.meta`` that holds a mean image, the class names in it, and what is wrong with it."""
    metas = sorted(folder.glob("*.meta"))
    same = [path for path in metas if name.startswith(path.name.removesuffix(".meta"))]
    if len(metas) > 1 and not same:
        return None, (), (f"{len(metas)} .meta files are beside {name}, and none has its name, so none is read.",)
    for path in same or metas[: len(metas) == 1]:
        try:
            mean, names = read_meta(path)
        except AdaptorError as error:
            return None, (), (f"{path.name} is ignored: {error}",)
        return (str(path) if mean is not None else None), names, ()
    return None, (), ()
