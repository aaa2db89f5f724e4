"""A team's worth of processes on the loopback address, each of which can be killed, paused and started again; and a witness who
asks all the while and knows every right answer.

    Witness ──HTTP──► web (two workers) ──► Redis
                              └───────────► two model services
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import urllib3

STEPS = (1, 2, 3)
IMAGES = 20_000
WELL_WITHIN_S = 10.0
"""How long it may take, after the cause of a fault is gone, until everything is well again."""
_START_S = 90.0


def reason_to_skip() -> str | None:
    if shutil.which("redis-server") is None:
        return "no redis-server on the PATH (apt: redis-server)"
    if importlib.util.find_spec("tensorflow") is None:
        return "needs TensorFlow: make test installs it"
    return None


def until(true: Callable[[], Any], what: str, patience_s: float) -> float:
    """Seconds until ``true()`` was; a failure that names ``what`` after so many."""
    began = time.monotonic()
    came = False
    while not came:
        time.sleep(0.05)
        with contextlib.suppress(urllib3.exceptions.HTTPError, OSError):
            came = bool(true())
        assert time.monotonic() - began < patience_s, f"{what}: not within {patience_s:g} s"
    return time.monotonic() - began


# ------------------------------------------------------------------------------------------ what is looked at


def weights(step: int) -> list[np.ndarray]:
    """float32 kernel (3, 3, 1, 4) and bias of a convolution, kernel (144, 3) and bias of the output layer."""
    generator = np.random.default_rng(step)
    return [generator.normal(0, 0.3, shape).astype(np.float32) for shape in ((3, 3, 1, 4), (4,), (144, 3), (3,))]


def predicted(step: int, image: int, of: Callable[[int], list[np.ndarray]] = weights) -> np.ndarray:
    """float64 (class,): what the network of this step makes of the image, worked out without TensorFlow."""
    kernel, bias, dense, dense_bias = of(step)
    windows = np.lib.stride_tricks.sliding_window_view(pixels()[image, ..., 0] / 255.0, (3, 3))
    maps = np.maximum(np.einsum("rcij,iju->rcu", windows, kernel[:, :, 0]) + bias, 0)
    powers = np.exp(maps.reshape(-1) @ dense + dense_bias)
    return powers / powers.sum()


@functools.cache
def pixels() -> np.ndarray:
    """uint8 (image, 8, 8, 1)"""
    return np.random.default_rng(0).integers(0, 256, (IMAGES, 8, 8, 1), np.uint8)


def make_subjects(folder: Path) -> Path:
    """Write the run, the corpus and the workspace file; returns the folder."""
    import keras

    (folder / "run").mkdir()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    for step in STEPS:
        model.set_weights(weights(step))
        model.save(folder / "run" / f"step-{step}.keras")
    (folder / "wide").mkdir()
    wide = keras.Sequential(
        [
            keras.Input((512, 512, 1)),
            keras.layers.Conv2D(512, 3, activation="relu", name="conv"),  # half a gigabyte for one image
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax", name="classes"),
        ]
    )
    wide.save(folder / "wide" / "step-1.keras")
    labels = np.arange(IMAGES) % 3
    np.savez(folder / "noise.npz", x_test=pixels(), y_test=labels)
    (folder / "mloscope.toml").write_text(
        '[runs.small]\npath = "run"\n[runs.wide]\npath = "wide"\n[corpora.noise]\npath = "noise.npz"\n'
    )
    return folder


# -------------------------------------------------------------------------------------------- the processes


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Program:
    """A process with a port of its own, started as often as it takes."""

    def __init__(self, command: list[str], environment: dict[str, str], log: Path, port: int) -> None:
        self.command, self.environment, self.log, self.port = command, environment, log, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, env={**os.environ, **self.environment}, stdout=log, stderr=log, start_new_session=True
            )

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """At once, as the kernel does where memory has run out."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """It holds its connections and says nothing."""
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # killed meanwhile
                self.signal(signal.SIGCONT)

    def is_up(self) -> bool:
        """Whether it listens."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True

    def is_ready(self) -> bool:
        """Whether a model service has TensorFlow."""
        answer = urllib3.request("GET", f"http://127.0.0.1:{self.port}/healthz", timeout=1, retries=False)
        return json.loads(answer.data)["state"] == "ready"

    def end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Team:
    """Redis, two model services and a web server of two workers, from ``with`` to its end.

    ``environment``: of the web server. ``services``: how many model services, or their URLs."""

    def __init__(
        self,
        subjects: Path,
        folder: Path,
        *,
        services: int | tuple[str, ...] = 2,
        workers: int = 2,
        environment: dict[str, str] | None = None,
        token: str | None = None,
    ) -> None:
        self.subjects, self.folder, self.workers = subjects, folder, workers
        self.cache_folder = folder / "cache"
        token = token or secrets.token_hex(8)
        password = secrets.token_hex(8)
        port = free_port()
        self.redis = Program(
            [
                "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                "--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru", "--requirepass", password,
            ],
            {}, folder / "redis.log", port,
        )  # fmt: skip
        self.redis_url = f"redis://:{password}@127.0.0.1:{port}/0"
        self.services = (
            [model_service(folder / f"service-{n}.log", token) for n in range(services)]
            if isinstance(services, int)
            else []
        )
        urls = services if isinstance(services, tuple) else [f"http://127.0.0.1:{s.port}" for s in self.services]
        port = free_port()
        self.web = Program(
            [
                sys.executable, "-m", "mloscope.app.commands.cli", "serve", "--workspace", str(subjects / "mloscope.toml"),
                "--port", str(port), "--no-browser", "--workers", str(workers),
            ],
            {
                "MLOSCOPE_REDIS_URL": self.redis_url,
                "MLOSCOPE_MODEL_SERVICE_URL": ",".join(urls),
                "MLOSCOPE_MODEL_SERVICE_TOKEN": token,
                "MLOSCOPE_CACHE_FOLDER": str(self.cache_folder),
                "MLOSCOPE_EVALUATIONS_A_MINUTE": "0",
                "MLOSCOPE_USERS_FILE": str(folder / "users.json"),
                **(environment or {}),
            },
            folder / "web.log", port,
        )  # fmt: skip
        self.address = f"http://127.0.0.1:{port}"
        self._http = urllib3.PoolManager(retries=False, maxsize=16)
        self.headers: dict[str, str] = {}
        self._unseen = itertools.count()

    def __enter__(self) -> Self:
        try:
            self.be_well()
        except BaseException:
            self.end()
            raise
        return self

    def end(self) -> None:
        for program in (self.web, *self.services, self.redis):
            program.end()

    def __exit__(self, *_: object) -> None:
        self.end()
        said = (self.folder / "web.log").read_text()
        assert "Traceback" not in said, said[-5000:]

    def be_well(self) -> None:
        """Wait until it is; a failure where it does not come to be."""
        for program in (self.redis, *self.services, self.web):
            if program.process is None or program.process.poll() is not None:
                program.start()
        until(self.is_well, "the team is well", _START_S)

    def is_well(self) -> bool:
        """Whether every process answers, and what nobody asked before is answered rightly."""
        return (
            all(program.is_up() for program in (self.redis, *self.services, self.web))
            and len(self.worker_pids()) == self.workers
            and all(self.is_right(self.predictions(self.unseen_image())) for _ in range(2 * self.workers))
        )

    def caches(self) -> bool:
        """Whether all is well, and what was asked for once costs nothing after that, whichever worker answers."""
        if not self.is_well():
            return False
        image = self.unseen_image()
        self.predictions(image)
        before = self.evaluated()
        return all(self.is_right(self.predictions(image)) for _ in range(4)) and self.evaluated() == before

    def worker_pids(self) -> list[int]:
        """Of the processes that answer browsers: children of the one that was started, or that one itself."""
        assert self.web.process is not None
        if self.workers == 1:
            return [self.web.process.pid]
        return [pid for pid, command in children(self.web.process.pid) if "resource_tracker" not in command]

    # ---- questions

    def unseen_image(self) -> int:
        """One that nobody asked for before, so that it has to be evaluated."""
        return next(self._unseen) % IMAGES

    def ask(
        self, path: str, *, method: str = "GET", body: Any = None, patience_s: float = 60
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body. Raises urllib3's errors where nobody answers."""
        answer = self._http.request(
            method, self.address + path, headers={"x-mloscope": "1", **self.headers}, json=body, timeout=patience_s
        )
        return answer.status, dict(answer.headers), answer.data

    def json(self, path: str, **more: Any) -> Any:
        status, _, body = self.ask(path, **more)
        assert status == 200, (path, status, body[:1000])
        return json.loads(body)

    def predictions(self, image: int, *, patience_s: float = 60) -> Prediction:
        """What is answered for an image; it may be a refusal, or nothing."""
        began = time.monotonic()
        try:
            status, _, body = self.ask(
                f"/api/v1/runs/small/predictions/test-{image}?corpus=noise", patience_s=patience_s
            )
        except urllib3.exceptions.HTTPError as error:
            return Prediction(image, began, time.monotonic(), problem=f"nobody answered: {type(error).__name__}")
        ended = time.monotonic()
        answer = json.loads(body)
        if status != 200:
            return Prediction(image, began, ended, status, problem=answer["error"]["message"])
        if answer["missing"]:
            return Prediction(image, began, ended, status, problem=answer["missing"][0]["reason"])
        return Prediction(image, began, ended, status, dict(zip(answer["steps"], answer["probabilities"], strict=True)))

    def is_right(self, answer: Prediction) -> bool:
        return answer.problem is None and not self.is_wrong(answer)

    @staticmethod
    def is_wrong(answer: Prediction) -> bool:
        """Whether something was answered and it is not the truth; a refusal is never wrong."""
        if answer.problem is not None:
            return False
        return set(answer.steps) != set(STEPS) or any(
            not np.allclose(row, predicted(step, answer.image), atol=1e-5) for step, row in answer.steps.items()
        )

    def evaluated(self) -> float:
        """How many checkpoints the web workers have had evaluated."""
        _, _, text = self.ask("/metrics")
        return float(re.search(rb"^mloscope_evaluations_total (\S+)", text, re.MULTILINE)[1])  # type: ignore[index]


def model_service(log: Path, token: str, *, port: int | None = None, host: str = "127.0.0.1") -> Program:
    port = port or free_port()
    command = [sys.executable, "-m", "mloscope.app.model_service.server", "--host", host, "--port", str(port)]
    return Program(command, {"MLOSCOPE_MODEL_SERVICE_TOKEN": token}, log, port)


def children(pid: int) -> list[tuple[int, str]]:
    """Process number and command line of the living children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError, ValueError):
            about = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(about[1]) == pid and about[0] != "Z":
                found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()))
    return found


# ---------------------------------------------------------------------------------------------- the witness


@dataclass
class Prediction:
    """One answer. Times are of the monotonic clock, in seconds."""

    image: int
    asked: float
    answered: float
    status: int = 0
    steps: dict[int, list[float]] = field(default_factory=dict)
    problem: str | None = None
    """A sentence where there is no answer."""

    @property
    def took_s(self) -> float:
        return self.answered - self.asked


class Witness:
    """Asks without a pause, from ``with`` to its end, every other time for an image that was never asked for before."""

    def __init__(self, team: Team, threads: int = 2) -> None:
        self._team = team
        self.answers: list[Prediction] = []
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(120)

    def _ask(self, number: int) -> None:
        known = [self._team.unseen_image() for _ in range(5)]
        for turn in itertools.count(number):
            if self._ending.wait(0.02):
                return
            image = known[turn % len(known)] if turn % 2 else self._team.unseen_image()
            self.answers.append(self._team.predictions(image))

    @property
    def wrong(self) -> list[Prediction]:
        return [answer for answer in self.answers if self._team.is_wrong(answer)]

    @property
    def problems(self) -> set[str]:
        """All refusals, as sentences."""
        return {answer.problem for answer in self.answers if answer.problem is not None}

    @property
    def slowest_s(self) -> float:
        return max(answer.took_s for answer in self.answers)

    def last_refusal_after(self, moment: float) -> float:
        """How long after a moment of the monotonic clock the last refusal was given, in seconds; 0 where none was."""
        return max((a.answered - moment for a in self.answers if a.problem is not None), default=0.0)
