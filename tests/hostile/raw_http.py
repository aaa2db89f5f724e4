"""A client that sends exactly the bytes it is given: others tidy up an address before it is sent."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HANGS_AFTER_S = 30.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case; of several with one name the last."""
    content: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.content)


class RawClient:
    """One connection to a port of this machine, kept open while the server keeps it. Not thread-safe."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        """``headers`` go with every request, after Host."""
        self._port = port
        self._headers = dict(headers or {})
        self._socket: socket.socket | None = None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(
        self, target: str | bytes, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """``target``: what stands after the method, as it is sent; text as UTF-8. Raises TimeoutError where an answer takes
        longer than :data:`HANGS_AFTER_S`."""
        wire = target.encode("utf-8", "surrogateescape") if isinstance(target, str) else target
        fields = {"Host": f"127.0.0.1:{self._port}", **self._headers, **(headers or {})}
        if body or method == "POST":
            fields["Content-Length"] = str(len(body))
        head = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in fields.items())
        began = time.perf_counter()
        for attempt in (1, 2):
            fresh = self._socket is None
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), HANGS_AFTER_S)
            try:
                self._socket.sendall(method.encode() + b" " + wire + b" HTTP/1.1\r\n" + head + b"\r\n" + body)
                response = http.client.HTTPResponse(self._socket, method=method)
                response.begin()
                content = response.read()
            except TimeoutError:
                self.close()
                raise
            except (ConnectionError, http.client.BadStatusLine):  # it was kept open too long
                self.close()
                if fresh or attempt == 2:
                    raise
                continue
            if response.will_close:
                self.close()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, content, time.perf_counter() - began)
        raise AssertionError("two attempts end one way or the other")
