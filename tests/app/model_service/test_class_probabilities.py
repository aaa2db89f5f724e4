"""How an output's values become class probabilities, by each rule."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.app.model_service.class_probabilities import (
    AS_GIVEN,
    BY_VALUE,
    LOGIT_OF_CLASS_1,
    PROBABILITY_OF_CLASS_1,
    RULES,
    SIGMOID,
    SOFTMAX,
    as_probabilities,
    class_count,
    sigmoid,
)

LOGITS = np.array([[1.0, 2.0, -3.0], [0.0, 0.0, 0.0]])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_logits_become_their_softmax_in_their_own_type(kind: type) -> None:
    rows, how = as_probabilities(SOFTMAX, LOGITS.astype(kind))
    assert how == SOFTMAX
    assert rows.dtype == kind
    powers = np.exp(LOGITS)
    np.testing.assert_allclose(rows, powers / powers.sum(axis=1, keepdims=True), rtol=1e-6)


def test_probabilities_stay_as_they_are() -> None:
    rows = np.array([[0.9, 0.8, 0.7]])
    assert as_probabilities(AS_GIVEN, rows) == (rows, AS_GIVEN)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_one_probability_is_that_of_the_second_class(kind: type) -> None:
    rows, how = as_probabilities(PROBABILITY_OF_CLASS_1, np.array([[0.25], [1.0]], kind))
    assert (rows.tolist(), rows.dtype, how) == ([[0.75, 0.25], [0.0, 1.0]], kind, PROBABILITY_OF_CLASS_1)


def test_one_logit_gets_its_sigmoid_wherever_it_lies() -> None:
    rows, _ = as_probabilities(LOGIT_OF_CLASS_1, np.array([[0.0], [-0.7], [-30.0], [1000.0], [np.nan]]))
    np.testing.assert_allclose(rows[:4, 1], [0.5, 1 / (1 + np.exp(0.7)), np.exp(-30), 1], rtol=1e-12)
    np.testing.assert_allclose(rows[:4].sum(axis=1), 1)
    assert np.isnan(rows[4]).all()


def test_one_value_is_expected_by_the_rules_of_one_value() -> None:
    for rule in (PROBABILITY_OF_CLASS_1, LOGIT_OF_CLASS_1):
        for values in (LOGITS, LOGITS[:, :0]):
            with pytest.raises(ValueError, match=f"{values.shape[1]} values"):
                as_probabilities(rule, values)


def test_logits_that_each_stand_for_themselves_get_a_sigmoid_each() -> None:
    rows, rule = as_probabilities(SIGMOID, np.array([[0.0, 100.0, -100.0]]))
    assert rule == SIGMOID
    np.testing.assert_allclose(rows, [[0.5, 1, 0]], atol=1e-12)


def test_by_value_every_finite_row_must_be_a_distribution() -> None:
    good = np.array([[0.2, 0.3, 0.5], [np.nan, np.nan, np.nan]])
    assert as_probabilities(BY_VALUE, good)[1] == AS_GIVEN
    assert as_probabilities(BY_VALUE, np.vstack([good, [[0.2, 0.3, 0.6]]]))[1] == SOFTMAX
    assert as_probabilities(BY_VALUE, np.vstack([good, [[-0.2, 0.7, 0.5]]]))[1] == SOFTMAX
    assert as_probabilities(BY_VALUE, np.full((2, 3), np.nan))[1] == SOFTMAX


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ([0.0, 0.4, 0.6], AS_GIVEN),
        ([0.2, 0.3, 0.5009], AS_GIVEN),
        ([0.2, 0.3, 0.4991], AS_GIVEN),
        ([0.2, 0.3, 0.502], SOFTMAX),
        ([0.2, 0.3, 0.498], SOFTMAX),
        ([-1e-6, 0.5, 0.500001], SOFTMAX),
    ],
)
def test_by_value_probabilities_may_be_zero_and_sum_to_one_but_for_rounding(row: list[float], rule: str) -> None:
    assert as_probabilities(BY_VALUE, np.array([row]))[1] == rule


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_softmax_of_large_logits_does_not_overflow(kind: type) -> None:
    rows, _ = as_probabilities(SOFTMAX, np.array([[1e4, 1e4, 0], [-1e4, -1e4, -1e4]], kind))
    np.testing.assert_allclose(rows, [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_nan_and_infinity_give_nan_and_leave_the_other_rows_alone() -> None:
    rows, _ = as_probabilities(SOFTMAX, np.array([[1, np.nan, 0], [np.inf, 0, 0], [-np.inf, 0, 0]]))
    assert np.isnan(rows[0]).all()
    assert np.isnan(rows[1]).any()
    np.testing.assert_allclose(rows[2], [0, 0.5, 0.5])


def test_a_rule_says_how_many_classes_it_makes() -> None:
    assert {rule: class_count(rule, 1 if "one output" in rule else 7) for rule in RULES} == {
        AS_GIVEN: 7, SOFTMAX: 7, SIGMOID: 7, BY_VALUE: 7, PROBABILITY_OF_CLASS_1: 2, LOGIT_OF_CLASS_1: 2,
    }  # fmt: skip


def test_sigmoid_does_not_overflow() -> None:
    with np.errstate(all="raise", under="ignore"):
        np.testing.assert_array_equal(sigmoid(np.array([-1e4, 0, 1e4])), [0, 0.5, 1])
