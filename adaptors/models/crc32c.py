"""CRC-32C (Castagnoli) of a buffer in NumPy, at about a gigabyte a second; neither Python nor NumPy has one.

A message is a polynomial over GF(2) and its CRC the remainder of a division by P. P divides ``x^5275 + x^4508
+ x^2751 + 1`` (found by search; no multiple with four terms is shorter), so a term x^5275 may be replaced by
the three others without changing the remainder. Over GF(2) ``f(x)^2 = f(x^2)``, so the same holds with all
exponents times 64, that is of whole words: a message is shortened to its last 5275 words by XORs of long
arrays alone. A multiple with six terms shortens those to 209, and a table does the rest, byte by byte.
"""

from __future__ import annotations

import numpy as np

_REFLECTED = 0x82F63B78
# Exponents of multiples of P, falling; the last term, 1, is left out.
_MULTIPLES = ((5275, 4508, 2751), (209, 144, 54, 39, 14))
_MASK_DELTA = 0xA282EAD8
_WORTH_FOLDING_BYTES = 2048


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
    if len(message) > _WORTH_FOLDING_BYTES:
        message = _shortened(message)
        crc = 0  # the initial value has been put into the message
    else:
        crc = 0xFFFFFFFF
    for byte in message.tobytes():
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _shortened(message: np.ndarray) -> np.ndarray:
    """A message of at most a few hundred words with the same remainder, the initial value included."""
    # Zeros before a message are nothing to a remainder: they fill the first word.
    words = np.zeros(-(-len(message) // 8), np.uint64)
    words.view(np.uint8)[-len(message) :] = message
    words.view(np.uint8)[-len(message) :][:4] ^= 0xFF
    for highest, *others in _MULTIPLES:
        scale = 1
        while 4 * highest * scale < len(words):
            scale *= 2  # fewer and longer arrays
        while scale:
            words = _folded(words, highest * scale, [exponent * scale for exponent in others])
            scale //= 2
    return words.view(np.uint8)


def _folded(words: np.ndarray, highest: int, others: list[int]) -> np.ndarray:
    stride = highest - others[0]
    for start in range(0, len(words) - highest, stride):
        piece = words[start : min(start + stride, len(words) - highest)]
        for exponent in (*others, 0):
            target = words[start + highest - exponent :][: len(piece)]
            np.bitwise_xor(target, piece, out=target)
    return words[max(0, len(words) - highest) :]


def masked(crc: int) -> int:
    """How LevelDB's and TensorFlow's files store a CRC: rotated and moved, for they hold CRCs of CRCs."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
