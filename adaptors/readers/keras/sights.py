"""What each place of a Keras layer's map sees of its inputs' maps, from their configuration, without Keras.

Paddings are those of TensorFlow: "same" puts what is needed half before and half behind, the odd one behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mloscope.adaptors.interface import SAME_PLACE, Sight
from mloscope.adaptors.readers.keras.operators import OF_ELEMENTS
from mloscope.adaptors.readers.keras.shapes import KINDS, PASSING, Config, Shape, pair

Pair = tuple[int, int]
Sights = tuple[Sight, ...]


def sights_of(source_class: str, config: Config, inputs: Sequence[Shape | None], output: Shape | None) -> Sights:
    """As :attr:`mloscope.adaptors.interface.Layer.sights` has it; shapes are channels last, while ``config`` says what it
    says: with ``data_format`` "channels_first", axes are counted with the channels first."""
    if any(shape is None for shape in inputs) or not inputs:
        return ()
    known = [shape for shape in inputs if shape is not None]
    if source_class == "SpectralNormalization":
        inner = config.get("layer") or {}
        return sights_of(str(inner.get("class_name")), inner.get("config") or {}, inputs, output)
    if source_class in _WINDOWS:
        try:
            found = _WINDOWS[source_class](config, known[0], output)
        except (LookupError, TypeError, ValueError, ArithmeticError):
            return ()  # a configuration that Keras would not accept either
        return () if found is None else (found,) * len(known)
    return (SAME_PLACE,) * len(known) if _looks_at_places(source_class, config, known, output) else ()


def sights_of_operator(function: str, inputs: Sequence[Shape | None], output: Shape | None) -> Sights:
    """The same of a TensorFlow function, see :class:`mloscope.adaptors.readers.keras.operators.OperatorCall`."""
    is_place_by_place = function in OF_ELEMENTS - _OF_OTHER_PLACES and all(shape == output for shape in inputs)
    return (SAME_PLACE,) * len(inputs) if is_place_by_place else ()


_OF_OTHER_PLACES = {
    *("math.cumsum", "math.l2_normalize", "nn.l2_normalize", "reverse", "roll", "image.per_image_standardization"),
    *("image.flip_left_right", "image.flip_up_down", "where"),
}


def _looks_at_places(source_class: str, config: Config, inputs: Sequence[Shape], output: Shape | None) -> bool:
    """Whether the layer computes each place from that place alone; those of an axis of length 1 go to all."""
    is_first = config.get("data_format") == "channels_first"
    rank = len(inputs[0])
    if source_class in ("Reshape", "Permute"):
        return inputs[0] == output
    if source_class in ("Concatenate", "Softmax", "LayerNormalization", "UnitNormalization"):
        return rank != 3 or _is_of_channels(config.get("axis", -1), 1 if is_first else 3)
    if source_class == "Activation" and "softmax" in str(config.get("activation")):
        return not is_first
    if source_class == "Dense":
        return not is_first and rank in (1, 3)
    merges = KINDS.get(source_class) in ("add", "multiply") or source_class in _MERGING
    return merges or (source_class in PASSING and source_class != "GroupNormalization")


_MERGING = {"Subtract", "TrueDivide", "Divide", "Average", "Maximum", "Minimum"}


def _is_of_channels(axis: Any, channels: int) -> bool:
    """Whether an axis, counted with the batch's, is that of the channels."""
    axes = axis if isinstance(axis, list | tuple) else [axis]
    return all(isinstance(each, int) and each % 4 == channels for each in axes)


# -------------------------------------------------------------------------------------------------- windows


def _window(config: Config, shape: Shape, width_key: str) -> Sight | None:
    if len(shape) != 3:
        return None
    size = pair(config[width_key])
    stride = pair(config.get("strides") or (size if width_key == "pool_size" else 1))
    dilation = pair(config.get("dilation_rate") or 1)
    start = [0, 0]
    if str(config.get("padding", "valid")).lower() == "same":
        for axis in (0, 1):
            length = shape[axis]
            reach = dilation[axis] * (size[axis] - 1) + 1
            if length is None and stride[axis] > 1:
                return None  # how much padding there is depends on it
            in_last_window = (length or 0) % stride[axis] or stride[axis]
            start[axis] = -(max(reach - in_last_window, 0) // 2)
    return Sight(size, stride, (start[0], start[1]), dilation)


def _convolution(config: Config, shape: Shape, output: Shape | None) -> Sight | None:
    return _window(config, shape, "kernel_size")


def _pooling(config: Config, shape: Shape, output: Shape | None) -> Sight | None:
    return _window(config, shape, "pool_size")


def _transposed(config: Config, shape: Shape, output: Shape | None) -> Sight | None:
    size, stride = pair(config["kernel_size"]), pair(config.get("strides", 1))
    dilation = pair(config.get("dilation_rate") or 1)
    start = []
    for axis in (0, 1):
        reach, length, made = dilation[axis] * (size[axis] - 1) + 1, shape[axis], (output or shape)[axis]
        if length is None or made is None:
            return None
        cut = 0
        if str(config.get("padding", "valid")).lower() == "same":
            cut = max((length - 1) * stride[axis] + reach - made, 0) // 2
        start.append(cut - (reach - 1))
    return Sight(size, (1, 1), (start[0], start[1]), dilation, stride)


def _margins_before(value: Any) -> Pair:
    if isinstance(value, int):
        return value, value
    rows, columns = (side if isinstance(side, int) else side[0] for side in value)
    return int(rows), int(columns)


def _padding(config: Config, shape: Shape, output: Shape | None) -> Sight:
    rows, columns = _margins_before(config["padding"])
    return Sight(start=(-rows, -columns))


def _cropping(config: Config, shape: Shape, output: Shape | None) -> Sight:
    return Sight(start=_margins_before(config["cropping"]))


def _upsampling(config: Config, shape: Shape, output: Shape | None) -> Sight | None:
    factors = pair(config["size"])
    how = config.get("interpolation", "nearest")
    if how == "nearest":
        return Sight(spread=factors, repeats=True)
    if how != "bilinear":
        return None
    half = (factors[0] // 2, factors[1] // 2)
    return Sight((2, 2), start=(-half[0], -half[1]), dilation=(2 * half[0], 2 * half[1]), spread=factors, repeats=True)


_WINDOWS: Mapping[str, Callable[[Config, Shape, Shape | None], Sight | None]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2D": _convolution,
    "SeparableConv2D": _convolution,
    "Conv2DTranspose": _transposed,
    "MaxPooling2D": _pooling,
    "AveragePooling2D": _pooling,
    "ZeroPadding2D": _padding,
    "Cropping2D": _cropping,
    "UpSampling2D": _upsampling,
}
