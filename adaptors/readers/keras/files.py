"""Keras's three kinds of files, opened with h5py and the standard library: ``.keras``, ``.h5``,
``.weights.h5``.

A ``.keras`` file is a ZIP of ``config.json``, ``metadata.json`` and ``model.weights.h5``; the last is stored
uncompressed, so it is opened where it lies, through a window onto the archive: 0.9 ms a kernel against
seconds for a ZIP stream.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mloscope.adaptors.files.expansion import check_expansion
from mloscope.adaptors.files.regular_files import open_regular
from mloscope.adaptors.interface import AdaptorError, Refused, Unreadable
from mloscope.adaptors.readers.keras import shards as keras_shards
from mloscope.adaptors.readers.keras.hdf5_window import (
    HDF5_SIGNATURE,
    Window,
    check_superblock,
    end_of_file,
    superblock,
)
from mloscope.adaptors.readers.keras.legacy_arrays import Converted, Stored
from mloscope.adaptors.readers.keras.legacy_config import in_words_of_keras_2
from mloscope.adaptors.readers.keras.operations import parsed_training_config

SUFFIXES = (".weights.h5", ".weights.json", ".keras", ".h5", ".hdf5")
# Caffe writes HDF5 too; its files are somebody else's.
NOT_OURS = (".caffemodel.h5", ".solverstate.h5")
LARGEST_CONFIG_BYTES = 64 * 1024 * 1024

_ZIP_SIGNATURE = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_stamps: dict[tuple[str, int, int], str | None] = {}
# What h5py and zipfile raise on broken files, and what comes of finding a dataset where a group should be, or nothing.
_BROKEN = (
    *(OSError, LookupError, ValueError, RuntimeError, EOFError, MemoryError, AttributeError, TypeError, AssertionError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)


def is_checkpoint_name(name: str) -> bool:
    """Whether a file of this name may be a Keras checkpoint."""
    lower = name.lower()
    return lower.endswith(SUFFIXES) and not lower.endswith(NOT_OURS) and not lower.startswith(".")


def stem(name: str) -> str:
    """The name without the extension, whose 5 in ``.h5`` is no step."""
    lower = name.lower()
    return next((name[: -len(suffix)] for suffix in SUFFIXES if lower.endswith(suffix)), name)


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(".keras")


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file with the checkpoint's arrays, or several as one. Raises Unreadable, naming the file, whatever goes
    wrong inside."""
    with opened_in_window(path) as (file, _):
        yield file


@contextmanager
def opened_in_window(path: Path) -> Iterator[tuple[h5py.File, Window | None]]:
    """As :func:`opened`, with what the file is read through; None for several files."""
    if keras_shards.is_index(path):
        with ExitStack() as stack:
            merged = keras_shards.Merged([stack.enter_context(opened(part)) for part in keras_shards.parts(path)])
            try:
                yield merged, None
            except _BROKEN as error:
                raise Unreadable(damage(path) or f"{path} cannot be read: {_plain(error)}.") from error
        return
    try:
        with _weights_member(path) if is_archive(path) else _whole(path) as stream:
            check_superblock(stream, path)
            with h5py.File(stream, "r") as file:
                try:
                    yield file, stream
                except KeyError as error:
                    if link := _link_elsewhere(file):
                        raise Refused(
                            f"{path}: {link} takes its values from another file, which is not followed."
                        ) from error
                    raise
    except _BROKEN as error:
        raise Unreadable(damage(path) or f"{path} cannot be read: {_plain(error)}.") from error


def _link_elsewhere(file: h5py.File) -> str | None:
    """The first name that stands for something in another file; HDF5 looks for it in this one, in vain."""
    return file.visititems_links(lambda name, link: name if isinstance(link, h5py.ExternalLink) else None)


def _whole(path: Path) -> Window:
    return Window(open_regular(path, buffering=0), 0, path.stat().st_size)


