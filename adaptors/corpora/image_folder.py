"""Folders of pictures: one folder per class, optionally below ``train``, ``test`` or ``val``, or none at all.

Opening lists the folders and opens no picture. docs/corpora.md says how folders are read."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import quote_from_bytes, unquote_to_bytes

import numpy as np

from mloscope.adaptors.interface import AdaptorError, ImageRecord, Unknown, Unreadable
from mloscope.adaptors.readers.idx.sets import find_sets
from mloscope.adaptors.readers.image_folder.listing import Listing, Names, list_pictures
from mloscope.adaptors.readers.image_folder.picture import read_picture
from mloscope.adaptors.readers.image_folder.tree import holds_pictures

MOST_PROBLEMS = 1000


class ImageFolderCorpus:
    format: ClassVar[str] = "image-folder"
    description: ClassVar[str] = "folders of JPEG, PNG, GIF, WebP, BMP, TIFF or PNM pictures, one folder per class"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return path.is_dir() and not find_sets(path) and holds_pictures(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        if not (listing := list_pictures(path)).labels.size:
            raise Unreadable(" ".join((f"Neither {path} nor the folders in it hold a picture.", *listing.problems)))
        return cls(path, listing)

    def __init__(self, path: Path, listing: Listing) -> None:
        self._path, self._listing, self._names = path, listing, Names(listing)
        self._broken, self._lock = dict[str, str](), threading.Lock()

    def __len__(self) -> int:
        return len(self._listing.labels)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._listing.class_names

    @property
    def labels(self) -> np.ndarray:
        return self._listing.labels

    @property
    def splits(self) -> Mapping[str, range]:
        return self._listing.splits

    @property
    def image_shape(self) -> tuple[int, int, int] | None:
        return None  # to know it, every picture would have to be opened

    def names(self) -> Sequence[str]:
        return self._names

    def record(self, position: int) -> ImageRecord:
        relative, split = self._listing.place(position)
        label = int(self.labels[position])
        return ImageRecord(
            id=_id_of(relative),
            name=relative.rpartition("/")[2],
            label=label if label >= 0 else None,
            split=split,
            metadata={"file": relative},
        )

    def position(self, image_id: str) -> int:
        relative = os.fsdecode(unquote_to_bytes(image_id.replace("~", "%")))
        found = self._listing.position(relative) if _id_of(relative) == image_id else None
        if found is None:
            raise Unknown(f'There is no image "{image_id}".')
        return found

    def pixels(self, position: int) -> np.ndarray:
        relative, _ = self._listing.place(position)
        try:
            return read_picture(self._path / relative)
        except AdaptorError as error:
            with self._lock:
                if len(self._broken) < MOST_PROBLEMS:
                    self._broken[relative] = str(error)
            raise

    def problems(self) -> tuple[str, ...]:
        return (*self._listing.problems, *list(self._broken.values()))


def _id_of(relative: str) -> str:
    """The path, every byte but letters, digits and ``-_.`` as ``~`` and its hexadecimal: reversible."""
    return quote_from_bytes(os.fsencode(relative), safe="").replace("~", "%7E").replace("%", "~")
