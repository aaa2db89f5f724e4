"""Files that appear as a whole or not at all, whoever is killed while writing them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.app.process.whole_files import temporary

logger = logging.getLogger(__name__)


class NpyFile:
    """An ``.npy`` file that is written row by row, the first row first."""

    def __init__(self, path: Path, kind: str, shape: tuple[int, ...]) -> None:
        self._file = open(path, "wb")  # noqa: SIM115 - closed by close()
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": kind, "fortran_order": False, "shape": tuple(int(n) for n in shape)}
        )
        self.layout: tuple[int, str, tuple[int, ...]] = (self._file.tell(), kind, shape)
        """Offset of the first value in bytes, type, shape."""

    def append(self, rows: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(rows, self.layout[1]).data)

    def close(self) -> None:
        self._file.close()


def save_array(path: Path, array: np.ndarray) -> tuple[int, str, tuple[int, ...]]:
    """Write what :func:`numpy.save` writes, and return its layout as :class:`NpyFile` has it. NumPy's own says of a full
    disk "40000 requested and 7136 written" and no more."""
    file = NpyFile(path, array.dtype.str, array.shape)
    try:
        file.append(array)
    finally:
        file.close()
    return file.layout


def move_aside(path: Path) -> Path:
    """Rename a folder that is to be removed, so that it disappears at once; the new name."""
    aside = temporary(path)
    with contextlib.suppress(FileNotFoundError):  # another process was first
        os.rename(path, aside)
    return aside


def read_complete(folder: Path) -> dict[str, Any] | None:
    """The content of ``about.json`` if every file that it lists is present with its size; else None."""
    try:
        about = json.loads((folder / "about.json").read_text())
        if all(os.stat(folder / name).st_size == size for name, size in about["bytes"].items()):
            return about
        logger.warning("the statistics in %s are damaged and count as absent", folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        logger.warning("the statistics in %s cannot be read and count as absent", folder, exc_info=True)
    return None


def unwritable(error: OSError) -> str:
    """The message for a write to the store that failed."""
    where = f"{error.filename}: " if error.filename else ""
    return (
        f"The statistics cannot be written: {where}{error.strerror or error}. Finished work is kept; run the command again "
        "to resume."
    )
