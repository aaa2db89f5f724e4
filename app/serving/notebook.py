"""ML-o-scope in a notebook: ``show`` starts a server for the kernel, or reuses it, and returns a frame around it.

The server is a process of its own on a free port of this machine. It ends with the kernel, or by :meth:`View.stop`.
"""

from __future__ import annotations

import atexit
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import IO

from mloscope.app.errors import BadRequest, NotFound, Unavailable

FRAMED_BY = "http://localhost:*,http://127.0.0.1:*,https://localhost:*,https://127.0.0.1:*,vscode-webview:"
"""Pages that may show our pages within them, of the servers that are started here: notebooks of this machine."""
_PATIENCE_S = 60.0
_LISTENS = re.compile(r"ML-o-scope listens on (http://\S+)")
_LEAST_HEIGHT_PX = 200


@dataclass(frozen=True)
class Server:
    """A server that was started for this kernel."""

    address: str
    process: subprocess.Popen[bytes]

    def is_up(self) -> bool:
        return self.process.poll() is None


@dataclass(frozen=True)
class View:
    """What a cell shows: a frame around a page, and a link beside it."""

    address: str
    """Of the page, as this machine sees it."""
    height: int
    server: Server

    def _repr_html_(self) -> str:
        address = escape(self.address)
        return (
            f'<iframe src="{address}" title="ML-o-scope" width="100%" height="{self.height}" style="border: 0"></iframe>'
            f'<p><a href="{address}" target="_blank" rel="noopener">Open ML-o-scope in a tab of its own</a></p>'
        )

    def __repr__(self) -> str:
        return f"ML-o-scope at {self.address}"

    def stop(self) -> None:
        """End the server; other views of the same runs end with it."""
        _end(self.server.process)


Start = Callable[[Sequence[str], IO[bytes]], "subprocess.Popen[bytes]"]


class Servers:
    """The servers of this kernel, by what they show. Thread-safe."""

    def __init__(self, start: Start | None = None, patience_s: float = _PATIENCE_S) -> None:
        self._start = start or _start
        self._patience_s = patience_s
        self._servers: dict[tuple[str, ...], Server] = {}
        self._lock = threading.Lock()

    def of(self, words: Sequence[str]) -> Server:
        """The server with these words of ``mloscope serve``, started where it is not up. Raises :class:`Unavailable` with what it
        said where it ends instead."""
        key = tuple(words)
        with self._lock:
            known = self._servers.get(key)
            if known is None or not known.is_up():
                known = self._servers[key] = self._started(key)
            return known

    def stop(self) -> None:
        """End all."""
        with self._lock:
            for server in self._servers.values():
                _end(server.process)
            self._servers.clear()

    def _started(self, words: Sequence[str]) -> Server:
        log = tempfile.NamedTemporaryFile(prefix="mloscope-notebook-", suffix=".log")  # noqa: SIM115 - open while it writes
        process = self._start(words, log.file)  # type: ignore[arg-type]
        until = time.monotonic() + self._patience_s
        while time.monotonic() < until:
            said = Path(log.name).read_text(errors="replace")
            if found := _LISTENS.search(said):
                return Server(found[1], process)
            if process.poll() is not None:
                raise Unavailable(f"The server did not start. {said.strip()[-2000:]}")
            time.sleep(0.05)
        _end(process)
        raise Unavailable(f"The server did not answer within {self._patience_s:g} seconds. {said.strip()[-2000:]}")


def show(
    run: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    images: str | os.PathLike[str] | None = None,
    *,
    view: str = "",
    page: str = "/",
    height: int = 760,
    options: Sequence[str] = (),
    servers: Servers | None = None,
) -> View:
    """Show a run, or several, in the cell's output.

    ``images``: the corpus. ``view``: what stands behind ``#`` in a page's address, such as ``"layer=conv2&step=200"``. ``page``:
    ``"/confusion"`` and others. ``height``: of the frame, in pixels. ``options``: further words of ``mloscope serve``, such as
    ``["--scale", "1/255"]``. The same run and images again reuse the server.
    """
    runs = [run] if isinstance(run, str | os.PathLike) else list(run)
    paths = [Path(each).expanduser().absolute() for each in (*runs, *([images] if images is not None else []))]
    for path in paths:
        if not path.exists():
            raise NotFound(f"{path} does not exist.")
    if height < _LEAST_HEIGHT_PX:
        raise BadRequest(f"height must be at least {_LEAST_HEIGHT_PX} pixels, got {height}.")
    words = [str(path) for path in paths[: len(runs)]]
    if images is not None:
        words += ["--images", str(paths[-1])]
    server = (servers or _servers).of([*words, *options])
    address = server.address + "/" + page.lstrip("/")
    return View(f"{address}#{view.lstrip('#')}" if view else address, height, server)


def _start(words: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start ``mloscope serve`` on a free port of this machine alone."""
    command = [sys.executable, "-m", "mloscope.app.commands.cli", "serve", *words, "--port", "0", "--no-browser"]
    framed_by = os.environ.get("MLOSCOPE_FRAME_ANCESTORS") or FRAMED_BY
    environment = {**os.environ, "MLOSCOPE_FRAME_ANCESTORS": framed_by, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


_servers = Servers()
atexit.register(_servers.stop)
