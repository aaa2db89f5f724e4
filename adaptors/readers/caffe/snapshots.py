"""The arrays in a snapshot of Caffe, ``.caffemodel`` or ``.caffemodel.h5``, by layer."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import h5py
import numpy as np

from mloscope.adaptors.interface import AdaptorError, Unreadable
from mloscope.adaptors.networks.differences import first_difference
from mloscope.adaptors.networks.translated_run import CheckpointFiles
from mloscope.adaptors.readers.caffe.protobuf import read_blobs, read_caffemodel
from mloscope.adaptors.readers.keras import files as keras_files

SUFFIXES = (".caffemodel.h5", ".caffemodel")
MOST_BLOBS = 64
Shapes = Mapping[str, tuple[tuple[int, ...], ...]]
_Network = tuple[tuple[str, tuple[tuple[int, ...], ...]], ...]


def stem(name: str) -> str | None:
    """The name without its extension, None where it is no snapshot's."""
    return next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), None)


def read_shapes(path: Path) -> Shapes:
    """The shapes of each layer's arrays; layers without arrays are left out. Raises Unreadable, Refused."""
    if not path.name.lower().endswith(".h5"):
        layers = read_caffemodel(path).layers
        return {layer.name: tuple(blob.shape for blob in layer.blobs) for layer in layers if layer.blobs}
    with keras_files.opened(path) as file:
        found: dict[str, tuple[tuple[int, ...], ...]] = {}
        root = file.get("data")
        if not isinstance(root, h5py.Group):
            raise Unreadable(f"{path} has no group data with a group for each layer, as Caffe writes it.")
        pending = [("", root)]
        while pending:
            around, group = pending.pop()
            datasets = _numbered(group)
            if datasets:
                found[around] = tuple(dataset.shape for dataset in datasets)
            if around.count("/") < 8:  # a layer's name may have slashes, which HDF5 takes for groups
                inner = [(name, group.get(name)) for name in group if not name.isdigit()]
                pending += [
                    (f"{around}/{name}" if around else name, item)
                    for name, item in inner
                    if isinstance(item, h5py.Group)
                ]
    if not found:
        raise Unreadable(f"{path} holds no arrays.")
    return found


def read_arrays(path: Path, layers: Iterable[str]) -> dict[str, list[np.ndarray]]:
    """Each of these layers' arrays as stored, those that the file has. Raises Unreadable, Refused."""
    if not path.name.lower().endswith(".h5"):
        stored = {layer.name: layer.blobs for layer in reversed(read_caffemodel(path).layers) if layer.blobs}
        wanted = [(name, list(stored[name])) for name in layers if name in stored]
        every = read_blobs(path, [blob for _, blobs in wanted for blob in blobs])
        found, place = {}, 0
        for name, blobs in wanted:
            found[name] = every[place : place + len(blobs)]
            place += len(blobs)
        return found
    with keras_files.opened(path) as file:
        groups = {name: file.get(f"data/{name}") for name in layers}
        return {
            name: [keras_files.read(file, dataset, path) for dataset in _numbered(group)]
            for name, group in groups.items()
            if isinstance(group, h5py.Group)
        }


def _numbered(group: h5py.Group) -> list[h5py.Dataset]:
    datasets = []
    for number in range(MOST_BLOBS):
        item = group.get(str(number))
        if not isinstance(item, h5py.Dataset):
            break
        datasets.append(item)
    return datasets


def compared(files: CheckpointFiles) -> tuple[CheckpointFiles, Path, Shapes]:
    """The checkpoints, those of another network than most with a problem; the path of the last of the others,
    and the shapes of its arrays. Raises the error of the last file where none can be read.

    One file that can be read stands for all of its size and extension, for Caffe writes all alike; a mistake
    in that is caught when arrays are read."""
    problems: dict[str, str] = {}
    failure: AdaptorError | None = None
    alike: dict[tuple[str, int], tuple[Path, Shapes]] = {}
    kinds: dict[str, tuple[str, int]] = {}
    for each in reversed(files.checkpoints):
        path = files.folder / each.name
        try:
            kind = kinds[each.name] = (path.suffix.lower(), os.path.getsize(path))
            if kind not in alike:
                alike[kind] = path, read_shapes(path)
        except AdaptorError as error:
            failure, problems[each.name] = failure or error, str(error)
    networks = Counter(_network(alike[kinds[name]][1]) for name in kinds if name not in problems)
    if not networks:
        raise failure or Unreadable(f"{files.folder} holds no snapshot that can be read.")
    commonest = networks.most_common(1)[0][0]
    chosen = [name for name in kinds if name not in problems and _network(alike[kinds[name]][1]) == commonest]
    for name in kinds:
        if name not in problems and name not in chosen:
            problems[name] = (
                f"{name} holds another network than {chosen[0]} and most of the run "
                f"({first_difference(_network(alike[kinds[name]][1]), commonest)}), so it is not shown with it."
            )
    checkpoints = [dataclasses.replace(each, problem=problems.get(each.name)) for each in files.checkpoints]
    reference, shapes = alike[kinds[chosen[0]]]
    return CheckpointFiles(files.folder, tuple(checkpoints)), reference, shapes


def _network(shapes: Shapes) -> _Network:
    """Equal for files of one network: the extra axes of older files do not count, nor does the order."""
    without_ones = {
        name: tuple(tuple(size for size in shape if size != 1) for shape in arrays) for name, arrays in shapes.items()
    }
    return tuple(sorted(without_ones.items()))
