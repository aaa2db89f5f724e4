"""Arrays read at remembered places are those that h5py gives, and only as long as the file is the same."""

from __future__ import annotations

import io
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mloscope.adaptors.fingerprint import SETTLED_NS
from mloscope.adaptors.interface import RunOptions, Unreadable
from mloscope.adaptors.models.keras import KerasRun
from mloscope.adaptors.readers.keras import files as keras_files
from mloscope.adaptors.readers.keras.checkpoints import survey
from mloscope.adaptors.readers.keras.places import Places
from tests.keras_folders import save_keras_folder

NUMBERS = np.arange(-300, 300).reshape(20, 30)


def much_later() -> int:
    return time.time_ns() + 10 * SETTLED_NS


@pytest.fixture
def places() -> Places:
    """Such as take a file for one that nobody has changed for long."""
    return Places(much_later)


def noted(places: Places, path: Path, name: str = "values") -> np.ndarray:
    """The array as h5py reads it, its place noted as that of the layer ``layer``."""
    with keras_files.opened_in_window(path) as (file, window), places.noted(path, window) as note:
        values = keras_files.read(file, file[name], path)
        note("layer", {"kernel": file[name]}, {"kernel": values})
    return values


def made(path: Path, create: Callable[[h5py.File], object], userblock: int = 0) -> Path:
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file.attrs["about"] = "what lies before the array"
        create(file)
    return path


def compact(file: h5py.File) -> None:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((4,))
    identifier = h5py.h5d.create(file.id, b"values", h5py.h5t.NATIVE_FLOAT, space, dcpl=creation)
    identifier.write(h5py.h5s.ALL, h5py.h5s.ALL, np.arange(4, dtype=np.float32))


def of_12_bits(file: h5py.File) -> None:
    kind = h5py.h5t.STD_I16LE.copy()
    kind.set_precision(12)
    kind.set_offset(4)
    identifier = h5py.h5d.create(file.id, b"values", kind, h5py.h5s.create_simple((3,)))
    identifier.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([1, 2, -3], np.int16))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "u1", "i1", ">i2", "<u8"])
@pytest.mark.parametrize("userblock", [0, 512])
def test_numbers_in_one_piece_are_read_at_their_place(
    places: Places, tmp_path: Path, dtype: str, userblock: int
) -> None:
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("values", data=NUMBERS.astype(dtype)), userblock)
    stored = noted(places, path)
    again = places.read(path, ["layer"])
    assert again is not None
    assert again["layer"]["kernel"].dtype == stored.dtype
    assert np.array_equal(again["layer"]["kernel"], NUMBERS.astype(dtype))
    again["layer"]["kernel"][:] = 0  # it is the reader's own


def test_a_scalar_is_read_at_its_place(places: Places, tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("values", data=np.float32(2.5)))
    noted(places, path)
    again = places.read(path, ["layer"])
    assert again is not None
    assert again["layer"]["kernel"].shape == ()
    assert again["layer"]["kernel"] == 2.5


@pytest.mark.parametrize(
    "create",
    [
        pytest.param(lambda file: file.create_dataset("values", data=NUMBERS, chunks=(5, 30)), id="chunks"),
        pytest.param(lambda file: file.create_dataset("values", data=NUMBERS, compression="gzip"), id="compressed"),
        pytest.param(lambda file: file.create_dataset("values", data=NUMBERS, shuffle=True), id="shuffled"),
        pytest.param(lambda file: file.create_dataset("values", (3, 2), "f4", fillvalue=7), id="never written"),
        pytest.param(lambda file: file.create_dataset("values", (0, 3), "f4"), id="empty"),
        pytest.param(lambda file: file.create_dataset("values", data=[True, False]), id="yes and no"),
        pytest.param(lambda file: file.create_dataset("values", data=np.array(1.5, ">f4")), id="turned scalar"),
        pytest.param(compact, id="in the header"),
        pytest.param(of_12_bits, id="no type of NumPy"),
    ],
)
def test_all_other_arrays_are_left_to_h5py(
    places: Places, tmp_path: Path, create: Callable[[h5py.File], object]
) -> None:
    path = made(tmp_path / "a.h5", create)
    with h5py.File(path) as file:
        expected = file["values"][()]
    assert np.array_equal(noted(places, path), expected)
    assert places.read(path, ["layer"]) is None
    assert np.array_equal(noted(places, path), expected)


