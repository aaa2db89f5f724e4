"""Which folders are splits, which are classes, and which number each class has: as the loaders of Keras and torchvision
number the folders of the training split.

Both take every folder right below the one they are given for a class, also one without a picture, and number the sorted
names. (Keras passes over names that begin with a dot.) Where there are several splits, a network has the numbers of its
training split, so those count for all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mloscope.adaptors.readers.image_folder.tree import Folder, Tree
from mloscope.adaptors.readers.image_folder.wordnet import Annotations, class_titles, read_annotations

_SPLITS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_BESIDE_SPLITS = {
    "set", "sets", "data", "dataset", "ds", "image", "images", "img", "imgs", "pictures", "photos", "samples", "split", "folder",
    "files", "seg",
}  # fmt: skip
"""Words that stand beside a split's in names of folders: training_set, test-images, seg_train."""
_GLUED = re.compile(r"(?P<split>[a-z]+?)(?:set|data|images)?(?:[0-9]{4})?")
ORDER = ("training", "validation", "test", "all")


@dataclass(frozen=True)
class LabelledFolder:
    """A folder of pictures of one split."""

    relative: str
    split: str
    label: int | np.ndarray
    """Of all its pictures, or int (picture,); -1 unknown."""
    files: Sequence[str]


@dataclass
class Layout:
    """The folder as a corpus."""

    class_names: tuple[str, ...] = ()
    folders: list[LabelledFolder] = field(default_factory=list)
    """Those with pictures, in the corpus's order."""
    problems: list[str] = field(default_factory=list)


@dataclass
class _Part:
    """What belongs to one split: a folder named like it, or everything."""

    split: str
    relative: str
    classes: list[str]
    """Sorted names of its class folders; none where only other folders' pictures would be without one."""
    annotations: Annotations | None = None
    is_told: bool = False
    """Whether it was said that its pictures have no labels."""


def lay_out(path: Path, tree: Tree) -> Layout:
    """Splits, classes and labels of the pictures in the tree."""
    layout = Layout(problems=list(tree.problems))
    parts = [
        _Part(split, relative, _class_folders(tree, relative), read_annotations(path, relative, tree.others))
        for split, relative in _split_folders(path, tree, layout)
    ]
    _tell_folders_in_between(path, tree, parts, layout)
    names = _numbered(path, parts, layout)
    _tell_empty_classes(path, tree, parts, layout)
    numbers = {name: number for number, name in enumerate(names)}
    for part in parts:
        layout.folders += _labelled(path, tree, part, numbers, layout)
    layout.folders.sort(key=lambda each: (ORDER.index(each.split), int(np.min(each.label)), each.relative))
    titles = class_titles(path, names, tree.others, layout.problems)
    layout.class_names = tuple(os.fsencode(title).decode("utf-8", "replace") for title in titles)
    _tell_the_rest(path, tree, parts, layout)
    return layout


def _split_folders(path: Path, tree: Tree, layout: Layout) -> list[tuple[str, str]]:
    """Name and folder of each split.

    Folders named like splits are splits where one of them holds class folders and no pictures, or where all folders with
    pictures are named so. A class may be called train, too.
    """
    tops = tree.names_below("")
    splits = {name: split for name in tops if (split := _split_of(name)) is not None}
    named = list(splits)
    if not named:
        return [("all", "")]
    direct = {each.parts[0] for each in tree.folders if each.files and len(each.parts) == 1}
    below = {each.parts[0] for each in tree.folders if each.files and len(each.parts) > 1}
    others = [name for name in tops if name not in named and (name in direct or name in below)]
    empty = [name for name in tops if name not in direct and name not in below]
    hold_classes = any(name in below and name not in direct for name in named)
    if not hold_classes and (others or (len(named) == 1 and empty)):
        layout.problems.append(
            f"{path}: {_few(named)} is called like a split but holds pictures beside {_few([*others, *empty])}, so it is "
            "taken for a class."
        )
        return [("all", "")]
    if others:
        layout.problems.append(
            f"{path}: {_few(named)} hold class folders and are the splits, so {_few(others)} beside them is left out."
        )
    if len(set(splits.values())) < len(named):
        layout.problems.append(f"{path}: of {_few(named)}, those that mean the same split are read as one.")
    return [(split, _without_repetition(tree, f"{name}/", split)) for name, split in splits.items()]


