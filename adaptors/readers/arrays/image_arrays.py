"""A corpus whose images are arrays in memory (or mapped into it): what formats with one array a split
share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from mloscope.adaptors.interface import ImageRecord, Unknown, Unreadable
from mloscope.adaptors.readers.arrays.pixel_values import Original

MOST_CLASSES = 1_000_000
"""Each gets a name, so a label gone wrong would otherwise fill the memory with names."""


class Chain:
    """Several arrays one after the other, as one that can only be counted and asked for one image.
    Concatenating would copy what lies mapped on the disk into memory."""

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape = (int(self._ends[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, number: int) -> np.ndarray:
        part = int(np.searchsorted(self._ends, number, side="right"))
        return self._parts[part][number - int(self._ends[part]) + len(self._parts[part])]

    def block(self, start: int, stop: int) -> np.ndarray:
        """Images ``start`` to ``stop`` - 1; a copy only where they lie in several arrays."""
        starts = self._ends - [len(part) for part in self._parts]
        pieces = [
            part[max(0, start - begin) : max(0, stop - begin)] for part, begin in zip(self._parts, starts, strict=True)
        ]
        pieces = [piece for piece in pieces if len(piece)]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


@dataclass(frozen=True)
class Split:
    """One split: ``images`` uint8 (image, row, column, channel), ``labels`` (image,) of whole numbers, -1
    unknown."""

    name: str
    images: np.ndarray | Chain
    labels: np.ndarray
    names: Sequence[str] | None = None
    """File names by image, where the format keeps them."""
    original: Original | None = None
    """What the file holds where that is more than ``images`` tells."""


class ArrayCorpus:
    """Everything of a corpus adaptor but ``can_open`` and ``open``. Image ``test-42`` is number 42 of the
    split test."""

    format: ClassVar[str]
    description: ClassVar[str]

    def __init__(
        self, path: Path, splits: Sequence[Split], class_names: Sequence[str], problems: Sequence[str] = ()
    ) -> None:
        for split in splits:
            if len(split.labels) != len(split.images):
                raise Unreadable(
                    f"{path}: the split {split.name} has {len(split.images)} images and "
                    f"{len(split.labels)} labels; "
                    "there should be one for each."
                )
        self._path, self._parts = path, tuple(splits)
        self._problems = list(problems)
        self._splits: dict[str, range] = {}
        start = 0
        for split in splits:
            self._splits[split.name] = range(start, start := start + len(split.images))
        labels = np.concatenate([np.asarray(split.labels, np.int64) for split in splits])
        self._class_names = self._named(labels, class_names)
        labels[labels < 0] = -1
        self._labels = labels.astype(np.int32)
        self._labels.flags.writeable = False

    def _named(self, labels: np.ndarray, class_names: Sequence[str]) -> tuple[str, ...]:
        """The class names, and numbers for the labels beyond them. What is doubtful about the labels becomes a problem."""
        path, given = self._path, [str(name) for name in class_names]
        highest = int(labels.max(initial=-1))
        if not all(map(_is_text, given)):
            raise Unreadable(f"{path} has a class name that is not valid Unicode.")
        if highest >= max(MOST_CLASSES, len(given)):
            raise Unreadable(f"{path} has a label {highest:,}; no corpus has more than {MOST_CLASSES:,} classes.")
        if given and highest >= len(given):
            self._problems.append(
                f"{path} has labels up to {highest} but only {len(given)} class names; the others are numbered."
            )
        known = labels[labels >= 0]
        if highest > 1 and not given and known.min() == 1:
            self._problems.append(
                f"{path} has labels from 1 to {highest} and none that is 0. Classes count from 0, so there are "
                f"{highest + 1} here; a network of {highest} outputs was trained on labels less by 1."
            )
        doubled = sorted(name for name, count in Counter(given).items() if count > 1)
        if doubled:
            self._problems.append(f"{path} has several classes of the same name: {', '.join(doubled[:5])}.")
        return (*given, *map(str, range(len(given), highest + 1)))

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._class_names

    @property
    def labels(self) -> np.ndarray:
        return self._labels

    @property
    def splits(self) -> Mapping[str, range]:
        return self._splits

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        shapes = {split.images.shape[1:] for split in self._parts}
        return shapes.pop() if len(shapes) == 1 else None

    def names(self) -> Sequence[str]:
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(
            name
            for split in self._parts
            for name in (split.names or (f"{split.name} {number}" for number in range(len(split.images))))
        )

    def record(self, position: int) -> ImageRecord:
        split, number = self._place(position)
        label = int(self._labels[position])
        return ImageRecord(
            id=f"{split.name}-{number}",
            name=str(split.names[number]) if split.names else f"{split.name} {number}",
            label=label if label >= 0 else None,
            split=split.name,
        )

    def position(self, image_id: str) -> int:
        split, _, number = image_id.rpartition("-")
        places = self._splits.get(split, range(0))
        is_number = number.isascii() and number.isdigit() and len(number) < 20  # or int() would not take it
        if not is_number or str(int(number)) != number or int(number) >= len(places):
            raise Unknown(f'There is no image "{image_id}"; ids run from {self._first_and_last()}.')
        return places[int(number)]

    def pixels(self, position: int) -> np.ndarray:
        split, number = self._place(position)
        return np.ascontiguousarray(split.images[number])

    def pixel_block(self, positions: range) -> np.ndarray | None:
        pieces = []
        for split, places in zip(self._parts, self._splits.values(), strict=True):
            start = max(positions.start, places.start) - places.start
            stop = min(positions.stop, places.stop) - places.start
            if start < stop:
                images = split.images
                pieces.append(images.block(start, stop) if isinstance(images, Chain) else images[start:stop])
        if sum(map(len, pieces)) != len(positions):
            raise Unknown(
                f"{self._path} has {len(self)} images; {positions.start} to {positions.stop - 1} are not all."
            )
        if len({piece.shape[1:] for piece in pieces}) != 1:
            return None
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def pixel_values(self, positions: range) -> np.ndarray | None:
        found, is_more = [], False
        for split, places in zip(self._parts, self._splits.values(), strict=True):
            start = max(positions.start, places.start) - places.start
            stop = min(positions.stop, places.stop) - places.start
            if start >= stop:
                continue
            if split.original is not None:
                found.append(split.original.block(start, stop))
                is_more = True
            elif any(part.original is not None for part in self._parts):
                found.append(np.stack([split.images[number] for number in range(start, stop)]).astype(np.float32))
        if not is_more or len({block.shape[1:] for block in found}) != 1:
            return None
        return found[0] if len(found) == 1 else np.concatenate(found)

    def problems(self) -> tuple[str, ...]:
        return tuple(self._problems)

    def _place(self, position: int) -> tuple[Split, int]:
        for split, places in zip(self._parts, self._splits.values(), strict=True):
            if position in places:
                return split, position - places.start
        raise Unknown(f"{self._path} has {len(self)} images, so there is none at position {position}.")

    def _first_and_last(self) -> str:
        return " and ".join(
            f"{name}-0 to {name}-{len(places) - 1}" for name, places in self._splits.items() if len(places)
        )


def _is_text(name: str) -> bool:
    """NumPy makes texts of any numbers, also of those that stand for no letter and cannot be written in UTF-8."""
    return all(ord(letter) < 0xD800 or 0xDFFF < ord(letter) < 0x110000 for letter in name)
