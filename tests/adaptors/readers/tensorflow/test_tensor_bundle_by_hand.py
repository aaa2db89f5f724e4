"""TensorFlow's checkpoint files made by hand: what each byte means, and what hostile files get. Needs no TensorFlow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mloscope.adaptors.files.crc32c import masked_crc32c
from mloscope.adaptors.interface import Refused, Unknown, Unreadable
from mloscope.adaptors.readers.tensorflow.tensor_bundle import INDEX, Bundle, is_index, open_bundle

# ---------- checksums


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (b"", 0),
    ],
)
def test_checksums_are_those_of_rfc_3720_masked(data: bytes, crc: int) -> None:
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc32c(data) == masked
    assert masked_crc32c(np.frombuffer(data, np.uint8)) == masked
    assert masked_crc32c(np.frombuffer(data, np.uint8).copy()) == masked


# ---------- files made by hand


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    return _number(number << 3 | 2) + _number(len(value)) + value


def _block(items: list[tuple[int, bytes, bytes]], kind: int = 0) -> bytes:
    """Entries (shared, rest of the key, value), a restart array and the trailer."""
    data = b"".join(
        _number(shared) + _number(len(rest)) + _number(len(value)) + rest + value for shared, rest, value in items
    )
    data += bytes(4) + (1).to_bytes(4, "little") + bytes([kind])
    return data + masked_crc32c(data).to_bytes(4, "little")


def _index(items: list[tuple[int, bytes, bytes]], kind: int = 0, repeats: int = 1) -> bytes:
    header = (0, b"", _field(1, 1))
    block = _block([header, *items], kind)
    handle = _number(0) + _number(len(block) - 5)
    directory = _block([(0, b"\xff", handle)] * repeats)
    footer = _number(0) + _number(0) + _number(len(block)) + _number(len(directory) - 5)
    magic = 0xDB4775248B80FB57
    return block + directory + footer.ljust(40, b"\0") + magic.to_bytes(8, "little")


def _entry(shape: tuple[int, ...], size: int, offset: int = 0, dtype: int = 1, **more: int) -> bytes:
    dimensions = b"".join(_field(2, _field(1, length)) for length in shape)
    fields = _field(1, dtype) + _field(2, dimensions) + _field(4, offset) + _field(5, size)
    crc = _number(6 << 3 | 5) + more["crc"].to_bytes(4, "little") if "crc" in more else b""
    return fields + (_field(3, more["shard"]) if "shard" in more else b"") + crc


def _written(folder: Path, index: bytes, data: bytes = bytes(16)) -> Path:
    (folder / f"x{INDEX}").write_bytes(index)
    (folder / "x.data-00000-of-00001").write_bytes(data)
    return folder / "x"


def test_values_are_those_of_the_data_file_at_their_place(tmp_path: Path) -> None:
    floats, whole = np.arange(600_000, dtype="<f4").reshape(3, 200_000), np.array([-5, 2**40], "<i8")
    halves = np.array([1.5, -2.0], np.float32).view(np.uint32)
    tensors = {
        b"half": (14, (2,), (halves >> 16).astype("<u2").tobytes()),
        b"half/none": (1, (0, 3), b""),
        b"large": (1, floats.shape, floats.tobytes()),
        b"whole" * 30: (9, (2,), whole.tobytes()),
    }
    data, items, before = b"??", [], b""
    for key, (dtype, shape, stored) in tensors.items():
        entry = _entry(shape, len(stored), len(data), dtype, crc=masked_crc32c(stored))
        shared = 4 if before == b"half" else 0
        items.append((shared, key[shared:], entry))
        data, before = data + stored, key
    bundle = open_bundle(_written(tmp_path, _index(items), data))
    assert list(bundle.entries) == [key.decode() for key in tensors]
    assert "whole" not in bundle.entries
    assert len(bundle.entries) == 4
    with pytest.raises(Unknown):
        bundle.read("whole")
    with pytest.raises(Unknown):
        bundle.read_strings("whole")
    with pytest.raises(Unreadable, match="does not hold strings"):
        bundle.read_strings("half")
    assert bundle.read("half").tolist() == [1.5, -2.0]
    assert bundle.read("half/none").shape == (0, 3)
    assert np.array_equal(bundle.read("large"), floats)
    assert bundle.read("whole" * 30).tolist() == whole.tolist()
    assert bundle.data_ends() == {tmp_path / "x.data-00000-of-00001": len(data)}
    assert is_index(tmp_path / f"x{INDEX}")
    assert open_bundle(tmp_path / "x") is bundle
    (tmp_path / "x.data-00000-of-00001").write_bytes(data[:-1])
    with pytest.raises(Unreadable, match="cut off"):
        bundle.read("whole" * 30)
    (tmp_path / "x.data-00000-of-00001").write_bytes(data[:-1] + b"x")
    with pytest.raises(Unreadable, match="checksum"):
        bundle.read("whole" * 30)
    (tmp_path / "x.data-00000-of-00001").unlink()
    with pytest.raises(Unreadable, match="cannot be read"):
        bundle.read("half")


def test_parts_are_put_where_they_belong(tmp_path: Path) -> None:
    values = np.arange(12, dtype="<f4").reshape(3, 4)
    extents = (((0, 3), (0, 1)), ((0, 3), (1, 3)))
    stored = [values[:, :1].tobytes(), values[:, 1:].tobytes()]
    slices = b"".join(
        _field(7, b"".join(_field(1, _field(1, start) + _field(2, length)) for start, length in part))
        for part in extents
    )
    # The order-preserving code of small numbers: one byte, 0x80 for 0.
    keys = [b"\0k\0\x01\x01\x02" + bytes(0x80 + number for extent in part for number in extent) for part in extents]
    items = [
        (0, keys[0], _entry((3, 1), 12, crc=masked_crc32c(stored[0]))),
        (0, keys[1], _entry((3, 3), 36, 12, crc=masked_crc32c(stored[1]))),
        (0, b"k", _entry((3, 4), 0) + slices),
    ]
    bundle = open_bundle(_written(tmp_path, _index(items), b"".join(stored)))
    assert list(bundle.entries) == ["k"]
    assert bundle.read("k").tolist() == values.tolist()
    assert bundle.data_ends() == {tmp_path / "x.data-00000-of-00001": 48}
    lost = open_bundle(_written(tmp_path, _index([*items[1:]]), b"".join(stored)))
    with pytest.raises(Unreadable, match="a part of k is missing"):
        lost.read("k")


def test_strings_are_read_in_order_and_checked(tmp_path: Path) -> None:
    texts = [b"a", b"", b"x" * 300]
    lengths = b"".join(_number(len(text)) for text in texts)
    numbers = b"".join(len(text).to_bytes(4, "little") for text in texts)
    check = masked_crc32c(numbers).to_bytes(4, "little")
    data = lengths + check + b"".join(texts)
    crc = masked_crc32c(numbers + check + b"".join(texts))
    bundle = open_bundle(_written(tmp_path, _index([(0, b"s", _entry((3,), len(data), dtype=7, crc=crc))]), data))
    assert not bundle.entries["s"].is_number
    assert bundle.read_strings("s") == texts
    with pytest.raises(Unreadable, match="s does not hold numbers"):
        bundle.read("s")
    (tmp_path / "x.data-00000-of-00001").write_bytes(data[:-1] + b"y")
    with pytest.raises(Unreadable, match="checksum"):
        bundle.read_strings("s")
    for count, crc_of in ((2, crc), (3, crc + 1)):
        entry = _entry((count,), len(data), dtype=7, crc=crc_of)
        wrong = open_bundle(_written(tmp_path, _index([(0, b"s", entry)]), data))
        with pytest.raises(Unreadable):
            wrong.read_strings("s")


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (_entry((2**40,), 16), "impossible shape"),
        (_entry((2**30, 2**30), 16), "16 bytes instead of"),
        (_entry((2**62,), 2**64 - 16), "impossible shape"),
        (_entry((2**32,), 2**34), "cut off"),
        (_entry((4,), 16, offset=2**63), "cut off"),
        (_entry((4,), 16, shard=7), "impossible"),
        (_entry((2,) * 60, 16), "impossible shape"),
        (_entry((4,), 16, dtype=99), "does not hold numbers"),
        (_entry((4,), 16), "checksum"),
    ],
)
def test_an_index_that_lies_is_caught_before_memory_is_taken(tmp_path: Path, entry: bytes, sentence: str) -> None:
    bundle = open_bundle(_written(tmp_path, _index([(0, b"k", entry)])))
    with pytest.raises(Unreadable, match=sentence):
        bundle.read("k")


def test_parts_that_overlap_or_are_too_many_are_refused(tmp_path: Path) -> None:
    part = _field(1, _field(1, 0) + _field(2, 4))
    sliced = _entry((2**33,), 0) + _field(7, part) * 2
    held = (0, b"\0k\0\x01\x01\x01\x80\x84", _entry((4,), 16))
    bundle = open_bundle(_written(tmp_path, _index([held, (0, b"k", sliced)])))
    with pytest.raises(Unreadable, match="do not make up its shape"):
        bundle.read("k")


def test_keys_that_unpack_to_far_more_than_the_file_are_refused(tmp_path: Path) -> None:
    items = [(0, b"k" * 60_000, b""), *[(60_000, b"", b"")] * 50_000]
    with pytest.raises(Refused, match="far more than the file"):
        open_bundle(_written(tmp_path, _index(items)))
    with pytest.raises(Refused, match="a key of 70,000 bytes"):
        open_bundle(_written(tmp_path, _index([(0, b"k" * 70_000, b"")])))


def test_blocks_that_are_listed_again_and_again_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="blocks overlap"):
        open_bundle(_written(tmp_path, _index([(0, b"k", _entry((4,), 16))], repeats=1000)))


def test_snappy_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="compressed with snappy"):
        open_bundle(_written(tmp_path, _index([(0, b"k", _entry((4,), 16))], kind=1)))


def test_a_file_that_is_no_index(tmp_path: Path) -> None:
    path = tmp_path / f"x{INDEX}"
    path.write_bytes(b"something else entirely, and long enough to hold a footer")
    assert not is_index(path)
    with pytest.raises(Unreadable, match="is not the index of a TensorFlow checkpoint"):
        Bundle(tmp_path / "x", path.read_bytes())


@pytest.mark.parametrize(
    ("number", "kind"),
    {
        1: "f4", 2: "f8", 3: "i4", 4: "u1", 5: "i2", 6: "i1", 8: "c8", 9: "i8", 10: "?", 11: "i1", 12: "u1",
        13: "i4", 14: "f4", 15: "i2", 16: "u2", 17: "u2", 18: "c16", 19: "f2", 22: "u4", 23: "u8",
    }.items(),
)  # fmt: skip
def test_every_data_type_has_its_numpy_type(tmp_path: Path, number: int, kind: str) -> None:
    stored = bytes(2 if number == 14 else np.dtype(kind).itemsize)
    entry = _entry((1,), len(stored), dtype=number, crc=masked_crc32c(stored))
    values = open_bundle(_written(tmp_path, _index([(0, b"k", entry)]), stored)).read("k")
    assert (values.dtype, values.tolist()) == (np.dtype(kind), [0])
