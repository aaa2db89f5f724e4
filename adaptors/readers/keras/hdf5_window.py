"""HDF5 files read through a window of Python's own, because HDF5 believes whatever a damaged file says about itself."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import IO, Any

from mloscope.adaptors.interface import Refused

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HAS_PREADV = hasattr(os, "preadv")
_HEAP_SIGNATURE = b"GCOL"
_MOST_BEYOND_BYTES = 1024 * 1024
_SUPERBLOCK_BYTES = 160  # and some that follow, for the widest addresses


class Window(io.RawIOBase):
    """What HDF5 reads through: ``length`` bytes of a file from ``start``, with a position of its own. It stands between
    because HDF5 believes whatever a damaged file says of itself."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        """Closes ``file`` with itself."""
        self._file = file
        self._start, self._length, self._position = start, length, 0

    @property
    def place(self) -> tuple[IO[bytes], int] | None:
        """The file, and where in it the window begins; None for bytes in memory."""
        return None if isinstance(self._file, io.BytesIO) else (self._file, self._start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._length}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        count = 0
        if self._position < self._length:  # a damaged file may point to where no file reaches
            count = self._read(self._start + self._position, view[: self._length - self._position])
        # h5py does not look at the count, and HDF5 itself takes zeros for the little that it may read beyond the end.
        if len(view) - count > _MOST_BEYOND_BYTES:
            raise EOFError("it leads far beyond its own end")
        view[count:] = bytes(len(view) - count)
        if view[:4] == _HEAP_SIGNATURE and not _is_sound_heap(view):
            raise ValueError("the lengths of its texts are damaged")
        self._position += count
        return count

    def _read(self, place: int, view: memoryview) -> int:
        if _HAS_PREADV and not isinstance(
            self._file, io.BytesIO
        ):  # one call instead of two: HDF5 reads many small pieces
            return os.preadv(self._file.fileno(), [view], place)
        self._file.seek(place)
        return self._file.readinto(view) or 0

    def close(self) -> None:
        self._file.close()
        super().close()


def _is_sound_heap(heap: memoryview) -> bool:
    """Whether HDF5 can go through a global heap, where texts lie: it never comes to an end where one has no length
    (format specification, III.E; HDF5 1.14.6)."""
    place, end = 16, min(len(heap), int.from_bytes(heap[8:16], "little"))
    while place + 16 <= end:
        length = int.from_bytes(heap[place + 8 : place + 16], "little")
        is_free = heap[place : place + 2] == b"\0\0"
        step = length if is_free else 16 + (length + 7) // 8 * 8
        if step < 16:
            return False
        place += step
    return True


def check_superblock(file: Window, path: Path) -> None:
    """Raises Refused where it leads to a driver's block, which files of one piece have not: HDF5 believes the
    length that stands there and makes room for as much."""
    head = superblock(file)
    file.seek(0)
    if head and head[8] in (0, 1):
        place, size = 24 + 4 * head[8] + 3 * head[13], head[13]
        if head[place : place + size].strip(b"\xff"):
            raise Refused(f"{path} says that it is a piece of several HDF5 files, or is damaged; it is not read.")


def superblock(file: IO[bytes] | Window) -> bytes:
    """What an HDF5 file begins with; it may be preceded by 512 foreign bytes, 1024, and so on. Empty where it is none, or
    ends within it (format specification, II.A)."""
    place, size = 0, file.seek(0, io.SEEK_END)
    while place < size:
        file.seek(place)
        head = file.read(_SUPERBLOCK_BYTES)
        if head.startswith(HDF5_SIGNATURE):
            return head if len(head) >= 64 else b""
        place = 2 * place or 512
    return b""


def end_of_file(head: bytes) -> int | None:
    """The end of file address in an HDF5 superblock; None where it is of no known version."""
    version = head[8] if head else None
    if version in (0, 1) and head[13] == 8:
        return int.from_bytes(head[40 + 4 * version : 48 + 4 * version], "little")
    if version in (2, 3) and head[9] == 8:
        return int.from_bytes(head[28:36], "little")
    return None
