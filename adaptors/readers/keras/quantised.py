"""Quantised layers of Keras 3: which kernels are stored as whole numbers with a scale, and what they stand for.

A ``Dense`` or ``Embedding`` layer of int8 or int4 stores its kernel as whole numbers, and beside it a scale for each unit
(int4 besides: zeros and a scale for each group of inputs). Its kernel is then ``whole / scale``, with groups ``(whole - zero)
* scale``. Two values of int4 lie in one byte, the first in its lower half. Other modes and classes are refused by name.
Source: ``variable_serialization_spec`` and ``_int8_call``, ``_int4_call`` of ``keras/src/layers/core/dense.py`` and
``embedding.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from mloscope.adaptors.interface import Layer, Unreadable
from mloscope.adaptors.readers.keras.files import read
from mloscope.adaptors.readers.keras.legacy_arrays import Stored

if TYPE_CHECKING:
    from mloscope.adaptors.readers.keras.architecture import Node

MAIN = {"Dense": "kernel", "Embedding": "embeddings"}
_COMPANIONS = {
    "Dense": ("kernel_scale", "kernel_zero", "g_idx"),
    "Embedding": ("embeddings_scale", "embeddings_zero", "g_idx"),
}
_KNOWN_MODES = ("int8", "int4")


def mode_of(config: Mapping[str, Any]) -> str:
    """``int8``, ``int4``, ``float8``, ``gptq`` ... as a layer's configuration says; empty where it is not quantised."""
    policy = config.get("dtype")
    if isinstance(policy, Mapping) and isinstance(policy.get("config"), Mapping):
        policy = policy["config"].get("mode") or policy["config"].get("name")
    if not isinstance(policy, str):
        return ""
    mode = policy.partition("_from_")[0].partition("/")[0]
    return mode if mode in (*_KNOWN_MODES, "float8", "gptq", "awq") else ""


def refusal(layers: Sequence[tuple[str, str, Mapping[str, Any]]]) -> str | None:
    """Which of the layers (name, class, configuration) is quantised in a way that cannot be undone here, as a sentence's
    end; None where there is none."""
    for name, source_class, config in layers:
        mode = mode_of(config)
        if mode and (mode not in _KNOWN_MODES or source_class not in MAIN):
            return f"its layer {name} ({source_class}) is quantised to {mode}, which is not read"
        if mode and config.get("lora_rank"):
            return f"its layer {name} ({source_class}) is quantised to {mode} with LoRA, which is not read"
    return None


def stored_names(source_class: str, names: Sequence[str], kinds: Sequence[str]) -> tuple[str, ...]:
    """The names of a layer's stored variables, given those that it has when it is not quantised, and the kind of type of
    each stored one (NumPy's letter): where the first is of whole numbers, what follows the last is its scale."""
    more = len(kinds) - len(names)
    if source_class not in MAIN or kinds[:1] not in (["i"], ["u"]) or not 0 < more <= 3:
        return tuple(names)
    scale, zero, groups = _COMPANIONS[source_class]
    return (*names, *{1: (scale,), 2: (scale, groups), 3: (scale, zero, groups)}[more])


def own_parameters(
    source_class: str, shapes: Mapping[str, tuple[int, ...]], expected: Mapping[str, Any] | None = None
) -> dict[str, tuple[int, ...]]:
    """The layer's parameters with the shapes that they have when the scale is applied, given those that are stored, and
    those that the network implies where that is known."""
    main, companions = MAIN.get(source_class, ""), _COMPANIONS.get(source_class, ())
    if main not in shapes or companions[0] not in shapes:
        return dict(shapes)
    left = {name: shape for name, shape in shapes.items() if name not in companions}
    known = (expected or {}).get(main)
    left[main] = (
        tuple(known) if known and _packed_axis(shapes[main], known) is not None else _whole_shape(source_class, shapes)
    )
    return left


