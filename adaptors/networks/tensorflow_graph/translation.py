"""The network in a TensorFlow 1 ``.meta`` graph, as nodes that can be computed; read without TensorFlow.

Nothing of the graph is run: what its operations compute is told by their names, and an operation that is not
known here (a graph may hold ones that write files) makes a layer that is named and not evaluated. Sources:
``tensorflow/core/protobuf/meta_graph.proto``, ``framework/node_def.proto``, ``framework/attr_value.proto``,
``framework/tensor.proto``, and the operations' own documentation.

A training graph begins with queues, decoding and random changes of the images, and ends with losses and
gradients. The network is what lies between: it begins with the first tensor, before the first layer with
weights, from which on everything is known here, and goes on as far as everything is known.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.files.protobuf_wire import Message
from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import Layer, Parameter, Preprocessing, Unreadable
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import NetworkBuilder, Node, Operation, Shape, Unsupported, Window
from mloscope.adaptors.networks.tensorflow_graph.ends import Ends
from mloscope.adaptors.networks.tensorflow_graph.input import left_out_before, wanted_pixels
from mloscope.adaptors.networks.tensorflow_graph.outputs import (
    logits_of_losses,
    probabilities_of,
    served,
    signature_outputs,
)
from mloscope.adaptors.networks.tensorflow_graph.shapes import Sizes, sample_shape
from mloscope.adaptors.readers.keras.arrays import axes_of
from mloscope.adaptors.readers.tensorflow.variables import Variable

LARGEST_META_BYTES = 512 * 1024 * 1024
_MOST_OPERATIONS = 200_000
_VARIABLE = ("VariableV2", "Variable", "VarHandleOp")
_PASSING = ("Identity", "StopGradient", "CheckNumerics", "PlaceholderWithDefault", "Snapshot", "ReadVariableOp", "Cast")
_ACTIVATIONS = {
    "Relu": "relu",
    "Sigmoid": "logistic",
    "Tanh": "tanh",
    "Abs": "abs",
    "Square": "square",
    "Sqrt": "sqrt",
    "Softplus": "soft relu",
}
_FIRST_ON_ITS_OWN = (*_ACTIVATIONS, "Relu6", "MaxPool", "AvgPool", "LRN", "Squeeze")
"""What may come before the first layer with weights, too."""
_PLACE_BY_PLACE = (*_ACTIVATIONS, "Relu6", "Softmax", "Reshape")
"""What takes the places of a map just as it takes images."""
_ARITHMETIC = ("Reshape", "Mul", "Sub", "Add", "AddV2", "RealDiv", "Abs", "Neg", "Square", "Sqrt")
_NOT_THE_NETWORKS = re.compile(r"(^|/)gradients(_\d+)?/")


@dataclass(frozen=True)
class Translated:
    """What the graph gives."""

    nodes: tuple[Node, ...]
    places: Mapping[tuple[str, str], str]
    """The key in the checkpoint of each parameter, by layer and parameter name."""
    preprocessing: Preprocessing | None = None
    """What the graph says of the pixels that it takes."""
    problems: tuple[str, ...] = ()


@dataclass
class _Op:
    name: str
    kind: str
    inputs: list[str]
    """Names of operations, with ``:n`` where it is not their first output; what only waits is left out."""
    attributes: Mapping[str, Message] = field(default_factory=dict)

    def text(self, name: str) -> str:
        return self.attributes[name].text(2) if name in self.attributes else ""

    def numbers(self, name: str) -> list[int]:
        return self.attributes[name].message(1).numbers(3) if name in self.attributes else []

    def whole(self, name: str) -> int:
        return self.attributes[name].signed(3) if name in self.attributes else 0

    def flag(self, name: str) -> bool:
        return name in self.attributes and bool(self.attributes[name].number(5))

    def real(self, name: str, default: float) -> float:
        if name not in self.attributes:
            return default
        return float(np.frombuffer(self.attributes[name].number(4).to_bytes(4, "little"), "<f4")[0])


def translate(path: Path, variables: Sequence[Variable]) -> Translated:
    """The network of the graph at the path, a ``.meta`` or a SavedModel's ``.pb``. Raises Unreadable where there is none."""
    try:
        whole = Message(read_regular(path, LARGEST_META_BYTES), str(path))
        meta_graph = served(whole) if path.suffix == ".pb" else whole
        graph = meta_graph.message(2)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
    ops = {}
    for number, message in enumerate(graph.messages(1)):
        if number >= _MOST_OPERATIONS:
            raise Unreadable(f"{path} has more than {_MOST_OPERATIONS:,} operations.")
        inputs = [re.sub(r":0$", "", name) for name in message.texts(3) if not name.startswith("^")]
        attributes = {entry.text(1): entry.message(2) for entry in message.messages(5)}
        ops[message.text(1)] = _Op(message.text(1), message.text(2), inputs, attributes)
    try:
        return _Translation(path, ops, variables).result(signature_outputs(meta_graph))
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError, StopIteration) as error:
        raise Unreadable(f"{path} holds a graph that cannot be understood ({error!r}).") from error


