"""Read pickles of NumPy arrays and plain containers without running code from the file.

Unpickling calls whatever the file names. Here only the names that rebuild NumPy arrays resolve, each to a
function made for that; any other name ends the reading with :class:`Refused` and is told to the user.
"""

from __future__ import annotations

import codecs
import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from mloscope.adaptors.files.expansion import LARGEST_UNPACKED_BYTES
from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import AdaptorError, Refused, Unreadable

MOST_PARTS = 2_000_000


class _ArrayClass:
    """Replacement for ``numpy.ndarray``, which a pickle could otherwise call to allocate an array of any size."""


class _Type:
    """Replacement for ``numpy.dtype``. The state of a dtype may claim that plain numbers are object references, and
    freeing such an array accesses foreign memory. Of the state, only the byte order is used."""

    def __init__(self, code: str, align: Any = False, copy: Any = False) -> None:
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array whose state contains a :class:`_Type`."""

    def __setstate__(self, state: Any) -> None:
        version, shape, kind, is_fortran, data = state
        if not isinstance(kind, _Type) or kind.dtype.kind not in "biufcSU":
            raise pickle.UnpicklingError("an array is not of numbers or text")
        super().__setstate__((version, shape, kind.dtype, is_fortran, data))


def _empty_array(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    # NumPy always writes an empty array here, which its state then fills; any other shape is an attempt on
    # our memory.
    if kind is not _ArrayClass or tuple(shape) != (0,):
        raise pickle.UnpicklingError(f"an array begins with the shape {shape}")
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _array_of_buffer(buffer: bytes, kind: _Type, shape: tuple[int, ...], order: str) -> np.ndarray:
    if kind.dtype.kind not in "biufcSU":
        raise pickle.UnpicklingError("an array is not of numbers or text")
    return np.frombuffer(buffer, kind.dtype).reshape(shape, order=order)


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes are written in {encoding}")
    return codecs.encode(text, "latin1")


# Python 2 and NumPy before 2 wrote numpy.core, NumPy 2 writes numpy._core; bytes in old protocols go through
# _codecs.
_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.numeric", "_frombuffer"): _array_of_buffer,
    ("numpy._core.numeric", "_frombuffer"): _array_of_buffer,
    ("numpy", "ndarray"): _ArrayClass,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encoded,
}


class AllowListUnpickler(pickle.Unpickler):
    """Resolve only the names in :data:`_ALLOWED` and ``also``; raise Refused, with the name, for any other."""

    def __init__(
        self, file: IO[bytes], what: str, also: dict[tuple[str, str], Callable[..., Any]] | None = None
    ) -> None:
        # Python 2's strings are bytes; latin-1 keeps every one of them.
        super().__init__(file, encoding="latin1")
        self._what, self._also = what, also or {}

    def find_class(self, module: str, name: str) -> Any:
        found = _ALLOWED.get((module, name)) or self._also.get((module, name))
        if found is None:
            raise Refused(
                f"{self._what} is a pickle that asks for {module}.{name}, which is not needed for arrays "
                "of numbers and could run code; it is not read."
            )
        return found


def check_parts(data: bytes, path: Path) -> None:
    """Raise Refused if a pickle has too many parts, or memo numbers too large, to be read within bounded time and
    memory: the unpickler allocates a list as long as the largest number."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data), 1):
        if count > MOST_PARTS or (opcode.name.endswith("PUT") and int(argument or 0) > count):
            raise Refused(
                f"{path} is a pickle of more parts ({count:,} or more) than any file that is read here has, or numbers "
                "them as if it were; it is not read."
            )


def read_pickle(path: Path, also: dict[tuple[str, str], Callable[..., Any]] | None = None) -> Any:
    """Return the contents of the pickle. Raises Refused (a name is not allowed) and Unreadable (it is damaged)."""
    try:
        data = read_regular(path, LARGEST_UNPACKED_BYTES)
        check_parts(data, path)
        return AllowListUnpickler(io.BytesIO(data), str(path), also).load()
    except AdaptorError:
        raise
    except OSError as error:
        raise Unreadable(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # a broken pickle raises whatever its broken bytes happen to ask for
        reason = str(error).rstrip(".") or type(error).__name__
        raise Unreadable(f"{path} is not a whole pickle, perhaps cut off: {reason}.") from error
