"""Binary answers and messages: four letters, a JSON header and arrays. ``assets/base/container.mjs`` reads them in browsers.

    bytes 0..3    the kind, such as b"MLF1"
    bytes 4..7    uint32 H, little-endian: the length of the header
    bytes 8..     H bytes of JSON, padded with spaces so that 8 + H is a multiple of 8
    after that    arrays, one after the other, row-major, of the types and shapes that the kind lays down

Arrays are neither copied nor converted when they are read, so that browsers draw from the bytes that arrived.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mloscope.app.errors import BadRequest

_HEADER_AT = 8


def pack(kind: bytes, header: Mapping[str, Any], arrays: Iterable[np.ndarray]) -> bytes:
    """The container. Arrays keep their types, which should be little-endian ones."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    buffers = (np.ascontiguousarray(array).data for array in arrays if array.size)
    return b"".join((kind, len(text).to_bytes(4, "little"), text, *buffers))


def unpack(kind: bytes, data: bytes | memoryview) -> tuple[dict[str, Any], int]:
    """The header, and where the arrays begin. Raises :class:`BadRequest` where the bytes are not of this kind."""
    view = memoryview(data)
    if len(view) < _HEADER_AT or view[:4] != kind:
        raise BadRequest(
            f'Expected bytes that begin with "{kind.decode()}"; got {len(view)} that begin with {bytes(view[:4])!r}.'
        )
    start = _HEADER_AT + int.from_bytes(view[4:_HEADER_AT], "little")
    try:
        header = json.loads(bytes(view[_HEADER_AT:start]))
    except ValueError as error:
        raise BadRequest(f'The header of "{kind.decode()}" cannot be read: {error}.') from error
    if not isinstance(header, dict):
        raise BadRequest(f'The header of "{kind.decode()}" must be a JSON object; got {type(header).__name__}.')
    return header, start
