"""Which pictures lie in a folder, by split and class, found without opening one and kept small enough for
millions."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from mloscope.adaptors.interface import Unknown
from mloscope.adaptors.readers.image_folder.layout import Layout, lay_out
from mloscope.adaptors.readers.image_folder.tree import read_tree


class Listing:
    """The pictures in order: by split, then class, then path. Finds by position and by path without a table
    of all paths."""

    def __init__(self, layout: Layout) -> None:
        self.class_names = layout.class_names
        self.problems = tuple(layout.problems)
        self._folders = tuple(layout.folders)
        sizes = [len(folder.files) for folder in self._folders]
        self._starts = [0, *np.cumsum(sizes).tolist()]
        self._by_path = {folder.relative: number for number, folder in enumerate(self._folders)}
        labels = [np.broadcast_to(np.int32(folder.label), (len(folder.files),)) for folder in self._folders]
        self.labels: np.ndarray = np.concatenate([np.empty(0, np.int32), *labels])
        self.labels.flags.writeable = False
        ends: dict[str, tuple[int, int]] = {}
        for folder, start, end in zip(self._folders, self._starts, self._starts[1:], strict=False):
            ends[folder.split] = (ends.get(folder.split, (start, end))[0], end)
        self.splits: Mapping[str, range] = {split: range(*bounds) for split, bounds in ends.items()}

    def place(self, position: int) -> tuple[str, str]:
        """The picture's path from the corpus's folder, and its split. Raises Unknown."""
        if not 0 <= position < len(self.labels):
            raise Unknown(f"There are {len(self.labels)} images, so there is none at position {position}.")
        number = bisect_right(self._starts, position) - 1
        folder = self._folders[number]
        return folder.relative + folder.files[position - self._starts[number]], folder.split

    def position(self, relative: str) -> int | None:
        """Where the picture at this path stands; None where there is none."""
        parent, slash, name = relative.rpartition("/")
        number = self._by_path.get(parent + slash)
        if number is None:
            return None
        files = self._folders[number].files
        index = bisect_left(files, name)
        return self._starts[number] + index if index < len(files) and files[index] == name else None


class Names(Sequence[str]):
    """The file name of every picture, by position."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing

    def __len__(self) -> int:
        return len(self._listing.labels)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(index)
        return self._listing.place(number)[0].rpartition("/")[2]

    def __iter__(self) -> Iterator[str]:
        return (name for folder in self._listing._folders for name in folder.files)


def list_pictures(path: Path) -> Listing:
    """Walks the folder. Raises Unreadable where it cannot be listed at all."""
    return Listing(lay_out(path, read_tree(path)))
