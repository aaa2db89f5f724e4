"""CIFAR-100: a folder of ``train`` and ``test`` with ``meta`` (Python version), or of ``train.bin`` and ``test.bin`` with
``fine_label_names.txt``. Labels are the 100 fine ones."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.arrays.image_arrays import ArrayCorpus
from mloscope.adaptors.readers.cifar.batches import read_batch, read_class_names, split_of

_SPLITS = {"training": "train", "test": "test"}
_INSIDE = ("", "cifar-100-python", "cifar-100-binary")
_LISTED, _PICKLED = "fine_label_names.txt", "meta"


class Cifar100Corpus(ArrayCorpus):
    format: ClassVar[str] = "cifar100"
    description: ClassVar[str] = "folders of CIFAR-100's train, test and meta, or train.bin and fine_label_names.txt"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return path.is_dir() and _folder(path) is not None

    @classmethod
    def open(cls, path: Path) -> Self:
        folder = _folder(path)
        if folder is None:
            raise Unreadable(f"{path} holds no train or test with meta, nor train.bin or test.bin with {_LISTED}.")
        splits, problems = [], [f"{folder}: the 100 fine labels are read, and the 20 coarse ones are not."]
        for name, batch in _SPLITS.items():
            file = _file(folder, batch)
            if file is None:
                problems.append(f"{folder} has no {batch}, so there are no {name} images.")
            else:
                splits.append(split_of(name, [read_batch(file, "fine_labels", label_bytes=2)]))
        return cls(path, splits, read_class_names(folder / _LISTED, folder / _PICKLED, "fine_label_names"), problems)


def _folder(path: Path) -> Path | None:
    return next((path / sub for sub in _INSIDE if any(_file(path / sub, name) for name in _SPLITS.values())), None)


def _file(folder: Path, batch: str) -> Path | None:
    """Only where the names of the classes lie beside it: many things are called train."""
    beside = ((batch, _PICKLED), (f"{batch}.bin", _LISTED))
    return next(
        (folder / name for name, other in beside if (folder / name).is_file() and (folder / other).is_file()), None
    )
