"""The layers of Caffe as nodes: which of them belong to the network, what they take, and what their arrays are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mloscope.adaptors.interface import Layer, Parameter, Unreadable
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import (
    FLATTENED,
    NetworkBuilder,
    Node,
    Operation,
    Shape,
    Unsupported,
    usual_axes,
)
from mloscope.adaptors.readers.caffe.operations import READ, Here, part_of
from mloscope.adaptors.readers.caffe.outputs import Outputs
from mloscope.adaptors.readers.caffe.protobuf import CaffeLayer, CaffeNet
from mloscope.adaptors.readers.caffe.snapshots import Shapes

DATA_TYPES = {"Input", "Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData"}
_LEFT_OUT = {
    "Accuracy", "ArgMax", "Silence", "HDF5Output", "EuclideanLoss", "HingeLoss", "InfogainLoss",
    "MultinomialLogisticLoss", "ContrastiveLoss", "SigmoidCrossEntropyLoss",
}  # fmt: skip
_CONVOLUTION = ("unit", "channel", "row", "column")
# The names and axes of a layer's arrays, in the order in which Caffe keeps them.
_BLOBS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "Convolution": (("kernel", _CONVOLUTION), ("bias", ("unit",))),
    "Deconvolution": (("kernel", ("channel", "unit", "row", "column")), ("bias", ("unit",))),
    "InnerProduct": (("kernel", ("unit", "channel")), ("bias", ("unit",))),
    "PReLU": (("slope", ("unit",)),),
    "BatchNorm": (("mean", ("unit",)), ("variance", ("unit",)), ("scale_factor", ("unit",))),
    "Scale": (("scale", ("unit",)), ("bias", ("unit",))),
    "Bias": (("bias", ("unit",)),),
}


def nodes_of(net: CaffeNet, phase: str, stored: Shapes, image: tuple[int, ...] | None) -> list[Node]:
    """The network with the arrays that a snapshot holds. Layers for the other phase, labels, losses and
    accuracies are left out; a softmax with its loss is a softmax. Its outputs are marked. ``image`` is the sample shape of the input
    where the network does not say it. Raises Unreadable where it has no input or its layers do not fit."""
    builder, outputs = NetworkBuilder(str(net.path)), Outputs()
    tops: dict[str, str | None] = {}
    """The layer that last wrote each of Caffe's arrays; None for labels and what is made of them."""
    for name, sizes in net.inputs:
        tops[name] = _input(builder, name, tuple(sizes[1:]), image, "Input") if not tops else None
    for layer in net.layers:
        if layer.type in DATA_TYPES:
            if not tops:
                _data(builder, layer, tops, image)
        elif _belongs(layer, phase):
            before = dict(tops)
            if layer.type not in _LEFT_OUT:
                _add(builder, layer, tops, stored)
            outputs.follow(layer, before, tops)
    if not any(node.layer.kind == "input" for node in builder.nodes):
        raise Unreadable(f"{net.path} describes no input: neither input_dim nor a layer of data.")
    builder.declare_outputs(outputs.names())
    return builder.nodes


def stored_names(nodes: Iterable[Node]) -> dict[str, str]:
    """The name that the files have for each layer, by the name it is shown under."""
    return {node.layer.name: str(node.layer.hyperparameters.get("name", node.layer.name)) for node in nodes}


def parameters_of(layer: CaffeLayer, shapes: Sequence[tuple[int, ...]]) -> tuple[Parameter, ...]:
    """The layer's arrays with the axes that mean something: older files write every array with four."""
    found = []
    known = _BLOBS.get(layer.type, ())
    if layer.type == "Scale" and len(layer.message.bottom) > 1:
        known = known[1:]
    for place, shape in enumerate(shapes):
        if min(shape, default=1) < 1:
            continue
        name, axes = known[place] if place < len(known) else (f"blob_{place}", usual_axes(len(shape)))
        if name == "kernel" and layer.type == "InnerProduct" and layer.parameters("inner_product_param").transpose:
            axes = ("channel", "unit")
        if len(shape) > len(axes) and math.prod(shape[: len(shape) - len(axes)]) == 1:
            shape = shape[len(shape) - len(axes) :]
        elif len(shape) == 0:
            shape = (1,)
        if len(axes) != len(shape):
            axes = usual_axes(len(shape))
        found.append(Parameter(name, tuple(shape), axes, FLATTENED))
    return tuple(found)


# ------------------------------------------------------------------------------------------------- the graph


