"""Bodies and headers of answers: JSON, NPY, lines of NDJSON; what a browser may keep and what it has to ask for again."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.to_thread
import numpy as np
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from mloscope.app.process.plain_json import plain

IMMUTABLE = "public, max-age=31536000, immutable"
"""For addresses that hold the digest of their content."""
ASK_AGAIN = "no-cache"
"""For everything else: the browser asks each time, and the ETag saves sending the same again."""

NPY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
PNG = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
SVG = {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}
HTML = {"content": {"text/html": {"schema": {"type": "string"}}}}
ZIP = {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}
NDJSON = {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}


def etag_of(*parts: Any) -> str:
    """Return an ETag of what an answer is made of."""
    return '"' + hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest() + '"'


def answer(
    body: bytes, media_type: str, etag: str | None = None, cache_control: str = ASK_AGAIN, **headers: str
) -> Response:
    """Return an answer with an ETag, by default that of its body; the route turns it into a 304 for whoever holds it."""
    etag = etag or etag_of(body)
    return Response(body, media_type=media_type, headers={"ETag": etag, "Cache-Control": cache_control, **headers})


def file_answer(body: bytes, media_type: str, name: str) -> Response:
    """Return a file to be saved under a name."""
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name)
    headers = {"Cache-Control": ASK_AGAIN, "Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(body, media_type=media_type, headers=headers)


def immutable_answer(body: bytes, etag: str, media_type: str = "application/octet-stream") -> Response:
    """Return an answer whose address holds the digest of its content."""
    return answer(body, media_type, etag, IMMUTABLE)


def json_answer(value: Any) -> Response:
    """Return the value, mostly a dataclass, as JSON: see :func:`plain`."""
    body = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode()
    return answer(body, "application/json")


def held(request: Request, etag: str) -> bool:
    """Whether the caller has this very content already."""
    tags = request.headers.get("if-none-match", "")
    return tags.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in tags.split(","))


def unchanged_answer(etag: str, cache_control: str = ASK_AGAIN) -> Response:
    """Return 304 for a caller who holds the content; routes return it themselves where making the body would cost."""
    return Response(status_code=304, headers={"ETag": etag, "Cache-Control": cache_control})


def npy(array: np.ndarray) -> bytes:
    """Return what :func:`numpy.save` would write, without another copy: arrays may be large."""
    array = np.asarray(array, order="C")
    assert not array.dtype.hasobject, "numbers only: an object's place in memory is nobody's business"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    return b"".join((head.getvalue(), array.data))


def npy_answer(array: np.ndarray, etag: str | None = None, **headers: str) -> Response:
    """Return the array as ``.npy``."""
    return answer(npy(array), "application/octet-stream", etag, **headers)


def streamed_lines(request: Request, pieces: Iterator[list[dict[str, Any]]]) -> StreamingResponse:
    """Return NDJSON, each piece computed in a worker thread. The work stops at the next piece once the reader hangs up or the
    server stops."""
    nothing_more = object()
    is_over = threading.Event()

    def piece() -> Any:
        found = next(pieces, nothing_more)
        if is_over.is_set():
            pieces.close()  # type: ignore[attr-defined]
        return found

    async def body() -> AsyncIterator[bytes]:
        try:
            while not await request.is_disconnected():
                lines = await anyio.to_thread.run_sync(piece)
                if lines is nothing_more:
                    return
                yield b"".join(json.dumps(plain(line), separators=(",", ":")).encode() + b"\n" for line in lines)
        finally:
            is_over.set()
            with contextlib.suppress(ValueError):  # it is at work in its thread, which closes it
                pieces.close()  # type: ignore[attr-defined]

    return StreamingResponse(
        body(),
        media_type="application/x-ndjson",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
