"""The file of users and tokens: what stands in it, what does not, and what happens when it is damaged."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mloscope.app.accounts.users import TOKEN_START, UserFile, default_path
from mloscope.app.errors import BadRequest, NotFound, Unavailable

PASSWORD = "correct horse"


@pytest.fixture
def users(tmp_path: Path) -> UserFile:
    return UserFile(tmp_path / "new folder" / "users.json")


def test_without_a_file_there_is_nobody(users: UserFile) -> None:
    assert not users.anybody
    assert users.users() == {}
    assert users.user_with_password("anna", PASSWORD) is None
    assert users.token("mloscope_x") is None
    assert not users.path.exists()


def test_users_come_change_and_go(users: UserFile) -> None:
    assert users.put_user("anna", PASSWORD, "editor")
    found = users.user_with_password("anna", PASSWORD)
    assert found is not None
    assert found.role == "editor"
    assert users.user_with_password("anna", "Correct horse") is None
    assert users.user_with_password("ann", PASSWORD) is None
    assert not users.put_user("anna", "another one", "viewer")
    assert users.user_with_password("anna", PASSWORD) is None
    assert users.users()["anna"].role == "viewer"
    users.remove_user("anna")
    assert not users.anybody
    with pytest.raises(NotFound, match='no user "anna"'):
        users.remove_user("anna")


SCRYPT = (
    "scrypt:16:1:1:YW5uYQ==:"
    + base64.b64encode(hashlib.scrypt(PASSWORD.encode(), salt=b"anna", n=16, r=1, p=1, dklen=32)).decode()
)
"""As an earlier version kept it, made quickly."""


@pytest.fixture
def users_of_an_earlier_version(users: UserFile) -> UserFile:
    users.put_user("anna", None, "editor")
    contents = json.loads(users.path.read_text())
    contents["users"]["anna"]["password"] = SCRYPT
    users.path.write_text(json.dumps(contents))
    return users


def test_a_hash_of_an_earlier_version_is_replaced_at_a_sign_in(users_of_an_earlier_version: UserFile) -> None:
    users = users_of_an_earlier_version
    assert users.user_with_password("anna", "Correct horse") is None
    assert users.user("anna").password == SCRYPT
    assert users.user_with_password("anna", PASSWORD) is not None
    replaced = users.user("anna")
    assert replaced.password.startswith("$argon2id$")
    assert replaced.role == "editor"
    assert users.user_with_password("anna", PASSWORD) is not None
    assert users.user("anna") == replaced
    assert users.user_with_password("anna", "Correct horse") is None


def test_a_hash_of_an_earlier_version_lets_in_where_the_file_cannot_be_written(
    users_of_an_earlier_version: UserFile,
) -> None:
    users = users_of_an_earlier_version
    lock = users.path.with_name("users.json.lock")
    lock.unlink(missing_ok=True)
    lock.mkdir()  # nobody can lock the file, and so not change it
    assert users.user_with_password("anna", PASSWORD) is not None
    assert users.user("anna").password == SCRYPT


def test_a_user_of_a_proxy_has_no_password_that_fits(users: UserFile) -> None:
    users.put_user("anna", None, "editor")
    assert users.anybody
    assert not users.anybody_with_password
    assert users.user_with_password("anna", "") is None


def test_tokens_are_shown_once_and_kept_as_hashes(users: UserFile) -> None:
    text = users.add_token("nightly", "viewer")
    assert text.startswith(TOKEN_START)
    assert len(text) > 40
    assert text not in users.path.read_text()
    assert text[len(TOKEN_START) :] not in users.path.read_text()
    found = users.token(text)
    assert found is not None
    assert (found[0], found[1].role) == ("nightly", "viewer")
    assert users.token(text[:-1]) is None
    with pytest.raises(BadRequest, match="already"):
        users.add_token("nightly", "editor")
    users.remove_token("nightly")
    assert users.token(text) is None
    with pytest.raises(NotFound, match='no token "nightly"'):
        users.remove_token("nightly")


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_only_the_owner_may_read_the_file(users: UserFile) -> None:
    users.add_token("nightly", "viewer")
    assert users.path.stat().st_mode & 0o777 == 0o600
    assert list(users.path.parent.glob("users.json?*")) == [users.path.with_name("users.json.lock")]


def test_what_another_process_writes_is_seen(users: UserFile) -> None:
    reader = UserFile(users.path)
    assert not reader.anybody
    users.put_user("anna", PASSWORD, "viewer")
    assert set(reader.users()) == {"anna"}
    before = reader.stamp("anna")
    users.put_user("anna", "another one", "viewer")
    assert reader.stamp("anna") != before
    assert reader.stamp("bob") is None
    assert reader.signing_key == users.signing_key


def test_two_processes_that_write_at_once_lose_nothing(users: UserFile) -> None:
    code = (
        "import sys; from pathlib import Path; from mloscope.app.accounts.users import UserFile\n"
        "users = UserFile(Path(sys.argv[1]))\n"
        "for n in range(10): users.add_token(f'{sys.argv[2]}{n}', 'viewer')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(users.path), name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert set(users.tokens()) == {f"{name}{n}" for name in "ab" for n in range(10)}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 1}', '{"version": 1, "secret": 3, "users": []}'])
def test_a_damaged_file_is_said_and_lets_nobody_in(users: UserFile, text: str) -> None:
    users.put_user("anna", None, "viewer")
    users.path.write_text(text)
    for ask in (lambda: users.anybody, lambda: users.token("x"), users.users):
        with pytest.raises(Unavailable, match="users file"):
            ask()


def test_a_short_secret_an_unknown_role_and_a_later_version_are_refused(users: UserFile) -> None:
    users.put_user("anna", None, "viewer")
    good = json.loads(users.path.read_text())
    for wrong in (
        {"secret": "short"},
        {"version": 2},
        {"users": {"anna": {"role": "owner", "password": None, "created": ""}}},
    ):
        users.path.write_text(json.dumps(good | wrong))
        with pytest.raises(Unavailable, match="users file"):
            users.users()


@pytest.mark.parametrize("name", ["", "-anna", "an na", "anna\n", "a" * 65, "anna:x", "<b>", "ännä"])
def test_names_that_are_none(users: UserFile, name: str) -> None:
    with pytest.raises(BadRequest, match="name"):
        users.put_user(name, PASSWORD, "viewer")
    with pytest.raises(BadRequest, match="name"):
        users.add_token(name, "viewer")
    assert not users.path.exists()


@pytest.mark.parametrize(
    ("password", "why"),
    [("short", "5 characters"), ("x" * 1025, "1024 bytes"), ("Anna.Example", "differ from the name")],
)
def test_passwords_that_will_not_do(users: UserFile, password: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        users.put_user("anna.example", password, "viewer")


def test_the_file_is_where_the_system_keeps_configuration() -> None:
    if sys.platform not in ("win32", "darwin"):
        assert default_path({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/mloscope/users.json")
    assert default_path({}).parts[-2:] == ("mloscope", "users.json")
