"""Every layer's variables are found in every kind of file: what is computed is what Keras computes, to the bit or nearly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from framework import Deferred, keras, layers, needs_tensorflow

from mloscope.adaptors import registry
from mloscope.adaptors.interface import RunOptions
from mloscope.app.model_service.backends import LoadedBackends
from mloscope.app.model_service.backends.keras import KerasBackend
from mloscope.app.model_service.evaluator import Evaluator
from mloscope.app.model_service.wire import RunSpec

pytestmark = needs_tensorflow

weight_matching: Any = Deferred("mloscope.app.model_service.backends.keras.weight_matching")

BRANCHES: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "simple_rnn": ((6, 8), lambda: [layers.SimpleRNN(4)]),
    "gru_that_resets_before": ((6, 8), lambda: [layers.GRU(4, reset_after=False, return_sequences=True)]),
    "lstm_without_bias": ((6, 8), lambda: [layers.LSTM(4, use_bias=False)]),
    "two_ways": (
        (6, 8),
        lambda: [
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="sum"),
            layers.Bidirectional(layers.LSTM(4)),
        ],
    ),
    "two_different_ways": (
        (6, 8),
        lambda: [layers.Bidirectional(layers.GRU(4), backward_layer=layers.GRU(4, go_backwards=True, name="back"))],
    ),
    "a_cell": ((6, 8), lambda: [layers.RNN(layers.LSTMCell(4))]),
    "stacked_cells": ((6, 8), lambda: [layers.RNN([layers.LSTMCell(4), layers.LSTMCell(4), layers.GRUCell(3)])]),
    "convolutional_lstm": ((3, 2, 8, 1), lambda: [layers.ConvLSTM2D(3, 2, return_sequences=True)]),
    "a_convolution_per_time": ((3, 2, 8, 1), lambda: [layers.TimeDistributed(layers.Conv2D(3, 2))]),
    "a_network_per_time": ((3, 2, 8, 1), lambda: [layers.TimeDistributed(block())]),
    "spectral_convolution": ((6, 8, 1), lambda: [layers.SpectralNormalization(layers.Conv2D(3, 3))]),
    "spectral_dense": ((6, 8, 1), lambda: [layers.SpectralNormalization(layers.Dense(3))]),
    "separable": ((6, 8), lambda: [layers.SeparableConv1D(4, 3, depth_multiplier=2)]),
    "depthwise": ((6, 8), lambda: [layers.DepthwiseConv1D(3, depth_multiplier=2)]),
    "transposed": ((6, 8), lambda: [layers.Conv1DTranspose(4, 3)]),
    "transposed_in_space": ((3, 2, 8, 1), lambda: [layers.Conv3DTranspose(2, 2)]),
    "root_mean_square": ((6, 8, 1), lambda: [layers.RMSNormalization()]),
    "einsum": ((6, 8), lambda: [layers.EinsumDense("abd,de->abe", output_shape=(6, 2), bias_axes="e")]),
    "over_several_axes": ((6, 8, 1), lambda: [layers.LayerNormalization(axis=[1, 2, 3])]),
}


def block() -> keras.Model:
    return keras.Sequential([keras.Input((2, 8, 1)), layers.Conv2D(2, 2), layers.BatchNormalization()], name="block")


def everything() -> keras.Model:
    """A branch for every layer, which ends in a layer of the branch's name."""
    image = keras.Input((6, 8, 1))
    tokens = layers.Reshape((6, 8))(image)
    attended = layers.GroupQueryAttention(4, 4, 2)(tokens, tokens)
    ends = [layers.Flatten(name="attention_end")(attended)]
    for name, (shape, inside) in BRANCHES.items():
        now = layers.Reshape(shape)(image)
        for layer in inside():
            now = layer(now)
        ends.append(layers.Flatten(name=f"{name}_end")(now))
    return keras.Model(image, layers.Dense(3, name="end")(layers.Concatenate()(ends)))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = everything()
    generator = np.random.default_rng(2)
    model.set_weights([generator.uniform(0.1, 0.9, array.shape).astype(array.dtype) for array in model.get_weights()])
    return model


def sequence(*inside: Any) -> keras.Model:
    return picture(layers.Reshape((6, 8)), *inside)


def picture(*inside: Any) -> keras.Model:
    return keras.Sequential([keras.Input((6, 8, 1)), *inside, layers.Flatten(), layers.Dense(3, name="end")])


def made(**settings: Any) -> Evaluator:
    return Evaluator(LoadedBackends(loaded=[KerasBackend(**settings)]))


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    """One for all, so that the kinds of files of one network share its trace."""
    return made()


@pytest.fixture(scope="module")
def evaluator_of_stacks() -> Evaluator:
    return made(vectorise_below_s=10)


