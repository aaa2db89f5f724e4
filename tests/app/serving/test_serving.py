"""Several processes on one port or with one Redis, and folders that are watched: real processes, real Redis."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from mloscope.app.commands import cli
from mloscope.app.model_service.wire import Evaluation, pack_evaluation, unpack

REDIS_SERVER = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(REDIS_SERVER is None, reason="no redis-server on the PATH (apt: redis-server)")
PATIENCE_S = 40.0
NOBODY = "http://127.0.0.1:9"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def until(true: Callable[[], object], what: str) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends, f"{what}: not within {PATIENCE_S:g} s"
        time.sleep(0.1)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    assert REDIS_SERVER is not None
    port = free_port()
    process = subprocess.Popen(
        [REDIS_SERVER, "--port", str(port), "--save", "", "--bind", "127.0.0.1"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    yield f"redis://127.0.0.1:{port}/0"
    process.kill()
    process.wait()


@contextmanager
def served(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``mloscope serve`` as a process of its own, and its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mloscope.app.commands.cli", "serve", "--port=0", "--no-browser", *arguments],
        stdout=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"listens on (http://\S+)", line):
                yield process, found[1]
                break
        else:
            raise AssertionError("it did not come up")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        finally:
            process.kill()


def runs(address: str) -> list[str]:
    """Workers accept questions before they have started, and answer them then.

    Each question has a connection of its own: one that is kept is closed by the server after 5 idle seconds, perhaps just as the
    next question is sent. Replacing a worker that was killed as it started takes as long.
    """
    with urllib3.PoolManager() as fresh:
        answer = fresh.request("GET", f"{address}/api/v1/runs", retries=False, timeout=PATIENCE_S)
        return [run["name"] for run in answer.json()["runs"]]


def workers_of(process: subprocess.Popen[str]) -> set[int]:
    """The processes below it that serve, not multiprocessing's own tracker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()}


def test_workers_that_could_not_share_are_refused(
    keras_folder: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLOSCOPE_REDIS_URL", "")
    assert cli.main(["serve", str(keras_folder(tmp_path / "run")), "--port=0", "--workers=2"]) == 2
    assert "--workers 2 needs MLOSCOPE_REDIS_URL" in capsys.readouterr().err


@needs_redis
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="tells a process's children by /proc")
def test_workers_count_together_and_one_may_be_killed(
    keras_folder: Callable[..., Path], tmp_path: Path, redis_url: str
) -> None:
    """Of a server that was given no run, but a folder that it watches."""
    watched = tmp_path / "watched"
    watched.mkdir()
    keras_folder(watched / "mine")
    settings = {"MLOSCOPE_REDIS_URL": redis_url, "MLOSCOPE_MODEL_SERVICE_URL": NOBODY, "TMPDIR": str(tmp_path)}
    settings |= {"MLOSCOPE_WATCH_RUNS": str(watched), "PROMETHEUS_MULTIPROC_DIR": ""}

    def counted(name: str, **labels: str) -> float:
        text = urllib3.request("GET", f"{address}/metrics", timeout=PATIENCE_S).data.decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def asked_for_runs() -> float:
        return counted("mloscope_requests_total", route="/api/v1/runs", status="200")

    with served("--workers=2", **settings) as (process, address):
        until(lambda: counted("mloscope_web_processes") == 2, "two workers that count")
        until(lambda: all(runs(address) == ["mine"] for _ in range(4)), "the run in the watched folder")
        asked = asked_for_runs()
        for _ in range(2):
            film = urllib3.request("GET", f"{address}/api/v1/runs/mine/layers/conv/film", timeout=PATIENCE_S)
            assert b'"done":true' in film.data
        for _ in range(20):
            assert runs(address) == ["mine"]
        assert asked_for_runs() == asked + 20
        assert counted("mloscope_request_seconds_count", route="/api/v1/runs") == asked + 20
        assert counted("mloscope_cache_misses_total") == 2  # a chunk with two steps and one with the third
        assert counted("mloscope_cache_hits_total") == 2  # each chunk; its bytes are not read
        before = workers_of(process)
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(workers_of(process)) == 2 and workers_of(process) != before, "another in its place")
        until(lambda: counted("mloscope_web_processes") == 2, "another that counts in its place")
        assert counted("mloscope_requests_in_flight") == 1
        assert asked_for_runs() == asked + 20
        assert runs(address) == ["mine"]
    assert process.returncode == 0
    assert not list(tmp_path.glob("mloscope-counts-*"))


