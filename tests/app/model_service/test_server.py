"""The service over HTTP, in this process, asked by the real client; the runs are in memory."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import urllib3
import uvicorn
from framework import needs_tensorflow
from small_networks import MemoryRun

from mloscope.adaptors.interface import NothingThere, RunOptions
from mloscope.app import errors
from mloscope.app.model_service.backends import BackendMissing, LoadedBackends
from mloscope.app.model_service.backends.keras import KerasBackend
from mloscope.app.model_service.client import Asked, ModelServiceClient, RunSpec
from mloscope.app.model_service.endpoints import application
from mloscope.app.model_service.evaluator import Evaluator
from mloscope.app.model_service.server import listen
from mloscope.app.model_service.wire import CONTENT_TYPE, TOKEN_HEADER, pack
from mloscope.app.model_service.worker import Worker

pytestmark = needs_tensorflow

TOKEN = "a secret"
IMAGE = np.random.default_rng(0).normal(0, 1, (28, 28, 1)).astype(np.float32)


@dataclass
class Running:
    """A service in a thread. Its runs are by path: ``lenet-5`` is five checkpoints of a LeNet."""

    may_load: threading.Event = field(default_factory=threading.Event)
    runs: dict[str, MemoryRun] = field(default_factory=dict)

    def start(self) -> None:
        self.worker = Worker(self.load, "TensorFlow is loading (about 5 s).")
        listener = listen("127.0.0.1", 0)
        self.port = listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        config = uvicorn.Config(application(self.worker, TOKEN), log_level="warning", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()
        self.worker.start()

    def load(self) -> Evaluator:
        assert self.may_load.wait(10)
        return self.evaluator()

    def evaluator(self) -> Evaluator:
        return Evaluator(LoadedBackends(loaded=[KerasBackend()]), open_run=self.open_run)

    def open_run(self, path: Path, options: RunOptions, _format: str) -> Any:
        if path.name not in self.runs:
            if not path.name.startswith("lenet"):
                raise NothingThere(f"{path} does not exist.")
            self.runs[path.name] = MemoryRun.open(path, options)
        return self.runs[path.name]

    def client(self, **settings: Any) -> ModelServiceClient:
        return ModelServiceClient(self.url, token=TOKEN, **{"timeout_s": 20, **settings})

    def stop(self) -> None:
        self.server.should_exit = True
        self.worker.stop()
        self.thread.join(5)


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    running = Running()
    running.may_load.set()
    running.start()
    yield running
    running.stop()


def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def test_maps_come_through_http_as_they_were_computed(service: Running) -> None:
    spec = RunSpec("lenet-4", "memory")
    maps = service.client().evaluate(spec, [0, 30, 7], ["conv1", "output"], IMAGE)
    direct = service.evaluator().evaluate(spec, [0, 30, 7], ["conv1", "output"], IMAGE)
    assert list(maps) == ["conv1", "output"]
    assert maps["conv1"].shape == (3, 28, 28, 6)
    assert maps.steps == (0, 30, 7)
    assert maps.failed == {7: "The run lenet-4 has no checkpoint at step 7."}
    for layer in maps:
        np.testing.assert_allclose(maps[layer], direct[layer], rtol=1e-5, atol=1e-6)


def test_pictures_come_through_http_as_they_were_made(service: Running) -> None:
    spec, asked = (
        RunSpec("lenet-4", "memory"),
        Asked("conv2", {"method": "guided", "of": "strongest", "units": [3, 0]}, IMAGE),
    )
    made = service.client().pictures(spec, [30, 7, 0], "deconvolution", asked)
    direct = service.evaluator().pictures(spec, [30, 7, 0], "deconvolution", asked)
    assert made.values.shape == (3, 28, 28, 1, 2)
    assert made.failed == direct.failed
    assert set(made.failed) == {7}
    assert np.abs(made.values[0]).max() > 0
    np.testing.assert_allclose(made.values, direct.values, rtol=1e-4, atol=1e-5)
    assert {*made.figures} == {30, 0}
    np.testing.assert_allclose(made.figures[30]["activation"], direct.figures[30]["activation"], rtol=1e-4)


def test_describe_and_status(service: Running) -> None:
    described = service.client().describe(RunSpec("lenet-4", "memory"))
    assert described["output_layer"] == "output"
    assert described["layers"]["conv1"] == [28, 28, 6]
    assert described["input_shape"] == [28, 28, 1]
    status = service.client().status()
    assert status["state"] == "ready"
    assert status["device"] == "CPU"
    assert status["answered"] >= 1


def test_small_answers_do_not_wait_for_acknowledgements() -> None:
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_errors_arrive_as_what_they_are(service: Running) -> None:
    client, spec = service.client(), RunSpec("lenet-4", "memory")
    with pytest.raises(errors.NotFound, match="no layer conv9"):
        client.evaluate(spec, [0], ["conv9"], IMAGE)
    with pytest.raises(errors.NotFound, match=r"nowhere does not exist\."):
        client.describe(RunSpec("nowhere", "memory"))
    with pytest.raises(errors.BadRequest, match=r"takes \(28, 28, 1\)"):
        client.evaluate(spec, [0], ["conv1"], np.zeros((5, 5, 3), np.float32))
    with pytest.raises(errors.BadRequest, match="row, column, channel"):
        client.evaluate(spec, [0], ["conv1"], np.zeros((28, 28), np.float32))


def test_an_error_of_our_own_is_opaque(service: Running) -> None:
    class Wrong(MemoryRun):
        def checkpoints(self) -> Any:
            raise ZeroDivisionError("secret detail")

    service.runs["lenet-wrong"] = Wrong()
    with pytest.raises(errors.MloscopeError, match="an error of its own") as caught:
        service.client().describe(RunSpec("lenet-wrong", "memory"))
    assert caught.value.status == 500
    assert "secret detail" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/evaluate", b""),
        ("/evaluate", pack({"run": {}}, [IMAGE])),
        (
            "/evaluate",
            pack({"run": RunSpec("a", "b").to_json(), "steps": ["x"], "layers": [], "priority": 0}, [IMAGE]),
        ),
        (
            "/evaluate",
            pack({"run": RunSpec("a", "b").to_json(), "steps": [1], "layers": [], "priority": 0}, []),
        ),
        ("/picture", pack({"run": RunSpec("a", "b").to_json(), "steps": [1], "layer": "conv1"}, [IMAGE])),
        ("/describe", b"[1, 2]"),
        ("/describe", b"not JSON"),
    ],
)
def test_malformed_questions_are_bad_requests(service: Running, path: str, body: bytes) -> None:
    answer = urllib3.request("POST", service.url + path, body=body, headers={TOKEN_HEADER: TOKEN.encode()})
    assert answer.status == 400
    assert json.loads(answer.data)["error"]["kind"] == "bad-request"


@pytest.mark.parametrize("token", [None, "", "a secre", "A secret"])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/evaluate"), ("POST", "/picture"), ("POST", "/describe"), ("GET", "/status")]
)
def test_without_the_token_nothing_is_answered(service: Running, method: str, path: str, token: str | None) -> None:
    headers = {} if token is None else {TOKEN_HEADER: token.encode()}
    assert urllib3.request(method, service.url + path, headers=headers).status == 403


def test_eight_threads_get_their_own_answers(service: Running) -> None:
    client, spec = service.client(), RunSpec("lenet-6", "memory")
    images = [IMAGE * (n + 1) for n in range(4)]
    expected = [client.evaluate(spec, [0, 10, 50], ["conv1"], image)["conv1"] for image in images]

    def ask(n: int) -> None:
        for image, maps in zip(images[n % 4 :] + images[: n % 4], expected[n % 4 :] + expected[: n % 4], strict=True):
            steps = [0, 10, 50] if n % 2 else [50, 0]
            got = client.evaluate(spec, steps, ["conv1"], image, priority=n % 3)["conv1"]
            rows = [0, 1, 2] if n % 2 else [2, 0]
            np.testing.assert_allclose(got, maps[rows], rtol=1e-4, atol=1e-5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_identical_questions_in_flight_are_computed_once(service: Running) -> None:
    run = service.runs["lenet-held"] = MemoryRun()
    run.hold.clear()
    client, spec = service.client(), RunSpec("lenet-held", "memory")
    before = client.status()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(client.evaluate, spec, [0, 10], ["conv1"], IMAGE)
        until(lambda: "lenet-held" in service.runs and service.worker.queue.waiting == 0)
        others = [pool.submit(client.evaluate, spec, [0, 10], ["conv1"], IMAGE, n % 3) for n in range(7)]
        different = pool.submit(client.evaluate, spec, [0, 10], ["conv1"], IMAGE + 1)
        until(lambda: client.status()["coalesced"] - before["coalesced"] == 7)
        run.hold.set()
        maps = [each.result(10)["conv1"] for each in (first, *others)]
        assert np.abs(different.result(10)["conv1"] - maps[0]).max() > 0.1
    for each in maps:
        np.testing.assert_array_equal(each, maps[0])
    after = client.status()
    assert after["checkpoints_evaluated"] - before["checkpoints_evaluated"] == 4
    assert after["answered"] - before["answered"] == 2


def question(service: Running, run: str, steps: list[int]) -> socket.socket:
    """Ask and keep the connection, so that the test can hang up."""
    body = pack({"run": RunSpec(run, "memory").to_json(), "steps": steps, "layers": ["conv1"], "priority": 0}, [IMAGE])
    head = (
        f"POST /evaluate HTTP/1.1\r\nhost: x\r\ncontent-type: {CONTENT_TYPE}\r\n"
        f"content-length: {len(body)}\r\n{TOKEN_HEADER}: {TOKEN}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", service.port))
    connection.sendall(head.encode() + body)
    return connection


def test_who_hangs_up_is_not_worked_for(service: Running) -> None:
    run = service.runs["lenet-left"] = MemoryRun(steps=5)
    never = service.runs["lenet-never"] = MemoryRun(steps=5)
    run.hold.clear()
    before = dict(service.worker.queue.counts)

    def counted(what: str) -> int:
        return service.worker.queue.counts[what] - before[what]

    running = question(service, "lenet-left", [0, 10, 20, 30, 40])
    until(lambda: service.worker.queue.waiting == 0 and service.worker.queue._running is not None)
    waiting = question(service, "lenet-never", [0, 10])
    until(lambda: service.worker.queue.waiting == 1)
    waiting.close()
    until(lambda: counted("dropped") == 1)
    running.close()
    until(lambda: service.worker.queue._running is not None and service.worker.queue._running.abandoned)
    run.hold.set()
    until(lambda: counted("stopped") == 1)
    assert run.reads == [0]  # it stopped between checkpoints
    assert never.reads == []
    assert service.client().evaluate(RunSpec("lenet-left", "memory"), [10], ["conv1"], IMAGE).failed == {}


def test_who_hangs_up_does_not_take_the_answer_from_another(service: Running) -> None:
    run = service.runs["lenet-both"] = MemoryRun(steps=3)
    run.hold.clear()
    coalesced = service.worker.queue.counts["coalesced"]
    leaving = question(service, "lenet-both", [0, 10, 20])
    until(lambda: service.worker.queue._running is not None)
    with ThreadPoolExecutor(1) as pool:
        staying = pool.submit(service.client().evaluate, RunSpec("lenet-both", "memory"), [0, 10, 20], ["conv1"], IMAGE)
        until(lambda: service.worker.queue.counts["coalesced"] == coalesced + 1)
        leaving.close()
        time.sleep(0.1)
        run.hold.set()
        assert staying.result(10)["conv1"].shape[0] == 3
    assert run.reads == [0, 10, 20]


def test_priorities_decide_who_is_next(service: Running) -> None:
    blocker = service.runs["lenet-block"] = MemoryRun(steps=1)
    blocker.hold.clear()
    ordered = {name: MemoryRun(steps=1) for name in ("lenet-p2", "lenet-p0", "lenet-p1")}
    order: list[str] = []
    for name, run in ordered.items():
        run.hold = _Noting(order, name)  # type: ignore[assignment]
        service.runs[name] = run
    client = service.client()
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(client.evaluate, RunSpec("lenet-block", "memory"), [0], ["conv1"], IMAGE)]
        until(lambda: service.worker.queue._running is not None and service.worker.queue.waiting == 0)
        for waiting, name in enumerate(ordered, start=1):
            spec = RunSpec(name, "memory")
            jobs.append(pool.submit(client.evaluate, spec, [0], ["conv1"], IMAGE, int(name[-1])))
            until(lambda waiting=waiting: service.worker.queue.waiting == waiting)  # type: ignore[misc]
        blocker.hold.set()
        for job in jobs:
            job.result(10)
    assert order == ["lenet-p0", "lenet-p1", "lenet-p2"]


class _Noting(threading.Event):
    def __init__(self, order: list[str], name: str) -> None:
        super().__init__()
        self._order, self._name = order, name

    def wait(self, timeout: float | None = None) -> bool:
        self._order.append(self._name)
        return True


def test_it_says_that_it_is_loading_and_answers_when_it_has_loaded() -> None:
    running = Running()
    running.start()
    health = json.loads(urllib3.request("GET", running.url + "/healthz").data)
    assert health == {"state": "starting", "problem": "TensorFlow is loading (about 5 s)."}
    assert running.client().status()["state"] == "starting"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(running.client().evaluate, RunSpec("lenet-1", "memory"), [0], ["conv1"], IMAGE)
        until(lambda: running.worker.queue.waiting == 1)
        with pytest.raises(errors.Unavailable, match=r"within 0\.2 seconds"):
            running.client(timeout_s=0.2).describe(RunSpec("lenet-1", "memory"))
        running.may_load.set()
        assert waiting.result(10)["conv1"].shape == (1, 28, 28, 6)
    running.stop()


@pytest.mark.parametrize(
    "failure",
    [BackendMissing("TensorFlow cannot be loaded (libcudart.so.12)."), ImportError("libcudart.so.12: no such file")],
)
def test_a_backend_that_cannot_be_loaded_is_said(failure: Exception) -> None:
    def broken() -> Evaluator:
        raise failure

    running = Running()
    running.load = broken  # type: ignore[method-assign]
    running.start()
    until(lambda: running.worker.state == "failed")
    with pytest.raises(errors.Unavailable, match=r"cannot be loaded.*libcudart"):
        running.client().describe(RunSpec("lenet-1", "memory"))
    running.stop()


def test_nobody_at_the_address_is_said_at_once() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(errors.Unavailable, match=f"The model service at {url} does not answer"):
            ModelServiceClient(url, token="").status()
        assert time.monotonic() - started < 1


def test_of_several_one_that_is_loading_is_waited_for_only_where_there_is_no_other(service: Running) -> None:
    loading = Running()
    loading.start()
    try:
        spec = RunSpec("lenet-4", "memory")
        several = ModelServiceClient(f"{loading.url}, {service.url}", token=TOKEN, timeout_s=20)
        for number in range(4):  # whichever of the two comes first
            assert several.evaluate(spec, [0], ["output"], IMAGE + number)["output"].shape == (1, 10)
        assert loading.worker.queue.waiting == 0
        alone = ModelServiceClient(loading.url, token=TOKEN, timeout_s=20)
        assert alone.status()["state"] == "starting"
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(alone.evaluate, spec, [0], ["output"], IMAGE)
            until(lambda: loading.worker.queue.waiting == 1)
            loading.may_load.set()
            assert asked.result(20)["output"].shape == (1, 10)
    finally:
        loading.may_load.set()
        loading.stop()


def test_a_network_for_which_memory_is_wanting_is_said_and_costs_nobody_else(service: Running) -> None:
    class Greedy(MemoryRun):
        def weights(self, checkpoint: Any) -> dict[str, np.ndarray]:
            raise MemoryError

    service.runs["lenet-greedy"] = Greedy.open(Path("lenet-4"), RunOptions())
    with pytest.raises(errors.Unavailable, match="has not enough memory for this just now; ask again"):
        service.client().evaluate(RunSpec("lenet-greedy", "memory"), [0], ["output"], IMAGE)
    assert service.client().evaluate(RunSpec("lenet-4", "memory"), [0], ["output"], IMAGE).failed == {}
