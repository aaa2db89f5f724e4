"""TensorFlow's checkpoint files, ``<prefix>.index`` and ``<prefix>.data-00000-of-00001`` ..., read without
TensorFlow.

The index is a sorted table in LevelDB's format: blocks of prefix-compressed keys, each with a CRC, that lead
to one ``BundleEntryProto`` a tensor. The data files hold the tensors' raw bytes. Every block and every
tensor is checked against its CRC. Sources: ``tensorflow/core/util/tensor_bundle/tensor_bundle.cc``,
``tensorflow/core/protobuf/tensor_bundle.proto``, ``tensorflow/core/lib/strings/ordered_code.cc``.

An index is parsed once and remembered by its fingerprint, and what it says of a tensor is decoded when it is asked
for, so that one tensor of a checkpoint costs little more than its bytes.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from mloscope.adaptors.files.crc32c import extended_crc32c, masked, masked_crc32c
from mloscope.adaptors.files.protobuf_wire import Message, varint
from mloscope.adaptors.files.regular_files import TooLarge, open_regular, read_regular
from mloscope.adaptors.fingerprint import file_fingerprint
from mloscope.adaptors.interface import Refused, Unknown, Unreadable

INDEX = ".index"
LARGEST_INDEX_BYTES = 256 * 1024 * 1024
LONGEST_KEY_BYTES = 64 * 1024
_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES = 48
_PIECE_BYTES = 256 * 1024
"""Read and checked at a time, so that the checksum finds the bytes in the processor's cache."""
_TRAILER_BYTES = 5
_STRING, _BFLOAT16 = 7, 14
_DTYPES: dict[int, np.dtype] = {
    number: np.dtype(name).newbyteorder("<")
    for number, name in {
        1: "f4", 2: "f8", 3: "i4", 4: "u1", 5: "i2", 6: "i1", 8: "c8", 9: "i8", 10: "?", 11: "i1", 12: "u1",
        13: "i4", 14: "u2", 15: "i2", 16: "u2", 17: "u2", 18: "c16", 19: "f2", 22: "u4", 23: "u8",
    }.items()
}  # fmt: skip
_MOST_REMEMBERED = 500_000
"""Entries of indices that are remembered, over all checkpoints: some 100 MB."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor lies."""

    dtype_number: int
    """``DataType`` of ``tensorflow/core/framework/types.proto``."""
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int
    slices: tuple[tuple[tuple[int, int], ...], ...] = ()
    """Of a partitioned variable: its parts, a (start, length) an axis, length -1 for all of it."""

    @property
    def is_number(self) -> bool:
        return self.dtype_number in _DTYPES


class _Entries(Mapping[str, Entry]):
    """Decodes each entry when it is first asked for. A value that cannot be decoded raises Unreadable then."""

    def __init__(self, encoded: dict[str, bytes], what: str) -> None:
        self._encoded, self._what = encoded, what
        self._decoded: dict[str, Entry] = {}

    def __getitem__(self, key: str) -> Entry:
        entry = self._decoded.get(key)
        if entry is None:
            entry = self._decoded[key] = _entry(self._encoded[key], self._what)
        return entry

    def __contains__(self, key: object) -> bool:
        return key in self._encoded

    def __iter__(self) -> Iterator[str]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)


def _entry(value: bytes, what: str) -> Entry:
    """A ``BundleEntryProto``. Raises Unreadable."""
    message = Message(value, what)
    shape = message.message(2)
    return Entry(
        dtype_number=message.number(1),
        shape=tuple(size.signed(1) for size in shape.messages(2)),
        shard=message.number(3),
        offset=message.number(4),
        size=message.number(5),
        crc=message.number(6),
        slices=tuple(
            tuple((extent.signed(1), extent.signed(2, -1)) for extent in part.messages(1))
            for part in message.messages(7)
        ),
    )


