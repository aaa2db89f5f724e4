"""``mloscope disconnect``: takes away what ``mloscope connect`` put there."""

from __future__ import annotations

import argparse
import os

from mloscope.app.commands.arguments import options
from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.process.terminal import write

DESCRIPTION = "Remove the link that mloscope connect created. The run or corpus itself is kept."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what it is called")
    options.add_watched_folder(parser, "NAME is a corpus (default: if no run has this name)")
    parser.set_defaults(command=_disconnect)


def _disconnect(arguments: argparse.Namespace) -> int:
    from mloscope.app.serving.watched_by_servers import watched_folder
    from mloscope.app.workspace.names import names_of_entries, own_name

    links: list[str] = []
    for what in ("corpus",) if arguments.as_corpus else ("run", "corpus"):
        folder, _ = watched_folder(what, arguments.watched, arguments.port)
        names = names_of_entries(sorted(folder.iterdir()))
        # Its name says which one is meant; what else it is called, only where that is no other's name.
        exact = [entry for entry, name in names.items() if name == arguments.name]
        meant = exact or [entry for entry in names if arguments.name in (entry.name, own_name(entry))]
        if len(meant) > 1:
            several = " and ".join(names[entry] for entry in meant)
            raise BadRequest(f'Several are named "{arguments.name}"; give one of their names in addresses: {several}.')
        for entry, name in names.items():
            if entry in meant:
                if not entry.is_symlink():
                    raise BadRequest(
                        f"{entry} is not a link but the {what} itself; to stop showing it, move it elsewhere."
                    )
                led_to = os.path.realpath(entry)
                entry.unlink()
                write(f"The {what} {arguments.name} is disconnected; {led_to} is unchanged.\n")
                return 0
            links += [name] if entry.is_symlink() else []
    raise NotFound(
        f'Nothing is connected as "{arguments.name}"; connected: {", ".join(links) or "none"}. What a server was '
        "started with is shown until it is stopped."
    )
