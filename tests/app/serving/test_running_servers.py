"""How a server is found while it is up, and never after: whatever ended it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mloscope.app.process.settings import Settings
from mloscope.app.process.this_machine import this_machine
from mloscope.app.serving.running_servers import announced, running
from mloscope.app.workspace.connected import ConnectedRun
from mloscope.app.workspace.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs locks as Unix has them")
ADDRESS = "http://127.0.0.1:8050"


@pytest.fixture
def home(tmp_path: Path) -> Mapping[str, str]:
    return {"MLOSCOPE_HOME": str(tmp_path / "home")}


def test_a_server_is_found_while_it_is_up(home: Mapping[str, str], tmp_path: Path) -> None:
    workspace = Workspace([ConnectedRun("mine", tmp_path / "mine", None, problem="torn")])
    with (
        announced(ADDRESS, Settings(), home, workspace) as server,
        announced("http://[::1]:443", Settings(), home) as other,
    ):
        assert running(home) == [other, server]
        assert [found.port for found in running(home)] == [443, 8050]
        assert server.folder.stat().st_mode & 0o777 == 0o700
        assert server.runs.is_dir()
        assert server.corpora.is_dir()
        assert server.named("run") == {"mine": tmp_path / "mine"}
        assert server.named("corpus") == other.named("run") == {}
    assert running(home) == []
    assert list(server.folder.parent.iterdir()) == []


def test_what_was_linked_stays_when_the_server_ends(home: Mapping[str, str], tmp_path: Path) -> None:
    for name in ("watched", "data"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    with announced(ADDRESS, Settings(watch_runs=str(tmp_path / "watched")), home) as server:
        (server.corpora / "linked").symlink_to(tmp_path / "data")
        assert (server.runs / "file").exists()
    assert (tmp_path / "watched" / "file").exists()
    assert (tmp_path / "data" / "file").exists()


def test_what_a_killed_server_left_is_cleared_away(home: Mapping[str, str], tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom mloscope.app.serving.running_servers import announced\nfrom mloscope.app.process.settings import Settings\n"
        f"with announced({ADDRESS!r}, Settings(), os.environ) as server:\n"
        "    print(server.folder, flush=True)\n    sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(home)
    )
    assert child.stdout is not None
    folder = Path(child.stdout.readline().strip())
    assert [server.folder for server in running(home)] == [folder]
    child.kill()
    child.communicate()
    assert folder.exists()
    assert running(home) == []
    assert not folder.exists()


def test_a_server_that_cannot_be_told_of_is_served_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with announced(ADDRESS, Settings(), {"MLOSCOPE_HOME": str(tmp_path / "home")}) as server:
        assert server is None
    assert running({"MLOSCOPE_HOME": str(tmp_path / "home")}) == []


def test_a_folder_that_goes_meanwhile_is_no_server(home: Mapping[str, str]) -> None:
    with announced(ADDRESS, Settings(), home) as server:
        shutil.rmtree(server.folder)
        assert running(home) == []


def test_a_server_of_another_machine_that_shares_the_home_is_not_ours(home: Mapping[str, str]) -> None:
    here = this_machine()
    others = [
        {**here, "host": "elsewhere", "boot": "b2", "network": "n2"},
        {**here, "network": "n2"},
        {**here, "boot": "b2"},
    ]
    with announced(ADDRESS, Settings(), home) as server:
        for other in others:
            assert running(home, other) == []
        (server.folder / "machine").write_text(json.dumps(others[0]))
        assert running(home) == []
        assert running(home, others[0]) == [server]
        with announced(ADDRESS, Settings(), home) as ours:
            assert running(home) == [ours], "both have one port, each on its machine"


def test_what_a_server_of_another_machine_left_is_not_ours_to_clear_away(
    home: Mapping[str, str], tmp_path: Path
) -> None:
    """Its lock may be one that only that machine sees."""
    folder = tmp_path / "home" / "serving" / "8050-f3a1"
    for changed, stays in (
        ({"host": "elsewhere", "boot": "b2"}, True),
        ({"boot": "b2"}, False),
        ({"host": "elsewhere"}, False),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
        (folder / "machine").write_text(json.dumps({**this_machine(), **changed}))
        assert running(home) == []
        assert folder.exists() == stays


def test_what_a_worker_still_uses_is_not_cleared_away(home: Mapping[str, str]) -> None:
    with announced(ADDRESS, Settings(), home) as server:
        code = (
            "import sys\nfrom pathlib import Path\nfrom mloscope.app.serving.running_servers import RunningServer, use\n"
            "use(RunningServer(Path(sys.argv[1]), ''))\nprint('used', flush=True)\nsys.stdin.read()"
        )
        worker = subprocess.Popen(
            [sys.executable, "-c", code, str(server.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        assert worker.stdout.readline() == "used\n"
        kept = shutil.copytree(server.folder, server.folder.with_name("8051-f3a1"))
        shutil.rmtree(kept)
        os.rename(
            server.folder, kept
        )  # as if its parent had been killed: nobody clears it away, and nobody holds the lock
    (kept / "lock").unlink()
    (kept / "lock").touch()
    assert running(home) == []
    assert kept.exists()
    worker.communicate("")
    assert running(home) == []
    assert not kept.exists()
