"""Read single fields of Protocol Buffers messages in the wire format, without generated code.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mloscope.adaptors.interface import Unreadable

Buffer = bytes | memoryview


def varint(data: Buffer, position: int, what: str) -> tuple[int, int]:
    """Return the number at the position and the position after it. Raises Unreadable if the data is truncated."""
    if position < len(data) and data[position] < 0x80:  # as most are
        return data[position], position + 1
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise Unreadable(f"{what} is damaged: a number in it does not end.")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7


class Message:
    """A message: its fields by number. ``what`` names the file in errors."""

    def __init__(self, data: Buffer, what: str) -> None:
        """Split the message into fields, without nested messages. Raises Unreadable if the bytes are not a message."""
        self._what = what
        self._fields: dict[int, list[int | Buffer]] = {}
        position = 0
        while position < len(data):
            tag, position = varint(data, position, what)
            value: int | Buffer
            if tag & 7 == 0:
                value, position = varint(data, position, what)
            else:
                if tag & 7 == 2:
                    length, position = varint(data, position, what)
                else:
                    length = {1: 8, 5: 4}.get(tag & 7, -1)
                if length < 0 or position + length > len(data):
                    raise Unreadable(f"{what} is damaged: a field in it is longer than what holds it.")
                value = data[position : position + length]
                position += length
                if tag & 7 != 2:
                    value = int.from_bytes(value, "little")
            self._fields.setdefault(tag >> 3, []).append(value)

    def number(self, field: int, default: int = 0) -> int:
        """Return an unsigned or fixed-width number; the last one wins, as the format requires."""
        found = self._fields.get(field)
        return found[-1] if found and isinstance(found[-1], int) else default

    def signed(self, field: int, default: int = 0) -> int:
        """Return an ``int32`` or ``int64``."""
        value = self.number(field, default)
        return value - (1 << 64) if value >= 1 << 63 else value

    def numbers(self, field: int) -> list[int]:
        """Return a repeated ``int32`` or ``int64``, packed or not."""
        values: list[int] = []
        for value in self._fields.get(field, ()):
            if isinstance(value, int):
                values.append(value)
                continue
            position = 0
            while position < len(value):
                number, position = varint(value, position, self._what)
                values.append(number)
        return [value - (1 << 64) if value >= 1 << 63 else value for value in values]

    def reals(self, field: int, size: int) -> np.ndarray:
        """Return as float64 a repeated ``float`` (``size`` 4) or ``double`` (8), packed or not."""
        values = (
            value.to_bytes(size, "little") if isinstance(value, int) else bytes(value)
            for value in self._fields.get(field, ())
        )
        data = b"".join(values)
        return np.frombuffer(data[: len(data) // size * size], f"<f{size}").astype(np.float64)

    def data(self, field: int, default: bytes = b"") -> bytes:
        found = self._fields.get(field)
        return default if not found or isinstance(found[-1], int) else bytes(found[-1])

    def text(self, field: int) -> str:
        return self.data(field).decode("utf-8", "replace")

    def texts(self, field: int) -> list[str]:
        return [
            bytes(value).decode("utf-8", "replace")
            for value in self._fields.get(field, ())
            if not isinstance(value, int)
        ]

    def message(self, field: int) -> Message:
        """Return the message in the field, or an empty one."""
        return Message(self.data(field), self._what)

    def messages(self, field: int) -> Iterator[Message]:
        for value in self._fields.get(field, ()):
            if not isinstance(value, int):
                yield Message(value, self._what)

    def __contains__(self, field: int) -> bool:
        return field in self._fields
