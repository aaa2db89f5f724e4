"""Telling cheaply whether a file is still the file it was."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

from mloscope.adaptors.files.regular_files import open_regular
from mloscope.adaptors.interface import Unreadable

END_BYTES = 64 * 1024
# A file written twice within one tick of the file system's clock keeps its time stamp, so a memory of its
# content is trusted only where the stamp was already this old when the content was read (git's rule for its
# index).
SETTLED_NS = 2_000_000_000

_remembered: dict[str, tuple[tuple[int, ...], str]] = {}
_lock = threading.Lock()


def file_fingerprint(path: Path) -> str:
    """Hex BLAKE2b of the file's size, time of change, and first and last 64 KiB.

    Hashing all of a file of 100 MB would cost a tenth of a second on every request. Size and time catch every
    ordinary change; the two ends catch a file put back with its old time stamp, as ``cp -p`` and ``rsync -t``
    do: HDF5 keeps its tree at the beginning, ZIP its directory with every member's CRC at the end. What
    changes in the middle alone moves the time stamp. Raises Unreadable.
    """
    try:
        return _fingerprint(path)
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error


def _fingerprint(path: Path) -> str:
    status = os.stat(path)
    key = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    known = _remembered.get(str(path))
    if known and known[0] == key:
        return known[1]
    now_ns = time.time_ns()
    digest = hashlib.blake2b(f"{status.st_size} {status.st_mtime_ns} ".encode(), digest_size=20)
    with open_regular(path) as file:
        digest.update(file.read(END_BYTES))
        file.seek(max(0, status.st_size - END_BYTES))
        digest.update(file.read(END_BYTES))
    if now_ns - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS:
        with _lock:
            if len(_remembered) > 100_000:
                _remembered.clear()
            _remembered[str(path)] = (key, digest.hexdigest())
    return digest.hexdigest()