@contextmanager
def _weights_member(path: Path) -> Iterator[Window]:
    with open_regular(path) as raw, zipfile.ZipFile(raw) as archive:
        names = [name for name in archive.namelist() if name.endswith(".weights.h5")]
        if not names:
            raise Unreadable(f"{path} holds no model.weights.h5, so it has no weights.")
        member = archive.getinfo(names[0])
        if member.flag_bits & 1:
            raise Unreadable(f"{path} is encrypted; save it without a password.")
        if member.compress_type != zipfile.ZIP_STORED:
            unpacked = _unpacked(archive, member, path)
            yield Window(io.BytesIO(unpacked), 0, len(unpacked))
            return
        assert archive.fp is not None
        archive.fp.seek(member.header_offset)
        header = archive.fp.read(30)
        if header[:4] != _ZIP_SIGNATURE:
            raise zipfile.BadZipFile("a member is not where the archive's directory says")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        start = member.header_offset + 30 + name_length + extra_length
    file = open_regular(path, buffering=0)  # closed with the window
    with Window(file, start, member.file_size) as window:
        yield window


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, limit: int | None = None) -> bytes:
    # zipfile stops at the declared size, so a member that lies about it cannot unpack to more.
    check_expansion(member.file_size, member.compress_size, f"{path}: {member.filename}", limit)
    return archive.read(member)


def read(file: h5py.File, dataset: Stored, path: Path) -> np.ndarray:
    """The dataset's values as stored, bfloat16 as float32. Raises Unreadable (not numbers) and Refused (a
    bomb, or values kept elsewhere)."""
    if isinstance(dataset, Converted):
        return dataset.of([read(file, part, path) for part in dataset.parts])
    what = f"{path}: {dataset.name}"
    own = {h5py.h5f.get_name(each.id) for each in getattr(file, "groups", [file])}
    creation = dataset.id.get_create_plist()
    if (
        creation.get_external_count()
        or creation.get_layout() == h5py.h5d.VIRTUAL
        or h5py.h5f.get_name(dataset.id) not in own
    ):
        raise Refused(f"{what} takes its values from another file, which is not followed.")
    # The type first: looking up an attribute costs as much as reading a short vector.
    shape, dtype = dataset.shape, dataset.dtype  # each is asked of HDF5 anew
    is_bfloat16 = dtype.itemsize == 2 and dataset.attrs.get("dtype") == "bfloat16"
    if shape is None or not (is_bfloat16 or dtype.kind in "fiub"):
        raise Unreadable(f"{what} holds {dtype}, not numbers.")
    # A damaged file may claim to have stored more than it has bytes.
    kept_bytes = min(dataset.id.get_storage_size(), stored_bytes(path))
    check_expansion(math.prod(shape) * dtype.itemsize, kept_bytes, what)
    if math.prod(shape) and shape:
        values = np.empty(shape, dtype)
        dataset.id.read(h5py.h5s.ALL, h5py.h5s.ALL, values)  # half the time of dataset[()] where an array is small
    else:
        values = np.asarray(dataset[()])
    if is_bfloat16:  # the upper half of a float32, which NumPy has no type for
        return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return values


def config_bytes(path: Path) -> bytes | None:
    """The model's configuration as the file has it (JSON), None where it has none (weights only). Raises
    Unreadable."""
    if keras_shards.is_index(path):
        return None
    try:
        if is_archive(path):
            with open_regular(path) as raw, zipfile.ZipFile(raw) as archive:
                return _unpacked(archive, archive.getinfo("config.json"), path, LARGEST_CONFIG_BYTES)
        with opened(path) as hdf5:
            value = hdf5.attrs.get("model_config")
            return value.encode() if isinstance(value, str) else None if value is None else bytes(value)
    except _BROKEN as error:
        raise Unreadable(damage(path) or f"{path} cannot be read: {_plain(error)}.") from error


def config_stamp(path: Path) -> str | None:
    """Something equal for files with byte-identical configurations, as cheap as the format lets it be (an
    archive's directory has every member's size and CRC), and remembered. None where the file has no
    configuration."""
    status = path.stat()
    key = (str(path), status.st_size, status.st_mtime_ns)
    if key not in _stamps:
        if len(_stamps) > 100_000:
            _stamps.clear()
        _stamps[key] = _read_stamp(path)
    return _stamps[key]


def _read_stamp(path: Path) -> str | None:
    if not is_archive(path):
        data = config_bytes(path)
        return None if data is None else hashlib.blake2b(data, digest_size=16).hexdigest()
    try:
        with open_regular(path) as raw, zipfile.ZipFile(raw) as archive:
            member = archive.getinfo("config.json")
            return f"{member.file_size} {member.CRC}"
    except _BROKEN as error:
        raise Unreadable(damage(path) or f"{path} cannot be read: {_plain(error)}.") from error


