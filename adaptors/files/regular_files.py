"""Open untrusted files: only regular files, and never more bytes than wanted.

A name in a run's folder may be a link to a device that gives bytes for ever, a pipe that nobody writes to, or a file of
holes that says it has terabytes. All readers open files here, so that each of these is an ``OSError`` with a sentence in
``strerror``, before a byte is read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from mloscope.adaptors.files.expansion import HARMLESS_BYTES, LARGEST_RATIO
from mloscope.adaptors.interface import Unreadable

_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))
_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_MOST_PIECES = 10_000


class NotRegular(OSError):
    """The path is not a regular file but a pipe, a socket or a device; ``strerror`` says which."""


class TooLarge(OSError):
    """The file is larger than the limit for its kind, or claims to be, as a sparse file does; ``strerror`` gives the
    size."""


def open_regular(path: str | os.PathLike[str], buffering: int = -1) -> BinaryIO:
    """Open the file for reading bytes. Raises OSError as ``open`` does, :class:`NotRegular`, and :class:`TooLarge` if
    nearly all of a large file is holes. Never blocks on another process."""
    return cast(BinaryIO, open(path, "rb", buffering=buffering, opener=_open))


def read_regular(path: str | os.PathLike[str], most_bytes: int) -> bytes:
    """Return all bytes that the file had when it was opened. Raises OSError as :func:`open_regular` does, and
    :class:`TooLarge` beyond ``most_bytes``."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            raise TooLarge(errno.EFBIG, f"it has {size:,} bytes, and at most {most_bytes:,} are read", os.fspath(path))
        return file.read(size) or b""


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise OSError as :func:`open_regular` does; for libraries that open files themselves."""
    open_regular(path).close()


def map_regular(path: Path, dtype: np.dtype) -> np.ndarray:
    """Map the file as one array, read on access. Raises Unreadable, also if it is empty or truncated."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0 or size % dtype.itemsize:
                raise Unreadable(
                    f"{path} has {size:,} bytes, which is not a multiple of {dtype.itemsize:,}: it is cut off."
                )
            return np.memmap(file, dtype, mode="r")
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error


def _open(path: str, flags: int) -> int:
    # Also checked before opening, because opening alone activates some devices.
    _check_kind(os.stat(path), path)
    descriptor = os.open(path, flags | _FLAGS)
    try:
        status = os.fstat(descriptor)
        _check_kind(status, path)
        _check_holes(descriptor, status.st_size, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_kind(status: os.stat_result, path: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    kind = next((words for matches, words in _KINDS if matches(status.st_mode)), "something else")
    raise NotRegular(errno.EINVAL, f"it is {kind}, and only regular files are read", path)


def _check_holes(descriptor: int, size: int, path: str) -> None:
    if size <= HARMLESS_BYTES:
        return
    stored = _stored_bytes(descriptor, size)
    if size > LARGEST_RATIO * max(1, stored):
        raise TooLarge(errno.EFBIG, f"it says that it has {size:,} bytes and has {stored:,}; the rest is holes", path)


def _stored_bytes(descriptor: int, size: int) -> int:
    """Return how many bytes of the file are not holes; its whole size if the file system does not say or has too many
    extents."""
    found, place = 0, 0
    try:
        for _ in range(_MOST_PIECES):
            begin = os.lseek(descriptor, place, os.SEEK_DATA)
            place = os.lseek(descriptor, begin, os.SEEK_HOLE)
            found += place - begin
            if place >= size:
                return found
        return size
    except OSError as error:
        return found if error.errno == errno.ENXIO else size  # ENXIO: no more data
    except AttributeError:  # no such system call here
        return size
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)


def is_inside(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> bool:
    """Return whether the path, with all links followed, is below the folder."""
    try:
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
    except (OSError, ValueError):
        return False
