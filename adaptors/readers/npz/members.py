"""Which arrays of an ``.npz`` are images, labels and class names, and of which split, by their names.

``x_train``, ``X_train``, ``train_images``, ``trainX`` and ``images_train`` are the same: a word for what it is and, perhaps,
one for the split. An array of any other name is not read, and said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_IMAGE_WORDS = ("x", "images", "image", "imgs", "img", "data", "pixels", "pictures", "features", "inputs")
_LABEL_WORDS = ("y", "labels", "label", "targets", "target")
_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "tr"), "training"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
}
SPLITS = ("training", "validation", "test", "all")
CLASS_NAMES = ("class_names", "label_names", "target_names", "categories", "names", "classes")
KNOWN = "x_train, y_train, x_val, y_val, x_test, y_test, train_images, train_labels, ..., images, labels, or x, y"
_JOINED = re.compile(r"(x|y)_?(train|val|valid|test)|(train|val|valid|test)_?(x|y)", re.IGNORECASE)


@dataclass
class Members:
    """The names of arrays by what they hold."""

    images: dict[str, str] = field(default_factory=dict)
    """By split, in the order of :data:`SPLITS`."""
    labels: dict[str, str] = field(default_factory=dict)
    class_names: str | None = None
    notes: list[str] = field(default_factory=list)


def sort_members(shapes: Mapping[str, Sequence[int]], where: str) -> Members:
    """What each array is. ``shapes`` gives their shapes by name, ``where`` names the file."""
    sorted_out = Members()
    roles = {name: role for name in shapes if (role := _role(name)) is not None}
    for split in SPLITS:
        for kind, chosen in (("images", sorted_out.images), ("labels", sorted_out.labels)):
            names = [name for name, role in roles.items() if role == (kind, split)]
            if not names:
                continue
            chosen[split] = names[0]
            if len(names) > 1:
                sorted_out.notes.append(
                    f"{where} holds {' and '.join(names)} for the {kind} of {split}; {names[0]} is read."
                )
    if not sorted_out.images:
        _by_shape(shapes, sorted_out, where)
    sorted_out.class_names = next((name for name in CLASS_NAMES if name in shapes and len(shapes[name]) == 1), None)
    read = {*sorted_out.images.values(), *(sorted_out.labels[s] for s in sorted_out.labels if s in sorted_out.images)}
    unread = [name for name in shapes if name not in read and name != sorted_out.class_names]
    if unread and sorted_out.images:
        more = f" and {len(unread) - 8} more" if len(unread) > 8 else ""
        sorted_out.notes.append(f"{where} also holds {', '.join(unread[:8])}{more}, which is not read.")
    return sorted_out


def _role(name: str) -> tuple[str, str] | None:
    """("images" or "labels", split), or None for a name that says neither."""
    joined = _JOINED.fullmatch(name)
    if joined:
        first, second, third, fourth = joined.groups()
        words = [(first or fourth).lower(), (second or third).lower()]
    else:
        words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+", name)]
    kinds = {"images" if word in _IMAGE_WORDS else "labels" for word in words if word in (*_IMAGE_WORDS, *_LABEL_WORDS)}
    splits = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    is_known = all(word in _IMAGE_WORDS or word in _LABEL_WORDS or word in _SPLIT_WORDS for word in words)
    if not is_known or len(kinds) != 1 or len(splits) > 1:
        return None
    return kinds.pop(), splits.pop() if splits else "all"


def _by_shape(shapes: Mapping[str, Sequence[int]], sorted_out: Members, where: str) -> None:
    """``numpy.savez(file, x, y)`` calls them arr_0 and arr_1."""
    if sorted(shapes) != ["arr_0", "arr_1"]:
        return
    pictures = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
    others = [name for name, shape in shapes.items() if 1 <= len(shape) <= 2]
    if len(pictures) == len(others) == 1 and shapes[pictures[0]][0] == shapes[others[0]][0]:
        sorted_out.images["all"], sorted_out.labels["all"] = pictures[0], others[0]
        sorted_out.notes.append(
            f"{where} does not name its arrays; by their shapes {pictures[0]} is read as the images and {others[0]} as the labels."
        )