def test_what_is_made_of_stored_arrays_is_left_to_h5py(places: Places, tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("values", data=NUMBERS.astype("i1")))
    with keras_files.opened_in_window(path) as (file, window), places.noted(path, window) as note:
        note("scaled", {"kernel": file["values"]}, {"kernel": file["values"][()] / np.float32(3)})
        note("turned", {"kernel": file["values"]}, {"kernel": file["values"][()][::-1]})
    assert places.read(path, ["scaled"]) is None
    assert places.read(path, ["turned"]) is None


@pytest.mark.parametrize(("compression", "is_known"), [(zipfile.ZIP_STORED, True), (zipfile.ZIP_DEFLATED, False)])
def test_within_an_archive(places: Places, tmp_path: Path, compression: int, is_known: bool) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["values"] = NUMBERS.astype(np.float32)
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", buffer.getvalue())
    assert np.array_equal(noted(places, path), NUMBERS)
    again = places.read(path, ["layer"])
    assert (again is not None) == is_known
    assert again is None or np.array_equal(again["layer"]["kernel"], NUMBERS)


def rewritten(path: Path) -> None:
    """Other values at another place, in as many bytes."""
    size = path.stat().st_size
    path.write_bytes(bytes(size))


def put_back(path: Path) -> None:
    """Another file under the name, of the same size and time."""
    before = path.stat()
    other = Path(shutil.copy(path, path.with_suffix(".other")))
    rewritten(other)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def changed_in_the_middle(path: Path) -> None:
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(before.st_size // 2)
        file.write(b"\0" * 16)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [rewritten, put_back, changed_in_the_middle, lambda path: os.truncate(path, 3000),
                                    Path.unlink, lambda path: (path.unlink(), path.mkdir())],
                         ids=["rewritten", "put back", "in the middle", "cut off", "removed", "a folder"])  # fmt: skip
def test_a_changed_file_is_not_read_at_old_places(
    places: Places, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("values", data=NUMBERS))
    noted(places, path)
    assert places.read(path, ["layer"]) is not None
    change(path)
    assert places.read(path, ["layer"]) is None


def test_a_file_changed_while_h5py_reads_it_is_not_remembered(places: Places, tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("values", data=NUMBERS))
    with keras_files.opened_in_window(path) as (file, window), places.noted(path, window) as note:
        note("layer", {"kernel": file["values"]}, {"kernel": file["values"][()]})
        os.utime(path)
    assert places.read(path, ["layer"]) is None


def test_a_file_written_just_now_is_not_remembered(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("values", data=NUMBERS))
    places = Places()
    noted(places, path)
    assert places.read(path, ["layer"]) is None


def test_all_of_the_layers_or_none(places: Places, tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", lambda file: file.create_dataset("values", data=NUMBERS))
    noted(places, path)
    assert places.read(path, ["layer", "another"]) is None


def test_a_run_reads_a_second_time_what_it_read_first(places: Places, tmp_path: Path) -> None:
    folder = save_keras_folder(tmp_path / "run", steps=(0,))
    run = KerasRun(survey(folder, RunOptions()), RunOptions(), places)
    (checkpoint,), layers = run.checkpoints(), {layer.name: layer for layer in run.layers()}
    path = folder / checkpoint.name
    first = run.parameters(checkpoint, layers["conv"])
    known = places.read(path, ["conv"])
    assert known is not None
    again = run.parameters(checkpoint, layers["conv"])
    assert list(again) == list(known["conv"]) == list(first) == ["kernel", "bias"]
    assert all(np.array_equal(again[name], first[name]) for name in first)
    assert run.parameters(checkpoint, layers["flatten"]) == run.parameters(checkpoint, layers["flatten"]) == {}
    whole, twice = run.weights(checkpoint), run.weights(checkpoint)
    assert list(whole) == list(twice)
    assert all(np.array_equal(whole[name], twice[name]) for name in whole)

    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/1"][:] = [1, 2, 3, 4]
    assert run.parameters(checkpoint, layers["conv"])["bias"].tolist() == [1, 2, 3, 4]
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(Unreadable):
        run.parameters(checkpoint, layers["conv"])
