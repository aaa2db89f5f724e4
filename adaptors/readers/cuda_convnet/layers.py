"""The layers of cuda-convnet 1 and 2, and of its fork idropout, as nodes.

Each layer's dictionary says how it computes; what the words mean was read from ``layers.py``, ``layer.cu``,
``neuron.cuh`` and the kernels of ``cudaconv2``. Maps are stored channel, row, column.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Layer, Parameter, Unreadable
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import (
    FLATTENED,
    NetworkBuilder,
    Node,
    Operation,
    Shape,
    Unsupported,
    Window,
    as_map,
    check_window,
    plain,
    usual_axes,
)
from mloscope.adaptors.readers.cuda_convnet.files import State

Description = Mapping[str, Any]

_SHOWN = (
    "type", "filters", "filterSize", "channels", "groups", "stride", "padding", "sharedBiases", "pool",
    "sizeX", "start", "outputsX", "size", "pow", "scale", "minDiv", "blocked", "neuron", "outputs",
    "rate", "keep", "dropout", "coeffs", "imgSize", "modulesX", "initW", "epsW", "momW", "wc"
)  # fmt: skip
_KINDS = {
    "data": "input",
    "conv": "convolution",
    "local": "locally connected",
    "fc": "dense",
    "fcdropo": "dense",
    "fcdropc": "dense",
    "neuron": "activation",
    "softmax": "activation",
    "rnorm": "normalisation",
    "cmrnorm": "normalisation",
    "cnorm": "normalisation",
    "eltsum": "add",
    "eltmax": "maximum",
    "concat": "concatenate",
    "dropout": "dropout",
    "dropout2": "dropout",
    "hs": "dropout",
}
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


def nodes_of(state: State) -> list[Node]:
    """The network without its labels and costs; what a cost takes beside the labels is an output. Layers are joined by
    ``inputs``: ``inputLayers`` still says what was before neurons became layers of their own. Raises Unreadable."""
    names = [_text(layer, "name", state) for layer in state.layers]
    if len(set(names)) != len(names):
        raise Unreadable(f"{state.path}: two of its layers have the same name.")
    types = {name: _text(layer, "type", state) for name, layer in zip(names, state.layers, strict=True)}
    taken_by: dict[str, list[tuple[Description, int]]] = {name: [] for name in names}
    inputs: dict[str, list[str]] = {}
    for name, layer in zip(names, state.layers, strict=True):
        inputs[name] = _inputs(layer, names, state)
        if not types[name].startswith("cost."):
            for place, before in enumerate(inputs[name]):
                taken_by[before].append((layer, place))
    builder = NetworkBuilder(str(state.path))
    shown: dict[str, str] = {}
    for name, layer in zip(names, state.layers, strict=True):
        if types[name].startswith("cost."):
            builder.declare_outputs(shown[each] for each in inputs[name] if types[each] != "data" and each in shown)
            continue
        if types[name] == "data" and not taken_by[name]:
            continue
        missing = [before for before in inputs[name] if before not in shown]
        if missing:
            raise Unreadable(f"{state.path}: {name} takes the output of {missing[0]}, which comes after it.")
        free = builder.free_name(name)
        shown[name] = _add(builder, free, layer, [shown[before] for before in inputs[name]], taken_by[name])
    return builder.nodes


def arrays_of(state: State, layers: Sequence[Layer]) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of the layers by name, in the shapes of the file."""
    namer = NetworkBuilder("")
    wanted = {layer.name: layer for layer in layers}
    found: dict[str, dict[str, np.ndarray]] = {}
    for description in state.layers:
        free = namer.free_name(str(description.get("name")))
        if free in wanted:
            arrays = _stored(description)
            found[free] = {each.name: arrays[each.name] for each in wanted[free].parameters if each.name in arrays}
    return found


def _stored(layer: Description) -> dict[str, np.ndarray]:
    kernels = [array for array in _sequence(layer.get("weights")) if isinstance(array, np.ndarray)]
    arrays = {_kernel_name(place, len(kernels)): array for place, array in enumerate(kernels)}
    if isinstance(layer.get("biases"), np.ndarray):
        arrays["bias"] = layer["biases"]
    return arrays


def _kernel_name(place: int, count: int) -> str:
    return "kernel" if count == 1 else f"kernel_{place}"


