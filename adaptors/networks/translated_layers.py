"""Keras models from networks that no Keras configuration describes: one layer class for all operations.

Every layer keeps its weights just as the file does, shape and order, and turns them round while it computes:
so a checkpoint's arrays are the model's weights, and one copy of the formulas serves every format. Turning a
kernel costs microseconds and is done where the convolution is, in the model service.

Imports Keras; only ``keras_model()`` of an adaptor may import this module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mloscope.adaptors.interface import Layer, Unreadable
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import Node, Shape, Window, evaluable

_PLAIN: dict[str, Any] = {"padding": "valid", "data_format": "channels_last"}
LOWEST = float(np.finfo(np.float32).min)

Weights = Mapping[str, Any]

# The neurons of cuda-convnet and the layers of Caffe that look at one value at a time.
ACTIVATIONS: dict[str, Callable[..., Any]] = {
    "relu": lambda x, slope=0.0: ops.relu(x) if slope == 0 else ops.where(x > 0, x, slope * x),
    "bounded relu": lambda x, most: ops.clip(x, 0.0, most),
    "soft relu": ops.softplus,
    "elu": lambda x, alpha=1.0: ops.where(x > 0, x, alpha * ops.expm1(ops.minimum(x, 0.0))),
    "logistic": ops.sigmoid,
    "tanh": lambda x, a=1.0, b=1.0: a * ops.tanh(b * x),
    "abs tanh": lambda x, a=1.0, b=1.0: a * ops.abs(ops.tanh(b * x)),
    "abs": ops.abs,
    "square": ops.square,
    "sqrt": ops.sqrt,
    "linear": lambda x, a=1.0, b=0.0: a * x + b,
    "power": lambda x, power, scale, shift: (shift + scale * x) ** power,
    "log": lambda x, a=0.0: ops.log(a + x),
    "exp": lambda x, a=1.0, b=0.0: ops.exp(a * x + b),
}


def build_model(nodes: Sequence[Node], name: str) -> keras.Model:
    """The network as far as it can be evaluated, its weights nought. Raises Unreadable where that is nothing.

    A model has one output, that of the last layer nobody takes. Other loose ends (the auxiliary classifiers
    of a training network, say) would not be part of the model then; so the last layer is given them as
    further inputs, and ignores them."""
    usable = evaluable(nodes)
    inputs = [node for node in usable if isinstance(node.operation, network.Input)]
    taken = {name for node in usable for name in node.layer.inputs}
    ends = [node for node in usable if node.layer.name not in taken and node not in inputs]
    if not inputs or not ends:
        raise Unreadable(f"{name} has no layer that can be evaluated.")
    tensors: dict[str, Any] = {}
    for node in usable:
        layer = node.layer
        if node in inputs:
            tensors[layer.name] = _input(layer)
        elif node is not ends[-1]:
            tensors[layer.name] = TranslatedLayer(node)([tensors[taken] for taken in layer.inputs])
    last = ends[-1].layer
    beside = [tensors[node.layer.name] for node in ends[:-1]]
    output = TranslatedLayer(ends[-1])([*(tensors[taken] for taken in last.inputs), *beside])
    images = [tensors[node.layer.name] for node in inputs]
    return keras.Model(images[0] if len(images) == 1 else images, output)


def _input(layer: Layer) -> Any:
    tensor = keras.Input(layer.output_shape, dtype="float32")
    tensor._keras_history.operation.name = layer.name
    return tensor


class TranslatedLayer(keras.layers.Layer):
    """The layer of a node. Its variables have the names and shapes of the layer's parameters."""

    def __init__(self, node: Node) -> None:
        # Caffe's names often have a slash, which Keras takes neither here nor for the scope of the variables;
        # once those are there, the layer gets its name as it is.
        super().__init__(name=node.layer.name.replace("/", "."), dtype="float32", trainable=False)
        self.node = node

    def _open_name_scope(self) -> Any:
        return keras.name_scope(self.name.replace("/", "."))

    def build(self, input_shape: Any) -> None:
        self.arrays = {
            parameter.name: self.add_weight(
                name=parameter.name, shape=parameter.shape, initializer="zeros", dtype="float32"
            )
            for parameter in self.node.layer.parameters
        }
        self.name = self.node.layer.name

    def call(self, inputs: list[Any]) -> Any:
        own = inputs[: len(self.node.layer.inputs)]
        weights = {name: ops.convert_to_tensor(variable) for name, variable in self.arrays.items()}
        operation = self.node.operation
        return _COMPUTE[type(operation)](operation, own, weights, self.node.layer)

    @property
    def normalises_neighbours(self) -> bool:
        """Whether it is local response normalisation."""
        return isinstance(self.node.operation, network.LocalNormalisation)

    def get_config(self) -> dict[str, Any]:
        """What tells this layer from others; not meant for building it anew."""
        return {"name": self.name, "operation": repr(self.node.operation), "layer": repr(self.node.layer)}

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (None, *(self.node.layer.output_shape or ()))


