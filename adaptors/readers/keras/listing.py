"""Which files of a folder are the checkpoints of a Keras run: files beside one another, the parts of sharded weights as one,
or one folder for each epoch."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import h5py

from mloscope.adaptors.files.checkpoint_steps import is_special, read_steps
from mloscope.adaptors.files.numbers_in_names import Standing, numbers_in
from mloscope.adaptors.files.run_folder import enumerated
from mloscope.adaptors.interface import AdaptorError, RunOptions
from mloscope.adaptors.readers.keras import files as keras_files
from mloscope.adaptors.readers.keras.shards import without_shards

_RANK = {suffix: rank for rank, suffix in enumerate((".keras", ".h5", ".hdf5", ".weights.h5", ".weights.json"))}
_ARCHITECTURES = ("model.json", "architecture.json", "config.json")
_MOST_LISTED = 100_000
_MOST_IN_AN_EPOCH = 200
_TRIED = 3
_MOST_KINDS_OF_NAMES = 20


@dataclass(frozen=True)
class Listing:
    """What may be a checkpoint, by name relative to the folder; and what is not, in sentences."""

    folder: Path
    names: list[str]
    problems: list[str]
    beside: Path | None
    """A file that gives the network of files of weights alone."""


def holds_checkpoints(path: Path) -> bool:
    """Whether the path looks like a checkpoint, a folder of some, or a folder with one in a folder for each epoch; by names
    alone, nothing is opened."""
    if not path.is_dir():
        return path.is_file() and keras_files.is_checkpoint_name(path.name)
    if _checkpoints_in(path, _MOST_LISTED, 1):
        return True
    tried = islice((name for name in _folders_in(path) if _may_be_of_an_epoch(name)), _TRIED)
    return any(_checkpoints_in(path / name, _MOST_IN_AN_EPOCH, 1) for name in tried) and bool(_one_per_epoch(path)[0])


def listing(path: Path, options: RunOptions, noted: Collection[str]) -> Listing:
    """The checkpoints in the folder, or the one file. Those whose step was ``noted`` are checkpoints for certain."""
    folder = path if path.is_dir() else path.parent
    if not path.is_dir():
        found, problems = [path.name], []
    else:
        found, problems = without_shards(_checkpoints_in(path))
        if not found:
            found, problems = _one_per_epoch(path)
    found.sort(key=lambda name: (_rank(name), name))
    beside = _architecture_beside(folder, found, options)
    is_among = beside is not None and beside.parent == folder and beside.name in found
    if beside is not None and is_among and len(found) > 1 and beside.name not in noted:
        found.remove(beside.name)
        if is_special(keras_files.stem(beside.name)):
            problems.append(
                f"{beside.name} gives the network of the files of weights alone; it is not on the time axis."
            )
    strangers = _data_sets(folder, [name for name in found if name not in noted])
    if strangers and len(strangers) < len(found):
        found = [name for name in found if name not in strangers]
        one = len(strangers) == 1
        problems.append(
            f"{enumerated(strangers)} {'is an HDF5 file' if one else 'are HDF5 files'} of something else than a Keras model, "
            f"so {'it is' if one else 'they are'} left out."
        )
    return Listing(folder, found, problems, beside)


def _rank(name: str) -> int:
    return max(_RANK[suffix] for suffix in _RANK if name.lower().endswith(suffix))


def _checkpoints_in(folder: Path, most_listed: int = _MOST_LISTED, enough: int | None = None) -> list[str]:
    """The files with a checkpoint's name; a folder of a million pictures is not listed to the end."""
    try:
        with os.scandir(folder) as entries:
            listed = islice(entries, most_listed)
            names = (each.name for each in listed if keras_files.is_checkpoint_name(each.name) and each.is_file())
            return sorted(islice(names, enough))
    except OSError:
        return []


def _folders_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            listed = islice(entries, _MOST_LISTED)
            return sorted(entry.name for entry in listed if not entry.name.startswith(".") and entry.is_dir())
    except OSError:
        return []


def _may_be_of_an_epoch(name: str) -> bool:
    """Whether a folder's name has a number that may be a step; the number of a run or a seed is none."""
    return any(
        number.standing <= Standing.FREE or (number.standing == Standing.GLUED and len(number.kind) < 3)
        for number in numbers_in(keras_files.stem(name))
    )


def _one_per_epoch(folder: Path) -> tuple[list[str], list[str]]:
    """One file of each folder that has a step or a word such as best in its name; of several the one that most folders
    have. None where a folder holds several steps itself, for then each is a run of its own."""
    held: dict[str, list[str]] = {}
    for name in _folders_in(folder):
        if _may_be_of_an_epoch(name) or is_special(name):
            files = without_shards(_checkpoints_in(folder / name, _MOST_IN_AN_EPOCH))[0]
            if len(files) > 1 and len(set(read_steps([keras_files.stem(file) for file in files]).steps.values())) > 1:
                return [], []
            if files:
                held[name] = files
    if not any(_may_be_of_an_epoch(name) for name in held):
        return [], []
    common = Counter(_without_numbers(file) for files in held.values() for file in files)
    chosen = {
        name: min(files, key=lambda file: (-common[_without_numbers(file)], _rank(file), file))
        for name, files in held.items()
    }
    others = sorted({file for name, files in held.items() for file in files if file != chosen[name]})
    problems = []
    if others:
        example = next(iter(chosen.values()))
        problems.append(
            f"Of the files in each folder {example} and its like are shown; {enumerated(others)} are left out."
        )
    return [f"{name}/{file}" for name, file in chosen.items()], problems


def _without_numbers(name: str) -> str:
    return re.sub(r"[0-9]+", "#", name)


def _data_sets(folder: Path, names: Iterable[str]) -> list[str]:
    """Those of the names that are HDF5 files of something else. One file stands for all whose names differ in numbers
    alone."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        if name.lower().endswith((".h5", ".hdf5")):
            kinds.setdefault(_without_numbers(name), []).append(name)
    few = sorted(kinds.values(), key=len)[:_MOST_KINDS_OF_NAMES]
    return sorted(name for alike in few if _is_something_else(folder / alike[0]) for name in alike)


def _is_something_else(path: Path) -> bool:
    try:
        with keras_files.opened(path) as file:
            known = ("layers", "_layer_checkpoint_dependencies", "model_weights", "vars")
            if any(key in file for key in known) or any(key in file.attrs for key in ("layer_names", "model_config")):
                return False
            return any(isinstance(item, h5py.Dataset) for item in file.values())
    except (AdaptorError, OSError):
        return False  # a broken checkpoint, for all that is known


def _architecture_beside(folder: Path, names: Sequence[str], options: RunOptions) -> Path | None:
    """A file that gives the network of files with weights alone: ``model.json``, another JSON of a model, or a ``.keras``
    file without a number."""
    if options.architecture or not any(not name.lower().endswith(".keras") for name in names):
        return None
    places = [folder, *dict.fromkeys((folder / name).parent for name in names[:1])]
    for place in places:
        for name in _ARCHITECTURES:
            if (place / name).is_file():
                return place / name
    unnumbered = [name for name in names if name.lower().endswith(".keras") and not any(c.isdigit() for c in name)]
    return folder / unnumbered[0] if unnumbered else None