class _Translation:
    def __init__(self, path: Path, ops: Mapping[str, _Op], variables: Sequence[Variable]) -> None:
        self._path, self._ops = path, ops
        self._variables = {variable.key: variable for variable in variables if not variable.slot}
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
        self._batch: int | None = None
        self._sizes = Sizes(ops, self._constant, self._sample_shape)

    def result(self, signature: Sequence[str]) -> Translated:
        """``signature``: the tensors that a signature names as outputs."""
        weighty = [op for op in self._ops.values() if self._is_layer(op)]
        if not weighty:
            raise Unreadable(f"{self._path} holds no convolution or dense layer of the checkpoint's variables.")
        entry = self._entry(weighty[0])
        shape = self._shape_of_images(entry)
        problem = None
        if shape is None or min(shape, default=0) < 1:
            problem, shape = f"{self._path} leaves the size of its images open.", None
        self._batch = self._number_of_images(entry)
        self._add_image(entry, shape, problem)
        self._ends = self._found_ends(entry)
        needed = self._needed(weighty)
        for op in self._ordered():
            if op.name not in self._layer_of and not _NOT_THE_NETWORKS.search(op.name):
                self._translate(op, op.name in needed)
        self._builder.declare_outputs(self._outputs(signature))
        nodes, source = tuple(self._network()), self._ops.get(entry.partition(":")[0])
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
        taken = (self._ops[op.name] for op in self._ops.values() if not _NOT_THE_NETWORKS.search(op.name))
        logits = logits_of_losses({op.name: (op.kind, op.inputs) for op in taken})
        layers = dict.fromkeys(self._layer_of[name] for name in logits if name in self._layer_of)
        return [probabilities_of(name, self._builder.nodes) for name in layers]

    def _add_image(self, entry: str, shape: Shape | None, problem: str | None) -> None:
        """Where the graph takes vectors and makes maps of them, images are maps that it takes as vectors."""
        map_ = self._map_of_vector(entry, shape) if shape is not None and len(shape) == 1 else None
        image = Layer(self._builder.free_name("input"), "input", (), None, source_class="Placeholder")
        name = self._builder.add(image, network.Input(), map_ or shape, problem)
        if map_ is not None and shape is not None:
            flat = Layer(self._builder.free_name("input/flat"), "flatten", (name,), None, source_class="Placeholder")
            name = self._builder.add(flat, network.Reshape(shape, as_stored=True), shape)
        self._layer_of[entry] = name

    def _map_of_vector(self, entry: str, shape: Shape) -> Shape | None:
        known = {entry}
        for op in self._ordered():
            if op.inputs and op.inputs[0] in known:
                sizes = self._constant(op.inputs[1]) if op.kind == "Reshape" and len(op.inputs) == 2 else None
                if sizes is not None and sizes.shape == (4,):
                    found = tuple(int(size) for size in sizes[1:])
                    return found if min(found) > 0 and math.prod(found) == shape[0] else None
                if op.kind in (*_PASSING, "Sub", "Mul", "RealDiv", "Add", "AddV2"):
                    known.add(op.name)
        return None

    def _found_ends(self, entry: str) -> Ends:
        ops = {op.name: op for op in self._ordered() if not _NOT_THE_NETWORKS.search(op.name)}
        fixed = [op.name for op in ops.values() if op.kind == "Placeholder" and len(self._stated_shape(op)) == 0]
        before = self._needed([self._ops[entry.partition(":")[0]]]) - {entry}
        return Ends({name: (op.kind, op.inputs) for name, op in ops.items()}, entry, fixed, before)

    # ---------------------------------------------------------------------------------------- finding one's way

    def _variable(self, name: str) -> Variable | None:
        """The checkpoint's variable that the tensor is, if it is one."""
        for _ in range(8):
            op = self._ops.get(name)
            if op is None:
                return None
            if op.kind in _VARIABLE:
                return self._variables.get(op.text("shared_name") or op.name) or self._variables.get(op.name)
            if op.kind not in _PASSING or not op.inputs:
                return None
            name = op.inputs[0]
        return None

    def _constant(self, name: str) -> np.ndarray | None:
        """float64 of a small constant; None where the tensor is none."""
        op = self._ops.get(name)
        for _ in range(8):
            if op is None or op.kind not in _PASSING or not op.inputs:
                break
            op = self._ops.get(op.inputs[0])
        if op is None or op.kind != "Const" or "value" not in op.attributes:
            return None
        return _tensor(op.attributes["value"].message(8))

    def _is_layer(self, op: _Op) -> bool:
        weights = op.kind in ("Conv2D", "DepthwiseConv2dNative", "MatMul") and len(op.inputs) == 2
        return weights and not _NOT_THE_NETWORKS.search(op.name) and self._variable(op.inputs[1]) is not None

    def _entry(self, first: _Op) -> str:
        """The tensor with the images: as far before the first layer as every step is known and takes one
        tensor."""
        name = first.inputs[0]
        for _ in range(100):
            op = self._ops.get(name)
            tensors = [each for each in op.inputs if self._constant(each) is None] if op else []
            known = op is not None and op.kind in (*_PASSING, "Sub", "Mul", "RealDiv", "Add", "AddV2", "Reshape")
            if op is not None and (op.kind in _FIRST_ON_ITS_OWN or op.kind.startswith("FusedBatchNorm")):
                tensors, known = op.inputs[:1], True
            if not known or len(tensors) != 1 or self._variable(tensors[0]) is not None:
                return name
            name = tensors[0]
        return name

    def _shape_of_images(self, name: str) -> Shape | None:
        for _ in range(100):
            op = self._ops.get(name.partition(":")[0])
            if op is None:
                return None
            sizes = self._stated_shape(op)
            if len(sizes) > 1:
                return tuple(sizes[1:])
            if not op.inputs:
                return None
            name = op.inputs[0]
        return None

    def _stated_shape(self, op: _Op) -> list[int]:
        """The shape that the graph says the operation's output has; -1 for what is open, empty where it says nothing."""
        for attribute, is_list in (("_output_shapes", True), ("shape", False)):
            if attribute in op.attributes:
                value = op.attributes[attribute]
                shapes = value.message(1).messages(7) if is_list else value.messages(7)
                sizes = next(([size.signed(1) for size in each.messages(2)] for each in shapes), [])
                if sizes:
                    return sizes
        return []

    def _number_of_images(self, name: str) -> int | None:
        sizes = self._stated_shape(self._ops[name.partition(":")[0]]) if name.partition(":")[0] in self._ops else []
        return sizes[0] if len(sizes) > 1 and sizes[0] > 0 else None

    def _sample_shape(self, name: str) -> Shape | None:
        return self._shape_or_none(name) if name in self._layer_of and name not in self._folded else None

    def _needed(self, weighty: Iterable[_Op]) -> set[str]:
        """The operations that a layer with weights depends on."""
        needed: set[str] = set()
        waiting = [op.name for op in weighty]
        while waiting:
            name = waiting.pop().partition(":")[0]
            if name in needed or name not in self._ops:
                continue
            needed.add(name)
            waiting += self._ops[name].inputs
        return needed

    def _ordered(self) -> list[_Op]:
        """In topological order, as far as there is one."""
        done: set[str] = set()
        ordered: list[_Op] = []
        for start in self._ops.values():
            stack = [(start, iter(start.inputs))]
            seen = {start.name}
            while stack:
                op, inputs = stack[-1]
                following = next((self._ops.get(name.partition(":")[0]) for name in inputs), op)
                if following is op:
                    stack.pop()
                    if op.name not in done:
                        done.add(op.name)
                        ordered.append(op)
                elif following is not None and following.name not in done and following.name not in seen:
                    seen.add(following.name)
                    stack.append((following, iter(following.inputs)))
        return ordered

    # ---------------------------------------------------------------------------------------------- translating

    def _translate(self, op: _Op, is_needed: bool) -> None:
        tensors = [name for name in op.inputs if name in self._layer_of]
        if not tensors or op.kind in ("Shape", "Size", "Rank"):
            return
        if op.kind in _PASSING:
            self._layer_of[op.name] = self._layer_of[tensors[0]]
            self._folded |= {op.name} if tensors[0] in self._folded else set()
            return
        if op.kind == "BiasAdd" and self._merge_bias(op):
            return
        dropped = self._dropped(op)
        slope = self._slope(op)
        if slope is not None:
            before, variable = slope
            channels = self._shape_or_none(before)
            parameter = Parameter("slope", variable.entry.shape, ("unit",))
            operation = network.SlopedActivation()
            self._add(op, op.name.rpartition("/")[0] + "/prelu", "activation", [before], operation, channels,
                      {"slope": (parameter, variable)})  # fmt: skip
            return
        if dropped is not None:
            self._add(op, op.name, "dropout", [dropped], network.Activation("linear"), self._shape_or_none(dropped))
            return
        if op.kind.startswith("FusedBatchNorm") and self._batch_normalisation(op):
            return
        others = [name for name in op.inputs if name not in self._layer_of]
        unknown = any(self._constant(name) is None and self._variable(name) is None for name in others)
        if unknown and op.kind != "Reshape":  # which takes what is computed from shapes
            self._leave_out(op, tensors, f"is a {op.kind} of what is not known here", is_needed)
            return
        read = _READ.get(op.kind)
        try:
            if read is None:
                raise Unsupported(f"is a {op.kind}, which is not supported")
            shapes = [self._builder.shape(self._layer_of[name]) for name in tensors]
            if op.kind == "Reshape" and self._is_folding(op, tensors[0], shapes[0]):
                self._layer_of[op.name] = self._layer_of[tensors[0]]
                return
            if self._folded & set(tensors) and op.kind not in _PLACE_BY_PLACE:
                raise Unsupported(f"is a {op.kind} of the places of a map, each by itself, which is not supported")
            found = read(self, op, tensors, shapes)
        except Unsupported as error:
            is_behind = read is not None and any(self._problem(name) for name in tensors)
            self._leave_out(op, tensors, str(error), is_needed or is_behind)
            return
        self._add(op, found.name or op.name, found.kind, tensors, found.operation, found.shape, found.parameters)
        if self._folded & set(tensors):
            self._folded.add(op.name)
        if self._ends.is_one(op.name):
            self._kept.add(self._layer_of[op.name])

    def _leave_out(self, op: _Op, tensors: Sequence[str], reason: str, is_needed: bool) -> None:
        """Shows the operation with its problem where a layer needs it, or where it leads to an end of the network; what
        leads to losses and logs is nobody's concern."""
        is_behind = any(self._problem(name) for name in tensors)
        leads_to_end = not is_needed and not is_behind and self._ends.leads_to_one(op.name)
        if is_needed or leads_to_end:
            self._refuse(op, tensors, reason)
        if leads_to_end:
            self._kept.add(self._layer_of[op.name])

    def _is_folding(self, op: _Op, tensor: str, shape: Shape) -> bool:
        """Whether the reshape puts the places of a map among the images, or takes them back from there."""
        wanted = self._sizes.of(op.inputs[1])
        if tensor in self._folded:
            if isinstance(wanted, list) and tuple(wanted[1:]) == shape:
                return True  # as it was before
            if isinstance(wanted, list) and tuple(wanted[1:]) == shape[-1:]:
                self._folded.add(op.name)
                return True
            raise Unsupported("makes another map of the places of one, which is not supported")
        if sample_shape(wanted, shape, self._batch) is not None:
            return False
        self._folded.add(op.name)
        return True

    def _batch_normalisation(self, op: _Op) -> bool:
        """Two layers: with the moving mean and variance, whichever the graph takes, for training takes a batch's
        own; then scale and shift."""
        scale, shift = (self._variable(name) for name in op.inputs[1:3]) if len(op.inputs) == 5 else (None, None)
        if scale is None and shift is None:
            return False
        scope = (scale or shift).layer  # type: ignore[union-attr]
        own = {each.name: each for each in self._variables.values() if each.layer == scope}
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

    def _refuse(self, op: _Op, tensors: Sequence[str], reason: str) -> None:
        kind = {"Conv2D": "convolution", "DepthwiseConv2dNative": "depthwise convolution", "MatMul": "dense"}.get(
            op.kind, re.sub("([a-z0-9])([A-Z])", r"\1 \2", op.kind).lower()
        )
        parameters = {}
        for each in op.inputs:
            variable = self._variable(each)
            if variable is not None:
                axes = axes_of("", variable.name, len(variable.entry.shape))
                parameters[variable.name] = (Parameter(variable.name, variable.entry.shape, axes), variable)
        held = next((variable for _, variable in parameters.values()), None)
        name = self._builder.free_name(held.layer if held and self._is_layer(op) else op.name)
        problem = f"{name} cannot be evaluated: it {reason}."
        self._add(op, name, kind, tensors, None, None, parameters, problem)

    def _add(
        self,
        op: _Op,
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

    def _merge_bias(self, op: _Op) -> bool:
        """Gives a bias to the layer before it, where nothing else takes what that makes without."""
        variable = self._variable(op.inputs[1]) if len(op.inputs) == 2 else None
        name = self._layer_of.get(op.inputs[0])
        before = self._ops.get(op.inputs[0])
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

    def _dropped(self, op: _Op) -> str | None:
        """What a dropout takes: ``x / keep * floor(keep + random)``, or a selection by such a mask."""
        if op.kind not in ("Mul", "SelectV2") or len(op.inputs) < 2:
            return None
        masks = [name for name in op.inputs if self._is_random(name)]
        scaled = [name for name in op.inputs if name in self._layer_of or self._feeds(name)]
        if not masks or not scaled:
            return None
        op_before = self._ops.get(scaled[0])
        if op_before is not None and op_before.kind in ("RealDiv", "Mul", "Div"):
            inner = next((name for name in op_before.inputs if name in self._layer_of), None)
            return inner or (scaled[0] if scaled[0] in self._layer_of else None)
        return scaled[0] if scaled[0] in self._layer_of else None

    def _feeds(self, name: str) -> bool:
        op = self._ops.get(name)
        return op is not None and op.kind in ("RealDiv", "Div", "Mul") and any(i in self._layer_of for i in op.inputs)

    def _is_random(self, name: str) -> bool:
        waiting, seen = [name], 0
        while waiting and seen < 20:
            op = self._ops.get(waiting.pop().partition(":")[0])
            seen += 1
            if op is None or op.name in self._layer_of:
                continue
            if op.kind == "RandomUniform":
                return True
            if op.kind in ("Floor", "Add", "AddV2", "Sub", "Mul", "Cast", "GreaterEqual", "Identity"):
                waiting += op.inputs
        return False

    def _slope(self, op: _Op) -> tuple[str, Variable] | None:
        """What a leaky activation with a learnt slope takes, written as TensorFlow 1 has to:
        ``relu(x) + slope * (x - |x|) / 2``."""
        if op.kind not in ("Add", "AddV2") or len(op.inputs) != 2:
            return None
        relu, half = (self._ops.get(name) for name in op.inputs)
        if relu is None or half is None or relu.kind != "Relu" or half.kind != "Mul":
            return None
        factors, variables = [half], []
        x = relu.inputs[0]
        constant, is_difference = 1.0, False
        for factor in factors:
            for name in factor.inputs:
                inner, number, variable = self._ops.get(name), self._constant(name), self._variable(name)
                if variable is not None:
                    variables.append(variable)
                elif number is not None and number.size == 1:
                    constant *= float(number.ravel()[0])
                elif inner is not None and inner.kind == "Mul" and len(factors) < 4:
                    factors.append(inner)
                elif inner is not None and inner.kind == "Sub" and inner.inputs[0] == x:
                    size = self._ops.get(inner.inputs[1])
                    is_difference = size is not None and size.kind == "Abs" and size.inputs == [x]
                else:
                    return None
        if len(variables) != 1 or len(variables[0].entry.shape) != 1 or not is_difference or constant != 0.5:
            return None
        if x not in self._layer_of:
            return None
        steps = [relu.name, *(factor.name for factor in factors)]
        steps += [name for factor in factors for name in factor.inputs]
        steps += [name for step in list(steps) if step in self._ops for name in self._ops[step].inputs if name != x]
        self._superseded |= {self._layer_of[step] for step in steps if step in self._layer_of} - {self._layer_of[x]}
        return x, variables[0]

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


def _tensor(message: Message) -> np.ndarray | None:
    """A ``TensorProto`` of numbers, at most a few thousand; None for anything else."""
    number = message.number(1)
    dtype = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}.get(number)
    sizes = [size.signed(1) for size in message.message(2).messages(2)]
    if dtype is None or min(sizes, default=1) < 0 or math.prod(sizes) > 4096:
        return None
    content = message.data(4)
    if content:
        values = np.frombuffer(content, dtype) if len(content) % np.dtype(dtype).itemsize == 0 else np.zeros(0)
    elif number in (1, 2):
        values = message.reals(5 if number == 1 else 6, 4 if number == 1 else 8)
    else:
        values = np.array(message.numbers(7 if number == 3 else 10), np.float64)
    if values.size == 1:
        values = np.full(math.prod(sizes), values[0])
    return values.astype(np.float64).reshape(sizes) if values.size == math.prod(sizes) else None


