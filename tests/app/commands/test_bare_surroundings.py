"""Processes that lack what a login gives: a home folder, input and output; and variables that others set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mloscope.app.accounts.users import user_file, users_of_server
from mloscope.app.commands import cli
from mloscope.app.commands.arguments.options import settings_of
from mloscope.app.process import terminal
from mloscope.app.process.home_folder import NoHome
from mloscope.app.process.settings import Settings, user_cache_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="homes and streams as Linux has them")


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HOME, and a number that the system does not know."""
    import pwd

    def unknown(number: int) -> None:
        raise KeyError(number)

    for name in [name for name in os.environ if name == "HOME" or name.startswith(("XDG_", "MLOSCOPE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_it_is_said_which_variable_helps(tmp_path: Path) -> None:
    with pytest.raises(NoHome, match="MLOSCOPE_HOME"):
        user_cache_folder({})
    assert user_cache_folder({"MLOSCOPE_HOME": str(tmp_path)}) == tmp_path
    with pytest.raises(NoHome, match="MLOSCOPE_USERS_FILE"):
        user_file(Settings(), {})
    assert user_file(Settings(users_file=str(tmp_path / "users.json")), {}).users() == {}


@pytest.mark.usefixtures("homeless")
def test_without_a_home_a_server_has_no_users() -> None:
    assert not users_of_server(Settings(), {}).anybody


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("words", [["user", "list"], ["token", "list"], ["demo", "--train-only"], ["disconnect", "x"]])
def test_without_a_home_commands_end_with_a_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith("mloscope: There is no home folder")
    assert "MLOSCOPE_" in said


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_closed_streams_are_no_fault(closed: tuple[int, ...]) -> None:
    program = (
        "import os, sys\n"
        f"for number in {closed!r}: os.close(number)\n"
        "os.execv(sys.executable, [sys.executable, '-m', 'mloscope.app.commands.cli', 'adaptors'])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert ended.returncode == 0
    assert ended.stderr == b""
    assert bool(ended.stdout) == (1 not in closed)


def test_what_is_opened_later_does_not_get_the_number_of_a_closed_stream() -> None:
    program = (
        "import os\n"
        "os.close(0); os.close(1)\n"
        "from mloscope.app.process.terminal import open_standard_streams\n"
        "open_standard_streams()\n"
        "assert os.open(os.devnull, os.O_RDONLY) > 2\n"
        "print('nobody reads this')"
    )
    assert subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, timeout=60).stderr == b""


def test_what_goes_on_when_nobody_reads_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        with pytest.raises(BrokenPipeError):
            terminal.write("first\n")
        terminal.say("second\n")
        terminal.say("third\n")


@pytest.mark.parametrize("port", ["tcp://10.96.12.7:8050", "80x"])
def test_commands_that_use_no_port_do_not_look_at_one(
    port: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLOSCOPE_PORT", port)
    monkeypatch.setenv("MLOSCOPE_USERS_FILE", str(tmp_path / "users.json"))
    assert cli.main(["user", "list"]) == 0
    assert "MLOSCOPE_PORT" not in capsys.readouterr().err
    arguments = cli.parse(["serve", "x", "--port", "8206"])
    assert settings_of(arguments).port == 8206
