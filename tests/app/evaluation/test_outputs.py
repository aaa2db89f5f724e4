"""Which layer tells classes, and how; and what is no classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mloscope.adaptors.interface import Layer
from mloscope.app.evaluation.notices import IS_ASSUMED
from mloscope.app.evaluation.outputs import AMONG_ENDS, CHOSEN, DECLARED, ONLY_END, Output, output_of
from mloscope.app.model_service.class_probabilities import (
    AS_GIVEN,
    BY_VALUE,
    LOGIT_OF_CLASS_1,
    PROBABILITY_OF_CLASS_1,
    SIGMOID,
    SOFTMAX,
)

IMAGE = Layer("image", "input", (), (8, 8, 3))
HIDDEN = Layer("hidden", "dense", ("image",), (16,), hyperparameters={"activation": "relu"})


class Network:
    """As much of a run as the choice of an output looks at."""

    def __init__(self, *layers: Layer, outputs: tuple[str, ...] = (), losses: Mapping[str, str] = {}) -> None:
        self._layers, self._outputs, self._losses = (IMAGE, HIDDEN, *layers), outputs, dict(losses)

    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    def outputs(self) -> tuple[str, ...]:
        return self._outputs

    def losses(self) -> Mapping[str, str]:
        return self._losses


def head(name: str = "head", size: Any = 4, activation: str | None = None, kind: str = "dense", **more: Any) -> Layer:
    shape = size if isinstance(size, tuple) else (size,)
    settings = {} if activation is None else {"activation": activation}
    return Layer(name, kind, ("hidden",), shape, hyperparameters=settings, **more)


def chosen(
    *layers: Layer, corpus: int | None = 4, named: int | None = None, by: str | None = None, **more: Any
) -> Output:
    network: Any = Network(*layers, **more)
    return output_of(network, corpus_classes=corpus, named_classes=named, chosen=by)


@pytest.mark.parametrize(
    ("layer", "classes", "rule"),
    [
        (head(activation="softmax"), 4, AS_GIVEN),
        (head(activation="softmax", size=100), 100, AS_GIVEN),
        (head(kind="activation", source_class="Softmax"), 4, AS_GIVEN),
        (head(activation="softmax", size=(1, 1, 4), kind="convolution"), 4, AS_GIVEN),
        (head(activation="sigmoid"), 4, AS_GIVEN),
        (head(activation="log_softmax"), 4, SOFTMAX),
        (head(activation="linear"), 4, SOFTMAX),
        (head(), 4, SOFTMAX),
        (head(size=(1, 1, 4), kind="convolution"), 4, SOFTMAX),
        (head(kind="global pooling"), 4, BY_VALUE),
        (head(size=1, activation="sigmoid"), 2, PROBABILITY_OF_CLASS_1),
        (head(size=1, activation="hard_sigmoid"), 2, PROBABILITY_OF_CLASS_1),
    ],
)
def test_what_the_layer_says_of_its_values_is_believed(layer: Layer, classes: int, rule: str) -> None:
    found = chosen(layer)
    assert (found.layer, found.classes, found.rule, found.source) == ("head", classes, rule, ONLY_END)


def test_a_logit_that_happens_to_lie_between_0_and_1_is_a_logit() -> None:
    found = chosen(head(size=1, activation="linear"), corpus=2)
    assert (found.rule, found.classes) == (LOGIT_OF_CLASS_1, 2)
    assert any("assumed" in sentence for sentence in found.sentences)


def test_the_activation_is_looked_for_behind_layers_that_change_no_value() -> None:
    last = head(name="probabilities", activation="softmax")
    flat = Layer("flat", "flatten", ("probabilities",), (4,))
    cast = Layer("cast", "dropout", ("flat",), (4,))
    assert chosen(last, flat, cast).rule == AS_GIVEN
    assert chosen(head(name="numbers", activation="tanh"), Layer("flat", "flatten", ("numbers",), (4,))).rule is None


@pytest.mark.parametrize(
    ("layer", "corpus", "word"),
    [
        (head(size=(8, 8, 3), kind="convolution"), 4, "map"),
        (head(size=(None, None, 3), kind="convolution"), 3, "map"),
        (head(size=1, activation="linear"), 10, "one value"),
        (head(size=10, activation="linear"), 4, "10 values"),
        (head(size=10, activation="tanh"), 10, "tanh"),
        (head(size=10, activation="relu"), 10, "relu"),
        (head(size=1, activation="softmax"), 2, "1 for every image"),
    ],
)
def test_regressions_maps_and_landmarks_are_no_classes(layer: Layer, corpus: int, word: str) -> None:
    found = chosen(layer, corpus=corpus)
    assert found.rule is None
    assert word in str(found.refusal)
    assert "head" in str(found.refusal)


@pytest.mark.parametrize("loss", ["mse", "MeanSquaredError", "mean_absolute_error", "huber", "EuclideanLoss"])
@pytest.mark.parametrize("size", [1, 4])
def test_what_was_trained_as_a_regression_is_none_of_the_classes(loss: str, size: int) -> None:
    found = chosen(head(size=size, activation="linear"), corpus=4 if size == 4 else 2, losses={"head": loss})
    assert found.rule is None
    assert "loss" in str(found.refusal)


def test_a_loss_makes_logits_certain() -> None:
    found = chosen(head(size=7, activation="linear"), corpus=4, losses={"head": "sparse_categorical_crossentropy"})
    assert (found.rule, found.classes) == (SOFTMAX, 7)
    assert not any("assumed" in sentence for sentence in found.sentences)
    one = chosen(head(size=1, activation="linear"), corpus=None, losses={"head": "BinaryCrossentropy"})
    assert one.rule == LOGIT_OF_CLASS_1


def test_the_declared_output_counts_and_not_the_last_open_end() -> None:
    auxiliary = head(name="auxiliary", activation="softmax")
    found = chosen(head(activation="softmax"), auxiliary, outputs=("head",))
    assert (found.layer, found.source, found.others) == ("head", DECLARED, ())
    assert chosen(head(activation="softmax"), auxiliary).source == AMONG_ENDS


def test_a_declared_output_that_others_take_counts_too() -> None:
    top = Layer("top", "dense", ("head",), (9,), hyperparameters={"activation": "softmax"})
    found = chosen(head(activation="softmax"), top, outputs=("head",))
    assert (found.layer, found.classes) == ("head", 4)


def test_of_several_heads_the_one_that_fits_is_named_and_the_others_can_be_chosen() -> None:
    heads = [head(name="coarse", size=20, activation="softmax"), head(name="fine", size=100, activation="softmax")]
    declared = ("coarse", "fine")
    assert chosen(*heads, corpus=100, outputs=declared).layer == "fine"
    assert chosen(*heads, corpus=20, outputs=declared).layer == "coarse"
    assert chosen(*heads, corpus=20, named=100, outputs=declared).layer == "fine"
    neither = chosen(*heads, corpus=7, outputs=declared)
    assert (neither.layer, neither.others) == ("coarse", ("fine",))
    by_hand = chosen(*heads, head(name="age", size=1, activation="relu"), by="fine", outputs=("coarse", "fine", "age"))
    assert (by_hand.layer, by_hand.others) == ("fine", ("coarse",)), "who chose one can choose another"
    assert any("fine" in sentence for sentence in neither.sentences)
    by_hand = chosen(*heads, corpus=7, outputs=declared, by="fine")
    assert (by_hand.layer, by_hand.source) == ("fine", CHOSEN)


def test_a_regression_beside_classes_is_left_out_and_named() -> None:
    box = head(name="box", size=4, activation="linear")
    found = chosen(box, head(size=2, activation="softmax"), corpus=4, outputs=("box", "head"), losses={"box": "mse"})
    assert found.layer == "head"
    assert any("box" in sentence for sentence in found.sentences)


def test_who_chooses_a_layer_says_that_it_tells_classes() -> None:
    assert chosen(head(size=10, activation="tanh"), corpus=4, by="head").rule == SOFTMAX
    assert chosen(head(size=(8, 8, 3), kind="convolution"), by="head").rule is None
    nowhere = chosen(head(activation="softmax"), by="haed")
    assert nowhere.rule is None
    assert "haed" in str(nowhere.refusal)


def test_no_layers_no_output() -> None:
    class Empty(Network):
        def layers(self) -> tuple[Layer, ...]:
            return ()

    empty: Any = Empty()
    found = output_of(empty)
    assert (found.layer, found.rule) == (None, None)
    assert found.refusal


@pytest.mark.parametrize("order", [("box", "head"), ("head", "box")])
@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("classes", [4, 10])
def test_a_box_that_nobody_explains_is_not_taken_for_the_classes_beside_a_softmax(
    order: tuple[str, str], activation: str | None, classes: int
) -> None:
    layers = {"box": head(name="box", activation=activation), "head": head(size=classes, activation="softmax")}
    found = chosen(*(layers[name] for name in order), outputs=order, corpus=4)
    assert (found.layer, found.classes, found.rule) == ("head", classes, AS_GIVEN)
    assert found.others == (() if activation is None else ("box",))
    assert any("box" in sentence for sentence in found.sentences)


def test_sigmoids_trained_as_a_regression_are_classes_only_where_their_number_fits() -> None:
    boxes = head(activation="sigmoid")
    assert chosen(boxes, corpus=10, losses={"head": "mse"}).rule is None
    digits = chosen(head(size=10, activation="sigmoid"), corpus=10, losses={"head": "mse"})
    assert digits.rule == AS_GIVEN
    assert any("assumed" in sentence for sentence in digits.sentences)
    assert chosen(head(size=1, activation="sigmoid"), corpus=10, losses={"head": "mse"}).rule is None


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy", ""])
def test_as_many_values_as_the_network_takes_are_a_reconstruction(loss: str) -> None:
    found = chosen(head(size=192, activation="sigmoid"), losses={"head": loss} if loss else {})
    assert found.rule is None
    assert "192" in str(found.refusal)
    assert chosen(head(size=192, activation="softmax")).rule == AS_GIVEN


def test_logits_that_a_binary_loss_was_put_on_have_a_probability_each() -> None:
    found = chosen(head(activation="linear"), losses={"head": "BinaryCrossentropy"})
    assert (found.rule, found.classes) == (SIGMOID, 4)


def test_an_operator_of_tensorflow_at_the_end_says_what_it_is() -> None:
    logit = head(name="logit", size=1)
    said = {"function": "math.sigmoid"}
    last = Layer("last", "tfoplambda", ("logit",), (1,), hyperparameters=said, source_class="TFOpLambda")
    assert chosen(logit, last, corpus=2).rule == PROBABILITY_OF_CLASS_1


def test_what_joins_outputs_keeps_what_they_are() -> None:
    parts = [head(name=f"part{number}", size=1, activation="sigmoid") for number in range(4)]
    joined = Layer("all", "concatenate", tuple(part.name for part in parts), (4,), source_class="Concatenate")
    assert chosen(*parts, joined).rule == AS_GIVEN
    mixed = [*parts[:3], head(name="part3", size=1)]
    assert chosen(*mixed, joined).rule == BY_VALUE


def test_a_layer_that_is_called_assumed_is_no_assumption() -> None:
    """A sigmoid trained for classes is certain, whatever its layer is called; beside it, several sigmoids may be a box."""
    certain = head("assumed", activation="sigmoid")
    found = chosen(
        head("box", activation="sigmoid"),
        certain,
        outputs=("box", "assumed"),
        losses={"assumed": "binary_crossentropy"},
    )
    assert found.layer == "assumed"
    assert IS_ASSUMED not in {notice.kind for notice in found.notices}
