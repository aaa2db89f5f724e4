"""Arrays that older Keras stored otherwise: Keras 1's names and kernels, Theano's flipped kernels, recurrent layers gate by
gate, and those of CuDNN. After ``preprocess_weights_for_loading`` of Keras 2's ``saving.py``.

Keras 1 names an array after its layer, ``convolution2d_1_W``, without groups for models within models. With the channels
first its kernels are (unit, channel, row, column). An LSTM has three arrays for each of its gates, in the order input, cell,
forget, output.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from mloscope.adaptors.readers.keras.legacy_config import BACKEND, WRITTEN_AS

_NAMES = {
    **{"W": "kernel", "U": "recurrent_kernel", "b": "bias", "gamma": "gamma", "beta": "beta", "alphas": "alpha"},
    **{"running_mean": "moving_mean", "running_std": "moving_variance"},
    **{each: each for each in ("depthwise_kernel", "pointwise_kernel")},
}
_GATES = {"LSTM": "ifco", "GRU": "zrh", "ConvLSTM2D": "ifco"}
_CONVOLUTIONS = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "ConvLSTM2D")
_GATE = re.compile(r"([WUb])_([a-z])")


@dataclass(frozen=True)
class Converted:
    """What stands for a dataset that is stored otherwise: the parts it is made of, and how. ``keras_files.read`` reads
    it."""

    parts: tuple[Stored, ...]
    shape: tuple[int, ...]
    of: Callable[[Sequence[np.ndarray]], np.ndarray]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.parts[0].dtype)


Stored = h5py.Dataset | Converted


def name_in_keras_1(stored: str, layer: str, source_class: str) -> str | None:
    """What a parameter is called today that Keras 1 calls ``stored``; of a gate ``W_i``; None where it is not the
    layer's."""
    if not stored.startswith(f"{layer}_"):
        return None
    own = stored[len(layer) + 1 :]
    if own == "W" and source_class == "Embedding":
        return "embeddings"
    return own if _GATE.fullmatch(own) else _NAMES.get(own)


def backend_of(file: h5py.File) -> str | None:
    """``theano``, ``tensorflow`` ... as the file says; None where it does not."""
    return _said(file, "backend")


def is_of_keras_1(file: h5py.File) -> bool:
    """Whether Keras 1 wrote the arrays; every later one says its version in such a file."""
    return (_said(file, "keras_version") or "1").startswith(("0.", "1"))


def _said(file: h5py.File, attribute: str) -> str | None:
    value = file.attrs.get(attribute)
    if value is None and "model_weights" in file:
        value = file["model_weights"].attrs.get(attribute)
    if value is None:
        return None
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def converted(
    file: h5py.File, found: Mapping[str, Stored], source_class: str, config: Mapping[str, Any]
) -> dict[str, Stored]:
    """A layer's datasets by name, those that are stored otherwise as :class:`Converted`."""
    inner = wrapped_by(config)
    if inner is not None:
        return _within(file, found, *inner)
    held = _with_whole_gates(found, source_class)
    if str(config.get(WRITTEN_AS)).startswith("CuDNN"):
        return _from_cudnn(held, source_class)
    if not source_class.startswith(("Conv", "SeparableConv")):
        return held
    made: dict[str, Stored] = {}
    old = is_of_keras_1(file)
    theano = (backend_of(file) or config.get(BACKEND)) == "theano" and source_class in _CONVOLUTIONS
    for name, dataset in held.items():
        made[name] = dataset
        if not name.endswith("kernel"):
            continue
        axes = _axes_of_today(source_class, tuple(dataset.shape), name, config, old)
        if axes is not None:
            shape = tuple(dataset.shape[axis] for axis in axes)
            made[name] = _then(made[name], shape, functools.partial(_arranged, axes=axes))
        if theano:
            rank = len(made[name].shape) - 2
            made[name] = _then(made[name], tuple(made[name].shape), functools.partial(_turned, rank=rank))
    return made