# ------------------------------------------------------------------------ what the operations have in common


def _as_map(x: Any, shape: Shape) -> Any:
    """A map as it is; a vector in the order channel, row, column as the map (row, column, channel)."""
    if tuple(x.shape[1:]) == shape:
        return x
    rows, columns, channels = shape
    return ops.transpose(ops.reshape(_flat(x), (-1, channels, rows, columns)), (0, 2, 3, 1))


def _flat(x: Any, order: Sequence[str] = network.FLATTENED) -> Any:
    """(batch, value), a map's values in this order, by default channel, row, column."""
    if len(x.shape) == 4:
        x = ops.transpose(x, (0, *(("row", "column", "channel").index(axis) + 1 for axis in order)))
    return ops.reshape(x, (-1, math.prod(x.shape[1:])))


def _framed(x: Any, window: Window, fill: float) -> Any:
    """The map with as much around it, or cut off, that the windows exactly cover it."""
    amounts = []
    for axis in (0, 1):
        before = -window.start[axis]
        end = (window.outputs[axis] - 1) * window.stride[axis] + window.reach[axis] - before
        amounts.append((before, end - x.shape[axis + 1]))
    (top, bottom), (left, right) = amounts
    if min(top, bottom, left, right) < 0:
        x = x[:, max(0, -top) : x.shape[1] + min(0, bottom), max(0, -left) : x.shape[2] + min(0, right)]
    if max(top, bottom, left, right) > 0:
        around = [(max(0, before), max(0, after)) for before, after in amounts]
        inside = np.zeros((1, *x.shape[1:3], 1), np.float32)
        x = ops.pad(x, [(0, 0), *around, (0, 0)])
        if fill:
            # Not by padding with it: tf.vectorized_map (2.21) pads with noughts whatever it is told.
            x = x + np.pad(inside, [(0, 0), *around, (0, 0)], constant_values=fill)
    return x


def _kernels(weights: Weights, layer: Layer, axes: Sequence[str]) -> list[Any]:
    """The layer's kernels with their axes in this order."""
    found = []
    for parameter in layer.parameters:
        if len(parameter.axes) == len(axes):
            order = [parameter.axes.index(axis) for axis in axes]
            found.append(ops.transpose(weights[parameter.name], order))
    return found


def _biased(x: Any, weights: Weights, layer: Layer) -> Any:
    for parameter in layer.parameters:
        if parameter.axes == ("unit",):
            x = x + weights[parameter.name]
        elif parameter.axes == ("unit", "row", "column"):
            x = x + ops.transpose(weights[parameter.name], (1, 2, 0))
    return x


def _scaled(x: Any, factor: float) -> Any:
    return x if factor == 1 else x * factor


def _by_channel(array: Any, rank: int) -> Any:
    """An array of a number a channel, or of one, as it spreads over a map of this rank."""
    return ops.reshape(array, (1,) * (rank - 1) + (-1,))


# ------------------------------------------------------------------------------------------------ operations


