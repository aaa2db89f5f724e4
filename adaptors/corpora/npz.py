"""NumPy archives: ``x_train``, ``y_train``, ``x_test``, ``y_test`` (as Keras ships), or ``images``,
``labels``, or ``x``, ``y``.

Images are (image, row, column[, channel]) or channels first; uint8, or floats in 0..1 or 0..255. Labels are
numbers, one-hot rows or texts. An optional ``class_names`` holds texts. Never unpickles.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import ClassVar, Self

import numpy as np

from mloscope.adaptors.corpora.image_arrays import ArrayCorpus, Split
from mloscope.adaptors.expansion import check_expansion
from mloscope.adaptors.interface import Refused, Unreadable

_BROKEN = (OSError, EOFError, LookupError, MemoryError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)
_BROKEN += (TypeError, ArithmeticError, SyntaxError, SystemError, TokenError)  # a header is a piece of Python to NumPy
_SPLITS = (
    ("training", (("x_train", "y_train"), ("train_images", "train_labels"))),
    ("validation", (("x_val", "y_val"), ("val_images", "val_labels"))),
    ("test", (("x_test", "y_test"), ("test_images", "test_labels"))),
    ("all", (("images", "labels"), ("x", "y"), ("X", "y"))),
)


class NpzCorpus(ArrayCorpus):
    format: ClassVar[str] = "npz"
    description: ClassVar[str] = ".npz files of x_train, y_train, x_test, y_test or images, labels"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return path.is_file() and path.suffix.lower() == ".npz"

    @classmethod
    def open(cls, path: Path) -> Self:
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    check_expansion(member.file_size, member.compress_size, f"{path}: {member.filename}")
                    if archive.open(member).read(6) != np.lib.format.MAGIC_PREFIX:
                        raise Unreadable(f"{path}: {member.filename} does not begin as a NumPy array does.")
            with np.load(path, allow_pickle=False) as arrays:
                return cls._of(path, arrays)
        except _BROKEN as error:
            if "allow_pickle" in str(error):
                raise Refused(f"{path} holds pickled objects, which could run code; save plain arrays.") from error
            raise Unreadable(f"{path} cannot be read, perhaps it is cut off: {error}.") from error

    @classmethod
    def _of(cls, path: Path, arrays: np.lib.npyio.NpzFile) -> Self:
        names = [str(name) for name in arrays["class_names"].ravel()] if "class_names" in arrays else []
        splits = []
        for split, pairs in _SPLITS:
            images, labels = next((pair for pair in pairs if pair[0] in arrays), (None, None))
            if images is None or labels is None:
                continue
            pixels = _pixels(arrays[images], f"{path}: {images}")
            given = _labels(arrays[labels], names) if labels in arrays else np.full(len(pixels), -1, np.int32)
            splits.append(Split(split, pixels, given))
        if not splits:
            wanted = ", ".join(pair[0] for _, pairs in _SPLITS for pair in pairs)
            raise Unreadable(f"{path} holds {', '.join(arrays.files) or 'nothing'}, but none of {wanted}.")
        return cls(path, splits, names)


def _pixels(array: np.ndarray, what: str) -> np.ndarray:
    """uint8 (image, row, column, channel)."""
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim == 4 and array.shape[-1] not in (1, 3) and array.shape[1] in (1, 3):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[-1] not in (1, 3) or array.dtype.kind not in "uif":
        raise Unreadable(f"{what} is {array.dtype} {array.shape}; pictures should be (image, row, column[, 1 or 3]).")
    if array.dtype == np.uint8:
        return array
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):  # also where one is NaN
        raise Unreadable(f"{what} runs from {low} to {high}; pixels lie in 0..255, or in 0..1 as floats.")
    scale = 255 if array.dtype.kind == "f" and high <= 1 else 1
    return np.rint(array * scale).astype(np.uint8)


def _labels(array: np.ndarray, names: list[str]) -> np.ndarray:
    """int32 (image,); texts are looked up in ``names``, which gets those it lacks."""
    if array.ndim == 2 and array.shape[1] > 1:
        return array.argmax(axis=1).astype(np.int32)
    flat = array.reshape(-1)
    if flat.dtype.kind not in "US":
        return flat.astype(np.int32)
    texts = (np.char.decode(flat, "utf-8", "replace") if flat.dtype.kind == "S" else flat).tolist()
    names.extend(sorted(set(texts) - set(names)))
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[text] for text in texts], np.int32)
