"""Whether configurations describe one network, whatever Keras numbered on."""

from __future__ import annotations

from typing import Any

import pytest

from mloscope.adaptors.readers.keras.architecture import nodes_of
from mloscope.adaptors.readers.keras.networks import architecture_digest, first_difference


def layer(class_name: str, name: str, *inputs: str, **settings: Any) -> dict[str, Any]:
    return {
        "class_name": class_name,
        "name": name,
        "config": {"name": name, **settings},
        "inbound_nodes": [[[source, 0, 0, {}] for source in inputs]] if inputs else [],
    }


def functional(*layers: dict[str, Any], name: str = "functional") -> dict[str, Any]:
    first, last = layers[0]["name"], layers[-1]["name"]
    return {
        "class_name": "Functional",
        "name": name,
        "config": {
            "name": name,
            "layers": list(layers),
            "input_layers": [[first, 0, 0]],
            "output_layers": [[last, 0, 0]],
        },
        "inbound_nodes": [],
    }


def network(number: int = 0, filters: int = 4, units: int = 3, nested: bool = False, **conv: Any) -> dict[str, Any]:
    def name(base: str) -> str:
        return f"{base}_{number}" if number else base

    layers = [
        layer("InputLayer", name("input_layer"), batch_shape=[None, 8, 8, 1]),
        layer(
            "Conv2D",
            name("conv2d"),
            name("input_layer"),
            filters=filters,
            kernel_size=[3, 3],
            activation="relu",
            **conv,
        ),
        layer("Flatten", name("flatten"), name("conv2d")),
        layer("Dense", name("dense"), name("flatten"), units=units, activation="softmax"),
    ]
    if nested:
        inner = functional(*layers, name=name("functional"))
        inner["inbound_nodes"] = [[["image", 0, 0, {}]]]
        return functional(layer("InputLayer", "image", batch_shape=[None, 8, 8, 1]), inner, name=name("outer"))
    return functional(*layers)


def digest(config: dict[str, Any]) -> str:
    return architecture_digest(nodes_of(config))


@pytest.mark.parametrize("nested", [False, True])
def test_a_network_that_was_built_again_is_the_same(nested: bool) -> None:
    assert digest(network(nested=nested)) == digest(network(3, nested=nested)) == digest(network(4, nested=nested))


def test_names_within_a_wrapper_do_not_count() -> None:
    def wrapped(number: int, units: int = 5) -> dict[str, Any]:
        cell = {"class_name": "LSTM", "config": {"name": f"lstm_{number}", "units": units, "dtype": "float32"}}
        return functional(
            layer("InputLayer", "image", batch_shape=[None, 8, 4]),
            layer("Bidirectional", f"bidirectional_{number}", "image", layer=cell),
        )

    assert digest(wrapped(1)) == digest(wrapped(2))
    assert digest(wrapped(1)) != digest(wrapped(1, units=6))


def test_names_that_somebody_gave_do_count() -> None:
    def named(name: str) -> dict[str, Any]:
        return functional(layer("InputLayer", "image", batch_shape=[None, 8]), layer("Dense", name, "image", units=3))

    assert digest(named("head_1")) != digest(named("head_2"))
    assert digest(named("head_1")) != digest(named("dense_1"))
    assert digest(named("dense")) == digest(named("dense_1"))


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (network(2, filters=8), "its layer conv2d_2 has filters = 8 where the run's conv2d has 4"),
        (network(units=2), "its layer dense has units = 2 where the run's dense has 3"),
        (network(padding="same"), 'has padding = "same" where the run\'s conv2d has null'),
        (functional(*network()["config"]["layers"][:-1]), "ends before dense (Dense)"),
        (
            functional(*network()["config"]["layers"], layer("Softmax", "softmax", "dense")),
            "goes on with softmax (Softmax)",
        ),
        (
            functional(
                *network()["config"]["layers"][:2],
                layer("Dropout", "dropout", "conv2d"),
                layer("Flatten", "flatten", "dropout"),
                network()["config"]["layers"][-1],
            ),
            "has dropout (Dropout) where the run's network has flatten (Flatten)",
        ),
    ],
)
def test_the_first_difference_is_named(other: dict[str, Any], said: str) -> None:
    assert digest(other) != digest(network())
    assert said in first_difference(nodes_of(other), nodes_of(network()))


def test_constants_of_arithmetic_are_part_of_the_network() -> None:
    def divided_by(constant: float) -> dict[str, Any]:
        divide = layer("TFOpLambda", "tf.math.truediv", function="math.truediv")
        divide["inbound_nodes"] = [["image", 0, 0, {"y": constant, "name": None}]]
        image = layer("InputLayer", "image", batch_shape=[None, 8, 8, 1])
        return functional(image, divide, layer("Flatten", "flatten", "tf.math.truediv"))

    assert digest(divided_by(255.0)) == digest(divided_by(255.0))
    assert digest(divided_by(255.0)) != digest(divided_by(127.5))
    assert "operands" in first_difference(nodes_of(divided_by(255.0)), nodes_of(divided_by(127.5)))
