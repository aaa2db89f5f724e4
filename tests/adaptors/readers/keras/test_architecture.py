"""What a configuration declares as the network's outputs, and what its input layer takes."""

from __future__ import annotations

from typing import Any

import pytest

from mloscope.adaptors.interface import DeclaresOutputs, RunOptions
from mloscope.adaptors.models.keras import KerasRun
from mloscope.adaptors.readers.keras.architecture import nodes_of, outputs_of
from mloscope.adaptors.readers.keras.operations import operands_of
from mloscope.adaptors.readers.keras.shapes import output_shape


def layer(class_name: str, name: str, *takes: str, **config: Any) -> dict[str, Any]:
    """A layer as a Functional model of Keras 2 lists it."""
    nodes = [[[each, 0, 0, {}] for each in takes]] if takes else []
    return {"class_name": class_name, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def functional(layers: list[dict[str, Any]], outputs: list[str], name: str = "model") -> dict[str, Any]:
    config = {
        "name": name,
        "layers": layers,
        "input_layers": [[layers[0]["name"], 0, 0]],
        "output_layers": [[each, 0, 0] for each in outputs],
    }
    return {"class_name": "Functional", "name": name, "config": config}


IMAGE = layer("InputLayer", "image", batch_input_shape=[None, 8, 8, 3], dtype="uint8")


def test_outputs_are_the_declared_ones_in_their_order_and_not_open_ends() -> None:
    layers = [
        IMAGE,
        layer("Flatten", "flat", "image"),
        layer("Dense", "first", "flat", units=2),
        layer("Dense", "second", "flat", units=3),
        layer("Dense", "taken_by_nobody", "flat", units=4),
    ]
    assert outputs_of(functional(layers, ["second", "first"])) == ("second", "first")


def test_the_output_may_be_a_layer_that_others_take_too() -> None:
    layers = [IMAGE, layer("Flatten", "flat", "image"), layer("Dense", "more", "flat", units=2)]
    assert outputs_of(functional(layers, ["flat"])) == ("flat",)


def test_the_output_of_a_nested_model_is_its_own_layer() -> None:
    inside = functional([IMAGE, layer("Flatten", "flat", "image"), layer("Dense", "d", "image", units=2)], ["flat"])
    inside |= {"name": "inner", "inbound_nodes": [[["picture", 0, 0, {}]]]}
    picture = layer("InputLayer", "picture", batch_input_shape=[None, 8, 8, 3])
    assert outputs_of(functional([picture, inside], ["inner"])) == ("inner/flat",)


@pytest.mark.parametrize("listed", [True, False])
def test_the_output_of_a_sequential_is_its_last_layer(listed: bool) -> None:
    layers = [layer("Flatten", "flat", batch_input_shape=[None, 8, 8, 3]), layer("Dense", "end", units=3)]
    assert outputs_of({"class_name": "Sequential", "config": layers if listed else {"layers": layers}}) == ("end",)


@pytest.mark.parametrize(
    ("dtype", "taken"),
    [
        ("uint8", "uint8"),
        ("mixed_float16", "float16"),
        ({"module": "keras", "class_name": "DTypePolicy", "config": {"name": "int32"}}, "int32"),
    ],
)
def test_a_sequential_without_input_layer_takes_its_first_layers_dtype(dtype: Any, taken: str) -> None:
    first = layer("Rescaling", "scale", batch_input_shape=[None, 8, 8, 3], dtype=dtype, scale=0.1)
    given, *_ = nodes_of({"class_name": "Sequential", "config": {"layers": [first]}})
    assert given.layer(None).hyperparameters["dtype"] == taken


@pytest.mark.parametrize("kind", ["keras", "h5", "weights"])
def test_a_run_declares_its_outputs(saved: Any, kind: str) -> None:
    run = KerasRun.open(saved.folders[kind], RunOptions())
    assert isinstance(run, DeclaresOutputs)
    assert run.outputs() == ("out",)


@pytest.mark.parametrize("operation", ["Sigmoid", "LogSoftmax", "Cast", "TrueDivide"])
def test_operations_on_each_value_keep_the_shape(operation: str) -> None:
    assert output_shape(operation, {}, [(1,)]) == (1,)


def test_settings_of_an_operation_are_no_operands() -> None:
    entry = {
        "inbound_nodes": [["image", 0, 0, {"bias": [-103.9, -116.8, -123.7], "data_format": "NHWC", "name": "less"}]]
    }
    assert operands_of(entry) == [None, [-103.9, -116.8, -123.7]]
