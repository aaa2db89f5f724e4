"""``mloscope connect``: shows another run or corpus in a server that is up.

It makes a link in a folder that the server watches, and never changes files: whoever may write there decides what is shown, and
every worker of a server sees it. ``mloscope disconnect`` takes the link away.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from mloscope.app.commands.arguments import options
from mloscope.app.errors import BadRequest, MloscopeError
from mloscope.app.process.terminal import write

DESCRIPTION = (
    "Show another run or corpus in a running server, without stopping it, by a link in the folder that "
    "it watches. Options on how to read a run belong to mloscope serve and mloscope.toml."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", type=Path, help="a folder of checkpoints, images, or one file")
    parser.add_argument("--name", metavar="NAME", help="its name (default: that of the folder or file)")
    options.add_watched_folder(parser, "PATH is a corpus of images (default: if it is not a run)")
    parser.set_defaults(command=_connect)


def _connect(arguments: argparse.Namespace) -> int:
    from mloscope.adaptors import registry
    from mloscope.app.commands.inspect.report import inspect
    from mloscope.app.serving.watched_by_servers import watched_folder
    from mloscope.app.workspace.names import address_name, is_generic, names_of_entries, own_name, title_of, url_safe
    from mloscope.app.workspace.watched_folders import LOOK_EVERY_S

    path = _absolute(arguments.path)
    what = "corpus"
    if arguments.as_corpus:
        registry.open_corpus(path)
    elif inspect(path)["run"] is not None:
        what = "run"
    if arguments.name and url_safe(arguments.name) != arguments.name:
        raise BadRequest(
            f'"{arguments.name}" cannot be a name, because it stands in addresses; "{url_safe(arguments.name)}" could be.'
        )
    # The link keeps the folder's own name, in whatever script, for that is what is shown.
    own = arguments.name or (f"{path.parent.name}-{path.name}" if is_generic(path) else own_name(path))
    name = address_name(own)
    folder, server = watched_folder(what, arguments.watched, arguments.port)
    link = folder / (own + path.suffix if path.is_file() else own)
    there = {name: entry for entry, name in names_of_entries([*folder.iterdir()]).items()}
    there |= {address_name(own_name(entry)): entry for entry in there.values()}
    taken = there | (server.named(what) if server else {})
    if name in taken:
        lies = os.path.realpath(taken[name])
        if lies != os.path.realpath(path):
            raise BadRequest(f"The name {name} is in use by {lies}; choose another with --name.")
        says = "was connected already"
    else:
        says = "is connected"
        try:
            link.symlink_to(path)
        except OSError as error:
            raise MloscopeError(f"The link {link} cannot be created: {error.strerror or error}.") from error
    address = f" at {server.address}" if server else ""
    called = name if own == name else f"{title_of(own)} ({name})"
    write(f"The {what} {called} {says}; it is shown{address} within {LOOK_EVERY_S:g} seconds.\n")
    if server is None and Path(os.path.realpath(folder)) not in path.parents:
        note = f"A server in a container can read {path} only if that folder is mounted at the same path."
        print(f"mloscope: {note}", file=sys.stderr)
    return 0


def _absolute(path: Path) -> Path:
    """With the folders above it in plain, but where it is a link itself, that link: it may be led elsewhere later."""
    path = path.expanduser()
    return path.resolve() if path.name in ("", "..") else Path(os.path.realpath(path.parent)) / path.name
