"""Output shapes of Keras layers from their configuration, without Keras. Channels last, no batch axis.

A shape is a tuple of int or None (not known beforehand). Where a layer's class is not known its shape is
None. Formulas: ``keras/src/ops/operation_utils.py`` (convolution, pooling) and each layer's
``compute_output_shape``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Shape = tuple[int | None, ...]
Config = Mapping[str, Any]

KINDS: dict[str, str] = {
    "InputLayer": "input",
    "Conv1D": "convolution",
    "Conv2D": "convolution",
    "Conv3D": "convolution",
    "DepthwiseConv2D": "depthwise convolution",
    "SeparableConv2D": "separable convolution",
    "Conv2DTranspose": "transposed convolution",
    "Dense": "dense",
    "BatchNormalization": "normalisation",
    "LayerNormalization": "normalisation",
    "GroupNormalization": "normalisation",
    "UnitNormalization": "normalisation",
    "SpectralNormalization": "normalisation",
    "Activation": "activation",
    "ReLU": "activation",
    "LeakyReLU": "activation",
    "PReLU": "activation",
    "ELU": "activation",
    "ThresholdedReLU": "activation",
    "Softmax": "activation",
    "MaxPooling2D": "max pooling",
    "AveragePooling2D": "average pooling",
    "GlobalAveragePooling2D": "global pooling",
    "GlobalMaxPooling2D": "global pooling",
    "ZeroPadding2D": "padding",
    "Cropping2D": "cropping",
    "UpSampling2D": "upsampling",
    "Add": "add",
    "Multiply": "multiply",
    "Concatenate": "concatenate",
    "Flatten": "flatten",
    "Reshape": "reshape",
    "Permute": "reshape",
    "Dropout": "dropout",
    "SpatialDropout2D": "dropout",
    "AlphaDropout": "dropout",
    "GaussianDropout": "dropout",
    "GaussianNoise": "dropout",
    "Rescaling": "preprocessing",
    "Normalization": "preprocessing",
    "Resizing": "preprocessing",
    "CenterCrop": "preprocessing",
    "RandomFlip": "preprocessing",
    "RandomRotation": "preprocessing",
    "RandomTranslation": "preprocessing",
    "RandomZoom": "preprocessing",
    "RandomContrast": "preprocessing",
    "RandomBrightness": "preprocessing",
    "RandomCrop": "preprocessing",
}
PASSING = {
    name
    for name, kind in KINDS.items()
    if kind in ("normalisation", "activation", "dropout", "preprocessing") and not name.endswith("Crop")
} - {"Resizing", "SpectralNormalization"} | {"ActivityRegularization", "Masking", "Identity"}
PASSING |= {  # operations of keras.ops on each value by itself
    "Sigmoid", "HardSigmoid", "LogSigmoid", "LogSoftmax", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Gelu", "Silu", "Tanh",
    "HardTanh", "Softplus", "Softsign", "Cast", "Exp", "Log", "Clip", "Negative", "Absolute", "Sqrt", "Square", "Power",
}  # fmt: skip


def output_shape(source_class: str, config: Config, inputs: Sequence[Shape | None]) -> Shape | None:
    """The layer's output shape for its inputs' shapes; None where the class, or what it depends on, is not
    known."""
    known = [shape for shape in inputs if shape is not None]
    if len(known) != len(inputs) or not known:
        return None
    if config.get("data_format") == "channels_first" and source_class not in ("Flatten", *PASSING):
        last = {**config, "data_format": "channels_last"}
        shape = output_shape(source_class, last, [(*each[1:], each[0]) for each in known])
        return shape if shape is None or len(shape) < 2 else (shape[-1], *shape[:-1])
    if source_class in PASSING:
        return known[0]
    rule = _RULES.get(source_class)
    try:
        return rule(config, known) if rule else None
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return None  # a configuration that Keras would not accept either


def parameter_shapes(source_class: str, config: Config, inputs: Sequence[Shape | None]) -> dict[str, Shape]:
    """Shapes of the arrays that a layer of this configuration has on this input; empty where not known."""
    shape = inputs[0] if inputs else None
    if shape and (config.get("data_format") == "channels_first" or _is_over_first_axis(config)):
        shape = (*shape[1:], shape[0])
    if not shape or shape[-1] is None:
        return {}
    channels = shape[-1]
    if source_class == "Dense":
        return {"kernel": (channels, config["units"]), "bias": (config["units"],)}
    if source_class == "Conv2D":
        kernel = (*pair(config["kernel_size"]), channels // config.get("groups", 1), config["filters"])
        return {"kernel": kernel, "bias": (config["filters"],)}
    if source_class == "Conv2DTranspose":
        return {
            "kernel": (*pair(config["kernel_size"]), config["filters"], channels),
            "bias": (config["filters"],),
        }
    if source_class in ("DepthwiseConv2D", "SeparableConv2D"):
        multiplier = config.get("depth_multiplier", 1)
        depthwise = (*pair(config["kernel_size"]), channels, multiplier)
        if source_class == "DepthwiseConv2D":
            return {"kernel": depthwise, "bias": (channels * multiplier,)}
        pointwise = (1, 1, channels * multiplier, config["filters"])
        return {"depthwise_kernel": depthwise, "pointwise_kernel": pointwise, "bias": (config["filters"],)}
    if source_class == "BatchNormalization":
        return dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), (channels,))
    if source_class == "LayerNormalization" and config.get("axis") in (-1, [-1]):
        return dict.fromkeys(("gamma", "beta"), (channels,))
    return {}


def _is_over_first_axis(config: Config) -> bool:
    """Of a normalisation: whether the channels that it has a number for each of come first."""
    return config.get("axis") in (1, [1])


def pair(value: Any) -> tuple[int, int]:
    """A setting for (rows, columns), which may be one number for both."""
    first, second = (value, value) if isinstance(value, int) else value
    return int(first), int(second)


def _window(size: int | None, width: int, stride: int, dilation: int, padding: str) -> int | None:
    if size is None:
        return None
    if padding == "same":
        return math.ceil(size / stride)
    return (size - dilation * (width - 1) - 1) // stride + 1


def _windows(config: Config, shape: Shape, width_key: str) -> tuple[int | None, int | None]:
    widths = pair(config[width_key])
    strides = pair(config.get("strides") or widths)
    dilations = pair(config.get("dilation_rate") or 1)
    padding = str(config.get("padding", "valid")).lower()
    rows, columns, _ = shape
    return (
        _window(rows, widths[0], strides[0], dilations[0], padding),
        _window(columns, widths[1], strides[1], dilations[1], padding),
    )


def _convolution(config: Config, inputs: list[Shape]) -> Shape:
    return (*_windows(config, inputs[0], "kernel_size"), config["filters"])


def _depthwise(config: Config, inputs: list[Shape]) -> Shape:
    channels = inputs[0][-1]
    units = None if channels is None else channels * config.get("depth_multiplier", 1)
    return (*_windows(config, inputs[0], "kernel_size"), units)


def _transposed(config: Config, inputs: list[Shape]) -> Shape:
    widths, strides = pair(config["kernel_size"]), pair(config.get("strides", 1))
    dilations = pair(config.get("dilation_rate") or 1)
    extra = config.get("output_padding")
    extras: tuple[int | None, int | None] = (None, None) if extra is None else pair(extra)
    same = config.get("padding") == "same"
    sizes = []
    for size, width, stride, dilation, more in zip(inputs[0][:2], widths, strides, dilations, extras, strict=True):
        reach = (width - 1) * dilation + 1
        if size is None:
            sizes.append(None)
        elif more is None:
            sizes.append(size * stride + (0 if same else max(reach - stride, 0)))
        else:
            sizes.append((size - 1) * stride + reach - (2 * (reach // 2) if same else 0) + more)
    return (*sizes, config["filters"])


def _pooling(config: Config, inputs: list[Shape]) -> Shape:
    return (*_windows(config, inputs[0], "pool_size"), inputs[0][-1])


def _global_pooling(config: Config, inputs: list[Shape]) -> Shape:
    return (1, 1, inputs[0][-1]) if config.get("keepdims") else (inputs[0][-1],)


def _margins(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return 2 * value, 2 * value
    rows, columns = (2 * side if isinstance(side, int) else sum(side) for side in value)
    return rows, columns


def _padding(config: Config, inputs: list[Shape]) -> Shape:
    more = _margins(config["padding"])
    rows, columns, channels = inputs[0]
    return _plus(rows, more[0]), _plus(columns, more[1]), channels


def _cropping(config: Config, inputs: list[Shape]) -> Shape:
    less = _margins(config["cropping"])
    rows, columns, channels = inputs[0]
    return _plus(rows, -less[0]), _plus(columns, -less[1]), channels


def _plus(size: int | None, more: int) -> int | None:
    return None if size is None else size + more


def _upsampling(config: Config, inputs: list[Shape]) -> Shape:
    factors = pair(config["size"])
    rows, columns, channels = inputs[0]
    return (
        None if rows is None else rows * factors[0],
        None if columns is None else columns * factors[1],
        channels,
    )


def _broadcast(config: Config, inputs: list[Shape]) -> Shape:
    rank = max(map(len, inputs))
    padded = [(1,) * (rank - len(shape)) + shape for shape in inputs]
    return tuple(
        None if None in sizes and max((s or 1) for s in sizes) == 1 else max((s or 1) for s in sizes)
        for sizes in zip(*padded, strict=True)
    )


def _concatenate(config: Config, inputs: list[Shape]) -> Shape:
    axis = config.get("axis", -1)
    axis = axis - 1 if axis > 0 else axis % len(inputs[0])  # positive numbers count the batch axis, which shapes lack
    sizes = [shape[axis] for shape in inputs]
    total = None if None in sizes else sum(size for size in sizes if size is not None)
    return (*inputs[0][:axis], total, *inputs[0][axis + 1 :])


def _product(shape: Shape) -> int | None:
    return None if None in shape else math.prod(size for size in shape if size is not None)


def _flatten(config: Config, inputs: list[Shape]) -> Shape:
    return (_product(inputs[0]),)


def _reshape(config: Config, inputs: list[Shape]) -> Shape:
    target = tuple(config["target_shape"])
    total = _product(inputs[0])
    if -1 not in target:
        return target
    rest = math.prod(size for size in target if size != -1)
    return tuple(size if size != -1 else None if total is None else total // rest for size in target)


def _permute(config: Config, inputs: list[Shape]) -> Shape:
    return tuple(inputs[0][axis - 1] for axis in config["dims"])


def _dense(config: Config, inputs: list[Shape]) -> Shape:
    return (*inputs[0][:-1], config["units"])


def _wrapped(config: Config, inputs: list[Shape]) -> Shape | None:
    layer = config["layer"]
    return output_shape(layer["class_name"], layer["config"], inputs)


def _resizing(config: Config, inputs: list[Shape]) -> Shape:
    return config["height"], config["width"], inputs[0][-1]


_RULES: dict[str, Callable[[Config, list[Shape]], Shape | None]] = {
    "Conv2D": _convolution,
    "SeparableConv2D": _convolution,
    "DepthwiseConv2D": _depthwise,
    "Conv2DTranspose": _transposed,
    "Dense": _dense,
    "MaxPooling2D": _pooling,
    "AveragePooling2D": _pooling,
    "GlobalAveragePooling2D": _global_pooling,
    "GlobalMaxPooling2D": _global_pooling,
    "ZeroPadding2D": _padding,
    "Cropping2D": _cropping,
    "UpSampling2D": _upsampling,
    "Add": _broadcast,
    "Subtract": _broadcast,
    "Multiply": _broadcast,
    "TrueDivide": _broadcast,
    "Divide": _broadcast,
    "Average": _broadcast,
    "Maximum": _broadcast,
    "Minimum": _broadcast,
    "Concatenate": _concatenate,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "SpectralNormalization": _wrapped,
    "Resizing": _resizing,
    "CenterCrop": _resizing,
    "RandomCrop": _resizing,
}
