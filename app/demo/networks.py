"""The networks that demos train."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def lenet(classes: int = 10, seed: int = 1) -> keras.Model:
    """LeNet-5's shape, with 12 first filters instead of 6, since they are what is looked at."""
    import keras

    layers = keras.layers
    start = keras.initializers.RandomNormal(stddev=0.02, seed=seed)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(12, 5, padding="same", activation="tanh", kernel_initializer=start, name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(16, 5, activation="tanh", name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="tanh", name="dense1"),
            layers.Dense(84, activation="tanh", name="dense2"),
            layers.Dense(classes, activation="softmax", name="classes"),
        ],
        name="lenet",
    )


def cifar10_network(classes: int = 10, seed: int = 1) -> keras.Model:
    """cuda-convnet's ``layers-80sec``: 145,578 parameters. Pooling windows hang over the lower and right edge
    and average over what lies inside, which is what Keras means by ``same`` here."""
    import keras

    layers = keras.layers

    def start(stddev: float, number: int) -> keras.initializers.Initializer:
        return keras.initializers.RandomNormal(stddev=stddev, seed=10 * seed + number)

    def conv(units: int, stddev: float, number: int) -> keras.layers.Layer:
        name = f"conv{number}"
        return layers.Conv2D(units, 5, padding="same", kernel_initializer=start(stddev, number), name=name)

    return keras.Sequential(
        [
            keras.Input((32, 32, 3), name="image"),
            conv(32, 0.0001, 1),
            layers.MaxPooling2D(3, 2, padding="same", name="pool1"),
            layers.Activation("relu", name="relu1"),
            conv(32, 0.01, 2),
            layers.Activation("relu", name="relu2"),
            layers.AveragePooling2D(3, 2, padding="same", name="pool2"),
            conv(64, 0.01, 3),
            layers.Activation("relu", name="relu3"),
            layers.AveragePooling2D(3, 2, padding="same", name="pool3"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", kernel_initializer=start(0.1, 4), name="fc64"),
            layers.Dense(classes, activation="softmax", kernel_initializer=start(0.1, 5), name="fc10"),
        ],
        name="layers_80sec",
    )


NETWORKS: dict[str, Callable[[int, int], Any]] = {"lenet": lenet, "cifar10": cifar10_network}
