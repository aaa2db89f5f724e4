"""What shapes a TensorFlow 1 graph asks for: the small whole numbers that it computes out of constants and the shapes of
its own tensors, as ``tf.layers.flatten`` or ``tf.nn.softmax`` of a map write them.

Nothing is run. Where a number depends on what is not known beforehand it is None; the number of images is
:data:`BATCH`, whatever it will be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mloscope.adaptors.networks.network import Shape, Unsupported

BATCH = "batch"
Size = int | str | None
"""A whole number, :data:`BATCH`, or None where it is not known."""
_DEEPEST = 40
_SAME = ("Identity", "StopGradient", "Snapshot", "Cast", "PlaceholderWithDefault")


class Sizes:
    """The values of a graph's shape arithmetic. ``ops`` have a kind, inputs and ``whole(attribute)``; ``constant`` gives
    a tensor's constant value, ``shape`` a tensor's sample shape where it is one of the network's."""

    def __init__(
        self,
        ops: Mapping[str, Any],
        constant: Callable[[str], np.ndarray | None],
        shape: Callable[[str], Shape | None],
    ) -> None:
        self._ops, self._constant, self._shape = ops, constant, shape

    def of(self, name: str, depth: int = 0) -> Size | list[Size]:
        """A scalar, or a list of scalars for a vector; None where nothing is known of it."""
        op = self._ops.get(name)
        if op is None or depth > _DEEPEST:
            return None
        number = self._constant(name)
        if number is not None:
            whole = [int(each) if math.isfinite(each) else None for each in number.ravel()]
            return None if number.ndim > 1 else whole if number.ndim else whole[0]
        if op.kind in ("Shape", "Rank") and op.inputs:
            shape = self._shape(op.inputs[0])
            if shape is None:
                return None
            return [BATCH, *shape] if op.kind == "Shape" else len(shape) + 1
        if op.kind in _SAME and op.inputs:
            return self.of(op.inputs[0], depth + 1)
        compute = _COMPUTE.get(op.kind)
        return compute(op, [self.of(each, depth + 1) for each in op.inputs]) if compute else None


def _pack(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    return None if any(isinstance(each, list) for each in values) else list(values)  # type: ignore[arg-type]


def _joined(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    parts = values[1:] if op.kind == "Concat" else values[:-1]
    vectors = [each for each in parts if isinstance(each, list)]
    return [size for each in vectors for size in each] if len(vectors) == len(parts) else None


def _sliced(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    vector, begin, length = values
    if not isinstance(vector, list) or not _is_one(begin) or not _is_one(length):
        return None
    first, count = begin[0], length[0]  # type: ignore[index]
    return vector[first:] if count == -1 else vector[first : first + count]


def _strided(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    vector, *bounds = values
    if not isinstance(vector, list) or len(bounds) != 3 or not all(_is_one(each) for each in bounds):
        return None
    if op.whole("ellipsis_mask") or op.whole("new_axis_mask"):
        return None
    begin, end, stride = (each[0] for each in bounds)  # type: ignore[index]
    first = None if op.whole("begin_mask") else begin
    if op.whole("shrink_axis_mask"):
        place = first or 0
        return vector[place] if -len(vector) <= place < len(vector) else None
    return vector[first : None if op.whole("end_mask") else end : stride] if stride else None


def _is_one(value: Size | list[Size]) -> bool:
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], int)


def _expanded(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    return None if isinstance(values[0], list) else [values[0]]


def _squeezed(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    value = values[0]
    return value[0] if isinstance(value, list) and len(value) == 1 else None


def _reshaped(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    value, wanted = values
    if wanted == [] and isinstance(value, list) and len(value) == 1:
        return value[0]
    vector = value if isinstance(value, list) else [value]
    return vector if isinstance(wanted, list) and len(wanted) == 1 else None


def _gathered(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    vector, place = values[:2]
    is_there = isinstance(vector, list) and isinstance(place, int) and 0 <= place < len(vector)
    return vector[place] if is_there else None  # type: ignore[index]


def _product(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    vector = values[0] if isinstance(values[0], list) else [values[0]]
    found: Size = 1
    for each in vector:
        found = _times(found, each)
    return found


def _times(first: Size, second: Size) -> Size:
    if isinstance(first, int) and isinstance(second, int):
        return first * second
    return second if first == 1 else first if second == 1 else None


def _calculated(op: Any, values: Sequence[Size | list[Size]]) -> Size | list[Size]:
    first, second = (each if isinstance(each, list) else [each] for each in values)
    if len(first) == 1 < len(second):
        first = first * len(second)
    elif len(second) == 1 < len(first):
        second = second * len(first)
    if len(first) != len(second):
        return None
    found = [_times(a, b) if op.kind == "Mul" else _number(op.kind, a, b) for a, b in zip(first, second, strict=True)]
    return found if isinstance(values[0], list) or isinstance(values[1], list) else found[0]


def _number(kind: str, first: Size, second: Size) -> Size:
    if not isinstance(first, int) or not isinstance(second, int):
        return first if kind in ("FloorDiv", "Div") and second == 1 else None
    if kind in ("FloorDiv", "Div"):
        return first // second if second else None
    return {"Sub": first - second, "Maximum": max(first, second), "Minimum": min(first, second)}.get(
        kind, first + second
    )


_COMPUTE: Mapping[str, Callable[[Any, Sequence[Size | list[Size]]], Size | list[Size]]] = {
    "Pack": _pack,
    "ConcatV2": _joined,
    "Concat": _joined,
    "Slice": _sliced,
    "StridedSlice": _strided,
    "ExpandDims": _expanded,
    "Squeeze": _squeezed,
    "Reshape": _reshaped,
    "GatherV2": _gathered,
    "Gather": _gathered,
    "Prod": _product,
    **dict.fromkeys(("Mul", "Add", "AddV2", "Sub", "FloorDiv", "Div", "Maximum", "Minimum"), _calculated),
}


def sample_shape(wanted: Size | list[Size], shape: Shape, batch: int | None) -> Shape | None:
    """The sample shape that a reshape of ``shape`` to ``wanted``, the batch's axis included, makes; ``batch`` is the
    number of images where the graph fixes it. None where places of the map are put among the images, each with all its
    channels. Raises Unsupported for what is not known beforehand, or mixes images."""
    if not isinstance(wanted, list) or not wanted:
        raise Unsupported("makes a shape that is not known beforehand")
    images, rest = wanted[0], wanted[1:]
    is_batch = images == BATCH or (isinstance(images, int) and images > 0 and batch in (None, images))
    open_places = [place for place, size in enumerate(rest) if not isinstance(size, int) or size < 0]
    known = math.prod(size for size in rest if isinstance(size, int) and size >= 0)
    values = math.prod(shape)
    if len(open_places) == 1 and is_batch and known and values % known == 0:
        return tuple(int(size) if isinstance(size, int) and size >= 0 else values // known for size in rest)
    if not open_places and rest and known == values and (is_batch or images in (-1, None)):
        return tuple(int(size) for size in rest)  # type: ignore[arg-type]
    if images in (-1, None) and tuple(rest) == shape[-1:] and known:
        return None
    given = ", ".join("?" if size is None else str(size) for size in wanted)
    raise Unsupported(f"makes the shape ({given}) of images of the shape {shape}, which is not supported")
