from __future__ import annotations

import os
from pathlib import Path

import pytest

from mloscope.adaptors.readers.image_folder.layout import Layout, lay_out
from mloscope.adaptors.readers.image_folder.tree import DEEPEST, read_tree


def write(folder: Path, *files: str) -> Path:
    """Empty files: nothing is opened for the layout. A name with a slash at its end is an empty folder."""
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if file.endswith("/") else path.touch()
    return folder


def layout(folder: Path, *files: str) -> Layout:
    return lay_out(folder, read_tree(write(folder, *files)))


def labels(found: Layout) -> dict[str, int]:
    """By relative path, in the order of the corpus."""
    return {
        folder.relative + name: int(folder.label if isinstance(folder.label, int) else folder.label[number])
        for folder in found.folders
        for number, name in enumerate(folder.files)
    }


def splits(found: Layout) -> list[str]:
    return list(dict.fromkeys(folder.split for folder in found.folders))


def told(found: Layout, noun: str) -> bool:
    return sum(noun in problem for problem in found.problems) == 1


def torchvision_classes(folder: Path) -> list[str]:
    """As documented for ``torchvision.datasets.DatasetFolder.find_classes``."""
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())


NAMES = ("10/1.png", "2/1.JPG", "B/1.png", "a/1.png", "a b/x/y/1.png", "Ä/1.png", "empty/", "only text/notes.txt")


def test_classes_are_numbered_as_torchvision_numbers_them(tmp_path: Path) -> None:
    found = layout(tmp_path, *NAMES)
    assert list(found.class_names) == torchvision_classes(tmp_path)
    assert found.class_names == ("10", "2", "B", "a", "a b", "empty", "only text", "Ä")
    assert all(found.class_names[label] == path.split("/")[0] for path, label in labels(found).items())
    assert told(found, "empty, only text without a picture")


@pytest.mark.parametrize("place", ["", "test/"])
def test_a_class_without_pictures_keeps_its_number(tmp_path: Path, place: str) -> None:
    found = layout(tmp_path, f"{place}ant/1.png", f"{place}bee/1.tga", f"{place}bee/2.tga", f"{place}cow/1.png")
    assert found.class_names == ("ant", "bee", "cow")
    assert list(labels(found).values()) == [0, 2]
    assert told(found, f"{place}bee without a picture")
    assert told(found, "2 .tga")


def test_every_file_passed_over_is_counted(tmp_path: Path) -> None:
    found = layout(
        tmp_path, "a/1.png", "a/2.MAT", "a/.x.png", "b/3.tar.gz", "b/README", "notes.txt", "a/deep/.hidden/4.png"
    )
    assert told(found, "1 without a suffix, 1 .gz, 1 .mat, 1 .txt, 1 hidden")


def test_pictures_outside_of_class_folders_have_no_label(tmp_path: Path) -> None:
    found = layout(tmp_path, "0.png", "a/1.png", "b/2.png")
    assert labels(found) == {"0.png": -1, "a/1.png": 0, "b/2.png": 1}
    assert told(found, "1 pictures lie in the folder itself")


def test_pictures_beside_a_folder_without_any_are_no_class(tmp_path: Path) -> None:
    found = layout(tmp_path, "0.png", "notes/1.txt")
    assert (found.class_names, labels(found)) == ((), {"0.png": -1})


@pytest.mark.parametrize("name", ["train", "test", "valid", "Validation", "TRAINING"])
def test_a_class_may_be_called_like_a_split(tmp_path: Path, name: str) -> None:
    found = layout(tmp_path, "bus/1.png", f"{name}/1.png", "tram/1.png")
    assert found.class_names == tuple(sorted(["bus", name, "tram"]))
    assert splits(found) == ["all"]
    assert told(found, f"{name} is called like a split")


def test_a_class_may_be_called_like_a_split_beside_an_empty_class(tmp_path: Path) -> None:
    assert layout(tmp_path, "fake/", "valid/1.png").class_names == ("fake", "valid")


def test_a_class_called_like_a_split_within_splits(tmp_path: Path) -> None:
    found = layout(tmp_path, "train/bus/1.png", "train/train/1.png", "test/bus/1.png", "test/train/1.png")
    assert found.class_names == ("bus", "train")
    assert splits(found) == ["training", "test"]
    assert found.problems == []


def test_splits_without_class_folders_have_no_labels(tmp_path: Path) -> None:
    found = layout(tmp_path, "train/1.png", "test/1.png", "docs/a.txt")
    assert splits(found) == ["training", "test"]
    assert found.class_names == ()
    assert told(found, "pictures of test/ lie in no class folder")
    mixed = layout(tmp_path / "mixed", "train/a/1.png", "train/b/1.png", "test/1.png", "scans/1.png")
    assert splits(mixed) == ["training", "test"]
    assert labels(mixed)["test/1.png"] == -1
    assert told(mixed, "so scans beside them is left out")