def parse_config(data: bytes, path: Path) -> dict[str, Any]:
    """Raises Unreadable where the JSON is not a Keras model's."""
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path}: the model's configuration is not valid JSON ({error}).") from error
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict | list):
        raise Unreadable(f"{path} holds JSON, but not a Keras model's configuration.")
    version = config.get("keras_version") or keras_version(path)
    return in_words_of_keras_2({**plain_lists(config), "keras_version": version})


def keras_version(path: Path) -> str | None:
    """Which Keras wrote the file; None where it does not say."""
    if not path.is_file() or path.suffix.lower() == ".json":
        return None
    if is_archive(path):
        try:
            with open_regular(path) as raw, zipfile.ZipFile(raw) as archive:
                about = json.loads(_unpacked(archive, archive.getinfo("metadata.json"), path, LARGEST_CONFIG_BYTES))
        except _BROKEN:
            return None
        version = about.get("keras_version") if isinstance(about, dict) else None
        return version[:40] if isinstance(version, str) else None
    with opened(path) as file:
        value = file.attrs.get("keras_version")
        return value.decode(errors="replace")[:40] if isinstance(value, bytes) else value and str(value)[:40]


def plain_lists(value: Any) -> Any:
    """The same with lists for what Keras writes as tuples and arrays."""
    if isinstance(value, Mapping):
        if value.get("class_name") in ("__tuple__", "TensorShape"):
            return plain_lists(value.get("items"))
        if value.get("type") == "ndarray":  # Keras before 2.3, of a number
            return value.get("value")
        return {key: plain_lists(item) for key, item in value.items()}
    return [plain_lists(item) for item in value] if isinstance(value, list | tuple) else value


def compile_config(config: Mapping[str, Any] | None, path: Path) -> Any:
    """What the model was compiled with, out of its configuration or the ``.h5`` file it comes from; None where neither
    says."""
    said = config.get("compile_config") if config is not None else None
    if said is not None or is_archive(path):
        return said
    try:
        with opened(path) as file:
            return parsed_training_config(file.attrs.get("training_config"))
    except (AdaptorError, OSError):
        return None


def damage(path: Path) -> str | None:
    """A sentence saying what is plainly wrong with the file, None where nothing is. One open and two small
    reads (30 µs): an HDF5 file says at its beginning where it ends, a ZIP archive ends with its directory."""
    if keras_shards.is_index(path):
        return _damage_of_shards(path)
    try:
        with open_regular(path) as file:
            head = file.read(8)
            size = file.seek(0, io.SEEK_END)
            if size == 0:
                return f"{path} is empty."
            if is_archive(path):
                if head[:4] != _ZIP_SIGNATURE:
                    return f"{path} is not a ZIP archive, which every .keras file is."
                # The directory's end has 22 bytes, and a comment of at most 64 KiB, which Keras never writes.
                for tail_bytes in (22, 22 + 65_535):
                    file.seek(max(0, size - tail_bytes))
                    if _ZIP_END in file.read():
                        return None
                return f"{path} is cut off: the archive's directory, at its end, is missing."
            start = superblock(file)
    except OSError as error:
        return f"{path} cannot be read: {_plain(error)}."
    if head[:8] != HDF5_SIGNATURE:
        # HDF5 allows foreign bytes before its own, at 512, 1024, ...; h5py then judges.
        return None if h5py.is_hdf5(path) else f"{path} is not an HDF5 file, which every .h5 checkpoint is."
    end = end_of_file(start)
    if end is not None and size < end:
        return f"{path} is cut off: it should have {end:,} bytes and has {size:,}."
    return None


def _damage_of_shards(index: Path) -> str | None:
    try:
        for part in keras_shards.parts(index):
            if not part.is_file():
                return f"{index} needs {part.name}, which is not there."
            if (reason := damage(part)) is not None:
                return reason
    except AdaptorError as error:
        return str(error)
    return None


def files_of(path: Path) -> list[Path]:
    """All files that a checkpoint is kept in. Raises Unreadable and Refused."""
    return [path, *keras_shards.parts(path)] if keras_shards.is_index(path) else [path]


def stored_bytes(path: Path) -> int:
    """The size of a checkpoint, in however many files. Raises OSError, Unreadable and Refused."""
    return sum(each.stat().st_size for each in files_of(path))


def _plain(error: BaseException) -> str:
    return str(error).strip("'\"").rstrip(".") or type(error).__name__
