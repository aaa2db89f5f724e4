"""CIFAR-10: a folder of ``data_batch_1`` .. ``5`` and ``test_batch``, binary (``.bin``) or Python version.

Binary: records of one label byte and 3,072 pixel bytes. Python: a pickled dictionary of data, labels and
filenames. In both, pixels are ordered channel, row, column. Source: the data set's own page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from mloscope.adaptors.allow_list_unpickler import read_pickle
from mloscope.adaptors.corpora.image_arrays import ArrayCorpus, Chain, Split
from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.regular_files import map_regular, read_regular

_BATCHES = {"training": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
_INSIDE = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
_RECORD = np.dtype([("label", np.uint8), ("pixels", np.uint8, (3, 32, 32))])
_PIXELS = 3 * 32 * 32


class Cifar10Corpus(ArrayCorpus):
    format: ClassVar[str] = "cifar10"
    description: ClassVar[str] = "folders of data_batch_1 to 5 and test_batch, binary or Python version"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return path.is_dir() and _folder(path) is not None

    @classmethod
    def open(cls, path: Path) -> Self:
        folder = _folder(path)
        if folder is None:
            raise Unreadable(f"{path} holds neither data_batch_1 nor test_batch, with or without .bin.")
        splits = []
        for name, batches in _BATCHES.items():
            files = [file for batch in batches if (file := _file(folder, batch)) is not None]
            parts = [_read_binary(file) if file.suffix == ".bin" else _read_python(file) for file in files]
            if parts:
                names = [name for _, _, own in parts for name in own]
                images = Chain([pixels.transpose(0, 2, 3, 1) for pixels, _, _ in parts])
                labels = np.concatenate([labels for _, labels, _ in parts])
                splits.append(Split(name, images, labels, names if len(names) == len(labels) else None))
        return cls(path, splits, _class_names(folder))


def _folder(path: Path) -> Path | None:
    names = [*_BATCHES["training"], *_BATCHES["test"]]
    return next((path / sub for sub in _INSIDE if any(_file(path / sub, name) for name in names)), None)


def _file(folder: Path, batch: str) -> Path | None:
    return next((folder / name for name in (batch + ".bin", batch) if (folder / name).is_file()), None)


def _read_binary(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    records = map_regular(path, _RECORD)
    return records["pixels"], records["label"].astype(np.int32), []


def _read_python(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    batch = _by_text(read_pickle(path))
    data, labels = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (_PIXELS,):
        raise Unreadable(f"{path} holds no data of uint8 (image, {_PIXELS}), as a CIFAR-10 batch does.")
    known = [each for each in labels if isinstance(each, int) and 0 <= each < 256] if isinstance(labels, list) else []
    if len(known) != len(data):
        raise Unreadable(f"{path} does not hold one label, 0 to 255, for each of its {len(data)} images.")
    return _mapped(path, data).reshape(-1, 3, 32, 32), np.array(known, np.int32), _texts(batch.get("filenames"))


def _mapped(path: Path, data: np.ndarray) -> np.ndarray:
    """The same values from where they lie in the file, so that 180 MB of pictures need not stay in memory."""
    content = map_regular(path, np.dtype(np.uint8))
    start = bytes(content[:4096]).find(data[:1].tobytes()[:256])
    there = content[max(0, start) : max(0, start) + data.size]
    return there.reshape(data.shape) if np.array_equal(there, data.reshape(-1)) else data


def _class_names(folder: Path) -> list[str]:
    listed, pickled = folder / "batches.meta.txt", folder / "batches.meta"
    if listed.is_file():
        return read_regular(listed, 1 << 20).decode("utf-8", "replace").split()
    return _texts(_by_text(read_pickle(pickled)).get("label_names")) if pickled.is_file() else []


def _by_text(value: Any) -> dict[str, Any]:
    """With texts as keys: pickles that Python 3 made of Python 2's keep them as bytes."""
    return dict(zip(_texts(list(value)), value.values(), strict=False)) if isinstance(value, dict) else {}


def _texts(value: Any) -> list[str]:
    """Names, none where something else is among them."""
    names = value if isinstance(value, list) and all(isinstance(name, str | bytes) for name in value) else []
    return [name.decode("latin1") if isinstance(name, bytes) else name for name in names]
