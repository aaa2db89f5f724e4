"""Caffe's files: networks as protobuf, binary (``.caffemodel``, ``.binaryproto``) or text (``.prototxt``).

Only what classifiers of images need is known of Caffe's schema; everything else is skipped. The arrays never
pass through protobuf: a file is walked field by field, and where an array lies is remembered, so that
reading one kernel of a network of 500 MB touches little more than that kernel.

The schema is ``mloscope_caffe.proto``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np

from mloscope.adaptors.files.regular_files import open_regular, read_regular
from mloscope.adaptors.interface import Refused, Unreadable

LARGEST_TEXT_BYTES = 16 * 1024 * 1024
MOST_FIELDS = 1_000_000

_V1_NAMES = {
    "LRN": "LRN", "RELU": "ReLU", "TANH": "TanH", "MVN": "MVN", "BNLL": "BNLL", "ABSVAL": "AbsVal",
    "SOFTMAX_LOSS": "SoftmaxWithLoss", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output",
}  # fmt: skip


def _schema() -> ModuleType:
    # Imported with the first Caffe file: protobuf takes a while, and most runs are of other formats.
    from mloscope.adaptors.readers.caffe import mloscope_caffe_pb2

    return mloscope_caffe_pb2


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
        return getattr(self.message, field, None) or getattr(_schema().LayerParameter(), field)


@dataclass(frozen=True)
class CaffeNet:
    path: Path
    layers: tuple[CaffeLayer, ...]
    inputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Name and shape, batch first, of what the network itself declares as its input."""


def read_prototxt(path: Path) -> CaffeNet:
    """The network that the text describes. Raises Unreadable."""
    from google.protobuf import text_format

    message = _schema().NetParameter()
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
        written = type(message).LayerType.Name(kind)
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
    schema = _schema()
    message = schema.V1LayerParameter() if first_version else schema.LayerParameter()
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
