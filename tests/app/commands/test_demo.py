"""``mloscope demo`` on a port that is taken: by whom decides."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mloscope.app.commands import cli
from mloscope.app.commands import demo as demo_cli
from mloscope.app.demo.preparing import Demo, plan_digits
from mloscope.app.demo.recipe import as_json, lenet_recipe
from mloscope.app.demo.run_folder import RECIPE_FILE, checkpoint_name
from mloscope.app.process.settings import Settings
from mloscope.app.serving.running_servers import announced
from mloscope.app.serving.serving import PortInUse
from mloscope.app.workspace.connected import ConnectedRun
from mloscope.app.workspace.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs locks as Unix has them")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("MLOSCOPE_PORT", raising=False)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def trained(tmp_path: Path) -> Demo:
    """What looks like a complete demo, in ``runs``."""
    plan = plan_digits(tmp_path / "runs", RECIPE)
    plan.demo.run.mkdir(parents=True)
    plan.demo.images.touch()
    for step in RECIPE.checkpoints:
        (plan.demo.run / checkpoint_name(step)).touch()
    note = {"complete": True, "recipe": as_json(RECIPE)}
    (plan.demo.run / RECIPE_FILE).write_text(json.dumps(note))
    return plan.demo


RECIPE = lenet_recipe()


def workspace(run: Path) -> Workspace:
    return Workspace([ConnectedRun("mine", run, None, problem="not opened here")])


def served(port: int, run: Path):  # a context
    return announced(f"http://127.0.0.1:{port}", Settings(), os.environ, workspace(run))


def test_a_second_demo_offers_the_server_that_is_up(
    taken: int, trained: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(taken, trained.run):
        code = cli.main(["demo", "--folder", str(tmp_path / "runs"), "--port", str(taken)])

    said = capsys.readouterr()
    assert code == 0
    assert f"http://127.0.0.1:{taken}" in said.out
    assert said.err == ""


def test_a_demo_that_was_connected_later_is_up_as_well(taken: int, trained: Demo, tmp_path: Path) -> None:
    with served(taken, tmp_path / "another") as server:
        assert not server.shows(trained.run)
        (server.runs / "mnist").symlink_to(trained.run)
        assert server.shows(trained.run)
        found = demo_cli._listener_or_server(trained, Settings(port=taken), any_port=False)
    assert found == server


def test_a_strangers_port_is_in_use(taken: int, trained: Demo, tmp_path: Path) -> None:
    with pytest.raises(PortInUse, match=f"Port {taken} .* in use, perhaps"):
        demo_cli._listener_or_server(trained, Settings(port=taken), any_port=True)


def test_beside_another_server_of_ours_the_demo_takes_the_next_port_unless_told_which(
    taken: int, trained: Demo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(taken, tmp_path / "another"):
        with pytest.raises(PortInUse, match=f"your server at http://127.0.0.1:{taken}"):
            demo_cli._listener_or_server(trained, Settings(port=taken), any_port=False)
        listener, settings = demo_cli._listener_or_server(trained, Settings(port=taken), any_port=True)
        with listener:
            assert listener.getsockname()[1] == settings.port > taken
        assert f"http://127.0.0.1:{taken}" in capsys.readouterr().out

        with served(settings.port, trained.run) as up:
            assert demo_cli._listener_or_server(trained, Settings(port=taken), any_port=True) == up


def test_what_cannot_be_trained_is_said_before_the_port_is_looked_at(
    taken: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "diary.txt").touch()

    assert cli.main(["demo", "--folder", str(tmp_path), "--port", str(taken)]) == 1
    assert "mnist exists" in capsys.readouterr().err
