"""Files that are replaced as a whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mloscope.app.process.whole_files import write_file


@pytest.mark.parametrize(("private", "others"), [(True, 0), (False, 0o044)])
def test_a_file_is_replaced_and_a_private_one_is_its_owners_alone(tmp_path: Path, private: bool, others: int) -> None:
    path = tmp_path / "new" / "file.json"
    before = os.umask(0o022)
    try:
        for content in (b"old", b"new"):
            write_file(path, content, private=private)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == others


def test_nothing_is_left_where_it_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "file.json" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "file.json", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]