def _convolution(operation: network.Convolution, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    kernels = _kernels(weights, layer, ("row", "column", "channel", "unit"))
    places = zip(inputs, operation.maps, operation.windows, operation.groups, kernels, strict=True)
    sums = [
        _convolved(_framed(_as_map(x, shape), window, 0.0), kernel, window, groups)
        for x, shape, window, groups, kernel in places
    ]
    return _scaled(_biased(sum(sums[1:], sums[0]), weights, layer), operation.factor)


def _convolved(x: Any, kernel: Any, window: Window, groups: int) -> Any:
    stride, dilation = window.stride, window.dilation
    depthwise = groups > 1 and groups == x.shape[-1]
    # TensorFlow refuses strides together with dilation, and unequal ones of depthwise kernels: there every
    # place is computed and those between are left out.
    whole = max(dilation) > 1 or (depthwise and stride[0] != stride[1])
    how = {"strides": 1 if whole else stride, "dilation_rate": dilation, **_PLAIN}
    if depthwise:
        rows, columns, _, units = kernel.shape
        result = ops.depthwise_conv(x, ops.reshape(kernel, (rows, columns, groups, units // groups)), **how)
    elif groups > 1:
        # One convolution a group: TensorFlow has no grouped convolution for CPUs.
        parts = zip(ops.split(x, groups, axis=-1), ops.split(kernel, groups, axis=-1), strict=True)
        result = ops.concatenate([ops.conv(part, own, **how) for part, own in parts], axis=-1)
    else:
        result = ops.conv(x, kernel, **how)
    return result[:, :: stride[0], :: stride[1]] if whole and max(stride) > 1 else result


def _local(operation: network.Local, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    window, groups = operation.window, operation.groups
    x = _framed(_as_map(inputs[0], operation.map), window, 0.0)
    (rows, columns), (down, across) = window.outputs, window.stride
    seen = [
        x[:, row : row + (rows - 1) * down + 1 : down, column : column + (columns - 1) * across + 1 : across]
        for row in range(window.size[0])
        for column in range(window.size[1])
    ]
    places = ops.stack(seen, axis=3)  # (batch, row, column, place in the window, channel)
    kernel = weights[layer.parameters[0].name]
    channels, units = kernel.shape[2], kernel.shape[-1]
    places = ops.reshape(places, (-1, rows, columns, len(seen), groups, channels))
    kernel = ops.reshape(kernel, (rows, columns, channels, len(seen), groups, units // groups))
    result = ops.einsum("nyxkgc,yxckgf->nyxgf", places, kernel)
    result = ops.reshape(result, (-1, rows, columns, units))
    return _scaled(_biased(result, weights, layer), operation.factor)


def _dense(operation: network.Dense, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    kernels = _kernels(weights, layer, ("channel", "unit"))
    orders = [parameter.flattened for parameter in layer.parameters if len(parameter.axes) == 2]
    vectors = [_flat(x, order) for x, order in zip(inputs, orders, strict=True)]
    sums = [ops.matmul(x, kernel) for x, kernel in zip(vectors, kernels, strict=True)]
    return _scaled(_biased(sum(sums[1:], sums[0]), weights, layer), operation.factor)


def _pooling(operation: network.Pooling, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    window = operation.window
    x = _framed(_as_map(inputs[0], operation.map), window, LOWEST if operation.largest else 0.0)
    if operation.largest:
        return ops.max_pool(x, window.size, window.stride, **_PLAIN)
    sums = ops.average_pool(x, window.size, window.stride, **_PLAIN) * math.prod(window.size)
    return sums if operation.total else sums / _places(operation)


def _places(operation: network.Pooling) -> np.ndarray:
    """float32 (row, column, 1): over how many places each window's mean is."""
    counts = []
    for axis in (0, 1):
        window, size, edge = operation.window, operation.map[axis], operation.edge[axis]
        begins = window.start[axis] + window.stride[axis] * np.arange(window.outputs[axis])
        ends = np.minimum(begins + window.size[axis], size + edge)
        counts.append(np.maximum(ends - np.maximum(begins, -edge), 1))
    return np.outer(*counts).astype(np.float32)[..., np.newaxis]


def _normalisation(operation: network.LocalNormalisation, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    x = _as_map(inputs[0], operation.map)
    rows, columns, channels = operation.map
    size, squares = operation.size, ops.square(x)
    if not operation.across_channels:
        window = Window((size, size), (1, 1), (-(size // 2), -(size // 2)), (rows, columns))
        sums = ops.average_pool(_framed(squares, window, 0.0), size, 1, **_PLAIN) * size**2
    elif operation.blocks:
        count = math.ceil(channels / size)
        filled = ops.pad(squares, [(0, 0), (0, 0), (0, 0), (0, count * size - channels)])
        blocks = ops.sum(ops.reshape(filled, (-1, rows, columns, count, size)), axis=-1)
        sums = ops.repeat(blocks, size, axis=-1)[..., :channels]
    else:
        before = size // 2
        filled = ops.pad(squares, [(0, 0), (0, 0), (0, 0), (before, size - 1 - before)])
        sums = filled[..., :channels]
        for offset in range(1, size):
            sums = sums + filled[..., offset : offset + channels]
    return x * (operation.offset + operation.scale * sums) ** -operation.power


def _activation(operation: network.Activation, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    return ACTIVATIONS[operation.function](inputs[0], *operation.arguments)


def _sloped(operation: network.SlopedActivation, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    x = inputs[0]
    return ops.where(x > 0, x, x * _by_channel(weights["slope"], len(x.shape)))


def _batch(operation: network.BatchNormalisation, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    factor = weights["scale_factor"][0] if "scale_factor" in weights else ops.ones(())
    share = ops.where(factor == 0, 0.0, 1.0 / ops.where(factor == 0, 1.0, factor))
    x = inputs[0]
    mean = _by_channel(weights["mean"] * share, len(x.shape))
    variance = _by_channel(weights["variance"] * share, len(x.shape))
    return (x - mean) / ops.sqrt(variance + operation.epsilon)


def _channel_scale(operation: network.ChannelScale, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    x = inputs[0]
    rank = len(x.shape)
    if len(inputs) > 1:
        factor = inputs[1]
        x = x * ops.reshape(factor, (-1,) + (1,) * (rank - len(factor.shape)) + tuple(factor.shape[1:]))
    if "scale" in weights:
        x = x * _by_channel(weights["scale"], rank)
    return x + _by_channel(weights["bias"], rank) if "bias" in weights else x


def _channel_constants(operation: network.ChannelConstants, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    return inputs[0] * np.array(operation.scale, np.float32) + np.array(operation.shift, np.float32)


def _combination(operation: network.Combination, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    shape = tuple(layer.output_shape or ())
    parts = [_as_map(x, shape) if len(shape) == 3 else x for x in inputs]
    if operation.coefficients:
        pairs = zip(parts, operation.coefficients, strict=True)
        parts = [_scaled(part, coefficient) for part, coefficient in pairs]
    join = {"sum": ops.add, "product": ops.multiply, "largest": ops.maximum}[operation.rule]
    result = parts[0]
    for part in parts[1:]:
        result = join(result, part)
    return result


def _concatenation(operation: network.Concatenation, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    return ops.concatenate(inputs, axis=operation.axis + 1)


def _part(operation: network.Part, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    index = [slice(None)] * (operation.axis + 1) + [slice(operation.begin, operation.end)]
    return inputs[0][tuple(index)]


def _reshape(operation: network.Reshape, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    if tuple(inputs[0].shape[1:]) == operation.shape:
        return inputs[0]
    if operation.as_stored:
        return ops.reshape(inputs[0], (-1, *operation.shape))
    if len(operation.shape) == 3:
        return _as_map(inputs[0], operation.shape)
    return ops.reshape(_flat(inputs[0]), (-1, *operation.shape))


def _softmax(operation: network.Softmax, inputs: list[Any], weights: Weights, layer: Layer) -> Any:
    return ops.softmax(inputs[0], axis=operation.axis + 1)


_COMPUTE: dict[type, Callable[[Any, list[Any], Weights, Layer], Any]] = {
    network.Convolution: _convolution,
    network.Local: _local,
    network.Dense: _dense,
    network.Pooling: _pooling,
    network.LocalNormalisation: _normalisation,
    network.Activation: _activation,
    network.SlopedActivation: _sloped,
    network.BatchNormalisation: _batch,
    network.ChannelScale: _channel_scale,
    network.ChannelConstants: _channel_constants,
    network.Combination: _combination,
    network.Concatenation: _concatenation,
    network.Part: _part,
    network.Reshape: _reshape,
    network.Softmax: _softmax,
}
