"""TensorFlow operators as layers: what Keras 2 makes of arithmetic on the tensors of a Functional model
(``TFOpLambda``, ``SlicingOpLambda``, and before them ``TensorFlowOpLayer``).

The layer names a public function of TensorFlow and its arguments. Those in :data:`FUNCTIONS` are computed by that
same function; nothing else is ever called on a file's word. No Keras is imported until :func:`operator_layer` is called.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.adaptors.readers.keras import op_layers as keras_op_layers
from mloscope.adaptors.readers.keras.references import is_reference

_CLASSES = ("TFOpLambda", "SlicingOpLambda", keras_op_layers.CLASS)
_GETITEM = "__operators__.getitem"
OF_ELEMENTS = {
    *("__operators__.add", "math.add", "math.subtract", "math.multiply", "math.truediv", "math.divide", "math.pow"),
    *("math.divide_no_nan", "math.floordiv", "math.floormod", "math.maximum", "math.minimum", "math.squared_difference"),
    *("math.negative", "math.abs", "math.square", "math.sqrt", "math.rsqrt", "math.exp", "math.expm1", "math.log"),
    *("math.log1p", "math.sin", "math.cos", "math.tan", "math.tanh", "math.sigmoid", "math.softplus", "math.floor"),
    *("math.ceil", "math.round", "math.sign", "math.reciprocal", "math.erf", "math.add_n", "math.logical_and"),
    *("math.logical_or", "math.logical_not", "math.greater", "math.greater_equal", "math.less", "math.less_equal"),
    *("math.equal", "math.not_equal", "math.l2_normalize", "math.cumsum", "math.softmax", "math.log_softmax"),
    *("nn.relu", "nn.relu6", "nn.leaky_relu", "nn.elu", "nn.selu", "nn.crelu", "nn.gelu", "nn.silu", "nn.swish"),
    *("nn.softmax", "nn.log_softmax", "nn.softsign", "nn.tanh", "nn.sigmoid", "nn.softplus", "nn.l2_normalize"),
    *("nn.bias_add", "nn.local_response_normalization", "nn.lrn", "nn.dropout", "nn.batch_normalization"),
    *("cast", "clip_by_value", "identity", "stop_gradient", "where", "reverse", "roll", "ones_like", "zeros_like"),
    *("debugging.check_numerics", "image.per_image_standardization", "image.flip_left_right", "image.flip_up_down"),
} - {"nn.crelu"}  # fmt: skip
FUNCTIONS = OF_ELEMENTS | {
    *(_GETITEM, "nn.crelu", "compat.v1.nn.relu_layer", "shape", "compat.v1.shape", "concat", "stack", "unstack", "split"),
    *("reshape", "transpose", "compat.v1.transpose", "expand_dims", "squeeze", "compat.v1.squeeze", "tile", "pad"),
    *("repeat", "gather", "compat.v1.gather", "slice", "strided_slice", "fill", "ones", "zeros", "range", "size", "rank"),
    *("broadcast_to", "one_hot", "convert_to_tensor", "constant", "einsum", "linalg.matmul", "matmul", "tensordot"),
    *("math.reduce_mean", "math.reduce_sum", "math.reduce_max", "math.reduce_min", "math.reduce_prod", "math.reduce_std"),
    *("math.reduce_variance", "math.reduce_logsumexp", "math.argmax", "argmax", "math.argmin", "math.top_k", "norm"),
    *("linalg.norm", "image.resize", "image.rgb_to_grayscale", "image.grayscale_to_rgb", "image.central_crop"),
    *("compat.v1.image.resize", "image.crop_to_bounding_box", "image.resize_with_crop_or_pad", "nn.max_pool2d"),
    *("compat.v1.image.resize_bilinear", "compat.v1.image.resize_nearest_neighbor", "nn.avg_pool2d", "nn.max_pool"),
    *("nn.avg_pool", "nn.space_to_depth", "nn.depth_to_space", "nn.conv2d", "nn.moments", "nn.depthwise_conv2d"),
}  # fmt: skip


@dataclass(frozen=True)
class OperatorCall:
    """What an operator's layer computes. In ``first`` and ``keywords`` a tensor is ``{"tensor": number}``."""

    function: str
    first: Any
    keywords: Mapping[str, Any]
    tensors: tuple[list[Any], ...]
    """What it is called on, by number: a layer's name, which of its calls, which of its outputs."""


def is_operator(entry: Mapping[str, Any]) -> bool:
    """Whether a layer's configuration is that of an operator."""
    return entry.get("class_name") in _CLASSES


def operator_function(entry: Mapping[str, Any]) -> str:
    """The TensorFlow function that the operator's layer names."""
    settings = entry.get("config")
    if not isinstance(settings, Mapping):
        return ""
    return keras_op_layers.op_of(settings) if "node_def" in settings else str(settings.get("function", ""))


