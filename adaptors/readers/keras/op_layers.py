"""``TensorFlowOpLayer``: what Keras of TensorFlow 2.0 to 2.3 makes of arithmetic on the tensors of a Functional model.

The layer has a node of TensorFlow's graph, ``node_def``, and by number those of its inputs that are constants. The node is
translated to the public function that computes the same; one that is not in :data:`_FUNCTIONS` is not computed.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from mloscope.adaptors.readers.keras.references import is_reference

CLASS = "TensorFlowOpLayer"
Translated = tuple[str, Any, dict[str, Any], list[list[Any]]]
"""Function, first argument, further ones by name, and the tensors among them, which stand there as ``{"tensor": number}``."""

_TWO = {
    **{"Add": "math.add", "AddV2": "math.add", "Sub": "math.subtract", "Mul": "math.multiply", "Pow": "math.pow"},
    **{"RealDiv": "math.truediv", "Div": "math.divide", "DivNoNan": "math.divide_no_nan", "FloorDiv": "math.floordiv"},
    **{"FloorMod": "math.floormod", "Maximum": "math.maximum", "Minimum": "math.minimum", "Equal": "math.equal"},
    **{"SquaredDifference": "math.squared_difference", "NotEqual": "math.not_equal", "Greater": "math.greater"},
    **{"GreaterEqual": "math.greater_equal", "Less": "math.less", "LessEqual": "math.less_equal"},
    **{"LogicalAnd": "math.logical_and", "LogicalOr": "math.logical_or"},
}
_ONE = {
    **{"Neg": "math.negative", "Inv": "math.reciprocal", "LogicalNot": "math.logical_not", "Identity": "identity"},
    **{each: f"math.{each.lower()}" for each in ("Abs", "Square", "Sqrt", "Rsqrt", "Exp", "Expm1", "Log", "Log1p", "Sin",
       "Cos", "Tan", "Tanh", "Sigmoid", "Softplus", "Floor", "Ceil", "Sign", "Reciprocal", "Erf")},
    **{"Round": "math.round", "Relu": "nn.relu", "Relu6": "nn.relu6", "Elu": "nn.elu", "Selu": "nn.selu"},
    **{"Softsign": "nn.softsign", "Softmax": "nn.softmax", "LogSoftmax": "nn.log_softmax", "ZerosLike": "zeros_like"},
    **{"OnesLike": "ones_like", "StopGradient": "stop_gradient", "Shape": "shape"},
}  # fmt: skip
_REDUCED = {each: f"math.reduce_{each.lower()}" for each in ("Mean", "Sum", "Max", "Min", "Prod")}
# The function, the names of its arguments from the second on, and its keywords after the node's attributes.
_FUNCTIONS: dict[str, tuple[str, tuple[str, ...], Mapping[str, str]]] = {
    **{op: (function, ("y",), {}) for op, function in _TWO.items()},
    **{op: (function, (), {}) for op, function in _ONE.items()},
    **{op: (function, ("axis",), {"keepdims": "keep_dims"}) for op, function in _REDUCED.items()},
    "LeakyRelu": ("nn.leaky_relu", (), {"alpha": "alpha"}),
    "BiasAdd": ("nn.bias_add", ("bias",), {"data_format": "data_format"}),
    "Reshape": ("reshape", ("shape",), {}),
    "Transpose": ("transpose", ("perm",), {}),
    "ExpandDims": ("expand_dims", ("axis",), {}),
    "Squeeze": ("squeeze", (), {"axis": "squeeze_dims"}),
    "Cast": ("cast", (), {"dtype": "DstT"}),
    "ClipByValue": ("clip_by_value", ("clip_value_min", "clip_value_max"), {}),
    "Pad": ("pad", ("paddings",), {}),
    "PadV2": ("pad", ("paddings", "constant_values"), {}),
    "MirrorPad": ("pad", ("paddings",), {"mode": "mode"}),
    "Tile": ("tile", ("multiples",), {}),
    "MatMul": ("linalg.matmul", ("b",), {"transpose_a": "transpose_a", "transpose_b": "transpose_b"}),
    "BatchMatMulV2": ("linalg.matmul", ("b",), {"adjoint_a": "adj_x", "adjoint_b": "adj_y"}),
    "GatherV2": ("gather", ("indices", "axis"), {"batch_dims": "batch_dims"}),
    "ReverseV2": ("reverse", ("axis",), {}),
    "ArgMax": ("math.argmax", ("axis",), {}),
    "SelectV2": ("where", ("x", "y"), {}),
    "Pack": ("stack", (), {"axis": "axis"}),
    "AddN": ("math.add_n", (), {}),
    "ConcatV2": ("concat", ("axis",), {}),
    "ResizeBilinear": ("compat.v1.image.resize_bilinear", ("size",),
                       {"align_corners": "align_corners", "half_pixel_centers": "half_pixel_centers"}),
    "ResizeNearestNeighbor": ("compat.v1.image.resize_nearest_neighbor", ("size",),
                              {"align_corners": "align_corners", "half_pixel_centers": "half_pixel_centers"}),
}  # fmt: skip
_OF_LISTS = ("Pack", "AddN", "ConcatV2")
_TYPES = {
    **{"DT_FLOAT": "float32", "DT_HALF": "float16", "DT_DOUBLE": "float64", "DT_BFLOAT16": "bfloat16"},
    **{"DT_INT32": "int32", "DT_INT64": "int64", "DT_UINT8": "uint8", "DT_INT8": "int8", "DT_BOOL": "bool"},
}


def op_of(settings: Mapping[str, Any]) -> str:
    """The operation that a layer's node names; empty where it cannot be told."""
    return str(_node(settings).get("op", ""))


