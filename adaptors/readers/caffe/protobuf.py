"""Caffe's files: networks as protobuf, binary (``.caffemodel``, ``.binaryproto``) or text (``.prototxt``).

Of Caffe's schema only what classifiers of images need is known here; everything else is skipped. The arrays
never pass through protobuf: a file is walked field by field, and where an array lies is remembered, so that
reading one kernel of a network of 500 MB touches little more than that kernel.

Source of numbers and defaults: ``caffe.proto`` of BVLC's Caffe 1.0.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from mloscope.adaptors.files.regular_files import open_regular, read_regular
from mloscope.adaptors.interface import Refused, Unreadable

LARGEST_TEXT_BYTES = 16 * 1024 * 1024
MOST_FIELDS = 1_000_000

# A message a line, a field a word: name=number:type, * where there may be several, =default at the end.
_MESSAGES = """
BlobShape dim=1:int64*
NetStateRule phase=1:Phase
TransformationParameter scale=1:float=1 crop_size=3:uint32 mean_file=4:string mean_value=5:float*
DataParameter source=1:string scale=2:float=1 mean_file=3:string crop_size=5:uint32
InputParameter shape=1:BlobShape*
ConcatParameter concat_dim=1:uint32=1 axis=2:int32=1
ConvolutionParameter num_output=1:uint32 bias_term=2:bool=true pad=3:uint32* kernel_size=4:uint32*
 group=5:uint32=1 stride=6:uint32* pad_h=9:uint32 pad_w=10:uint32 kernel_h=11:uint32 kernel_w=12:uint32
 stride_h=13:uint32 stride_w=14:uint32 axis=16:int32=1 dilation=18:uint32*
DropoutParameter dropout_ratio=1:float=0.5
EltwiseParameter operation=1:EltwiseOperation=SUM coeff=2:float*
ELUParameter alpha=1:float=1
ExpParameter base=1:float=-1 scale=2:float=1 shift=3:float=0
FlattenParameter axis=1:int32=1 end_axis=2:int32=-1
InnerProductParameter num_output=1:uint32 bias_term=2:bool=true axis=5:int32=1 transpose=6:bool=false
LRNParameter local_size=1:uint32=5 alpha=2:float=1 beta=3:float=0.75 norm_region=4:NormalisationRegion
 k=5:float=1
PoolingParameter pool=1:PoolMethod kernel_size=2:uint32 stride=3:uint32=1 pad=4:uint32=0 kernel_h=5:uint32
 kernel_w=6:uint32 stride_h=7:uint32 stride_w=8:uint32 pad_h=9:uint32 pad_w=10:uint32
 global_pooling=12:bool=false
 round_mode=13:RoundMode
PowerParameter power=1:float=1 scale=2:float=1 shift=3:float=0
PReLUParameter channel_shared=2:bool=false
ReLUParameter negative_slope=1:float=0
ReshapeParameter shape=1:BlobShape axis=2:int32=0 num_axes=3:int32=-1
BatchNormParameter eps=3:float=0.00001
ScaleParameter axis=1:int32=1 num_axes=2:int32=1 bias_term=4:bool=false
BiasParameter axis=1:int32=1 num_axes=2:int32=1
SliceParameter slice_dim=1:uint32=1 slice_point=2:uint32* axis=3:int32=1
SoftmaxParameter axis=2:int32=1
LayerParameter name=1:string type=2:string bottom=3:string* top=4:string* loss_weight=5:float* include=8:NetStateRule*
 exclude=9:NetStateRule* transform_param=100:TransformationParameter concat_param=104:ConcatParameter
 convolution_param=106:ConvolutionParameter data_param=107:DataParameter dropout_param=108:DropoutParameter
 eltwise_param=110:EltwiseParameter exp_param=111:ExpParameter inner_product_param=117:InnerProductParameter
 lrn_param=118:LRNParameter pooling_param=121:PoolingParameter power_param=122:PowerParameter
 relu_param=123:ReLUParameter softmax_param=125:SoftmaxParameter slice_param=126:SliceParameter
 prelu_param=131:PReLUParameter reshape_param=133:ReshapeParameter flatten_param=135:FlattenParameter
 batch_norm_param=139:BatchNormParameter elu_param=140:ELUParameter bias_param=141:BiasParameter
 scale_param=142:ScaleParameter input_param=143:InputParameter
