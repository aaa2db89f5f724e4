"""Arrays in the idx format: two zero bytes, a byte for the type, the number of axes, each axis's length as a big-endian
int32, the values, big-endian. Source: the MNIST database's own page."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from mloscope.adaptors.files.expansion import check_expansion
from mloscope.adaptors.files.regular_files import open_regular
from mloscope.adaptors.interface import Unreadable

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 5


def read_idx(path: Path) -> np.ndarray:
    """The array, of the type and shape that the file says; plain files are mapped into memory, gzipped ones unpacked
    once. Raises Unreadable, and Refused where it would unpack without bound."""
    try:
        with open_regular(path) as raw, gzip.open(raw) if path.suffix.lower() == ".gz" else raw as file:
            dtype, shape = _head(file.read(4 + 4 * _MOST_AXES), path)
            start, wanted = 4 + 4 * len(shape), math.prod(shape)
            if path.suffix.lower() == ".gz":
                check_expansion(wanted * dtype.itemsize, path.stat().st_size, str(path))
                file.seek(start)
                values = np.frombuffer(_whole(file.read(wanted * dtype.itemsize), dtype), dtype)
                file.read(1)  # reaching the end is what makes gzip compare its checksum
            else:
                held = max(0, path.stat().st_size - start) // dtype.itemsize
                count = min(wanted, held)
                values = np.memmap(raw, dtype, mode="r", offset=start, shape=(count,)) if count else np.empty(0, dtype)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise Unreadable(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if len(values) < wanted:
        raise Unreadable(f"{path} is cut off: it should hold {wanted:,} values and has {len(values):,}.")
    return values.reshape(shape)


def _head(head: bytes, path: Path) -> tuple[np.dtype, tuple[int, ...]]:
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not 1 <= head[3] <= _MOST_AXES:
        raise Unreadable(f"{path} is not an idx file: it begins with {head[:4]!r}.")
    if len(head) < 4 + 4 * head[3]:
        raise Unreadable(f"{path} is cut off: it ends within the lengths of its {head[3]} axes.")
    return np.dtype(_TYPES[head[2]]), struct.unpack(f">{head[3]}I", head[4 : 4 + 4 * head[3]])


def _whole(content: bytes, dtype: np.dtype) -> bytes:
    return content[: len(content) // dtype.itemsize * dtype.itemsize]
