"""The network in a TensorFlow 1 ``.meta`` graph, as nodes that can be computed; read without TensorFlow.

Nothing of the graph is run: what its operations compute is told by their names, and an operation that is not known (a
graph may hold ones that write files) makes a layer that is named and not evaluated. Source:
``tensorflow/core/protobuf/meta_graph.proto``.

A training graph begins with queues, decoding and random changes of the images, and ends with losses and
gradients. The network is what lies between: it begins with the first tensor, before the first layer with
weights, from which on everything is known here, and goes on as far as everything is known.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mloscope.adaptors.files.protobuf_wire import Message
from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import Layer, Parameter, Preprocessing, Unreadable
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import NetworkBuilder, Node, Operation, Shape, Unsupported
from mloscope.adaptors.readers.keras.arrays import axes_of
from mloscope.adaptors.readers.tensorflow.graph.ends import Ends
from mloscope.adaptors.readers.tensorflow.graph.graph import ACTIVATIONS, NOT_THE_NETWORKS, PASSING, Graph, Op
from mloscope.adaptors.readers.tensorflow.graph.input import left_out_before, wanted_pixels
from mloscope.adaptors.readers.tensorflow.graph.operations import READ, Context
from mloscope.adaptors.readers.tensorflow.graph.outputs import (
    logits_of_losses,
    probabilities_of,
    served,
    signature_outputs,
)
from mloscope.adaptors.readers.tensorflow.graph.patterns import dropped, slope
from mloscope.adaptors.readers.tensorflow.graph.shapes import Sizes, sample_shape
from mloscope.adaptors.readers.tensorflow.variables import Variable

LARGEST_META_BYTES = 512 * 1024 * 1024
_PLACE_BY_PLACE = (*ACTIVATIONS, "Relu6", "Softmax", "Reshape")
"""What takes the places of a map just as it takes images."""
_ARITHMETIC = ("Reshape", "Mul", "Sub", "Add", "AddV2", "RealDiv", "Abs", "Neg", "Square", "Sqrt")


@dataclass(frozen=True)
class Translated:
    """What the graph gives."""

    nodes: tuple[Node, ...]
    places: Mapping[tuple[str, str], str]
    """The key in the checkpoint of each parameter, by layer and parameter name."""
    preprocessing: Preprocessing | None = None
    """What the graph says of the pixels that it takes."""
    problems: tuple[str, ...] = ()


def translate(path: Path, variables: Sequence[Variable]) -> Translated:
    """The network of the graph at the path, a ``.meta`` or a SavedModel's ``.pb``. Raises Unreadable where there is none."""
    try:
        whole = Message(read_regular(path, LARGEST_META_BYTES), str(path))
        meta_graph = served(whole) if path.suffix == ".pb" else whole
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        graph = Graph.read(meta_graph.message(2), str(path), variables)
        return _Translation(path, graph).result(signature_outputs(meta_graph))
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError, StopIteration) as error:
        raise Unreadable(f"{path} holds a graph that cannot be understood ({error!r}).") from error


