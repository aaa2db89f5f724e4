"""MNIST and its likes (Fashion-MNIST, KMNIST) in the idx format: a folder with the official files, plain or
gzipped.

The format: two zero bytes, a type byte (8: uint8), the number of axes, each axis' length as a big-endian
int32, the values.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from mloscope.adaptors.corpora.image_arrays import ArrayCorpus, Split
from mloscope.adaptors.expansion import check_expansion
from mloscope.adaptors.interface import Unreadable

_SPLITS = {"training": "train", "test": "t10k"}
_IMAGES, _LABELS = "-images-idx3-ubyte", "-labels-idx1-ubyte"


class MnistIdxCorpus(ArrayCorpus):
    format: ClassVar[str] = "mnist-idx"
    description: ClassVar[str] = "folders of train-images-idx3-ubyte, t10k-labels-idx1-ubyte and so on, plain or .gz"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return path.is_dir() and any(_file(path, prefix + _IMAGES) for prefix in _SPLITS.values())

    @classmethod
    def open(cls, path: Path) -> Self:
        splits, problems = [], []
        for name, prefix in _SPLITS.items():
            images, labels = _file(path, prefix + _IMAGES), _file(path, prefix + _LABELS)
            if images is None:
                continue
            pixels = _read(images, axes=3)[..., np.newaxis]
            if labels is None:
                problems.append(f"{path} has no {prefix}{_LABELS}, so the {name} images have no labels.")
            known = np.full(len(pixels), -1) if labels is None else _read(labels, axes=1).astype(np.int32)
            splits.append(Split(name, pixels, known))
        if not splits:
            raise Unreadable(f"{path} holds neither train{_IMAGES} nor t10k{_IMAGES}, plain or with .gz.")
        highest = max((int(split.labels.max(initial=-1)) for split in splits), default=-1)
        return cls(path, splits, [str(number) for number in range(max(10, highest + 1))], problems)


def _file(folder: Path, name: str) -> Path | None:
    # Some distributions write a dot where the official files have the last hyphen but one.
    names = (name, name + ".gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz")
    return next((folder / each for each in names if (folder / each).is_file()), None)


def _read(path: Path, axes: int) -> np.ndarray:
    """The array in an idx file, uint8; plain files are mapped into memory, gzipped ones unpacked once."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            head = file.read(4 + 4 * axes)
            if head[:4] != bytes((0, 0, 8, axes)) or len(head) < 4 + 4 * axes:
                raise Unreadable(f"{path} is not an idx file of {axes} axes: it begins with {head[:4]!r}.")
            shape = struct.unpack(f">{axes}I", head[4:])
            wanted = math.prod(shape)
            if path.suffix == ".gz":
                check_expansion(wanted, path.stat().st_size, str(path))
                values = np.frombuffer(file.read(wanted), np.uint8)
                file.read(1)  # reaching the end is what makes gzip compare its checksum
            else:
                values = np.memmap(path, np.uint8, mode="r", offset=len(head))[:wanted]
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise Unreadable(f"{path} cannot be read: {error}.") from error
    if len(values) < wanted:
        raise Unreadable(f"{path} is cut off: it should hold {wanted:,} values and has {len(values):,}.")
    return values.reshape(shape)
