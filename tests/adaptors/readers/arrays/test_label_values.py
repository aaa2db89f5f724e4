from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.arrays.label_values import Labels, read_labels


def read(names: Sequence[str] = (), counts: dict[str, int] | None = None, **arrays: np.ndarray) -> Labels:
    called = {split: f"labels of {split}" for split in arrays}
    return read_labels(arrays, called, counts or {split: len(a) for split, a in arrays.items()}, names, "a.npz")


def one(
    array: np.ndarray, names: Sequence[str] = (), count: int | None = None
) -> tuple[list[int], list[str], list[str]]:
    labels = read(names, {"test": len(array) if count is None else count}, test=np.asarray(array))
    return labels.by_split["test"].tolist(), labels.class_names, labels.notes


@pytest.mark.parametrize(
    "array",
    [
        np.array([2, 0, 1]),
        np.array([2, 0, 1], np.uint64),
        np.array([2.0, 0.0, 1.0], np.float16),
        np.array([[2], [0], [1]]),
        np.array([[[2]], [[0]], [[1]]]),
    ],
)
def test_numbers_are_kept_without_a_word(array: np.ndarray) -> None:
    assert one(array) == ([2, 0, 1], [], [])
    assert one(array[:1]) == ([2], [], [])
    assert one(np.array([[2, 0, 1]]), count=3) == ([2, 0, 1], [], [])
    assert one(np.array([True, False])) == ([1, 0], [], [])
    assert one(np.array([1 << 40, 1 << 31, 5])) == ([1 << 31, 1 << 31, 5], [], [])
    assert one(np.zeros((0, 3))) == one(np.zeros((0, 3)), count=3) == ([], [], [])


def test_one_row_is_a_label_per_picture_only_where_there_are_as_many() -> None:
    assert one(np.array([[0, 1]]), count=3) == ([1], ["0", "1"], [])
    labels, _, notes = one(np.array([[[2], [0], [1]]]), count=3)
    assert labels == [-1]
    assert "3 columns" in notes[0]


@pytest.mark.parametrize("kind", ["uint8", "float32", "bool"])
def test_every_column_of_one_hot_rows_is_a_class(kind: str) -> None:
    rows = np.eye(4)[[2, 0, 1]].astype(kind)
    assert one(rows) == one(rows[:, np.newaxis]) == ([2, 0, 1], ["0", "1", "2", "3"], [])
    assert one(rows[:1], count=1) == ([2], ["0", "1", "2", "3"], [])


def test_columns_have_the_names_that_there_are() -> None:
    assert one(np.eye(2), ["ant", "bee"]) == ([0, 1], ["ant", "bee"], [])
    for names, called in ((["ant"], ["ant", "1"]), (["ant", "bee", "cat"], ["ant", "bee", "cat"])):
        labels, found, (note,) = one(np.eye(2), names)
        assert (labels, found) == ([0, 1], called)
        assert f"holds 2 columns of labels, but there are {len(names)} class names" in note


def test_rows_of_zeros_are_no_class() -> None:
    labels, _, notes = one(np.array([[0, 1, 0], [0, 0, 0], [1, 0, 0]]))
    assert labels == [1, -1, 0]
    assert "1 of 3 rows are all zeros" in notes[0]


def test_several_labels_per_picture_are_counted_and_not_chosen_from() -> None:
    labels, names, notes = one(np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 1]]))
    assert labels == [-1] * 4
    assert names == []
    assert "of 4 pictures 1 have no label, 2 have several and 1 have one" in notes[0]


def test_a_split_without_several_labels_is_of_the_same_kind_as_the_others() -> None:
    found = read(training=np.array([[1, 1], [0, 1]]), test=np.array([[1, 0], [0, 1]]))
    assert found.by_split["test"].tolist() == [-1, -1]
    assert len(found.notes) == 2
    found = read(training=np.eye(2), test=np.array([[2, 0], [0, 1]]))
    assert found.by_split["training"].tolist() == found.by_split["test"].tolist() == [-1, -1]
    assert "of 2 pictures 0 have no label, 0 have several and 2 have one" in found.notes[0]
    found = read(training=np.array([[2, 0], [0, 1]]), test=np.eye(2), validation=np.eye(2))
    assert [labels.tolist() for labels in found.by_split.values()] == [[-1, -1]] * 3
    assert [note.partition(" holds")[0] for note in found.notes] == [
        f"labels of {split}" for split in ("training", "test", "validation")
    ]


@pytest.mark.parametrize(
    "array",
    [
        np.array([[9, 3, 7], [1, 3, 6]]),
        np.array([[1, 2], [1, 1]]),
        np.array([[0.9, 0.1], [0.2, 0.8]]),
        np.array([[1, -1], [-1, 1]]),
        np.array([["ant", "bee"], ["bee", "ant"]]),
    ],
    ids=["three numbers", "two numbers", "probabilities", "signs", "texts"],
)
def test_columns_of_something_else_are_no_classes(array: np.ndarray) -> None:
    labels, _, notes = one(array)
    assert labels == [-1, -1]
    assert f"{array.shape[1]} columns" in notes[0]


def test_three_of_the_values_that_columns_hold_are_shown() -> None:
    assert "(3, 6, 7, ...)" in one(np.array([[9, 3, 7], [1, 3, 6]]))[2][0]
    assert "(0.1, 0.25, 0.75, ...)" in one(np.array([[0.9, 0.1], [0.25, 0.75]]))[2][0]
    assert f"({'a' * 20}, bee, ...)" in one(np.array([["a" * 21, "bee"]] * 2))[2][0]
    rows = np.zeros((1001, 2))
    rows[999], rows[1000] = 8, 9
    assert "(8, ...)" in one(rows)[2][0]


