"""``mloscope connect`` and ``mloscope disconnect``: runs and corpora of a server that is up.

Both change links in a folder that the server watches, and never files: whoever may write there decides what is shown, and
every worker of a server sees it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mloscope.app.errors import BadRequest, MloscopeError, NotFound
from mloscope.app.process.terminal import write

if TYPE_CHECKING:
    from mloscope.app.serving.running_servers import RunningServer

_SETTINGS = {"run": "watch_runs", "corpus": "watch_corpora"}
_FOLDERS = {"run": "runs", "corpus": "corpora"}


def add_commands(commands: Any) -> None:
    """Add both to the subcommands of ``mloscope``."""
    connect = commands.add_parser(
        "connect",
        help="show another run or corpus in a server that is up",
        description="Show another run or corpus in a server that is up, without stopping it: puts a link into the folder that "
        "it watches. Flags about how a run is read belong to mloscope serve and mloscope.toml.",
    )
    connect.add_argument("path", metavar="PATH", type=Path, help="a folder of checkpoints, images, or one file")
    connect.add_argument("--name", metavar="NAME", help="what to call it (default: the name of the folder or file)")
    _add_where(connect, "PATH holds images (default: where it holds no run)")
    connect.set_defaults(command=_connect)

    disconnect = commands.add_parser(
        "disconnect",
        help="show a connected run or corpus no longer",
        description="Take away the link that mloscope connect put there. The run or corpus itself stays where it is.",
    )
    disconnect.add_argument("name", metavar="NAME", help="what it is called")
    _add_where(disconnect, "NAME is a corpus (default: where no run is called so)")
    disconnect.set_defaults(command=_disconnect)


def _add_where(parser: argparse.ArgumentParser, as_corpus: str) -> None:
    parser.add_argument("--as-corpus", action="store_true", help=as_corpus)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", metavar="NUMBER", type=int, help="port of your server, where you run several")
    where.add_argument(
        "--watched", metavar="FOLDER", type=Path,
        help="the folder that the server watches (default: that of your server, or MLOSCOPE_WATCH_RUNS, _CORPORA)",
    )  # fmt: skip


def _connect(arguments: argparse.Namespace) -> int:
    from mloscope.adaptors import registry
    from mloscope.app.commands import inspection
    from mloscope.app.workspace.names import address_name, is_generic, names_of_entries, own_name, title_of, url_safe
    from mloscope.app.workspace.watched_folders import LOOK_EVERY_S

    path = _absolute(arguments.path)
    what = "corpus"
    if arguments.as_corpus:
        registry.open_corpus(path)
    elif inspection.inspect(path)["run"] is not None:
        what = "run"
    if arguments.name and url_safe(arguments.name) != arguments.name:
        raise BadRequest(
            f'"{arguments.name}" cannot be a name, because it stands in addresses; "{url_safe(arguments.name)}" could be.'
        )
    # The link keeps the folder's own name, in whatever script, for that is what is shown.
    own = arguments.name or (f"{path.parent.name}-{path.name}" if is_generic(path) else own_name(path))
    name = address_name(own)
    folder, server = _watched(what, arguments)
    link = folder / (own + path.suffix if path.is_file() else own)
    there = {name: entry for entry, name in names_of_entries([*folder.iterdir()]).items()}
    there |= {address_name(own_name(entry)): entry for entry in there.values()}
    taken = there | (server.named(what) if server else {})
    if name in taken:
        lies = os.path.realpath(taken[name])
        if lies != os.path.realpath(path):
            raise BadRequest(f"The name {name} is taken by {lies}; choose another with --name.")
        says = "was connected already"
    else:
        says = "is connected"
        try:
            link.symlink_to(path)
        except OSError as error:
            raise MloscopeError(f"{link} cannot be made: {error.strerror or error}.") from error
    address = f" at {server.address}" if server else ""
    called = name if own == name else f"{title_of(own)} ({name})"
    write(f"The {what} {called} {says}; it is shown{address} within {LOOK_EVERY_S:g} seconds.\n")
    if server is None and Path(os.path.realpath(folder)) not in path.parents:
        note = f"A server in a container sees {path} only where that folder is mounted at the same path."
        print(f"mloscope: {note}", file=sys.stderr)
    return 0


def _disconnect(arguments: argparse.Namespace) -> int:
    from mloscope.app.workspace.names import names_of_entries, own_name

    links: list[str] = []
    for what in ("corpus",) if arguments.as_corpus else ("run", "corpus"):
        folder, _ = _watched(what, arguments)
        names = names_of_entries(sorted(folder.iterdir()))
        # Its name says which one is meant; what else it is called, only where that is no other's name.
        exact = [entry for entry, name in names.items() if name == arguments.name]
        meant = exact or [entry for entry in names if arguments.name in (entry.name, own_name(entry))]
        if len(meant) > 1:
            several = " and ".join(names[entry] for entry in meant)
            raise BadRequest(f'Several are called "{arguments.name}"; say which by its name in addresses: {several}.')
        for entry, name in names.items():
            if entry in meant:
                if not entry.is_symlink():
                    raise BadRequest(
                        f"{entry} is no link but the {what} itself; move it elsewhere to show it no longer."
                    )
                led_to = os.path.realpath(entry)
                entry.unlink()
                write(f"The {what} {arguments.name} is disconnected; {led_to} stays as it is.\n")
                return 0
            links += [name] if entry.is_symlink() else []
    raise NotFound(
        f'Nothing was connected as "{arguments.name}"; connected were: {", ".join(links) or "none"}. What a server was '
        "started with is shown until it is stopped."
    )


def _absolute(path: Path) -> Path:
    """With the folders above it in plain, but where it is a link itself, that link: it may be led elsewhere later."""
    path = path.expanduser()
    return path.resolve() if path.name in ("", "..") else Path(os.path.realpath(path.parent)) / path.name


def _watched(what: str, arguments: argparse.Namespace) -> tuple[Path, RunningServer | None]:
    """The folder to change, and whose it is where that is known."""
    from mloscope.app.process.settings import ABOUT_SERVING, Settings
    from mloscope.app.serving.running_servers import running

    named = arguments.watched or getattr(Settings.from_environment(os.environ, but=ABOUT_SERVING), _SETTINGS[what])
    if named is not None and arguments.port is None:
        if not Path(named).is_dir():
            raise NotFound(f"There is no folder {named} that a server could watch.")
        return Path(named), None
    servers = running(os.environ)
    chosen = [server for server in servers if arguments.port in (None, server.port)]
    if len(chosen) == 1:
        return getattr(chosen[0], _FOLDERS[what]), chosen[0]
    ports = " and ".join(str(server.port) for server in servers)
    if chosen:
        raise BadRequest(f"Servers of yours are up on the ports {ports}; say which with --port.")
    up = f"Servers of yours are up on {ports} only" if servers else "No server of yours is up on this machine"
    raise NotFound(f"{up}: start one with mloscope serve, or name the folder that one watches with --watched.")
