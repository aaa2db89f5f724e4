"""Pickles that attack. Each is real: loaded with the pickle module, it would do what it says."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.files.allow_list_unpickler import read_pickle
from mloscope.adaptors.interface import Refused, Unreadable


class Attack:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def write(path: Path, value: Any, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_come_through(tmp_path: Path, protocol: int) -> None:
    value = {
        "data": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "labels": [1, 2],
        "name": "x",
        "more": b"\xff",
    }
    found = read_pickle(write(tmp_path / "a", value, protocol))
    assert np.array_equal(found["data"], value["data"])
    assert found["data"].dtype == np.uint8
    assert (found["labels"], found["name"]) == ([1, 2], "x")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_command_is_refused_by_name_and_not_run(tmp_path: Path, protocol: int) -> None:
    marker = tmp_path / "ran"
    path = write(tmp_path / "a", {"data": Attack(os.system, f"touch {marker}")}, protocol)
    with pytest.raises(Refused, match=rf"{path} is a pickle that asks for \w+\.system"):
        read_pickle(path)
    assert not marker.exists()
    pickle.loads(path.read_bytes())
    assert marker.exists(), "the attack must be a real one"


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (eval, ("1+1",)),
        (getattr, (str, "join")),
        (np.load, ("x",)),
        (np.fromfile, ("x",)),
        (pickle.loads, (b"N.",)),
    ],
)
def test_other_names_are_refused(tmp_path: Path, function: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(Refused, match=function.__name__):
        read_pickle(write(tmp_path / "a", Attack(function, *arguments)))


def test_an_array_that_claims_all_memory_is_unreadable(tmp_path: Path) -> None:
    from numpy._core.multiarray import _reconstruct

    with pytest.raises(Unreadable, match="begins with the shape"):
        read_pickle(write(tmp_path / "a", Attack(_reconstruct, np.ndarray, (10**12,), b"b")))


def test_objects_within_an_array_are_held_to_the_same_list(tmp_path: Path) -> None:
    hidden = np.array([Attack(os.system, "true")], object)
    with pytest.raises(Refused, match="system"):
        read_pickle(write(tmp_path / "a", hidden))


@pytest.mark.parametrize("content", [b"", b"\x80", b"hello", b"\x80\x02}q\x00(U\x04dataq\x01T\xff\xff\xff\x7f", b"c"])
def test_what_is_no_pickle_is_unreadable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=str(path)):
        read_pickle(path)


def test_every_way_of_cutting_a_pickle_is_unreadable(tmp_path: Path) -> None:
    whole = pickle.dumps({"data": np.arange(4, dtype=np.uint8), "labels": [1]}, 2)
    path = tmp_path / "a"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(Unreadable):
            read_pickle(path)


def test_a_type_that_claims_to_hold_references_is_taken_for_numbers(tmp_path: Path) -> None:
    path = tmp_path / "claims.pkl"
    data = pickle.dumps(np.arange(6, dtype=">f4"), protocol=2)
    # The last number of the type's state: the flags, here NPY_ITEM_REFCOUNT and NPY_ITEM_IS_POINTER.
    claims = data.replace(b"J\xff\xff\xff\xffK\x00t", b"J\xff\xff\xff\xffK\x3ft")
    assert claims != data
    path.write_bytes(claims)
    found = read_pickle(path)
    assert found.dtype == np.float32
    assert not found.dtype.hasobject
    assert np.array_equal(found, np.arange(6))


def test_arrays_of_objects_and_of_any_size_are_no_arrays(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pkl"
    path.write_bytes(pickle.dumps(np.array([{}], dtype=object), protocol=2))
    with pytest.raises(Unreadable, match=r"wrong\.pkl"):
        read_pickle(path)
    path.write_bytes(b"\x80\x02cnumpy\nndarray\n\x8a\x05\x00\x00\x00\x00\x01\x85R.")
    with pytest.raises(Unreadable, match=r"wrong\.pkl"):
        read_pickle(path)


def test_a_part_numbered_as_if_there_were_a_billion_is_refused(tmp_path: Path) -> None:
    """The unpickler keeps a list of all parts, as long as the largest number: here, of 8 GB."""
    (tmp_path / "batch").write_bytes(b"\x80\x02]r" + (2**29).to_bytes(4, "little") + b".")
    with pytest.raises(Refused, match="numbers them as if it were"):
        read_pickle(tmp_path / "batch")
