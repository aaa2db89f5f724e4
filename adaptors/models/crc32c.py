"""CRC-32C (Castagnoli) of a buffer in NumPy, at about a gigabyte a second; neither Python nor NumPy has one.

A message is a polynomial over GF(2) and its CRC the remainder of a division by P. P divides ``x^5275 + x^4508
+ x^2751 + 1`` (found by search; no multiple with four terms is shorter), so a term x^5275 may be replaced by
the three others without changing the remainder. Over GF(2) ``f(x)^2 = f(x^2)``, so the same holds with all
exponents times 64, that is of whole words: a message is shortened to its last 5275 words by XORs of long
arrays alone. A multiple with six terms shortens those to 209, and a table does the rest, byte by byte.
"""

from __future__ import annotations

import threading

import numpy as np

_REFLECTED = 0x82F63B78
# Exponents of multiples of P, falling; the last term, 1, is left out.
_MULTIPLES = ((5275, 4508, 2751), (209, 144, 54, 39, 14))
_MASK_DELTA = 0xA282EAD8
_WORTH_FOLDING_BYTES = 2048
_LONGEST_SCALE = 4
_PIECE_WORDS = 32 * 1024
_of_thread = threading.local()


def _table() -> tuple[int, ...]:
    values = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_REFLECTED if value & 1 else 0)
        values.append(value)
    return tuple(values)


_TABLE = _table()


def crc32c(data: bytes | memoryview | np.ndarray) -> int:
    """The CRC of the bytes, as RFC 3720 defines it."""
    message = np.frombuffer(data, np.uint8)
    if len(message) <= _WORTH_FOLDING_BYTES:
        return ~_remainder(message.tobytes(), 0xFFFFFFFF) & 0xFFFFFFFF
    words = _shortened(message)  # which has taken in the initial value
    return ~_remainder(words.tobytes(), 0) & 0xFFFFFFFF


def _remainder(message: bytes, register: int) -> int:
    for byte in message:
        register = (register >> 8) ^ _TABLE[(register ^ byte) & 0xFF]
    return register


def _shortened(message: np.ndarray) -> np.ndarray:
    """At most a few hundred words with the same remainder as the message after its initial value."""
    # Zeros before a message are nothing to its remainder: they fill the first word.
    first = np.zeros(2, np.uint64)
    start = len(message) % 8 + 8
    first.view(np.uint8)[16 - start :] = message[:start]
    first.view(np.uint8)[16 - start :][:4] ^= 0xFF
    rest = message[start:].view(np.uint64)
    # Piece by piece through a buffer that stays in the processor's cache: what is left of one piece precedes
    # the next. Long messages are folded in long strides.
    scale = _LONGEST_SCALE if len(rest) > _PIECE_WORDS else 1
    kept = _MULTIPLES[0][0] * scale
    buffer = _buffer()
    buffer[:kept] = 0
    buffer[kept - 2 : kept] = first
    for position in range(0, len(rest), _PIECE_WORDS):
        piece = rest[position : position + _PIECE_WORDS]
        buffer[kept : kept + len(piece)] = piece
        left = _folded(buffer[: kept + len(piece)], [exponent * scale for exponent in _MULTIPLES[0]])
        buffer[:kept] = left if len(piece) >= kept else left.copy()
    words = buffer[:kept]
    while scale > 1:
        scale //= 2
        words = _folded(words, [exponent * scale for exponent in _MULTIPLES[0]])
    scale = 16
    while scale > 1:
        scale //= 2
        words = _folded(words, [exponent * scale for exponent in _MULTIPLES[1]])
    return words


def _folded(words: np.ndarray, exponents: list[int]) -> np.ndarray:
    """The last ``exponents[0]`` words, after all before them were replaced by what they amount to there."""
    highest, *others = exponents
    end = len(words) - highest
    stride = highest - others[0]
    for start in range(0, end, stride):
        piece = words[start : min(start + stride, end)]
        for exponent in (*others, 0):
            target = words[start + highest - exponent :][: len(piece)]
            np.bitwise_xor(target, piece, target)
    return words[max(0, end) :]


def _buffer() -> np.ndarray:
    # Fresh memory would cost more than the arithmetic.
    if not hasattr(_of_thread, "buffer"):
        _of_thread.buffer = np.empty(_MULTIPLES[0][0] * _LONGEST_SCALE + _PIECE_WORDS, np.uint64)
    return _of_thread.buffer


def masked(crc: int) -> int:
    """How LevelDB's and TensorFlow's files store a CRC: rotated and moved, for they hold CRCs of CRCs."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