ENDS = [f"{name}_end" for name in ("attention", *BRANCHES)]
PICTURE = np.random.default_rng(3).random((6, 8, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def expected(network: keras.Model) -> dict[str, np.ndarray]:
    """What Keras makes of the picture, by end."""
    outputs = keras.Model(network.input, [network.get_layer(name).output for name in ENDS])(PICTURE[None])
    return {name: np.asarray(values)[0] for name, values in zip(ENDS, outputs, strict=True)}


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_what_is_computed_is_what_keras_computes(
    network: keras.Model, expected: dict[str, np.ndarray], suffix: str, tmp_path: Path, evaluator: Evaluator
) -> None:
    (network.save_weights if suffix == ".weights.h5" else network.save)(tmp_path / f"epoch_1{suffix}")
    (tmp_path / "model.json").write_text(network.to_json())
    found = evaluator.evaluate(spec(tmp_path), [1], ENDS, PICTURE)
    assert not found.failed
    for name, values in expected.items():
        np.testing.assert_allclose(found[name][0], values, rtol=2e-6, atol=2e-6, err_msg=name)


def spec(folder: Path) -> RunSpec:
    return RunSpec(str(folder), registry.open_run(folder).format, RunOptions())


def output(folder: Path, step: int, image: np.ndarray, evaluator: Evaluator) -> np.ndarray:
    evaluation = evaluator.evaluate(spec(folder), [step], ["end"], image)
    assert not evaluation.failed
    return evaluation["end"][0]


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_statistics_of_a_normalization_are_each_checkpoints_own(
    suffix: str, wrapped: bool, tmp_path: Path, evaluator_of_stacks: Evaluator
) -> None:
    normalization = layers.Normalization(name="standard")
    inside = keras.Sequential([keras.Input((6, 8, 1)), normalization], name="inside") if wrapped else normalization
    model = picture(inside)
    image = np.random.default_rng(0).uniform(0, 255, (6, 8, 1)).astype(np.float32)
    expected = {}
    (tmp_path / "model.json").write_text(model.to_json())
    for step, data in enumerate((np.array([[[[0.0]]], [[[2.0]]]]), np.array([[[[100.0]]], [[[300.0]]]])), start=1):
        normalization.adapt(data.repeat(6, 1).repeat(8, 2).astype(np.float32))
        (model.save_weights if suffix == ".weights.h5" else model.save)(tmp_path / f"epoch_{step}{suffix}")
        expected[step] = np.asarray(model(image[None]))[0]
    assert not np.allclose(expected[1], expected[2])
    evaluation = evaluator_of_stacks.evaluate(spec(tmp_path), [1, 2], ["end"], image)
    for row, step in enumerate((1, 2)):
        np.testing.assert_allclose(evaluation["end"][row], expected[step], rtol=1e-5)


def test_the_model_computes_as_before_once_it_was_traced(tmp_path: Path, evaluator: Evaluator) -> None:
    """Statistics that are arguments of a trace must not stay in the layer."""
    normalization = layers.Normalization()
    model = picture(normalization)
    normalization.adapt(np.full((1, 6, 8, 1), 3.0, np.float32))
    model.save(tmp_path / "epoch_1.keras")
    image = np.ones((6, 8, 1), np.float32)
    first, second = (output(tmp_path, 1, image, evaluator) for _ in range(2))
    np.testing.assert_allclose(first, np.asarray(model(image[None]))[0], rtol=1e-5)
    assert np.array_equal(first, second)


# ---------- rules, without files


def test_cells_may_be_numbered_on_and_stand_in_another_order() -> None:
    model = sequence(layers.Bidirectional(layers.LSTM(8), name="both"))
    cells = [
        f"both/{way}_lstm_3/lstm_cell_{number}/{name}"
        for way, number in (("backward", 5), ("forward", 4))
        for name in ("bias", "kernel", "recurrent_kernel")
    ]
    shapes = {"kernel": (8, 32), "recurrent_kernel": (8, 32), "bias": (32,)}
    arrays = {name: np.zeros(shapes[name.rpartition("/")[2]]) for name in cells}
    places = [place for place in weight_matching.places_of(model) if place.layer == "both"]
    found = weight_matching.matched(places, arrays)
    assert len(places) == len(found) == 6
    for place in places:
        way, number = place.attributes[0].removesuffix("_layer"), 4 + place.attributes[0].startswith("backward")
        assert found[place.name] == f"both/{way}_lstm_3/lstm_cell_{number}/{place.variable.name}"


def found(model: keras.Model, arrays: dict[str, np.ndarray]) -> dict[str, str]:
    return weight_matching.matched(weight_matching.places_of(model), arrays)


def test_names_that_say_nothing_are_taken_in_order() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense")])
    arrays = {"dense/W": np.zeros((4, 3)), "dense/b": np.zeros(3)}
    assert found(model, arrays) == {"dense/kernel": "dense/W", "dense/bias": "dense/b"}


def test_order_does_not_override_shapes() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense")])
    assert found(model, {"dense/W": np.zeros((3, 4)), "dense/b": np.zeros(3)}) == {}


def test_layers_whose_names_begin_alike_are_told_apart() -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4, name="b")])
    model.layers[1].name = "a/b"  # as files of Keras 2 have it
    arrays = {name: np.zeros((4, 4) if name.endswith("kernel") else 4) for name in ("a/b/kernel", "a/b/bias")}
    assert found(model, arrays) == {name: name for name in arrays}