def _whole_shape(source_class: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    scale, _, groups = _COMPANIONS[source_class]
    packed = shapes[MAIN[source_class]]
    if len(packed) != 2:
        return packed
    rows, columns = packed
    grouped = shapes[groups][-1] if shapes.get(groups) else None
    if source_class == "Dense":
        return (rows if grouped is None else grouped), (shapes[scale][-1] if shapes[scale] else columns)
    return rows, (columns if grouped is None else grouped)


def _packed_axis(stored: tuple[int, ...], whole: tuple[int, ...]) -> int | None:
    """Along which axis two whole numbers lie in a byte; -1: along none; None: it is not this array."""
    if tuple(stored) == tuple(whole):
        return -1
    for axis in (1, 0):
        halved = list(whole)
        if axis < len(whole):
            halved[axis] = (whole[axis] + 1) // 2
            if tuple(stored) == tuple(halved):
                return axis
    return None


def scaled(source_class: str, arrays: Mapping[str, np.ndarray], expected: tuple[int, ...]) -> np.ndarray:
    """The kernel that the stored arrays stand for, float32 in the expected shape. Raises ValueError where they do not fit
    together."""
    main, (scale_name, zero_name, group_name) = MAIN[source_class], _COMPANIONS[source_class]
    whole = _unpacked(arrays[main], expected).astype(np.float32)
    scale = np.asarray(arrays[scale_name], np.float32)
    if group_name in arrays and zero_name in arrays:
        groups = np.asarray(arrays[group_name]).astype(np.int64)
        axis = 0 if source_class == "Dense" else -1
        if groups.min(initial=0) < 0 or groups.max(initial=0) >= scale.shape[axis]:
            raise ValueError("its groups and its scales do not fit together")
        zero = np.asarray(arrays[zero_name], np.float32)
        result = (whole - np.take(zero, groups, axis)) * np.take(scale, groups, axis)
    else:
        per_unit = scale.reshape(-1)[None, :] if source_class == "Dense" else scale.reshape(-1)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            result = whole / per_unit
    if result.shape != tuple(expected):
        raise ValueError(f"its scale has the shape {scale.shape}")
    return result.astype(np.float32)


def _unpacked(packed: np.ndarray, expected: tuple[int, ...]) -> np.ndarray:
    """Whole numbers one each: as they are, or of two in a byte along the last axis (along the first until Keras 3.12)."""
    axis = _packed_axis(packed.shape, expected)
    if axis is None:
        raise ValueError(f"its whole numbers have the shape {packed.shape} where {tuple(expected)} is expected")
    if axis == -1:
        return packed
    both = packed.view(np.uint8)
    shape = list(packed.shape)
    shape[axis] *= 2
    halves = np.stack([both & 15, both >> 4], axis + 1).reshape(shape)
    return np.take((halves.astype(np.int16) ^ 8) - 8, range(expected[axis]), axis)


def read_parameters(
    file: h5py.File, node: Node, datasets: Mapping[str, Stored], layer: Layer, path: Path
) -> dict[str, np.ndarray]:
    """The layer's arrays by parameter name, scales applied, out of the ``datasets`` that ``node`` has in the file. Raises
    Unreadable where one is missing or has another shape, or is of whole numbers whose scale is not there."""
    expected = {parameter.name: parameter.shape for parameter in layer.parameters}
    shapes = own_parameters(
        node.source_class, {name: dataset.shape or () for name, dataset in datasets.items()}, expected
    )
    for name, shape in expected.items():
        if shapes.get(name) != shape:
            held = "nothing" if name not in shapes else f"the shape {shapes[name]}"
            raise Unreadable(f"{path} has {held} for {layer.name}/{name} where the run's network has {shape}.")
    main = MAIN.get(node.source_class, "")
    found = {name: read(file, datasets[name], path) for name in expected if name != main}
    for name, values in found.items():
        if values.dtype.kind in "iu" and values.dtype.itemsize == 1:  # of a layer within this one, an attention's
            raise Unreadable(
                f"{path}: {layer.name}/{name} is stored as {values.dtype}, quantised in a way that is not known."
            )
    if main in expected:
        found[main] = _main(file, node, datasets, expected[main], f"{path}: {layer.name}/{main}", path)
    return {name: found[name] for name in expected}


def _main(
    file: h5py.File, node: Node, datasets: Mapping[str, Stored], shape: tuple[int, ...], what: str, path: Path
) -> np.ndarray:
    main, companions = MAIN[node.source_class], _COMPANIONS[node.source_class]
    values = read(file, datasets[main], path)
    if values.dtype.kind not in "iu":
        return values
    if companions[0] not in datasets:
        raise Unreadable(f"{what} is stored as {values.dtype} and the scale that makes weights of it is not known.")
    beside = {name: read(file, datasets[name], path) for name in companions if name in datasets}
    try:
        return scaled(node.source_class, {main: values, **beside}, shape)
    except (ValueError, LookupError) as error:
        raise Unreadable(f"{what} is quantised in a way that is not known: {error}.") from error


def unquantised(value: Any) -> Any:
    """A configuration with the types that its quantised layers had before, to build a network for scaled weights."""
    if isinstance(value, Mapping):
        settings = value.get("config")
        if isinstance(settings, Mapping) and mode_of({"dtype": value}) and "source_name" in settings:
            return settings["source_name"]
        return {
            key: item.partition("_from_")[2]
            if key == "dtype" and isinstance(item, str) and mode_of({"dtype": item})
            else unquantised(item)
            for key, item in value.items()
            if key != "quantization_config"
        }
    return [unquantised(item) for item in value] if isinstance(value, list | tuple) else value
