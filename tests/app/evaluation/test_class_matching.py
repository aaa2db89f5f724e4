"""Which class of a corpus an output stands for."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.app.evaluation.class_matching import BY_NAME, BY_POSITION, NOT_MATCHED, match
from mloscope.app.evaluation.notices import IS_ASSUMED, NOTE, WARNING

ANIMALS = ("ant", "bee", "crab", "duck")


def test_equal_names_in_another_order_are_matched_by_name_and_it_is_said() -> None:
    found = match(4, ("duck", "ant", "crab", "bee"), ANIMALS)
    assert (found.how, found.corpus_classes, found.names) == (BY_NAME, (3, 0, 2, 1), ("duck", "ant", "crab", "bee"))
    assert found.outputs_of(np.array([0, 1, 2, 3, -1])).tolist() == [1, 3, 2, 0, -1]
    assert found.outputs_of(np.array([0])).dtype == np.int32
    assert [found.output_of(label) for label in (None, -1, 0, 1, 3, 4)] == [None, None, 1, 3, 0, None]
    assert any("order" in sentence for sentence in found.sentences)


def test_the_same_names_in_the_same_order_need_no_word() -> None:
    found = match(4, ANIMALS, ANIMALS)
    assert (found.how, found.corpus_classes, found.sentences) == (BY_NAME, (0, 1, 2, 3), ())


def test_case_and_separators_do_not_matter() -> None:
    found = match(3, ("Golden Retriever", "T-shirt/top", "cat"), ("cat", "golden_retriever", "t shirt top"))
    assert (found.how, found.corpus_classes) == (BY_NAME, (1, 2, 0))


def test_a_corpus_of_some_of_the_networks_classes_is_matched_by_name() -> None:
    found = match(4, ANIMALS, ("duck", "bee"))
    assert found.corpus_classes == (None, 1, None, 0)
    assert found.outputs_of(np.array([0, 1])).tolist() == [3, 1]
    assert any("2 of the network's 4 outputs" in sentence for sentence in found.sentences)


def test_more_outputs_than_classes_are_matched_by_name() -> None:
    found = match(5, ("duck", "ant", "crab", "bee", "wasp"), ANIMALS)
    assert (found.how, found.corpus_classes) == (BY_NAME, (3, 0, 2, 1, None))
    assert not any("order" in sentence for sentence in found.sentences)
    numbers = match(3, ("0", "1", "2"), ("1", "0"))
    assert (numbers.how, numbers.corpus_classes) == (BY_NAME, (1, 0, None))


def test_images_of_classes_that_the_network_does_not_know_have_no_right_output() -> None:
    found = match(2, ("bee", "duck"), ANIMALS)
    assert found.outputs_of(np.arange(4)).tolist() == [-1, 0, -1, 1]
    assert any("ant" in sentence and "crab" in sentence for sentence in found.sentences)


def test_a_name_within_a_longer_one_of_the_run_is_matched_too() -> None:
    found = match(2, ("1 - one", "0 - zero"), ("0", "1"))
    assert (found.how, found.corpus_classes) == (BY_NAME, (1, 0))
    assert match(2, ("black cat", "white cat"), ("cat", "dog")).how == NOT_MATCHED


def test_a_name_within_a_longer_one_is_matched_where_that_is_certain() -> None:
    digits = tuple(f"{number} - {name}" for number, name in enumerate(("zero", "one", "two")))
    found = match(3, ("2", "0", "1"), digits)
    assert (found.how, found.corpus_classes) == (BY_NAME, (2, 0, 1))
    assert any('"2" is "2 - two"' in sentence for sentence in found.sentences)
    unsure = match(2, ("cat", "dog"), ("black cat", "white cat"))
    assert unsure.how == NOT_MATCHED


def test_without_names_equal_numbers_are_matched_by_position_and_it_is_said() -> None:
    found = match(4, (), ANIMALS)
    assert (found.how, found.names, found.corpus_classes) == (BY_POSITION, ANIMALS, (0, 1, 2, 3))
    assert any("assumed" in sentence for sentence in found.sentences)


@pytest.mark.parametrize("corpus", [("0", "1", "2", "3"), ("class 1", "class 2", "class 3", "class 4")])
def test_numbers_contradict_no_names(corpus: tuple[str, ...]) -> None:
    found = match(4, ANIMALS, corpus)
    assert (found.how, found.names, found.matched) == (BY_POSITION, ANIMALS, True)
    reverse = match(4, corpus, ANIMALS)
    assert (reverse.how, reverse.names) == (BY_POSITION, ANIMALS)


def test_counting_from_0_and_from_1_is_matched_by_position() -> None:
    found = match(3, ("0", "1", "2"), ("1", "2", "3"))
    assert (found.how, found.corpus_classes) == (BY_POSITION, (0, 1, 2))


def test_other_numbers_of_classes_without_names_are_not_matched() -> None:
    found = match(100, (), ANIMALS)
    assert (found.how, found.matched) == (NOT_MATCHED, False)
    assert found.names[:2] == ("output 0", "output 1")
    assert set(found.corpus_classes) == {None}
    assert found.outputs_of(np.array([0, 1, -1])).tolist() == [-1, -1, -1]
    assert found.output_of(0) is None
    assert "100 outputs" in found.sentences[0]


def test_names_of_another_world_contradict_equal_numbers() -> None:
    found = match(2, ("face", "no face"), ("cat", "dog"))
    assert (found.how, found.names) == (NOT_MATCHED, ("face", "no face"))


def test_one_name_in_common_among_many_is_no_match() -> None:
    found = match(4, ("frog", "ship", "horse", "bee"), ANIMALS)
    assert found.how == NOT_MATCHED


@pytest.mark.parametrize(
    ("names", "how", "classes"),
    [
        (("ant", "bee", "wasp", "fly"), BY_POSITION, (0, 1, 2, 3)),
        (("bee", "crab", "duck", "fly"), BY_NAME, (1, 2, 3, None)),
        (("fly", "ant", "bee", "crab"), BY_NAME, (None, 0, 1, 2)),
        (("ant", "wasp", "fly", "moth"), NOT_MATCHED, (None,) * 4),
        (("ant", "wasp", "fly"), NOT_MATCHED, (None,) * 3),
    ],
)
def test_half_of_the_names_are_enough(names: tuple[str, ...], how: str, classes: tuple[int | None, ...]) -> None:
    found = match(len(names), names, ANIMALS)
    assert (found.how, found.names, found.corpus_classes) == (how, names, classes)


def test_more_classes_than_python_counts_without_new_numbers() -> None:
    names = tuple(f"class of {number}" for number in range(300))
    assert match(300, names, names).sentences == ()
    assert match(300, (), names).corpus_classes == tuple(range(300))
    assert match(299, names[:299], names[:299]).how == BY_NAME


def test_a_corpus_without_classes_is_not_matched() -> None:
    assert match(2, ("cat", "dog"), ()).how == NOT_MATCHED


def test_fewer_outputs_than_classes_are_not_matched_by_position() -> None:
    assert match(3, (), ANIMALS).how == match(5, (), ANIMALS).how == NOT_MATCHED
    assert "3 outputs without names" in match(3, (), ANIMALS).sentences[0]
    assert "4 classes" in match(3, (), ANIMALS).sentences[0]


def test_names_of_nothing_but_signs_are_told_apart() -> None:
    found = match(2, ("+", "ant"), ("-", "ant"))
    assert found.how == BY_POSITION
    assert '"+" and "-"' in found.sentences[0]


def test_five_names_are_listed_and_the_others_counted() -> None:
    six, others = tuple("abcdef"), tuple("uvwxyz")
    (of_six,) = match(6, six, others).sentences
    assert "called a, b, c, d, e and 1 more, the corpus's u, v, w, x, y and 1 more." in of_six
    (of_five,) = match(5, six[:5], others[:5]).sentences
    assert "called a, b, c, d, e, the corpus's u, v, w, x, y." in of_five


def test_most_names_in_their_places_carry_the_others() -> None:
    found = match(4, ("ant", "wasp", "crab", "duck"), ANIMALS)
    assert (found.how, found.corpus_classes) == (BY_POSITION, (0, 1, 2, 3))
    assert found.sentences[0].startswith("3 of 4 ")
    assert any('"wasp" and "bee"' in sentence for sentence in found.sentences)


def test_most_names_in_other_places_leave_the_others_out() -> None:
    found = match(4, ("duck", "wasp", "crab", "ant"), ANIMALS)
    assert (found.how, found.corpus_classes) == (BY_NAME, (3, None, 2, 0))
    assert any("1 of the corpus's 4" in sentence and "bee" in sentence for sentence in found.sentences)
    assert any("1 of the network's 4" in sentence and "wasp" in sentence for sentence in found.sentences)
    assert not any("order" in sentence for sentence in found.sentences)


def test_a_wrong_number_of_names_is_not_used() -> None:
    found = match(4, ("ant", "bee"), ANIMALS)
    assert (found.how, found.names) == (BY_POSITION, ANIMALS)
    assert any("names 2 classes" in sentence for sentence in found.sentences)
    assert "no names to compare" in found.sentences[-1]
    assert "does not name" in match(4, (), ANIMALS).sentences[-1]


def test_the_same_name_twice_is_no_name() -> None:
    assert match(2, ("cat", "cat"), ("cat", "dog")).how == NOT_MATCHED
    for run, corpus, why in (
        (("cat", "cat", "dog"), ("cat", "dog", "dog"), "the same name"),
        (("cat", "cat", "dog"), ("cat", "dog"), "called"),
        (("cat", "cat"), ("dog", "cow"), "called"),
    ):
        found = match(len(run), run, corpus)
        assert found.how == NOT_MATCHED
        assert why in found.sentences[0]


def test_without_a_corpus_outputs_keep_their_own_names() -> None:
    assert match(2, ("cat", "dog"), None).names == ("cat", "dog")
    assert match(2, (), None).names == match(2, ANIMALS, None).names == ("output 0", "output 1")


def test_labels_beyond_the_classes_have_no_output() -> None:
    assert match(2, ("a", "b"), ("a", "b")).outputs_of(np.array([0, 5, 1])).tolist() == [0, -1, 1]
    assert match(2, ("a", "b"), ("a", "b")).outputs_of(np.array([0, -1])).tolist() == [0, -1]
    assert match(2, ("a", "b"), ("a", "b")).outputs_of(np.empty(0, np.int32)).tolist() == []


def test_numbers_that_file_systems_sort_leave_it_open_which_output_is_meant() -> None:
    sorted_as_text = tuple(sorted(map(str, range(12))))
    found = match(12, (), sorted_as_text)
    assert found.how == NOT_MATCHED
    assert 'output 2 stands for the class "2" or for the class "10"' in found.sentences[0]
    by_name = match(12, tuple(map(str, range(12))), sorted_as_text)
    assert (by_name.how, by_name.corpus_classes[:4]) == (BY_NAME, (0, 1, 4, 5))
    assert match(12, (), tuple(map(str, range(12)))).how == BY_POSITION
    assert match(12, (), tuple(sorted(f"class_{number}" for number in range(12)))).how == NOT_MATCHED


def test_names_that_differ_in_case_or_signs_alone_are_told_apart() -> None:
    for here, there in (
        (("A", "B", "a", "b"), ("A", "a", "B", "b")),
        (("C", "C++", "C#", "D"), ("C", "C#", "C++", "D")),
    ):
        found = match(4, here, there)
        assert (found.how, found.corpus_classes) == (BY_NAME, tuple(there.index(name) for name in here))


def test_accents_and_zeros_may_be_written_in_two_ways() -> None:
    found = match(2, ("\u00e9t\u00e9", "hiver"), ("hiver", "e\u0301te\u0301"))
    assert (found.how, found.corpus_classes) == (BY_NAME, (1, 0))
    numbers = tuple(f"{number:05}" for number in range(12))
    found = match(12, numbers, tuple(sorted(map(str, range(12)))))
    assert (found.how, found.corpus_classes[:4]) == (BY_NAME, (0, 1, 4, 5))


def test_a_class_that_is_called_position_is_no_assumption() -> None:
    found = match(3, ("ant", "bee", "position"), ("ant", "bee"))
    assert {notice.kind for notice in found.notices} == {NOTE}
    assert {notice.kind for notice in match(4, (), ANIMALS).notices} == {IS_ASSUMED}
    assert {notice.kind for notice in match(4, ("a", "b", "c", "d"), ANIMALS).notices} == {WARNING}
    assert {notice.kind for notice in match(4, ("a", "b"), None).notices} == {WARNING}
