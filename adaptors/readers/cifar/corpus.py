"""What CIFAR-10 and CIFAR-100 share: a folder of batches, perhaps inside the folder that their archive unpacks to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.arrays.image_arrays import ArrayCorpus
from mloscope.adaptors.readers.cifar.batches import read_batch, read_class_names, split_of


class CifarCorpus(ArrayCorpus):
    """Adaptors say what their files are called, and give :meth:`batch_file`."""

    inside: ClassVar[tuple[str, ...]]
    """Folders that the archives unpack to, one for each version."""
    batches: ClassVar[Mapping[str, Sequence[str]]]
    """The names of each split's files, without ``.bin``."""
    labels_key: ClassVar[str]
    """Under which a pickled batch keeps its labels."""
    label_bytes: ClassVar[int] = 1
    """Before the pixels of a binary record; the last is the label."""
    names_in: ClassVar[tuple[str, str, str]]
    """Where the names of the classes are: a text file, a pickle, and the pickle's key."""
    remarks: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def batch_file(cls, folder: Path, batch: str) -> Path | None:
        """The file of the batch, binary or pickled."""
        return next((folder / name for name in (f"{batch}.bin", batch) if (folder / name).is_file()), None)

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return path.is_dir() and cls._folder(path) is not None

    @classmethod
    def open(cls, path: Path) -> Self:
        folder = cls._folder(path)
        if folder is None:
            raise Unreadable(f"{path} is not one of the {cls.description}.")
        splits, problems = [], [f"{folder}: {remark}" for remark in cls.remarks]
        for name, batches in cls.batches.items():
            files = {batch: cls.batch_file(folder, batch) for batch in batches}
            missing = [batch for batch, file in files.items() if file is None]
            if missing:
                problems.append(f"{folder} has no {', '.join(missing)}, so the {name} images are not all there.")
            there = [read_batch(file, cls.labels_key, cls.label_bytes) for file in files.values() if file is not None]
            if there:
                splits.append(split_of(name, there))
        listed, pickled, key = cls.names_in
        names = read_class_names(folder / listed, folder / pickled, key)
        if not names:
            problems.append(f"{folder} has no class names in a {pickled} or {listed}, so classes are numbered.")
        return cls(path, splits, names, problems)

    @classmethod
    def _folder(cls, path: Path) -> Path | None:
        every = [batch for batches in cls.batches.values() for batch in batches]
        return next((path / sub for sub in cls.inside if any(cls.batch_file(path / sub, each) for each in every)), None)