def test_quantities_are_no_classes() -> None:
    labels, _, notes = one(np.array([0.7, 1.0, 36.6]))
    assert labels == [-1] * 3
    assert "(0.7)" in notes[0]
    assert len(notes) == 1
    assert one(np.array([np.nan, 0.5, 1.0]))[0] == [-1] * 3


def test_what_is_not_a_number_or_below_zero_is_no_class() -> None:
    labels, _, notes = one(np.array([1.0, np.nan, 0.0, -2.0]))
    assert labels == [1, -1, 0, -1]
    assert ["holds 1 labels that are not finite" in notes[0], "below 0 for 1 of 4" in notes[1]] == [True, True]
    assert one(np.array([np.inf, 2.0]))[:2] == ([-1, 2], [])
    assert len(one(np.array([np.inf, 2.0]))[2]) == 1
    labels, _, (note,) = one(np.array([0, -7, 1]))
    assert labels == [0, -1, 1]
    assert "0 and 1" not in note
    _, _, notes = one(np.array([1, -1, -1, 1]))
    assert "0 and 1" in notes[0]


@pytest.mark.parametrize("kind", ["U", "S"])
def test_texts_are_numbered_by_the_alphabet_and_said(kind: str) -> None:
    labels, names, notes = one(np.array(["bee", "ant", "", "bee"]).astype(kind))
    assert (labels, names) == ([1, 0, -1, 1], ["ant", "bee"])
    assert "0 ant, 1 bee." in notes[0]


def test_five_names_are_listed_and_the_others_counted() -> None:
    letters = np.array(list("abcdef"))
    assert "0 a, 1 b, 2 c, 3 d, 4 e and 1 more." in one(letters)[2][0]
    assert "4 e and 7 more." in one(np.array(list("abcdefghijkl")))[2][0]
    assert "0 a, 1 b, 2 c, 3 d, 4 e." in one(letters[:5])[2][0]


def test_names_give_texts_their_numbers() -> None:
    assert one(np.array(["bee", "", "ant"]), ["bee", "bee", "ant"]) == ([0, -1, 2], ["bee", "bee", "ant"], [])
    assert one(np.array(["bee", ""]), ["", "bee"]) == ([1, -1], ["", "bee"], [])
    assert one(np.array(["0", "1"]), ["1", "0"]) == ([1, 0], ["1", "0"], [])


def test_texts_of_numbers_are_those_numbers() -> None:
    labels, names, notes = one(np.array(["10", "2", "0"]))
    assert (labels, names) == ([10, 2, 0], [])
    assert "whole numbers" in notes[0]
    assert one(np.array(["999999", ""]))[:2] == ([999999, -1], [])
    assert one(np.array(["1000000", "2"]))[:2] == ([0, 1], ["1000000", "2"])
    assert one(np.array(["\u0663", "2"]))[:2] == ([1, 0], ["2", "\u0663"])


def test_texts_that_only_occur_elsewhere_move_no_class_of_training() -> None:
    found = read(test=np.array(["ant", "cat"]), training=np.array(["bee", "cat"]))
    assert found.class_names == ["bee", "cat", "ant"]
    assert found.by_split["test"].tolist() == [2, 1]
    assert "ant" in found.notes[0]


def test_texts_not_among_the_names_come_after_them() -> None:
    labels, names, notes = one(np.array(["cat", "dog"]), names=["dog", "ant"])
    assert (labels, names) == ([2, 0], ["dog", "ant", "cat"])
    assert "cat" in notes[0]


def test_labels_from_1_with_a_name_for_each_begin_with_the_first_name() -> None:
    labels, names, notes = one(np.array([1, 3, 2, -1]), names=["ant", "bee", "cat"])
    assert (labels, names) == ([0, 2, 1, -1], ["ant", "bee", "cat"])
    assert "label 1 is the first class (ant)" in notes[-1]
    for unmoved, names in (
        ([1, 2], "abc"),
        ([2, 3], "abc"),
        ([0, 2], "ab"),
        ([1, 1], "a"),
        ([1, 3], "ab"),
        ([0, 1, 2], "ab"),
    ):
        assert one(np.array(unmoved), names=list(names)) == (unmoved, list(names), [])
    found = read(["ant", "bee"], training=np.array([1, 2, 2]), test=np.array([-1, -1, 1]))
    assert [labels.tolist() for labels in found.by_split.values()] == [[0, 1, 1], [-1, -1, 0]]
    found = read(["ant", "bee"], training=np.array([1, 2]), test=np.array([-1, -1]))
    assert [labels.tolist() for labels in found.by_split.values()] == [[0, 1], [-1, -1]]


def test_a_split_without_labels_is_said() -> None:
    found = read(counts={"training": 2, "test": 3}, training=np.array([0, 1]))
    assert found.by_split["test"].tolist() == [-1] * 3
    assert "no labels for test, so its 3 pictures" in found.notes[0]


@pytest.mark.parametrize("array", [np.zeros(2, "M8[D]"), np.zeros(2, complex), np.zeros(2, [("a", int)])])
def test_other_types_are_refused(array: np.ndarray) -> None:
    with pytest.raises(Unreadable, match="labels of test is of type"):
        one(array)
