"""A network as something that can be computed, whatever format it was read from.

Readers of formats that bring no Keras configuration (Caffe, cuda-convnet) describe each layer by a
:class:`Node`: what is shown of it, and an operation from this file that says what it computes.
``translated_layers.py`` turns the nodes into a Keras model.

A feature map is (row, column, channel) here, a vector (value,); batches come first. Where a format flattens a
map, it does so in the order channel, row, column; TensorFlow's graphs say otherwise (:attr:`Reshape.as_stored`).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mloscope.adaptors.interface import SAME_PLACE, Layer, Sight

Shape = tuple[int, ...]
# A description of a few bytes can ask for maps of any size; nobody's classifier makes one of a gigabyte.
LARGEST_OUTPUT_VALUES = 1 << 28
LARGEST_WINDOW_VALUES = 1 << 20
FLATTENED = ("channel", "row", "column")
"""The order in which a map is flattened."""


@dataclass(frozen=True)
class Window:
    """A rectangle that moves over a map. Every pair is (rows, columns)."""

    size: tuple[int, int]
    stride: tuple[int, int]
    start: tuple[int, int]
    """Where the first window begins: 0, or as many places before the map as there is padding, negative."""
    outputs: tuple[int, int]
    """How many windows there are. The last may hang over the map's edge; what it covers there is padding."""
    dilation: tuple[int, int] = (1, 1)

    @property
    def reach(self) -> tuple[int, int]:
        """How many places a window spans."""
        return (
            self.dilation[0] * (self.size[0] - 1) + 1,
            self.dilation[1] * (self.size[1] - 1) + 1,
        )


@dataclass(frozen=True)
class Input:
    """The image."""


@dataclass(frozen=True)
class Convolution:
    """The sum, over the inputs, of a convolution with that input's kernel, and a bias.

    Parameters: a kernel an input, of the axes unit, channel, row and column in any order, the channels being
    those of one group; at most one bias, (unit,) or (unit, row, column)."""

    maps: tuple[Shape, ...]
    """Each input as (row, column, channel); a vector of as many values is unflattened to it."""
    windows: tuple[Window, ...]
    groups: tuple[int, ...]
    factor: float = 1.0


@dataclass(frozen=True)
class Local:
    """A convolution with weights of its own at every place. Parameters: a kernel (row and column of the
    place, channel, row, column, unit), a bias (unit,) or (unit, row, column)."""

    map: Shape
    window: Window
    groups: int
    factor: float = 1.0


@dataclass(frozen=True)
class Dense:
    """``factor * (sum of inputs @ kernels + bias)``, maps flattened. Parameters: a kernel an input,
    (unit, channel) or (channel, unit); at most one bias."""

    factor: float = 1.0


@dataclass(frozen=True)
class Pooling:
    """The largest value or the mean of each window."""

    map: Shape
    window: Window
    largest: bool
    edge: tuple[int, int] = (0, 0)
    """For means: how many places of padding around the map count as part of a window, as noughts. With (0, 0)
    a mean is over what lies on the map alone."""
    total: bool = False
    """The sum instead of the mean."""


@dataclass(frozen=True)
class LocalNormalisation:
    """``x * (offset + scale * sum of squares)^-power``, the sum being over ``size`` neighbours from
    ``-(size // 2)`` on, of other channels at the same place or of other places in the same channel."""

    map: Shape
    across_channels: bool
    size: int
    scale: float
    power: float
    offset: float = 1.0
    blocks: bool = False
    """Whether the neighbours are those of a fixed block of ``size`` channels instead."""


@dataclass(frozen=True)
class Activation:
    """A function of each value by itself; see ``translated_layers.ACTIVATIONS``."""

    function: str
    arguments: tuple[float, ...] = ()


@dataclass(frozen=True)
class SlopedActivation:
    """``x`` where it is positive, ``slope * x`` elsewhere. Parameter: slope, one or a channel's each."""


@dataclass(frozen=True)
class BatchNormalisation:
    """Parameters: mean and variance, both still to be divided by the third, scale_factor (nought: by
    nothing, they are nought too), where there is a third."""

    epsilon: float


@dataclass(frozen=True)
class ChannelScale:
    """``x * scale + bias``, a number a channel; either parameter may be absent. With a second input, that is
    the scale."""


