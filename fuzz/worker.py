"""Read examples in a separate, monitored process: one that hangs, dies or takes too much memory costs only that process
and is reported."""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

HANG_S = 20.0
"""Of the processor's time, so that a busy machine makes nothing hang; of the clock's, :data:`PATIENCE` times as much."""
PATIENCE = 6
ALLOWED_TIMES = 4
ALLOWED_BYTES = 256 * 1024 * 1024
EXAMPLES_A_PROCESS = 1000
_LOOK_EVERY_S = 0.05

Reading = Callable[[Path, str, str], list[str]]
"""Of what is opened, ``run`` or ``corpus``, and the format; gives the refusals. Must be found by name in another process."""


@dataclass(frozen=True)
class Outcome:
    kind: str
    """``read``, ``refused``, or a fault: ``escaped`` (an error that is no AdaptorError), ``hang``, ``crash``, ``memory``."""
    seconds: float = 0.0
    peak_bytes: int = 0
    """The most memory that the process held, itself included (an idle one has some 60 MB)."""
    signature: str = ""
    """Equal for faults that are alike."""
    details: str = ""

    @property
    def is_fault(self) -> bool:
        return self.kind not in ("read", "refused")


def allowed_bytes(size: int) -> int:
    return ALLOWED_TIMES * size + ALLOWED_BYTES


class Worker:
    """One process at a time; the next is started when needed."""

    def __init__(self, reading: Reading, hang_s: float = HANG_S) -> None:
        self._reading, self._hang_s = reading, hang_s
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._left = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def read(self, path: Path, kind: str, format: str, size: int) -> Outcome:
        """``size``: of all the example's files, in bytes."""
        if not self._left:
            self._start()
        self._left -= 1
        assert self._connection is not None
        assert self._process is not None
        begun, most = time.monotonic(), allowed_bytes(size)
        worked_before_s = _worked_s(self._process.pid)
        try:
            self._connection.send((path, kind, format))
            while not self._connection.poll(_LOOK_EVERY_S):
                held, worked_s = _resident_bytes(self._process.pid), _worked_s(self._process.pid) - worked_before_s
                seconds = time.monotonic() - begun
                if held > most:
                    return self._killed(Outcome("memory", seconds, held, f"memory {format}", _too_much(held, most)))
                if worked_s > self._hang_s or seconds > PATIENCE * self._hang_s:
                    return self._killed(
                        Outcome("hang", seconds, held, f"hang {format}", f"not done in {seconds:.0f} s")
                    )
            outcome = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(5)
            code = self._process.exitcode
            return self._killed(Outcome("crash", 0, 0, f"crash {format} {code}", f"the process ended with {code}"))
        if outcome.peak_bytes > most and not outcome.is_fault:
            details = _too_much(outcome.peak_bytes, most)
            outcome = Outcome("memory", outcome.seconds, outcome.peak_bytes, f"memory {format}", details)
        return outcome

    def _start(self) -> None:
        self._stop()
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self._reading), daemon=True)
        self._process.start()
        other.close()
        self._connection.recv()  # it has imported everything: what follows is reading
        self._left = EXAMPLES_A_PROCESS

    def _killed(self, outcome: Outcome) -> Outcome:
        self._stop()
        return outcome

    def _stop(self) -> None:
        self._left = 0
        if self._process is not None and self._connection is not None:
            self._process.kill()
            self._process.join()
            self._connection.close()
        self._process = self._connection = None


def _too_much(held: int, most: int) -> str:
    return f"{held / 2**20:.0f} MB were held where {most / 2**20:.0f} are allowed"


def _resident_bytes(pid: int | None) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * 4096
    except (OSError, IndexError):  # it ended this moment
        return 0


def _worked_s(pid: int | None) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):  # it ended this moment
        return 0.0


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _serve(connection: Connection, reading: Reading) -> None:
    connection.send("ready")
    while True:
        try:
            path, kind, format = connection.recv()
        except EOFError:
            return
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        begun = time.monotonic()
        signature = details = ""
        try:
            refusals = reading(path, kind, format)
            came_to, details = ("refused", "\n".join(refusals[:20])[:10_000]) if refusals else ("read", "")
        except Exception as error:
            came_to, details = "escaped", traceback.format_exc()
            ours = [each for each in traceback.extract_tb(error.__traceback__) if "adaptors" in each.filename]
            where = f"{Path(ours[-1].filename).name}:{ours[-1].name}" if ours else "reading"
            signature = f"{type(error).__name__} in {where}"
        connection.send(Outcome(came_to, time.monotonic() - begun, _peak_bytes(), signature, details))
