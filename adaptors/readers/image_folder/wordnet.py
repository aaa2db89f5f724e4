"""What ImageNet and its excerpts (Tiny-ImageNet-200) lay beside the pictures: which class each picture of a split is of
where that split has no class folders, and what the classes, called by their WordNet numbers, are in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import AdaptorError, Unreadable

_NUMBER = re.compile(r"n\d{8}")
_TITLES = (("words.txt", "\t"), ("LOC_synset_mapping.txt", " "))
MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Annotations:
    """The classes of pictures, from a file that lists them."""

    file: str
    """From the corpus's folder."""
    class_of: dict[str, str]
    """Class folder's name by file name."""


def read_annotations(path: Path, relative: str, others: Counter[str]) -> Annotations | None:
    """``val/val_annotations.txt``: a picture's file name, its class and a box in a line, separated by tabs. None where
    there is none. Such a file is taken off ``others``."""
    file = f"{relative}{relative.rstrip('/').rpartition('/')[2]}_annotations.txt"
    if not relative or not (path / file).is_file():
        return None
    found = {}
    for line in _lines(path / file):
        name, _, rest = line.partition("\t")
        found[name] = rest.partition("\t")[0].strip()
    others -= Counter({".txt": 1})
    return Annotations(file, found)


def class_titles(path: Path, names: Sequence[str], others: Counter[str], problems: list[str]) -> tuple[str, ...]:
    """The classes in words where their folders are called by WordNet numbers and a file says what those mean, each with
    its number behind it: two classes may have the same words, and other files call them by their numbers."""
    if not names or not all(_NUMBER.fullmatch(name) for name in names):
        return tuple(names)
    _compare_order(path, names, others, problems)
    for file, separator in _TITLES:
        if not (path / file).is_file():
            continue
        wanted, words = set(names), {}
        try:
            for line in _lines(path / file):
                number, _, title = line.partition(separator)
                if number in wanted and title.strip():
                    words[number] = title.strip()
        except AdaptorError as error:
            problems.append(str(error))
            continue
        others -= Counter({".txt": 1})
        return tuple(f"{words[name]} ({name})" if name in words else name for name in names)
    return tuple(names)


def _compare_order(path: Path, names: Sequence[str], others: Counter[str], problems: list[str]) -> None:
    """Tiny-ImageNet's own list of classes has an order that no loader of folders takes."""
    if not (path / "wnids.txt").is_file():
        return
    others -= Counter({".txt": 1})
    if [line.strip() for line in _lines(path / "wnids.txt") if line.strip()] != list(names):
        problems.append(
            f"{path}: classes are numbered by the sorted names of their folders, as loaders of folders do, not in the order of "
            "wnids.txt."
        )


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from read_regular(path, MOST_BYTES).decode("utf-8", "replace").splitlines()
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
