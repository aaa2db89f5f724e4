"""The checksum of TensorFlow's files: CRC-32C (Castagnoli), masked."""

from __future__ import annotations

import google_crc32c
import numpy as np

_MASK_DELTA = 0xA282EAD8


def masked_crc32c(data: bytes | np.ndarray) -> int:
    """The CRC of the bytes as LevelDB's and TensorFlow's files store it: rotated and moved, for they hold CRCs of
    CRCs. An array is taken as its bytes lie, which must be without gaps."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
