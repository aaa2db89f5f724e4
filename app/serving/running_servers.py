"""How ``mloscope connect`` finds the servers that its user runs on this machine, and what they show.

<user's cache>/mloscope/serving/
└── 8050-f3a1/          one for each server, for its user alone; gone when the server is
    ├── lock            held while the server lives, however it ends; lock-4711 while its worker of this PID does
    ├── machine         {"host": "gpu-7", "boot": "...", "network": "net:[4026531840]"}: where http://127.0.0.1 is this server
    ├── address         http://127.0.0.1:8050
    ├── named           {"run": {"mine": "/data/mine"}, "corpus": {}}: what it was started with
    ├── runs            the folder that it watches: its own, or a link to that of MLOSCOPE_WATCH_RUNS
    └── corpora
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mloscope.app.process.home_folder import NoHome
from mloscope.app.process.settings import Settings, user_cache_folder
from mloscope.app.process.this_machine import HAS_LOCKS, is_held, take, this_machine

if TYPE_CHECKING:
    from mloscope.app.workspace.workspace import Workspace

logger = logging.getLogger(__name__)

_used: list[IO[bytes]] = []
"""Locks that are held until this process ends."""


@dataclass(frozen=True)
class RunningServer:
    """A server that is up."""

    folder: Path
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def corpora(self) -> Path:
        return self.folder / "corpora"

    def named(self, what: str) -> dict[str, Path]:
        """Where the runs or corpora (``what``: run, corpus) lie that it was started with, by name; without those of a server of
        several processes."""
        try:
            return {name: Path(path) for name, path in json.loads((self.folder / "named").read_text())[what].items()}
        except OSError:
            return {}

    def shows(self, run: Path) -> bool:
        """Whether the run is among those that it was started with, or that were connected since."""
        connected = [*self.named("run").values(), *(self.runs.iterdir() if self.runs.is_dir() else ())]
        return os.path.realpath(run) in map(os.path.realpath, connected)


def running(environment: Mapping[str, str], machine: Mapping[str, str] | None = None) -> list[RunningServer]:
    """This user's servers on this machine, by port; several machines may share a home. What servers of this machine that were
    killed have left is cleared away, unless a worker of theirs still uses it."""
    here = dict(machine or this_machine())
    servers = []
    for folder in _home(environment).glob("[0-9]*-*"):
        there = _machine_of(folder) or here
        try:
            if is_held(folder / "lock"):
                if there == here:
                    servers.append(RunningServer(folder, (folder / "address").read_text()))
            elif _is_ours_to_clear(here, there) and not any(is_held(lock) for lock in folder.glob("lock-*")):
                shutil.rmtree(folder, ignore_errors=True)  # never what a link leads to
        except OSError:
            continue  # ended this very moment
    return sorted(servers, key=lambda server: server.port)


def _is_ours_to_clear(here: Mapping[str, str], there: Mapping[str, str]) -> bool:
    """Whether a lock that is free here is free: locks on a disk that machines share are not always seen by all of them."""
    return here["host"] == there.get("host") or here["boot"] == there.get("boot") != ""


def _machine_of(folder: Path) -> dict[str, str] | None:
    try:
        found = json.loads((folder / "machine").read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def running_at(port: int, environment: Mapping[str, str]) -> RunningServer | None:
    """This user's server that listens on the port; None where there is none, or it cannot be told."""
    if not HAS_LOCKS:
        return None
    try:
        return next((server for server in running(environment) if server.port == port), None)
    except NoHome:
        return None


def use(server: RunningServer) -> None:
    """Keep what was announced from being cleared away as long as this process lives, a worker of the server."""
    with contextlib.suppress(OSError):
        lock = (server.folder / f"lock-{os.getpid()}").open("wb")
        take(lock)
        _used.append(lock)


@contextlib.contextmanager
def announced(
    address: str, settings: Settings, environment: Mapping[str, str], workspace: Workspace | None = None
) -> Iterator[RunningServer | None]:
    """Inside the ``with``, :func:`running` knows of a server of the workspace at the address. None where it cannot be told, as
    on a disk that nobody may write to: the server does without."""
    with contextlib.ExitStack() as ends:
        try:
            server = _announce(address, settings, environment, workspace, ends)
        except (OSError, NoHome) as error:
            logger.debug("mloscope connect will not find this server: %s", error)
            server = None
        yield server


def _announce(
    address: str,
    settings: Settings,
    environment: Mapping[str, str],
    workspace: Workspace | None,
    ends: contextlib.ExitStack,
) -> RunningServer | None:
    if not HAS_LOCKS:
        return None
    running(environment)
    home = _home(environment)
    home.mkdir(parents=True, exist_ok=True)
    # Under a name that nobody looks for until the lock is held.
    folder = Path(tempfile.mkdtemp(prefix=".", dir=home))
    server = RunningServer(home / f"{address.rpartition(':')[2]}-{secrets.token_hex(4)}", address)
    ends.callback(lambda: [shutil.rmtree(each, ignore_errors=True) for each in (folder, server.folder)])
    take(ends.enter_context((folder / "lock").open("wb")))
    (folder / "machine").write_text(json.dumps(this_machine()))
    (folder / "address").write_text(address)
    for name, watched in (("runs", settings.watch_runs), ("corpora", settings.watch_corpora)):
        if watched is None:
            (folder / name).mkdir()
        else:
            (folder / name).symlink_to(Path(watched).absolute())
    if workspace is not None:
        shown = {"run": workspace.runs, "corpus": workspace.corpora}
        named = {what: {each.name: str(each.path.absolute()) for each in known} for what, known in shown.items()}
        (folder / "named").write_text(json.dumps(named))
    folder.rename(server.folder)
    return server


def _home(environment: Mapping[str, str]) -> Path:
    return user_cache_folder(environment) / "serving"
