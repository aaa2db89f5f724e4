"""Signals pass back as the papers say: against networks written out in NumPy, place by place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from framework import keras, layers, needs_tensorflow, tensorflow

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.adaptors.networks import network as translated
from mloscope.app.errors import NotPossible
from mloscope.app.model_service.backends import RULES
from mloscope.app.model_service.backends.keras import KerasBackend

pytestmark = needs_tensorflow
Back = Callable[[np.ndarray], np.ndarray]


class Run:
    """A model and its weights, as the backend opens them."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def keras_model(self) -> Any:
        return self.model

    def layers(self) -> tuple[Layer, ...]:
        return ()

    def weights(self) -> dict[str, np.ndarray]:
        named = ((layer.name, each) for layer in self.model.layers for each in layer.weights)
        return {f"{layer}/{each.name}": np.asarray(each) for layer, each in named}


def passed_back(model: Any, image: np.ndarray, layer: str, seeds: np.ndarray, **how: Any) -> np.ndarray:
    run = Run(model)
    network = KerasBackend().open(run, "the run")
    weights = network.weights(run.weights(), Checkpoint(0, "0"))
    return network.backward(image[None], weights, layer, seeds[None].astype(np.float32), **how)[1][0]


# --------------------------------------------------------------------------------------- layers written out in NumPy


def windows(size: int, reach: int, stride: int, before: int) -> list[tuple[int, int]]:
    """Where windows along one axis begin and end, and may hang over."""
    count = -(-size // stride) if before or reach == 1 else (size - reach) // stride + 1
    return [(stride * number - before, stride * number - before + reach) for number in range(count)]


def convolved(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray, stride: int, before: int) -> tuple[np.ndarray, Back]:
    """A convolution, and its transpose."""
    reach = kernel.shape[0]
    rows, columns = (windows(size, reach, stride, before) for size in x.shape[:2])
    around = np.pad(x, ((reach, reach), (reach, reach), (0, 0)))
    places = [
        (row, column, slice(top + reach, bottom + reach), slice(left + reach, right + reach))
        for row, (top, bottom) in enumerate(rows)
        for column, (left, right) in enumerate(columns)
    ]
    y = np.zeros((len(rows), len(columns), kernel.shape[-1]))
    for row, column, down, across in places:
        y[row, column] = np.tensordot(around[down, across], kernel, 3) + bias

    def back(signal: np.ndarray) -> np.ndarray:
        found = np.zeros_like(around)
        for row, column, down, across in places:
            found[down, across] += kernel @ signal[row, column]
        return found[reach:-reach, reach:-reach]

    return y, back


def pooled(x: np.ndarray, reach: int, stride: int) -> tuple[np.ndarray, Back]:
    """The largest of each window, and what hands a signal on to the first that was largest."""
    rows, columns = (windows(size, reach, stride, 0) for size in x.shape[:2])
    y = np.zeros((len(rows), len(columns), x.shape[2]))
    switches = {}
    for row, (top, bottom) in enumerate(rows):
        for column, (left, right) in enumerate(columns):
            for unit in range(x.shape[2]):
                window = x[top:bottom, left:right, unit]
                at = np.unravel_index(window.argmax(), window.shape)
                y[row, column, unit] = window[at]
                switches[row, column, unit] = top + at[0], left + at[1], unit

    def back(signal: np.ndarray) -> np.ndarray:
        found = np.zeros_like(x)
        for place, switch in switches.items():
            found[switch] += signal[place]
        return found

    return y, back


def rectified(x: np.ndarray, rule: str) -> tuple[np.ndarray, Back]:
    def back(signal: np.ndarray) -> np.ndarray:
        if rule == "deconvolution":
            return np.where(signal > 0, signal, 0)
        return np.where((x > 0) & ((signal > 0) | (rule == "gradient")), signal, 0)

    return np.maximum(x, 0), back


# ------------------------------------------------------------------------------------------------------------- proofs


@pytest.fixture(scope="module")
def pooling_network() -> Any:
    """Stride, padding, overlapping pools; weights and images of few whole numbers, so that there are ties."""
    model = keras.Sequential(
        [
            keras.Input((11, 11, 2)),
            layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="one"),
            layers.MaxPooling2D(3, strides=1, name="pool"),
            layers.Conv2D(3, 2, name="two"),
            layers.ReLU(name="rectified"),
        ]
    )
    random = np.random.default_rng(3)
    model.set_weights([random.integers(-1, 2, each.shape) for each in model.get_weights()])
    return model


