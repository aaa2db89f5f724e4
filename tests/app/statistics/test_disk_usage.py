"""What is told of statistics on disk and of the cluster that computes them."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from mloscope.app.statistics.disk_usage import DaskCluster, KeptStatistics

COUNTS = {"workers": 3, "cores": 6, "tasks": 40, "processing": 5, "bytes": 1}


def test_what_is_kept_is_counted_once_a_minute(tmp_path: Path) -> None:
    now_s = 0.0
    kept = KeptStatistics(tmp_path / "statistics", clock=lambda: now_s)
    first = kept.look()
    assert (first["planes"], first["bytes"], first["more"]) == (0, 0, False)
    assert first["free_bytes"] > 0
    for name in ("a", "b", "c.1.2.tmp"):
        folder = tmp_path / "statistics" / "planes" / name
        folder.mkdir(parents=True)
        (folder / "values.npy").write_bytes(bytes(100))
    (tmp_path / "statistics" / "elsewhere").symlink_to(tmp_path)
    now_s = 59.0
    assert kept.look() == first
    now_s = 60.0
    assert kept.look()["planes"] == 2
    assert 300 <= kept.look()["bytes"] < 1000


@pytest.fixture
def scheduler() -> Iterator[tuple[HTTPServer, list[bytes]]]:
    """A server that answers what the list holds last."""
    answers = [json.dumps(COUNTS).encode()]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/json/counts.json"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[-1])

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server, answers
    server.shutdown()
    server.server_close()


def test_a_scheduler_tells_its_workers_and_tasks(scheduler: tuple[HTTPServer, list[bytes]]) -> None:
    server, answers = scheduler
    address = "tcp://127.0.0.1:9"
    cluster = DaskCluster(address, http_port=server.server_port)
    assert cluster.look() == {
        "address": address, "available": True, "workers": 3, "threads": 6, "tasks": 40, "processing": 5
    }  # fmt: skip
    answers.append(b"<html>somebody else</html>")
    assert cluster.look() == {"address": address, "available": False}


def test_one_that_tells_nothing_answers_or_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert DaskCluster(f"tcp://127.0.0.1:{port}", http_port=9).look()["available"]
    assert not DaskCluster(f"tcp://127.0.0.1:{port}", http_port=9).look()["available"]
    assert not DaskCluster("tcp://no-such-host.invalid", http_port=9).look()["available"]