class Bundle:
    """One checkpoint. What it says never changes after opening, so threads may share it."""

    def __init__(self, prefix: Path, index: bytes) -> None:
        """Raises Unreadable and Refused."""
        self._prefix = prefix
        self.path = Path(f"{prefix}{INDEX}")
        found = _table(index, self.path)
        header = Message(found.pop(b"", b""), str(self.path))
        if header.number(2) != 0:
            raise Unreadable(f"{self.path} was written on a big-endian machine, which is not supported.")
        self.shards = header.number(1, 1)
        if not 1 <= self.shards <= 99_999:
            raise Unreadable(f"{self.path} says that it has {self.shards} data files.")
        # Parts of partitioned variables stand under keys that begin with a zero byte.
        self._parts = {key: value for key, value in found.items() if key[0] == 0}
        self.entries: Mapping[str, Entry] = _Entries(
            {key.decode("utf-8", "replace"): value for key, value in found.items() if key[0]}, str(self.path)
        )
        """Every tensor by key, in the file's order, which is that of the keys' bytes."""

    def data_files(self) -> list[Path]:
        return [self._data_file(shard) for shard in range(self.shards)]

    def _data_file(self, shard: int) -> Path:
        return Path(f"{self._prefix}.data-{shard:05d}-of-{self.shards:05d}")

    def data_ends(self) -> dict[Path, int]:
        """How long each data file must at least be."""
        ends: dict[Path, int] = {self._data_file(0): 0}
        parts = (_entry(value, str(self.path)) for value in self._parts.values())
        for entry in (*self.entries.values(), *parts):
            if not entry.slices:
                path = self._data_file(entry.shard)
                ends[path] = max(ends.get(path, 0), entry.offset + entry.size)
        return ends

    def read(self, key: str) -> np.ndarray:
        """The tensor as stored; bfloat16, which NumPy lacks, as the float32 of the same values. Raises
        Unknown (no such key) and Unreadable (strings, or the files are broken)."""
        entry = self.entries.get(key)
        if entry is None:
            raise Unknown(f"{self.path} holds no tensor {key}.")
        dtype = _DTYPES.get(entry.dtype_number)
        if dtype is None:
            raise Unreadable(f"{self.path}: {key} does not hold numbers (data type {entry.dtype_number}).")
        array = self._joined(key, entry, dtype) if entry.slices else self._dense(key, entry, dtype)
        if entry.dtype_number == _BFLOAT16:
            array = (array.astype(np.uint32) << 16).view(np.float32)
        return array

    def read_strings(self, key: str) -> list[bytes]:
        """A tensor of strings, flattened. Raises Unknown and Unreadable."""
        entry = self.entries.get(key)
        if entry is None:
            raise Unknown(f"{self.path} holds no tensor {key}.")
        if entry.dtype_number != _STRING or entry.slices:
            raise Unreadable(f"{self.path}: {key} does not hold strings.")
        # The lengths, a CRC of them, then the strings.
        data = memoryview(self._bytes(key, entry, check=False)).toreadonly()
        lengths, position = [], 0
        for _ in range(min(math.prod(entry.shape), entry.size + 1)):
            length, position = varint(data, position, str(self.path))
            lengths.append(length)
        start = position + 4
        if start + sum(lengths) != entry.size:
            raise Unreadable(f"{self.path}: the strings of {key} do not fill their place.")
        # TensorFlow sums 4 bytes a length here, not the varints that it writes.
        as_numbers = b"".join(length.to_bytes(4 if length < 2**32 else 8, "little") for length in lengths)
        stored = bytes(data[position:start])
        if stored != masked_crc32c(as_numbers).to_bytes(4, "little") or entry.crc != masked_crc32c(
            as_numbers + stored + bytes(data[start:])
        ):
            raise Unreadable(f"{self._data_file(entry.shard)} is damaged: {key} does not have its checksum.")
        strings = []
        for length in lengths:
            strings.append(bytes(data[start : start + length]))
            start += length
        return strings

    def _dense(self, key: str, entry: Entry, dtype: np.dtype) -> np.ndarray:
        self._check_shape(key, entry)
        if entry.size != math.prod(entry.shape) * dtype.itemsize:
            raise Unreadable(
                f"{self.path}: {key} has the shape {entry.shape}, but {entry.size:,} bytes instead of "
                f"{math.prod(entry.shape) * dtype.itemsize:,}."
            )
        array = self._bytes(key, entry).view(dtype).reshape(entry.shape)
        return array if sys.byteorder == "little" else array.astype(dtype.newbyteorder("="))

    def _check_shape(self, key: str, entry: Entry) -> None:
        if len(entry.shape) > 32 or any(not 0 <= size < 2**40 for size in entry.shape):
            raise Unreadable(f"{self.path}: {key} has the impossible shape {entry.shape[:33]}.")

    def _bytes(self, key: str, entry: Entry, check: bool = True) -> np.ndarray:
        """The tensor's bytes. Without ``check`` the caller verifies the checksum."""
        path = self._data_file(entry.shard)
        if entry.shard >= self.shards:
            raise Unreadable(f"{self.path}: the place of {key} is impossible.")
        try:
            with open_regular(path, buffering=0) as file:
                length = os.fstat(file.fileno()).st_size
                if entry.offset + entry.size > length:
                    raise Unreadable(
                        f"{path} is cut off: {key} should end at {entry.offset + entry.size:,} "
                        f"and the file has {length:,} bytes."
                    )
                file.seek(entry.offset)
                data = np.empty(entry.size, np.uint8)
                view, position, crc = memoryview(data), 0, 0
                while position < entry.size:
                    count = file.readinto(view[position : position + _PIECE_BYTES])
                    if not count:
                        raise Unreadable(f"{path} became shorter while {key} was read.")
                    if check:
                        crc = extended_crc32c(crc, data[position : position + count])
                    position += count
        except OSError as error:
            raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
        if check and masked(crc) != entry.crc:
            raise Unreadable(f"{path} is damaged: {key} does not have the checksum that the index gives.")
        return data

    def _joined(self, key: str, entry: Entry, dtype: np.dtype) -> np.ndarray:
        self._check_shape(key, entry)
        places, total = [], 0
        for part in entry.slices:
            stored = self._parts.get(_part_key(key, part))
            if stored is None or len(part) != len(entry.shape):
                raise Unreadable(f"{self.path}: a part of {key} is missing.")
            place = tuple(
                slice(0, size) if length < 0 else slice(start, start + length)
                for (start, length), size in zip(part, entry.shape, strict=True)
            )
            held, wanted = _entry(stored, str(self.path)), tuple(each.stop - each.start for each in place)
            outside = any(
                not 0 <= each.start <= each.stop <= size for each, size in zip(place, entry.shape, strict=True)
            )
            if outside or held.shape != wanted or held.dtype_number != entry.dtype_number or held.slices:
                raise Unreadable(f"{self.path}: a part of {key} does not fit into its shape {entry.shape}.")
            places.append((place, held))
            total += math.prod(wanted)
        on_disk = sum(path.stat().st_size for path in self.data_files() if path.exists())
        if total != math.prod(entry.shape) or total * dtype.itemsize > on_disk:
            raise Unreadable(f"{self.path}: the parts of {key} do not make up its shape {entry.shape}.")
        whole = np.zeros(entry.shape, dtype)
        for place, held in places:
            whole[place] = self._dense(f"{key} at {held.offset}", held, dtype)
        return whole


