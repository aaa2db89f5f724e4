from __future__ import annotations

import pytest

from mloscope.adaptors.readers.npz.members import sort_members


@pytest.mark.parametrize(
    ("images", "labels", "split"),
    [
        ("x_train", "y_train", "training"),
        ("X_train", "Y_train", "training"),
        ("train_images", "train_labels", "training"),
        ("images_test", "labels_test", "test"),
        ("trainX", "trainy", "training"),
        ("xtest", "ytest", "test"),
        ("testX", "testY", "test"),
        ("x_valid", "y_valid", "validation"),
        ("valImages", "val_targets", "validation"),
        ("x_train", "train_labels", "training"),
        ("data", "labels", "all"),
        ("X", "y", "all"),
    ],
)
def test_names_of_many_hands(images: str, labels: str, split: str) -> None:
    found = sort_members({images: (4, 8, 8), labels: (4,)}, "a.npz")
    assert (found.images, found.labels, found.notes) == ({split: images}, {split: labels}, [])


def test_what_is_not_read_is_said() -> None:
    found = sort_members({"x_train": (4, 8, 8), "y_train": (4,), "weights": (4,), "y_test": (2,)}, "a.npz")
    assert "weights, y_test" in found.notes[0]
    assert found.labels == {"training": "y_train", "test": "y_test"}


@pytest.mark.parametrize(
    ("others", "named", "more"), [(7, 7, ""), (8, 8, ""), (9, 8, " and 1 more"), (10, 8, " and 2 more")]
)
def test_of_many_arrays_that_are_not_read_eight_are_named(others: int, named: int, more: str) -> None:
    shapes = {"x": (4, 8, 8), **{f"weights{number}": (4,) for number in range(others)}}
    names = ", ".join(f"weights{number}" for number in range(named))
    assert f"holds {names}{more}, which" in sort_members(shapes, "a.npz").notes[0]


@pytest.mark.parametrize("name", ["train", "x_y", "x_train_test", "x_train_2"])
def test_a_name_that_says_nothing_or_too_much_is_not_read(name: str) -> None:
    found = sort_members({"x_val": (4, 8, 8), name: (4, 8, 8)}, "a.npz")
    assert found.images == {"validation": "x_val"}
    assert name in found.notes[0]


def test_two_arrays_for_the_same_are_said() -> None:
    found = sort_members({"x_train": (4, 8, 8), "train_images": (4, 9, 9)}, "a.npz")
    assert found.images == {"training": "x_train"}
    assert "x_train and train_images" in found.notes[0]
    assert "; x_train is read" in found.notes[0]


def test_arrays_without_names_are_told_by_their_shapes_and_said() -> None:
    found = sort_members({"arr_0": (4, 8, 8, 3), "arr_1": (4,)}, "a.npz")
    assert (found.images, found.labels) == ({"all": "arr_0"}, {"all": "arr_1"})
    assert "arr_0 is read as the images" in found.notes[0]
    assert sort_members({"arr_0": (4, 10), "arr_1": (4, 8, 8)}, "a.npz").labels == {"all": "arr_0"}
    assert sort_members({"arr_0": (4, 8, 8), "arr_1": ()}, "a.npz").images == {}
    assert sort_members({"arr_0": (4, 8, 8), "arr_1": (5,)}, "a.npz").images == {}
    assert sort_members({"arr_0": (4, 8, 8), "arr_1": (4,), "arr_2": (4,)}, "a.npz").images == {}


def test_class_names() -> None:
    assert sort_members({"x": (4, 8, 8), "label_names": (3,)}, "a.npz").class_names == "label_names"
    assert sort_members({"x": (4, 8, 8), "class_names": (3, 3)}, "a.npz").class_names is None
