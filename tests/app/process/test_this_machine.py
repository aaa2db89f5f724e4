"""What names a process, and locks that end with whoever holds them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mloscope.app.process.this_machine import is_alive, is_held, process_name, signal_process, take

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs processes and locks as Unix has them")


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_process_has_one_name_and_no_other_has_it(sleeper: subprocess.Popen[bytes]) -> None:
    own, other = process_name(os.getpid()), process_name(sleeper.pid)
    assert own == process_name(os.getpid())
    assert own != other
    assert is_alive(own)
    assert is_alive(other)
    assert not is_alive({**own, "pid": sleeper.pid})
    sleeper.kill()
    sleeper.wait()
    assert process_name(sleeper.pid) is None
    assert not is_alive(other)


def test_one_that_has_ended_and_is_not_collected_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    name = process_name(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(name)


@pytest.mark.parametrize("changed", [{"started": "1"}, {"boot": "another"}, {"namespace": "pid:[1]"}])
def test_a_signal_goes_to_the_process_of_that_name_alone(
    sleeper: subprocess.Popen[bytes], changed: dict[str, str]
) -> None:
    name = process_name(sleeper.pid)
    assert not signal_process({**name, **changed}, signal.SIGTERM)
    assert sleeper.poll() is None
    assert signal_process(name, signal.SIGTERM)
    assert sleeper.wait(10) == -signal.SIGTERM
    assert not signal_process(name, signal.SIGTERM)


@pytest.mark.parametrize("name", [None, 7, "7", [], {}, {"pid": "7"}, {"pid": None}, {"pid": -1}, {"pid": 2**70}])
def test_what_is_no_name_is_nobody(name: object) -> None:
    assert not is_alive(name)
    assert not signal_process(name, signal.SIGTERM)


def test_a_lock_is_held_until_whoever_has_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert not is_held(path)
    with path.open("wb") as file:
        assert take(file)
        assert is_held(path)
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=[file.fileno()])
    assert is_held(path), "the child was handed it"
    child.communicate(b"\n")
    assert not is_held(path)


def test_a_shared_lock_keeps_others_from_having_it_alone(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb") as one, (tmp_path / "lock").open("wb") as two:
        assert take(one, shared=True)
        assert take(two, shared=True)
        with (tmp_path / "lock").open("wb") as three:
            assert not take(three)
