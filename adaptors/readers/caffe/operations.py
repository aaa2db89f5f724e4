"""What each type of Caffe's layers computes when a network is tested, with its shapes and its rounding: a table, :data:`READ`.

Source: the layers of BVLC's Caffe 1.0. Caffe's arrays are (image, channel, row, column), its axes count from the image's;
here a sample's axes are (row, column, channel), or (value,).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mloscope.adaptors.interface import Parameter
from mloscope.adaptors.networks import network
from mloscope.adaptors.networks.network import Operation, Shape, Unsupported, Window, as_map, check_window
from mloscope.adaptors.readers.caffe.protobuf import CaffeLayer


@dataclass(frozen=True)
class Here:
    """A layer and what it takes."""

    layer: CaffeLayer
    shapes: tuple[Shape, ...]
    blobs: Mapping[str, Parameter]

    def __call__(self, field: str) -> Any:
        return self.layer.parameters(field)


# --------------------------------------------------------------------------------------- windows and weights


def _pair(settings: Any, both: str, row: str, column: str, default: int) -> tuple[int, int]:
    """(rows, columns) of a setting that Caffe takes as one number, as several, or as one for each axis."""
    given = getattr(settings, both)
    numbers = list(given) if not isinstance(given, int) else [given] if settings.HasField(both) else []
    if len(numbers) > 2:
        raise Unsupported(f"has {len(numbers)} axes of {both}, which is not supported")
    first, last = (numbers[0], numbers[-1]) if numbers else (default, default)
    if row and settings.HasField(row):
        first = getattr(settings, row)
    if column and settings.HasField(column):
        last = getattr(settings, column)
    return first, last


def _convolution(here: Here) -> tuple[Operation, Shape]:
    settings = here("convolution_param")
    shape = as_map(here.shapes[0])
    size = _pair(settings, "kernel_size", "kernel_h", "kernel_w", 0)
    stride = _pair(settings, "stride", "stride_h", "stride_w", 1)
    pad = _pair(settings, "pad", "pad_h", "pad_w", 0)
    dilation = _pair(settings, "dilation", "", "", 1)
    units, groups = settings.num_output, settings.group
    if len(here.shapes) != 1 or settings.axis != 1:
        raise Unsupported("has several inputs or another axis of channels, which is not supported")
    if groups < 1 or shape[2] % groups or units % groups:
        raise Unsupported(f"divides {shape[2]} channels and {units} units into {groups} groups")
    reach = Window(size, stride, (0, 0), (1, 1), dilation).reach
    if min(*size, *stride, *dilation) < 1:
        raise Unsupported("has a window without a size or a stride")
    outputs = tuple((shape[i] + 2 * pad[i] - reach[i]) // stride[i] + 1 for i in (0, 1))
    window = Window(size, stride, (-pad[0], -pad[1]), (outputs[0], outputs[1]), dilation)
    check_window(window, shape[2])
    _expect(here, "kernel", (units, shape[2] // groups, *size))
    if settings.bias_term:
        _expect(here, "bias", (units,))
    return network.Convolution((shape,), (window,), (groups,)), (*window.outputs, units)


def _inner_product(here: Here) -> tuple[Operation, Shape]:
    settings = here("inner_product_param")
    if settings.axis not in (1, -len(here.shapes[0])):
        raise Unsupported("keeps some axes of its input, which is not supported")
    inputs, units = math.prod(here.shapes[0]), settings.num_output
    _expect(here, "kernel", (inputs, units) if settings.transpose else (units, inputs))
    if settings.bias_term:
        _expect(here, "bias", (units,))
    return network.Dense(), (units,)


def _expect(here: Here, name: str, shape: tuple[int, ...]) -> None:
    if name not in here.blobs:
        raise Unsupported(f"has no {name} in the snapshot")
    if here.blobs[name].shape != shape:
        raise Unsupported(f"has a {name} of the shape {here.blobs[name].shape} where {shape} would fit its input")


def _pooling(here: Here) -> tuple[Operation, Shape]:
    settings = here("pooling_param")
    shape = as_map(here.shapes[0])
    if settings.pool > 1:
        raise Unsupported("is stochastic pooling, which is not supported")
    if settings.global_pooling:
        size, stride, pad = (shape[0], shape[1]), (1, 1), (0, 0)
    else:
        size = _pair(settings, "kernel_size", "kernel_h", "kernel_w", 0)
        stride = _pair(settings, "stride", "stride_h", "stride_w", 1)
        pad = _pair(settings, "pad", "pad_h", "pad_w", 0)
    if min(*size, *stride) < 1 or any(pad[i] >= size[i] for i in (0, 1)):
        raise Unsupported(f"has a window of {size} with a stride of {stride} and a padding of {pad}")
    outputs = []
    for axis in (0, 1):
        span = shape[axis] + 2 * pad[axis] - size[axis]
        count = (span // stride[axis] if settings.round_mode else -(-span // stride[axis])) + 1
        if pad[axis] and (count - 1) * stride[axis] >= shape[axis] + pad[axis]:
            count -= 1  # the last window would lie in the padding alone
        outputs.append(count)
    window = Window(size, stride, (-pad[0], -pad[1]), (outputs[0], outputs[1]))
    check_window(window, 1)
    return network.Pooling(shape, window, settings.pool == 0, edge=pad), (*window.outputs, shape[2])


def _normalisation(here: Here) -> tuple[Operation, Shape]:
    settings = here("lrn_param")
    shape, size = as_map(here.shapes[0]), settings.local_size
    if size % 2 == 0 or size > 511:
        raise Unsupported(f"normalises over {size} neighbours; Caffe takes odd numbers only")
    across = settings.norm_region == 0
    operation = network.LocalNormalisation(
        map=shape,
        across_channels=across,
        size=size,
        scale=settings.alpha / (size if across else size * size),
        power=settings.beta,
        offset=settings.k if across else 1.0,
    )
    return operation, shape


# -------------------------------------------------------------------------------------------- value by value


def _activation(function: str, *names: str, field: str = "") -> Callable[[Here], tuple[Operation, Shape]]:
    def read(here: Here) -> tuple[Operation, Shape]:
        numbers = tuple(float(getattr(here(field), name)) for name in names)
        return network.Activation(function, numbers), here.shapes[0]

    return read


def _exponential(here: Here) -> tuple[Operation, Shape]:
    settings = here("exp_param")
    rate = 1.0 if settings.base == -1 else math.log(settings.base) if settings.base > 0 else math.nan
    if math.isnan(rate):
        raise Unsupported(f"is a power of {settings.base}")
    return network.Activation("exp", (rate * settings.scale, rate * settings.shift)), here.shapes[0]


def _sloped(here: Here) -> tuple[Operation, Shape]:
    shared = here("prelu_param").channel_shared
    _expect(here, "slope", (1,) if shared else (_channels(here),))
    return network.SlopedActivation(), here.shapes[0]


def _batch_normalisation(here: Here) -> tuple[Operation, Shape]:
    for name, size in (("mean", _channels(here)), ("variance", _channels(here)), ("scale_factor", 1)):
        _expect(here, name, (size,))
    return network.BatchNormalisation(here("batch_norm_param").eps), here.shapes[0]


def _scale(here: Here) -> tuple[Operation, Shape]:
    settings = here("scale_param")
    if len(here.shapes) > 2:
        raise Unsupported(f"has {len(here.shapes)} inputs")
    if len(here.shapes) == 2:
        factor, shape = here.shapes[1], here.shapes[0]
        if settings.axis != 0 or factor not in (shape, shape[-1:], (1,) * (len(shape) - 1) + shape[-1:]):
            raise Unsupported(f"scales a map of {shape} by another of {factor}, which is not supported")
    elif settings.axis not in (1, -len(here.shapes[0])) or settings.num_axes != 1:
        raise Unsupported("scales by other axes than channels, which is not supported")
    else:
        _expect(here, "scale", (_channels(here),))
    if settings.bias_term:
        _expect(here, "bias", (_channels(here),))
    return network.ChannelScale(), here.shapes[0]


def _bias(here: Here) -> tuple[Operation, Shape]:
    settings = here("bias_param")
    if len(here.shapes) != 1 or settings.axis not in (1, -len(here.shapes[0])) or settings.num_axes != 1:
        raise Unsupported("adds along other axes than channels, which is not supported")
    _expect(here, "bias", (_channels(here),))
    return network.ChannelScale(), here.shapes[0]


def _channels(here: Here) -> int:
    shape = here.shapes[0]
    if len(shape) not in (1, 3):
        raise Unsupported(f"takes an input of the shape {shape}, whose channels are not known")
    return shape[-1]


def _same(here: Here) -> tuple[Operation, Shape]:
    return network.Activation("linear"), here.shapes[0]


# ------------------------------------------------------------------------------------------- axes and shapes


def _axis(axis: int, shape: Shape) -> int:
    """One of Caffe's axes as an axis of the sample."""
    place = axis + len(shape) + 1 if axis < 0 else axis
    if not 1 <= place <= len(shape):
        raise Unsupported(f"works along the axis {axis}, which is not one of an image's")
    return (2, 0, 1)[place - 1] if len(shape) == 3 else place - 1


