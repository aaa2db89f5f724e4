"""What results are kept under, and how arrays are kept: keys are digests of everything that decides the content.

A checkpoint's fingerprint, the architecture, the layer, the digest of the network's input, :data:`CODE_VERSION`:
a key never has to be invalidated.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

CODE_VERSION = "2"
"""Part of every key; raise it whenever the same input gives another result."""


def digest(*parts: str | bytes) -> str:
    """Hex digest of the parts; where one ends and the next begins matters."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(struct.pack("<Q", len(data)))
        state.update(data)
    return state.hexdigest()


def content_key(kind: str, *parts: str | bytes) -> str:
    """The key of a result of this kind, such as ``map``, that the parts decide."""
    return f"{kind}:{digest(CODE_VERSION, *parts)}"


def pack(array: np.ndarray) -> bytes:
    """Shape, type and values as bytes; :func:`unpack` reverses it."""
    head = f"{array.dtype.str} {' '.join(map(str, array.shape))}\n".encode()
    return struct.pack("<I", len(head)) + head + np.ascontiguousarray(array).tobytes()


def unpack(data: bytes) -> np.ndarray:
    """The array that was packed, as a read-only view of the bytes."""
    (length,) = struct.unpack_from("<I", data)
    kind, *shape = data[4 : 4 + length].decode().split()
    return np.frombuffer(data, kind, offset=4 + length).reshape([int(size) for size in shape])
