"""What a network does to pixels by itself, and for which pixels it was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.app.evaluation.own_preprocessing import own_preprocessing, unknown_first_layers


class Network:
    """Layers and the arrays of some of them, as much of a run as is looked at."""

    input_shape = (8, 8, 3)

    def __init__(self, *layers: Layer, arrays: dict[str, np.ndarray] | None = None) -> None:
        self._layers = (Layer("image", "input", (), (8, 8, 3)), *layers)
        self._arrays = arrays or {}

    def layers(self) -> tuple[Layer, ...]:
        return self._layers

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return (Checkpoint(0, "broken", problem="It is cut off."), Checkpoint(1, "whole"))

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        assert checkpoint.step == 1
        return self._arrays


def layer(name: str, source: str, before: str | Sequence[str] = "image", **settings: Any) -> Layer:
    inputs = (before,) if isinstance(before, str) else tuple(before)
    return Layer(name, source.lower(), inputs, (8, 8, 3), hyperparameters=settings, source_class=source)


def conv(before: str) -> Layer:
    return Layer("conv", "convolution", (before,), (6, 6, 4), source_class="Conv2D")


def takes(*layers: Layer, **more: Any) -> float | None:
    network: Any = Network(*layers, **more)
    found = own_preprocessing(network)
    assert found is not None
    return found.takes


@pytest.mark.parametrize(
    ("settings", "brightest"),
    [
        ({"scale": 1 / 255, "offset": 0.0}, 255.0),
        ({"scale": 1 / 127.5, "offset": -1}, 255.0),
        ({"scale": 2.0, "offset": -1.0}, 1.0),
        ({"scale": [1 / 58.4, 1 / 57.1, 1 / 57.4], "offset": [-2.12, -2.04, -1.8]}, 255.0),
    ],
)
def test_a_rescaling_shows_its_range(settings: dict[str, Any], brightest: float) -> None:
    assert takes(layer("rescale", "Rescaling", **settings), conv("rescale")) == brightest


@pytest.mark.parametrize(
    ("mean", "variance", "brightest"),
    [([120.0, 110.0, 100.0], [4000.0] * 3, 255.0), ([0.47, 0.43, 0.39], [0.06] * 3, 1.0)],
)
def test_a_normalization_is_read_from_the_first_whole_checkpoint(
    mean: list[float], variance: list[float], brightest: float
) -> None:
    arrays = {"mean": np.array(mean), "variance": np.array(variance)}
    assert takes(layer("norm", "Normalization"), conv("norm"), arrays=arrays) == brightest
    stated = layer("norm", "Normalization", mean=mean, variance=variance)
    assert takes(stated, conv("norm")) == brightest


def test_arithmetic_of_preprocess_input_is_followed() -> None:
    divided = layer("divided", "TrueDivide", operands=[None, 127.5])
    shifted = layer("shifted", "Subtract", "divided", operands=[None, 1.0])
    assert takes(divided, shifted, conv("shifted")) == 255.0
    old = layer("old", "TFOpLambda", function="math.truediv", operands=[None, 127.5])
    older = layer("older", "TFOpLambda", "old", function="math.subtract", operands=[None, 1.0])
    assert takes(old, older, conv("older")) == 255.0


def test_channels_turned_round_and_less_a_mean_are_caffes() -> None:
    picked = [layer(f"c{i}", "GetItem", operands=[None, [{"class_name": "__ellipsis__"}, i]]) for i in (2, 1, 0)]
    stacked = layer("stack", "Stack", [each.name for each in picked], axis=-1, operands=[None, None, None])
    less = layer("less", "Add", "stack", operands=[None, [[[[-103.939, -116.779, -123.68]]]]])
    network: Any = Network(*picked, stacked, less, conv("less"))
    found = own_preprocessing(network)
    assert found is not None
    assert found.takes == 255.0
    assert (found.low, found.high) == pytest.approx((-123.68, 255 - 103.939))


def test_augmentation_between_changes_nothing() -> None:
    flip = layer("flip", "RandomFlip")
    rescale = layer("rescale", "Rescaling", "flip", scale=1 / 255, offset=0)
    assert takes(flip, rescale, conv("rescale")) == 255.0


def test_what_could_be_either_is_not_guessed() -> None:
    halved = layer("halved", "Multiply", operands=[None, 0.5])
    assert takes(halved, conv("halved")) is None


@pytest.mark.parametrize(
    "first",
    [
        conv("image"),
        layer("flip", "RandomFlip"),
        layer("sum", "Add", ["image", "image"]),
        layer("odd", "Subtract", operands=["nonsense", None]),
        layer("power", "Power", operands=[None, 2]),
    ],
)
def test_what_is_no_preprocessing_is_none(first: Layer) -> None:
    network: Any = Network(first)
    assert own_preprocessing(network) is None


def test_several_inputs_are_not_followed() -> None:
    network: Any = Network(Layer("other", "input", (), (8, 8, 3)), layer("rescale", "Rescaling", scale=1 / 255))
    assert own_preprocessing(network) is None


@pytest.mark.parametrize("moving", ["Permute", "Flatten", "Reshape", "Transpose", "ExpandDims"])
def test_layers_that_put_values_elsewhere_are_followed(moving: str) -> None:
    moved = layer("moved", moving)
    assert takes(moved, layer("rescale", "Rescaling", "moved", scale=1 / 255), conv("rescale")) == 255.0
    each = layer("rescale", "Rescaling", scale=[1 / 255, 1 / 254, 1 / 253])
    network: Any = Network(each, layer("moved", moving, "rescale"), conv("moved"))
    assert own_preprocessing(network) is not None, "what was done before is known"


def test_a_grey_image_that_is_made_three_channels_is_followed() -> None:
    thrice = layer("thrice", "Concatenate", axis=-1)
    assert takes(thrice, layer("divided", "TrueDivide", "thrice", operands=[None, 255.0]), conv("divided")) == 255.0


def test_layers_whose_code_is_not_read_are_named() -> None:
    resized = layer("resize", "Resizing")
    network: Any = Network(resized, layer("own", "Lambda", "resize"), conv("own"))
    assert unknown_first_layers(network) == ("own (Lambda)",)
    assert unknown_first_layers(Network(conv("image"))) == ()  # type: ignore[arg-type]
