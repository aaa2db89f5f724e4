"""Find out how a network preprocesses pixels itself, and thus which pixels it expects: 0..255 or 0..1.

Rescaling, Normalization and arithmetic right behind the input (``preprocess_input`` leaves such operations) are affine per
channel. They are followed from the input to the first layer that is something else; the range that they make of pixels
0..255 and of 0..1 shows which of the two they were written for. Nothing is applied twice then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.adaptors.interface import AdaptorError, Layer, RunAdaptor

_KEEPS_VALUES = {"padding", "cropping", "dropout", "upsampling", "cast", "identity"}
_KEEPS_VALUES_CLASSES = {
    "Resizing", "CenterCrop", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomHeight",
    "RandomWidth", "RandomContrast", "RandomBrightness", "GaussianNoise", "GaussianDropout", "SpatialDropout2D", "Identity",
    "Cast", "AutoContrast", "RandomShear", "RandomPerspective", "RandomErasing",
}  # fmt: skip
_MOVES_VALUES = {"flatten", "reshape"}
_MOVES_VALUES_CLASSES = {"Permute", "Transpose", "Moveaxis", "ExpandDims", "Squeeze", "Repeat", "Tile", "RepeatVector"}
_NO_PREPROCESSING = {
    "convolution", "depthwise convolution", "separable convolution", "transposed convolution", "dense", "normalisation",
    "activation", "max pooling", "average pooling", "global pooling", "add", "multiply", "concatenate", "flatten", "reshape",
}  # fmt: skip
"""Kinds of layers that belong to the network proper, also where a run's files hold no parameters for them."""
_LEAST_WIDTH, _MOST_WIDTH = 0.1, 300.0
"""How wide the range behind preprocessing is, at least and at most: 0..1, -1..1, standardised, or -124..151 as Caffe has it."""


@dataclass(frozen=True)
class OwnPreprocessing:
    """What the layers after the input do."""

    layers: tuple[str, ...]
    """Names of those that change values, in topological order."""
    low: float
    """The least value behind them, over channels, for pixels as :attr:`takes` says, or 0..255."""
    high: float
    takes: float | None
    """The brightest pixel that they are written for: 255.0 or 1.0; None where both or neither would do."""


@dataclass(frozen=True)
class _Affine:
    """scale * x + offset, both float64 (channel,)."""

    scale: np.ndarray
    offset: np.ndarray
    by: tuple[str, ...] = ()

    def then(self, scale: Any, offset: Any, layer: str) -> _Affine | None:
        try:
            scale, offset = (np.asarray(value, np.float64).reshape(-1) for value in (scale, offset))
            new = np.broadcast_arrays(self.scale * scale, self.offset * scale + offset)
        except ValueError:  # per pixel, or of other channels
            return None
        return _Affine(new[0], new[1], (*self.by, layer))


def own_preprocessing(run: RunAdaptor) -> OwnPreprocessing | None:
    """Return what the run's network does to pixels before its first other layer; None if nothing. Reads the statistics
    of Normalization layers at the first readable checkpoint."""
    changing = [end for end, _ in _ends(run) if end.by]
    return _judged(changing[0]) if changing else None


def unknown_first_layers(run: RunAdaptor) -> tuple[str, ...]:
    """Return the names, with their classes, of layers after the input and known preprocessing whose effect on pixels is
    unknown: Lambda layers, custom layers, operations that are not supported."""
    found = (layer for _, layer in _ends(run) if not layer.parameters and layer.kind not in _NO_PREPROCESSING)
    return tuple(dict.fromkeys(f"{layer.name} ({layer.source_class})" for layer in found if layer.source_class))


def _ends(run: RunAdaptor) -> list[tuple[_Affine, Layer]]:
    """Yield where preprocessing ends: what was done to pixels so far, and the layer that takes them."""
    layers = run.layers()
    inputs = [layer for layer in layers if layer.kind == "input"]
    if len(inputs) != 1:
        return []
    channels = run.input_shape[2] if run.input_shape else 1
    values = {inputs[0].name: _Affine(np.ones(channels), np.zeros(channels))}
    ends: list[tuple[_Affine, Layer]] = []
    for layer in layers:
        taken = [values[name] for name in layer.inputs if name in values]
        if not taken or layer.name in values:
            continue
        found = _applied(layer, taken, run) if len(taken) == len(layer.inputs) else None
        if found is None:
            ends += [(each, layer) for each in taken]
        else:
            values[layer.name] = found
    return ends


def _judged(end: _Affine) -> OwnPreprocessing:
    fitting = [brightest for brightest in (255.0, 1.0) if _plausible(end, brightest)]
    takes = fitting[0] if len(fitting) == 1 else None
    low, high = _range(end, takes or 255.0)
    return OwnPreprocessing(end.by, low, high, takes)


def _range(end: _Affine, brightest: float) -> tuple[float, float]:
    ends = np.stack([end.offset, end.scale * brightest + end.offset])
    return float(ends.min()), float(ends.max())


def _plausible(end: _Affine, brightest: float) -> bool:
    low, high = _range(end, brightest)
    width = high - low
    return _LEAST_WIDTH <= width <= _MOST_WIDTH and abs(low + high) / 2 <= 2 * width


# ------------------------------------------------------------------------------------------------ single layers


