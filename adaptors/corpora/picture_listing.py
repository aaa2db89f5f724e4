"""Which pictures lie in a folder, by split and class, found without opening one and kept small enough for
millions."""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import overload

import numpy as np

from mloscope.adaptors.corpora.picture import is_picture_name
from mloscope.adaptors.interface import Unknown, Unreadable

_SPLITS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_ORDER = ("training", "validation", "test", "all")
_UNDIVIDED = "all"
DEEPEST = 8


@dataclass(frozen=True)
class _Folder:
    relative: str
    """From the corpus's folder, with forward slashes and one at the end; empty for that folder itself."""
    split: str
    class_name: str | None
    files: list[str]
    """Sorted names of its pictures."""


class Listing:
    """The pictures in order: by split, then class, then path. Finds by position and by path without a table
    of all paths."""

    def __init__(self, folders: Sequence[_Folder], problems: Sequence[str]) -> None:
        names = sorted({folder.class_name for folder in folders if folder.class_name is not None})
        numbers = {name: number for number, name in enumerate(names)}
        self.class_names: tuple[str, ...] = tuple(names)
        self.problems = tuple(problems)
        self._folders = sorted(
            folders,
            key=lambda folder: (
                _ORDER.index(folder.split),
                numbers.get(folder.class_name or "", -1),
                folder.relative,
            ),
        )
        sizes = [len(folder.files) for folder in self._folders]
        self._starts = [0, *np.cumsum(sizes).tolist()]
        self._by_path = {folder.relative: number for number, folder in enumerate(self._folders)}
        labels = [-1 if folder.class_name is None else numbers[folder.class_name] for folder in self._folders]
        self.labels: np.ndarray = np.repeat(np.array(labels, np.int32), np.array(sizes, np.int64))
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


def holds_pictures(path: Path) -> bool:
    """Whether a picture lies in the folder, or up to two folders down. Looks at a few entries of each
    only."""
    try:
        return _holds(str(path), 2)
    except OSError:
        return False


def _holds(path: str, deeper: int) -> bool:
    with os.scandir(path) as entries:
        some = list(islice(entries, 1000))
    if any(is_picture_name(entry.name) for entry in some):
        return True
    folders = [entry.path for entry in some if not entry.name.startswith(".") and entry.is_dir()]
    return deeper > 0 and any(_holds(folder, deeper - 1) for folder in folders[:20])


def list_pictures(path: Path) -> Listing:
    """Walks the folder. Raises Unreadable where it cannot be listed at all."""
    found: list[_Folder] = []
    problems: list[str] = []
    try:
        inside = sorted(entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise Unreadable(f"{path} cannot be listed: {error.strerror or error}.") from error
    splits = [name for name in inside if name.lower() in _SPLITS]
    seen: set[tuple[int, int]] = set()
    # Where some folders are named like splits they are the splits, and folders beside them are not classes.
    for name in splits:
        found += _walk(str(path), f"{name}/", _SPLITS[name.lower()], None, 1, seen, problems)
    if splits:
        others = [name for name in inside if name not in splits]
        if others:
            problems.append(f"{path} has {', '.join(splits)}, so {', '.join(others[:5])} beside them is left out.")
    else:
        found += _walk(str(path), "", _UNDIVIDED, None, 0, seen, problems)
    return Listing([folder for folder in found if folder.files], problems)


def _walk(
    root: str,
    relative: str,
    split: str,
    class_name: str | None,
    depth: int,
    seen: set[tuple[int, int]],
    problems: list[str],
) -> Iterator[_Folder]:
    """The folder and all below it; the folder right below a split (or the root) gives the class."""
    path = os.path.join(root, relative)
    try:
        status = os.stat(path)
        # Links to folders are followed, as ImageNet is often laid out by them, but no folder is entered
        # twice.
        if (status.st_dev, status.st_ino) in seen or depth > DEEPEST:
            return
        seen.add((status.st_dev, status.st_ino))
        files, folders = [], []
        with os.scandir(path) as entries:
            for entry in entries:
                if is_picture_name(entry.name):
                    files.append(entry.name)
                elif not entry.name.startswith(".") and entry.is_dir():
                    folders.append(entry.name)
    except OSError as error:
        problems.append(f"{path} cannot be listed: {error.strerror or error}.")
        return
    yield _Folder(relative, split, class_name, sorted(files))
    for name in sorted(folders):
        yield from _walk(root, f"{relative}{name}/", split, class_name or name, depth + 1, seen, problems)
