"""Runs the model service as a child process: starts it, learns its port, starts it again when it dies.

    starting ──► ready ──► restarting ──► ready ...           stopped: by :meth:`ModelServiceProcess.stop`
       └────────────────► not installed: no network backend has its framework here, or none can be loaded

The child is started as a program of its own, never forked: a fork of a process in which TensorFlow has run hangs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import urllib3

from mloscope.app.model_service import backends
from mloscope.app.model_service.wire import TOKEN_VARIABLE

logger = logging.getLogger(__name__)

_RESTARTING = "The model service stopped and is being restarted; ask again."
_STOPPED = "The model service was stopped."
_HOPELESS_AFTER = 3
_HEALTHY_AFTER_S = 30.0
_STOP_TIMEOUT_S = 3.0
_LOOK_EVERY_S = 2.0


class ModelServiceProcess:
    """The supervised child. All attributes may be read from any thread; a :class:`client.Service`.

    It ends when this process ends, however that happens: it watches a pipe from us.
    """

    def __init__(
        self,
        *,
        weights_budget_bytes: int = 1 << 30,
        gpu_memory_bytes: int | None = None,
        log_path: Path | None = None,
        missing: Callable[[], str | None] = backends.missing,
        command: tuple[str, ...] = (sys.executable, "-m", "mloscope.app.model_service.server"),
        first_backoff_s: float = 0.2,
        longest_backoff_s: float = 10.0,
        hung_after_s: float = 20.0,
    ) -> None:
        """``missing``: why no network can be evaluated in this installation, None where some can be. ``hung_after_s``: a
        child that is asked again and again whether it lives and says nothing for so long is ended.
        ``gpu_memory_bytes``: at most so much of each GPU; None takes memory as it is needed. ``log_path``:
        where the child's standard error goes; None: a temporary file, of which only the last line of a crash
        is ever shown."""
        self.token = secrets.token_urlsafe(32)
        self._command = [
            *command,
            "--port",
            "0",
            "--supervised",
            f"--weights-budget-bytes={weights_budget_bytes}",
        ]
        if gpu_memory_bytes is not None:
            self._command.append(f"--gpu-memory-bytes={gpu_memory_bytes}")
        self._log_path = log_path
        self._hung_after_s = hung_after_s
        self._missing = missing
        self._first_backoff_s, self._longest_backoff_s = first_backoff_s, longest_backoff_s
        self._changed = threading.Condition()
        self._state = "stopped"
        self._problem: str | None = _STOPPED
        self._url: str | None = None
        self._generation = 0
        self._failures = 0  # starts in a row that did not get as far as having a backend
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._pool = urllib3.PoolManager(retries=False)

    @property
    def state(self) -> str:
        """``starting``, ``ready``, ``not installed``, ``restarting`` or ``stopped``."""
        return self._state

    @property
    def problem(self) -> str | None:
        """A sentence for the user where the state is not ``ready``."""
        return self._problem

    @property
    def url(self) -> str | None:
        """Where the service answers, which it does before its backends are loaded: what is asked then waits."""
        return self._url

    @property
    def generation(self) -> int:
        """How many children there have been."""
        return self._generation

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start the child and return at once."""
        with self._changed:
            if self._thread is not None:
                return
            missing = self._missing()
            if missing is not None:
                self._become("not installed", missing)
                return
            self._become("starting", backends.loading())
            self._thread = threading.Thread(target=self._supervise, name="model service", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the child. Returns when it has ended."""
        with self._changed:
            thread, self._thread = self._thread, None
            if self._state != "not installed":
                self._become("stopped", _STOPPED)
            process = self._process
        if process is not None:
            _end(process)
        if thread is not None:
            thread.join(_STOP_TIMEOUT_S)

    def wait_for_url(self, timeout_s: float) -> str | None:
        """The address as soon as there is one; None at once where there will not be one, or after the
        timeout."""

        def settled() -> bool:
            hopeless = self._state in ("not installed", "stopped") or self._failures >= _HOPELESS_AFTER
            return self._url is not None or hopeless

        with self._changed:
            self._changed.wait_for(settled, timeout_s)
            return self._url

    def _become(self, state: str, problem: str | None, url: str | None = None) -> None:
        with self._changed:
            self._state, self._problem, self._url = state, problem, url
            self._changed.notify_all()

    def _stopping(self) -> bool:
        return self._thread is not threading.current_thread()

    def _supervise(self) -> None:
        with self._open_log() as log:
            while not self._stopping():
                started = time.monotonic()
                hopeless = self._live(log)
                if self._stopping() or hopeless:
                    return
                if time.monotonic() - started > _HEALTHY_AFTER_S:
                    self._failures = 0
                problem = _RESTARTING
                if self._failures >= _HOPELESS_AFTER:
                    problem = f"The model service does not start ({_last_line(log)}); it is tried again."
                self._become("restarting", problem)
                backoff_s = min(self._longest_backoff_s, self._first_backoff_s * 2 ** min(self._failures, 10))
                with self._changed:
                    self._changed.wait_for(self._stopping, backoff_s)

    def _open_log(self) -> IO[bytes]:
        return self._log_path.open("a+b") if self._log_path else tempfile.TemporaryFile()

    def _live(self, log: IO[bytes]) -> bool:
        """One child, from its start to its end. Whether another would be of no use."""
        with self._changed:
            if self._stopping():
                return True
            process = self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,  # its end tells the child that we are gone
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, TOKEN_VARIABLE: self.token},
                start_new_session=True,  # Ctrl+C in the terminal is ours to handle
            )
            self._generation += 1
            self._failures += 1
        assert process.stdout is not None
        try:
            port = process.stdout.readline().strip()
            if not port:
                return False
            url = f"http://127.0.0.1:{int(port)}"
            with self._changed:
                if self._stopping():
                    return True
                self._become(self._state, self._problem, url)
            while process.poll() is None:
                health = self._health(url)
                if health.get("state") == "ready":
                    with self._changed:
                        if self._stopping():
                            return True
                        self._failures = 0
                        self._become("ready", None, url)
                    self._wait_while_it_lives(process, url)
                elif health.get("state") == "failed":
                    self._become("not installed", str(health["problem"]))
                    return True
                else:
                    time.sleep(0.05)
            return False
        finally:
            _end(process)

    def _wait_while_it_lives(self, process: subprocess.Popen[bytes], url: str) -> None:
        """Until the child has ended, by itself or, where it hangs, by us."""
        ended = threading.Event()
        threading.Thread(
            target=self._end_when_it_hangs, args=(process, url, ended), name="look at the model service", daemon=True
        ).start()
        process.wait()  # without a timeout, which would make it a poll: the next child is to start at once
        ended.set()

    def _end_when_it_hangs(self, process: subprocess.Popen[bytes], url: str, ended: threading.Event) -> None:
        lived = time.monotonic()
        while not ended.wait(min(_LOOK_EVERY_S, self._hung_after_s / 4)):
            if self._health(url):
                lived = time.monotonic()
            elif time.monotonic() - lived > self._hung_after_s:
                logger.warning("The model service said nothing for %g s and is ended.", self._hung_after_s)
                process.kill()
                return

    def _health(self, url: str) -> dict[str, Any]:
        try:
            return json.loads(self._pool.request("GET", f"{url}/healthz", timeout=2.0).data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return {}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _last_line(log: IO[bytes]) -> str:
    # The child writes through the same open file, so its position is shared: read at an offset, never seek.
    size = os.fstat(log.fileno()).st_size
    tail = os.pread(log.fileno(), 4096, max(0, size - 4096)).decode(errors="replace").strip()
    return tail.splitlines()[-1] if tail else "it says nothing"
