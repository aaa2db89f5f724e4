"""The child process: not installed, killed, killed in the middle, orphaned, never starting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.app import errors
from mloscope.app.model_service.client import ModelServiceClient, RunSpec
from mloscope.app.model_service.supervisor import ModelServiceProcess
from mloscope.app.model_service.wire import Evaluation, pack_evaluation

IMAGE = np.random.default_rng(0).normal(0, 1, (28, 28, 1)).astype(np.float32)


def until(condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)


# ------------------------------------------------------------------------------------------ without a backend


def test_without_a_backend_nothing_is_started_and_the_reason_is_said() -> None:
    process = ModelServiceProcess(missing=lambda: "Networks need a framework: pip install one")
    process.start()
    assert process.state == "not installed"
    assert process.pid is None
    started = time.monotonic()
    with pytest.raises(errors.Unavailable, match="pip install one"):
        ModelServiceClient(process).evaluate(RunSpec("a", "keras"), [0], ["conv1"], IMAGE)
    assert time.monotonic() - started < 0.5
    process.stop()
    assert process.state == "not installed"


def test_the_client_and_the_supervisor_import_no_tensorflow() -> None:
    code = (
        "import sys, mloscope.app.model_service.client, mloscope.app.model_service.supervisor\n"
        "assert not {'tensorflow', 'keras', 'h5py'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


FAKE = """
import http.server, json, os, sys, threading
{before}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(json.dumps({health}).encode())
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(open(sys.argv[1], "rb").read())
    def answer(self, body):
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def fake(tmp_path: Path, health: str = "{'state': 'ready', 'problem': None}", before: str = "") -> dict[str, Any]:
    """Settings for a supervisor of a program that only looks like a model service, and starts at once. Every question is
    answered with the file ``answer``."""
    script = tmp_path / "fake_service.py"
    script.write_text(FAKE.format(health=health, before=textwrap.dedent(before)))
    return {
        "command": (sys.executable, str(script), str(tmp_path / "answer")),
        "missing": lambda: None,
        "first_backoff_s": 0.01,
        "longest_backoff_s": 0.05,
    }


def test_a_child_that_dies_is_started_again_at_another_address(tmp_path: Path) -> None:
    process = ModelServiceProcess(**fake(tmp_path))
    assert process.state == "stopped"
    process.start()
    process.start()  # once is enough
    until(lambda: process.state == "ready")
    assert process.generation == 1
    first_url, first_pid = process.url, process.pid
    assert first_url is not None
    assert first_pid is not None
    os.kill(first_pid, signal.SIGKILL)
    until(lambda: process.generation == 2 and process.state == "ready")
    assert process.pid != first_pid
    process.stop()
    assert (process.state, process.url, process.pid) == ("stopped", None, None)
    with pytest.raises(errors.Unavailable, match="stopped"):
        ModelServiceClient(process).status()


def test_a_child_that_hangs_is_ended_and_another_one_started(tmp_path: Path) -> None:
    process = ModelServiceProcess(**fake(tmp_path), hung_after_s=0.4)
    process.start()
    until(lambda: process.state == "ready")
    hung = process.pid
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    until(lambda: process.generation == 2 and process.state == "ready")
    assert process.pid != hung
    process.stop()


def test_a_child_that_never_starts_is_tried_again_and_nobody_waits_for_it(tmp_path: Path) -> None:
    settings = fake(tmp_path, before="sys.exit('No space left for the model service')")
    process = ModelServiceProcess(**settings, log_path=tmp_path / "service.log")
    process.start()
    until(lambda: process.generation >= 4)
    with pytest.raises(errors.Unavailable, match=r"does not start \(No space left for the model service\)"):
        ModelServiceClient(process, timeout_s=60).status()
    process.stop()
    assert "No space left" in (tmp_path / "service.log").read_text()


def test_a_tensorflow_that_cannot_be_loaded_counts_as_not_installed(tmp_path: Path) -> None:
    health = "{'state': 'failed', 'problem': 'TensorFlow cannot be loaded: no AVX.'}"
    process = ModelServiceProcess(**fake(tmp_path, health=health))
    process.start()
    until(lambda: process.state == "not installed")
    assert process.problem == "TensorFlow cannot be loaded: no AVX."
    assert process.url is None
    until(lambda: process.pid is None)