V1LayerParameter bottom=2:string* top=3:string* name=4:string type=5:V1Type concat_param=9:ConcatParameter
 convolution_param=10:ConvolutionParameter data_param=11:DataParameter dropout_param=12:DropoutParameter
 inner_product_param=17:InnerProductParameter lrn_param=18:LRNParameter pooling_param=19:PoolingParameter
 power_param=21:PowerParameter eltwise_param=24:EltwiseParameter relu_param=30:ReLUParameter
 slice_param=31:SliceParameter include=32:NetStateRule* exclude=33:NetStateRule*
 loss_weight=35:float* transform_param=36:TransformationParameter softmax_param=39:SoftmaxParameter exp_param=41:ExpParameter
NetParameter name=1:string layers=2:V1LayerParameter* input=3:string* input_dim=4:int32*
 input_shape=8:BlobShape*
 layer=100:LayerParameter*
"""
_ENUMERATIONS = {
    "Phase": "TRAIN TEST",
    "PoolMethod": "MAX AVE STOCHASTIC",
    "RoundMode": "CEIL FLOOR",
    "EltwiseOperation": "PROD SUM MAX",
    "NormalisationRegion": "ACROSS_CHANNELS WITHIN_CHANNEL",
    "V1Type": (
        "NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA HDF5_OUTPUT "
        "IM2COL IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS POOLING RELU SIGMOID "
        "SOFTMAX SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE POWER SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS "
        "MEMORY_DATA ARGMAX THRESHOLD DUMMY_DATA SLICE MVN ABSVAL SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION"
    ),
}
_V1_NAMES = {
    "LRN": "LRN", "RELU": "ReLU", "TANH": "TanH", "MVN": "MVN", "BNLL": "BNLL", "ABSVAL": "AbsVal",
    "SOFTMAX_LOSS": "SoftmaxWithLoss", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output",
}  # fmt: skip
_PACKAGE = "mloscope_caffe"


@cache
def _message_class(name: str) -> Any:
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto2")
    for name, values in _ENUMERATIONS.items():
        enumeration = file.enum_type.add(name=name)
        for number, value in enumerate(values.split()):
            enumeration.value.add(name=value, number=number)
    # The values of all enumerations of a file share one namespace, so each gets a message around it.
    holder = {name: file.message_type.add(name=f"In{name}") for name in _ENUMERATIONS}
    for enumeration in file.enum_type:
        holder[enumeration.name].enum_type.append(enumeration)
    del file.enum_type[:]
    for line in _MESSAGES.replace("\n ", " ").split("\n"):
        if line:
            name, *fields = line.split()
            message = file.message_type.add(name=name)
            for field in fields:
                _add_field(message, field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _add_field(message: Any, written: str) -> None:
    name, rest = written.split("=", 1)
    number, kind = rest.split(":", 1)
    kind, _, default = kind.partition("=")
    several = kind.endswith("*")
    kind = kind.removesuffix("*")
    field = message.field.add(name=name, number=int(number), label=3 if several else 1)
    if kind in _ENUMERATIONS:
        field.type, field.type_name = field.TYPE_ENUM, f".{_PACKAGE}.In{kind}.{kind}"
    elif kind[0].isupper():
        field.type, field.type_name = field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")
    if default:
        field.default_value = default


# -------------------------------------------------------------------------------------------------- networks


@dataclass(frozen=True)
class Blob:
    """Where an array lies in a file."""

    shape: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """Position and length in bytes of its pieces."""
    dtype: str


@dataclass(frozen=True)
class CaffeLayer:
    name: str
    type: str
    """As Caffe 1.0 calls it, ``InnerProduct``, also where the file has a number or ``INNER_PRODUCT``."""
    message: Any
    """A LayerParameter or V1LayerParameter, without its arrays."""
    blobs: tuple[Blob, ...] = ()

    def parameters(self, field: str) -> Any:
        """The settings in the field, ``convolution_param``; defaults where the file says nothing."""
        return getattr(self.message, field, None) or getattr(_message_class("LayerParameter")(), field)


@dataclass(frozen=True)
class CaffeNet:
    path: Path
    layers: tuple[CaffeLayer, ...]
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Name and shape, batch first, of what the network itself declares as its input."""


