"""Weights that Keras 3 saved in several files (``save_weights(..., max_shard_size=)``).

``epoch1.weights.json`` says in its ``weight_map`` which of ``epoch1_00000.weights.h5``, ``epoch1_00001.weights.h5`` ... holds
which group; a layer's variables may lie in several. Source: ``ShardedH5IOStore`` in ``keras/src/saving/saving_lib.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.files.run_folder import enumerated
from mloscope.adaptors.interface import Refused, Unreadable

INDEX = ".weights.json"
LARGEST_INDEX_BYTES = 16 * 1024 * 1024
_MOST_SHARDS = 10_000
_SHARD = re.compile(r"(.+)_[0-9]{5}\.weights\.h5", re.IGNORECASE)


def is_index(path: Path) -> bool:
    return path.name.lower().endswith(INDEX)


def without_shards(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The names without those of shards, and a sentence for shards whose index is not among them. Where there is but one
    series of such names and no index, they are steps: ``epoch_00001.weights.h5``."""
    listed = list(names)
    indices = {name[: -len(INDEX)] for name in listed if name.lower().endswith(INDEX)}
    alone: dict[str, list[str]] = {}
    left = []
    for name in listed:
        shard = _SHARD.fullmatch(name)
        if shard is None:
            left.append(name)
        elif shard[1] not in indices:
            alone.setdefault(shard[1], []).append(name)
    are_shards = (len(alone) > 1 or bool(indices)) and all(_counts_from_0(shards) for shards in alone.values())
    if not are_shards:
        return sorted([*left, *(name for shards in alone.values() for name in shards)]), []
    problems = [
        f"{enumerated(shards)} look like the parts of {base}{INDEX}, which is not there, so they are left out."
        for base, shards in alone.items()
    ]
    return sorted(left), problems


def _counts_from_0(shards: Sequence[str]) -> bool:
    return sorted(int(name[-16:-11]) for name in shards) == list(range(len(shards)))


def parts(index: Path) -> list[Path]:
    """The files that hold the weights. Raises Unreadable where the index cannot be understood, and Refused where it names
    files of other folders."""
    try:
        weight_map = json.loads(read_regular(index, LARGEST_INDEX_BYTES))["weight_map"]
        listed = [[held] if isinstance(held, str) else list(held) for held in weight_map.values()]
        names = list(dict.fromkeys(name for held in listed for name in held))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{index} does not say which files hold its weights ({error}).") from error
    if not names or len(names) > _MOST_SHARDS or not all(isinstance(name, str) for name in names):
        raise Unreadable(f"{index} does not say which files hold its weights.")
    for name in names:
        if Path(name).name != name or "\\" in name:
            raise Refused(f"{index} names {name[:80]!r}, a file that does not lie beside it; it is not followed.")
    return [index.with_name(name) for name in names]


class Merged:
    """Several HDF5 groups as one: what h5py's groups offer as far as readers of Keras' files use it."""

    def __init__(self, groups: Sequence[Any]) -> None:
        self.groups = groups
        self.attrs = {key: value for group in reversed(groups) for key, value in group.attrs.items()}

    def get(self, key: str, default: Any = None) -> Any:
        found = [item for group in self.groups if (item := group.get(key)) is not None]
        if not found:
            return default
        if len(found) == 1 or isinstance(found[0], h5py.Dataset):
            return found[0]
        return Merged([item for item in found if not isinstance(item, h5py.Dataset)])

    def __getitem__(self, key: str) -> Any:
        found = self.get(key)
        if found is None:
            raise KeyError(key)
        return found

    def __contains__(self, key: str) -> bool:
        return any(key in group for group in self.groups)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for group in self.groups for key in group))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def keys(self) -> Iterable[str]:
        return list(self)

    def values(self) -> Iterable[Any]:
        return [self[key] for key in self]

    def items(self) -> Iterable[tuple[str, Any]]:
        return [(key, self[key]) for key in self]
