"""The checksum of TensorFlow's files: CRC-32C (Castagnoli), masked."""

from __future__ import annotations

import google_crc32c
import numpy as np

_MASK_DELTA = 0xA282EAD8


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """Return the CRC of the bytes as LevelDB's and TensorFlow's files store it. For an array, its bytes in memory are
    used, which must be contiguous."""
    return masked(google_crc32c.value(data))


def extended_crc32c(crc: int, data: bytes | np.ndarray) -> int:
    """Return the unmasked CRC of preceding bytes, whose CRC is given (0 for none), followed by these."""
    return google_crc32c.extend(crc, data)


def masked(crc: int) -> int:
    """Rotate and offset a CRC, because these files store CRCs of CRCs."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
