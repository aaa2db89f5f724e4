"""All folders below a folder with their pictures, found by listing alone, and what else lies there, counted."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.image_folder.picture import is_picture_name

DEEPEST = 8
_MOST_LOOKED_AT = 200
_CLASS_DEPTH = 2
"""Class folders lie at most so deep: below a split's folder."""


@dataclass
class Folder:
    """One folder of the tree."""

    relative: str
    """From the root, with forward slashes and one at the end; empty for the root itself."""
    files: list[str]
    """Sorted names of its pictures."""

    @property
    def parts(self) -> list[str]:
        return self.relative.split("/")[:-1]


@dataclass
class Tree:
    """What was found."""

    folders: list[Folder] = field(default_factory=list)
    """Parents before children, those without pictures included."""
    others: Counter[str] = field(default_factory=Counter)
    """How many files are no pictures, by suffix in lower case; "" without one, "hidden" where the name begins with a dot."""
    hidden: list[str] = field(default_factory=list)
    """Folders whose names begin with a dot, which are not entered, as far down as class folders lie."""
    problems: list[str] = field(default_factory=list)

    def names_below(self, relative: str) -> list[str]:
        """Sorted names of the folders right below one."""
        depth = relative.count("/") + 1
        return sorted(
            each.parts[-1] for each in self.folders if each.relative.startswith(relative) and len(each.parts) == depth
        )


def read_tree(path: Path) -> Tree:
    """Walk the folder. Raises Unreadable where it cannot be listed at all."""
    tree = Tree()
    try:
        os.scandir(path).close()
    except OSError as error:
        raise Unreadable(f"{path} cannot be listed: {error.strerror or error}.") from error
    _walk(str(path), "", tree, frozenset(), set())
    return tree


def _walk(root: str, relative: str, tree: Tree, above: frozenset[tuple[int, int]], seen: set[tuple[int, int]]) -> None:
    path, depth = os.path.join(root, relative), relative.count("/")
    try:
        status = os.stat(path)
        place = (status.st_dev, status.st_ino)
        # Links to folders are followed, as ImageNet is often laid out by them, and two classes may be one folder. But no
        # class enters a folder twice, nor one that it lies in.
        if place in above or place in seen:
            return
        if depth > DEEPEST:
            tree.problems.append(f"{path} is more than {DEEPEST} folders deep, so what lies there is left out.")
            return
        seen.add(place)
        files, folders = _listed(path, tree.others)
    except OSError as error:
        tree.problems.append(f"{path} cannot be listed: {error.strerror or error}.")
        files, folders = [], []
        place = (-1, -1)
    tree.folders.append(Folder(relative, sorted(files)))
    for name in sorted(folders):
        if not name.startswith("."):
            below = set() if depth < _CLASS_DEPTH else seen
            _walk(root, f"{relative}{name}/", tree, above | {place}, below)
        elif depth < _CLASS_DEPTH:
            tree.hidden.append(f"{relative}{name}")


def _listed(path: str, others: Counter[str]) -> tuple[list[str], list[str]]:
    """Names of pictures and of folders."""
    files, folders = [], []
    with os.scandir(path) as entries:
        for entry in entries:
            name = entry.name
            if is_picture_name(name) and not entry.is_dir(follow_symlinks=False):
                files.append(name)
            elif entry.is_dir():
                folders.append(name)
            else:
                others["hidden" if name.startswith(".") else os.path.splitext(name)[1].lower()] += 1
    return files, folders


def holds_pictures(path: Path) -> bool:
    """Whether a picture lies in the folder or not far below it. Looks at a few entries of a few folders only."""
    waiting = deque([str(path)])
    for _ in range(_MOST_LOOKED_AT):
        if not waiting:
            return False
        try:
            with os.scandir(waiting.popleft()) as entries:
                some = list(islice(entries, 1000))
            if any(is_picture_name(entry.name) for entry in some):
                return True
            waiting.extend(_visible_folders(some))
        except OSError:
            continue
    return False


def _visible_folders(entries: list[os.DirEntry[str]]) -> Iterator[str]:
    folders = sorted(entry.path for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    return islice(folders, 20)
