"""Containers: a header and arrays as bytes, and what is not one."""

from __future__ import annotations

import numpy as np
import pytest

from mloscope.app.errors import BadRequest
from mloscope.app.process import binary_container

KIND = b"TST1"


@pytest.mark.parametrize("note", ["", "x", "ü" * 7, "x" * 64])
def test_header_and_arrays_come_back_and_the_arrays_are_aligned(note: str) -> None:
    floats, codes = np.arange(6, dtype="<f4").reshape(2, 3), np.array([7, 255], np.uint8)
    data = binary_container.pack(KIND, {"note": note}, [floats, codes])
    header, start = binary_container.unpack(KIND, data)
    assert header == {"note": note}
    assert start % 8 == 0
    assert data[start:] == floats.tobytes() + codes.tobytes()


def test_the_layout_is_the_documented_one() -> None:
    data = binary_container.pack(KIND, {"a": 1}, [np.array([1], "<u2")])
    assert data == b"TST1" + b"\x08\x00\x00\x00" + b'{"a":1} ' + b"\x01\x00"


def test_arrays_are_written_row_by_row_however_they_lie_and_empty_ones_take_no_room() -> None:
    turned = np.arange(6, dtype="<i2").reshape(2, 3).T
    data = binary_container.pack(KIND, {}, [np.zeros((0, 4), "<f4"), turned])
    _, start = binary_container.unpack(KIND, data)
    assert data[start:] == turned.copy(order="C").tobytes()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "TST1"),
        (b"TST1\x00", "TST1"),
        (b"PNG1\x02\x00\x00\x00{}", "PNG1"),
        (b"TST1\x02\x00\x00\x00{]", "header"),
        (b"TST1\xff\xff\xff\xff{}\xfe", "header"),
        (b"TST1\x02\x00\x00\x00[]", "object"),
    ],
)
def test_what_is_not_one_is_refused(data: bytes, word: str) -> None:
    with pytest.raises(BadRequest, match=word):
        binary_container.unpack(KIND, data)
    with pytest.raises(BadRequest, match=word):
        binary_container.unpack(KIND, memoryview(data))