class CountingModelService(ThreadingHTTPServer):
    """Evaluates to zeros, in half a second, and counts what it is asked."""

    shapes: ClassVar = {"conv": (8, 8, 4), "classes": (10,)}

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.calls: list[tuple[int, ...]] = []
        self.evaluated: Counter[tuple[int, str]] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server: CountingModelService

        def do_GET(self) -> None:
            self.answer(b'{"state": "ready", "problem": null}')

        def do_POST(self) -> None:
            head, _image = unpack(self.rfile.read(int(self.headers["content-length"])))
            steps, layers = head["steps"], head["layers"]
            self.server.calls.append(tuple(steps))
            self.server.evaluated.update((step, layer) for step in steps for layer in layers)
            time.sleep(0.5)
            maps = {layer: np.zeros((len(steps), *self.server.shapes[layer]), np.float32) for layer in layers}
            self.answer(pack_evaluation(Evaluation(maps, steps, {})))

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_said: object) -> None:
            pass


@pytest.fixture
def counting_service() -> Iterator[CountingModelService]:
    service = CountingModelService()
    threading.Thread(target=service.serve_forever, daemon=True).start()
    yield service
    service.shutdown()
    service.server_close()


@needs_redis
def test_the_same_question_of_ten_browsers_costs_one_evaluation(
    keras_folder: Callable[..., Path], tmp_path: Path, redis_url: str, counting_service: CountingModelService
) -> None:
    """Two web processes, each asked by five at the same time; at the end a run is put into the folder that both watch."""
    run, images, watched = keras_folder(tmp_path / "run"), tmp_path / "images.npz", tmp_path / "watched"
    watched.mkdir()
    np.savez(images, x_test=np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8), y_test=np.zeros(3, np.int64))
    settings = {"MLOSCOPE_REDIS_URL": redis_url, "MLOSCOPE_MODEL_SERVICE_URL": counting_service.url}
    settings["MLOSCOPE_WATCH_RUNS"] = str(watched)
    arguments = (str(run), "--name=mine", f"--images={images}")
    with ExitStack() as stack:
        addresses = [stack.enter_context(served(*arguments, **settings))[1] for _ in range(2)]
        pool = stack.enter_context(ThreadPoolExecutor(10))

        def of_ten(path: str) -> list[bytes]:
            together = threading.Barrier(10)

            def ask(number: int) -> bytes:
                together.wait()
                address = addresses[number % 2] + path
                answer = urllib3.request("GET", address, retries=False, timeout=PATIENCE_S)
                assert answer.status == 200, answer.data
                return answer.data

            return list(pool.map(ask, range(10)))

        maps = of_ten("/api/v1/runs/mine/checkpoints/5/layers/conv/features/test-0.npy")
        assert len(set(maps)) == 1
        assert counting_service.calls == [(5,)]
        predictions = of_ten("/api/v1/runs/mine/predictions/test-1")
        assert len(set(predictions)) == 1
        assert counting_service.calls == [(5,), (0, 5, 20)]
        counting_service.evaluated.clear()
        films = of_ten("/api/v1/runs/mine/layers/conv/film?show=features&image=test-2")
        assert all(film.endswith(b'{"done":true}\n') for film in films)
        assert counting_service.evaluated == {(step, name): 1 for step in (0, 5, 20) for name in ("conv", "classes")}

        run.rename(watched / "later")
        for address in addresses:
            until(lambda address=address: "later" in runs(address), "the run in the watched folder")
