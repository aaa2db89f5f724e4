"""Measures of probabilities: what scikit-learn finds on the same arrays, and what it leaves open."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support, top_k_accuracy_score

from mloscope.app.statistics import measures


def made_up(images: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, float32, that are right about half the time, and labels."""
    random = np.random.default_rng(seed)
    actual = random.integers(0, classes, images)
    logits = random.normal(size=(images, classes)).astype(np.float32)
    logits[np.arange(images), actual] += 2
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True), actual


@pytest.fixture(params=[(3000, 10), (2000, 37), (1, 2)], ids=lambda shape: f"{shape[0]}x{shape[1]}")
def measured(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, measures.ImageMeasures]:
    probabilities, actual = made_up(*request.param)
    return probabilities, actual, measures.measure_images(probabilities, actual)


def test_images_are_measured_as_by_sorting(measured: tuple[np.ndarray, np.ndarray, measures.ImageMeasures]) -> None:
    probabilities, actual, found = measured
    rows = np.arange(len(actual))
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    count = min(20, probabilities.shape[1])
    np.testing.assert_array_equal(found.predicted, ranked[:, 0])
    np.testing.assert_array_equal(found.top_classes, ranked[:, :count])
    np.testing.assert_array_equal(found.top_probabilities, np.take_along_axis(probabilities, ranked[:, :count], axis=1))
    np.testing.assert_array_equal(found.confidence, probabilities.max(axis=1))
    np.testing.assert_array_equal(found.true_probability, probabilities[rows, actual])
    others = probabilities.copy()
    others[rows, actual] = -1
    np.testing.assert_array_equal(found.margin, probabilities[rows, actual] - others.max(axis=1))
    np.testing.assert_allclose(found.loss, -np.log(probabilities[rows, actual].astype(float)), rtol=1e-6)


@pytest.mark.parametrize("classes", [10, 37])
def test_rates_are_those_of_scikit_learn(classes: int) -> None:
    probabilities, actual = made_up(3000, classes)
    found = measures.measure_images(probabilities, actual)
    cells, _ = measures.confusion(actual, found.predicted, classes)
    summary = measures.summarise(actual, found.predicted, found.confidence, found.loss, found.in_top_5, cells, classes)
    labels, exact = np.arange(classes), probabilities.astype(float)
    np.testing.assert_array_equal(
        measures.dense(cells, classes)[:, :classes], confusion_matrix(actual, found.predicted, labels=labels)
    )
    assert summary["top_5_accuracy"] == top_k_accuracy_score(actual, probabilities, k=5, labels=labels)
    assert summary["loss"] == pytest.approx(
        log_loss(actual, exact / exact.sum(axis=1, keepdims=True), labels=labels), rel=1e-6
    )
    precision, recall, _, support = precision_recall_fscore_support(actual, found.predicted, labels=labels)
    np.testing.assert_allclose(summary["precision"], precision)
    np.testing.assert_allclose(summary["recall"], recall)
    np.testing.assert_array_equal(summary["support"], support)
    assert summary["accuracy"] == float(np.mean(actual == found.predicted))


def test_calibration_is_exact_on_a_small_example() -> None:
    # two bins of fifteen: 0.95 twice, one right; 0.40 twice, both right
    confidence = np.array([0.95, 0.95, 0.4, 0.4], np.float32)
    right = np.array([True, False, True, True])
    assert measures.calibration_error(confidence, right) == pytest.approx((2 * 0.45 + 2 * 0.6) / 4, rel=1e-6)
    assert measures.calibration_error(np.ones(3, np.float32), np.ones(3, bool)) == 0
    assert measures.calibration_error(np.empty(0), np.empty(0, bool)) is None


def test_calibration_bins_are_fifteen_of_equal_width_and_what_rounds_above_1_is_in_the_last() -> None:
    def error(*images: tuple[float, bool]) -> float | None:
        confidence, right = zip(*images, strict=True)
        return measures.calibration_error(np.array(confidence, np.float32), np.array(right))

    assert error((0.05, True), (0.1, False)) == pytest.approx((0.95 + 0.1) / 2, rel=1e-5)  # the first two bins
    assert error((0.93, True), (0.94, True)) == pytest.approx((0.07 + 0.06) / 2, rel=1e-5)
    assert error((0.95, True), (1.02, True)) == pytest.approx((0.05 - 0.02) / 2, rel=1e-3)  # one bin
    assert error((0.9, True), (0.95, False)) == pytest.approx((0.1 + 0.95) / 2, rel=1e-5)  # the last two


def test_calibration_is_that_of_bins_counted_one_by_one() -> None:
    random = np.random.default_rng(4)
    confidence = random.random(4000, np.float32)
    right = random.random(4000) < 0.5  # too little confidence in some bins, too much in others
    total = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert measures.calibration_error(confidence, right) == pytest.approx(total, rel=1e-5)