@dataclass(frozen=True)
class ChannelConstants:
    """``x * scale + shift`` with a number per channel that is part of the network's description."""

    scale: tuple[float, ...]
    shift: tuple[float, ...]


@dataclass(frozen=True)
class Combination:
    """The weighted sum, the product or the largest of the inputs, value by value."""

    rule: str
    """``sum``, ``product`` or ``largest``."""
    coefficients: tuple[float, ...] = ()


@dataclass(frozen=True)
class Concatenation:
    axis: int
    """Of the sample, without the batch."""


@dataclass(frozen=True)
class Part:
    """What lies from ``begin`` to before ``end`` on an axis of the sample."""

    axis: int
    begin: int
    end: int


@dataclass(frozen=True)
class Reshape:
    """The same values, in the order channel, row, column, as another sample shape (channels last)."""

    shape: Shape
    as_stored: bool = False
    """Whether the order is row, column, channel instead, as TensorFlow's."""


@dataclass(frozen=True)
class Softmax:
    axis: int


Operation = (
    Input
    | Convolution
    | Local
    | Dense
    | Pooling
    | LocalNormalisation
    | Activation
    | SlopedActivation
    | BatchNormalisation
    | ChannelScale
    | ChannelConstants
    | Combination
    | Concatenation
    | Part
    | Reshape
    | Softmax
)


@dataclass(frozen=True)
class Node:
    """A layer as it is shown, and what it computes; no operation where that is not supported (the layer's
    ``problem`` then says so)."""

    layer: Layer
    operation: Operation | None
    is_output: bool = False
    """Whether the files say that this is one of the network's outputs."""


class Unsupported(Exception):
    """What a layer computes is not known here; ``str(error)`` is the end of a sentence about the layer."""


