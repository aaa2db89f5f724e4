"""TensorFlow's checkpoint files made by hand: what each byte means, and what hostile files get. Needs no TensorFlow."""

from __future__ import annotations

import os
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

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")


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
    return _sealed(data + bytes(4) + (1).to_bytes(4, "little"), kind)


_HEADER = _field(1, 1)


def _index(items: list[tuple[int, bytes, bytes]], kind: int = 0, repeats: int = 1, header: bytes = _HEADER) -> bytes:
    block = _block([(0, b"", header), *items], kind)
    return _table(block, _block([(0, b"\xff", _handle(0, block))] * repeats))


def _handle(offset: int, block: bytes) -> bytes:
    return _number(offset) + _number(len(block) - 5)


def _table(blocks: bytes, directory: bytes, more: int = 0) -> bytes:
    """The blocks, the directory and the footer, which makes the directory longer by ``more`` than it is."""
    footer = _number(0) + _number(0) + _number(len(blocks)) + _number(len(directory) - 5 + more)
    return blocks + directory + footer.ljust(40, b"\0") + _MAGIC


def _sealed(data: bytes, kind: int = 0) -> bytes:
    """With a block's trailer."""
    data += bytes([kind])
    return data + masked_crc32c(data).to_bytes(4, "little")


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
    with pytest.raises(Unreadable, match="does not hold strings"):
        bundle.read_strings("large")
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
    with pytest.raises(Unreadable, match="cannot be read: No such file"):
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
        (_entry((5,), 16), "16 bytes instead of 20"),
        (_entry((3,), 12, offset=12), "should end at 24 and the file has 16 bytes"),
        (_entry((4,), 16, shard=1), "impossible"),
        (_entry((2**64 - 1,), 0), "impossible shape"),
        (_entry((1,) * 33, 4), "impossible shape"),
        (_entry((4,), 16, crc=masked_crc32c(bytes(16)) + 1), "checksum"),
        (_entry((4,), 16, crc=masked_crc32c(bytes(16)) - 1), "checksum"),
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


# ---------- the header, shards and what is remembered


def test_the_header_says_how_many_data_files_there_are(tmp_path: Path) -> None:
    one = open_bundle(_written(tmp_path, _index([], header=b"")))
    assert (one.shards, len(one.entries)) == (1, 0)
    assert one.data_ends() == {tmp_path / "x.data-00000-of-00001": 0}
    entries = [(4, 0, 0), (8, 8, 1), (4, 0, 1), (0, 0, 2)]
    items = [
        (0, b"k%d" % number, _entry((size // 4,), size, offset, shard=shard))
        for number, (size, offset, shard) in enumerate(entries)
    ]
    three = open_bundle(_written(tmp_path, _index(items, header=_field(1, 3))))
    names = [tmp_path / f"x.data-0000{shard}-of-00003" for shard in range(3)]
    assert three.data_files() == names
    assert three.data_ends() == dict(zip(names, (4, 16, 0), strict=True))
    assert open_bundle(_written(tmp_path, _index([], header=_field(1, 99_999)))).shards == 99_999


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (_field(1, 0), "has 0 data files"),
        (_field(1, 100_000), "has 100000 data files"),
        (_field(1, 1) + _field(2, 1), "big-endian"),
    ],
)
def test_headers_that_cannot_be_right_are_refused(tmp_path: Path, header: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence):
        open_bundle(_written(tmp_path, _index([], header=header)))


def test_an_index_is_parsed_again_where_it_has_changed(tmp_path: Path) -> None:
    for count in (3, 1, 4, 2, 6, 5):
        items = [(0, b"k%d" % number, b"") for number in range(count)]
        assert len(open_bundle(_written(tmp_path, _index(items))).entries) == count


def test_an_index_that_is_no_file_or_far_too_large(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"x{INDEX}")
    with pytest.raises(Unreadable, match="cannot be read: it is a pipe"):
        open_bundle(tmp_path / "x")
    with open(tmp_path / f"y{INDEX}", "wb") as file:
        file.write(bytes(2**22))
        file.truncate(2**28 + 1)
    with pytest.raises(Refused, match="larger than any index"):
        open_bundle(tmp_path / "y")


def test_an_index_is_known_by_its_last_bytes(tmp_path: Path) -> None:
    path = tmp_path / f"x{INDEX}"
    assert not is_index(path)
    for data, known in (
        (bytes(40) + _MAGIC, True),
        (bytes(39) + _MAGIC, False),
        (b"x", False),
        (bytes(41) + _MAGIC[:7], False),
    ):
        path.write_bytes(data)
        assert is_index(path) is known


# ---------- shapes and parts at their limits


def test_the_largest_shapes_are_read(tmp_path: Path) -> None:
    crc = masked_crc32c(bytes(4))
    items = [
        (0, b"deep", _entry((1,) * 32, 4, crc=crc)),
        (0, b"wide", _entry((0, 2**40 - 1), 0, crc=masked_crc32c(b""))),
    ]
    bundle = open_bundle(_written(tmp_path, _index(items)))
    assert bundle.read("deep").shape == (1,) * 32
    assert bundle.read("wide").shape == (0, 2**40 - 1)


def _part(*extents: tuple[int, int | None]) -> bytes:
    return _field(
        7,
        b"".join(
            _field(1, _field(1, start % 2**64) + (b"" if length is None else _field(2, length)))
            for start, length in extents
        ),
    )


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (63, "bf"), (64, "c040"), (8191, "dfff"), (8192, "e02000"), (2**20 - 1, "efffff"), (2**20, "f0100000"),
        (2**27, "f808000000"), (2**34, "fc0400000000"), (2**39, "fc8000000000"),
    ],
)  # fmt: skip
def test_parts_are_found_by_the_order_preserving_code_of_where_they_begin(
    tmp_path: Path, start: int, code: str
) -> None:
    """All of the first axis, which is empty, and one of the second."""
    key = b"\0k\0\x01\x01\x02\x80\x7f" + bytes.fromhex(code) + b"\x81"
    held = _entry((0, 1), 0, crc=masked_crc32c(b""))
    sliced = _entry((0, start + 1), 0) + _part((0, None), (start, 1))
    bundle = open_bundle(_written(tmp_path, _index([(0, key, held), (0, b"k", sliced)])))
    assert bundle.read("k").shape == (0, start + 1)


