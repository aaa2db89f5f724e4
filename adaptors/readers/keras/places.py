"""Where a layer's arrays lie in a file, remembered so that reading them again does not take HDF5.

HDF5 finds an array through groups, tables and attributes, and reads each in small pieces: for most layers that takes
longer than the bytes themselves. What h5py has found and read once is read directly from then on, as long as the opened
file has the same size, times and inode before and after. This holds for numbers that lie in one piece as NumPy has them;
all other arrays (chunked, compressed, converted, in memory) are left to h5py each time.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, cast

import h5py
import numpy as np
from cachetools import LRUCache

from mloscope.adaptors.files.regular_files import open_regular
from mloscope.adaptors.fingerprint import SETTLED_NS
from mloscope.adaptors.readers.keras.hdf5_window import Window
from mloscope.adaptors.readers.keras.legacy_arrays import Stored

_MOST_REMEMBERED = 20_000
"""Arrays of a run: some 10 MB."""
_COMPARED_BYTES = 64

Arrays = dict[str, np.ndarray]
Note = Callable[[str, Mapping[str, Stored], Arrays], None]


class _Stamp(NamedTuple):
    """What an opened file has as long as nobody changes it."""

    size: int
    changed_ns: int
    moved_ns: int
    """When anything was changed, its times and its place included; nobody can set it back."""
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class _Place:
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, file: IO[bytes]) -> np.ndarray:
        """Raises OSError, and EOFError where the file is shorter."""
        values = np.empty(self.shape, self.dtype)
        view = memoryview(values.reshape(-1).view(np.uint8))
        file.seek(self.start)
        position = 0
        while position < len(view):
            count = file.readinto(view[position:])  # type: ignore[attr-defined]
            if not count:
                raise EOFError("it became shorter while it was read")
            position += count
        return values


class Places:
    """The places of one run's arrays. Safe to use from several threads."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._known: MutableMapping[tuple[str, str], tuple[_Stamp, dict[str, _Place]]] = LRUCache(
            _MOST_REMEMBERED, getsizeof=lambda known: min(len(known[1]) + 1, _MOST_REMEMBERED)
        )
        self._lock = threading.Lock()

    def read(self, path: Path, layers: Sequence[str]) -> dict[str, Arrays] | None:
        """Read the arrays of the layers, by layer and parameter; None unless all of their places are known and the file is
        unchanged. Whatever goes wrong is None too: h5py then says what it is."""
        with self._lock:
            known = [self._known.get((str(path), layer)) for layer in layers]
        if not known or any(each is None for each in known):
            return None
        stamps = {stamp for stamp, _ in known}
        try:
            with open_regular(path, buffering=0) as file:
                if {_stamp(file)} != stamps:
                    return None
                found = {
                    layer: {name: place.read(file) for name, place in places.items()}
                    for layer, (_, places) in zip(layers, known, strict=True)
                }
                return found if {_stamp(file)} == stamps else None
        except (OSError, EOFError, MemoryError):
            return None

    @contextmanager
    def noted(self, path: Path, window: Window | None) -> Iterator[Note]:
        """Remember at the end what is noted of each layer that h5py reads through the window: its datasets and its arrays by
        parameter. A file that was changed shortly before is not remembered, because it could be changed again without its
        times telling."""
        place = window.place if window else None
        before = _stamp(place[0]) if place else None
        if place is None or before is None or self._clock_ns() - max(before.changed_ns, before.moved_ns) <= SETTLED_NS:
            yield lambda layer, datasets, arrays: None
            return
        found: dict[str, dict[str, _Place]] = {}

        def note(layer: str, datasets: Mapping[str, Stored], arrays: Arrays) -> None:
            places = {name: _place(datasets[name], values, *place, before.size) for name, values in arrays.items()}
            if all(places.values()):
                found[layer] = cast(dict[str, _Place], places)

        yield note
        if _stamp(place[0]) == before:
            with self._lock:
                self._known.update({(str(path), layer): (before, places) for layer, places in found.items()})


def _stamp(file: IO[bytes]) -> _Stamp:
    status = os.fstat(file.fileno())
    return _Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)


def _place(dataset: Stored, values: np.ndarray, file: IO[bytes], start: int, size: int) -> _Place | None:
    """Where the dataset's bytes are those of ``values``; None where they are not."""
    if not isinstance(dataset, h5py.Dataset) or values.dtype != dataset.dtype or values.dtype.kind not in "fiu":
        return None
    offset = dataset.id.get_offset()  # None of chunks, of what lies in the header, and of nothing
    if offset is None or dataset.id.get_storage_size() != values.nbytes or start + offset + values.nbytes > size:
        return None
    if not dataset.id.get_type().equal(h5py.h5t.py_create(values.dtype)):
        return None
    place = _Place(start + offset, values.shape, values.dtype)
    return place if _has_same_ends(place, values, file) else None


def _has_same_ends(place: _Place, values: np.ndarray, file: IO[bytes]) -> bool:
    """Whether the first and the last bytes are those that h5py has given."""
    flat = values.reshape(-1).view(np.uint8)
    for begin in (0, max(0, values.nbytes - _COMPARED_BYTES)):
        file.seek(place.start + begin)
        expected = flat[begin : begin + _COMPARED_BYTES].tobytes()
        if file.read(len(expected)) != expected:
            return False
    return True
