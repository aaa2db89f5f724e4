"""Arithmetic in networks of TensorFlow 2.0 to 2.3 computes what its nodes say."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.keras.architecture import nodes_of
from mloscope.adaptors.readers.keras.building import build_model
from mloscope.adaptors.readers.keras.networks import architecture_digest
from mloscope.adaptors.readers.keras.op_layers import _FUNCTIONS
from mloscope.adaptors.readers.keras.operators import FUNCTIONS

PIXELS = np.arange(-24, 24, dtype=np.float32).reshape(1, 4, 4, 3) / 4
IMAGE = {"class_name": "InputLayer", "name": "image", "inbound_nodes": [],
         "config": {"name": "image", "batch_input_shape": [None, 4, 4, 3], "dtype": "float32"}}  # fmt: skip


def network(op: str, constants: Mapping[str, Any], attr: Mapping[str, Any] | None = None, takes: int = 1,
            name: str = "mul", text: bool = False) -> dict[str, Any]:  # fmt: skip
    node: Any = {
        "name": name,
        "op": op,
        "input": ["image", f"{name}/y"],
        "attr": {"T": {"type": "DT_FLOAT"}, **(attr or {})},
    }
    made = {"class_name": "TensorFlowOpLayer", "name": f"tf_op_layer_{name}",
            "config": {"name": name, "trainable": True, "dtype": "float32", "constants": dict(constants),
                       "node_def": json.dumps(node) if text else node},
            "inbound_nodes": [[["image", 0, 0, {}]] * takes]}  # fmt: skip
    config = {"name": "net", "layers": [IMAGE, made], "input_layers": [["image", 0, 0]],
              "output_layers": [[f"tf_op_layer_{name}", 0, 0]]}  # fmt: skip
    return {"class_name": "Model", "config": config, "keras_version": "2.3.0-tf"}


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


SLICES = {"1": [0, 1, 0, 0], "2": [0, 3, 0, 0], "3": [1, 1, 1, -1]}
CASES: list[tuple[str, Mapping[str, Any], Mapping[str, Any], np.ndarray]] = [
    ("Mul", {"1": 0.5}, {}, PIXELS * 0.5),
    ("AddV2", {"1": [1.0, 2.0, 3.0]}, {}, PIXELS + np.array([1, 2, 3])),
    ("Sub", {"0": 1.0}, {}, 1 - PIXELS),
    ("Sub", {"1": 1.0}, {}, PIXELS - 1),
    ("RealDiv", {"1": 127.5}, {}, PIXELS / 127.5),
    ("Maximum", {"1": 0.25}, {}, np.maximum(PIXELS, 0.25)),
    ("Relu", {}, {}, np.maximum(PIXELS, 0)),
    ("LeakyRelu", {}, {"alpha": {"f": 0.25}}, np.where(PIXELS > 0, PIXELS, PIXELS / 4)),
    ("BiasAdd", {"1": [1.0, 2.0, 3.0]}, {"data_format": text("NHWC")}, PIXELS + np.array([1, 2, 3])),
    ("Mean", {"1": [1, 2]}, {"keep_dims": {"b": False}}, PIXELS.mean((1, 2))),
    ("Mean", {"1": [1, 2]}, {"keep_dims": {"b": True}}, PIXELS.mean((1, 2), keepdims=True)),
    ("Reshape", {"1": [-1, 48]}, {}, PIXELS.reshape(1, 48)),
    ("Transpose", {"1": [0, 3, 1, 2]}, {}, PIXELS.transpose(0, 3, 1, 2)),
    ("Cast", {}, {"DstT": {"type": "DT_INT32"}}, PIXELS.astype(np.int32)),
    ("Squeeze", {}, {"squeeze_dims": {"list": {"i": ["0"]}}}, PIXELS[0]),
    ("ReverseV2", {"1": [-1]}, {}, PIXELS[..., ::-1]),
    ("Pad", {"1": [[0, 0], [1, 0], [0, 2], [0, 0]]}, {}, np.pad(PIXELS, ((0, 0), (1, 0), (0, 2), (0, 0)))),
    ("StridedSlice", SLICES, {"begin_mask": {"i": "13"}, "end_mask": {"i": "13"}}, PIXELS[:, 1:3, :, ::-1]),
    ("StridedSlice", {"1": [0, 1], "2": [0, 2], "3": [1, 1]},
     {"ellipsis_mask": {"i": "1"}, "shrink_axis_mask": {"i": "2"}}, PIXELS[..., 1]),
]  # fmt: skip


@pytest.mark.parametrize(("op", "constants", "attr", "expected"), CASES)
def test_a_node_computes_what_tensorflow_does(
    keras: Any, op: str, constants: Mapping[str, Any], attr: Mapping[str, Any], expected: np.ndarray
) -> None:
    config = network(op, constants, attr)
    found = np.asarray(build_model(config, "run", None, False)(PIXELS))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    shown = nodes_of(config)[-1].layer(None)
    assert shown.problem is None
    assert shown.output_shape in (None, found.shape[1:])


def test_tensors_come_in_order_and_a_list_is_one_argument(keras: Any) -> None:
    joined = network("ConcatV2", {"2": -1}, takes=2)
    found = np.asarray(build_model(joined, "run", None, False)(PIXELS))
    np.testing.assert_allclose(found, np.concatenate([PIXELS, PIXELS], -1))
    squared = build_model(network("Mul", {}, takes=2, text=True), "run", None, False)
    np.testing.assert_allclose(np.asarray(squared(PIXELS)), PIXELS**2)


@pytest.mark.parametrize("op", ["PyFunc", "ReadFile", "Mul"])
def test_a_node_that_is_not_translated_is_named(keras: Any, op: str) -> None:
    config = network(op, {"1": 1, "2": 2})
    with pytest.raises(Unreadable, match=f"tf_op_layer_mul.*{op}"):
        build_model(config, "run", None, False)
    assert op in (nodes_of(config)[-1].layer(None).problem or "")


def test_constants_are_told_and_make_another_network() -> None:
    layer = nodes_of(network("RealDiv", {"1": 127.5}))[-1].layer(None)
    assert layer.hyperparameters["operands"] == [None, 127.5]
    assert layer.hyperparameters["function"] == "math.truediv"
    digests = [architecture_digest(nodes_of(network("RealDiv", {"1": number}, name=name)))
               for number, name in ((127.5, "truediv"), (127.5, "truediv_3"), (255.0, "truediv"))]  # fmt: skip
    assert digests[0] == digests[1] != digests[2]


def test_every_translation_is_a_function_that_may_be_called() -> None:
    assert {function for function, _, _ in _FUNCTIONS.values()} <= FUNCTIONS


@pytest.mark.parametrize("damage", [{"node_def": 3}, {"node_def": "{"}, {"constants": {"x": 1}}, {"constants": [1]}])
def test_nonsense_is_refused(keras: Any, damage: Mapping[str, Any]) -> None:
    config = network("Mul", {"1": 2.0})
    config["config"]["layers"][1]["config"] |= damage
    with pytest.raises(Unreadable):
        build_model(config, "run", None, False)
