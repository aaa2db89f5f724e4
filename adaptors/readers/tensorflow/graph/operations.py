"""What each known operation of a TensorFlow 1 graph computes, as a layer: a table, :data:`READ`.

An operation that is not in it makes a layer that is named and not evaluated. Source: the operations' own documentation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mloscope.adaptors.interface import Parameter
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import Operation, Shape, Unsupported, Window
from mloscope.adaptors.readers.tensorflow.graph.graph import ACTIVATIONS, Graph, Op
from mloscope.adaptors.readers.tensorflow.graph.shapes import Sizes, sample_shape
from mloscope.adaptors.readers.tensorflow.variables import Variable


@dataclass(frozen=True)
class Context:
    """What an operation's meaning depends on beside its inputs."""

    graph: Graph
    sizes: Sizes
    batch: int | None
    """How many images the graph takes at once, where it says so."""


@dataclass(frozen=True)
class Found:
    kind: str
    operation: Operation
    shape: Shape
    parameters: Mapping[str, tuple[Parameter, Variable]] = field(default_factory=dict)
    name: str = ""


def _layer_name(op: Op, variable: Variable) -> str:
    return variable.layer if variable.layer and op.kind != "Const" else op.name


def _check_format(op: Op) -> None:
    if op.text("data_format") not in ("", "NHWC"):
        raise Unsupported(f"works on {op.text('data_format')[:8]} tensors, which is not supported")


