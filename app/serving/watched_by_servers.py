"""Which folder ``mloscope connect`` and ``disconnect`` change: one that is named, set, or watched by a server that is up."""

from __future__ import annotations

import os
from pathlib import Path

from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.process.settings import ABOUT_SERVING, Settings
from mloscope.app.serving.running_servers import RunningServer, running

_SETTINGS = {"run": "watch_runs", "corpus": "watch_corpora"}
_FOLDERS = {"run": "runs", "corpus": "corpora"}


def watched_folder(what: str, named: Path | None, port: int | None) -> tuple[Path, RunningServer | None]:
    """Return the folder to change, and whose it is where that is known. ``what``: run or corpus; ``named``: a folder that the
    user names; ``port``: that of the server that is meant."""
    named = named or getattr(Settings.from_environment(os.environ, but=ABOUT_SERVING), _SETTINGS[what])
    if named is not None and port is None:
        if not Path(named).is_dir():
            raise NotFound(f"There is no folder {named} that a server could watch.")
        return Path(named), None
    servers = running(os.environ)
    chosen = [server for server in servers if port in (None, server.port)]
    if len(chosen) == 1:
        return getattr(chosen[0], _FOLDERS[what]), chosen[0]
    ports = " and ".join(str(server.port) for server in servers)
    if chosen:
        raise BadRequest(f"Servers of yours are up on the ports {ports}; say which with --port.")
    up = f"Servers of yours are up on {ports} only" if servers else "No server of yours is up on this machine"
    raise NotFound(f"{up}: start one with mloscope serve, or name the folder that one watches with --watched.")
