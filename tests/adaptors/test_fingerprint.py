from __future__ import annotations

import os
from pathlib import Path

import pytest

from mloscope.adaptors.fingerprint import END_BYTES, file_fingerprint
from mloscope.adaptors.interface import Unreadable


def written(path: Path, content: bytes, time_s: int) -> Path:
    path.write_bytes(content)
    os.utime(path, (time_s, time_s))
    return path


def test_the_same_file_keeps_its_fingerprint(tmp_path: Path) -> None:
    path = written(tmp_path / "a", b"x" * 10, 1_000_000)
    assert file_fingerprint(path) == file_fingerprint(path)


@pytest.mark.parametrize("at", [0, 3 * END_BYTES - 1])
def test_either_end_matters_even_where_size_and_time_are_put_back(tmp_path: Path, at: int) -> None:
    content = bytearray(3 * END_BYTES)
    before = file_fingerprint(written(tmp_path / "a", content, 1_000_000))
    content[at] = 1
    assert file_fingerprint(written(tmp_path / "a", content, 1_000_000)) != before


def test_a_change_in_the_middle_shows_by_its_time(tmp_path: Path) -> None:
    content = bytearray(3 * END_BYTES)
    before = file_fingerprint(written(tmp_path / "a", content, 1_000_000))
    content[END_BYTES + 5] = 1
    assert file_fingerprint(written(tmp_path / "a", content, 1_000_001)) != before


def test_the_same_bytes_elsewhere_at_the_same_time_are_the_same_checkpoint(tmp_path: Path) -> None:
    first, second = (written(tmp_path / name, b"abc", 1_000_000) for name in "ab")
    assert file_fingerprint(first) == file_fingerprint(second)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="gone"):
        file_fingerprint(tmp_path / "gone")
