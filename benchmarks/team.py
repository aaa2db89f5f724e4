"""What a team has, on this machine's own address: Redis, a model service, several web workers behind one port, users who sign in.

All of them are the programs that docker-compose.yml starts, as processes of one's own, over a run of 41 checkpoints of a LeNet-5
and images of noise. Everything ends with the ``with``.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from web_process import processor_s, resident_mb

CHECKPOINTS = 41
LAYERS = ("conv1", "conv2")
"""The layers that are looked at."""
_START_WITHIN_S = 90.0
_SAVE_RUN = "import sys, pathlib; from evaluation import save_run; save_run(pathlib.Path(sys.argv[1]))"


@dataclass(frozen=True)
class Data:
    """Something to look at."""

    run: Path
    images: Path
    users: Path
    passwords: dict[str, str]
    """By name of user."""


@dataclass(frozen=True)
class Team:
    """Processes that serve, and where."""

    address: str
    web: subprocess.Popen[str]
    model_service: subprocess.Popen[bytes]
    redis: subprocess.Popen[bytes] | None
    log: Path

    def workers(self) -> list[int]:
        """The web processes that answer."""
        children = Path(f"/proc/{self.web.pid}/task/{self.web.pid}/children").read_text().split()
        found = [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        return found or [self.web.pid]

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of the web processes and the model service, by name and process id."""
        pids = {f"web worker {pid}": pid for pid in self.workers()}
        pids[f"model service {self.model_service.pid}"] = self.model_service.pid
        return {name: resident_mb(pid) for name, pid in pids.items()}

    def processor_s(self) -> dict[str, float]:
        """Seconds of processor time used so far: of the web workers together, the model service and Redis."""
        used = {
            "web workers": sum(map(processor_s, self.workers())),
            "model service": processor_s(self.model_service.pid),
        }
        return used | ({"Redis": processor_s(self.redis.pid)} if self.redis else {})


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def make_data(folder: Path, images: int, users: int = 0) -> Data:
    """A run of random weights, images of noise, and users who may come in, in the folder."""
    (folder / "run").mkdir()
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", _SAVE_RUN, folder / "run"]
    subprocess.run(command, check=True, env=quiet, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL)
    pixels = np.random.default_rng(0).integers(0, 256, (images, 28, 28), np.uint8)
    np.savez(folder / "images.npz", x_test=pixels, y_test=np.arange(images) % 10)
    passwords = {f"user-{number}": secrets.token_urlsafe(12) for number in range(users)}
    data = Data(folder / "run", folder / "images.npz", folder / "users.json", passwords)
    if users:
        from mloscope.app.accounts.users import UserFile

        file = UserFile(data.users)
        for name, password in passwords.items():
            file.put_user(name, password, "viewer")
    return data


@contextmanager
def serving(
    data: Data, workers: int, *, redis: bool = True, redis_memory: str = "2gb", **settings: str
) -> Iterator[Team]:
    """``redis=False``: one process that keeps results in its memory. Raises RuntimeError where something does not come up."""
    if redis and shutil.which("redis-server") is None:
        raise RuntimeError("This needs redis-server (apt: redis-server).")
    started: list[subprocess.Popen[bytes] | subprocess.Popen[str]] = []
    folder = data.run.parent
    password, token = secrets.token_hex(16), secrets.token_hex(16)
    environment = {
        **os.environ,
        "MLOSCOPE_MODEL_SERVICE_TOKEN": token,
        "MLOSCOPE_USERS_FILE": str(data.users),
        "MLOSCOPE_CACHE_FOLDER": str(folder / "statistics"),
        "CUDA_VISIBLE_DEVICES": "",
        **settings,
    }
    log = folder / f"log-{secrets.token_hex(4)}.txt"
    try:
        with log.open("w") as said:
            store = None
            if redis:
                port = free_port()
                options = {
                    "port": port, "bind": "127.0.0.1", "requirepass": password, "maxmemory": redis_memory,
                    "maxmemory-policy": "allkeys-lru", "save": "", "appendonly": "no", "dir": folder,
                }  # fmt: skip
                words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
                store = subprocess.Popen(["redis-server", *words], stdout=subprocess.DEVNULL)
                started.append(store)
                environment["MLOSCOPE_REDIS_URL"] = f"redis://:{password}@127.0.0.1:{port}/0"
            port = free_port()
            command = [sys.executable, "-m", "mloscope.app.model_service.server", "--port", str(port)]
            service = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
            started.append(service)
            environment["MLOSCOPE_MODEL_SERVICE_URL"] = f"http://127.0.0.1:{port}"
            until(lambda: b'"ready"' in _page(f"http://127.0.0.1:{port}/healthz"), "the model service")
            command = [
                sys.executable, "-m", "mloscope.app.commands.cli", "serve", str(data.run), "--name", "lenet", "--images", str(data.images),
                "--port", "0", "--no-browser", *(["--workers", str(workers)] if workers > 1 else []),
            ]  # fmt: skip
            web = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=said, text=True)
            started.append(web)
            address = next(
                (found[1] for line in web.stdout or () if (found := re.search(r"listens on (\S+)", line))), ""
            )
            team = Team(address, web, service, store, log)
            until(
                lambda: len(team.workers()) == workers and b'"ready":true' in _page(f"{address}/readyz"),
                "the web workers",
            )
            time.sleep(2 if workers > 1 else 0)  # the others may still be importing
            yield team
    finally:
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
        for process in reversed(started):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(true: Callable[[], object], what: str, within_s: float = _START_WITHIN_S) -> None:
    """Wait until it is. Raises RuntimeError where it is not in time."""
    ends = time.monotonic() + within_s
    while not true():
        if time.monotonic() > ends:
            raise RuntimeError(f"Not within {within_s:g} s: {what}.")
        time.sleep(0.1)


def _page(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read()
    except (URLError, ConnectionError, TimeoutError):
        return b""