def test_training_numbers_the_classes_of_all_splits(tmp_path: Path) -> None:
    found = layout(tmp_path, "train/bee/1.png", "train/cow/1.png", "val/ant/1.png", "val/cow/1.png")
    assert found.class_names == ("bee", "cow", "ant")
    assert labels(found)["val/ant/1.png"] == 2
    assert told(found, "training has no class folder ant")
    assert told(found, "validation has no folder for bee")


@pytest.mark.parametrize(
    ("train", "test"),
    [("training_set", "test_set"), ("Train-Images", "Test-Images"), ("trainset", "testset"), ("train2017", "test2017"),
     ("seg_train/seg_train", "seg_test/seg_test"), ("data.train", "data.test")],
)  # fmt: skip
def test_words_beside_the_name_of_a_split_change_nothing(tmp_path: Path, train: str, test: str) -> None:
    found = layout(tmp_path, f"{train}/bee/1.png", f"{train}/cow/1.png", f"{test}/bee/1.png", f"{test}/cow/1.png")
    assert splits(found) == ["training", "test"]
    assert (found.class_names, list(labels(found).values())) == (("bee", "cow"), [0, 1, 0, 1])
    assert found.problems == []


@pytest.mark.parametrize("name", ["test tube", "trainer", "pretrain", "dataset", "valley", "testimony"])
def test_other_words_are_no_splits(tmp_path: Path, name: str) -> None:
    found = layout(tmp_path, f"{name}/day/1.png", "bee/day/1.png")
    assert (splits(found), found.class_names) == (["all"], tuple(sorted((name, "bee"))))


@pytest.mark.parametrize("name", ["images", "unknown", "test"])
def test_a_lone_folder_around_the_pictures_of_a_split_is_no_class(tmp_path: Path, name: str) -> None:
    found = layout(tmp_path, "train/bee/1.png", "train/cow/1.png", f"test/{name}/1.png")
    assert found.class_names == ("bee", "cow")
    assert labels(found)[f"test/{name}/1.png"] == -1
    assert told(found, f"test/{name} is none of the 2 classes")


def test_hidden_folders_are_no_classes_and_said(tmp_path: Path) -> None:
    found = layout(tmp_path, ".ipynb_checkpoints/1.png", "a/1.png")
    assert found.class_names == ("a",)
    assert told(found, ".ipynb_checkpoints")


def test_two_classes_may_be_one_folder_by_links(tmp_path: Path) -> None:
    write(tmp_path, "store/1.png", "data/a/1.png")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "c").symlink_to(tmp_path / "store")
    assert labels(layout(tmp_path / "data")) == {"a/1.png": 0, "b/1.png": 1, "c/1.png": 2}


def test_links_in_circles_and_deep_folders_end(tmp_path: Path) -> None:
    found = write(tmp_path, "a/" * (DEEPEST + 3) + "1.png", "a/0.png", "b/2.png")
    (found / "a" / "up").symlink_to(found)
    (found / "a" / "self").symlink_to(found / "a")
    got = layout(found)
    assert list(labels(got)) == ["a/0.png", "b/2.png"]
    assert told(got, "folders deep")


def test_a_folder_named_like_a_picture_is_a_class(tmp_path: Path) -> None:
    assert layout(tmp_path, "a.png/1.png", "b/2.png").class_names == ("a.png", "b")


def test_names_that_are_no_unicode_can_be_shown(tmp_path: Path) -> None:
    write(tmp_path, "a/1.png")
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (tmp_path / os.fsdecode(b"\xff") / "1.png").touch()
    assert layout(tmp_path).class_names == ("a", "�")


def test_several_pictures_in_a_file_are_said(tmp_path: Path) -> None:
    assert told(layout(tmp_path, "a/1.gif", "a/2.TIF", "a/3.png"), "2 pictures in formats that may hold several")


@pytest.mark.parametrize("inner", [("cat", "dog"), ("train", "val")])
def test_one_folder_too_many_is_said(tmp_path: Path, inner: tuple[str, str]) -> None:
    found = layout(tmp_path, *(f"pets/{name}/1.png" for name in inner))
    assert found.class_names == ("pets",)
    assert told(found, f"give {tmp_path / 'pets'} instead")


def test_splits_below_something_else_are_said(tmp_path: Path) -> None:
    assert told(layout(tmp_path, "images/train/1.png", "images/val/1.png", "labels/train/1.txt"), "images instead")
    assert not told(layout(tmp_path / "fine", "cat/2019/1.png", "cat/2020/1.png", "dog/1.png"), "instead")