def read_prototxt(path: Path) -> CaffeNet:
    """The network that the text describes. Raises Unreadable."""
    from google.protobuf import text_format

    message = _message_class("NetParameter")()
    try:
        text = read_regular(path, LARGEST_TEXT_BYTES).decode("utf-8", "replace")
        text_format.Parse(text, message, allow_unknown_field=True)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
    except (text_format.ParseError, ValueError, RecursionError) as error:
        raise Unreadable(f"{path} is no description of a Caffe network: {str(error)[:200]}.") from error
    layers = [_layer(each, (), path) for each in (*message.layers, *message.layer)]
    return CaffeNet(path, tuple(layers), _declared_inputs(message))


def read_caffemodel(path: Path) -> CaffeNet:
    """The network that the snapshot holds: its layers with where their arrays lie, and as much of its
    description as Caffe wrote. Raises Unreadable and Refused."""
    layers: list[CaffeLayer] = []
    try:
        with open_regular(path) as file:
            walk = _Walk(file, path)
            for number, wire, start, length in walk.fields(0, walk.size):
                if wire == 2 and number in (2, 100):
                    layers.append(_stored_layer(walk, number == 2, start, length))
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
    if not layers:
        raise Unreadable(f"{path} holds no layers, as a Caffe snapshot does.")
    return CaffeNet(path, tuple(layers))


def read_blobs(path: Path, blobs: list[Blob]) -> list[np.ndarray]:
    """The arrays, as stored. Raises Unreadable."""
    try:
        with open_regular(path) as file:
            return [_array(file, blob, path) for blob in blobs]
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error


def read_blob_file(path: Path) -> np.ndarray:
    """The one array of a ``.binaryproto``. Raises Unreadable."""
    try:
        with open_regular(path) as file:
            walk = _Walk(file, path)
            return _array(file, _blob(walk, 0, walk.size), path)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error


