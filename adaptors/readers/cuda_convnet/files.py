"""What a file of cuda-convnet holds: a pickle of Python 2, as it is, gzipped, or in a ZIP as ``data``.

Source of the layout: cuda-convnet's own ``gpumodel.py`` and ``layers.py`` (Krizhevsky, 2011).
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.files.allow_list_unpickler import AllowListUnpickler, check_parts
from mloscope.adaptors.files.expansion import HARMLESS_BYTES, LARGEST_RATIO, LARGEST_UNPACKED_BYTES, check_expansion
from mloscope.adaptors.files.regular_files import open_regular, read_regular
from mloscope.adaptors.interface import AdaptorError, Unreadable

NAME = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_MAGIC = {
    b"\x80\x02": "pickle",
    b"\x80\x03": "pickle",
    b"\x80\x04": "pickle",
    b"\x1f\x8b": "gzip",
    b"PK": "zip",
}
_BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class State:
    """The parts of ``model_state``, checked to be of the types that they should be of."""

    path: Path
    layers: tuple[Mapping[str, Any], ...]
    """In the order in which they are computed."""
    epoch: int
    batch: int
    train_outputs: list[Any]
    test_outputs: list[Any]
    options: Mapping[str, Any]
    """The values of the options the run was started with."""


class Inert:
    """Stands for every class of cuda-convnet's module ``options``: keeps what it is given, does nothing."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


Stubs = Callable[[str, str], type | None]
"""What stands for a class, by its module and name; None where nothing does."""


def _stub_of_options(module: str, name: str) -> type | None:
    return Inert if module.split(".")[0] == "options" else None


class _Unpickler(AllowListUnpickler):
    def __init__(self, file: io.BytesIO, what: str, stubs: Stubs) -> None:
        super().__init__(file, what, _ALSO)
        self._stubs = stubs

    def find_class(self, module: str, name: str) -> Any:
        return self._stubs(module, name) or super().find_class(module, name)


_ALSO: dict[tuple[str, str], Any] = {("collections", "OrderedDict"): OrderedDict}


def is_run_file(path: Path) -> bool:
    """Whether the file is named and begins as one of cuda-convnet."""
    if not NAME.fullmatch(path.name) or not path.is_file():
        return False
    try:
        with open_regular(path) as file:
            return file.read(2) in _MAGIC
    except OSError:
        return False


def read_state(path: Path) -> State:
    """Raises Refused (it would run code, or is a bomb) and Unreadable (it is broken, or something else)."""
    content = read_pickle_of_python_2(path)
    state = content.get("model_state") if isinstance(content, dict) else None
    layers = state.get("layers") if isinstance(state, dict) else None
    if isinstance(layers, dict):
        layers = sorted(layers.values(), key=_place)
    if not isinstance(layers, list) or not layers or not all(isinstance(layer, dict) for layer in layers):
        raise Unreadable(f"{path} holds no model_state with layers, as a file of cuda-convnet does.")
    assert isinstance(state, dict)
    epoch, batch = state.get("epoch"), state.get("batchnum")
    return State(
        path=path,
        layers=tuple(layers),
        epoch=epoch if isinstance(epoch, int) else 0,
        batch=batch if isinstance(batch, int) else 0,
        train_outputs=_list(state.get("train_outputs")),
        test_outputs=_list(state.get("test_outputs")),
        options=_option_values(content.get("op")),
    )


def read_pickle_of_python_2(path: Path, stubs: Stubs = _stub_of_options) -> Any:
    """What a pickle of arrays holds, with instances of ``stubs`` for those of other classes; see
    :func:`read_state`."""
    try:
        data = _unpacked(path)
        check_parts(data, path)
        return _Unpickler(io.BytesIO(data), str(path), stubs).load()
    except AdaptorError:
        raise
    except _BROKEN as error:
        raise Unreadable(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    except Exception as error:  # a broken pickle raises whatever its broken bytes happen to ask for
        reason = str(error).rstrip(".")[:200] or type(error).__name__
        raise Unreadable(f"{path} is not a whole pickle, perhaps cut off: {reason}.") from error


def _unpacked(path: Path) -> bytes:
    packed_bytes = path.stat().st_size
    with open_regular(path) as file:
        head = file.read(2)
        kind = _MAGIC.get(head)
        file.seek(0)
        if kind == "pickle":
            return read_regular(path, LARGEST_UNPACKED_BYTES)
        if kind == "gzip":
            most = max(HARMLESS_BYTES, LARGEST_RATIO * packed_bytes)
            with gzip.open(file) as unpacking:
                data = unpacking.read(most + 1)
            check_expansion(len(data), packed_bytes, str(path), most)
            return data
        if kind == "zip":
            with zipfile.ZipFile(file) as archive:
                member = archive.getinfo("data")
                check_expansion(member.file_size, packed_bytes, str(path))
                return archive.read(member)
    raise Unreadable(f"{path} begins with {head!r}, and so is not a pickle, gzip or ZIP.")


def _place(layer: Any) -> tuple[int, str]:
    identity = layer.get("id") if isinstance(layer, dict) else None
    return (identity if isinstance(identity, int) else 1 << 31, str(layer.get("name") if layer else ""))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _option_values(parser: Any) -> dict[str, Any]:
    """``OptionsParser.options`` is a dictionary of ``Option`` by name, each with its ``value``."""
    options = getattr(parser, "options", None)
    if not isinstance(options, dict):
        return {}
    return {str(name): getattr(option, "value", None) for name, option in options.items()}


def read_meta(path: Path) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """``data_mean``, a float array of any shape in the order channel, row, column, and ``label_names`` of a
    ``batches.meta``; what it does not hold is None or empty. Raises as :func:`read_state` does."""
    content = read_pickle_of_python_2(path)
    if not isinstance(content, dict):
        raise Unreadable(f"{path} holds no dictionary, as a batches.meta does.")
    mean, names = content.get("data_mean"), content.get("label_names")
    if not isinstance(mean, np.ndarray) or mean.dtype.kind not in "fiu":
        mean = None
    return mean, tuple(str(name)[:200] for name in _list(names)[:100_000])
