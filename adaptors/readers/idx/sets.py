"""Which idx files belong together, where MNIST, Fashion-MNIST, KMNIST, EMNIST and QMNIST keep them, and what their classes
are called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mloscope.adaptors.interface import Unreadable

_FILE = re.compile(
    r"(?P<set>.*?)[-_.]?(?P<split>train|t10k|test|val)[-_.](?P<what>images|labels)[-_.]idx\d[-_.](?:ubyte|u?int)(?P<zipped>\.gz)?",
    re.IGNORECASE,
)
_SPLITS = {"train": "training", "val": "validation", "t10k": "test", "test": "test"}
_INNER = ("raw", "gzip")
_MOST_ENTRIES = 1000
DIGITS = tuple("0123456789")
_CAPITALS = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MERGED = (*DIGITS, *_CAPITALS, *"abdefghnqrt")  # letters that look alike in both cases are one class
_CLASSES = {
    "fashion": (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "emnist-letters": ("N/A", *_CAPITALS),
    "emnist-balanced": _MERGED,
    "emnist-bymerge": _MERGED,
    "emnist-byclass": (*DIGITS, *_CAPITALS, *map(str.lower, _CAPITALS)),
    "emnist-digits": DIGITS,
    "emnist-mnist": DIGITS,
    "qmnist": DIGITS,
}
"""By what a set's or its folder's name begins with or holds. EMNIST's letters count from 1; torchvision calls class 0 so."""


@dataclass
class IdxSet:
    """Files of one data set."""

    folder: Path
    name: str
    """What its files' names begin with: ``emnist-letters``; empty for those of MNIST itself."""
    images: dict[str, Path] = field(default_factory=dict)
    """By split."""
    labels: dict[str, Path] = field(default_factory=dict)


def is_idx_name(path: Path) -> bool:
    """Whether the path is an idx file of images by its name."""
    found = _FILE.fullmatch(path.name)
    return found is not None and found["what"].lower() == "images"


def find_sets(path: Path) -> list[IdxSet]:
    """The sets in the folder, or where torchvision keeps them below it (``MNIST/raw``); or the one a file belongs to."""
    if path.is_file():
        named = _FILE.fullmatch(path.name)
        found = _sets_in(path.parent) if named else []
        return [each for each in found if named and each.name == named["set"].lower() and path in each.images.values()]
    for folders in ([path], [path / inner for inner in _INNER], sorted(_kept_by_torchvision(path))):
        found = [each for folder in folders for each in _sets_in(folder)]
        if found:
            return found
    return []


def the_set(path: Path) -> IdxSet:
    """The only one. Raises Unreadable where there is none, or several."""
    found = find_sets(path)
    if not found:
        raise Unreadable(f"{path} holds neither train-images-idx3-ubyte nor t10k-images-idx3-ubyte, plain or with .gz.")
    if len(found) > 1:
        titles = ", ".join(str(next(iter(each.images.values()))) for each in found)
        raise Unreadable(
            f"{path} holds {len(found)} sets of images; give the path of one file of the one you mean: {titles}."
        )
    return found[0]


def class_names(of: IdxSet, first_labels: list[int], highest: int) -> tuple[tuple[str, ...], str]:
    """The names of the set's classes, none where it is not one of those known, and a sentence that says how it was told.

    ``first_labels`` are those of the training or test images, by which Fashion-MNIST, whose files are called as MNIST's
    are, is told where its folder has another name.
    """
    fashion = ([9, 0, 0, 3, 0, 2, 7, 2, 5, 5], [9, 2, 1, 1, 6, 1, 4, 6, 5, 7])
    folder = of.folder.absolute()
    called = (folder.parent if folder.name in _INNER else folder).name.lower().replace("-", "").replace("_", "")
    for known, names in _CLASSES.items():
        by_name = of.name.startswith(known)
        by_folder = not of.name and "-" not in known and known in called
        by_labels = not of.name and known == "fashion" and first_labels in fashion
        if (by_name or by_folder or by_labels) and highest < len(names):
            how = "files' names" if by_name else "folder's name" if by_folder else "first labels"
            return (
                names,
                "" if names is DIGITS else f"Classes are called as those of {_TITLES[known]}, told by the {how}.",
            )
    return (), ""


_TITLES = {"fashion": "Fashion-MNIST", "kmnist": "KMNIST"} | {
    name: name.upper() for name in _CLASSES if "emnist" in name
}


def remarks(of: IdxSet, path: Path) -> list[str]:
    """What the user should know about a set whose files differ from what they seem."""
    said = []
    if of.name.startswith("emnist"):
        said.append(
            f"{path}: EMNIST's pictures are stored with rows and columns exchanged. They are shown as stored, which is what "
            "torchvision and TensorFlow Datasets give to a network."
        )
    if of.name.startswith("emnist-letters"):
        said.append(
            f"{path}: the labels of EMNIST's letters run from 1 to 26, so there is an empty class 0. A network of 26 outputs was "
            "trained on labels less by 1."
        )
    return said


def _kept_by_torchvision(path: Path) -> Iterator[Path]:
    try:
        with os.scandir(path) as entries:
            for entry in islice(entries, _MOST_ENTRIES):
                if "mnist" in entry.name.lower() and entry.is_dir():
                    yield Path(entry.path) / "raw"
    except OSError:
        return


def _sets_in(folder: Path) -> list[IdxSet]:
    """Of several files of the same kind, the plain one counts, and the one with hyphens alone."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MOST_ENTRIES)]
    except OSError:
        return []
    sets: dict[str, IdxSet] = {}
    for name in sorted(names, key=lambda name: (name.lower().endswith(".gz"), ".idx" in name, name)):
        found = _FILE.fullmatch(name)
        file = _unfolded(folder / name) if found else None
        if found and file is not None:
            of = sets.setdefault(found["set"].lower(), IdxSet(folder, found["set"].lower()))
            files = of.images if found["what"].lower() == "images" else of.labels
            files.setdefault(_SPLITS[found["split"].lower()], file)
    return [of for _, of in sorted(sets.items()) if of.images]


def _unfolded(path: Path) -> Path | None:
    """The file; some archives unpack to a folder of the file's name with the file in it."""
    if path.is_dir():
        return next((each for each in sorted(path.iterdir()) if _FILE.fullmatch(each.name) and each.is_file()), None)
    return path if path.is_file() else None