# -------------------------------------------------------------------------------------------- opening, once

# By entries, so that a few large checkpoints count as much as many small ones; one alone may be larger than all should be.
_remembered: MutableMapping[str, tuple[str, Bundle]] = LRUCache(
    _MOST_REMEMBERED, getsizeof=lambda known: min(len(known[1].entries), _MOST_REMEMBERED)
)
_lock = threading.Lock()


def open_bundle(prefix: Path) -> Bundle:
    """The checkpoint whose files begin with ``prefix``, parsed again only if its index has changed. Raises
    Unreadable and Refused."""
    path = Path(f"{prefix}{INDEX}")
    fingerprint = file_fingerprint(path)
    with _lock:
        known = _remembered.get(str(prefix))
    if known and known[0] == fingerprint:
        return known[1]
    try:
        bundle = Bundle(prefix, read_regular(path, LARGEST_INDEX_BYTES))
    except TooLarge as error:
        raise Refused(f"{path} is larger than any index needs: {error.strerror}.") from error
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
    with _lock:
        _remembered[str(prefix)] = (fingerprint, bundle)
    return bundle


def forget() -> None:
    """Parse every index again from now on; for measurements and tests."""
    with _lock:
        _remembered.clear()


def is_index(path: Path) -> bool:
    """Whether the file ends as an index does. Reads its last bytes only."""
    try:
        with open_regular(path) as file:
            if file.seek(0, os.SEEK_END) < _FOOTER_BYTES:
                return False
            file.seek(-8, os.SEEK_END)
            return file.read() == _MAGIC.to_bytes(8, "little")
    except OSError:
        return False


# ------------------------------------------------------------------------------------------ the sorted table


