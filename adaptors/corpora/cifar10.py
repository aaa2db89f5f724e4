"""CIFAR-10: a folder of ``data_batch_1`` .. ``5`` and ``test_batch``, binary (``.bin``) or Python version."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.arrays.image_arrays import ArrayCorpus
from mloscope.adaptors.readers.cifar.batches import read_batch, read_class_names, split_of

_BATCHES = {"training": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
_INSIDE = ("", "cifar-10-batches-bin", "cifar-10-batches-py")


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
        splits, problems = [], []
        for name, batches in _BATCHES.items():
            files = [file for batch in batches if (file := _file(folder, batch)) is not None]
            missing = [batch for batch in batches if _file(folder, batch) is None]
            if missing:
                problems.append(
                    f"{folder} has no {', '.join(missing)}, so the {name} images of CIFAR-10 are not all there."
                )
            if files:
                splits.append(split_of(name, [read_batch(file, "labels") for file in files]))
        names = read_class_names(folder / "batches.meta.txt", folder / "batches.meta", "label_names")
        if not names:
            problems.append(
                f"{folder} has no class names in a batches.meta or batches.meta.txt, so classes are numbered."
            )
        return cls(path, splits, names, problems)


def _folder(path: Path) -> Path | None:
    names = [*_BATCHES["training"], *_BATCHES["test"]]
    return next((path / sub for sub in _INSIDE if any(_file(path / sub, name) for name in names)), None)


def _file(folder: Path, batch: str) -> Path | None:
    return next((folder / name for name in (batch + ".bin", batch) if (folder / name).is_file()), None)
