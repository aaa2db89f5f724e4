"""What a TensorFlow 1 graph writes as several operations and is one layer: dropout, an activation with a learnt slope.

``known`` are the tensors that layers give already.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from mloscope.adaptors.readers.tensorflow.graph.graph import Graph, Op
from mloscope.adaptors.readers.tensorflow.variables import Variable


@dataclass(frozen=True)
class Slope:
    """An activation with a learnt slope."""

    takes: str
    variable: Variable
    steps: frozenset[str]
    """The tensors that are steps on its way."""


def dropped(graph: Graph, known: Container[str], op: Op) -> str | None:
    """What a dropout takes: ``x / keep * floor(keep + random)``, or a selection by such a mask."""
    if op.kind not in ("Mul", "SelectV2") or len(op.inputs) < 2:
        return None
    masks = [name for name in op.inputs if _is_random(graph, known, name)]
    scaled = [name for name in op.inputs if name in known or _feeds(graph, known, name)]
    if not masks or not scaled:
        return None
    op_before = graph.ops.get(scaled[0])
    if op_before is not None and op_before.kind in ("RealDiv", "Mul", "Div"):
        inner = next((name for name in op_before.inputs if name in known), None)
        return inner or (scaled[0] if scaled[0] in known else None)
    return scaled[0] if scaled[0] in known else None


def _feeds(graph: Graph, known: Container[str], name: str) -> bool:
    op = graph.ops.get(name)
    return op is not None and op.kind in ("RealDiv", "Div", "Mul") and any(i in known for i in op.inputs)


def _is_random(graph: Graph, known: Container[str], name: str) -> bool:
    waiting, seen = [name], 0
    while waiting and seen < 20:
        op = graph.ops.get(waiting.pop().partition(":")[0])
        seen += 1
        if op is None or op.name in known:
            continue
        if op.kind == "RandomUniform":
            return True
        if op.kind in ("Floor", "Add", "AddV2", "Sub", "Mul", "Cast", "GreaterEqual", "Identity"):
            waiting += op.inputs
    return False


def slope(graph: Graph, known: Container[str], op: Op) -> Slope | None:
    """What a leaky activation with a learnt slope takes, written as TensorFlow 1 has to:
    ``relu(x) + slope * (x - |x|) / 2``."""
    if op.kind not in ("Add", "AddV2") or len(op.inputs) != 2:
        return None
    relu, half = (graph.ops.get(name) for name in op.inputs)
    if relu is None or half is None or relu.kind != "Relu" or half.kind != "Mul":
        return None
    factors, variables = [half], []
    x = relu.inputs[0]
    constant, is_difference = 1.0, False
    for factor in factors:
        for name in factor.inputs:
            inner, number, variable = graph.ops.get(name), graph.constant(name), graph.variable(name)
            if variable is not None:
                variables.append(variable)
            elif number is not None and number.size == 1:
                constant *= float(number.ravel()[0])
            elif inner is not None and inner.kind == "Mul" and len(factors) < 4:
                factors.append(inner)
            elif inner is not None and inner.kind == "Sub" and inner.inputs[0] == x:
                size = graph.ops.get(inner.inputs[1])
                is_difference = size is not None and size.kind == "Abs" and size.inputs == [x]
            else:
                return None
    if len(variables) != 1 or len(variables[0].entry.shape) != 1 or not is_difference or constant != 0.5:
        return None
    if x not in known:
        return None
    steps = [relu.name, *(factor.name for factor in factors)]
    steps += [name for factor in factors for name in factor.inputs]
    steps += [name for step in list(steps) if step in graph.ops for name in graph.ops[step].inputs if name != x]
    return Slope(x, variables[0], frozenset(steps) - {x})
