"""Arrays of labels as one class number per image: whole numbers, one-hot rows or texts. What gives no single class
(several labels per image, none, a quantity) becomes -1, and a sentence says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mloscope.adaptors.interface import Unreadable

MOST_NUMBER = 1 << 31
"""Labels are cut off here, which no corpus reaches."""


@dataclass
class Labels:
    """The labels of all splits of a file."""

    by_split: dict[str, np.ndarray]
    """int64 (image,), -1 unknown."""
    class_names: list[str]
    notes: list[str] = field(default_factory=list)


def read_labels(
    arrays: Mapping[str, np.ndarray],
    called: Mapping[str, str],
    counts: Mapping[str, int],
    names: Sequence[str],
    where: str,
) -> Labels:
    """Labels by split. ``called`` gives what each array is called in sentences, ``counts`` the images of every split,
    ``names`` the class names of the file, if any; ``where`` names the file. Splits without an array have no labels.
    Raises Unreadable."""
    found = Labels({}, list(names))
    shaped = {split: _shaped(array, counts[split], called[split]) for split, array in arrays.items()}
    found.by_split.update(_columns({s: a for s, a in shaped.items() if a.ndim == 2}, found, called))
    found.by_split.update(
        _texts({s: a for s, a in shaped.items() if a.ndim == 1 and a.dtype.kind in "US"}, found, where)
    )
    for split, array in shaped.items():
        if array.ndim == 1 and array.dtype.kind not in "US":
            found.by_split[split] = _numbers(array, found, called[split])
    for split, count in counts.items():
        if split not in arrays:
            found.notes.append(f"{where} holds no labels for {split}, so its {count:,} pictures have none.")
            found.by_split[split] = np.full(count, -1, np.int64)
    _count_from_zero(found, where)
    return found


def _shaped(array: np.ndarray, count: int, what: str) -> np.ndarray:
    """(image,) or (image, column)."""
    if array.dtype.kind not in "buifUS":
        raise Unreadable(f"{what} is of type {array.dtype}; labels should be whole numbers, one-hot rows or texts.")
    if array.ndim == 2 and len(array) == 1 and array.shape[1] == count:
        return array[0]
    array = array.reshape(len(array), -1) if array.ndim > 1 and len(array) else array.reshape(-1)
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def _columns(arrays: Mapping[str, np.ndarray], found: Labels, called: Mapping[str, str]) -> dict[str, np.ndarray]:
    """One-hot rows of all splits together: where one of them has several labels per image, the others are such labels
    too, though none of their images should have more than one."""
    labels: dict[str, np.ndarray] = {}
    are_hot = {
        split: bool(np.isin(array, (0, 1)).all()) if array.dtype.kind in "buif" else False
        for split, array in arrays.items()
    }
    is_one_hot = all(are_hot[split] and (array.sum(axis=1) <= 1).all() for split, array in arrays.items())
    for split, array in arrays.items():
        labels[split] = np.full(len(array), -1, np.int64)
        what = f"{called[split]} holds {array.shape[1]} columns of labels"
        if not are_hot[split]:
            found.notes.append(
                f"{what} with other values than 0 and 1 ({_sample(array)}), so not one-hot rows, and do not say which one "
                "class a picture has; its pictures are shown without labels."
            )
            continue
        sums = array.sum(axis=1)
        none, several = int((sums == 0).sum()), int((sums > 1).sum())
        if not is_one_hot:
            found.notes.append(
                f"{what} that are not one-hot: of {len(array):,} pictures {none:,} have no label, {several:,} have several and "
                f"{len(array) - none - several:,} have one. Statistics of classes need one class per picture, so all are shown "
                "without labels."
            )
            continue
        labels[split][sums == 1] = array[sums == 1].argmax(axis=1)
        if none:
            found.notes.append(
                f"{what}; {none:,} of {len(array):,} rows are all zeros, and those pictures have no label."
            )
        _name_columns(array.shape[1], found, what)
    return labels


def _name_columns(columns: int, found: Labels, what: str) -> None:
    """A column is a class, also one that no image has."""
    if found.class_names and len(found.class_names) != columns:
        found.notes.append(f"{what}, but there are {len(found.class_names)} class names.")
    found.class_names += [str(number) for number in range(len(found.class_names), columns)]


def _sample(array: np.ndarray) -> str:
    values = np.unique(array[:1000])
    others = [value for value in values.tolist() if value not in (0, 1)] or values.tolist()
    return ", ".join(f"{value:.4g}" if isinstance(value, float) else str(value)[:20] for value in others[:3]) + ", ..."


def _texts(arrays: Mapping[str, np.ndarray], found: Labels, where: str) -> dict[str, np.ndarray]:
    """Numbered in the order of the names given, else by value where they are numbers, else by the alphabet: first those
    of the training split, so that a class that only occurs elsewhere moves none of its classes."""
    texts = {
        split: (np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array).tolist()
        for split, array in arrays.items()
    }
    if not texts:
        return {}
    distinct = {split: set(each) - {""} for split, each in texts.items()}
    together = set().union(*distinct.values())
    if not found.class_names and all(text.isascii() and text.isdigit() and len(text) < 7 for text in together):
        found.notes.append(f"{where}: the labels are texts of whole numbers, which are used as class numbers.")
        return {s: np.array([int(text) if text else -1 for text in each], np.int64) for s, each in texts.items()}
    was_named = bool(found.class_names)
    for split in sorted(distinct, key=lambda split: split != "training"):
        lacking = sorted(distinct[split] - set(found.class_names))
        if lacking and found.class_names:
            found.notes.append(
                f"{where}: labels of {split} are not among the other classes and come after them: {_few(lacking)}."
            )
        found.class_names += lacking
    if not was_named:
        found.notes.append(
            f"{where}: the labels are texts without an order, numbered by the alphabet: "
            f"{_few([f'{number} {name}' for number, name in enumerate(found.class_names)])}."
        )
    numbers = {"": -1, **{name: number for number, name in reversed(list(enumerate(found.class_names))) if name}}
    return {split: np.array([numbers[text] for text in each], np.int64) for split, each in texts.items()}


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _numbers(array: np.ndarray, found: Labels, what: str) -> np.ndarray:
    unknown = np.zeros(len(array), bool)
    if array.dtype.kind == "f":
        unknown = ~np.isfinite(array)
        known = array[~unknown]
        if not np.array_equal(known, np.rint(known)):
            odd = known[known != np.rint(known)][0]
            found.notes.append(
                f"{what} holds labels that are not whole numbers ({odd:.7g}), so not classes; its pictures are shown without labels."
            )
            return np.full(len(array), -1, np.int64)
        if unknown.any():
            found.notes.append(
                f"{what} holds {int(unknown.sum()):,} labels that are not finite numbers; those pictures have no label."
            )
        array = np.where(unknown, -1, array.astype(np.float64))
    numbers = array.astype(np.int64) if array.dtype.kind == "b" else np.clip(array, -1, MOST_NUMBER).astype(np.int64)
    below = int((numbers < 0).sum() - unknown.sum())
    if below:
        hint = "; classes of -1 and 1 must be saved as 0 and 1" if set(np.unique(numbers).tolist()) == {-1, 1} else ""
        found.notes.append(f"{what} is below 0 for {below:,} of {len(numbers):,} pictures, which have no label{hint}.")
    return numbers


def _count_from_zero(found: Labels, where: str) -> None:
    """Where there are names for the labels 1 to n, and n of them, the first name is that of label 1."""
    known = [labels[labels >= 0] for labels in found.by_split.values()]
    lowest = min((int(labels.min()) for labels in known if labels.size), default=0)
    highest = max((int(labels.max()) for labels in known if labels.size), default=0)
    if lowest == 1 and highest == len(found.class_names) > 1:
        found.by_split = {split: np.where(labels > 0, labels - 1, -1) for split, labels in found.by_split.items()}
        found.notes.append(
            f"{where}: the labels run from 1 to {highest} and there are {highest} class names, so label 1 is the first class "
            f"({found.class_names[0]}): it has the number 0 here."
        )
