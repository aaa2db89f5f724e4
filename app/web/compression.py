"""Answers, compressed as whoever asks can read them: Brotli before gzip. Pure ASGI, around the application and inside the access gate.

    scripts, styles, pages, JSON, SVG   from 1 kB on
    films and other bytes               where a sample of them shrinks by a fifth: maps full of zeros do, kernels full of noise do not
    streams, parts (Range), pictures    as they are: a line must not wait for the next one, and PNG and WebP are compressed already

What was compressed once is kept by its content. Scripts and styles are compressed better in the background, see
:mod:`mloscope.app.web.compressed_assets`, and nothing pushes them out. Pages carry no secret that a
stranger could guess by the length of an answer (BREACH): tokens travel in cookies only. An ETag becomes a weak one, since the bytes
that it stands for are others; whoever sends it back is answered as before.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType

import anyio.to_thread
import brotli
from cachetools import LRUCache
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mloscope.app.process.freed_memory import give_back
from mloscope.app.web.compressed_assets import LARGE_BYTES, CompressedAssets

SMALLEST_BYTES = 1000
_LARGEST_BYTES = 64 << 20
_KEPT_BYTES = 16 << 20
_AT_ONCE_BYTES = 8 << 10
"""What takes less than a millisecond needs no thread."""
_SAMPLE_BYTES = 16 << 10
_PAYS_BELOW = 0.8
_BYTES = "application/octet-stream"
_TEXTS = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/openapi+json",
        "image/svg+xml",
        "image/vnd.microsoft.icon",
        "image/x-icon",
    }
)
_CODE = frozenset({"application/javascript", "text/javascript", "text/css"})
ENCODINGS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "br": lambda body: brotli.compress(body, quality=5),
        "gzip": lambda body: gzip.compress(body, compresslevel=6, mtime=0),
    }
)
"""By name, the better first. Brotli 5 makes 1.29 MB of Plotly's 4.8 in 0.4 s; 9 would make 1.23 in 2.4 s."""


class Compression:
    """An ASGI application around another one."""

    def __init__(self, app: ASGIApp, assets: CompressedAssets | None = None) -> None:
        self.app = app
        self._assets = assets or CompressedAssets(None)
        self._kept: LRUCache[tuple[str, bytes], bytes] = LRUCache(_KEPT_BYTES, getsizeof=len)
        self._lock = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        accepted = ",".join(asked.getlist("accept-encoding"))
        answer = _Answer(self, encoding_for(accepted), asked.get("if-none-match", ""), send)
        await self.app(scope, receive, answer.send)

    async def compressed(self, encoding: str, body: bytes, is_code: bool = False) -> bytes:
        """Return the body in that encoding."""
        if len(body) <= _AT_ONCE_BYTES and not is_code:
            return self._compressed(encoding, body, is_code)
        return await anyio.to_thread.run_sync(self._compressed, encoding, body, is_code)

    def _compressed(self, encoding: str, body: bytes, is_code: bool) -> bytes:
        digest = hashlib.blake2b(body, digest_size=16)
        smallest = self._assets.find(digest.hexdigest(), body) if is_code and encoding == "br" else None
        if smallest is not None:
            return smallest
        key = (encoding, digest.digest())
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None:
            return kept
        made = ENCODINGS[encoding](body)
        if len(body) >= LARGE_BYTES:
            give_back()
        if len(made) <= _KEPT_BYTES:
            with self._lock:
                self._kept[key] = made
        return made


class _Answer:
    """One answer on its way out. Its head is held back until its whole body is there, where it may be compressed."""

    def __init__(self, compression: Compression, encoding: str | None, held: str, send: Send) -> None:
        """``held``: the ETags that whoever asks has answers of."""
        self._compression = compression
        self._encoding = encoding
        self._held = held
        self._send = send
        self._head: Message | None = None
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] != "http.response.body" or self._head is None:
            await self._send(message)
        else:
            await self._gather(message)

    async def _begin(self, message: Message) -> None:
        message = {**message, "headers": list(message.get("headers", ()))}
        headers = MutableHeaders(raw=message["headers"])
        if message["status"] == 304:
            self._unchanged(headers)
            await self._send(message)
            return
        if not is_compressible(headers):
            await self._send(message)
            return
        headers.add_vary_header("Accept-Encoding")
        length = headers.get("content-length", "")
        fits = length.isdecimal() and SMALLEST_BYTES <= int(length) <= _LARGEST_BYTES  # a stream has no length
        if message["status"] == 200 and self._encoding is not None and fits:
            self._head = message
        else:
            await self._send(message)

    def _unchanged(self, headers: MutableHeaders) -> None:
        """The ETag of what is held is that of the answer that is held: a weak one where that was compressed."""
        headers.add_vary_header("Accept-Encoding")
        weak = f"W/{headers.get('etag', '')}"
        if weak in (tag.strip() for tag in self._held.split(",")):
            headers["etag"] = weak

    async def _gather(self, message: Message) -> None:
        assert self._head is not None
        assert self._encoding is not None
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        head, body = self._head, bytes(self._body)
        self._head = None
        headers = MutableHeaders(raw=head["headers"])
        if not _is_bytes(headers) or pays(body):
            body = await self._compression.compressed(self._encoding, body, is_code(headers))
            headers["content-encoding"] = self._encoding
            headers["content-length"] = str(len(body))
            etag = headers.get("etag", "")
            if etag.startswith('"'):
                headers["etag"] = f"W/{etag}"
            if "accept-ranges" in headers:
                del headers["accept-ranges"]
        await self._send(head)
        await self._send({**message, "body": body})


def encoding_for(accepted: str) -> str | None:
    """Return the best encoding that the header Accept-Encoding allows; None: the answer as it is."""
    weights: dict[str, float] = {}
    for each in accepted.lower().split(","):
        name, _, parameter = each.partition(";")
        weights[name.strip()] = _weight(parameter)
    allowed = [name for name in ENCODINGS if weights.get(name, weights.get("*", 0)) > 0]
    return max(allowed, key=lambda name: weights.get(name, weights.get("*", 0)), default=None)


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


def is_compressible(headers: Mapping[str, str]) -> bool:
    """Return whether an answer of these headers may be compressed at all, whoever asks."""
    if (
        "content-encoding" in headers
        or "content-range" in headers
        or "no-transform" in headers.get("cache-control", "")
    ):
        return False
    media = _media_of(headers)
    return (media.startswith("text/") and media != "text/event-stream") or media in _TEXTS or _is_bytes(headers)


def is_code(headers: Mapping[str, str]) -> bool:
    """Return whether the answer is a script or a style: a file that everybody asks for."""
    return _media_of(headers) in _CODE


def pays(body: bytes) -> bool:
    """Return whether a sample from the middle of the body shrinks enough to compress all of it."""
    begin = max(0, len(body) // 2 - _SAMPLE_BYTES // 2)
    sample = body[begin : begin + _SAMPLE_BYTES]
    return len(brotli.compress(sample, quality=1)) < _PAYS_BELOW * len(sample)


def _is_bytes(headers: Mapping[str, str]) -> bool:
    return _media_of(headers) == _BYTES


def _media_of(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()
