"""Groups of classes, read from a file: JSON of groups, or lines of WordNet ids.

    {"animals": ["cat", "dog"], "vehicles": ["car", 9]}      JSON: group -> names or numbers of classes

    n02084071 n02121620                                      lines "parent child", as in ImageNet's wordnet.is_a.txt
    n02121620 n02123045                                      (words may stand for ids; # begins a comment)

A tree of many levels is cut where it has about as many groups as the square root of the classes. Names of its ids
are read from ``words.txt`` beside it (lines of id, tab, name) where that is there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mloscope.adaptors.files.regular_files import TooLarge, read_regular
from mloscope.app.errors import NotPossible

FILE_NAMES = ("hierarchy.json", "hierarchy.txt", "wordnet.is_a.txt")
"""What is looked for in a corpus's folder (or beside its file) where the workspace names nothing."""
OTHERS = "others"
_MOST_BYTES = 64 << 20


@dataclass(frozen=True)
class Group:
    """Classes that belong together."""

    name: str
    classes: tuple[int, ...]


def find(corpus: Path, named: Path | None = None) -> Path | None:
    """The hierarchy file of a corpus: the one named, else one of FILE_NAMES that lies there, else None."""
    if named is not None:
        return named
    folder = corpus.expanduser()
    folder = folder if folder.is_dir() else folder.parent
    return next((folder / name for name in FILE_NAMES if (folder / name).is_file()), None)


def read(path: Path, class_names: Sequence[str]) -> tuple[Group, ...]:
    """Groups in the file's order, every class in one of them; what the file leaves out is in the last, ``others``.

    A class is known by its number, its name, or the id that its name begins with (``n02123045 tabby``). Raises
    :class:`NotPossible` naming file, line or group.
    """
    try:
        text = read_regular(path, _MOST_BYTES).decode("utf-8")
    except TooLarge as error:
        raise NotPossible(
            f"The hierarchy {path} is larger than {_MOST_BYTES >> 20} MiB; it names classes, one a line."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise NotPossible(
            f"The hierarchy {path} cannot be read: {getattr(error, 'strerror', None) or error}."
        ) from error
    groups = (
        _of_json(path, text, class_names) if text.lstrip()[:1] in ("{", "[") else _of_lines(path, text, class_names)
    )
    if not groups:
        raise NotPossible(f"The hierarchy {path} names none of the {len(class_names)} classes.")
    named = {number for group in groups for number in group.classes}
    left = tuple(number for number in range(len(class_names)) if number not in named)
    return (*groups, Group(OTHERS, left)) if left else tuple(groups)


def of_outputs(groups: Sequence[Group], corpus_classes: Sequence[int | None], outputs: int) -> tuple[Group, ...]:
    """Groups of a corpus's classes as groups of a network's outputs. ``corpus_classes``: for each output the class that it
    stands for; outputs that stand for none of a group are in the last, ``others``. Raises :class:`NotPossible` where none does."""
    place = {label: output for output, label in enumerate(corpus_classes) if label is not None}
    found = [
        Group(group.name, tuple(place[label] for label in group.classes if label in place))
        for group in groups
        if group.name != OTHERS
    ]
    named = {output for group in found for output in group.classes}
    if not named:
        raise NotPossible("No output of the network stands for a class of the corpus's groups.")
    left = tuple(output for output in range(outputs) if output not in named)
    return tuple(group for group in (*found, Group(OTHERS, left)) if group.classes)


def _numbers(class_names: Sequence[str]) -> dict[str, int]:
    known: dict[str, int] = {}
    for number, name in enumerate(class_names):
        for word in (name, *name.split()[:1]):
            known.setdefault(word, number)
    return known


def _of_json(path: Path, text: str, class_names: Sequence[str]) -> list[Group]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotPossible(f"The hierarchy {path} is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise NotPossible(f'The hierarchy {path} must be an object of groups, such as {{"animals": ["cat", "dog"]}}.')
    known, taken, groups = _numbers(class_names), dict[int, str](), []
    for name, members in document.items():
        if not isinstance(members, list):
            raise NotPossible(f'In the hierarchy {path}, the group "{name}" must be a list of classes.')
        numbers = []
        for member in members:
            is_number = isinstance(member, int) and not isinstance(member, bool)
            number = member if is_number else known.get(str(member), -1)
            if not 0 <= number < len(class_names):
                raise NotPossible(f'In the hierarchy {path}, the group "{name}" has {member!r}, which is not a class.')
            if number in taken:
                raise NotPossible(
                    f'In the hierarchy {path}, the class {class_names[number]} is in "{taken[number]}" and in "{name}".'
                )
            taken[number] = name
            numbers.append(number)
        if numbers:
            groups.append(Group(name, tuple(numbers)))
    return groups


def _of_lines(path: Path, text: str, class_names: Sequence[str]) -> list[Group]:
    parent_of: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 2:
            raise NotPossible(
                f"Line {number} of the hierarchy {path} has {len(words)} words; it must be: parent child."
            )
        parent_of.setdefault(words[1], words[0])  # of several parents the first, so that it is a tree
    known = _numbers(class_names)
    ids = {number: word for word, number in known.items() if word in parent_of or word in set(parent_of.values())}
    members: dict[str, list[int]] = {}
    children: dict[str, list[str]] = {}
    for number in sorted(ids):
        node, seen = ids[number], set[str]()
        while node not in seen:
            seen.add(node)
            members.setdefault(node, []).append(number)
            if node not in parent_of:
                break
            parent = parent_of[node]
            if node not in children.setdefault(parent, []):
                children[parent].append(node)
            node = parent
        else:
            raise NotPossible(f'In the hierarchy {path}, "{node}" is among its own descendants.')
    names = _names(path)
    groups = [node for node in members if node not in parent_of]
    wanted = min(len(ids), max(2, round(len(ids) ** 0.5)))
    while len(groups) < wanted:
        splittable = [node for node in groups if children.get(node)]
        if not splittable:
            break
        largest = max(splittable, key=lambda node: len(members[node]))
        place = groups.index(largest)
        below = children[largest]
        inside = {number for node in below for number in members[node]}
        own = [number for number in members[largest] if number not in inside]
        if own:  # a class that stands above others
            leaf = f"{largest} itself"
            members[leaf] = own
            names.setdefault(leaf, names.get(largest, largest))
            below = [*below, leaf]
        groups[place : place + 1] = below
    return [Group(names.get(node, node), tuple(members[node])) for node in groups]


def _names(path: Path) -> dict[str, str]:
    try:
        lines = read_regular(path.parent / "words.txt", _MOST_BYTES).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {word.strip(): name.split(",")[0].strip() for word, name in pairs}