def _split_of(name: str) -> str | None:
    """The split that a folder is named for: train, Test_Set, seg_train, val2017; None where it is another name."""
    words = [word for word in re.split(r"[\W_]+", name.lower()) if word not in _BESIDE_SPLITS]
    found = _GLUED.fullmatch(words[0]) if len(words) == 1 else None
    return _SPLITS.get(words[0]) or _SPLITS.get(found["split"]) if found else None


def _without_repetition(tree: Tree, relative: str, split: str) -> str:
    """The folder of a split, or what lies alone in it and is named for it too: seg_train/seg_train, as some archives unpack."""
    inner = tree.names_below(relative)
    while len(inner) == 1 and _split_of(inner[0]) == split and (further := tree.names_below(f"{relative}{inner[0]}/")):
        relative, inner = f"{relative}{inner[0]}/", further
    return relative


def _class_folders(tree: Tree, relative: str) -> list[str]:
    """None where no folder below holds a picture: then the pictures, if any, lie side by side and have no class."""
    names = tree.names_below(relative)
    are_classes = any(
        each.files and each.relative != relative and each.relative.startswith(relative) for each in tree.folders
    )
    return names if are_classes else []


def _tell_folders_in_between(path: Path, tree: Tree, parts: Sequence[_Part], layout: Layout) -> None:
    """Archives often unpack to one more folder than is expected."""
    for part in parts:
        below = {name: tree.names_below(f"{part.relative}{name}/") for name in part.classes}
        lone = part.classes[0] if part.split == "all" and len(part.classes) == 1 else ""
        for name, inner in below.items():
            splits = [each for each in inner if _split_of(each)]
            if (name == lone and len(inner) > 1) or len(splits) > 1:
                layout.problems.append(
                    f"{path}: {part.relative}{name} is read as one class, though folders named {_few(inner)} lie in it; if "
                    f"those are the classes or splits, give {path / part.relative / name} instead."
                )


def _numbered(path: Path, parts: Sequence[_Part], layout: Layout) -> list[str]:
    """The class folders' names in the order of their numbers."""
    by_split: dict[str, set[str]] = {}
    for part in parts:
        by_split.setdefault(part.split, set()).update(part.classes)
    training = by_split.get("training", set())
    if not training:
        names = sorted(set().union(*by_split.values()))
        _tell_differences(path, by_split, set(names), layout)
        return names
    for part in parts:
        if part.classes and len(part.classes) == 1 and not training & set(part.classes):
            # Such as test/images or test/unknown: torchvision's ImageFolder needs a folder around the pictures.
            if part.annotations is None:
                layout.problems.append(
                    f"{path}: {part.relative}{part.classes[0]} is none of the {len(training)} classes of training, so its "
                    "pictures have no label."
                )
            by_split[part.split] -= set(part.classes)
            part.classes, part.is_told = [], True
    extra = sorted(set().union(*by_split.values()) - training)
    if extra:
        layout.problems.append(
            f"{path}: training has no class folder {_few(extra)}, so numbers are given to them after its {len(training)} classes."
        )
    _tell_differences(path, {split: classes for split, classes in by_split.items() if classes}, training, layout)
    return [*sorted(training), *extra]


def _tell_differences(path: Path, by_split: Mapping[str, set[str]], expected: set[str], layout: Layout) -> None:
    for split, classes in by_split.items():
        lacking = sorted(expected - classes)
        if lacking and classes:
            layout.problems.append(
                f"{path}: {split} has no folder for {_few(lacking)}. Classes have the same number in every split here; a loader "
                f"that is given the folder of {split} alone numbers them without."
            )