def test_parts_of_a_scalar_of_nothing_and_of_a_name_with_a_zero_byte(tmp_path: Path) -> None:
    stored = np.array([2.5, -1], "<f4").tobytes()
    scalar, none, both = (masked_crc32c(data) for data in (stored[:4], b"", stored))
    items = [
        (0, b"\0a\0\xffb\0\x01\x01\x01\x80\x80", _entry((0,), 0, crc=none)),
        (0, b"\0a\0\xffb\0\x01\x01\x01\x80\x7f", _entry((2,), 8, crc=both)),
        (0, b"\0s\0\x01\0", _entry((), 4, crc=scalar)),
        (0, b"a\0b", _entry((2,), 0) + _part((0, 0)) + _part((0, None))),
        (0, b"s", _entry((), 0) + _part()),
    ]
    bundle = open_bundle(_written(tmp_path, _index(items), stored))
    assert bundle.read("a\0b").tolist() == [2.5, -1]
    assert bundle.read("s").tolist() == 2.5


_FOUR = b"\0k\0\x01\x01\x01\x80\x84"


@pytest.mark.parametrize(
    ("key", "held", "shape", "parts", "sentence"),
    [
        (_FOUR, _entry((4,), 16), (5,), _part((0, 4)), "do not make up"),
        (_FOUR, _entry((4,), 16), (4,), _part((0, 4)) * 2, "do not make up"),
        (_FOUR, _entry((4,), 16), (20,), _part((0, 4)) * 5, "do not make up"),
        (_FOUR, _entry((4,), 16), (3,), _part((0, 4)), "does not fit"),
        (_FOUR, _entry((3,), 12), (4,), _part((0, 4)), "does not fit"),
        (_FOUR, _entry((4,), 16, dtype=3), (4,), _part((0, 4)), "does not fit"),
        (_FOUR, _entry((4,), 32, dtype=2), (4,), _part((0, 4)), "does not fit"),
        (_FOUR, _entry((4,), 16) + _part((0, 4)), (4,), _part((0, 4)), "does not fit"),
        (b"\0k\0\x01\x01\x01\x7f\x81", _entry((1,), 4), (1,), _part((-1, 1)), "does not fit"),
        (b"\0k\0\x01\x01\x01\x3f\xbf\x81", _entry((1,), 4), (1,), _part((-65, 1)), "does not fit"),
        (_FOUR, _entry((4,), 16), (4, 1), _part((0, 4)), "is missing"),
        (_FOUR, _entry((4,), 16), (), _part((0, 4)), "is missing"),
        (_FOUR, _entry((4,), 16), (2,) * 33, _part((0, 4)), "impossible shape"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    tmp_path: Path, key: bytes, held: bytes, shape: tuple[int, ...], parts: bytes, sentence: str
) -> None:
    index = _index([(0, key, held), (0, b"k", _entry(shape, 0) + parts)])
    bundle = open_bundle(_written(tmp_path, index, bytes(64)))
    with pytest.raises(Unreadable, match=sentence):
        bundle.read("k")


def test_strings_that_are_too_many_or_in_parts_are_refused(tmp_path: Path) -> None:
    items = [(0, b"many", _entry((2**39,), 16, dtype=7)), (0, b"parts", _entry((4,), 16, dtype=7) + _part((0, 4)))]
    bundle = open_bundle(_written(tmp_path, _index(items)))
    with pytest.raises(Unreadable, match="does not end"):
        bundle.read_strings("many")
    with pytest.raises(Unreadable, match="does not hold strings"):
        bundle.read_strings("parts")


# ---------- blocks at their limits

_ITEM = _number(0) + _number(0) + _number(2) + _HEADER
_NONE = bytes(4)


def test_blocks_with_any_count_of_restarts_are_read(tmp_path: Path) -> None:
    """Also an empty one, and lengths that take one byte and more in every order."""
    header = _HEADER + _field(9, b"x" * 124)
    assert len(header) == 0x80
    long, tail = b"k" * 200, b"l" * 200
    data = b"".join(
        _number(shared) + _number(len(rest)) + _number(len(value)) + rest + value
        for shared, rest, value in [
            (0, b"", header),
            (0, long, b"v"),
            (200, tail, _field(9, tail[:198])),
            (2, b"z", b""),
        ]
    )
    block = _sealed(data + bytes(12) + (3).to_bytes(4, "little"))
    bundle = open_bundle(_written(tmp_path, _table(block, _block([(0, b"\xff", _handle(0, block))]))))
    assert list(bundle.entries) == [(long).decode(), (long + tail).decode(), "kkz"]
    assert not open_bundle(_written(tmp_path, _table(b"", _sealed(_NONE)))).entries


def test_blocks_after_one_another_are_read_and_none_twice(tmp_path: Path) -> None:
    first = _block([(0, b"", _HEADER), (0, b"a", b"")])
    second = _block([(0, b"b", b""), (0, b"c", bytes(6))])
    second_handle = _handle(len(first), second)
    assert len(second) - 5 == len(first)
    listed = [(0, b"a", _handle(0, first)), (0, b"c", second_handle)]
    assert list(open_bundle(_written(tmp_path, _table(first + second, _block(listed)))).entries) == ["a", "b", "c"]
    listed.append((0, b"d", second_handle))
    with pytest.raises(Unreadable, match="blocks overlap"):
        open_bundle(_written(tmp_path, _table(first + second, _block(listed))))


_SHORT, _LONGER = (_number(shared) + _number(1) + _number(length) + b"k" for shared, length in ((1, 0), (0, 1)))


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (bytes(39) + _MAGIC, "is not the index"),
        (bytes(40) + _MAGIC, "outside the file"),
        (_table(b"", _sealed(bytes(3))), "outside the file"),
        *((_table(b"", _sealed(_ITEM + _NONE), more), "outside the file") for more in (1, 4, 5, 2**40)),
        (_table(b"", _sealed(_ITEM + _NONE, kind=2)), r"in an unknown way \(2\)"),
        (_table(b"", (_ITEM + _NONE).ljust(10) + b"\0" + bytes(4)), "checksum"),
        (_table(b"", _ITEM + _NONE + b"\0" + b"\xff" * 4), "checksum"),
        (_table(b"", _sealed((1).to_bytes(4, "little"))), "shorter than it says"),
        (_table(b"", _sealed(_ITEM + (2**31).to_bytes(4, "little"))), "shorter than it says"),
        (_table(b"", _sealed(_SHORT + _NONE)), "longer than its block"),
        (_table(b"", _sealed(_LONGER + _NONE)), "longer than its block"),
    ],
)
def test_blocks_that_lie_are_refused(tmp_path: Path, index: bytes, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence):
        open_bundle(_written(tmp_path, index))


def test_keys_up_to_the_limits_are_read(tmp_path: Path) -> None:
    longest = b"k" * 65_536
    assert len(open_bundle(_written(tmp_path, _index([(0, longest, b"")]))).entries) == 1
    with pytest.raises(Refused, match="a key of 65,537 bytes"):
        open_bundle(_written(tmp_path, _index([(0, longest + b"k", b"")])))

    def unpacking(last: int) -> bytes:
        return _index([(0, b"k" * 60_000, b""), *[(60_000, b"", b"")] * 282, (last, b"", b"")])

    most = 4 * len(unpacking(20_000)) + 16 * 2**20 - 283 * 60_000
    assert len(open_bundle(_written(tmp_path, unpacking(most))).entries) == 2
    with pytest.raises(Refused, match="far more than the file"):
        open_bundle(_written(tmp_path, unpacking(most + 1)))