def _belongs(layer: CaffeLayer, phase: str) -> bool:
    number = ("TRAIN", "TEST").index(phase)

    def says(rule: Any) -> bool:
        return not rule.HasField("phase") or rule.phase == number

    message = layer.message
    return (not message.include or any(map(says, message.include))) and not any(map(says, message.exclude))


def _input(
    builder: NetworkBuilder, name: str, sizes: tuple[int, ...], image: tuple[int, ...] | None, source: str
) -> str:
    if len(sizes) == 3:
        shape: tuple[int, ...] | None = (sizes[1], sizes[2], sizes[0])
    else:
        shape = sizes if sizes else image
    if shape is None or not all(0 < size < 1 << 20 for size in shape) or len(shape) not in (1, 3):
        raise Unreadable(f"{builder.source}: the size of the input {name} is not known.")
    free = builder.free_name(name)
    return builder.add(Layer(free, "input", (), None, source_class=source), network.Input(), shape)


def _data(
    builder: NetworkBuilder, layer: CaffeLayer, tops: dict[str, str | None], image: tuple[int, ...] | None
) -> None:
    names = list(layer.message.top) or [layer.name]
    shapes = [tuple(shape.dim) for shape in layer.parameters("input_param").shape]
    for place, name in enumerate(names):
        sizes = shapes[min(place, len(shapes) - 1)][1:] if shapes else ()
        tops[name] = _input(builder, name, sizes, image, layer.type) if place == 0 else None


def _add(builder: NetworkBuilder, layer: CaffeLayer, tops: dict[str, str | None], stored: Shapes) -> None:
    bottoms = list(layer.message.bottom)
    if layer.type == "SoftmaxWithLoss":
        bottoms = bottoms[:1]
    absent = [name for name in bottoms if name not in tops]
    if absent:
        raise Unreadable(f"{builder.source}: {layer.name} takes {absent[0]}, which no layer before it gives.")
    inputs = [name for bottom in bottoms if (name := tops[bottom]) is not None]
    if len(inputs) < len(bottoms) or not inputs:
        tops.update(dict.fromkeys(layer.message.top))
        return
    parameters = parameters_of(layer, stored.get(layer.name, ()))
    names = list(layer.message.top) or [layer.name]
    if layer.type == "Slice":
        for place, name in enumerate(names):
            tops[name] = _node(builder, layer, inputs, parameters, f"{layer.name}/{name}", place, len(names))
        return
    shown = _node(builder, layer, inputs, parameters, layer.name, 0, len(names))
    tops.update(dict.fromkeys(names, shown))


def _node(
    builder: NetworkBuilder,
    layer: CaffeLayer,
    inputs: Sequence[str],
    parameters: tuple[Parameter, ...],
    name: str,
    place: int,
    count: int,
) -> str:
    free = builder.free_name(name)
    operation: Operation | None = None
    shape: Shape | None = None
    problem = None
    kind, field, read = READ.get(layer.type, (_words(layer.type), "", None))
    try:
        here = Here(layer, tuple(builder.shape(each) for each in inputs), {each.name: each for each in parameters})
        if read is None:
            raise Unsupported(f"is of the type {layer.type}, which is not supported")
        if layer.type == "Slice":
            operation, shape = part_of(here, place, count)
        elif count > 1 and layer.type != "Split":
            raise Unsupported(f"has {count} outputs, which is not supported")
        else:
            operation, shape = read(here)
    except Unsupported as error:
        problem = f"{free} cannot be evaluated: it {error}."
    if layer.type == "Pooling" and layer.parameters("pooling_param").pool == 0:
        kind = "max pooling"
    if layer.type == "Eltwise":
        kind = ("multiply", "add", "maximum")[layer.parameters("eltwise_param").operation]
    settings = _settings(layer, field)
    if free != layer.name and layer.type != "Slice":
        settings = {"name": layer.name, **settings}
    shown = Layer(free, kind, tuple(inputs), None, parameters, settings, layer.type)
    return builder.add(shown, operation, shape, problem)


def settings_of(layer: CaffeLayer) -> dict[str, Any]:
    """What the layer was configured with, as far as that changes what it computes."""
    return _settings(layer, READ[layer.type][1]) if layer.type in READ else {}


def _settings(layer: CaffeLayer, field: str) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(layer.parameters(field), preserving_proto_field_name=True) if field else {}


def _words(name: str) -> str:
    """``SpatialDropout`` as ``spatial dropout``."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name if letter.isascii())
    return "".join(letter if letter.isalnum() else " " for letter in spaced).strip()[:100]
