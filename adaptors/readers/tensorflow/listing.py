r"""Which files of a folder are checkpoints of TensorFlow, told by names alone as far as that goes.

A checkpoint is its ``.index`` file. One whose ``.data`` files are gone still has its place in the run; which of them are
missing is told where the index is read. A folder per checkpoint may hold several, such as ``model`` and ``optimizer``:
those that hold a network are taken, and of several networks the largest, unless a step pattern such as
``epoch_(\d+)/discriminator`` chooses another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import AdaptorError
from mloscope.adaptors.readers.tensorflow import tensor_bundle
from mloscope.adaptors.readers.tensorflow.tensor_bundle import INDEX, open_bundle
from mloscope.adaptors.readers.tensorflow.variables import variables_of

SAVED_MODEL = "saved_model.pb"
VARIABLES = "variables/variables" + INDEX
_DATA = re.compile(r"(.*)\.data-\d{5}-of-\d{5}(\.tempstate\d+)?")
_COUNTERS = {"_iterations", "iter", "iterations"}
_MOST_LISTED = 100_000
_MOST_IN_A_FOLDER = 8
_MOST_NAMED = 3
LARGEST_STATE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Listing:
    """The indices, relative to the folder; as what their steps are read; and sentences about what is not among them."""

    names: tuple[str, ...]
    stems: tuple[str, ...]
    problems: tuple[str, ...] = ()


def holds_checkpoints(path: Path) -> bool:
    """Whether the path looks like a checkpoint, a SavedModel or a folder of some."""
    if path.is_file():
        return path.name.endswith(INDEX) and tensor_bundle.is_index(path)
    return path.is_dir() and bool(_found(path))


def listed(path: Path, has_pattern: bool) -> Listing:
    """What is at the path. Of several families of names, each with a checkpoint of every step, those without a network are
    left out, with a sentence."""
    if path.is_file():
        return Listing((path.name,), (stem(path.name),))
    names = sorted(_found(path))
    problems = [*_without_index(path), *_gone(path, names)]
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(_family(name), []).append(name)
    inner = any("/" in name and not name.endswith(VARIABLES) for name in names)
    several = len(families) > 1
    if several and len(families) <= _MOST_IN_A_FOLDER:
        sizes = {family: _values_in(path, members) for family, members in families.items()}
        networks = [family for family, size in sizes.items() if size != 0]
        for family in sorted(families.keys() - set(networks)) if networks else ():
            problems.append(_sentence(families.pop(family), "what an optimizer remembers, or no network at all, so"))
        several = len(families) > 1
        if inner and several and not has_pattern and _share_folders(list(families.values())):
            largest = max(families, key=lambda family: sizes[family] or 0)
            for family in sorted(families.keys() - {largest}):
                reason = f"another network than {families[largest][0]}, which is larger, so"
                pattern = re.sub(r"\d+", r"(\\d+)", families[family][0].removesuffix(INDEX), count=1)
                problems.append(f"{_sentence(families.pop(family), reason)} The step pattern {pattern} shows them.")
            several = False
    kept = sorted(name for members in families.values() for name in members)
    return Listing(tuple(kept), tuple(stem(name, whole=several and inner) for name in kept), tuple(problems))


def stem(name: str, whole: bool = False) -> str:
    """What tells the step: a SavedModel's folder, or the prefix without its extension; ``whole``: with its folder."""
    folder = name.removesuffix(VARIABLES).rstrip("/") if name.endswith(VARIABLES) else ""
    own = folder or name.removesuffix(INDEX)
    if "/" in own and not whole and not re.search(r"\d", own.rpartition("/")[2]):
        own = own.rpartition("/")[0]  # epoch_7/model.ckpt
    return re.sub(r"\.(ckpt|tf|model)$", "", own)


def _found(folder: Path) -> list[str]:
    """The indices in the folder, in SavedModels in it, or in those of its folders that hold one checkpoint each, or one of
    each name."""
    names, folders = _entries(folder)
    found = _indices(folder, names)
    if SAVED_MODEL in names and (folder / VARIABLES).is_file():
        found.append(VARIABLES)
    for inner in sorted(folders) if not found else ():
        if inner.startswith("."):
            continue
        if (folder / inner / VARIABLES).is_file():
            found.append(f"{inner}/{VARIABLES}")
            continue
        held = _indices(folder / inner, _entries(folder / inner)[0])
        if 1 <= len(held) <= _MOST_IN_A_FOLDER and len({_family(name) for name in held}) == len(held):
            found += [f"{inner}/{name}" for name in held]
    return found


