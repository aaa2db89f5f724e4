"""MNIST and its likes (Fashion-MNIST, KMNIST, EMNIST, QMNIST) in the idx format: a folder with the official files, plain
or gzipped, the folder that torchvision keeps them in, or one of the files."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from mloscope.adaptors.readers.arrays.image_arrays import ArrayCorpus, Split
from mloscope.adaptors.readers.arrays.label_values import Labels, read_labels
from mloscope.adaptors.readers.arrays.pixel_values import read_pictures
from mloscope.adaptors.readers.idx.files import read_idx
from mloscope.adaptors.readers.idx.sets import DIGITS, IdxSet, class_names, find_sets, is_idx_name, remarks, the_set

_ORDER = ("training", "validation", "test")


class MnistIdxCorpus(ArrayCorpus):
    format: ClassVar[str] = "mnist-idx"
    description: ClassVar[str] = "folders of train-images-idx3-ubyte, t10k-labels-idx1-ubyte and so on, plain or .gz"

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return bool(find_sets(path)) if path.is_dir() else is_idx_name(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        of = the_set(path)
        images = {split: of.images[split] for split in _ORDER if split in of.images}
        pictures = read_pictures({file.name: read_idx(file) for file in images.values()}, str(of.folder))
        pixels = {split: pictures.pixels[file.name] for split, file in images.items()}
        labels = _labels(of, {split: len(each) for split, each in pixels.items()})
        names = _named(of, pixels, labels)
        splits = [
            Split(split, each, labels.by_split[split], original=pictures.originals.get(images[split].name))
            for split, each in pixels.items()
        ]
        return cls(path, splits, names, [*remarks(of, path), *pictures.notes, *labels.notes])


def _labels(of: IdxSet, counts: dict[str, int]) -> Labels:
    files = {split: file for split, file in of.labels.items() if split in counts}
    arrays, notes = {split: read_idx(file) for split, file in files.items()}, []
    for split, array in arrays.items():
        if of.name.startswith("qmnist") and array.ndim == 2:
            # The class, then who wrote it and where that is in NIST's own series.
            notes.append(f"{files[split]}: of {array.shape[1]} columns the first is the class.")
            arrays[split] = array[:, 0]
    labels = read_labels(arrays, {split: str(file) for split, file in files.items()}, counts, [], str(of.folder))
    labels.notes[:0] = notes
    return labels


def _named(of: IdxSet, pixels: dict[str, np.ndarray], labels: Labels) -> list[str]:
    """Names of the classes, as many as the set has; of unknown sets, those of one-hot columns or none."""
    known = np.concatenate([each[each >= 0] for each in labels.by_split.values()])
    highest, first = int(known.max(initial=-1)), next(iter(labels.by_split.values()))[:10].tolist()
    names, how = class_names(of, first, highest)
    if how:
        labels.notes.append(f"{of.folder}: {how}")
    if names or labels.class_names or highest < 0:
        return list(names) or labels.class_names
    is_mnist = all(each.shape[1:] == (28, 28, 1) for each in pixels.values()) or "mnist" in of.folder.name.lower()
    if is_mnist and highest < len(DIGITS) - 1:
        labels.notes.append(
            f"{of.folder}: no label is above {highest}; there are ten classes all the same, as in MNIST."
        )
    return list(DIGITS) if is_mnist and highest < len(DIGITS) else []