@pytest.mark.parametrize("rule", RULES)
def test_signals_pass_strides_padding_and_overlapping_pools(pooling_network: Any, rule: str) -> None:
    first, first_bias, second, second_bias = pooling_network.get_weights()
    image = np.random.default_rng(4).integers(-1, 2, (11, 11, 2)).astype(np.float64)
    x, backs = image, []
    for step in (
        lambda x: convolved(x, first, first_bias, 2, 1),
        lambda x: rectified(x, rule),
        lambda x: pooled(x, 3, 1),
        lambda x: convolved(x, second, second_bias, 1, 0),
        lambda x: rectified(x, rule),
    ):
        x, back = step(x)
        backs.append(back)
    signal = seeds = np.random.default_rng(5).normal(size=x.shape)
    for back in reversed(backs):
        signal = back(signal)
    found = passed_back(pooling_network, image.astype(np.float32), "rectified", seeds, rule=rule)
    assert np.abs(signal).max() > 0
    np.testing.assert_allclose(found, signal, rtol=1e-5, atol=1e-5)


def test_the_deconvolution_that_captum_publishes() -> None:
    """The network and the image of that library's own test: a convolution of ones, of which the first unit's map is added and
    the second's first place too, and the rest of it subtracted."""
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.Conv2D(2, 3, activation="relu", name="conv"),
            layers.Permute((3, 1, 2), name="turned"),
            layers.Flatten(name="flat"),
            layers.Dense(4, activation="relu", name="dense"),
        ]
    )
    of_places = np.repeat([[1.0], [-1.0]], [5, 3], axis=0) * np.ones(4)
    model.set_weights([np.ones((3, 3, 1, 2)), np.array([-50.0, -75.0]), of_places, np.zeros(4)])
    image = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    found = passed_back(model, image, "dense", np.eye(4)[0], rule="deconvolution")
    np.testing.assert_array_equal(found[..., 0], [[2, 3, 3, 1], [3, 5, 5, 2], [3, 5, 5, 2], [1, 2, 2, 1]])


def normalised_by_tensorflow(x: Any) -> Any:
    return layers.Lambda(lambda maps: tensorflow.nn.local_response_normalization(maps, 2, alpha=0.3), name="norm")(x)


def normalised_by_a_translated_layer(x: Any) -> Any:
    from mloscope.adaptors.networks.translated_layers import TranslatedLayer

    rule = translated.LocalNormalisation((5, 5, 3), True, 5, 0.3, 0.5)
    return TranslatedLayer(translated.Node(Layer("norm", "normalisation", ("conv",), (5, 5, 3)), rule))([x])


@pytest.mark.parametrize("normalised", [normalised_by_tensorflow, normalised_by_a_translated_layer])
def test_a_deconvolution_passes_by_normalisation_and_a_gradient_does_not(normalised: Callable[[Any], Any]) -> None:
    image = keras.Input((5, 5, 2))
    model = keras.Model(image, normalised(layers.Conv2D(3, 3, padding="same", name="conv")(image)))
    random = np.random.default_rng(6)
    model.set_weights([random.normal(size=each.shape) for each in model.get_weights()])
    taken, seeds = random.normal(size=(5, 5, 2)).astype(np.float32), random.normal(size=(5, 5, 3))
    before, behind = (
        {rule: passed_back(model, taken, name, seeds, rule=rule) for rule in RULES} for name in ("conv", "norm")
    )
    np.testing.assert_allclose(behind["deconvolution"], before["gradient"], rtol=1e-5, atol=1e-5)
    change = (1e-2 * random.normal(size=taken.shape)).astype(np.float32)
    rise = [seeds.ravel() @ np.asarray(model((taken + by)[None])).ravel() for by in (change, -change)]
    np.testing.assert_allclose(2 * (behind["gradient"] * change).sum(), rise[0] - rise[1], rtol=1e-3)


def test_what_leads_nowhere_is_said() -> None:
    image = keras.Input((4, 4, 1), name="image")
    whole = layers.Lambda(lambda x: tensorflow.cast(tensorflow.round(x), "int32"), name="whole")(image)
    number = layers.Lambda(lambda x: tensorflow.cast(x, "float32"), name="number")(whole)
    model = keras.Model(image, layers.Dense(2, name="dense")(layers.Flatten(name="flat")(number)))
    taken = np.zeros((4, 4, 1), np.float32)
    with pytest.raises(NotPossible, match="dense"):
        passed_back(model, taken, "dense", np.ones(2))
    assert passed_back(model, taken, "dense", np.ones(2), with_respect_to="number").shape == (4, 4, 1)
