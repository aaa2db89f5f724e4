"""What this process opens and lists, by any thread but the one that looks: Python's own audit events, and for files that
libraries open without Python, the system's word on a folder that nobody may touch (inotify, Linux only)."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_EVENTS = frozenset(
    {"open", "os.listdir", "os.scandir", "os.rename", "os.remove", "os.mkdir", "subprocess.Popen", "os.system"}
)
_OPENED, _READ, _CREATED = 0x20, 0x1, 0x100
_recorders: list[Recorder] = []


class Recorder:
    """What happened while it was switched on: event and path, or command."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()
        self._looking = threading.get_ident()

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and threading.get_ident() != self._looking:
            what = arguments[0] if arguments else None
            if isinstance(what, bytes):
                what = os.fsdecode(what)
            if isinstance(what, str | os.PathLike):  # a number is a file that is open already; None the current folder
                self.seen.add((event, os.fspath(what)))

    def outside(self, allowed: list[Path]) -> list[tuple[str, str]]:
        """What lies below none of the folders, however it was written."""
        roots = [os.path.realpath(root) for root in allowed]
        return sorted(
            (event, path)
            for event, path in self.seen
            if not any(_below(form, root) for form in [os.path.realpath(path)] for root in roots)
        )


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    for recorder in tuple(_recorders):
        recorder.note(event, arguments)


@contextmanager
def recorded() -> Iterator[Recorder]:
    """Everything that other threads open meanwhile."""
    if not hasattr(sys, "_mloscope_files_are_watched"):  # a hook cannot be taken away again
        sys.addaudithook(_audit)
        sys._mloscope_files_are_watched = True  # type: ignore[attr-defined]
    recorder = Recorder()
    _recorders.append(recorder)
    try:
        yield recorder
    finally:
        _recorders.remove(recorder)


class Untouched:
    """Whether anybody, in any process and by any library, opens or reads something in these folders."""

    def __init__(self, *folders: Path) -> None:
        """Raises OSError where the system cannot tell."""
        self._names: dict[int, str] = {}
        self._library = ctypes.CDLL(None, use_errno=True)
        self._queue = self._library.inotify_init1(os.O_NONBLOCK)
        if self._queue < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        for folder in folders:
            number = self._library.inotify_add_watch(self._queue, os.fsencode(folder), _OPENED | _READ | _CREATED)
            if number < 0:
                raise OSError(ctypes.get_errno(), str(folder))
            self._names[number] = str(folder)

    def touched(self) -> list[str]:
        """Paths since the last question."""
        found = []
        while True:
            try:
                data = os.read(self._queue, 65536)
            except BlockingIOError:
                return found
            while data:
                number, _, _, length = struct.unpack_from("iIII", data)
                name = data[16 : 16 + length].rstrip(b"\0").decode(errors="replace")
                found.append(os.path.join(self._names.get(number, "?"), name))
                data = data[16 + length :]

    def close(self) -> None:
        os.close(self._queue)