def _window(op: Op, size: Sequence[int], shape: Shape) -> Window:
    _check_format(op)
    strides, dilations = op.numbers("strides") or [1] * 4, op.numbers("dilations") or [1] * 4
    if len(strides) != 4 or len(dilations) != 4 or min(*strides, *dilations, *size) < 1:
        raise Unsupported("has strides or a window that are not understood")
    starts, outputs = [], []
    for axis in (0, 1):
        stride, reach = strides[axis + 1], dilations[axis + 1] * (size[axis] - 1) + 1
        if op.text("padding") == "SAME":
            count = -(-shape[axis] // stride)
            starts.append(-(max((count - 1) * stride + reach - shape[axis], 0) // 2))
        elif op.text("padding") == "VALID":
            count = (shape[axis] - reach) // stride + 1
            starts.append(0)
        else:
            raise Unsupported(f"has the padding {op.text('padding')[:20]!r}, which is not supported")
        outputs.append(count)
    window = Window(
        (size[0], size[1]),
        (strides[1], strides[2]),
        (starts[0], starts[1]),
        (outputs[0], outputs[1]),
        (dilations[1], dilations[2]),
    )
    network.check_window(window, shape[2])
    return window


def _convolution(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    variable = context.graph.variable(op.inputs[1])
    shape = network.as_map(shapes[0])
    if variable is None or len(variable.entry.shape) != 4 or len(tensors) != 1:
        raise Unsupported("has no kernel among the checkpoint's variables")
    kernel = variable.entry.shape
    groups, units, stored = shape[2] // max(kernel[2], 1), kernel[3], kernel
    if op.kind == "DepthwiseConv2dNative":
        groups, units = shape[2], kernel[2] * kernel[3]
        stored = (kernel[0], kernel[1], 1, units)
    if stored[2] * groups != shape[2] or units % max(groups, 1):
        raise Unsupported(f"has a kernel of the shape {kernel} for {shape[2]} channels")
    window = _window(op, kernel[:2], shape)
    parameter = Parameter(variable.name, stored, ("row", "column", "channel", "unit"))
    return Found(
        "convolution" if groups == 1 or groups != shape[2] else "depthwise convolution",
        network.Convolution((shape,), (window,), (groups,)),
        (*window.outputs, units),
        {parameter.name: (parameter, variable)},
        _layer_name(op, variable),
    )


def _dense(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    variable = context.graph.variable(op.inputs[1])
    transposed = any(op.attributes[name].number(5) for name in ("transpose_a", "transpose_b") if name in op.attributes)
    if variable is None or len(tensors) != 1 or transposed or len(variable.entry.shape) != 2:
        raise Unsupported("is a matrix product that is not a dense layer")
    if variable.entry.shape[0] != math.prod(shapes[0]):
        raise Unsupported(f"has weights of the shape {variable.entry.shape} for {math.prod(shapes[0])} inputs")
    parameter = Parameter(variable.name, variable.entry.shape, ("channel", "unit"))
    held = {parameter.name: (parameter, variable)}
    return Found("dense", network.Dense(), (variable.entry.shape[1],), held, _layer_name(op, variable))


def _pooling(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    shape, size = network.as_map(shapes[0]), op.numbers("ksize")
    if len(size) != 4:
        raise Unsupported("has no window")
    window = _window(op, size[1:3], shape)
    largest = op.kind == "MaxPool"
    kind = "max pooling" if largest else "average pooling"
    return Found(kind, network.Pooling(shape, window, largest), (*window.outputs, shape[2]))


def _function(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    return Found("activation", network.Activation(ACTIVATIONS[op.kind]), shapes[0])


def _bounded(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    return Found("activation", network.Activation("bounded relu", (6.0,)), shapes[0])


def _softmax(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    return Found("activation", network.Softmax(len(shapes[0]) - 1), shapes[0])


def _reshape(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    shape = shapes[0]
    if op.kind == "Squeeze":
        axes = op.numbers("squeeze_dims") or [axis + 1 for axis, size in enumerate(shape) if size == 1]
        if any(axis == 0 or not -len(shape) <= axis <= len(shape) for axis in axes):
            raise Unsupported("takes away the axis of the images")
        gone = {(axis - 1) if axis > 0 else len(shape) + axis for axis in axes}
        shape = tuple(size for axis, size in enumerate(shape) if axis not in gone)
    elif len(op.inputs) != 2:
        raise Unsupported("makes a shape that is not known")
    else:
        shape = sample_shape(context.sizes.of(op.inputs[1]), shape, context.batch) or ()
    if math.prod(shape) != math.prod(shapes[0]) or min(shape, default=0) < 1:
        raise Unsupported(f"makes the shape {shape} of {shapes[0]}, which is not supported")
    if shape == shapes[0]:
        return Found("reshape", network.Activation("linear"), shape)
    kind = "flatten" if len(shape) == 1 and math.prod(shapes[0][:-1]) > 1 else "reshape"
    return Found(kind, network.Reshape(shape, as_stored=True), shape)


def _arithmetic(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    if len(op.inputs) != 2:
        raise Unsupported(f"is a {op.kind} of {len(op.inputs)} inputs")
    if len(tensors) == 2:
        if shapes[0] != shapes[1] or op.kind in ("RealDiv", "Div") or tensors[0] == tensors[1]:
            raise Unsupported(f"is a {op.kind} of tensors of the shapes {shapes[0]} and {shapes[1]}")
        if op.kind == "Mul":
            return Found("multiply", network.Combination("product"), shapes[0])
        signs = (1.0, -1.0) if op.kind == "Sub" else ()
        return Found("add", network.Combination("sum", signs), shapes[0])
    other = next(name for name in op.inputs if name not in tensors)
    is_first, number, variable = (
        op.inputs[0] == tensors[0],
        context.graph.constant(other),
        context.graph.variable(other),
    )
    if number is not None and number.size == 1:
        value = float(number.ravel()[0])
        factor, shift = {
            "Add": (1.0, value),
            "AddV2": (1.0, value),
            "BiasAdd": (1.0, value),
            "Sub": (1.0, -value) if is_first else (-1.0, value),
            "Mul": (value, 0.0),
            "RealDiv": (1.0 / value if value and is_first else 0.0, 0.0),
        }.get(op.kind, (0.0, 0.0))
        if factor == 0.0 and op.kind != "Mul":
            raise Unsupported(f"is a {op.kind} of {value}")
        return Found("preprocessing", network.Activation("linear", (factor, shift)), shapes[0])
    if number is not None and number.size == shapes[0][-1] == number.shape[-1]:
        return Found("preprocessing", _by_channel(op.kind, number.ravel(), is_first), shapes[0])
    if (
        variable is not None
        and _without_ones(variable.entry.shape) == shapes[0][-1:]
        and op.kind in ("Add", "AddV2", "BiasAdd", "Mul")
    ):
        name = "scale" if op.kind == "Mul" else "bias"
        held = {name: (Parameter(name, shapes[0][-1:], ("unit",)), variable)}
        return Found("normalisation" if op.kind == "Mul" else "bias", network.ChannelScale(), shapes[0], held)
    raise Unsupported(f"is a {op.kind} with what is neither a number nor one of the network's vectors")


def _by_channel(kind: str, numbers: np.ndarray, is_first: bool) -> network.ChannelConstants:
    """Arithmetic with a number per channel; ``is_first``: whether the map stands before the numbers."""
    ones, none = np.ones_like(numbers), np.zeros_like(numbers)
    if kind in ("Add", "AddV2", "BiasAdd"):
        scale, shift = ones, numbers
    elif kind == "Sub":
        scale, shift = (ones, -numbers) if is_first else (-ones, numbers)
    elif kind == "Mul":
        scale, shift = numbers, none
    elif kind == "RealDiv" and is_first and np.all(numbers):
        scale, shift = 1 / numbers, none
    else:
        raise Unsupported(f"is a {kind} with numbers that it cannot be computed with")
    return network.ChannelConstants(tuple(map(float, scale)), tuple(map(float, shift)))


def _without_ones(shape: Shape) -> Shape:
    """Without axes of one place before the last: a bias of the shape (1, n) is added as one of the shape (n,)."""
    return shape[-1:] if math.prod(shape[:-1]) == 1 else shape


def _normalisation(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    shape, radius = (
        network.as_map(shapes[0]),
        op.attributes["depth_radius"].number(3) if "depth_radius" in op.attributes else 5,
    )
    if not 1 <= radius <= 256:
        raise Unsupported(f"normalises over {radius} neighbours")
    rule = network.LocalNormalisation(
        shape, True, 2 * radius + 1, op.real("alpha", 1.0), op.real("beta", 0.5), op.real("bias", 1.0)
    )
    return Found("normalisation", rule, shape)


def _mean(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    axes = context.graph.constant(op.inputs[1]) if len(op.inputs) == 2 else None
    shape = network.as_map(shapes[0])
    if axes is None or sorted(int(axis) for axis in axes.ravel()) not in ([1, 2], [-3, -2]):
        raise Unsupported("is a mean over other axes than rows and columns")
    window = Window(shape[:2], shape[:2], (0, 0), (1, 1))
    return Found("global pooling", network.Pooling(shape, window, False), (1, 1, shape[2]))


def _concatenation(context: Context, op: Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> Found:
    axis = context.graph.constant(op.inputs[-1])
    place = None if axis is None or axis.size != 1 else int(axis.ravel()[0])
    rank = len(shapes[0])
    if place not in (rank, -1) or len({(len(s), *s[:-1]) for s in shapes}) != 1 or len(shapes) != len(op.inputs) - 1:
        raise Unsupported("joins its inputs along another axis than the channels'")
    joined = (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
    return Found("concatenate", network.Concatenation(rank - 1), joined)


_Read = Callable[[Context, Op, Sequence[str], Sequence[Shape]], Found]
READ: dict[str, _Read] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "MatMul": _dense,
    "MaxPool": _pooling,
    "AvgPool": _pooling,
    **dict.fromkeys(ACTIVATIONS, _function),
    "Relu6": _bounded,
    "Softmax": _softmax,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "LRN": _normalisation,
    "Mean": _mean,
    "ConcatV2": _concatenation,
    **dict.fromkeys(("Add", "AddV2", "BiasAdd", "Sub", "Mul", "RealDiv"), _arithmetic),
}
