"""Disk usage of statistics, and the cluster that computes them, for the status page."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

_MOST_FILES = 50_000
_LOOK_AGAIN_AFTER_S = 60.0
_WITHIN_S = 1.0
_DASK_PORT, _DASK_HTTP_PORT = 8786, 8787


class KeptStatistics:
    """What a store's folder holds. Thread-safe; the disk is read at most once per minute."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        """``folder``: of a :class:`StatisticsStore`; it need not exist."""
        self._folder, self._clock = folder, clock
        self._lock = threading.Lock()
        self._seen: dict[str, Any] = {}
        self._looked_s = float("-inf")

    def look(self) -> dict[str, Any]:
        """``planes`` (checkpoints measured over a split), ``bytes`` of all files, ``more`` (whether there are more files than
        were counted), ``free_bytes`` of the disk, None if unknown."""
        with self._lock:
            if self._clock() - self._looked_s >= _LOOK_AGAIN_AFTER_S:
                self._seen = self._look()
                self._looked_s = self._clock()
            return self._seen

    def _look(self) -> dict[str, Any]:
        count, total = 0, 0
        for entry in _files(self._folder):
            if count == _MOST_FILES:
                break
            count += 1
            try:
                total += entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue  # removed just now
        planes = sum(not name.endswith(".tmp") for name in _names(self._folder / "planes"))
        return {"planes": planes, "bytes": total, "more": count == _MOST_FILES, "free_bytes": self._free_bytes()}

    def _free_bytes(self) -> int | None:
        for folder in (self._folder, *self._folder.parents):  # the nearest that exists
            try:
                return shutil.disk_usage(folder).free
            except OSError:
                continue
        return None


def _files(folder: Path | str) -> Iterator[os.DirEntry[str]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(entry.path)
        else:
            yield entry


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


class DaskCluster:
    """A Dask scheduler that someone else runs. Dask itself is not imported."""

    def __init__(self, address: str, http_port: int = _DASK_HTTP_PORT) -> None:
        """``address``: such as ``tcp://scheduler:8786``. ``http_port``: of its HTTP server, which runs with or without a dashboard."""
        parts = urlsplit(address)
        self._address, self._host, self._port = address, parts.hostname or "", parts.port or _DASK_PORT
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._counts = f"http://{host}:{http_port}/json/counts.json"
        self._pool = urllib3.PoolManager(num_pools=1, retries=False, timeout=urllib3.Timeout(_WITHIN_S))

    def look(self) -> dict[str, Any]:
        """``address``, ``available`` (whether it answers), and ``workers``, ``threads``, ``tasks``, ``processing`` if it reports
        them. Takes at most two seconds."""
        try:
            said = self._pool.request("GET", self._counts).json()
            counts = {"workers": said["workers"], "threads": said["cores"]} | {
                key: said[key] for key in ("tasks", "processing")
            }
            if all(isinstance(count, int) for count in counts.values()):
                return {"address": self._address, "available": True, **counts}
        except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError):
            pass  # its HTTP port may be another one, or another program's
        try:
            socket.create_connection((self._host, self._port), _WITHIN_S).close()
        except OSError:
            return {"address": self._address, "available": False}
        return {"address": self._address, "available": True}