def _hyperparameters(op: _Op) -> dict[str, Any]:
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


# ------------------------------------------------------------------------------------- what operations compute


@dataclass(frozen=True)
class _Found:
    kind: str
    operation: Operation
    shape: Shape
    parameters: Mapping[str, tuple[Parameter, Variable]] = field(default_factory=dict)
    name: str = ""


def _layer_name(op: _Op, variable: Variable) -> str:
    return variable.layer if variable.layer and op.kind != "Const" else op.name


def _check_format(op: _Op) -> None:
    if op.text("data_format") not in ("", "NHWC"):
        raise Unsupported(f"works on {op.text('data_format')[:8]} tensors, which is not supported")


def _window(op: _Op, size: Sequence[int], shape: Shape) -> Window:
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


def _convolution(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    variable = translation._variable(op.inputs[1])
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
    return _Found(
        "convolution" if groups == 1 or groups != shape[2] else "depthwise convolution",
        network.Convolution((shape,), (window,), (groups,)),
        (*window.outputs, units),
        {parameter.name: (parameter, variable)},
        _layer_name(op, variable),
    )


def _dense(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    variable = translation._variable(op.inputs[1])
    transposed = any(op.attributes[name].number(5) for name in ("transpose_a", "transpose_b") if name in op.attributes)
    if variable is None or len(tensors) != 1 or transposed or len(variable.entry.shape) != 2:
        raise Unsupported("is a matrix product that is no dense layer")
    if variable.entry.shape[0] != math.prod(shapes[0]):
        raise Unsupported(f"has weights of the shape {variable.entry.shape} for {math.prod(shapes[0])} inputs")
    parameter = Parameter(variable.name, variable.entry.shape, ("channel", "unit"))
    held = {parameter.name: (parameter, variable)}
    return _Found("dense", network.Dense(), (variable.entry.shape[1],), held, _layer_name(op, variable))


def _pooling(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    shape, size = network.as_map(shapes[0]), op.numbers("ksize")
    if len(size) != 4:
        raise Unsupported("has no window")
    window = _window(op, size[1:3], shape)
    largest = op.kind == "MaxPool"
    kind = "max pooling" if largest else "average pooling"
    return _Found(kind, network.Pooling(shape, window, largest), (*window.outputs, shape[2]))


def _function(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    return _Found("activation", network.Activation(_ACTIVATIONS[op.kind]), shapes[0])


def _bounded(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    return _Found("activation", network.Activation("bounded relu", (6.0,)), shapes[0])


def _softmax(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    return _Found("activation", network.Softmax(len(shapes[0]) - 1), shapes[0])


def _reshape(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
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
        shape = sample_shape(translation._sizes.of(op.inputs[1]), shape, translation._batch) or ()
    if math.prod(shape) != math.prod(shapes[0]) or min(shape, default=0) < 1:
        raise Unsupported(f"makes the shape {shape} of {shapes[0]}, which is not supported")
    if shape == shapes[0]:
        return _Found("reshape", network.Activation("linear"), shape)
    kind = "flatten" if len(shape) == 1 and math.prod(shapes[0][:-1]) > 1 else "reshape"
    return _Found(kind, network.Reshape(shape, as_stored=True), shape)


def _arithmetic(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    if len(op.inputs) != 2:
        raise Unsupported(f"is a {op.kind} of {len(op.inputs)} inputs")
    if len(tensors) == 2:
        if shapes[0] != shapes[1] or op.kind in ("RealDiv", "Div") or tensors[0] == tensors[1]:
            raise Unsupported(f"is a {op.kind} of tensors of the shapes {shapes[0]} and {shapes[1]}")
        if op.kind == "Mul":
            return _Found("multiply", network.Combination("product"), shapes[0])
        signs = (1.0, -1.0) if op.kind == "Sub" else ()
        return _Found("add", network.Combination("sum", signs), shapes[0])
    other = next(name for name in op.inputs if name not in tensors)
    is_first, number, variable = op.inputs[0] == tensors[0], translation._constant(other), translation._variable(other)
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
        return _Found("preprocessing", network.Activation("linear", (factor, shift)), shapes[0])
    if number is not None and number.size == shapes[0][-1] == number.shape[-1]:
        return _Found("preprocessing", _by_channel(op.kind, number.ravel(), is_first), shapes[0])
    if (
        variable is not None
        and _without_ones(variable.entry.shape) == shapes[0][-1:]
        and op.kind in ("Add", "AddV2", "BiasAdd", "Mul")
    ):
        name = "scale" if op.kind == "Mul" else "bias"
        held = {name: (Parameter(name, shapes[0][-1:], ("unit",)), variable)}
        return _Found("normalisation" if op.kind == "Mul" else "bias", network.ChannelScale(), shapes[0], held)
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


def _normalisation(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    shape, radius = (
        network.as_map(shapes[0]),
        op.attributes["depth_radius"].number(3) if "depth_radius" in op.attributes else 5,
    )
    if not 1 <= radius <= 256:
        raise Unsupported(f"normalises over {radius} neighbours")
    rule = network.LocalNormalisation(
        shape, True, 2 * radius + 1, op.real("alpha", 1.0), op.real("beta", 0.5), op.real("bias", 1.0)
    )
    return _Found("normalisation", rule, shape)


def _mean(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    axes = translation._constant(op.inputs[1]) if len(op.inputs) == 2 else None
    shape = network.as_map(shapes[0])
    if axes is None or sorted(int(axis) for axis in axes.ravel()) not in ([1, 2], [-3, -2]):
        raise Unsupported("is a mean over other axes than rows and columns")
    window = Window(shape[:2], shape[:2], (0, 0), (1, 1))
    return _Found("global pooling", network.Pooling(shape, window, False), (1, 1, shape[2]))


def _concatenation(translation: _Translation, op: _Op, tensors: Sequence[str], shapes: Sequence[Shape]) -> _Found:
    axis = translation._constant(op.inputs[-1])
    place = None if axis is None or axis.size != 1 else int(axis.ravel()[0])
    rank = len(shapes[0])
    if place not in (rank, -1) or len({(len(s), *s[:-1]) for s in shapes}) != 1 or len(shapes) != len(op.inputs) - 1:
        raise Unsupported("joins its inputs along another axis than the channels'")
    joined = (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
    return _Found("concatenate", network.Concatenation(rank - 1), joined)


_Read = Callable[[_Translation, _Op, Sequence[str], Sequence[Shape]], _Found]
_READ: dict[str, _Read] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "MatMul": _dense,
    "MaxPool": _pooling,
    "AvgPool": _pooling,
    **dict.fromkeys(_ACTIVATIONS, _function),
    "Relu6": _bounded,
    "Softmax": _softmax,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "LRN": _normalisation,
    "Mean": _mean,
    "ConcatV2": _concatenation,
    **dict.fromkeys(("Add", "AddV2", "BiasAdd", "Sub", "Mul", "RealDiv"), _arithmetic),
}