def _add(
    builder: NetworkBuilder,
    name: str,
    description: Description,
    inputs: Sequence[str],
    taken_by: Sequence[tuple[Description, int]],
) -> str:
    kind = str(description["type"])
    parameters: tuple[Parameter, ...] = ()
    operation: Operation | None = None
    shape: Shape | None = None
    problem = None
    try:
        parameters = _parameters(kind, description)
        if kind == "data":
            operation, shape = network.Input(), _image_shape(description, taken_by)
        elif kind in _READ:
            operation, shape = _READ[kind](description, [builder.shape(before) for before in inputs], parameters)
        else:
            raise Unsupported(f"is of the type {kind}, which is not supported")
    except Unsupported as error:
        problem = f"{name} cannot be evaluated: it {error}."
    pooling = "max pooling" if description.get("pool") == "max" else "average pooling"
    layer = Layer(
        name=name,
        kind=pooling
        if kind == "pool"
        else _KINDS.get(kind, "".join(c if c.isalnum() else " " for c in kind.lower()) if kind.isascii() else ""),
        inputs=tuple(inputs),
        output_shape=None,
        parameters=parameters,
        hyperparameters={key: plain(description[key]) for key in _SHOWN if key in description},
        source_class=kind,
    )
    return builder.add(layer, operation, shape, problem)


# -------------------------------------------------------------------------------------------- what is stored


def _parameters(kind: str, layer: Description) -> tuple[Parameter, ...]:
    """Kernels are stored as matrices; the rows of a convolution's are channel, row, column."""
    found = []
    arrays = _stored(layer)
    count = len(arrays) - ("bias" in arrays)
    for place in range(count):
        name = _kernel_name(place, count)
        found.append(_kernel(kind, layer, place, name, arrays[name]))
    if "bias" in arrays:
        found.append(_bias(kind, layer, arrays["bias"]))
    return tuple(found)


def _kernel(kind: str, layer: Description, place: int, name: str, array: np.ndarray) -> Parameter:
    if array.ndim != 2:
        return Parameter(name, array.shape, usual_axes(array.ndim))
    rows, units = array.shape
    if kind in ("conv", "local"):
        side = _whole(layer, "filterSize", place)
        channels = _whole(layer, "channels", place) // max(1, _whole(layer, "groups", place, 1))
        if kind == "conv" and channels * side * side == rows:
            return Parameter(name, (channels, side, side, units), ("channel", "row", "column", "unit"))
        modules = _whole(layer, "modulesX", None)
        if kind == "local" and modules * modules * channels * side * side == rows:
            axes = ("place row", "place column", "channel", "row", "column", "unit")
            return Parameter(name, (modules, modules, channels, side, side, units), axes)
    return Parameter(name, (rows, units), ("channel", "unit"), FLATTENED)


def _bias(kind: str, layer: Description, array: np.ndarray) -> Parameter:
    if kind in ("conv", "local"):
        units, modules = _whole(layer, "filters", None), _whole(layer, "modulesX", None)
        if array.size == units * modules * modules and modules > 1:
            return Parameter("bias", (units, modules, modules), ("unit", "row", "column"))
    return Parameter("bias", (array.size,), ("unit",))


# ------------------------------------------------------------------------------------------ what is computed


def _convolution(
    layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]
) -> tuple[Operation, Shape]:
    if any(_sequence(layer.get("randSparse"))):
        raise Unsupported("is sparsely connected (randSparse), which is not supported")
    modules, units = _whole(layer, "modulesX", None), _whole(layer, "filters", None)
    maps, windows, groups = [], [], []
    for place, shape in enumerate(shapes):
        maps.append(as_map(shape, _stated_map(layer, place)))
        side, padding = _whole(layer, "filterSize", place), _whole(layer, "padding", place)
        stride = _whole(layer, "stride", place)
        windows.append(Window((side, side), (stride, stride), (min(padding, 0), min(padding, 0)), (modules, modules)))
        groups.append(_whole(layer, "groups", place, 1))
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
    units = _whole(layer, "outputs", None)
    for place, shape in enumerate(shapes):
        _expect(parameters, place, len(shapes), math.prod(shape), units)
    _expect_bias(parameters, units, 1)
    # The fork's dropout layers are scaled at test time by the share of what training kept.
    rate = float(layer.get("rate") or 1.0) if layer.get("type") in ("fcdropo", "fcdropc") else 1.0
    return network.Dense(rate * _factor(layer)), (units,)


