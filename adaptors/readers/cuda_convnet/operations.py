"""What each type of layer of cuda-convnet 1 and 2, and of its fork idropout, computes: a table, :data:`READ`.

What the words of a layer's dictionary mean was read from ``layers.py``, ``layer.cu``, ``neuron.cuh`` and the kernels of
``cudaconv2``. Maps are stored channel, row, column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mloscope.adaptors.interface import Parameter
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import Operation, Shape, Unsupported, Window, as_map, check_window, plain
from mloscope.adaptors.readers.cuda_convnet.descriptions import (
    Description,
    kernel_name,
    number,
    sequence,
    stated_map,
    whole,
)

# Neurons by their name in the file: what they compute, and the names of their numbers.
_NEURONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "relu": ("relu", ()),
    "softrelu": ("soft relu", ()),
    "brelu": ("bounded relu", ("a",)),
    "abs": ("abs", ()),
    "tanh": ("tanh", ("a", "b")),
    "abstanh": ("abs tanh", ("a", "b")),
    "square": ("square", ()),
    "sqrt": ("sqrt", ()),
    "logistic": ("logistic", ()),
    "linear": ("linear", ("a", "b")),
    "log": ("log", ("a",)),
    "ident": ("linear", ()),
}


def _convolution(
    layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]
) -> tuple[Operation, Shape]:
    if any(sequence(layer.get("randSparse"))):
        raise Unsupported("is sparsely connected (randSparse), which is not supported")
    modules, units = whole(layer, "modulesX", None), whole(layer, "filters", None)
    maps, windows, groups = [], [], []
    for place, shape in enumerate(shapes):
        maps.append(as_map(shape, stated_map(layer, place)))
        side, padding = whole(layer, "filterSize", place), whole(layer, "padding", place)
        stride = whole(layer, "stride", place)
        windows.append(Window((side, side), (stride, stride), (min(padding, 0), min(padding, 0)), (modules, modules)))
        groups.append(whole(layer, "groups", place, 1))
        check_window(windows[-1], maps[-1][2])
        if groups[-1] < 1 or maps[-1][2] % groups[-1] or units % groups[-1]:
            raise Unsupported(f"divides {maps[-1][2]} channels and {units} filters into {groups[-1]} groups")
        _expect(parameters, place, len(shapes), maps[-1][2] // groups[-1] * side * side, units)
    _expect_bias(parameters, units, modules)
    shape = (modules, modules, units)
    return network.Convolution(tuple(maps), tuple(windows), tuple(groups), _factor(layer)), shape


def _local(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    if len(shapes) != 1:
        raise Unsupported(f"is local and has {len(shapes)} inputs, which is not supported")
    operation, shape = _convolution({**layer, "randSparse": layer.get("randSparse")}, shapes, ())
    assert isinstance(operation, network.Convolution)
    if not parameters or len(parameters[0].shape) != 6 or parameters[0].shape[-1] != shape[2]:
        raise Unsupported("holds no weights for every place")
    _expect_bias(parameters, shape[2], shape[0])
    window, groups = operation.windows[0], operation.groups[0]
    return network.Local(operation.maps[0], window, groups, operation.factor), shape


def _dense(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    units = whole(layer, "outputs", None)
    for place, shape in enumerate(shapes):
        _expect(parameters, place, len(shapes), math.prod(shape), units)
    _expect_bias(parameters, units, 1)
    # The fork's dropout layers are scaled at test time by the share of what training kept.
    rate = float(layer.get("rate") or 1.0) if layer.get("type") in ("fcdropo", "fcdropc") else 1.0
    return network.Dense(rate * _factor(layer)), (units,)


def _pooling(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    if layer.get("pool") not in ("max", "avg"):
        raise Unsupported(f"is pooling of the kind {plain(layer.get('pool'))}, which is not supported")
    shape = as_map(shapes[0], stated_map(layer, None))
    size, stride, start = (
        whole(layer, "sizeX", None),
        whole(layer, "stride", None),
        whole(layer, "start", None, 0),
    )
    outputs = whole(layer, "outputsX", None, 0) or -((size + start - shape[0]) // stride) + 1 if stride > 0 else 0
    window = Window((size, size), (stride, stride), (start, start), (outputs, outputs))
    check_window(window, 1)
    total = bool(layer.get("sum")) and layer["pool"] == "avg"
    pooling = network.Pooling(shape, window, layer["pool"] == "max", total=total)
    return pooling, (outputs, outputs, shape[2])


def _neuron(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    neuron = layer.get("neuron")
    name = neuron.get("type") if isinstance(neuron, dict) else neuron
    if not isinstance(name, str) or name not in _NEURONS:
        raise Unsupported(f"is a neuron of the type {plain(name)}, which is not supported")
    function, keys = _NEURONS[name]
    numbers = neuron.get("params") if isinstance(neuron, dict) else {}
    return network.Activation(function, tuple(number(numbers or {}, key) for key in keys)), shapes[0]


def _normalisation(
    layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]
) -> tuple[Operation, Shape]:
    shape = as_map(shapes[0], stated_map(layer, None))
    size = whole(layer, "size", None)
    if not 1 <= size <= 512:
        raise Unsupported(f"normalises over {size} neighbours")
    # `scale` is stored divided by the number of neighbours already.
    operation = network.LocalNormalisation(
        map=shape,
        across_channels=layer["type"] == "cmrnorm",
        size=size,
        scale=number(layer, "scale"),
        power=number(layer, "pow"),
        offset=number(layer, "minDiv", 1.0),
        blocks=bool(layer.get("blocked")) and layer["type"] == "cmrnorm",
    )
    return operation, shape


def _softmax(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    if len(shapes[0]) != 1:
        raise Unsupported(f"is a softmax over a map of {shapes[0]}, which is not supported")
    return network.Softmax(0), shapes[0]


def _dropout(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    # Training drops and does not rescale; testing scales by the share that is kept.
    return network.Activation("linear", (number(layer, "keep", 0.5), 0.0)), shapes[0]


def _combination(
    layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]
) -> tuple[Operation, Shape]:
    shape = max(shapes, key=len)
    if len({math.prod(each) for each in shapes}) != 1:
        raise Unsupported(f"combines inputs of the shapes {shapes}")
    if layer["type"] == "eltmax":
        return network.Combination("largest"), shape
    numbers = tuple(float(each) for each in sequence(layer.get("coeffs")))
    return network.Combination("sum", numbers if len(numbers) == len(shapes) else ()), shape


def _concatenation(
    layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]
) -> tuple[Operation, Shape]:
    if len({(len(shape), *shape[:-1]) for shape in shapes}) != 1:
        raise Unsupported(f"joins inputs of the shapes {shapes}")
    joined = sum(shape[-1] for shape in shapes)
    return network.Concatenation(len(shapes[0]) - 1), (*shapes[0][:-1], joined)


def _same(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    return network.Activation("linear"), shapes[0]


def _factor(layer: Description) -> float:
    """A layer that drops a share of its outputs in training scales them by the rest when it is tested."""
    dropped = layer.get("dropout")
    return 1.0 - float(dropped) if isinstance(dropped, int | float) and 0 < dropped < 1 else 1.0


def _expect(parameters: Sequence[Parameter], place: int, count: int, inputs: int, units: int) -> None:
    named = {each.name: each for each in parameters}
    kernel = named.get(kernel_name(place, count))
    if not parameters and count:
        return
    if kernel is None or math.prod(kernel.shape) != inputs * units or kernel.shape[-1] != units:
        shape = None if kernel is None else kernel.shape
        raise Unsupported(f"has weights of the shape {shape} for {inputs} inputs and {units} outputs")


def _expect_bias(parameters: Sequence[Parameter], units: int, modules: int) -> None:
    for each in parameters:
        if each.name == "bias" and each.shape not in ((units,), (units, modules, modules)):
            raise Unsupported(f"has biases of the shape {each.shape} for {units} units")


_Read = Callable[[Description, Sequence[Shape], Sequence[Parameter]], tuple[Operation, Shape]]
READ: dict[str, _Read] = {
    "conv": _convolution,
    "local": _local,
    "fc": _dense,
    "fcdropo": _dense,
    "fcdropc": _dense,
    "pool": _pooling,
    "neuron": _neuron,
    "rnorm": _normalisation,
    "cmrnorm": _normalisation,
    "softmax": _softmax,
    "dropout": _dropout,
    "dropout2": _dropout,
    "hs": _dropout,
    "eltsum": _combination,
    "eltmax": _combination,
    "concat": _concatenation,
    "pass": _same,
    "ident": _same,
}
