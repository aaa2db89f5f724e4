"""Nothing that the program starts can be reached from another machine, and what it starts for one user is that user's."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from listening_sockets import beyond_loopback, listening, process_tree

pytestmark = pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux's tables of sockets")

needs_dask = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("distributed", "cryptography")),
    reason="needs Dask and cryptography: make test installs them",
)
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason='needs TensorFlow: pip install "mloscope[evaluate]"'
)


def until(condition: Callable[[], Any], what: str, timeout_s: float = 60) -> Any:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain until {what}")


@contextmanager
def command(folder: Path, *words: Any, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """``mloscope`` with these words, ended with all that it started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mloscope.app.commands.cli", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, start_new_session=True,
        env={**os.environ, "MLOSCOPE_CACHE_FOLDER": str(folder / "cache"), "MLOSCOPE_HOME": str(folder / "home"), **environment},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def write_subject(folder: Path) -> tuple[Path, Path]:
    """A run of one dense layer, and so many images that it takes a moment to evaluate them all."""
    run = folder / "run"
    run.mkdir()
    layers = [
        {"class_name": "InputLayer", "config": {"batch_shape": [None, 8, 8, 1], "name": "image"}},
        {"class_name": "Flatten", "config": {"name": "flatten"}},
        {"class_name": "Dense", "config": {"name": "classes", "units": 3, "activation": "softmax", "use_bias": True}},
    ]
    model = {"class_name": "Sequential", "config": {"name": "small", "layers": layers}}
    (run / "model.json").write_text(json.dumps(model))
    random = np.random.default_rng(2)
    for step in (0, 10, 20):
        with h5py.File(run / f"step_{step:04d}.weights.h5", "w") as file:
            variables = file.create_group("layers/dense/vars")
            variables.attrs["name"] = "classes"
            variables["0"], variables["1"] = random.normal(size=(64, 3)).astype("f4"), np.zeros(3, "f4")
    pixels, labels = random.integers(0, 256, (20_000, 8, 8), np.uint8), random.integers(0, 3, 20_000)
    np.savez(folder / "images.npz", x_test=pixels, y_test=labels)
    return run, folder / "images.npz"


def test_the_tables_are_read_as_they_are() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as inside, socket.create_server(("0.0.0.0", 0)) as outside:
        found = listening(os.getpid())
        assert found[inside.getsockname()] == found[outside.getsockname()] == os.getpid()
        assert [each for each in beyond_loopback(os.getpid()) if f":{outside.getsockname()[1]} " in each]
        assert not [each for each in beyond_loopback(os.getpid()) if f":{inside.getsockname()[1]} " in each]


@needs_tensorflow
def test_a_server_and_its_model_service_listen_on_the_loopback_address_alone(tmp_path: Path) -> None:
    run, images = write_subject(tmp_path)
    with command(tmp_path, "serve", run, "--images", images, "--port", 0, "--no-browser") as process:
        until(lambda: len(set(listening(process.pid).values())) >= 2, "server and model service both listen")
        assert beyond_loopback(process.pid) == []


@needs_dask
@pytest.mark.parametrize("processes", [0, 2])
def test_dask_listens_on_the_loopback_address_alone(processes: int) -> None:
    from mloscope.app.statistics.computing.dask_workers import connected

    before = set(listening(os.getpid()))
    with warnings.catch_warnings(), ExitStack() as stack:
        warnings.simplefilter("error")  # that a port is in use already would tear the progress
        clients = [stack.enter_context(connected(processes=processes)) for _ in range(1 if processes else 2)]
        assert [client.submit(os.getpid).result(timeout=60) > 0 for client in clients] == [True] * len(clients)
        opened = set(listening(os.getpid())) - before
        assert opened, "the test looks at the wrong processes"
        assert beyond_loopback(os.getpid()) == []
        pages = [status for _, port in opened for status in [page(port, "/json/identity.json"), page(port, "/health")]]
    assert {status for status in pages if status is not None} <= {404}, "Dask's pages tell strangers what we do"


def page(port: int, path: str) -> int | None:
    """The status; None where nobody speaks HTTP."""
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


INTRUDER = """
import itertools, sys
from concurrent.futures import ThreadPoolExecutor
from distributed import Client, Security

def enter(way):
    kind, port = way
    try:
        security = Security.temporary() if kind == "tls" else None
        with Client(f"{kind}://127.0.0.1:{port}", security=security, timeout=3) as client:
            return f"{kind} came in: {client.run_on_scheduler(lambda: 1)}"
    except (OSError, TimeoutError, ValueError):
        return f"{kind} refused"

ways = list(itertools.product(("tcp", "tls"), sys.argv[1:]))
with ThreadPoolExecutor(len(ways)) as threads:
    print(*threads.map(enter, ways), sep="\\n")
"""


@needs_dask
def test_nobody_else_of_this_machine_reaches_the_processes_that_evaluate() -> None:
    """Whoever reaches a Dask scheduler or worker runs code as its user."""
    from mloscope.app.statistics.computing.dask_workers import connected

    with connected(processes=1) as client:
        assert client.submit(os.getpid).result(timeout=60) != os.getpid()
        ports = [re.search(r":(\d+)$", each)[1] for each in (client.scheduler_info()["address"], *client.nthreads())]
        assert len(ports) == 2
        said = subprocess.run([sys.executable, "-c", INTRUDER, *ports], capture_output=True, text=True, timeout=60)
        assert said.stdout.splitlines() == ["tcp refused"] * 2 + ["tls refused"] * 2, said.stderr


@pytest.mark.slow
@pytest.mark.timeout(300)
@needs_dask
@needs_tensorflow
@pytest.mark.parametrize("more", [(), ("--processes", "2")])
def test_statistics_listen_on_the_loopback_address_alone(tmp_path: Path, more: tuple[str, ...]) -> None:
    run, images = write_subject(tmp_path)
    with command(tmp_path, "statistics", run, "--images", images, "--json", *more) as process:
        seen: set[int] = set()
        for line in process.stdout:
            assert beyond_loopback(process.pid) == []
            seen |= set(listening(process.pid).values())
            if json.loads(line)["state"] == "done":
                break
        assert process.wait(60) == 0, process.stderr.read()
    assert len(seen) >= (3 if more else 1), "Dask listens with its scheduler and with every worker"


@pytest.mark.slow
@pytest.mark.timeout(300)
@needs_dask
@needs_tensorflow
def test_what_the_button_starts_listens_on_the_loopback_address_alone(tmp_path: Path) -> None:
    run, images = write_subject(tmp_path)
    with command(tmp_path, "serve", run, "--images", images, "--port", 0, "--no-browser") as process:
        for line in process.stdout:
            if found := re.search(r"listens on (http://\S+)", line):
                break
        address = f"{found[1]}/api/v1/runs/run/statistics/job"
        order, headers = b'{"action": "start"}', {"X-Mloscope": "1", "Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(address, order, headers)).read()

        def works() -> bool:
            assert beyond_loopback(process.pid) == []
            return len(process_tree(process.pid)) >= 3 and len(set(listening(process.pid).values())) >= 3

        until(works, "server, model service and computation all listen", 120)