def _sizes(shape: Shape) -> tuple[int, ...]:
    """In Caffe's order, without the batch."""
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else shape


def _from_sizes(sizes: Sequence[int]) -> Shape:
    return (sizes[1], sizes[2], sizes[0]) if len(sizes) == 3 else tuple(sizes)


def _softmax(here: Here) -> tuple[Operation, Shape]:
    shape = here.shapes[0]
    return network.Softmax(_axis(here("softmax_param").axis, shape)), shape


def _concatenation(here: Here) -> tuple[Operation, Shape]:
    settings, first = here("concat_param"), here.shapes[0]
    axis = _axis(settings.concat_dim if settings.HasField("concat_dim") else settings.axis, first)
    if any(len(shape) != len(first) or _without(shape, axis) != _without(first, axis) for shape in here.shapes):
        raise Unsupported(f"joins inputs of the shapes {here.shapes}")
    joined = list(first)
    joined[axis] = sum(shape[axis] for shape in here.shapes)
    return network.Concatenation(axis), tuple(joined)


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def part_of(here: Here, place: int, count: int) -> tuple[Operation, Shape]:
    settings, shape = here("slice_param"), here.shapes[0]
    axis = _axis(settings.slice_dim if settings.HasField("slice_dim") else settings.axis, shape)
    size, points = shape[axis], list(settings.slice_point)
    if not points and size % count == 0:
        points = [size // count * number for number in range(1, count)]
    bounds = [0, *points, size]
    if len(bounds) != count + 1 or sorted(set(bounds)) != bounds:
        raise Unsupported(f"divides {size} places at {points} into {count} parts")
    part = list(shape)
    part[axis] = bounds[place + 1] - bounds[place]
    return network.Part(axis, bounds[place], bounds[place + 1]), tuple(part)


def _combination(here: Here) -> tuple[Operation, Shape]:
    settings = here("eltwise_param")
    if len(set(here.shapes)) != 1:
        raise Unsupported(f"combines inputs of the shapes {here.shapes}")
    rule = ("product", "sum", "largest")[settings.operation]
    numbers = tuple(settings.coeff) if rule == "sum" else ()
    if numbers and len(numbers) != len(here.shapes):
        raise Unsupported(f"has {len(numbers)} coefficients for {len(here.shapes)} inputs")
    return network.Combination(rule, numbers), here.shapes[0]


def _flatten(here: Here) -> tuple[Operation, Shape]:
    settings = here("flatten_param")
    sizes = (1, *_sizes(here.shapes[0]))
    first, last = (axis + len(sizes) if axis < 0 else axis for axis in (settings.axis, settings.end_axis))
    if not 1 <= first <= last < len(sizes):
        raise Unsupported(f"flattens the axes {settings.axis} to {settings.end_axis}")
    shape = _from_sizes((*sizes[1:first], math.prod(sizes[first : last + 1]), *sizes[last + 1 :]))
    return network.Reshape(shape), shape


def _reshape(here: Here) -> tuple[Operation, Shape]:
    settings = here("reshape_param")
    sizes = (1, *_sizes(here.shapes[0]))
    start = settings.axis + len(sizes) + 1 if settings.axis < 0 else settings.axis
    end = len(sizes) if settings.num_axes == -1 else start + settings.num_axes
    wanted = list(settings.shape.dim)
    if not 0 <= start <= end <= len(sizes) or wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise Unsupported(f"has the shape {wanted} for an input of {sizes}")
    if any(size == 0 and start + place >= len(sizes) for place, size in enumerate(wanted)):
        raise Unsupported(f"copies sizes that an input of {sizes} does not have")
    if start == 0 and wanted and wanted[0] not in (0, -1, 1):
        wanted[0] = 1  # the size of a batch, which is the evaluation's own matter
    found = [*sizes[:start], *(s or sizes[start + place] for place, s in enumerate(wanted)), *sizes[end:]]
    if -1 in found:
        rest = math.prod(size for size in found if size != -1)
        found[found.index(-1)] = math.prod(sizes) // max(rest, 1)
    if math.prod(found) != math.prod(sizes) or not found or found[0] != 1 or len(found) < 2:
        raise Unsupported(f"makes of an input of {sizes} an output of {tuple(found)}")
    shape = _from_sizes(found[1:])
    return network.Reshape(shape), shape


_Read = Callable[[Here], tuple[Operation, Shape]]
# By type: the kind that is shown, where its settings are, and how they are read.
READ: dict[str, tuple[str, str, _Read | None]] = {
    "Convolution": ("convolution", "convolution_param", _convolution),
    "Deconvolution": ("transposed convolution", "convolution_param", None),
    "InnerProduct": ("dense", "inner_product_param", _inner_product),
    "Pooling": ("average pooling", "pooling_param", _pooling),
    "LRN": ("normalisation", "lrn_param", _normalisation),
    "ReLU": ("activation", "relu_param", _activation("relu", "negative_slope", field="relu_param")),
    "PReLU": ("activation", "prelu_param", _sloped),
    "ELU": ("activation", "elu_param", _activation("elu", "alpha", field="elu_param")),
    "Sigmoid": ("activation", "", _activation("logistic")),
    "TanH": ("activation", "", _activation("tanh")),
    "AbsVal": ("activation", "", _activation("abs")),
    "BNLL": ("activation", "", _activation("soft relu")),
    "Power": (
        "activation",
        "power_param",
        _activation("power", "power", "scale", "shift", field="power_param"),
    ),
    "Exp": ("activation", "exp_param", _exponential),
    "Dropout": ("dropout", "dropout_param", _same),
    "Split": ("split", "", _same),
    "Concat": ("concatenate", "concat_param", _concatenation),
    "Slice": ("cropping", "slice_param", _same),
    "Eltwise": ("add", "eltwise_param", _combination),
    "Flatten": ("flatten", "flatten_param", _flatten),
    "Reshape": ("reshape", "reshape_param", _reshape),
    "BatchNorm": ("normalisation", "batch_norm_param", _batch_normalisation),
    "Scale": ("normalisation", "scale_param", _scale),
    "Bias": ("normalisation", "bias_param", _bias),
    "Softmax": ("activation", "softmax_param", _softmax),
    "SoftmaxWithLoss": ("activation", "softmax_param", _softmax),
}
