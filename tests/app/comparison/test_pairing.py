"""app/comparison/pairing.py: pairs of layers, alignments of time, changes of units, correlations, moved images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mloscope.adaptors.interface import Checkpoint, Layer, Parameter
from mloscope.app.comparison import pairing
from mloscope.app.errors import BadRequest

KERNEL = ("row", "column", "channel", "unit")


def conv(name: str, units: int = 8, channels: int = 3) -> Layer:
    kernel = Parameter("kernel", (3, 3, channels, units), KERNEL)
    return Layer(name, "convolution", (), (8, 8, units), (kernel,))


def pairs(*arguments) -> list[tuple[str | None, str | None, str]]:
    return [(pair.a, pair.b, pair.how) for pair in pairing.pair_layers(*arguments)]


# ------------------------------------------------------------------------------------------------------------ layers


def test_layers_are_paired_by_name_then_shape_then_kind_and_what_is_left_stands_alone() -> None:
    a = [
        conv("conv1"),
        conv("first", 16),
        conv("second", 16),
        conv("odd", 5),
        Layer("pool", "max pooling", (), (4, 4, 8)),
    ]
    b = [conv("conv1", 32), conv("x", 16), conv("y", 16), conv("z", 7), Layer("fc", "dense", (), (10,))]
    assert pairs(a, b) == [
        ("conv1", "conv1", "name"),
        ("first", "x", "kind and shape"),
        ("second", "y", "kind and shape"),
        ("odd", "z", "kind"),
        ("pool", None, "none"),
        (None, "fc", "none"),
    ]


def test_a_name_that_is_another_kind_s_pairs_nothing() -> None:
    a, b = [conv("one")], [Layer("one", "dense", (), (10,))]
    assert pairs(a, b) == [("one", None, "none"), (None, "one", "none")]


def test_pairs_by_hand_come_first_and_what_they_took_is_taken() -> None:
    a, b = [conv("one"), conv("two")], [conv("one"), conv("two")]
    assert pairs(a, b, {"one": "two"}) == [("one", "two", "hand"), ("two", "one", "kind and shape")]
    assert pairs(a, b, {"one": None}) == [("one", None, "hand"), ("two", "two", "name"), (None, "one", "none")]
    assert pairs(a, b, {"gone": "one", "one": "gone"}) == [("one", "one", "name"), ("two", "two", "name")]


def test_whether_a_pair_agrees_is_its_arrays_and_outputs() -> None:
    agrees = [pair.agrees for pair in pairing.pair_layers([conv("a"), conv("b")], [conv("a"), conv("b", 9)])]
    assert agrees == [True, False]
    for one, other, expected in (((4, 8), (4, 8), True), ((4, 8), (2, 8), False), ((4, 8), None, True)):
        a, b = ([Layer("pool", "max pooling", (), shape)] for shape in (one, other))
        assert pairing.pair_layers(a, b)[0].agrees == pairing.pair_layers(b, a)[0].agrees == expected


def test_layers_without_arrays_are_paired_by_what_they_give() -> None:
    a, b = (
        [Layer(name, "max pooling", (), (size, size, 8)) for name, size in side]
        for side in ((("p", 4), ("q", 2)), (("x", 2), ("y", 4)))
    )
    assert pairs(a, b) == [("p", "y", "kind and shape"), ("q", "x", "kind and shape")]


@given(
    st.lists(st.tuples(st.sampled_from("pqrst"), st.integers(1, 3)), max_size=8, unique_by=lambda item: item[0]),
    st.data(),
)
def test_every_layer_is_in_exactly_one_pair(first, data) -> None:
    second = data.draw(st.permutations(first)) if first else []
    second = [(name + data.draw(st.sampled_from(["", "x"])), units) for name, units in second]
    a, b = ([conv(name, units) for name, units in side] for side in (first, second))
    found = pairing.pair_layers(a, b)
    assert [pair.a for pair in found if pair.a is not None] == [layer.name for layer in a]
    assert sorted(pair.b for pair in found if pair.b is not None) == sorted(layer.name for layer in b)


def test_pairs_by_hand_are_read() -> None:
    assert pairing.parse_pairs("") == {}
    assert pairing.parse_pairs("conv1:conv1a,conv2:") == {"conv1": "conv1a", "conv2": None}
    assert pairing.parse_pairs("%2C%3A%25:100%2525,") == {",:%": "100%25"}


@pytest.mark.parametrize("text", ["conv1", ":conv1", "a:b:c"])
def test_what_pairs_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="pairs no layers"):
        pairing.parse_pairs(text)


# -------------------------------------------------------------------------------------------------------------- time


def checkpoints(*steps: int, epochs: bool = True) -> list[Checkpoint]:
    return [Checkpoint(step, f"{step}", epoch=step / 100 if epochs else None) for step in steps]


@pytest.mark.parametrize(
    ("by", "expected"),
    [("step", (0, 0, 1, 2)), ("epoch", (0, 0, 1, 2)), ("share", (0, 0, 1, 2)), ("accuracy", (0, 2, 2, 2))],
)
def test_the_nearest_counterpart_and_of_equals_the_earlier(by: str, expected: tuple[int, ...]) -> None:
    a, b = checkpoints(0, 100, 600, 1000), checkpoints(0, 500, 1000)
    accuracies = {0: 0.1, 100: 0.89, 600: 0.9, 1000: 0.95}, {0: 0.2, 500: 0.6, 1000: 0.88}
    assert pairing.align(a, b, by, *accuracies) == pairing.Alignment(expected, None)
    assert pairing.align(checkpoints(250), b, "step").indices == (0,)


def test_share_of_training_stretches_runs_of_different_length() -> None:
    assert pairing.align(checkpoints(10, 20, 30), checkpoints(0, 500, 1000), "share").indices == (0, 1, 2)
    assert pairing.align(checkpoints(7), checkpoints(0, 500), "share").indices == (1,)


def test_what_cannot_be_aligned_says_why() -> None:
    a, b = checkpoints(0, 100), checkpoints(0, 100, epochs=False)
    found = pairing.align(a, b, "epoch", names=("left", "right"))
    assert found.indices == (None, None)
    assert '"right" do not say their epoch' in found.problem
    found = pairing.align(a, b, "accuracy", {0: 0.5}, {}, ("left", "right"))
    assert "none is recorded for right" in found.problem
    assert pairing.align(a, b, "accuracy", {100: 0.5}, {0: 0.4}).indices == (None, 0)
    assert pairing.align(a, [], "step").problem == 'The run "B" has no checkpoints.'
    with pytest.raises(BadRequest, match="step, epoch, share, accuracy"):
        pairing.align(a, b, "phase of the moon")


# ------------------------------------------------------------------------------------------------------------- units


def test_changes_are_those_of_the_formulas() -> None:
    random = np.random.default_rng(1)
    a, b = random.normal(size=(5, 12)), random.normal(size=(5, 12))
    found = pairing.unit_changes(a.astype(np.float32), b.astype(np.float32))
    a, b = a.astype(np.float32).astype(np.float64), b.astype(np.float32).astype(np.float64)
    norm = np.linalg.norm
    for unit in range(5):
        assert found.norm_a[unit] == pytest.approx(norm(a[unit]))
        assert found.norm_b[unit] == pytest.approx(norm(b[unit]))
        assert found.variance_a[unit] == pytest.approx(np.var(a[unit]))
        assert found.variance_b[unit] == pytest.approx(np.var(b[unit]))
        assert found.ratio[unit] == pytest.approx(norm(a[unit]) / norm(b[unit]))
        assert found.change[unit] == pytest.approx(norm(a[unit] - b[unit]) / norm(b[unit]))
        assert found.cosine[unit] == pytest.approx(a[unit] @ b[unit] / norm(a[unit]) / norm(b[unit]))


def test_units_without_values_have_no_norm_and_do_not_vary() -> None:
    found = pairing.unit_changes(np.zeros((3, 0)), np.zeros((3, 0)))
    for values in (found.norm_a, found.norm_b, found.variance_a, found.variance_b, found.change):
        assert values.tolist() == [0, 0, 0]


def test_rounding_takes_no_cosine_beyond_1() -> None:
    a = np.random.default_rng(1).normal(size=(1000, 7))
    for sign in (1, -1):
        found = pairing.unit_changes(a, sign * a)
        assert np.abs(found.cosine).max() <= 1
        assert found.cosine == pytest.approx(sign)


def test_zeros_infinities_and_explosions() -> None:
    a = np.array([[0.0, 0], [1, 2], [0, 0], [np.nan, 1], [1e200, 1e200], [1e-200, 0]])
    b = np.array([[0.0, 0], [0, 0], [3, 4], [1, 1], [1e200, -1e200], [2e-200, 0]])
    found = pairing.unit_changes(a, b)
    assert found.change[:3].tolist() == [0, np.inf, 1]
    assert np.isnan(found.cosine[:3]).all()
    assert found.ratio[1] == np.inf
    assert np.isnan([found.ratio[0], found.norm_a[3], found.change[3], found.cosine[3]]).all()
    assert found.cosine[4] == pytest.approx(0)
    assert found.change[4] == pytest.approx(np.sqrt(2))
    assert found.ratio[5] == pytest.approx(0.5)
    with pytest.raises(BadRequest, match="must agree"):
        pairing.unit_changes(a, b[:, :1])
    with pytest.raises(BadRequest, match="no measure"):
        found.measure("weight")


def test_ranks_give_ties_their_mean() -> None:
    assert pairing.ranks(np.array([3.0, 1, 3, 2, 3])).tolist() == [4, 1, 4, 2, 4]


@given(st.lists(st.integers(-20, 20), min_size=3, max_size=12), st.randoms(use_true_random=False))
def test_rank_correlation_is_the_pearson_correlation_of_ranks(values: list[int], random) -> None:
    other = list(values)
    random.shuffle(other)
    found = pairing.correlate(np.array(values, float), np.array(other, float))
    if len(set(values)) == 1:
        assert np.isnan([found.rank, found.pearson, found.chance]).all()
        return
    expected = np.corrcoef([sum(v < u for v in values) + sum(v == u for v in values) / 2 for u in values],
                           [sum(v < u for v in other) + sum(v == u for v in other) / 2 for u in other])[0, 1]  # fmt: skip
    assert found.rank == pytest.approx(expected, abs=1e-9)
    assert found.pearson == pytest.approx(np.corrcoef(values, other)[0, 1], abs=1e-9)


def test_order_survives_what_bends_values_and_chance_is_counted() -> None:
    a = np.arange(1.0, 9)
    found = pairing.correlate(a, np.exp(a))
    assert found.rank == pytest.approx(1)
    assert found.pearson < 0.9
    assert pairing.correlate(np.arange(50.0), np.arange(50.0)).chance == 1 / 2000
    # Of all 8! orders only two are as far from 0.
    assert found.chance <= 2 / 2000
    unordered = pairing.correlate(a, np.array([4.0, 8, 1, 5, 7, 2, 6, 3]))
    orders = (np.corrcoef(a, order)[0, 1] for order in itertools.islice(itertools.permutations(a), 0, None, 37))
    share = np.mean([abs(r) >= abs(unordered.rank) - 1e-12 for r in orders])
    assert unordered.chance == pytest.approx(share, abs=0.05)


def test_correlation_leaves_out_what_is_no_number() -> None:
    a, b = np.array([1.0, 2, np.nan, 4, np.inf]), np.array([2.0, 4, 5, 8, 9])
    found = pairing.correlate(a, b)
    assert found.count == 3
    assert found.pearson == pytest.approx(1)
    assert np.isnan(pairing.correlate(a[:2], b[:2]).rank)


def test_rows_of_the_table_carry_the_units_own_numbers() -> None:
    changes = pairing.unit_changes(np.eye(3), 2 * np.eye(3))
    rows = pairing.unit_rows(changes, (7, 3, 9))
    assert [row[0] for row in rows] == [7, 3, 9]
    assert len(rows[0]) == len(pairing.UNIT_COLUMNS)
    assert rows[1][1:4] == (1, 2, 0.5)


# --------------------------------------------------------------------------------------------------------- confusion


def test_images_that_moved_into_and_out_of_a_cell() -> None:
    actual = np.array([0, 0, 0, 1, 0, -1], np.int32)
    at_a = np.array([1, 0, 1, 1, -1, 1], np.int32)
    at_b = np.array([0, 1, 1, 1, 1, 0], np.int32)
    found = pairing.moved(actual, at_a, at_b, 0, 1)
    assert (found.into.tolist(), found.out_of.tolist()) == ([0], [1, 4])
    assert pairing.moved(actual, at_a, at_b, 0, -1).into.tolist() == [4]
    with pytest.raises(BadRequest, match="different images"):
        pairing.moved(actual, at_a, at_b[:3], 0, 1)


@pytest.mark.parametrize(
    ("a", "b", "by"),
    [
        ([(1000, 1.0), (70_000, 7.0)], [(1, 1.0), (135, 135.0)], "epoch"),
        ([(1000, None), (70_000, None)], [(1, None), (135, None)], "share"),
        ([(1000, None), (70_000, None)], [(500, None), (40_000, 9.0)], "step"),
    ],
)
def test_runs_are_aligned_by_what_both_count(a: list, b: list, by: str) -> None:
    sides = [[Checkpoint(step, f"{step}", epoch=epoch) for step, epoch in side] for side in (a, b)]
    assert pairing.natural_alignment(*sides) == by
