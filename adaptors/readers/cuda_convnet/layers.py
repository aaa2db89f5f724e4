"""The layers of cuda-convnet 1 and 2, and of its fork idropout, as nodes: what they take, and what arrays they hold."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    plain,
    usual_axes,
)
from mloscope.adaptors.readers.cuda_convnet.descriptions import Description, kernel_name, sequence, stated_map, whole
from mloscope.adaptors.readers.cuda_convnet.files import State
from mloscope.adaptors.readers.cuda_convnet.operations import READ

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


def nodes_of(state: State) -> list[Node]:
    """The network without its labels and costs; what a cost takes beside the labels is an output. Layers are joined by
    ``inputs``: ``inputLayers`` still says what was before neurons became layers of their own. Raises Unreadable."""
    names = [text(layer, "name", state) for layer in state.layers]
    if len(set(names)) != len(names):
        raise Unreadable(f"{state.path}: two of its layers have the same name.")
    types = {name: text(layer, "type", state) for name, layer in zip(names, state.layers, strict=True)}
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
    kernels = [array for array in sequence(layer.get("weights")) if isinstance(array, np.ndarray)]
    arrays = {kernel_name(place, len(kernels)): array for place, array in enumerate(kernels)}
    if isinstance(layer.get("biases"), np.ndarray):
        arrays["bias"] = layer["biases"]
    return arrays


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
        elif kind in READ:
            operation, shape = READ[kind](description, [builder.shape(before) for before in inputs], parameters)
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
        name = kernel_name(place, count)
        found.append(_kernel(kind, layer, place, name, arrays[name]))
    if "bias" in arrays:
        found.append(_bias(kind, layer, arrays["bias"]))
    return tuple(found)


def _kernel(kind: str, layer: Description, place: int, name: str, array: np.ndarray) -> Parameter:
    if array.ndim != 2:
        return Parameter(name, array.shape, usual_axes(array.ndim))
    rows, units = array.shape
    if kind in ("conv", "local"):
        side = whole(layer, "filterSize", place)
        channels = whole(layer, "channels", place) // max(1, whole(layer, "groups", place, 1))
        if kind == "conv" and channels * side * side == rows:
            return Parameter(name, (channels, side, side, units), ("channel", "row", "column", "unit"))
        modules = whole(layer, "modulesX", None)
        if kind == "local" and modules * modules * channels * side * side == rows:
            axes = ("place row", "place column", "channel", "row", "column", "unit")
            return Parameter(name, (modules, modules, channels, side, side, units), axes)
    return Parameter(name, (rows, units), ("channel", "unit"), FLATTENED)


def _bias(kind: str, layer: Description, array: np.ndarray) -> Parameter:
    if kind in ("conv", "local"):
        units, modules = whole(layer, "filters", None), whole(layer, "modulesX", None)
        if array.size == units * modules * modules and modules > 1:
            return Parameter("bias", (units, modules, modules), ("unit", "row", "column"))
    return Parameter("bias", (array.size,), ("unit",))


def _image_shape(data: Description, taken_by: Sequence[tuple[Description, int]]) -> Shape:
    """(row, column, channel) as the first layer says that reads the images as maps; square images of three
    channels or one where none does; a vector where that is not possible either."""
    values = whole(data, "outputs", None)
    for layer, place in taken_by:
        try:
            stated = stated_map(layer, place)
        except Unsupported:
            continue
        if stated is not None and math.prod(stated) == values:
            return stated
    for channels in (3, 1):
        side = math.isqrt(max(values, 0) // channels)
        if side * side * channels == values:
            return (side, side, channels)
    return (values,)


def text(layer: Description, key: str, state: State) -> str:
    value = layer.get(key)
    if not isinstance(value, str) or not value:
        raise Unreadable(f"{state.path}: a layer has no {key}.")
    return value


def _inputs(layer: Description, names: Sequence[str], state: State) -> list[str]:
    found = []
    for each in sequence(layer.get("inputs")):
        if isinstance(each, int) and 0 <= each < len(names):
            found.append(names[each])
        elif isinstance(each, str) and each in names:
            found.append(each)
        else:
            raise Unreadable(f"{state.path}: the layer {layer['name']} has the input {plain(each)}, which it has not.")
    if not found and layer["type"] != "data":
        raise Unreadable(f"{state.path}: the layer {layer['name']} has no inputs.")
    return found
