"""Scripts and styles, compressed as small as Brotli can: once per cache folder, in the background, and kept on disk.

    first asked for ──► None: the caller compresses quickly, and a thread of low priority begins to compress well
    later, and after the next start ──► <folder>/<digest of the content>.br

Brotli 11 makes 1.11 MB of Plotly's 4.8, where 5 makes 1.29, and takes 16 s for it. Several processes share the folder: a file is
written as a whole, and what one of them is working on the others leave to it.
"""

from __future__ import annotations

import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import brotli

from mloscope.app.process.whole_files import write_file

logger = logging.getLogger(__name__)

_LOWEST_PRIORITY = 19
_FORGET_AFTER_S = 60 * 24 * 3600.0
"""Files of versions that nobody has asked for in so long are removed."""
_LEFT_TO_OTHERS_S = 300.0


_QUALITY = 11
LARGE_BYTES = 256 << 10
"""Compressing so much takes tens of megabytes for a while."""
_IN_A_PROGRAM = (
    "import sys, brotli; sys.stdout.buffer.write(brotli.compress(sys.stdin.buffer.read(), quality=int(sys.argv[1])))"
)


def smallest(body: bytes) -> bytes:
    """Return the body as small as Brotli can make it; a large one in a program of its own, for this process would not
    give back the memory. Raises OSError where that program fails."""
    if len(body) < LARGE_BYTES:
        return brotli.compress(body, quality=_QUALITY)
    command = [sys.executable, "-c", _IN_A_PROGRAM, str(_QUALITY)]
    ended = subprocess.run(command, input=body, capture_output=True, check=False)
    if ended.returncode:
        raise OSError(f"Brotli ended with {ended.returncode}: {ended.stderr.decode(errors='replace')[-200:].strip()}")
    return ended.stdout


class CompressedAssets:
    """What lasts, by its digest. Thread-safe; without a folder there is nothing."""

    def __init__(self, folder: Path | None, compress: Callable[[bytes], bytes] = smallest) -> None:
        self._folder, self._compress = folder, compress
        self._is_given_up = False
        """Nothing can be kept in the folder, which is said once: quickly compressed files have to do."""
        self._known: dict[str, bytes] = {}
        self._wanted: set[str] = set()
        self._to_do: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def find(self, digest: str, body: bytes) -> bytes | None:
        """Return the body compressed; None where that is still to come."""
        if self._folder is None:
            return None
        with self._lock:
            if self._is_given_up:
                return self._known.get(digest)
            found = self._known.get(digest)
            if found is not None or digest in self._wanted:
                return found
            found = self._read(digest)
            if found is not None:
                self._known[digest] = found
                return found
            self._wanted.add(digest)
            self._to_do.put((digest, body))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="compressing assets", daemon=True)
                self._thread.start()
            return None

    def _path(self, digest: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{digest}.br"

    def _read(self, digest: str) -> bytes | None:
        try:
            found = self._path(digest).read_bytes()
            os.utime(self._path(digest))
        except OSError:
            return None
        return found

    def _work(self) -> None:
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)  # Linux: of this thread alone
        self._forget_old()
        while True:
            digest, body = self._to_do.get()
            try:
                made = self._read(digest) or self._made(digest, body)
            except OSError as error:
                logger.warning("Compressed assets cannot be kept in %s: %s.", self._folder, error.strerror or error)
                with self._lock:
                    self._is_given_up, self._to_do = True, queue.SimpleQueue()
                return
            with self._lock:
                self._wanted.discard(digest)
                if made is not None:
                    self._known[digest] = made

    def _made(self, digest: str, body: bytes) -> bytes | None:
        """Return the body compressed and kept; None where another process is about to."""
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        claim = path.with_suffix(".claim")
        if _age_s(claim) > _LEFT_TO_OTHERS_S:  # whoever made it was killed
            claim.unlink(missing_ok=True)
        try:
            claim.touch(exist_ok=False)
        except FileExistsError:
            return None
        try:
            made = self._compress(body)
            write_file(path, made)
        finally:
            claim.unlink(missing_ok=True)
        return made

    def _forget_old(self) -> None:
        assert self._folder is not None
        for path in self._folder.glob("*.br"):
            if _age_s(path) > _FORGET_AFTER_S:
                path.unlink(missing_ok=True)


def _age_s(path: Path) -> float:
    """0 where there is no such file."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
