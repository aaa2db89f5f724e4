"""Regular files are opened and nothing else, and readers open nothing by themselves."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

import mloscope.adaptors.files.regular_files
from mloscope.adaptors.files.regular_files import NotRegular, TooLarge, is_inside, open_regular, read_regular

_BARE = re.compile(
    r"(?<!def )(?<![\w.])open\(|\.read_bytes\(|\.read_text\(|(ZipFile|Image\.open|gzip\.open|memmap|tomllib\.load)\(path"
)


@pytest.fixture(params=["device", "pipe", "socket", "holes"])
def hazard(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "it"
    if request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "socket":
        monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("it")
    else:
        with open(path, "wb") as file:
            file.truncate(1 << 40)
    return path


def test_only_regular_files_are_opened(hazard: Path) -> None:
    link = hazard.with_name("link")
    link.symlink_to(hazard)
    for each in (hazard, link):
        with pytest.raises((NotRegular, TooLarge)) as caught:
            open_regular(each)
        assert caught.value.strerror


def test_what_a_file_has_is_read_and_no_more_than_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"0123456789")
    assert read_regular(path, 10) == b"0123456789"
    with pytest.raises(TooLarge, match="10 bytes, and at most 9"):
        read_regular(path, 9)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nothing", 1)


def test_a_large_file_may_have_holes(tmp_path: Path) -> None:
    with open(tmp_path / "zeros", "wb") as file:
        file.write(b"x" * (2 << 20))
        file.truncate(100 << 20)
    assert len(read_regular(tmp_path / "zeros", 1 << 30)) == 100 << 20


def test_what_lies_inside_is_told_with_links_followed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path)
    (folder / "in").symlink_to(folder / "mean.npy")
    assert is_inside(folder / "mean.npy", folder)
    assert is_inside(folder / "in", tmp_path / "link")
    assert not is_inside(folder / "../x.npy", folder)
    assert not is_inside(folder / "out/x.npy", folder)
    assert not is_inside(folder / "/etc/passwd", folder)


def test_readers_open_nothing_by_themselves() -> None:
    here = Path(mloscope.adaptors.files.regular_files.__file__)
    bare = [
        f"{path.relative_to(here.parent)}: {line.strip()}"
        for path in sorted(here.parent.rglob("*.py"))
        if path.name not in (here.name, "conformance.py", "installation.py")
        for line in path.read_text().splitlines()
        if _BARE.search(line)
    ]
    assert bare == [], "mloscope.adaptors.files.regular_files opens files, so that devices, pipes and holes are refused"
