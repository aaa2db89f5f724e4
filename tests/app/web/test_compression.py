"""app/web/compression.py: what is compressed, for whom, and what the headers say of it."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import brotli
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mloscope.app.web.compressed_assets import CompressedAssets
from mloscope.app.web.compression import SMALLEST_BYTES, Compression, encoding_for

TEXT = b"the same words again and again, " * 200
NOISE = np.random.default_rng(0).integers(0, 256, 100_000, np.uint8).tobytes()
ZEROS = bytes(50_000) + NOISE[:10_000] + bytes(40_000)
BOTH = {"Accept-Encoding": "gzip, deflate, br"}


def respond(request: Request) -> Response:
    kind = request.path_params["kind"]
    held = request.headers.get("if-none-match", "")
    headers = {"ETag": '"one"'}
    if '"one"' in held:
        return Response(status_code=304, headers=headers)
    if kind == "lines":

        async def lines() -> AsyncIterator[bytes]:
            yield TEXT
            yield TEXT

        return StreamingResponse(lines(), media_type="application/x-ndjson")
    body, media = {
        "text": (TEXT, "text/javascript"),
        "json": (TEXT, "application/json"),
        "short": (TEXT[: SMALLEST_BYTES - 1], "text/css"),
        "events": (TEXT, "text/event-stream"),
        "picture": (TEXT, "image/png"),
        "noise": (NOISE, "application/octet-stream"),
        "zeros": (ZEROS, "application/octet-stream"),
        "refusal": (TEXT, "application/json"),
        "part": (TEXT, "text/plain"),
    }[kind]
    if kind == "part":
        return Response(body, 206, headers | {"Content-Range": f"bytes 0-{len(body) - 1}/9999"}, media)
    return Response(body, 404 if kind == "refusal" else 200, headers, media)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return TestClient(Compression(Starlette(routes=[Route("/{kind}", respond)])))


@pytest.mark.parametrize(
    ("kind", "asked", "encoding"),
    [
        ("text", "gzip, deflate, br", "br"),
        ("json", "gzip", "gzip"),
        ("zeros", "br", "br"),
        ("text", "identity", None),
        ("short", "br", None),
        ("events", "br", None),
        ("picture", "br", None),
        ("noise", "br", None),
        ("lines", "br", None),
        ("part", "br", None),
        ("refusal", "br", None),
    ],
)
def test_what_is_compressed_and_for_whom(client: TestClient, kind: str, asked: str, encoding: str | None) -> None:
    with client.stream("GET", f"/{kind}", headers={"Accept-Encoding": asked}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    if kind != "lines":
        assert int(answer.headers["content-length"]) == len(raw)
    plain = {"br": brotli.decompress, "gzip": gzip.decompress, None: bytes}[encoding](raw)
    with client.stream("GET", f"/{kind}", headers={"Accept-Encoding": "identity"}) as uncompressed:
        assert plain == b"".join(uncompressed.iter_raw())
    if encoding is not None:
        assert len(raw) < 0.8 * len(plain)


@pytest.mark.parametrize(("kind", "varies"), [("text", True), ("short", True), ("picture", False), ("events", False)])
def test_caches_on_the_way_are_told_what_differs(client: TestClient, kind: str, varies: bool) -> None:
    for asked in ("br", "identity"):
        answer = client.get(f"/{kind}", headers={"Accept-Encoding": asked})
        assert ("accept-encoding" in answer.headers.get("vary", "").lower()) is varies


def test_an_etag_is_weak_where_the_bytes_are_others_and_still_recognised(client: TestClient) -> None:
    assert client.get("/text", headers={"Accept-Encoding": "identity"}).headers["etag"] == '"one"'
    first = client.get("/text", headers=BOTH)
    again = client.get("/text", headers=BOTH | {"If-None-Match": f'"zero", {first.headers["etag"]}'})
    assert first.headers["etag"] == 'W/"one"'
    assert (again.status_code, again.headers["etag"], again.content) == (304, 'W/"one"', b"")
    assert client.get("/text", headers=BOTH | {"If-None-Match": '"one"'}).headers["etag"] == '"one"'


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("", None),
        ("*", "br"),
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.2, gzip;q=0.9", "gzip"),
        ("BR", "br"),
        ("deflate, zstd", None),
        ("*;q=0", None),
        ("gzip;q=nonsense", None),
    ],
)
def test_the_best_encoding_that_is_allowed(accepted: str, encoding: str | None) -> None:
    assert encoding_for(accepted) == encoding


def test_scripts_are_answered_as_small_as_they_can_be_once_they_are(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()

    def smallest(body: bytes) -> bytes:
        started.set()
        go_on.wait(10)
        return brotli.compress(body + b"/* smallest */")

    assets = CompressedAssets(tmp_path, smallest)
    client = TestClient(Compression(Starlette(routes=[Route("/{kind}", respond)]), assets))
    assert client.get("/text", headers=BOTH).content == TEXT
    assert started.wait(10)
    assert client.get("/text", headers=BOTH).content == TEXT, "nobody waits for it"
    go_on.set()
    until = time.monotonic() + 10
    while not client.get("/text", headers=BOTH).content.endswith(b"smallest */"):
        assert time.monotonic() < until
    assert client.get("/json", headers=BOTH).content == TEXT, "answers of the moment are not kept"