def test_ties_go_to_the_lower_class() -> None:
    probabilities = np.zeros((3, 40), np.float32)
    probabilities[1, [7, 30]] = 0.5
    probabilities[2] = 1 / 40
    found = measures.measure_images(probabilities, np.array([0, 30, 5]))
    assert found.predicted.tolist() == [0, 7, 0]
    assert found.top_classes[0].tolist() == list(range(20))
    assert found.top_classes[1].tolist() == [7, 30, *range(7), *range(8, 19)]
    assert found.in_top_5.tolist() == [True, True, False]
    assert found.margin.tolist() == [0, 0, 0]


def test_what_is_not_finite_is_not_predicted() -> None:
    probabilities, actual = made_up(5, 30)
    probabilities[1, 3], probabilities[2, 0], probabilities[3, 29] = np.nan, np.inf, -np.inf
    found = measures.measure_images(probabilities, actual)
    assert (found.predicted == -1).tolist() == [False, True, True, True, False]
    for name in ("confidence", "true_probability", "loss", "margin"):
        assert np.isnan(getattr(found, name)).tolist() == [False, True, True, True, False], name
    cells, order = measures.confusion(actual, found.predicted, 30)
    assert cells[cells[:, 1] == 30, 2].sum() == 3
    summary = measures.summarise(actual, found.predicted, found.confidence, found.loss, found.in_top_5, cells, 30)
    assert summary["not_predicted"] == 3
    assert summary["labelled"] == 5
    assert np.isfinite([summary["loss"], summary["calibration_error"]]).all()
    assert sorted(order.tolist()) == list(range(5))


def test_images_without_a_label_are_in_no_cell_and_no_rate() -> None:
    probabilities, actual = made_up(50, 4)
    actual[::2] = -1
    found = measures.measure_images(probabilities, actual)
    cells, order = measures.confusion(actual, found.predicted, 4)
    assert cells[:, 2].sum() == 25
    assert sorted(order[25:].tolist()) == list(range(0, 50, 2))
    summary = measures.summarise(actual, found.predicted, found.confidence, found.loss, found.in_top_5, cells, 4)
    known = actual >= 0
    assert summary["labelled"] == 25
    assert summary["accuracy"] == np.mean(found.predicted[known] == actual[known])
    right = found.predicted[known] == actual[known]
    assert right.any()
    assert summary["calibration_error"] == measures.calibration_error(found.confidence[known], right)
    nobody = measures.summarise(
        np.full(50, -1), found.predicted, found.confidence, found.loss, np.zeros(50, bool), np.empty((0, 3), int), 4
    )
    assert [nobody[name] for name in ("accuracy", "top_5_accuracy", "loss", "calibration_error")] == [None] * 4
    assert nobody["recall"] == [None] * 4


def test_cells_are_contiguous_pieces_of_the_order() -> None:
    random = np.random.default_rng(3)
    actual, predicted = random.integers(0, 7, 500), random.integers(-1, 7, 500)
    cells, order = measures.confusion(actual, predicted, 7)
    start = 0
    for a, p, count in cells.tolist():
        expected = np.flatnonzero((actual == a) & (predicted == (p if p < 7 else -1)))
        np.testing.assert_array_equal(order[start : start + count], expected)
        start += count
    assert start == 500
    assert sorted(map(tuple, cells[:, :2].tolist())) == list(map(tuple, cells[:, :2].tolist()))


def test_slicing_changes_nothing() -> None:
    probabilities, actual = made_up(1000, 300)
    whole = measures.measure_images(probabilities, actual)
    parts = [
        measures.measure_images(probabilities[s], actual[s]) for s in (slice(0, 333), slice(333, 334), slice(334, None))
    ]
    for name in vars(whole):
        np.testing.assert_array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


def test_images_that_are_not_predicted_have_a_column_of_their_own() -> None:
    cells, _ = measures.confusion(np.array([0, 1, 1]), np.array([0, -1, 0]), 2)
    assert measures.dense(cells, 2).tolist() == [[1, 0, 0], [1, 0, 1]]


@pytest.mark.parametrize(("classes", "kind"), [(2, np.uint16), (65_536, np.uint16), (65_537, np.uint32)])
def test_class_numbers_take_two_bytes_as_long_as_they_fit(classes: int, kind: type) -> None:
    probabilities = np.zeros((1, classes), np.float32)
    probabilities[0, -1] = 1
    found = measures.measure_images(probabilities, np.array([0]))
    assert (found.top_classes.dtype, found.top_classes[0, 0], found.predicted[0]) == (kind, classes - 1, classes - 1)


def test_the_loss_is_bounded() -> None:
    found = measures.measure_images(np.array([[0, 1]], np.float32), np.array([0]))
    assert found.loss[0] == pytest.approx(-np.log(1e-7))
    assert found.margin[0] == -1


def test_negative_zero_is_zero() -> None:
    found = measures.measure_images(np.array([[-0.0, 0.25, -1e-9]], np.float32), np.array([1]))
    assert found.top_classes.tolist() == [[1, 0, 2]]