class _Translation:
    def __init__(self, path: Path, graph: Graph) -> None:
        self._path, self._graph = path, graph
        self._builder = NetworkBuilder(str(path))
        self._layer_of: dict[str, str] = {}
        """The layer that gives an operation's output."""
        self._places: dict[tuple[str, str], str] = {}
        self._superseded: set[str] = set()
        """Layers that were recognised as steps of another."""
        self._kept: set[str] = set()
        """Layers that are an end of the network, whatever they look like."""
        self._folded: set[str] = set()
        """Tensors of maps whose places stand among the images: what looks at channels alone may take them."""
        self._sizes = Sizes(graph.ops, graph.constant, self._sample_shape)

    def result(self, signature: Sequence[str]) -> Translated:
        """``signature``: the tensors that a signature names as outputs."""
        weighty = [op for op in self._graph.ops.values() if self._graph.is_layer(op)]
        if not weighty:
            raise Unreadable(f"{self._path} holds no convolution or dense layer of the checkpoint's variables.")
        entry = self._graph.entry(weighty[0])
        shape = self._graph.shape_of_images(entry)
        problem = None
        if shape is None or min(shape, default=0) < 1:
            problem, shape = f"{self._path} leaves the size of its images open.", None
        self._context = Context(self._graph, self._sizes, self._graph.number_of_images(entry))
        self._add_image(entry, shape, problem)
        self._ends = self._found_ends(entry)
        needed = self._graph.needed(weighty)
        for op in self._graph.ordered():
            if op.name not in self._layer_of and not NOT_THE_NETWORKS.search(op.name):
                self._translate(op, op.name in needed)
        self._builder.declare_outputs(self._outputs(signature))
        nodes, source = tuple(self._network()), self._graph.ops.get(entry.partition(":")[0])
        if source is None:
            return Translated(nodes, self._places)
        dtype = source.attributes["dtype"].number(6) if "dtype" in source.attributes else 0
        before = left_out_before(source.name, source.kind, self._path.name)
        pixels = None if before else wanted_pixels(nodes, dtype, self._path.name)
        return Translated(nodes, self._places, pixels, (before,) if before else ())

    def _outputs(self, signature: Sequence[str]) -> list[str]:
        """The layers whose values a signature names; without one, what the losses are computed of, as probabilities where
        the graph makes some of them."""
        named = [self._layer_of[name] for name in signature if name in self._layer_of]
        if named:
            return named
        taken = (self._graph.ops[op.name] for op in self._graph.ops.values() if not NOT_THE_NETWORKS.search(op.name))
        logits = logits_of_losses({op.name: (op.kind, op.inputs) for op in taken})
        layers = dict.fromkeys(self._layer_of[name] for name in logits if name in self._layer_of)
        return [probabilities_of(name, self._builder.nodes) for name in layers]

    def _add_image(self, entry: str, shape: Shape | None, problem: str | None) -> None:
        """Where the graph takes vectors and makes maps of them, images are maps that it takes as vectors."""
        map_ = self._graph.map_of_vector(entry, shape) if shape is not None and len(shape) == 1 else None
        image = Layer(self._builder.free_name("input"), "input", (), None, source_class="Placeholder")
        name = self._builder.add(image, network.Input(), map_ or shape, problem)
        if map_ is not None and shape is not None:
            flat = Layer(self._builder.free_name("input/flat"), "flatten", (name,), None, source_class="Placeholder")
            name = self._builder.add(flat, network.Reshape(shape, as_stored=True), shape)
        self._layer_of[entry] = name

    def _found_ends(self, entry: str) -> Ends:
        ops = {op.name: op for op in self._graph.ordered() if not NOT_THE_NETWORKS.search(op.name)}
        fixed = [op.name for op in ops.values() if op.kind == "Placeholder" and len(self._graph.stated_shape(op)) == 0]
        before = self._graph.needed([self._graph.ops[entry.partition(":")[0]]]) - {entry}
        return Ends({name: (op.kind, op.inputs) for name, op in ops.items()}, entry, fixed, before)

    def _sample_shape(self, name: str) -> Shape | None:
        return self._shape_or_none(name) if name in self._layer_of and name not in self._folded else None

    # ---------------------------------------------------------------------------------------------- translating

    def _translate(self, op: Op, is_needed: bool) -> None:
        tensors = [name for name in op.inputs if name in self._layer_of]
        if not tensors or op.kind in ("Shape", "Size", "Rank"):
            return
        if op.kind in PASSING:
            self._layer_of[op.name] = self._layer_of[tensors[0]]
            self._folded |= {op.name} if tensors[0] in self._folded else set()
            return
        if self._is_pattern(op):
            return
        others = [name for name in op.inputs if name not in self._layer_of]
        unknown = any(self._graph.constant(name) is None and self._graph.variable(name) is None for name in others)
        if unknown and op.kind != "Reshape":  # which takes what is computed from shapes
            self._leave_out(op, tensors, f"is a {op.kind} of what is not known here", is_needed)
            return
        read = READ.get(op.kind)
        try:
            if read is None:
                raise Unsupported(f"is a {op.kind}, which is not supported")
            shapes = [self._builder.shape(self._layer_of[name]) for name in tensors]
            if op.kind == "Reshape" and self._is_folding(op, tensors[0], shapes[0]):
                self._layer_of[op.name] = self._layer_of[tensors[0]]
                return
            if self._folded & set(tensors) and op.kind not in _PLACE_BY_PLACE:
                raise Unsupported(f"is a {op.kind} of the places of a map, each by itself, which is not supported")
            found = read(self._context, op, tensors, shapes)
        except Unsupported as error:
            is_behind = read is not None and any(self._problem(name) for name in tensors)
            self._leave_out(op, tensors, str(error), is_needed or is_behind)
            return
        self._add(op, found.name or op.name, found.kind, tensors, found.operation, found.shape, found.parameters)
        if self._folded & set(tensors):
            self._folded.add(op.name)
        if self._ends.is_one(op.name):
            self._kept.add(self._layer_of[op.name])

    def _is_pattern(self, op: Op) -> bool:
        """Whether the operation, with those before it, is one layer, which then is there."""
        if op.kind == "BiasAdd" and self._merge_bias(op):
            return True
        sloped = slope(self._graph, self._layer_of, op)
        if sloped is not None:
            steps = {self._layer_of[step] for step in sloped.steps if step in self._layer_of}
            self._superseded |= steps - {self._layer_of[sloped.takes]}
            held = {"slope": (Parameter("slope", sloped.variable.entry.shape, ("unit",)), sloped.variable)}
            name, shape = op.name.rpartition("/")[0] + "/prelu", self._shape_or_none(sloped.takes)
            self._add(op, name, "activation", [sloped.takes], network.SlopedActivation(), shape, held)
            return True
        source = dropped(self._graph, self._layer_of, op)
        if source is not None:
            self._add(op, op.name, "dropout", [source], network.Activation("linear"), self._shape_or_none(source))
            return True
        return op.kind.startswith("FusedBatchNorm") and self._batch_normalisation(op)

    def _leave_out(self, op: Op, tensors: Sequence[str], reason: str, is_needed: bool) -> None:
        """Shows the operation with its problem where a layer needs it, or where it leads to an end of the network; what
        leads to losses and logs is nobody's concern."""
        is_behind = any(self._problem(name) for name in tensors)
        leads_to_end = not is_needed and not is_behind and self._ends.leads_to_one(op.name)
        if is_needed or leads_to_end:
            self._refuse(op, tensors, reason)
        if leads_to_end:
            self._kept.add(self._layer_of[op.name])

    def _is_folding(self, op: Op, tensor: str, shape: Shape) -> bool:
        """Whether the reshape puts the places of a map among the images, or takes them back from there."""
        wanted = self._sizes.of(op.inputs[1])
        if tensor in self._folded:
            if isinstance(wanted, list) and tuple(wanted[1:]) == shape:
                return True  # as it was before
            if isinstance(wanted, list) and tuple(wanted[1:]) == shape[-1:]:
                self._folded.add(op.name)
                return True
            raise Unsupported("makes another map of the places of one, which is not supported")
        if sample_shape(wanted, shape, self._context.batch) is not None:
            return False
        self._folded.add(op.name)
        return True

    def _batch_normalisation(self, op: Op) -> bool:
        """Two layers: with the moving mean and variance, whichever the graph takes, for training takes a batch's
        own; then scale and shift."""
        scale, shift = (self._graph.variable(name) for name in op.inputs[1:3]) if len(op.inputs) == 5 else (None, None)
        if scale is None and shift is None:
            return False
        scope = (scale or shift).layer  # type: ignore[union-attr]
        own = {each.name: each for each in self._graph.variables.values() if each.layer == scope}
        mean, variance = own.get("moving_mean"), own.get("moving_variance")
        shape = self._shape_or_none(op.inputs[0])
        sizes = {each.entry.shape for each in (scale, shift, mean, variance) if each is not None}
        if mean is None or variance is None or op.text("data_format") not in ("", "NHWC") or len(sizes) != 1:
            return False

        def held(**named: Variable | None) -> dict[str, tuple[Parameter, Variable]]:
            found = ((name, each) for name, each in named.items() if each is not None)
            return {name: (Parameter(name, each.entry.shape, ("unit",)), each) for name, each in found}

        moments = network.BatchNormalisation(op.real("epsilon", 1e-4))
        before = [op.inputs[0]]
        self._add(op, scope, "normalisation", before, moments, shape, held(mean=mean, variance=variance))
        stretch = held(scale=scale, bias=shift)
        self._add(op, f"{scope}/scale", "normalisation", [op.name], network.ChannelScale(), shape, stretch)
        return True

    def _shape_or_none(self, name: str) -> Shape | None:
        try:
            return self._builder.shape(self._layer_of[name])
        except Unsupported:
            return None

    def _problem(self, name: str) -> str | None:
        return next(n.layer.problem for n in self._builder.nodes if n.layer.name == self._layer_of[name])

    def _refuse(self, op: Op, tensors: Sequence[str], reason: str) -> None:
        kind = {"Conv2D": "convolution", "DepthwiseConv2dNative": "depthwise convolution", "MatMul": "dense"}.get(
            op.kind, re.sub("([a-z0-9])([A-Z])", r"\1 \2", op.kind).lower()
        )
        parameters = {}
        for each in op.inputs:
            variable = self._graph.variable(each)
            if variable is not None:
                axes = axes_of("", variable.name, len(variable.entry.shape))
                parameters[variable.name] = (Parameter(variable.name, variable.entry.shape, axes), variable)
        held = next((variable for _, variable in parameters.values()), None)
        name = self._builder.free_name(held.layer if held and self._graph.is_layer(op) else op.name)
        problem = f"{name} cannot be evaluated: it {reason}."
        self._add(op, name, kind, tensors, None, None, parameters, problem)

    def _add(
        self,
        op: Op,
        name: str,
        kind: str,
        tensors: Sequence[str],
        operation: Operation | None,
        shape: Shape | None,
        parameters: Mapping[str, tuple[Parameter, Variable]] | None = None,
        problem: str | None = None,
    ) -> None:
        held = parameters or {}
        layer = Layer(
            name=self._builder.free_name(name),
            kind=kind if re.fullmatch(r"[a-z0-9 ]*", kind) else "",
            inputs=tuple(dict.fromkeys(self._layer_of[each] for each in tensors)),
            output_shape=None,
            parameters=tuple(parameter for parameter, _ in held.values()),
            hyperparameters=_hyperparameters(op),
            source_class=op.kind[:100],
        )
        self._layer_of[op.name] = self._builder.add(layer, operation, shape, problem)
        for parameter, variable in held.values():
            self._places[layer.name, parameter.name] = variable.key

    def _merge_bias(self, op: Op) -> bool:
        """Gives a bias to the layer before it, where nothing else takes what that makes without."""
        variable = self._graph.variable(op.inputs[1]) if len(op.inputs) == 2 else None
        name = self._layer_of.get(op.inputs[0])
        before = self._graph.ops.get(op.inputs[0])
        if variable is None or before is None or before.kind not in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
            return False
        if self._ends.takers(before.name) != [op.name]:
            return False
        place = next(i for i, node in enumerate(self._builder.nodes) if node.layer.name == name)
        node = self._builder.nodes[place]
        units = node.layer.parameters[0].shape[-1] if node.layer.parameters else 0
        if variable.entry.shape != (units,) or len(node.layer.parameters) != 1:
            return False
        parameter = Parameter(variable.name, variable.entry.shape, ("unit",))
        layer = dataclasses.replace(node.layer, parameters=(*node.layer.parameters, parameter))
        self._builder.nodes[place] = dataclasses.replace(node, layer=layer)
        self._places[node.layer.name, parameter.name] = variable.key
        self._layer_of[op.name] = node.layer.name
        return True

    def _network(self) -> list[Node]:
        """The nodes without what leads nowhere: arithmetic of losses, and the steps of what was recognised as one
        layer. What gives probabilities comes last, for that is the network's output."""
        nodes = list(self._builder.nodes)
        while True:
            taken = {name for node in nodes for name in node.layer.inputs}
            kept = [node for node in nodes if node.layer.name in taken or not self._is_loose(node)]
            if len(kept) == len(nodes):
                break
            nodes = kept
        kinds = {node.layer.name: node.layer.source_class for node in nodes}

        def gives_probabilities(node: Node) -> bool:
            classes = (node.layer.source_class, *(kinds[name] for name in node.layer.inputs))
            return node.layer.name not in taken and bool({"Softmax", "Sigmoid"} & set(classes))

        return sorted(nodes, key=gives_probabilities)

    def _is_loose(self, node: Node) -> bool:
        layer = node.layer
        if layer.name in self._superseded:
            return True
        if node.is_output or layer.name in self._kept:
            return False
        return not layer.parameters and (layer.source_class in _ARITHMETIC or node.operation is None)


def _hyperparameters(op: Op) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name in ("strides", "ksize", "dilations", "squeeze_dims"):
        if op.numbers(name):
            shown[name] = op.numbers(name)[:8]
    for name in ("padding", "data_format"):
        if op.text(name):
            shown[name] = op.text(name)[:40]
    for name in ("epsilon", "alpha", "beta", "bias"):
        if name in op.attributes:
            shown[name] = round(op.real(name, 0.0), 9)
    return shown
