"""CIFAR-10: a folder of ``data_batch_1`` .. ``5`` and ``test_batch``, binary (``.bin``) or Python version."""

from __future__ import annotations

from typing import ClassVar

from mloscope.adaptors.readers.cifar.corpus import CifarCorpus


class Cifar10Corpus(CifarCorpus):
    format: ClassVar[str] = "cifar10"
    description: ClassVar[str] = "folders of data_batch_1 to 5 and test_batch, binary or Python version"
    inside = ("", "cifar-10-batches-bin", "cifar-10-batches-py")
    batches: ClassVar = {"training": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
    labels_key = "labels"
    names_in = ("batches.meta.txt", "batches.meta", "label_names")
