"""``mloscope user`` and ``mloscope token``, as typed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mloscope.app.accounts.users import UserFile
from mloscope.app.commands import cli


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UserFile:
    path = tmp_path / "users.json"
    monkeypatch.setenv("MLOSCOPE_USERS_FILE", str(path))
    return UserFile(path)


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_users_are_added_listed_changed_and_removed(
    users: UserFile, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    typed(monkeypatch, "correct horse\n")
    assert cli.main(["user", "add", "anna", "--role", "editor", "--password-stdin"]) == 0
    assert f"anna can sign in as editor; saved in {users.path}." in capsys.readouterr().out
    assert users.user_with_password("anna", "correct horse") is not None
    assert cli.main(["user", "add", "carl", "--no-password"]) == 0
    assert "signs in through a proxy as viewer" in capsys.readouterr().out
    assert cli.main(["user", "list"]) == 0
    listed = capsys.readouterr().out
    assert [line.split()[:2] for line in listed.splitlines()] == [["anna", "editor"], ["carl", "viewer"]]
    assert "argon2" not in listed
    typed(monkeypatch, "another horse\r\n")
    assert cli.main(["user", "add", "anna", "--password-stdin"]) == 0
    assert "as editor now" in capsys.readouterr().out, "the role is what it was where none is said"
    assert users.user_with_password("anna", "another horse") is not None
    assert cli.main(["user", "remove", "anna"]) == 0
    assert set(users.users()) == {"carl"}


def test_password_and_role_are_changed_one_without_the_other(
    users: UserFile, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    users.put_user("anna", "correct horse", "editor")
    typed(monkeypatch, "another horse\n")
    assert cli.main(["user", "password", "anna", "--password-stdin"]) == 0
    assert capsys.readouterr().out == "anna has a new password; all their sessions have ended.\n"
    found = users.user_with_password("anna", "another horse")
    assert found is not None
    assert found.role == "editor"
    assert cli.main(["user", "role", "anna", "viewer"]) == 0
    assert capsys.readouterr().out == "anna is a viewer from now on.\n"
    changed = users.user_with_password("anna", "another horse")
    assert changed is not None
    assert changed.role == "viewer"


def test_an_empty_list_says_so(users: UserFile, capsys: Any) -> None:
    for what in ("user", "token"):
        assert cli.main([what, "list"]) == 0
        said = capsys.readouterr()
        assert (said.out, said.err) == ("", f"There are no {what}s in {users.path}.\n")


def test_a_token_is_all_that_is_printed(users: UserFile, capsys: Any) -> None:
    assert cli.main(["token", "add", "nightly", "--role", "editor"]) == 0
    said = capsys.readouterr()
    found = users.token(said.out.strip())
    assert found is not None
    assert found[1].role == "editor"
    assert "Authorization: Bearer" in said.err
    assert cli.main(["token", "list"]) == 0
    assert capsys.readouterr().out.startswith("nightly  editor  since ")
    assert cli.main(["token", "remove", "nightly"]) == 0
    assert users.tokens() == {}


@pytest.mark.parametrize(
    ("words", "text", "sentence"),
    [
        (["user", "add", "anna", "--password-stdin"], "short\n", "5 characters"),
        (["user", "add", "anna", "--password-stdin"], "", "0 characters"),
        (["user", "add", "a b", "--password-stdin"], "correct horse\n", "not a valid name"),
        (["user", "add", "anna"], "correct horse\n", "--password-stdin"),
        (["user", "remove", "anna"], "", 'There is no user "anna"; the users are: none.'),
        (["user", "role", "anna", "editor"], "", 'There is no user "anna"; the users are: none.'),
        (["user", "password", "anna"], "", 'There is no user "anna"; the users are: none.'),
        (["token", "remove", "nightly"], "", 'There is no token "nightly"'),
    ],
)
def test_what_is_wrong_is_one_sentence(
    users: UserFile, monkeypatch: pytest.MonkeyPatch, capsys: Any, words: list[str], text: str, sentence: str
) -> None:
    typed(monkeypatch, text)
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert not users.path.exists()


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_serving_others_without_users_is_refused_before_anything_listens(tmp_path: Path, host: str) -> None:
    (tmp_path / "run").mkdir()
    environment = {**os.environ, "MLOSCOPE_USERS_FILE": str(tmp_path / "none.json")}
    command = [
        sys.executable,
        "-m",
        "mloscope.app.commands.cli",
        "demo",
        "--host",
        host,
        "--port",
        "0",
        "--folder",
        str(tmp_path),
    ]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr == (
        f"mloscope: Anyone who can connect to {host} could use this server, because it has no users: add one with "
        "mloscope user add NAME, or say --unprotected.\n"
    )