def wrapped_by(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Class and settings of the layer that a wrapper holds; None where it is none."""
    inner = config.get("layer")
    settings = inner.get("config") if isinstance(inner, Mapping) else None
    return (str(inner.get("class_name")), settings) if inner and isinstance(settings, Mapping) else None


def _within(
    file: h5py.File, found: Mapping[str, Stored], source_class: str, config: Mapping[str, Any]
) -> dict[str, Stored]:
    """A wrapper's datasets, those of each layer within it converted as that layer's own."""
    sides: dict[str, dict[str, Stored]] = {}
    for name, dataset in found.items():
        around, _, own = name.rpartition("/")
        sides.setdefault(around, {})[own] = dataset
    return {f"{around}/{own}".lstrip("/"): dataset for around, side in sides.items()
            for own, dataset in converted(file, side, source_class, config).items()}  # fmt: skip


def names_of_a_layer(named: str, source_class: str, config: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """The names before those of its arrays that a layer of Keras 1 may have, each with the path that the arrays get and
    their class: its own, or those of the layers within a wrapper."""
    inner = wrapped_by(config)
    if inner is None:
        return {named: ("", source_class)}
    own = str(inner[1].get("name"))
    if source_class != "Bidirectional":
        return {own: ("", inner[0])}
    return {f"{side}_{own}": (f"{side}_{own}/", inner[0]) for side in ("forward", "backward")}


def _then(dataset: Stored, shape: tuple[int, ...], change: Callable[[np.ndarray], np.ndarray]) -> Converted:
    return Converted((dataset,), shape, lambda arrays: change(arrays[0]))


def _arranged(array: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    left = [axis for axis in range(array.ndim) if axis not in axes]
    return np.squeeze(np.transpose(array, [*left, *axes]), axis=tuple(range(len(left))))


def _turned(array: np.ndarray, rank: int) -> np.ndarray:
    """The kernel with its first axes, those of the image, the other way round: Theano convolves, TensorFlow
    correlates."""
    return np.ascontiguousarray(array[(slice(None, None, -1),) * rank])


def _axes_of_today(
    source_class: str, shape: tuple[int, ...], name: str, config: Mapping[str, Any], old: bool
) -> tuple[int, ...] | None:
    """In which order Keras has the axes of a kernel today, given how it is stored; None where that is the same. The shape
    tells; where it fits both ways, ``old``, whether Keras 1 wrote the file."""
    sizes = config.get("kernel_size")
    sizes = tuple(sizes) if isinstance(sizes, list | tuple) else (sizes,)
    units = config.get("filters")
    if source_class == "Conv1D" and len(shape) == 4:  # (length, 1, channel, unit); until 1.1 (unit, channel, length, 1)
        return (0, 2, 3) if shape[:2] == (*sizes, 1) and shape[3] == units else (2, 1, 0)
    rank = len(shape) - 2
    if rank != len(sizes) or rank < 2:
        return None
    is_first = config.get("data_format") == "channels_first"
    if name in ("depthwise_kernel", "pointwise_kernel"):
        return (2, 3, 1, 0) if old and is_first else None
    if source_class == "ConvLSTM2D" and isinstance(units, int):
        units *= len(_GATES[source_class])
    in_front, behind = shape[:rank] == sizes, shape[2:] == sizes
    if source_class == "Conv2DTranspose":
        today, before = in_front and shape[2] == units, in_front and shape[3] == units
        if behind and shape[0] == units and (not today or (old and is_first)):
            return (2, 3, 0, 1)
        return (0, 1, 3, 2) if before and (not today or old) else None
    today, before = in_front and shape[-1] == units, behind and shape[0] == units
    return (*range(2, rank + 2), 1, 0) if before and (not today or (old and is_first)) else None


def _with_whole_gates(found: Mapping[str, Stored], source_class: str) -> dict[str, Stored]:
    """Three arrays of all gates for three of each gate."""
    gates = _GATES.get(source_class, "")
    places = [(letter, gate) for letter in "WUb" for gate in gates]
    if not gates or not all(f"{letter}_{gate}" in found for letter, gate in places):
        return dict(found)
    made: dict[str, Stored] = {}
    for letter in "WUb":
        parts = tuple(found[f"{letter}_{gate}"] for gate in gates)
        shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
        made[_NAMES[letter]] = Converted(parts, shape, lambda arrays: np.concatenate(list(arrays), axis=-1))
    return made


def _from_cudnn(found: Mapping[str, Stored], source_class: str) -> dict[str, Stored]:
    gates = len(_GATES[source_class])
    made: dict[str, Stored] = {}
    for name, dataset in found.items():
        shape = tuple(dataset.shape)
        if name == "bias":
            half = shape[0] // 2
            is_gru = source_class == "GRU"
            change = functools.partial(np.reshape, shape=(2, half)) if is_gru else _summed
            made[name] = _then(dataset, (2, half) if is_gru else (half,), change)
        else:
            made[name] = _then(dataset, shape, functools.partial(_rows_of_gates, gates=gates))
    return made


def _summed(bias: np.ndarray) -> np.ndarray:
    """One bias for those of the input and of the state."""
    return bias.reshape(2, -1).sum(0)


def _rows_of_gates(kernel: np.ndarray, gates: int) -> np.ndarray:
    """CuDNN has each gate's matrix as (unit, input) in the same memory."""
    return np.hstack([part.reshape(part.shape[::-1]).T for part in np.hsplit(kernel, gates)])
