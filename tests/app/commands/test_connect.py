"""``mloscope connect`` and ``disconnect``, as typed; at the end with a server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import urllib3

from mloscope.app.commands import cli
from mloscope.app.process.settings import Settings
from mloscope.app.serving.running_servers import announced
from mloscope.app.workspace.connected import ConnectedRun
from mloscope.app.workspace.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs links and locks as Unix has them")


@pytest.fixture
def folder(keras_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a run ``run``, images ``images.npz`` and an empty folder ``watched`` in it, and a user who runs no server."""
    keras_folder(tmp_path / "run")
    np.savez(tmp_path / "images.npz", x=np.zeros((5, 8, 8), np.uint8), y=np.arange(5))
    (tmp_path / "watched").mkdir()
    monkeypatch.setenv("MLOSCOPE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


Typed = Callable[..., tuple[int, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    """Exit code, and what was said: on stdout where it worked, on stderr where it did not."""

    def run(line: str) -> tuple[int, str]:
        code = cli.main(line.split())
        said = capsys.readouterr()
        return code, said.err if code else said.out + said.err

    return run


@pytest.mark.parametrize(
    ("line", "link", "said"),
    [
        ("run", "run", "The run run is connected"),
        ("run --name second", "second", "The run second is connected"),
        ("images.npz", "images.npz", "The corpus images is connected"),
        ("images.npz --name v1.2 --as-corpus", "v1.2.npz", "The corpus v1.2 is connected"),
    ],
)
def test_a_link_is_put_into_the_watched_folder_and_taken_away(
    folder: Path, typed: Typed, line: str, link: str, said: str
) -> None:
    code, answer = typed(f"connect {line} --watched watched")
    assert code == 0
    assert answer.startswith(f"{said}; it is shown within 5 seconds.\n")
    assert "only if that folder is mounted at the same path" in answer
    assert os.readlink(folder / "watched" / link) == str(folder / line.split()[0])
    assert typed(f"connect {line} --watched watched")[1].startswith(
        said.replace("is connected", "was connected already")
    )

    name = said.split()[2]
    assert typed(f"disconnect {name} --watched watched")[0] == 0
    assert not os.path.lexists(folder / "watched" / link)
    assert (folder / line.split()[0]).exists()
    code, answer = typed(f"disconnect {name} --watched watched")
    assert code == 2
    assert f'Nothing is connected as "{name}"; connected: none.' in answer


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nothing", "{folder}/nothing does not exist."),
        ("watched", "No adaptor can read {folder}/watched as a run. It is an empty folder."),
        ("run --as-corpus", "No adaptor can read {folder}/run as a corpus."),
        ('run --name a+b', '"a+b" cannot be a name, because it stands in addresses; "a-b" could be.'),
        ("run --name ../x", '"../x" cannot be a name'),
        ("run --name .x", '".x" cannot be a name'),
        ("run --name taken", "The name taken is in use by {folder}/watched/taken; choose another with --name."),
        ("run --name file", "The name file is in use by {folder}/watched/file.txt; choose another with --name."),
        ("run --watched nowhere", "There is no folder nowhere that a server could watch."),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused_in_a_sentence(folder: Path, typed: Typed, line: str, said: str) -> None:
    if "taken" in line or "file" in line:
        (folder / "watched" / "taken").mkdir()
        (folder / "watched" / "file.txt").touch()
    before = sorted((folder / "watched").iterdir())
    code, answer = typed(f"connect {line}" + (" --watched watched" if "--watched" not in line else ""))
    assert code == 2
    assert answer.startswith(f"mloscope: {said.format(folder=folder)}")
    assert answer.count("\n") == 1
    assert sorted((folder / "watched").iterdir()) == before


def test_data_is_never_taken_away(folder: Path, typed: Typed) -> None:
    shutil.move(folder / "run", folder / "watched" / "run")
    code, answer = typed("disconnect run --watched watched")
    assert code == 2
    assert "is not a link but the run itself" in answer
    assert any((folder / "watched" / "run").iterdir())


def test_a_link_that_the_user_leads_elsewhere_is_connected_as_such(folder: Path, typed: Typed) -> None:
    (folder / "latest").symlink_to("run")
    assert typed("connect latest --watched watched")[0] == 0
    assert os.readlink(folder / "watched" / "latest") == str(folder / "latest")


@pytest.mark.parametrize(
    ("ports", "flag", "said"),
    [
        ((), "", "No server of yours is up on this machine: start one with mloscope serve, or name the folder"),
        ((8050, 8051), "", "Servers of yours are up on the ports 8050 and 8051; say which with --port."),
        ((8050,), " --port 8051", "Servers of yours are up on 8050 only: start one"),
        ((8050,), "", None),
        ((8050, 8051), " --port 8051", None),
    ],
)
def test_of_several_servers_one_has_to_be_named(
    folder: Path, typed: Typed, ports: tuple[int, ...], flag: str, said: str | None
) -> None:
    with ExitStack() as up:
        servers = [up.enter_context(announced(f"http://127.0.0.1:{port}", Settings(), os.environ)) for port in ports]
        code, answer = typed("connect run" + flag)
        if said:
            assert (code, answer.startswith(f"mloscope: {said}")) == (2, True), answer
        else:
            assert (code, answer) == (
                0,
                f"The run run is connected; it is shown at {servers[-1].address} within 5 seconds.\n",
            )
            assert (servers[-1].runs / "run").is_symlink()
            assert typed("disconnect run" + flag)[0] == 0


def test_the_setting_s_folder_comes_before_a_server_s_own(
    folder: Path, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOSCOPE_WATCH_RUNS", str(folder / "watched"))
    assert typed("connect run")[0] == 0
    assert (folder / "watched" / "run").is_symlink()


def test_what_the_server_was_started_with_keeps_its_name(folder: Path, typed: Typed) -> None:
    shutil.copytree(folder / "run", folder / "other" / "run")
    workspace = Workspace([ConnectedRun("run", Path("run"), None, problem="torn")])
    with announced("http://127.0.0.1:8050", Settings(), os.environ, workspace):
        assert typed("connect run")[1].startswith("The run run was connected already; ")
        code, answer = typed("connect other/run")
        assert (code, answer) == (2, f"mloscope: The name run is in use by {folder}/run; choose another with --name.\n")
        assert "started with is shown until it is stopped" in typed("disconnect run")[1]


def test_a_server_that_is_up_shows_what_is_connected_and_says_what_is_gone(folder: Path, typed: Typed) -> None:
    environment = {**os.environ, "MLOSCOPE_MODEL_SERVICE_URL": "http://127.0.0.1:9"}
    shutil.copytree(folder / "run", folder / "other")
    server = subprocess.Popen(
        [sys.executable, "-m", "mloscope.app.commands.cli", "serve", "run", "--port=0", "--no-browser"],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        address = next(found[1] for line in server.stdout if (found := re.search(r"listens on (http://\S+)", line)))

        def shown() -> dict[str, str | None]:
            answers = [urllib3.request("GET", f"{address}/api/v1/{kind}").json()[kind] for kind in ("runs", "corpora")]
            return {each["name"]: each["problem"] for answer in answers for each in answer}

        def until(right: Callable[[], bool]) -> None:
            ends = time.monotonic() + 20
            while not right():
                assert time.monotonic() < ends, shown()
                time.sleep(0.1)

        for path in ("other", "images.npz"):
            assert typed(f"connect {path}")[0] == 0
        until(lambda: shown() == {"run": None, "other": None, "images": None})
        assert typed("disconnect other")[0] == 0
        until(lambda: "was removed" in str(shown()["other"]))
        assert shown() | {"other": None} == {"run": None, "other": None, "images": None}
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=20)
    assert list((folder / "home" / "serving").iterdir()) == []
    assert (folder / "other").is_dir()