def _tell_empty_classes(path: Path, tree: Tree, parts: Sequence[_Part], layout: Layout) -> None:
    for part in parts:
        depth = part.relative.count("/")
        filled = {each.parts[depth] for each in _below(tree, part) if each.files and len(each.parts) > depth}
        empty = [part.relative + name for name in part.classes if name not in filled]
        if empty:
            layout.problems.append(
                f"{path}: of {len(part.classes)} class folders, {_few(empty)} without a picture that is read; a class keeps its "
                "number all the same, as in the loaders of Keras and torchvision."
            )


def _below(tree: Tree, part: _Part) -> list[Folder]:
    return [folder for folder in tree.folders if folder.relative.startswith(part.relative)]


def _labelled(path: Path, tree: Tree, part: _Part, numbers: Mapping[str, int], layout: Layout) -> list[LabelledFolder]:
    depth, found, unlabelled = part.relative.count("/"), [], 0
    for folder in _below(tree, part):
        if not folder.files:
            continue
        label: int | np.ndarray = -1
        if len(folder.parts) > depth and folder.parts[depth] in part.classes:
            label = numbers[folder.parts[depth]]
        elif part.annotations is not None:
            label = _annotated(path, folder, part.annotations, numbers, layout)
        else:
            unlabelled += len(folder.files)
        found.append(LabelledFolder(folder.relative, part.split, label, folder.files))
    where = part.relative or "the folder itself"
    if unlabelled and part.classes:
        layout.problems.append(
            f"{path}: {unlabelled:,} pictures lie in {where} outside of the class folders; they are shown without labels, and "
            "the loaders of Keras and torchvision do not read them."
        )
    elif unlabelled and part.split != "all" and not part.is_told:
        layout.problems.append(
            f"{path}: the {unlabelled:,} pictures of {where} lie in no class folder, so they have no label."
        )
    return found


def _annotated(
    path: Path, folder: Folder, annotations: Annotations, numbers: Mapping[str, int], layout: Layout
) -> np.ndarray:
    label = np.array([numbers.get(annotations.class_of.get(name, ""), -1) for name in folder.files], np.int32)
    unknown = int((label < 0).sum())
    rest = f"; {unknown:,} of {len(label):,} are not in it, or of a class without a folder" if unknown else ""
    layout.problems.append(f"{path}: the labels of {folder.relative} are those of {annotations.file}{rest}.")
    return label


def _tell_the_rest(path: Path, tree: Tree, parts: Sequence[_Part], layout: Layout) -> None:
    levels = {part.relative.rstrip("/") for part in parts if part.classes}
    hidden = [name for name in tree.hidden if name.rpartition("/")[0] in levels]
    if hidden:
        layout.problems.append(
            f"{path}: {_few(hidden)}: hidden and no class, as in Keras; torchvision's ImageFolder would count it as one."
        )
    several = sum(_count_several(folder.files) for folder in layout.folders)
    if several:
        layout.problems.append(
            f"{path}: of {several:,} pictures in formats that may hold several (GIF, TIFF), the first one is read."
        )
    if tree.others:
        counts = sorted(tree.others.items(), key=lambda each: (-each[1], each[0]))[:8]
        counted = ", ".join(f"{count:,} {_kind(suffix)}" for suffix, count in counts)
        rest = tree.others.total() - sum(count for _, count in counts)
        layout.problems.append(
            f"{path}: files that are not read as pictures: {counted}{f', {rest:,} others' if rest else ''}."
        )


def _count_several(files: Sequence[str]) -> int:
    """How many may hold several pictures; of 100,000 names at once, as asking each takes longer than listing them."""
    names = "\n".join([*files, ""]).lower()
    return sum(names.count(f"{suffix}\n") for suffix in (".gif", ".tif", ".tiff"))


def _kind(suffix: str) -> str:
    return {"": "without a suffix", "hidden": "hidden"}.get(suffix, suffix)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
