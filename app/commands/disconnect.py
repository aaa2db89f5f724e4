"""``mloscope disconnect``: takes away what ``mloscope connect`` put there."""

from __future__ import annotations

import argparse
import os

from mloscope.app.commands.arguments import options
from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.process.terminal import write

DESCRIPTION = "Take away the link that mloscope connect put there. The run or corpus itself stays where it is."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what it is called")
    options.add_watched_folder(parser, "NAME is a corpus (default: where no run is called so)")
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
