"""NumPy archives: ``x_train``, ``y_train``, ``x_test``, ``y_test`` (as Keras ships), or ``images``,
``labels``, or ``x``, ``y``.

Images are (image, row, column[, channel]) or channels first, of integers or floats
(:mod:`mloscope.adaptors.readers.arrays.pixel_values`). Labels are numbers, one-hot rows or texts
(:mod:`mloscope.adaptors.readers.arrays.label_values`). An optional ``class_names`` holds texts. Never unpickles.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import ClassVar, Self

import numpy as np

from mloscope.adaptors.files.expansion import check_expansion
from mloscope.adaptors.files.regular_files import open_regular
from mloscope.adaptors.interface import Refused, Unreadable
from mloscope.adaptors.readers.arrays.image_arrays import ArrayCorpus, Split
from mloscope.adaptors.readers.arrays.label_values import read_labels
from mloscope.adaptors.readers.arrays.pixel_values import read_pictures
from mloscope.adaptors.readers.npz.members import KNOWN, sort_members

_BROKEN = (OSError, EOFError, LookupError, MemoryError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)
_BROKEN += (TypeError, ArithmeticError, SyntaxError, SystemError, TokenError)  # a header is a piece of Python to NumPy
_HEADS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class NpzCorpus(ArrayCorpus):
    format: ClassVar[str] = "npz"
    description: ClassVar[str] = ".npz files of x_train, y_train, x_test, y_test or images, labels"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return path.is_file() and path.suffix.lower() == ".npz"

    @classmethod
    def open(cls, path: Path) -> Self:
        try:
            with open_regular(path) as raw, zipfile.ZipFile(raw) as archive:
                shapes = {}
                for member in archive.infolist():
                    check_expansion(member.file_size, member.compress_size, f"{path}: {member.filename}")
                    shapes[member.filename.removesuffix(".npy")] = _shape(archive, member, path)
            with np.load(path, allow_pickle=False) as arrays:
                return cls._of(path, arrays, shapes)
        except _BROKEN as error:
            if "allow_pickle" in str(error):
                raise Refused(f"{path} holds pickled objects, which could run code; save plain arrays.") from error
            raise Unreadable(f"{path} cannot be read, perhaps it is cut off: {error}.") from error

    @classmethod
    def _of(cls, path: Path, arrays: np.lib.npyio.NpzFile, shapes: dict[str, tuple[int, ...]]) -> Self:
        members = sort_members(shapes, str(path))
        if not members.images:
            raise Unreadable(f"{path} holds {', '.join(arrays.files) or 'nothing'}, but none of {KNOWN}.")
        names = _class_names(arrays, members.class_names, members.notes, path)
        pictures = read_pictures({name: arrays[name] for name in members.images.values()}, str(path))
        images = {split: pictures.pixels[name] for split, name in members.images.items()}
        given = {split: arrays[name] for split, name in members.labels.items() if split in images}
        called = {split: f"{path}: {name}" for split, name in members.labels.items()}
        labels = read_labels(given, called, {split: len(array) for split, array in images.items()}, names, str(path))
        splits = [
            Split(split, array, labels.by_split[split], original=pictures.originals.get(members.images[split]))
            for split, array in images.items()
        ]
        return cls(path, splits, labels.class_names, [*members.notes, *pictures.notes, *labels.notes])


def _shape(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> tuple[int, ...]:
    """What the array's header says."""
    with archive.open(member) as file:
        if file.read(6) != np.lib.format.MAGIC_PREFIX:
            raise Unreadable(f"{path}: {member.filename} does not begin as a NumPy array does.")
        major, minor = file.read(2)
        return _HEADS.get((major, minor), _HEADS[2, 0])(file)[0]


def _class_names(arrays: np.lib.npyio.NpzFile, name: str | None, notes: list[str], path: Path) -> list[str]:
    if name is None:
        return []
    try:
        values = arrays[name].ravel()
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        notes.append(f"{path}: {name} holds pickled objects, which could run code, so it is not read; save texts.")
        return []
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
