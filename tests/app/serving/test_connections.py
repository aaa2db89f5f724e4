"""Connections on a real socket: whoever says too little is not waited for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from mloscope.app.process.settings import Settings
from mloscope.app.serving.connections import MOST_HEAD_BYTES, ImpatientProtocol
from mloscope.app.serving.serving import _server_config

PATIENCE_S = 10.0


class Hasty(ImpatientProtocol):
    head_within_s = 0.3


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(length).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = _server_config(application, Settings(), host="127.0.0.1", port=0, lifespan="off")
    config.http = Hasty
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join(PATIENCE_S)


@pytest.fixture
def connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        yield connection


def is_closed(connection: socket.socket) -> bool:
    """Waits for it."""
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


def answer(connection: socket.socket, ends_with: bytes) -> bytes:
    read = b""
    while not read.endswith(ends_with):
        read += connection.recv(1000) or pytest.fail(f"closed after {read!r}")
    return read


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
def test_a_head_that_does_not_come_is_not_waited_for(connection: socket.socket, begun: bytes) -> None:
    connection.sendall(begun)
    assert is_closed(connection)


def test_nor_one_that_comes_letter_by_letter(connection: socket.socket) -> None:
    began = time.monotonic()
    try:
        for letter in b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 500:
            connection.sendall(bytes([letter]))
            time.sleep(0.02)
            assert time.monotonic() - began < PATIENCE_S
        pytest.fail("it was read to the end")
    except ConnectionError:
        pass


def test_nor_the_second_head_on_a_connection(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    answer(connection, b"\r\n\r\n0")
    connection.sendall(b"GET / HT")
    assert is_closed(connection)


def test_a_body_may_take_longer_than_a_head(connection: socket.socket) -> None:
    connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
    time.sleep(3 * Hasty.head_within_s)
    connection.sendall(b"def")
    answer(connection, b"\r\n\r\n6")


def test_requests_that_follow_each_other_are_answered(connection: socket.socket) -> None:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    assert answer(connection, b"\r\n\r\n0").count(b"200") >= 1
    time.sleep(3 * Hasty.head_within_s)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"200" in answer(connection, b"\r\n\r\n0")


@pytest.mark.parametrize("piece", [1000, MOST_HEAD_BYTES])
def test_a_long_address_is_read_however_it_comes(connection: socket.socket, piece: int) -> None:
    head = b"GET /?" + b"a" * (MOST_HEAD_BYTES - 1000) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    for start in range(0, len(head), piece):
        connection.sendall(head[start : start + piece])
        time.sleep(0.001)
    assert b"200" in answer(connection, b"\r\n\r\n0")


def test_one_that_is_too_long_is_not(connection: socket.socket) -> None:
    try:
        for _ in range(200):
            connection.sendall(b"X" * 1000)
            time.sleep(0.001)
        said = connection.recv(1000)
    except ConnectionError:
        return  # closed before all of it was read
    assert said == b"" or said.startswith(b"HTTP/1.1 400")


def test_the_server_is_run_with_it() -> None:
    config = _server_config(application, Settings())
    config.load()
    assert config.http_protocol_class is ImpatientProtocol
