"""Networks of every shape the service must walk, and an adaptor that keeps a run of them in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from framework import keras

from mloscope.adaptors.interface import Checkpoint, Layer, Parameter, Preprocessing, RunOptions, Unreadable


def lenet() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(6, 5, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(16, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="relu", name="dense1"),
            layers.Dropout(0.5, seed=1, name="dropout"),
            layers.Dense(84, activation="relu", name="dense2"),
            layers.Dense(10, activation="softmax", name="output"),
        ],
        name="lenet",
    )


def nested() -> keras.Model:
    """A functional model in a functional model in a Sequential."""
    layers = keras.layers
    inner_input = keras.Input((8, 8, 4), name="inner_input")
    inner = keras.Model(inner_input, layers.Conv2D(4, 3, padding="same", name="conv")(inner_input), name="inner")
    block = keras.Sequential([keras.Input((8, 8, 4)), inner, layers.ReLU(name="relu")], name="block")
    image = keras.Input((16, 16, 3), name="image")
    hidden = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(image)
    hidden = block(hidden)
    hidden = layers.GlobalAveragePooling2D(name="pool")(hidden)
    return keras.Model(image, layers.Dense(5, name="output")(hidden), name="nested")


def shared() -> keras.Model:
    """A layer used three times, and a nested model used twice."""
    layers = keras.layers
    image = keras.Input((9, 9, 2), name="image")
    convolution = layers.Conv2D(2, 3, padding="same", activation="tanh", name="shared")
    inner_input = keras.Input((9, 9, 2), name="inner_input")
    twin = keras.Model(inner_input, layers.Conv2D(2, 1, name="mix")(inner_input), name="twin")
    one = convolution(image)
    two = convolution(one)
    three = convolution(twin(twin(two)))
    joined = layers.Concatenate(name="joined")([one, two, three])
    return keras.Model(
        image,
        layers.Dense(3, activation="softmax", name="output")(layers.Flatten()(joined)),
        name="shared_net",
    )


def resnet() -> keras.Model:
    layers = keras.layers
    image = keras.Input((None, None, 3), name="image")
    hidden = layers.Rescaling(1 / 255, name="scaled")(image)
    hidden = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(hidden)
    for number in range(2):
        inside = layers.BatchNormalization(name=f"block{number}_bn1")(hidden)
        inside = layers.ReLU(name=f"block{number}_relu")(inside)
        inside = layers.Conv2D(8, 3, padding="same", use_bias=False, name=f"block{number}_conv")(inside)
        inside = layers.BatchNormalization(name=f"block{number}_bn2")(inside)
        hidden = layers.Add(name=f"block{number}_add")([hidden, inside])
    hidden = layers.GlobalAveragePooling2D(name="pool")(hidden)
    return keras.Model(image, layers.Dense(4, activation="softmax", name="output")(hidden), name="resnet")


def separable() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
            layers.SeparableConv2D(8, 3, padding="same", activation="relu", name="separable"),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="transposed"),
            layers.AveragePooling2D(2, name="pool"),
            layers.UpSampling2D(name="upsampled"),
            layers.Flatten(name="flatten"),
            layers.Dense(6, activation="softmax", name="output"),
        ],
        name="separable_net",
    )


NETWORKS = {each.__name__: each for each in (lenet, nested, shared, resnet, separable)}


def named_variables(model: Any, around: str = "") -> dict[str, Any]:
    """Variables by ``<Layer.name>/<Parameter.name>`` as an adaptor would name them."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found.update(named_variables(layer, f"{around}{layer.name}/"))
        else:
            found.update({f"{around}{layer.name}/{variable.name}": variable for variable in layer.weights})
    return found


def random_weights(model: keras.Model, seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    weights = {}
    for name, variable in named_variables(model).items():
        values = generator.normal(0, 0.3, variable.shape)
        weights[name] = (np.abs(values) + 0.5 if "variance" in name else values).astype(np.float32)
    return weights


def set_weights(model: keras.Model, weights: Mapping[str, np.ndarray]) -> None:
    for name, variable in named_variables(model).items():
        variable.assign(weights[name])


class MemoryRun:
    """A run whose checkpoints are random weights of one architecture; it counts what is read."""

    format: ClassVar[str] = "memory"
    description: ClassVar[str] = "nothing: made by tests"
    backend: ClassVar[str] = "keras"

    def __init__(self, architecture: str = "lenet", steps: int = 5) -> None:
        self.model = NETWORKS[architecture]()
        self.arrays = {step * 10: random_weights(self.model, step) for step in range(steps)}
        self.broken: dict[int, str] = {}
        self.reads: list[int] = []
        self.models_built = 0
        self.hold = threading.Event()
        """Reading waits for it."""
        self.hold.set()

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return False

    @classmethod
    def open(cls, path: Path, options: RunOptions) -> Self:
        """``path``: the name of the architecture, perhaps after other parts, with the number of checkpoints
        behind a dash."""
        architecture, _, steps = path.name.partition("-")
        return cls(architecture, int(steps or 5))

    @property
    def preprocessing(self) -> Preprocessing | None:
        return None

    @property
    def input_shape(self) -> tuple[int | None, int | None, int] | None:
        return self.model.input_shape[1:]

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return tuple(Checkpoint(step, f"step-{step}.keras") for step in sorted(self.arrays))

    def layers(self) -> tuple[Layer, ...]:
        return tuple(
            Layer(name.rpartition("/")[0], "dense", (), None, (Parameter(name, tuple(value.shape), ()),))
            for name, value in named_variables(self.model).items()
        )

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        return {parameter.name: self.arrays[checkpoint.step][parameter.name] for parameter in layer.parameters}

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        return f"{id(self):x}-{checkpoint.step}"

    def problems(self) -> tuple[str, ...]:
        return ()

    def keras_model(self) -> keras.Model:
        self.models_built += 1
        return self.model

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        assert self.hold.wait(30)
        self.reads.append(checkpoint.step)
        if checkpoint.step in self.broken:
            raise Unreadable(self.broken[checkpoint.step])
        return self.arrays[checkpoint.step]