def _declared_inputs(message: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
    names, sizes = list(message.input), list(message.input_dim)
    shapes = [tuple(shape.dim) for shape in message.input_shape]
    if not shapes:
        shapes = [tuple(sizes[place : place + 4]) for place in range(0, len(sizes), 4)]
    shapes += [()] * (len(names) - len(shapes))
    return tuple(zip(names, shapes, strict=False))


def _layer(message: Any, blobs: tuple[Blob, ...], path: Path) -> CaffeLayer:
    kind = message.type
    # Protobuf gives bytes where a text is not in UTF-8.
    if not all(isinstance(text, str) for text in (message.name, *message.bottom, *message.top)):
        raise Unreadable(f"{path} holds a layer whose name is no text.")
    if isinstance(kind, int):
        names = _ENUMERATIONS["V1Type"].split()
        written = names[kind] if 0 <= kind < len(names) else "NONE"
        kind = _V1_NAMES.get(written) or "".join(part.capitalize() for part in written.split("_"))
    if not isinstance(kind, str) or kind in ("", "None"):
        raise Unreadable(
            f"{path}: the layer {message.name or '(without a name)'} has no type. Networks of Caffe before "
            "2014 (V0) are read after Caffe's upgrade_net_proto_text or upgrade_net_proto_binary."
        )
    return CaffeLayer(message.name, kind, message, blobs)


# ------------------------------------------------------------------------------------------- the wire format


class _Walk:
    """Goes through the fields of a protobuf file without reading what they hold."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.file, self.path = file, path
        self.size = os.fstat(file.fileno()).st_size
        self._left = MOST_FIELDS

    def fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """(field number, wire type, where its content starts, its length); of numbers the length is 0 and the
        start is the number."""
        place = start
        while place < end:
            self._left -= 1
            if self._left < 0:
                raise Refused(f"{self.path} has more than {MOST_FIELDS:,} parts; it is not read.")
            self.file.seek(place)
            key = self._varint()
            wire = key & 7
            if wire == 0:
                value = self._varint()
                place = self.file.tell()
                yield key >> 3, wire, value, 0
                continue
            length = self._varint() if wire == 2 else {1: 8, 5: 4}.get(wire, -1)
            place = self.file.tell()
            if length < 0 or place + length > end:
                raise Unreadable(f"{self.path} is cut off or no protobuf: a part of it goes beyond its end.")
            yield key >> 3, wire, place, length
            place += length

    def bytes_at(self, start: int, length: int) -> bytes:
        self.file.seek(start)
        return self.file.read(length)

    def varints(self, start: int, length: int) -> list[int]:
        """Packed numbers, at most as many as an array has axes."""
        self.file.seek(start)
        numbers: list[int] = []
        while self.file.tell() < start + length:
            numbers.append(self._varint())
            if len(numbers) > 32:
                raise Unreadable(f"{self.path} holds an array of more than 32 axes.")
        return numbers

    def _varint(self) -> int:
        result = 0
        for shift in range(0, 70, 7):
            byte = self.file.read(1)
            if not byte:
                break
            result |= (byte[0] & 127) << shift
            if byte[0] < 128:
                return result
        raise Unreadable(f"{self.path} is cut off or no protobuf.")


def _stored_layer(walk: _Walk, first_version: bool, start: int, length: int) -> CaffeLayer:
    from google.protobuf.message import DecodeError

    description, blobs, before = bytearray(), [], start
    for number, wire, place, size in walk.fields(start, start + length):
        after = place + size if wire else walk.file.tell()
        if wire == 2 and number == (6 if first_version else 7):
            blobs.append(_blob(walk, place, size))
        elif after - before + len(description) > LARGEST_TEXT_BYTES:
            raise Refused(f"{walk.path} describes a layer in more bytes than any network needs; it is not read.")
        else:
            description += walk.bytes_at(before, after - before)
        before = after
    message = _message_class("V1LayerParameter" if first_version else "LayerParameter")()
    try:
        message.ParseFromString(bytes(description))
    except DecodeError as error:
        raise Unreadable(f"{walk.path} holds a layer that is no Caffe layer: {error}.") from error
    return _layer(message, tuple(blobs), walk.path)


def _blob(walk: _Walk, start: int, length: int) -> Blob:
    legacy = {1: 1, 2: 1, 3: 1, 4: 1}
    shape: list[int] | None = None
    spans: list[tuple[int, int]] = []
    dtype = "<f4"
    is_legacy = False
    for number, wire, place, size in walk.fields(start, start + length):
        if wire == 0 and number in legacy:
            legacy[number], is_legacy = place, True
        elif wire == 2 and number == 7:
            shape = []
            for inner, inner_wire, inner_place, inner_size in walk.fields(place, place + size):
                if inner == 1:
                    shape += walk.varints(inner_place, inner_size) if inner_wire == 2 else [inner_place]
        elif wire == 2 and number in (5, 8):
            spans.append((place, size))
            dtype = "<f4" if number == 5 else "<f8"
        elif number in (5, 8):
            raise Unreadable(f"{walk.path} holds an array number by number (unpacked), which Caffe never writes.")
    if shape is None:
        shape = list(legacy.values()) if is_legacy else None
    count = sum(size for _, size in spans) // np.dtype(dtype).itemsize
    found = (count,) if shape is None else tuple(shape)
    if math.prod(found) != count:
        raise Unreadable(f"{walk.path} holds an array of {count} numbers that is said to have the shape {found}.")
    return Blob(found, tuple(spans), dtype)


def _array(file: IO[bytes], blob: Blob, path: Path) -> np.ndarray:
    pieces = []
    for start, length in blob.spans:
        file.seek(start)
        pieces.append(file.read(length))
    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(data) != math.prod(blob.shape) * np.dtype(blob.dtype).itemsize:
        raise Unreadable(f"{path} is cut off.")
    return np.frombuffer(data, blob.dtype).reshape(blob.shape)