def _table(data: bytes, path: Path) -> dict[bytes, bytes]:
    """Every key and value of the table. Raises Unreadable and Refused."""
    if len(data) < _FOOTER_BYTES or int.from_bytes(data[-8:], "little") != _MAGIC:
        raise Unreadable(f"{path} is not the index of a TensorFlow checkpoint, or it is cut off.")
    footer = data[-_FOOTER_BYTES:]
    position = 0
    handle = [0, 0, 0, 0]  # offset and size, of the blocks about blocks and of the block of blocks
    for number in range(4):
        handle[number], position = varint(footer, position, str(path))
    found: dict[bytes, bytes] = {}
    # Keys share what they begin with, so few bytes could become many.
    budget_bytes = 4 * len(data) + 16 * 1024 * 1024
    end = 0

    def add_block(_: bytes, place: bytes) -> None:
        nonlocal budget_bytes, end
        offset, position = varint(place, 0, str(path))
        size, _position = varint(place, position, str(path))
        if offset < end:
            raise Unreadable(f"{path} is damaged: its blocks overlap.")
        end = offset + size
        budget_bytes = _block(data, offset, size, path, budget_bytes, found.__setitem__)

    _block(data, handle[2], handle[3], path, budget_bytes, add_block)
    return found


def _block(
    data: bytes, offset: int, size: int, path: Path, budget_bytes: int, add: Callable[[bytes, bytes], None]
) -> int:
    """Add each key and value of the block, and return what the keys leave of ``budget_bytes``. Raises Unreadable and
    Refused."""
    end = offset + size
    if end + _TRAILER_BYTES > len(data) - _FOOTER_BYTES or size < 4:
        raise Unreadable(f"{path} is damaged: a block of its table lies outside the file.")
    if data[end]:
        how = "with snappy" if data[end] == 1 else f"in an unknown way ({data[end]})"
        raise Unreadable(
            f"{path} is compressed {how}, which TensorFlow does not do by itself and which is not supported; "
            "restore and save the checkpoint again."
        )
    if masked_crc32c(data[offset : end + 1]) != int.from_bytes(data[end + 1 : end + 5], "little"):
        raise Unreadable(f"{path} is damaged: a block of its table does not have its checksum.")
    restarts = int.from_bytes(data[end - 4 : end], "little")
    last = end - 4 - 4 * restarts
    if last < offset:
        raise Unreadable(f"{path} is damaged: a block of its table is shorter than it says.")
    position, key, key_bytes, what = offset, b"", 0, str(path)
    while position < last:
        shared, own, length = data[position : position + 3]  # what follows a block is longer
        if shared | own | length < 0x80:  # as most are: each is a number by itself
            position += 3
        else:
            shared, position = varint(data, position, what)
            own, position = varint(data, position, what)
            length, position = varint(data, position, what)
        value = position + own
        if shared > key_bytes or value + length > last:
            raise Unreadable(f"{path} is damaged: an entry of its table is longer than its block.")
        key_bytes = shared + own
        budget_bytes -= key_bytes
        if budget_bytes < 0:
            raise Refused(f"{path} has keys that would unpack to far more than the file, so it is not read.")
        if key_bytes > LONGEST_KEY_BYTES:
            raise Refused(f"{path} has a key of {key_bytes:,} bytes, so it is not read.")
        key = key[:shared] + data[position:value]
        position = value + length
        add(key, data[value:position])
    return budget_bytes


def _part_key(name: str, part: tuple[tuple[int, int], ...]) -> bytes:
    """The key of a partitioned variable's part, as ``EncodeTensorNameSlice`` writes it: an order-preserving
    code."""
    escaped = name.encode().replace(b"\0", b"\0\xff")  # a byte 0xff, which UTF-8 never has, would be escaped too
    count = bytes([1, len(part)]) if part else b"\0"
    numbers = b"".join(_ordered(start) + _ordered(length) for start, length in part)
    return b"\0" + escaped + b"\0\x01" + count + numbers


def _ordered(value: int) -> bytes:
    size = ((~value if value < 0 else value).bit_length()) // 7 + 1
    header = ((0xFFFF << (16 - size)) & 0xFFFF) << max(0, 8 * (size - 2))
    if size == 1:
        return bytes([(value & 0xFF) ^ 0x80])
    return ((value & ((1 << 8 * size) - 1)) ^ header).to_bytes(size, "big")
