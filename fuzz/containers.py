"""Files inside files: damage the contents and recompute the checksums, so that these do not cause the rejection."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Protocol

from mloscope.adaptors.files.crc32c import masked_crc32c
from mloscope.adaptors.files.protobuf_wire import varint

_INDEX_MAGIC = 0xDB4775248B80FB57
_PNG_SIGNATURE_BYTES = 8


class Container(Protocol):
    def payload(self, data: bytes) -> bytes:
        """Return the contents to damage."""
        ...

    def sealed(self, payload: bytes, data: bytes) -> bytes:
        """Return the file ``data`` with these contents instead."""
        ...


@dataclass(frozen=True)
class Bare:
    """No container: the bytes are the file itself."""

    def payload(self, data: bytes) -> bytes:
        return data

    def sealed(self, payload: bytes, data: bytes) -> bytes:
        return payload


@dataclass(frozen=True)
class Gzip:
    def payload(self, data: bytes) -> bytes:
        return gzip.decompress(data)

    def sealed(self, payload: bytes, data: bytes) -> bytes:
        return gzip.compress(payload, 1, mtime=0)


@dataclass(frozen=True)
class ZipMember:
    name: str

    def payload(self, data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.read(self.name)

    def sealed(self, payload: bytes, data: bytes) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(made, "w", compresslevel=1) as sealed:
            for member in archive.infolist():
                own = zipfile.ZipInfo(member.filename)
                own.compress_type = member.compress_type
                sealed.writestr(own, payload if member.filename == self.name else archive.read(member))
        return made.getvalue()


@dataclass(frozen=True)
class Png:
    """The chunks of a picture: lengths, types and contents may be damaged; checksums are recomputed."""

    def payload(self, data: bytes) -> bytes:
        return data

    def sealed(self, payload: bytes, data: bytes) -> bytes:
        sealed, place = bytearray(payload), _PNG_SIGNATURE_BYTES
        while place + 12 <= len(sealed):
            length = int.from_bytes(sealed[place : place + 4], "big")
            end = place + 8 + length
            if end + 4 > len(sealed):
                break
            sealed[end : end + 4] = zlib.crc32(sealed[place + 4 : end]).to_bytes(4, "big")
            place = end + 4
        return bytes(sealed)


@dataclass(frozen=True)
class Records:
    """The records of a TensorBoard event file; checksums of lengths and contents are recomputed."""

    def payload(self, data: bytes) -> bytes:
        return data

    def sealed(self, payload: bytes, data: bytes) -> bytes:
        sealed, place = bytearray(payload), 0
        while place + 16 <= len(sealed):
            sealed[place + 8 : place + 12] = masked_crc32c(bytes(sealed[place : place + 8])).to_bytes(4, "little")
            end = place + 12 + int.from_bytes(sealed[place : place + 8], "little")
            if end + 4 > len(sealed):
                break
            sealed[end : end + 4] = masked_crc32c(bytes(sealed[place + 12 : end])).to_bytes(4, "little")
            place = end + 4
        return bytes(sealed)


@dataclass(frozen=True)
class BundleIndex:
    """The single block of keys and entries in a TensorFlow checkpoint's index, which has a checksum."""

    def payload(self, data: bytes) -> bytes:
        handle = []
        position = 0
        for _ in range(4):
            number, position = varint(data[-48:], position, "the footer")
            handle.append(number)
        place = data[handle[2] : handle[2] + handle[3]]
        # Length of the shared part of the key, of its own part, of the value; the key; the block's position.
        _, position = varint(place, 0, "the block of blocks")
        own, position = varint(place, position, "the block of blocks")
        _, position = varint(place, position, "the block of blocks")
        offset, position = varint(place, position + own, "the block of blocks")
        size, _ = varint(place, position, "the block of blocks")
        return data[offset : offset + size]

    def sealed(self, payload: bytes, data: bytes) -> bytes:
        table = bytearray()
        entries = _handle(_add(table, payload))
        empty = _add(table, bytes(8)[:4] + b"\x01\0\0\0")
        last_key = b"\xff"
        blocks = _add(table, bytes((0, len(last_key), len(entries))) + last_key + entries + bytes(4) + b"\x01\0\0\0")
        footer = _handle(empty) + _handle(blocks)
        return bytes(table) + footer.ljust(40, b"\0") + _INDEX_MAGIC.to_bytes(8, "little")


def _add(table: bytearray, block: bytes) -> tuple[int, int]:
    offset = len(table)
    table += block + b"\0"
    table += masked_crc32c(block + b"\0").to_bytes(4, "little")
    return offset, len(block)


def _handle(place: tuple[int, int]) -> bytes:
    coded = bytearray()
    for number in place:
        while number > 0x7F:
            coded.append(number & 0x7F | 0x80)
            number >>= 7
        coded.append(number)
    return bytes(coded)