def essence(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's settings without the names of its node and inputs, which are numbered on."""
    node = _node(settings)
    return {**settings, "node_def": {key: node[key] for key in ("op", "attr") if key in node}}


def translated(entry: Mapping[str, Any]) -> Translated | None:
    """The call that a layer stands for; None where it is none that is computed here."""
    settings, nodes = entry.get("config"), entry.get("inbound_nodes") or []
    if not isinstance(settings, Mapping) or len(nodes) != 1 or not isinstance(nodes[0], list):
        return None
    node = _node(settings)
    op, attributes = str(node.get("op", "")), node.get("attr")
    attributes = attributes if isinstance(attributes, Mapping) else {}
    tensors: list[list[Any]] = []
    given = nodes[0] if not is_reference(nodes[0]) else [nodes[0]]
    if not all(is_reference(each) for each in given):
        return None
    arguments: list[Any] = []
    for each in given:
        if each[:3] not in tensors:
            tensors.append(each[:3])
        arguments.append({"tensor": tensors.index(each[:3])})
    constants = settings.get("constants") or {}
    if not isinstance(constants, Mapping) or not all(str(place).isdigit() for place in constants):
        return None
    for place, value in sorted((int(place), value) for place, value in constants.items()):
        arguments.insert(place, value)
    made = _call(op, arguments, attributes)
    return (*made, tensors) if made is not None and tensors else None


def _call(op: str, arguments: list[Any], attributes: Mapping[str, Any]) -> tuple[str, Any, dict[str, Any]] | None:
    if op == "StridedSlice":
        return _sliced(arguments, attributes)
    if op not in _FUNCTIONS:
        return None
    function, names, from_attributes = _FUNCTIONS[op]
    if op in _OF_LISTS:
        listed = len(arguments) - len(names)
        arguments = [arguments[:listed], *arguments[listed:]]
    if len(arguments) != 1 + len(names):
        return None
    keywords = dict(zip(names, arguments[1:], strict=True))
    for keyword, attribute in from_attributes.items():
        value = _value(attributes.get(attribute))
        if value not in (None, []):
            keywords[keyword] = value
    return function, arguments[0], keywords


def _sliced(arguments: Sequence[Any], attributes: Mapping[str, Any]) -> tuple[str, Any, dict[str, Any]] | None:
    if len(arguments) != 4 or not all(isinstance(each, list) for each in arguments[1:]):
        return None
    masks = {name: int(_value(attributes.get(f"{name}_mask")) or 0)
             for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}  # fmt: skip
    if masks["new_axis"]:
        return None
    spec: list[Any] = []
    for place, (start, stop, step) in enumerate(zip(*arguments[1:], strict=False)):
        said = {name: bool(mask >> place & 1) for name, mask in masks.items()}
        if said["ellipsis"]:
            spec.append({"class_name": "__ellipsis__"})
        elif said["shrink_axis"]:
            spec.append(start)
        else:
            spec.append(
                {"start": None if said["begin"] else start, "stop": None if said["end"] else stop, "step": step}
            )
    return "__operators__.getitem", arguments[0], {"slice_spec": spec}


def _node(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node, which is JSON within JSON in some versions."""
    node = settings.get("node_def")
    if isinstance(node, str):
        try:
            node = json.loads(node)
        except (ValueError, RecursionError):
            return {}
    return node if isinstance(node, Mapping) else {}


def _value(attribute: Any) -> Any:
    """An attribute as protobuf's JSON has it: whole numbers are texts, texts base64."""
    if not isinstance(attribute, Mapping):
        return None
    try:
        if "list" in attribute:
            return [int(each) for each in attribute["list"].get("i", [])]
        if "i" in attribute:
            return int(attribute["i"])
        if "s" in attribute:
            return base64.b64decode(attribute["s"]).decode()
        if "f" in attribute:
            return float(attribute["f"])
    except (ValueError, TypeError, AttributeError, binascii.Error):
        return None
    return _TYPES.get(str(attribute["type"])) if "type" in attribute else attribute.get("b")
