"""Which layer classifies, and when its values are probabilities already."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.adaptors.interface import Layer
from mloscope.app.class_probabilities import AS_GIVEN, SOFTMAX, as_probabilities, output_layer
from mloscope.app.errors import NotPossible

LOGITS = np.array([[1.0, 2.0, -3.0], [0.0, 0.0, 0.0]])


def layer(activation: str | None = None, source_class: str = "Dense") -> Layer:
    return Layer("output", "dense", (), (3,), hyperparameters={"activation": activation}, source_class=source_class)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_logits_become_their_softmax_in_their_own_type(kind: type) -> None:
    rows, how = as_probabilities(layer("linear"), LOGITS.astype(kind))
    assert how == SOFTMAX
    assert rows.dtype == kind
    powers = np.exp(LOGITS)
    np.testing.assert_allclose(rows, powers / powers.sum(axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("output", [layer("softmax"), layer("sigmoid"), layer(source_class="Softmax")])
def test_what_the_layer_says_is_believed(output: Layer) -> None:
    rows = np.array([[0.9, 0.8, 0.7]])
    assert as_probabilities(output, rows) == (rows, AS_GIVEN)


def test_a_log_softmax_is_logits() -> None:
    logs = np.log([[0.2, 0.3, 0.5]])
    for output in (layer("log_softmax"), layer(source_class="LogSoftmax")):
        rows, how = as_probabilities(output, logs)
        assert how == SOFTMAX
        np.testing.assert_allclose(rows, [[0.2, 0.3, 0.5]])


def test_without_a_word_every_finite_row_must_be_a_distribution() -> None:
    good = np.array([[0.2, 0.3, 0.5], [np.nan, np.nan, np.nan]])
    assert as_probabilities(layer(), good)[1] == AS_GIVEN
    assert as_probabilities(layer(), np.vstack([good, [[0.2, 0.3, 0.6]]]))[1] == SOFTMAX
    assert as_probabilities(layer(), np.vstack([good, [[-0.2, 0.7, 0.5]]]))[1] == SOFTMAX
    assert as_probabilities(layer(), np.full((2, 3), np.nan))[1] == SOFTMAX


def test_one_number_is_never_made_a_softmax() -> None:
    for values in ([[0.3]], [[7.0]]):
        rows, how = as_probabilities(layer(), np.array(values))
        assert (rows.tolist(), how) == (values, AS_GIVEN)


def test_nan_and_infinity_give_nan_and_leave_the_other_rows_alone() -> None:
    rows, _ = as_probabilities(layer(), np.array([[1, np.nan, 0], [np.inf, 0, 0], [-np.inf, 0, 0]]))
    assert np.isnan(rows[0]).all()
    assert np.isnan(rows[1]).any()
    np.testing.assert_allclose(rows[2], [0, 0.5, 0.5])


def test_the_output_is_the_last_vector_that_nobody_takes() -> None:
    image = Layer("image", "input", (), (8, 8, 3))
    hidden = Layer("hidden", "dense", ("image",), (4,))
    first, second = Layer("first", "dense", ("hidden",), (2,)), Layer("second", "dense", ("hidden",), (3,))
    picture = Layer("picture", "convolution", ("hidden",), (8, 8, 3))
    assert output_layer((image, hidden, first, second, picture), "run") is second
    assert output_layer((image, hidden, picture), "run") is picture
    with pytest.raises(NotPossible, match='the run "run" has no output layer'):
        output_layer((), "run")