def test_stopping_while_it_starts_leaves_no_child(tmp_path: Path) -> None:
    process = ModelServiceProcess(**fake(tmp_path, health="{'state': 'starting', 'problem': 'x'}"))
    process.start()
    until(lambda: process.url)
    assert process.state == "starting"
    child = process.pid
    process.stop()
    assert child is not None
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_crash_in_the_middle_is_said_and_the_next_question_is_answered(tmp_path: Path) -> None:
    expected = np.ones((2, 3), np.float32)
    (tmp_path / "answer").write_bytes(pack_evaluation(Evaluation({"conv1": expected}, [0, 1], {})))
    process = ModelServiceProcess(**fake(tmp_path))
    process.start()
    client, spec = ModelServiceClient(process, timeout_s=60), RunSpec("a run", "keras")
    np.testing.assert_array_equal(client.evaluate(spec, [0, 1], ["conv1"], IMAGE)["conv1"], expected)
    generation, pid = process.generation, process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # it has the question and will not answer it
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(client.evaluate, spec, [0, 1], ["conv1"], IMAGE)
        time.sleep(0.2)
        assert not asked.done()
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(errors.Unavailable, match="in the middle"):
            asked.result(10)
    np.testing.assert_array_equal(client.evaluate(spec, [0, 1], ["conv1"], IMAGE)["conv1"], expected)
    assert process.generation == generation + 1
    process.stop()


# -------------------------------------------------------------------------------------------- with TensorFlow


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras = pytest.importorskip("keras", reason="TensorFlow is not installed", exc_type=ImportError)
    from small_networks import lenet, random_weights, set_weights

    folder = tmp_path_factory.mktemp("lenet")
    keras.backend.clear_session()
    model = lenet()
    for step in range(4):
        set_weights(model, random_weights(model, step))
        model.save(folder / f"lenet-{step:04}.keras")
    return folder


@pytest.fixture(scope="module")
def supervised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServiceProcess]:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed", exc_type=ImportError)
    process = ModelServiceProcess(first_backoff_s=0.05, log_path=tmp_path_factory.mktemp("log") / "service.log")
    process.start()
    yield process
    process.stop()


def test_a_question_asked_while_it_starts_is_answered(supervised: ModelServiceProcess, run_folder: Path) -> None:
    import keras

    assert supervised.state == "starting"
    assert supervised.problem == "TensorFlow is loading (about 5 s)."
    client, spec = ModelServiceClient(supervised, timeout_s=60), RunSpec(str(run_folder), "keras")
    maps = client.evaluate(spec, [0, 3], ["conv2", "output"], IMAGE)
    model = keras.saving.load_model(run_folder / "lenet-0003.keras")
    np.testing.assert_allclose(maps["output"][1], model.predict(IMAGE[None], verbose=0)[0], rtol=1e-4)
    until(lambda: supervised.state == "ready")
    assert supervised.problem is None


def test_only_the_token_of_the_supervisor_is_answered(supervised: ModelServiceProcess) -> None:
    url = supervised.wait_for_url(30)
    assert url is not None
    with pytest.raises(errors.MloscopeError, match="x-mloscope-token is wrong"):
        ModelServiceClient(url, token="guessed").status()
    assert ModelServiceClient(url, token=supervised.token).status()["state"] in ("ready", "starting")


def test_it_ends_with_its_parent_however_that_ends() -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed", exc_type=ImportError)
    code = textwrap.dedent(
        """
        import time
        from mloscope.app.model_service.supervisor import ModelServiceProcess
        process = ModelServiceProcess()
        process.start()
        process.wait_for_url(30)
        print(process.pid, flush=True)
        time.sleep(60)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.wait()

    def gone() -> bool:
        try:
            return "\tZ" in Path(f"/proc/{child}/status").read_text().replace(" ", "")
        except FileNotFoundError:
            return True

    if not Path("/proc").is_dir():
        pytest.skip("needs /proc to see another process end")
    until(gone, timeout_s=10)


def test_it_refuses_to_start_without_a_token() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MLOSCOPE_MODEL_SERVICE_TOKEN"}
    ended = subprocess.run(
        [sys.executable, "-m", "mloscope.app.model_service.server", "--port", "0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert "MLOSCOPE_MODEL_SERVICE_TOKEN must be set" in ended.stderr


def test_waiting_ends_when_it_is_stopped(tmp_path: Path) -> None:
    process = ModelServiceProcess(**fake(tmp_path, before="sys.stdin.read()"))  # never says its port
    process.start()
    stopper = threading.Timer(0.3, process.stop)
    stopper.start()
    started = time.monotonic()
    assert process.wait_for_url(30) is None
    assert time.monotonic() - started < 5
    stopper.join()
