"""The operations of a TensorFlow 1 graph, and what can be asked of them before anything is translated: which tensor is a
variable or a constant, where the images come in, what depends on what.

Sources: ``tensorflow/core/framework/node_def.proto``, ``attr_value.proto``, ``tensor.proto``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mloscope.adaptors.files.protobuf_wire import Message
from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.networks.network import Shape
from mloscope.adaptors.readers.tensorflow.variables import Variable

PASSING = ("Identity", "StopGradient", "CheckNumerics", "PlaceholderWithDefault", "Snapshot", "ReadVariableOp", "Cast")
"""Operations that give what they take."""
ACTIVATIONS = {
    "Relu": "relu",
    "Sigmoid": "logistic",
    "Tanh": "tanh",
    "Abs": "abs",
    "Square": "square",
    "Sqrt": "sqrt",
    "Softplus": "soft relu",
}
NOT_THE_NETWORKS = re.compile(r"(^|/)gradients(_\d+)?/")
_VARIABLE = ("VariableV2", "Variable", "VarHandleOp")
_FIRST_ON_ITS_OWN = (*ACTIVATIONS, "Relu6", "MaxPool", "AvgPool", "LRN", "Squeeze")
"""What may come before the first layer with weights, too."""
_MOST_OPERATIONS = 200_000


@dataclass
class Op:
    """One operation."""

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


class Graph:
    """Operations by name, and the checkpoint's variables."""

    def __init__(self, ops: Mapping[str, Op], variables: Sequence[Variable]) -> None:
        self.ops = ops
        self.variables = {variable.key: variable for variable in variables if not variable.slot}

    @classmethod
    def read(cls, message: Message, where: str, variables: Sequence[Variable]) -> Graph:
        """From a ``GraphDef``."""
        ops = {}
        for number, node in enumerate(message.messages(1)):
            if number >= _MOST_OPERATIONS:
                raise Unreadable(f"{where} has more than {_MOST_OPERATIONS:,} operations.")
            inputs = [re.sub(r":0$", "", name) for name in node.texts(3) if not name.startswith("^")]
            attributes = {entry.text(1): entry.message(2) for entry in node.messages(5)}
            ops[node.text(1)] = Op(node.text(1), node.text(2), inputs, attributes)
        return cls(ops, variables)

    def variable(self, name: str) -> Variable | None:
        """The checkpoint's variable that the tensor is, if it is one."""
        for _ in range(8):
            op = self.ops.get(name)
            if op is None:
                return None
            if op.kind in _VARIABLE:
                return self.variables.get(op.text("shared_name") or op.name) or self.variables.get(op.name)
            if op.kind not in PASSING or not op.inputs:
                return None
            name = op.inputs[0]
        return None

    def constant(self, name: str) -> np.ndarray | None:
        """float64 of a small constant; None where the tensor is none."""
        op = self.ops.get(name)
        for _ in range(8):
            if op is None or op.kind not in PASSING or not op.inputs:
                break
            op = self.ops.get(op.inputs[0])
        if op is None or op.kind != "Const" or "value" not in op.attributes:
            return None
        return tensor_of(op.attributes["value"].message(8))

    def is_layer(self, op: Op) -> bool:
        weights = op.kind in ("Conv2D", "DepthwiseConv2dNative", "MatMul") and len(op.inputs) == 2
        return weights and not NOT_THE_NETWORKS.search(op.name) and self.variable(op.inputs[1]) is not None

    def entry(self, first: Op) -> str:
        """The tensor with the images: as far before the first layer as every step is known and takes one
        tensor."""
        name = first.inputs[0]
        for _ in range(100):
            op = self.ops.get(name)
            tensors = [each for each in op.inputs if self.constant(each) is None] if op else []
            known = op is not None and op.kind in (*PASSING, "Sub", "Mul", "RealDiv", "Add", "AddV2", "Reshape")
            if op is not None and (op.kind in _FIRST_ON_ITS_OWN or op.kind.startswith("FusedBatchNorm")):
                tensors, known = op.inputs[:1], True
            if not known or len(tensors) != 1 or self.variable(tensors[0]) is not None:
                return name
            name = tensors[0]
        return name

    def shape_of_images(self, name: str) -> Shape | None:
        for _ in range(100):
            op = self.ops.get(name.partition(":")[0])
            if op is None:
                return None
            sizes = self.stated_shape(op)
            if len(sizes) > 1:
                return tuple(sizes[1:])
            if not op.inputs:
                return None
            name = op.inputs[0]
        return None

    def stated_shape(self, op: Op) -> list[int]:
        """The shape that the graph says the operation's output has; -1 for what is open, empty where it says nothing."""
        for attribute, is_list in (("_output_shapes", True), ("shape", False)):
            if attribute in op.attributes:
                value = op.attributes[attribute]
                shapes = value.message(1).messages(7) if is_list else value.messages(7)
                sizes = next(([size.signed(1) for size in each.messages(2)] for each in shapes), [])
                if sizes:
                    return sizes
        return []

    def number_of_images(self, name: str) -> int | None:
        sizes = self.stated_shape(self.ops[name.partition(":")[0]]) if name.partition(":")[0] in self.ops else []
        return sizes[0] if len(sizes) > 1 and sizes[0] > 0 else None

    def needed(self, weighty: Iterable[Op]) -> set[str]:
        """The operations that a layer with weights depends on."""
        needed: set[str] = set()
        waiting = [op.name for op in weighty]
        while waiting:
            name = waiting.pop().partition(":")[0]
            if name in needed or name not in self.ops:
                continue
            needed.add(name)
            waiting += self.ops[name].inputs
        return needed

    def ordered(self) -> list[Op]:
        """In topological order, as far as there is one."""
        done: set[str] = set()
        ordered: list[Op] = []
        for start in self.ops.values():
            stack = [(start, iter(start.inputs))]
            seen = {start.name}
            while stack:
                op, inputs = stack[-1]
                following = next((self.ops.get(name.partition(":")[0]) for name in inputs), op)
                if following is op:
                    stack.pop()
                    if op.name not in done:
                        done.add(op.name)
                        ordered.append(op)
                elif following is not None and following.name not in done and following.name not in seen:
                    seen.add(following.name)
                    stack.append((following, iter(following.inputs)))
        return ordered

    def map_of_vector(self, entry: str, shape: Shape) -> Shape | None:
        known = {entry}
        for op in self.ordered():
            if op.inputs and op.inputs[0] in known:
                sizes = self.constant(op.inputs[1]) if op.kind == "Reshape" and len(op.inputs) == 2 else None
                if sizes is not None and sizes.shape == (4,):
                    found = tuple(int(size) for size in sizes[1:])
                    return found if min(found) > 0 and math.prod(found) == shape[0] else None
                if op.kind in (*PASSING, "Sub", "Mul", "RealDiv", "Add", "AddV2"):
                    known.add(op.name)
        return None


def tensor_of(message: Message) -> np.ndarray | None:
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