def _entries(folder: Path) -> tuple[set[str], list[str]]:
    """The names of all that is in the folder, and of the folders among it."""
    try:
        with os.scandir(folder) as scanned:
            entries = list(islice(scanned, _MOST_LISTED))
            return {entry.name for entry in entries}, [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return set(), []


def _indices(folder: Path, names: set[str]) -> list[str]:
    """The names of indices; other programs call other files so, hence the look at those without data."""
    with_data = {found[1] for name in names if (found := _DATA.fullmatch(name)) and not found[2]}
    return [
        name
        for name in names
        if name.endswith(INDEX) and (name.removesuffix(INDEX) in with_data or tensor_bundle.is_index(folder / name))
    ]


def _family(name: str) -> str:
    """The name with its numbers, and its folder, taken out."""
    return re.sub(r"\d+", "#", name.rpartition("/")[2]) if not name.endswith(VARIABLES) else VARIABLES


def _share_folders(families: Sequence[Sequence[str]]) -> bool:
    folders = [{name.rpartition("/")[0] for name in members} for members in families]
    return any(first & second for i, first in enumerate(folders) for second in folders[i + 1 :])


def _values_in(folder: Path, names: Sequence[str]) -> int | None:
    """How many values of a network the first of these checkpoints holds that can be read; None where none can."""
    for name in names[:_MOST_NAMED]:
        try:
            bundle = open_bundle(folder / name.removesuffix(INDEX))
            if _is_optimizers(bundle.entries):
                return 0
            found = [each for each in variables_of(bundle) if not each.slot]
        except (AdaptorError, OSError):
            continue
        return sum(max(1, each.entry.size) for each in found)
    return None


def _is_optimizers(keys: Iterable[str]) -> bool:
    """Whether what was saved is an optimizer: it counts steps right below the root, or below its only child. Keras's hold
    the variables that they train, too."""
    parts = [key.split("/") for key in keys if not key.startswith(("_CHECKPOINTABLE", "save_counter"))]
    return any({each[depth] for each in parts if len(each) > depth} & _COUNTERS for depth in (0, 1)
               if depth == 0 or len({each[0] for each in parts}) == 1)  # fmt: skip


def _sentence(names: Sequence[str], what: str) -> str:
    more = f" and {len(names) - 1} more like it" if len(names) > 1 else ""
    they = "they are" if len(names) > 1 else "it is"
    return f"{names[0]}{more} {'hold' if more else 'holds'} {what} {they} left out."


def _without_index(folder: Path) -> list[str]:
    """A sentence where data files have no index beside them: a checkpoint that was not finished, or lost it."""
    names, _ = _entries(folder)
    lost = sorted(
        {found[1] for name in names if (found := _DATA.fullmatch(name)) and f"{found[1]}{INDEX}" not in names}
    )
    if not lost:
        return []
    more = f" and {len(lost) - _MOST_NAMED} more" if len(lost) > _MOST_NAMED else ""
    verb = "have" if len(lost) > 1 else "has"
    return [
        f"{', '.join(lost[:_MOST_NAMED])}{more} {verb} data files but no {INDEX}, as when saving was interrupted, so "
        "what was saved there cannot be read."
    ]


def _gone(folder: Path, names: Sequence[str]) -> list[str]:
    """Sentences where the file ``checkpoint`` names checkpoints that are not there."""
    try:
        text = read_regular(folder / "checkpoint", LARGEST_STATE_BYTES).decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        return [f"The file checkpoint of {folder} is ignored, for it cannot be read: {error.strerror or error}."]
    known = {name.rpartition("/")[2] for name in names}
    latest = [_last(path) for path in re.findall(r'^model_checkpoint_path: "(.*)"', text, re.M)][:1]
    every = [_last(path) for path in re.findall(r'^all_model_checkpoint_paths: "(.*)"', text, re.M)]
    absent = [f"The file checkpoint calls {name} the latest, but it is not in {folder}."
              for name in latest if f"{name}{INDEX}" not in known]  # fmt: skip
    others = [name for name in dict.fromkeys(every) if f"{name}{INDEX}" not in known and name not in latest]
    if others:
        more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
        absent.append(f"The file checkpoint names {', '.join(others[:_MOST_NAMED])}{more}, not in {folder}.")
    return absent


def _last(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[2]