def _pooling(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    if layer.get("pool") not in ("max", "avg"):
        raise Unsupported(f"is pooling of the kind {plain(layer.get('pool'))}, which is not supported")
    shape = as_map(shapes[0], _stated_map(layer, None))
    size, stride, start = (
        _whole(layer, "sizeX", None),
        _whole(layer, "stride", None),
        _whole(layer, "start", None, 0),
    )
    outputs = _whole(layer, "outputsX", None, 0) or -((size + start - shape[0]) // stride) + 1 if stride > 0 else 0
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
    return network.Activation(function, tuple(_number(numbers or {}, key) for key in keys)), shapes[0]


def _normalisation(
    layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]
) -> tuple[Operation, Shape]:
    shape = as_map(shapes[0], _stated_map(layer, None))
    size = _whole(layer, "size", None)
    if not 1 <= size <= 512:
        raise Unsupported(f"normalises over {size} neighbours")
    # `scale` is stored divided by the number of neighbours already.
    operation = network.LocalNormalisation(
        map=shape,
        across_channels=layer["type"] == "cmrnorm",
        size=size,
        scale=_number(layer, "scale"),
        power=_number(layer, "pow"),
        offset=_number(layer, "minDiv", 1.0),
        blocks=bool(layer.get("blocked")) and layer["type"] == "cmrnorm",
    )
    return operation, shape


def _softmax(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    if len(shapes[0]) != 1:
        raise Unsupported(f"is a softmax over a map of {shapes[0]}, which is not supported")
    return network.Softmax(0), shapes[0]


def _dropout(layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]) -> tuple[Operation, Shape]:
    # Training drops and does not rescale; testing scales by the share that is kept.
    return network.Activation("linear", (_number(layer, "keep", 0.5), 0.0)), shapes[0]


def _combination(
    layer: Description, shapes: Sequence[Shape], parameters: Sequence[Parameter]
) -> tuple[Operation, Shape]:
    shape = max(shapes, key=len)
    if len({math.prod(each) for each in shapes}) != 1:
        raise Unsupported(f"combines inputs of the shapes {shapes}")
    if layer["type"] == "eltmax":
        return network.Combination("largest"), shape
    numbers = tuple(float(each) for each in _sequence(layer.get("coeffs")))
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


_Read = Callable[[Description, Sequence[Shape], Sequence[Parameter]], tuple[Operation, Shape]]
_READ: dict[str, _Read] = {
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


# -------------------------------------------------------------------------------------- reading dictionaries


def _image_shape(data: Description, taken_by: Sequence[tuple[Description, int]]) -> Shape:
    """(row, column, channel) as the first layer says that reads the images as maps; square images of three
    channels or one where none does; a vector where that is not possible either."""
    values = _whole(data, "outputs", None)
    for layer, place in taken_by:
        try:
            stated = _stated_map(layer, place)
        except Unsupported:
            continue
        if stated is not None and math.prod(stated) == values:
            return stated
    for channels in (3, 1):
        side = math.isqrt(max(values, 0) // channels)
        if side * side * channels == values:
            return (side, side, channels)
    return (values,)


def _stated_map(layer: Description, place: int | None) -> Shape | None:
    if "imgSize" not in layer or "channels" not in layer:
        return None
    side = _whole(layer, "imgSize", place)
    return (side, side, _whole(layer, "channels", place))


def _factor(layer: Description) -> float:
    """A layer that drops a share of its outputs in training scales them by the rest when it is tested."""
    dropped = layer.get("dropout")
    return 1.0 - float(dropped) if isinstance(dropped, int | float) and 0 < dropped < 1 else 1.0


def _expect(parameters: Sequence[Parameter], place: int, count: int, inputs: int, units: int) -> None:
    named = {each.name: each for each in parameters}
    kernel = named.get(_kernel_name(place, count))
    if not parameters and count:
        return
    if kernel is None or math.prod(kernel.shape) != inputs * units or kernel.shape[-1] != units:
        shape = None if kernel is None else kernel.shape
        raise Unsupported(f"has weights of the shape {shape} for {inputs} inputs and {units} outputs")


def _expect_bias(parameters: Sequence[Parameter], units: int, modules: int) -> None:
    for each in parameters:
        if each.name == "bias" and each.shape not in ((units,), (units, modules, modules)):
            raise Unsupported(f"has biases of the shape {each.shape} for {units} units")


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(layer: Description, key: str, state: State) -> str:
    value = layer.get(key)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{state.path}: a layer has no {key}.")
    return value


def _inputs(layer: Description, names: Sequence[str], state: State) -> list[str]:
    found = []
    for each in _sequence(layer.get("inputs")):
        if isinstance(each, int) and 0 <= each < len(names):
            found.append(names[each])
        elif isinstance(each, str) and each in names:
            found.append(each)
        else:
            raise Unreadable(f"{state.path}: the layer {layer['name']} has the input {plain(each)}, which it has not.")
    if not found and layer["type"] != "data":
        raise Unreadable(f"{state.path}: the layer {layer['name']} has no inputs.")
    return found


def _whole(layer: Description, key: str, place: int | None, default: int | None = None) -> int:
    """A whole number, or the one at ``place`` where there is a list of them. Raises Unsupported."""
    value = layer.get(key, default)
    if isinstance(value, list | tuple):
        value = value[place or 0] if len(value) > (place or 0) else default
    value = value.item() if isinstance(value, np.ndarray | np.generic) and value.size == 1 else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or abs(value) > 1 << 31:
        raise Unsupported(f"has no whole number as its {key}")
    return int(value)


def _number(values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = values.get(key, default)
    if not isinstance(value, int | float | np.generic):
        raise Unsupported(f"has no number as its {key}")
    return float(value)
