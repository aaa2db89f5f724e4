"""Orders of classes by similarity."""

from __future__ import annotations

import numpy as np

from mloscope.app.statistics.class_order.seriation import seriate, similarity_of


def planted(classes: int, groups: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Counts in which classes of a group are often taken for each other, others now and then; and the groups."""
    random = np.random.default_rng(seed)
    group = random.permutation(classes) % groups
    counts = random.poisson(np.where(group[:, None] == group[None, :], 4.0, 0.05))
    np.fill_diagonal(counts, 60)
    return counts, group


def test_planted_groups_come_out_in_one_piece() -> None:
    counts, group = planted(120, 8)
    order = seriate(similarity_of(counts))
    assert sorted(order.tolist()) == list(range(120))
    assert np.count_nonzero(np.diff(group[order])) == 7


def test_a_chain_comes_out_as_a_chain() -> None:
    place = np.random.default_rng(2).permutation(50)
    similarity = np.zeros((50, 50))
    similarity[place[:-1], place[1:]] = similarity[place[1:], place[:-1]] = 1
    along = np.argsort(place)[seriate(similarity)]
    assert along.tolist() in (list(range(50)), list(range(49, -1, -1)))


def test_what_nothing_connects_is_grouped_and_single_classes_come_last() -> None:
    similarity = np.zeros((8, 8))
    for a, b in ((0, 5), (5, 2), (1, 7)):
        similarity[a, b] = similarity[b, a] = 0.5
    order = seriate(similarity).tolist()
    assert order[:3] in ([0, 5, 2], [2, 5, 0])
    assert sorted(order[3:5]) == [1, 7]
    assert order[5:] == [3, 4, 6]
    assert seriate(np.zeros((3, 3))).tolist() == [0, 1, 2]
    assert seriate(np.zeros((0, 0))).tolist() == []


def test_the_order_is_the_same_each_time_and_whatever_the_scale() -> None:
    counts, _ = planted(200, 10)
    similarity = similarity_of(counts)
    order = seriate(similarity)
    np.testing.assert_array_equal(seriate(similarity.copy()), order)
    np.testing.assert_array_equal(seriate(similarity * 4), order)


def test_similarity_is_symmetric_of_shares_and_leaves_out_what_is_right_or_not_predicted() -> None:
    counts = np.array([[6, 2, 2], [0, 4, 0]])  # the last column: not predicted
    assert similarity_of(counts).tolist() == [[0, 0.125], [0.125, 0]]


def test_the_groups_of_a_thousand_classes_are_found() -> None:
    counts, group = planted(1000, 30)
    order = seriate(similarity_of(counts))
    assert np.count_nonzero(np.diff(group[order])) < 60