def _applied(layer: Layer, taken: Sequence[_Affine], run: RunAdaptor) -> _Affine | None:
    """Return the layer's output for these inputs; None if it is not preprocessing."""
    if layer.source_class == "Rescaling":
        return taken[0].then(
            layer.hyperparameters.get("scale", 1.0), layer.hyperparameters.get("offset", 0.0), layer.name
        )
    if layer.source_class == "Normalization":
        return _normalised(layer, taken[0], run)
    if layer.source_class in _KEEPS_VALUES_CLASSES or layer.kind in _KEEPS_VALUES:
        return taken[0] if len(taken) == 1 else None
    if layer.source_class in _MOVES_VALUES_CLASSES or layer.kind in _MOVES_VALUES:
        return _moved(taken[0]) if len(taken) == 1 else None
    if layer.source_class == "Concatenate" and layer.hyperparameters.get("axis", -1) in (-1, 3):
        return _joined(layer, taken, ())
    operands = layer.hyperparameters.get("operands")
    if operands is None:
        return None
    operation = _OPERATIONS.get(_operation_name(layer))
    return operation(layer, taken, operands) if operation is not None else None


def _moved(taken: _Affine) -> _Affine | None:
    """After a layer that moves values, the channel of a value is unknown; return None if that matters."""
    if len(set(taken.scale.tolist())) > 1 or len(set(taken.offset.tolist())) > 1:
        return None
    return _Affine(taken.scale[:1], taken.offset[:1], taken.by)


def _operation_name(layer: Layer) -> str:
    """Return ``subtract`` for the Keras 3 class Subtract, and for ``math.subtract`` and ``__operators__.sub`` of Keras
    2."""
    name = str(layer.hyperparameters.get("function") or layer.source_class)
    return name.rpartition(".")[2].lower().replace("_", "")


def _normalised(layer: Layer, taken: _Affine, run: RunAdaptor) -> _Affine | None:
    mean, variance = layer.hyperparameters.get("mean"), layer.hyperparameters.get("variance")
    if mean is None or variance is None:
        arrays = _first_arrays(layer, run)
        mean, variance = arrays.get("mean"), arrays.get("variance")
    if mean is None or variance is None:
        return None
    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    if mean.size not in (1, taken.scale.size):  # a mean image: per channel is near enough to tell the range
        if not mean.ndim or mean.shape[-1] != taken.scale.size:
            return None
        mean = mean.reshape(-1, mean.shape[-1]).mean(axis=0)
        variance = variance.reshape(-1, variance.shape[-1]).mean(axis=0)
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    if layer.hyperparameters.get("invert"):
        return taken.then(deviation, mean, layer.name)
    return taken.then(1 / deviation, -mean / deviation, layer.name)


def _first_arrays(layer: Layer, run: RunAdaptor) -> Mapping[str, np.ndarray]:
    for checkpoint in run.checkpoints():
        if checkpoint.problem is None:
            try:
                return run.parameters(checkpoint, layer)
            except AdaptorError:
                continue
    return {}


def _arithmetic(forward: Callable[[Any], tuple[Any, Any]], backward: Callable[[Any], tuple[Any, Any] | None]) -> Any:
    """Apply an operation of a tensor and a constant. ``forward(constant)`` returns (scale, offset) if the tensor is the
    first operand, ``backward`` if it is the second."""

    def apply(layer: Layer, taken: Sequence[_Affine], operands: Sequence[Any]) -> _Affine | None:
        if len(taken) != 1 or len(operands) != 2 or operands.count(None) != 1:
            return None
        constant = next(operand for operand in operands if operand is not None)
        try:
            constant = np.asarray(constant, np.float64)
        except (TypeError, ValueError):
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            found = forward(constant) if operands[0] is None else backward(constant)
        return taken[0].then(*found, layer.name) if found is not None else None

    return apply


def _picked(layer: Layer, taken: Sequence[_Affine], operands: Sequence[Any]) -> _Affine | None:
    """Apply slices: one channel of the last axis, or all channels reversed."""
    index = next((operand for operand in operands if isinstance(operand, list) and operand), None)
    if index is None or len(taken) != 1:
        return None
    last, affine = index[-1], taken[0]
    if isinstance(last, int) and len(index) > 1:
        try:
            return _Affine(affine.scale[[last]], affine.offset[[last]], affine.by)
        except IndexError:
            return None
    if _step(last) == -1:
        return _Affine(affine.scale[::-1], affine.offset[::-1], affine.by)
    return affine


def _step(index: Any) -> Any:
    if not isinstance(index, Mapping):
        return None
    return index.get("step", index.get("config", {}).get("step") if isinstance(index.get("config"), Mapping) else None)


def _joined(layer: Layer, taken: Sequence[_Affine], operands: Sequence[Any]) -> _Affine | None:
    by = tuple(dict.fromkeys(name for each in taken for name in each.by))
    return _Affine(np.concatenate([x.scale for x in taken]), np.concatenate([x.offset for x in taken]), by)


_DIVISION = _arithmetic(lambda c: (1 / c, 0.0), lambda c: None)
_PRODUCT = _arithmetic(lambda c: (c, 0.0), lambda c: (c, 0.0))
_DIFFERENCE = _arithmetic(lambda c: (1.0, -c), lambda c: (-1.0, c))
_SUM = _arithmetic(lambda c: (1.0, c), lambda c: (1.0, c))
_OPERATIONS: dict[str, Callable[[Layer, Sequence[_Affine], Sequence[Any]], _Affine | None]] = {
    **dict.fromkeys(("truediv", "truedivide", "divide", "realdiv", "divnonan"), _DIVISION),
    **dict.fromkeys(("multiply", "mul"), _PRODUCT),
    **dict.fromkeys(("subtract", "sub"), _DIFFERENCE),
    **dict.fromkeys(("add", "biasadd", "addv2"), _SUM),
    **dict.fromkeys(("getitem", "stridedslice", "slicingoplambda"), _picked),
    **dict.fromkeys(("stack", "concatenate", "concat"), _joined),
    "cast": lambda layer, taken, operands: taken[0],
}
