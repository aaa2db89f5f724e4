"""CIFAR-100: a folder of ``train`` and ``test`` with ``meta`` (Python version), or of ``train.bin`` and ``test.bin`` with
``fine_label_names.txt``. Labels are the 100 fine ones."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from mloscope.adaptors.readers.cifar.corpus import CifarCorpus


class Cifar100Corpus(CifarCorpus):
    format: ClassVar[str] = "cifar100"
    description: ClassVar[str] = "folders of CIFAR-100's train, test and meta, or train.bin and fine_label_names.txt"
    inside = ("", "cifar-100-python", "cifar-100-binary")
    batches: ClassVar = {"training": ["train"], "test": ["test"]}
    labels_key, label_bytes = "fine_labels", 2
    names_in = ("fine_label_names.txt", "meta", "fine_label_names")
    remarks = ("the 100 fine labels are read, and the 20 coarse ones are not.",)

    @classmethod
    def batch_file(cls, folder: Path, batch: str) -> Path | None:
        """Only where the names of the classes lie beside it: many things are called train."""
        listed, pickled, _key = cls.names_in
        beside = ((batch, pickled), (f"{batch}.bin", listed))
        return next(
            (folder / name for name, other in beside if (folder / name).is_file() and (folder / other).is_file()), None
        )
