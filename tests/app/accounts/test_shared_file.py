"""Changing a file that is reached by links, belongs to somebody, or is mounted alone."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mloscope.app.accounts import shared_file
from mloscope.app.accounts.users import UserFile
from mloscope.app.errors import Unavailable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and modes as POSIX has them")


@pytest.fixture
def real(tmp_path: Path) -> UserFile:
    """What the server reads."""
    users = UserFile(tmp_path / "shared" / "users.json")
    users.put_user("anna", None, "editor")
    users.put_user("mallory", None, "editor")
    return users


def linked(real: UserFile, how: str) -> UserFile:
    folder = real.path.parent.parent / "lnk"
    folder.mkdir()
    path = folder / "users.json"
    if how == "link":
        path.symlink_to("../shared/users.json")
    elif how == "link to a link":
        path.symlink_to("next.json")
        path.with_name("next.json").symlink_to(real.path)
    elif how == "linked folder":
        folder.rmdir()
        folder.symlink_to(real.path.parent)
    else:
        os.link(real.path, path)
    return UserFile(path)


@pytest.mark.parametrize("how", ["link", "link to a link", "linked folder", "hard link"])
def test_what_is_changed_through_a_link_is_changed_for_the_server(real: UserFile, how: str) -> None:
    by_link = linked(real, how)
    was_link = by_link.path.is_symlink()
    by_link.remove_user("mallory")
    assert set(real.users()) == {"anna"}
    by_link.change_role("anna", "viewer")
    assert real.users()["anna"].role == "viewer"
    by_link.put_user("vera", None)
    token = by_link.add_token("nightly", "viewer")
    assert real.token(token) is not None
    by_link.remove_token("nightly")
    assert real.token(token) is None
    by_link.change_password("vera", "correct horse")
    assert real.users()["vera"].password
    assert by_link.path.is_symlink() == was_link
    assert by_link.path.samefile(real.path)


def test_the_lock_lies_beside_the_file_itself(real: UserFile) -> None:
    by_link = linked(real, "link")
    by_link.remove_user("mallory")
    assert not by_link.path.with_name("users.json.lock").exists()
    assert real.path.with_name("users.json.lock").exists()
    assert sorted(os.listdir(by_link.path.parent)) == ["users.json"]


def test_writers_by_different_paths_lose_nothing(real: UserFile) -> None:
    by_link = linked(real, "link")
    program = (
        "import sys; from pathlib import Path; from mloscope.app.accounts.users import UserFile\n"
        "for number in range(20): UserFile(Path(sys.argv[1])).add_token(sys.argv[2] + str(number), 'viewer')"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(users.path), name])
        for users, name in ((real, "a"), (by_link, "b"))
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert len(real.tokens()) == 40


def test_a_link_to_nothing_yet_leads_where_the_file_is_made(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.symlink_to("later/users.json")
    assert UserFile(path).users() == {}
    UserFile(path).put_user("anna", None)
    assert path.is_symlink()
    assert set(json.loads((tmp_path / "later/users.json").read_text())["users"]) == {"anna"}
    assert stat.S_IMODE((tmp_path / "later/users.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660])
def test_the_mode_stays(real: UserFile, mode: int) -> None:
    real.path.chmod(mode)
    real.remove_user("mallory")
    assert stat.S_IMODE(real.path.stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_what_root_changes_goes_on_belonging_to_whom_it_belonged(real: UserFile) -> None:
    os.chown(real.path, 4001, 4002)
    real.remove_user("mallory")
    found = real.path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (4001, 4002, 0o600)
    lock = real.path.with_name("users.json.lock").stat()
    assert (lock.st_uid, lock.st_gid) == (4001, 4002)


def test_what_its_owner_could_not_read_any_more_is_left_as_it_is(
    real: UserFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = real.path.read_bytes()
    found = real.path.stat()
    foreign = os.stat_result((found.st_mode, *found[1:4], found.st_uid + 1, *found[5:]))

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refused)
    with real.path.open("rb") as file, pytest.raises(Unavailable, match="belongs to another user"):
        shared_file._take_over(real.path, foreign, file.fileno(), str(real.path))
    assert real.path.read_bytes() == before


def test_a_file_that_is_mounted_alone_is_written_in_place(real: UserFile, monkeypatch: pytest.MonkeyPatch) -> None:
    number = real.path.stat().st_ino

    def busy(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    real.remove_user("mallory")
    monkeypatch.undo()
    assert set(UserFile(real.path).users()) == {"anna"}
    assert real.path.stat().st_ino == number
    assert sorted(os.listdir(real.path.parent)) == ["users.json", "users.json.lock"]


@pytest.mark.parametrize("what", ["fifo", "device", "folder"])
def test_what_is_not_a_file_is_refused_and_not_waited_for(tmp_path: Path, what: str) -> None:
    path = tmp_path / "users.json"
    if what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(Unavailable, match="not a regular file"):
        UserFile(path).users()