class NetworkBuilder:
    """Collects nodes in topological order, and sees to it that every layer after an unsupported one says so.

    Shapes are those of samples, channels last, with no size open."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.nodes: list[Node] = []
        self._by_name: dict[str, Node] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def shape(self, name: str) -> Shape:
        """The output shape of a layer. Raises Unsupported where it is not known."""
        shape = self._by_name[name].layer.output_shape
        if shape is None:
            raise Unsupported(f"takes the output of {name}, whose shape is not known")
        return tuple(int(size or 0) for size in shape)

    def free_name(self, name: str) -> str:
        """The name as layers may have it in Keras and TensorFlow, made unique."""
        allowed = re.sub(r"[^A-Za-z0-9_.\-/ ]", "_", name).replace(" ", "_").strip("/")[:200]
        if not re.match(r"[A-Za-z0-9.]", allowed):
            allowed = f"layer{allowed}"
        free, number = allowed, 2
        while free in self._by_name:
            free, number = f"{allowed}_{number}", number + 1
        return free

    def add(
        self,
        layer: Layer,
        operation: Operation | None,
        output_shape: Shape | None,
        problem: str | None = None,
    ) -> str:
        """Adds the layer with the shape; ``problem`` or an unsupported layer before it makes it one that is
        only shown. Gives its name."""
        blocked = next((name for name in layer.inputs if self._by_name[name].operation is None), None)
        if problem is None and blocked is not None:
            problem = f"{layer.name} cannot be evaluated, for it takes the output of {blocked}, which cannot."
        if problem is None and output_shape is not None:
            problem = _excess(layer.name, output_shape)
        if problem is not None:
            operation = None
        shape = output_shape if output_shape and min(output_shape) > 0 else None
        before = [self._by_name[name].layer.output_shape for name in layer.inputs]
        node = Node(
            dataclasses.replace(layer, output_shape=shape, problem=problem, sights=sights_of(operation, before)),
            operation,
        )
        self.nodes.append(node)
        self._by_name[layer.name] = node
        return layer.name

    def declare_outputs(self, names: Iterable[str]) -> None:
        """Mark these layers as outputs of the network; names that no layer has do nothing."""
        declared = set(names)
        for place, node in enumerate(self.nodes):
            if node.layer.name in declared:
                self.nodes[place] = self._by_name[node.layer.name] = dataclasses.replace(node, is_output=True)


def sights_of(operation: Operation | None, inputs: Sequence[tuple[int | None, ...] | None]) -> tuple[Sight, ...]:
    """What a place of the operation's output sees of each input, given their shapes, as :attr:`Layer.sights` has it."""
    match operation:
        case Convolution(maps=maps, windows=windows) if tuple(inputs) == maps:
            return tuple(map(_sight_of, windows))
        case Local(map=shape, window=window) | Pooling(map=shape, window=window) if tuple(inputs) == (shape,):
            return (_sight_of(window),)
        case LocalNormalisation(across_channels=False, size=size):
            return (Sight((size, size), start=(-(size // 2), -(size // 2))),)
        case Part(axis=axis, begin=begin) if axis < 2 and len(inputs[0] or ()) == 3:
            return (Sight(start=(begin, 0) if axis == 0 else (0, begin)),)
        case Reshape(shape=shape) if tuple(inputs) != (shape,):
            return ()
        case Concatenation(axis=axis) | Softmax(axis=axis) if axis < 2 and any(
            len(shape or ()) == 3 for shape in inputs
        ):
            return ()
        case Input() | Convolution() | Local() | Dense() | Pooling() | None:
            return ()
    return (SAME_PLACE,) * len(inputs)


def _sight_of(window: Window) -> Sight:
    return Sight(window.size, window.stride, window.start, window.dilation)


def _excess(name: str, shape: Shape) -> str | None:
    if min(shape, default=1) < 1:
        return f"{name} cannot be evaluated: its output would have the shape {shape}."
    if math.prod(shape) > LARGEST_OUTPUT_VALUES:
        return (
            f"{name} cannot be evaluated: its output of {math.prod(shape):,} values is larger than any that "
            "is computed here."
        )
    return None


def check_window(window: Window, channels: int) -> None:
    """Raises Unsupported where a window has no size, or more of one than anybody's network needs."""
    numbers = (*window.size, *window.stride, *window.dilation, *window.outputs)
    if min(numbers) < 1:
        raise Unsupported(f"has a window of size {window.size} and stride {window.stride} on too small a map")
    if math.prod(window.size) * channels > LARGEST_WINDOW_VALUES * 16 or max(*window.reach, *numbers) > 1 << 20:
        raise Unsupported(f"has a window of size {window.size}, larger than any that is computed here")
    if min(window.start) < -(1 << 20):
        raise Unsupported(f"has a padding of {-min(window.start)}, larger than any that is computed here")


def as_map(shape: Shape, wanted: Shape | None = None) -> Shape:
    """The shape of an input that must be a map: its own, or ``wanted`` where it has as many values. Raises
    Unsupported."""
    if wanted is not None and math.prod(wanted) == math.prod(shape):
        return wanted
    if wanted is None and len(shape) == 3:
        return shape
    raise Unsupported(f"takes an input of shape {shape} where it needs a map of {wanted or 'three axes'}")


def usual_axes(rank: int) -> tuple[str, ...]:
    """What the axes of an array may mean of which nothing is known but how many it has."""
    if rank == 3:
        return ("unit", "row", "column")
    usual = ("unit", "channel", "row", "column", "depth")
    return usual[:rank] if rank <= len(usual) else tuple(f"axis {number}" for number in range(rank))


def evaluable(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that can be evaluated; those before a node are among them."""
    return [node for node in nodes if node.operation is not None]


def outputs_of(nodes: Iterable[Node]) -> tuple[str, ...]:
    """Names of the layers that the files declare as the network's outputs, as ``DeclaresOutputs.outputs`` gives them."""
    return tuple(node.layer.name for node in nodes if node.is_output)


def input_shape_of(nodes: Iterable[Node]) -> tuple[int | None, int | None, int] | None:
    """(row, column, channel) of the image the network takes, as ``RunAdaptor.input_shape`` gives it."""
    for node in nodes:
        shape = node.layer.output_shape
        if node.layer.kind == "input" and shape and len(shape) == 3 and shape[2]:
            return shape[0], shape[1], shape[2]
    return None


def plain(value: Any, depth: int = 0) -> Any:
    """A value from a file as JSON can hold it; what is long or deep is left out, for it may have no end."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 63 else "(a number of more than 63 bits)"
    if isinstance(value, str):
        return value[:1000]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping) and depth < 3:
        return {str(key)[:100]: plain(item, depth + 1) for key, item in list(value.items())[:100]}
    if isinstance(value, list | tuple) and depth < 3:
        return [plain(item, depth + 1) for item in value[:100]]
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        return plain(value.item(), depth + 1)
    return f"({type(value).__name__})"
