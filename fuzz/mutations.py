"""Changes to a file's bytes, as Hypothesis strategies, so that a finding shrinks to the smallest change."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from hypothesis import strategies as st

BLOCK_BYTES = 32
MOST_COPIES = 100_000
_WORD = re.compile(rb'-?\d+(?:\.\d+)?|"[^"\n]{0,80}"|\b(?:null|true|false)\b')
# Lengths, counts and offsets that often break readers: zero, one, the limits of every width, and numbers
# too large for any file but not for an integer.
NUMBERS = (
    0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 10**6, 10**8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 40,
    (1 << 62) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
)  # fmt: skip
TEXTS = (
    b"-1", b"0", b"1", b"1e999", b"NaN", b"99999999999", b"9" * 5000, b"null", b"true", b'""', b"[]", b"{}", b"'", b'"', b"\\u0000",
    b"../../etc/passwd", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5000, b"a { " * 5000,
)  # fmt: skip


class Mutation(Protocol):
    """One change. Positions are modulo the file's length, so that each remains valid after the others."""

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None: ...


@dataclass(frozen=True)
class Flip:
    place: int
    bit: int

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        if data:
            data[self.place % len(data)] ^= 1 << self.bit


@dataclass(frozen=True)
class Overwrite:
    place: int
    by: bytes

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        if data:
            place = self.place % len(data)
            data[place : place + len(self.by)] = self.by[: len(data) - place]


@dataclass(frozen=True)
class Insert:
    place: int
    what: bytes

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        place = self.place % (len(data) + 1)
        data[place:place] = self.what


@dataclass(frozen=True)
class Truncate:
    place: int

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        if data:
            del data[self.place % len(data) :]


@dataclass(frozen=True)
class Cut:
    place: int
    length: int

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        if data:
            place = self.place % len(data)
            del data[place : place + self.length]


@dataclass(frozen=True)
class Repeat:
    """Repeat a piece of the file once or many times, directly after itself."""

    place: int
    length: int
    times: int

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        if data:
            place = self.place % len(data)
            piece = bytes(data[place : place + self.length])
            data[place:place] = piece * min(self.times, MOST_COPIES // max(1, len(piece)) or 1)


@dataclass(frozen=True)
class Splice:
    """Insert or overwrite with a piece of another real file of the same reader, or of this one."""

    donor: int
    start: int
    length: int
    place: int
    between: bool

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        source = donors[self.donor % len(donors)]
        if data and source:
            start, place = self.start % len(source), self.place % len(data)
            piece = source[start : start + self.length]
            data[place : place if self.between else place + len(piece)] = piece


@dataclass(frozen=True)
class Number:
    """Overwrite what may be a length, a count or an offset with a number."""

    place: int
    value: int
    width: int
    """In bytes; 0 for Protocol Buffers' variable width."""
    big_endian: bool

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        if self.width:
            number = self.value & ((1 << 8 * self.width) - 1)
            coded = number.to_bytes(self.width, "big" if self.big_endian else "little")
        else:
            coded = _varint(self.value)
        Overwrite(self.place, coded).apply(data, donors)


@dataclass(frozen=True)
class Word:
    """Replace one of the numbers, strings and booleans in a text."""

    index: int
    by: bytes

    def apply(self, data: bytearray, donors: Sequence[bytes]) -> None:
        written = [found.span() for found in _WORD.finditer(data[:1_000_000])]
        if written:
            start, end = written[self.index % len(written)]
            data[start:end] = self.by


def _varint(value: int) -> bytes:
    coded = bytearray()
    while value > 0x7F:
        coded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*coded, value))


def structure(data: bytes) -> list[int]:
    """Return where the file probably holds structure rather than weights or pixels: blocks of text, or blocks with many
    zeros, as small numbers in wide fields leave; trained weights have neither."""
    blocks = np.frombuffer(data[: len(data) // BLOCK_BYTES * BLOCK_BYTES], np.uint8).reshape(-1, BLOCK_BYTES)
    zeros = (blocks == 0).sum(axis=1)
    printable = ((blocks >= 32) & (blocks < 127)).sum(axis=1)
    described = ((zeros >= 8) & (zeros < BLOCK_BYTES)) | (printable >= 24)
    found = (np.flatnonzero(described) * BLOCK_BYTES).tolist()
    step = max(1, len(found) // 20_000)
    return found[::step]


def places(data: bytes) -> st.SearchStrategy[int]:
    size = max(1, len(data))
    head = st.integers(0, min(size, 512) - 1)
    tail = st.integers(max(0, size - 512), size - 1)
    anywhere = st.integers(0, size - 1)
    described = structure(data)
    if not described:
        return head | tail | anywhere
    inside = st.tuples(st.sampled_from(described), st.integers(0, BLOCK_BYTES - 1)).map(sum)
    return inside | inside | head | tail | anywhere


def mutations(data: bytes) -> st.SearchStrategy[list[Mutation]]:
    """Draw one to six changes of the file."""
    place = places(data)
    length = st.integers(1, 64) | st.integers(1, max(1, len(data) // 2))
    is_text = not data or sum(byte < 9 for byte in data[:4096]) == 0
    floats = st.sampled_from([struct.pack("<f", value) for value in (float("nan"), float("inf"), -1e38)])
    kinds = [
        st.builds(Flip, place, st.integers(0, 7)),
        st.builds(Flip, place, st.integers(0, 7)),
        st.builds(Overwrite, place, st.binary(min_size=1, max_size=8) | floats),
        st.builds(Insert, place, st.binary(min_size=1, max_size=16)),
        st.builds(Truncate, place),
        st.builds(Cut, place, length),
        st.builds(Repeat, place, length, st.integers(1, 4) | st.just(MOST_COPIES)),
        st.builds(Splice, st.integers(0, 7), place, length, place, st.booleans()),
        st.builds(Number, place, st.sampled_from(NUMBERS), st.sampled_from((0, 1, 2, 4, 8)), st.booleans()),
        st.builds(Number, place, st.sampled_from(NUMBERS), st.sampled_from((0, 4, 8)), st.just(False)),
        st.builds(Word, st.integers(0, 2000), st.sampled_from(TEXTS) | st.integers().map(lambda n: str(n).encode())),
    ]
    if is_text:
        words = st.builds(Word, st.integers(0, 2000), st.sampled_from(TEXTS))
        kinds += [words, words, st.builds(Insert, place, st.sampled_from(TEXTS))]
    return st.lists(st.one_of(kinds), min_size=1, max_size=6)


def mutated(data: bytes, changes: Sequence[Mutation], donors: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for change in changes:
        change.apply(changed, donors)
    return bytes(changed)