def operator_call(entry: Mapping[str, Any]) -> OperatorCall | None:
    """The call that an operator's layer stands for; None where it is none that is computed here."""
    if entry.get("class_name") == keras_op_layers.CLASS:
        made = keras_op_layers.translated(entry)
        return OperatorCall(*made[:3], tuple(made[3])) if made is not None and made[0] in FUNCTIONS else None
    function, nodes = operator_function(entry), entry.get("inbound_nodes") or []
    if function not in FUNCTIONS or len(nodes) != 1:
        return None
    tensors: list[list[Any]] = []
    keywords: dict[str, Any] = {}

    def first_of(value: Any) -> Any:
        """The first argument: a tensor, a constant, or a list of them. Each has the other arguments behind it."""
        if isinstance(value, list) and len(value) == 4 and value[0] == "_CONSTANT_VALUE":
            keywords.update(value[3])
            return value[2]
        if is_reference(value):
            keywords.update(value[3] if len(value) > 3 and isinstance(value[3], Mapping) else {})
            return placed(value)
        return [first_of(item) for item in value] if isinstance(value, list) else value

    def placed(value: Any) -> Any:
        if is_reference(value):
            reference = list(value[:3])
            if reference not in tensors:
                tensors.append(reference)
            return {"tensor": tensors.index(reference)}
        if isinstance(value, Mapping):
            return {key: placed(item) for key, item in value.items()}
        return [placed(item) for item in value] if isinstance(value, list) else value

    node = nodes[0]
    if isinstance(node, list) and len(node) == 1 and isinstance(node[0], list) and _is_leaf(node[0]):
        node = node[0]
    first = first_of(node)
    keywords.pop("name", None)
    keywords = {key: placed(value) for key, value in keywords.items()}
    return OperatorCall(function, first, keywords, tuple(tensors)) if tensors else None


def _is_leaf(value: Any) -> bool:
    return is_reference(value) or (len(value) == 4 and value[0] == "_CONSTANT_VALUE")


def operands_of_call(call: OperatorCall) -> list[Any]:
    """The call's arguments in order: None for a tensor, else the constant."""
    return [None if isinstance(each, Mapping) and set(each) == {"tensor"} else each
            for each in (call.first, *call.keywords.values())]  # fmt: skip


def operator_shape(
    call: OperatorCall, inputs: Sequence[tuple[int | None, ...] | None]
) -> tuple[int | None, ...] | None:
    """The shape of the operator's output without the batch axis; None where it is not known."""
    shapes = [shape for shape in inputs if shape is not None]
    if len(shapes) != len(inputs) or not shapes or any(None in shape for shape in shapes):
        return None
    try:
        # Arrays of one number each, looked at as if they were larger.
        arrays = [np.broadcast_to(np.float32(0), (2, *shape)) for shape in shapes]  # type: ignore[arg-type]
        first = _filled(call.first, arrays)
        if call.function == _GETITEM:
            return first[_slices(_filled(call.keywords.get("slice_spec"), arrays))].shape[1:]
        if call.function in OF_ELEMENTS:
            others = [each for each in _filled(dict(call.keywords), arrays).values() if isinstance(each, np.ndarray)]
            return np.broadcast_shapes(*(np.shape(each) for each in (first, *others)))[1:]
        if call.function == "concat" and isinstance(first, list):
            return np.concatenate(first, axis=call.keywords["axis"]).shape[1:]
    except (LookupError, TypeError, ValueError, AttributeError):
        pass
    return None


def _filled(value: Any, tensors: Sequence[Any]) -> Any:
    if isinstance(value, Mapping):
        if set(value) == {"tensor"}:
            return tensors[value["tensor"]]
        return {key: _filled(item, tensors) for key, item in value.items()}
    return [_filled(item, tensors) for item in value] if isinstance(value, list) else value


def _slices(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("class_name") == "__ellipsis__":
            return Ellipsis
        return slice(value.get("start"), value.get("stop"), value.get("step"))
    return tuple(_slices(item) for item in value) if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------ with Keras


@functools.cache
def operator_layer() -> type:
    """The layer that computes an operator. Imports Keras and TensorFlow."""
    import keras
    import tensorflow as tf

    class Operator(keras.layers.Layer):
        """A function of TensorFlow and its arguments, as :class:`OperatorCall` has them."""

        def __init__(self, function: str, first: Any, keywords: Mapping[str, Any], **settings: Any) -> None:
            super().__init__(**settings, autocast=False, trainable=False)
            if function not in FUNCTIONS:
                raise ValueError(f"{function} is no operator that is computed here")
            self.call_config = {"function": function, "first": first, "keywords": dict(keywords)}

        def call(self, inputs: Any) -> Any:
            tensors = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
            first = _filled(self.call_config["first"], tensors)
            keywords = _filled(self.call_config["keywords"], tensors)
            if self.call_config["function"] == _GETITEM:
                return first[_slices(keywords["slice_spec"])]
            return _resolved(tf, self.call_config["function"])(first, **keywords)

        def get_config(self) -> dict[str, Any]:
            return {"name": self.name, **self.call_config}

    return Operator


def _resolved(tf: Any, function: str) -> Callable[..., Any]:
    if function == "__operators__.add":
        return tf.math.add
    found = tf
    for part in function.split("."):
        found = getattr(found, part)
    return found


def functions_of_keras_2() -> dict[str, Callable[..., Any]]:
    """Functions that Keras 3 computes otherwise, by the names that ``keras_modernising`` gives them. Imports Keras."""
    from keras import ops

    def hard_sigmoid_of_keras_2(x: Any) -> Any:
        """Rises by 0.2, where that of Keras 3 rises by a sixth."""
        return ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    return {each.__name__: each for each in (hard_sigmoid_of_keras_2,)}
