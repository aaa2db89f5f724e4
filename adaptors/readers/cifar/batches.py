"""The files of CIFAR-10 and CIFAR-100: records of label bytes and 3,072 pixel bytes, or pickled dictionaries of data, labels
and filenames. In both, pixels are ordered channel, row, column. Source: the data sets' own page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.files.allow_list_unpickler import read_pickle
from mloscope.adaptors.files.regular_files import map_regular, read_regular
from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.arrays.image_arrays import Chain, Split

_PIXELS = 3 * 32 * 32
MOST_LIST_BYTES = 1 << 20


@dataclass(frozen=True)
class Batch:
    """One file's pictures."""

    pixels: np.ndarray
    """uint8 (image, channel, row, column)."""
    labels: np.ndarray
    """int32 (image,)."""
    names: list[str]
    """File names, none where the file does not tell."""


def read_batch(path: Path, key: str, label_bytes: int = 1) -> Batch:
    """A batch, binary where its name ends in ``.bin``.

    ``key`` is where a pickled batch keeps its labels. Of a binary record's ``label_bytes`` the last is the label. Raises
    Unreadable, and Refused where a pickle asks for code.
    """
    return _read_binary(path, label_bytes) if path.suffix == ".bin" else _read_python(path, key)


def split_of(name: str, batches: Sequence[Batch]) -> Split:
    """Batches one after the other."""
    names = [each for batch in batches for each in batch.names]
    labels = np.concatenate([batch.labels for batch in batches])
    images = Chain([batch.pixels.transpose(0, 2, 3, 1) for batch in batches])
    return Split(name, images, labels, names if len(names) == len(labels) else None)


def read_class_names(listed: Path, pickled: Path, key: str) -> list[str]:
    """The names in a file of one per line, or under the key of a pickle; none where neither is there."""
    if listed.is_file():
        try:
            lines = read_regular(listed, MOST_LIST_BYTES).decode("utf-8", "replace").splitlines()
        except OSError as error:
            raise Unreadable(f"{listed} cannot be read: {error.strerror or error}.") from error
        return [line.strip() for line in lines if line.strip()]
    return _texts(_by_text(read_pickle(pickled)).get(key)) if pickled.is_file() else []


def _read_binary(path: Path, label_bytes: int) -> Batch:
    record = np.dtype([("labels", np.uint8, (label_bytes,)), ("pixels", np.uint8, (3, 32, 32))])
    records = map_regular(path, record)
    return Batch(records["pixels"], records["labels"][:, -1].astype(np.int32), [])


def _read_python(path: Path, key: str) -> Batch:
    batch = _by_text(read_pickle(path))
    data, labels = batch.get("data"), batch.get(key)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (_PIXELS,):
        raise Unreadable(f"{path} holds no data of uint8 (image, {_PIXELS}), as a CIFAR batch does.")
    known = [each for each in labels if isinstance(each, int) and 0 <= each < 256] if isinstance(labels, list) else []
    if len(known) != len(data):
        raise Unreadable(f"{path} does not hold one label, 0 to 255, for each of its {len(data)} images.")
    return Batch(_mapped(path, data).reshape(-1, 3, 32, 32), np.array(known, np.int32), _texts(batch.get("filenames")))


def _mapped(path: Path, data: np.ndarray) -> np.ndarray:
    """The same values from where they lie in the file, so that 180 MB of pictures need not stay in memory."""
    content = map_regular(path, np.dtype(np.uint8))
    start = bytes(content[:4096]).find(data[:1].tobytes()[:256])
    there = content[max(0, start) : max(0, start) + data.size]
    return there.reshape(data.shape) if np.array_equal(there, data.reshape(-1)) else data


def _by_text(value: Any) -> dict[str, Any]:
    """With texts as keys: pickles that Python 3 made of Python 2's keep them as bytes."""
    return dict(zip(_texts(list(value)), value.values(), strict=False)) if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    """Names, none where something else is among them."""
    names = value if isinstance(value, list) and all(isinstance(name, str | bytes) for name in value) else []
    return [name.decode("latin1") if isinstance(name, bytes) else name for name in names]
