"""What ``decaf.base.Net.save`` writes, as nodes: a pickle of ``[name, {layer: (object, needs, provides)}]``.

Layers are joined by the names of the blobs that they need and provide; data and loss layers are not saved.
What each computes was read from ``decaf/layers`` and ``decaf/layers/cpp``. Maps are (row, column, channel) there
as here, and so are the rows of a kernel's matrix. Its layers that flatten are shown as what they pass on, a
map: the dense layer behind takes it in the order row, column, channel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from mloscope.adaptors.interface import Layer, Parameter, Unreadable
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import NetworkBuilder, Node, Operation, Shape, Unsupported, Window, plain
from mloscope.adaptors.readers.decaf.files import Entry, SavedNet, Stub

_KINDS = {
    "ConvolutionLayer": "convolution",
    "GroupConvolutionLayer": "convolution",
    "InnerProductLayer": "dense",
    "ReLULayer": "activation",
    "SigmoidLayer": "activation",
    "SoftmaxLayer": "activation",
    "LocalResponseNormalizeLayer": "normalisation",
    "FlattenLayer": "flatten",
    "DropoutLayer": "dropout",
    "PaddingLayer": "padding",
}
# Sides of images that classifiers are made for; of several that fit a network the first of these is taken.
_USUAL_SIDES = (32, 28, 227, 224, 256, 96, 64)
_LARGEST_SIDE = 512


# ------------------------------------------------------------------------------------------------- the arrays


def arrays_of_layer(layer: Stub) -> dict[str, np.ndarray]:
    """The arrays by parameter name, in the shapes of the file; the groups of a convolution side by side."""
    parts = layer.get("_conv_layers") if layer.class_name == "GroupConvolutionLayer" else [layer]
    found: dict[str, np.ndarray] = {}
    for name, stored in (("kernel", ("_kernels", "_weight")), ("bias", ("_bias",))):
        held = [
            array
            for part in (parts if isinstance(parts, list) else ())
            if isinstance(part, Stub)
            for array in (part.array(each) for each in stored)
            if array is not None
        ]
        if held and len({each.shape[:-1] for each in held}) == 1:
            found[name] = held[0] if len(held) == 1 else np.concatenate(held, axis=-1)
    return found


def _parameters(layer: Stub) -> tuple[Parameter, ...]:
    found = []
    for name, array in arrays_of_layer(layer).items():
        shape, axes = array.shape, ("channel", "unit") if array.ndim == 2 else ("unit",)
        if name == "kernel" and "Convolution" in layer.class_name and array.ndim == 2:
            size = _sub(layer).get("_ksize")
            if isinstance(size, int) and size > 0 and shape[0] % size**2 == 0:
                shape = (size, size, shape[0] // size**2, shape[1])
                axes = ("row", "column", "channel", "unit")
        if len(axes) != len(shape):
            axes = network.usual_axes(len(shape))
        found.append(Parameter(name, shape, axes))
    return tuple(found)


def _sub(layer: Stub) -> Stub:
    parts = layer.get("_conv_layers")
    return parts[0] if isinstance(parts, list) and parts and isinstance(parts[0], Stub) else layer


# ------------------------------------------------------------------------------------------------ the network


def nodes_of_net(net: SavedNet) -> list[Node]:
    """The network. How large its images are is not stored; it is worked out from the first dense layer behind a
    map, and no layer can be evaluated where that cannot be. Raises Unreadable."""
    provided = {blob for entry in net.entries for blob in entry.provides}
    inputs = sorted({blob for entry in net.entries for blob in entry.needs if blob not in provided})
    if len(inputs) != 1:
        raise Unreadable(f"{net.path} takes {len(inputs)} inputs ({', '.join(inputs)[:200]}) instead of one.")
    shape = next((shape for shape in _image_shapes(net) if _fits(net, inputs[0], shape)), None)
    return _built(net, inputs[0], shape)


def _image_shapes(net: SavedNet) -> Iterator[Shape]:
    """What the images may be like, judging by the first layer with weights."""
    for entry in net.entries:
        kernel = arrays_of_layer(entry.layer).get("kernel")
        if kernel is None:
            continue
        for parameter in _parameters(entry.layer):
            if len(parameter.shape) == 4:
                groups = entry.layer.get("_group", 1)
                channels = parameter.shape[2] * (groups if isinstance(groups, int) else 1)
                yield from ((side, side, channels) for side in (*_USUAL_SIDES, *range(1, _LARGEST_SIDE + 1)))
            elif len(parameter.shape) == 2:
                values = parameter.shape[0]
                sides = ((math.isqrt(values // channels), channels) for channels in (1, 3))
                yield from ((side, side, each) for side, each in sides if side * side * each == values)
                yield (values,)
        return


def _fits(net: SavedNet, blob: str, shape: Shape) -> bool:
    dense = [node.layer for node in _built(net, blob, shape) if node.layer.kind == "dense"]
    return bool(dense) and not any(layer.problem for layer in dense)


def _built(net: SavedNet, blob: str, shape: Shape | None) -> list[Node]:
    builder = NetworkBuilder(str(net.path))
    image = Layer(builder.free_name(blob), "input", (), None)
    problem = None
    if shape is None:
        problem = f"{net.path} does not say how large its images are, and it cannot be worked out."
    made = {blob: builder.add(image, network.Input(), shape, problem)}
    flat = {blob: False}
    for entry in net.entries:
        name = _add(builder, entry, [made[each] for each in entry.needs], [flat[each] for each in entry.needs])
        for each in entry.provides:
            made[each] = name
            flat[each] = entry.layer.class_name == "FlattenLayer" or any(flat[need] for need in entry.needs)
    needed = {each for entry in net.entries for each in entry.needs}
    # Net.predict gives the blobs that no layer needs.
    builder.declare_outputs(made[each] for entry in net.entries for each in entry.provides if each not in needed)
    return builder.nodes


def _add(builder: NetworkBuilder, entry: Entry, inputs: Sequence[str], flat: Sequence[bool]) -> str:
    layer, name = entry.layer, builder.free_name(entry.name)
    spec = layer.get("spec")
    kind = _KINDS.get(layer.class_name, "".join(c if c.isalnum() else " " for c in layer.class_name.lower()))
    if layer.class_name == "PoolingLayer":
        kind = "max pooling" if layer.get("_mode") == "max" else "average pooling"
    operation: Operation | None = None
    shape: Shape | None = None
    problem = None
    parameters = _parameters(layer)
    try:
        read = _READ.get(layer.class_name)
        if read is None or len(inputs) != 1:
            raise Unsupported(f"is a {layer.class_name} of {len(inputs)} inputs, which is not supported")
        operation, shape = read(layer, builder.shape(inputs[0]), parameters, flat[0])
    except Unsupported as error:
        problem = f"{name} cannot be evaluated: it {error}."
    described = Layer(
        name=name,
        kind=kind if kind.isascii() else "",
        inputs=tuple(inputs),
        output_shape=None,
        parameters=parameters,
        hyperparameters={
            str(key)[:100]: plain(value)
            for key, value in (spec if isinstance(spec, dict) else {}).items()
            if key != "name" and not isinstance(value, Stub)
        },
        source_class=layer.class_name[:100],
    )
    return builder.add(described, operation, shape, problem)


Read = Callable[[Stub, Shape, Sequence[Parameter], bool], tuple[Operation, Shape]]


def _convolution(layer: Stub, shape: Shape, parameters: Sequence[Parameter], flat: bool) -> tuple[Operation, Shape]:
    rows, columns, channels = network.as_map(shape)
    sub = _sub(layer)
    size, stride, pad = sub.whole("_ksize"), sub.whole("_stride"), sub.whole("_pad_size")
    groups = layer.whole("_group") if layer.class_name == "GroupConvolutionLayer" else 1
    kernel = next((each.shape for each in parameters if each.name == "kernel"), ())
    if min(size, stride, groups) < 1 or len(kernel) != 4 or kernel[2] * groups != channels or kernel[3] % groups:
        raise Unsupported(f"has kernels of the shape {kernel} for {channels} channels in {groups} groups")
    outputs = ((rows + 2 * pad - size) // stride + 1, (columns + 2 * pad - size) // stride + 1)
    window = Window((size, size), (stride, stride), (-pad, -pad), outputs)
    network.check_window(window, channels)
    return network.Convolution(((rows, columns, channels),), (window,), (groups,)), (*outputs, kernel[3])


def _dense(layer: Stub, shape: Shape, parameters: Sequence[Parameter], flat: bool) -> tuple[Operation, Shape]:
    kernel = next((each.shape for each in parameters if each.name == "kernel"), ())
    if len(shape) != 1 and not flat:
        raise Unsupported("is a dense layer over each place of a map, which is not supported")
    if len(kernel) != 2 or kernel[0] != math.prod(shape):
        raise Unsupported(f"has weights of the shape {kernel} for {math.prod(shape)} inputs")
    return network.Dense(), (kernel[1],)


def _pooling(layer: Stub, shape: Shape, parameters: Sequence[Parameter], flat: bool) -> tuple[Operation, Shape]:
    rows, columns, channels = network.as_map(shape)
    size, stride, mode = layer.whole("_psize"), layer.whole("_stride"), layer.get("_mode")
    if mode not in ("max", "ave") or min(size, stride) < 1:
        raise Unsupported(f"is pooling of the kind {plain(mode)}, which is not supported")
    outputs = (-((size - rows) // stride) + 1, -((size - columns) // stride) + 1)
    window = Window((size, size), (stride, stride), (0, 0), outputs)
    network.check_window(window, 1)
    return network.Pooling((rows, columns, channels), window, mode == "max"), (*outputs, channels)


def _normalisation(layer: Stub, shape: Shape, parameters: Sequence[Parameter], flat: bool) -> tuple[Operation, Shape]:
    size = layer.whole("_size")
    if size % 2 == 0 or size > 512:
        raise Unsupported(f"normalises over {size} neighbours, which is not supported")
    scale = layer.number("_alpha") / size
    rule = network.LocalNormalisation(
        network.as_map(shape), True, size, scale, layer.number("_beta"), layer.number("_k")
    )
    return rule, shape


def _padding(layer: Stub, shape: Shape, parameters: Sequence[Parameter], flat: bool) -> tuple[Operation, Shape]:
    if layer.get("_pad") != 0:
        raise Unsupported("pads by itself, which is not supported")
    return network.Activation("linear"), shape


def _softmax(layer: Stub, shape: Shape, parameters: Sequence[Parameter], flat: bool) -> tuple[Operation, Shape]:
    if len(shape) != 1:
        raise Unsupported(f"is a softmax over a map of {shape}, which is not supported")
    return network.Softmax(0), shape


def _function(name: str) -> Read:
    return lambda layer, shape, parameters, flat: (network.Activation(name), shape)


_READ: dict[str, Read] = {
    "ConvolutionLayer": _convolution,
    "GroupConvolutionLayer": _convolution,
    "InnerProductLayer": _dense,
    "PoolingLayer": _pooling,
    "LocalResponseNormalizeLayer": _normalisation,
    "PaddingLayer": _padding,
    "SoftmaxLayer": _softmax,
    "ReLULayer": _function("relu"),
    "SigmoidLayer": _function("logistic"),
    # Training drops and scales up, so prediction passes everything on as it is.
    "DropoutLayer": _function("linear"),
    "FlattenLayer": _function("linear"),
    "IdentityLayer": _function("linear"),
    "SplitLayer": _function("linear"),
}
