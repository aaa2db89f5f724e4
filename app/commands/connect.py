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
    from mloscope.app.workspace.links import LinkFolder
    from mloscope.app.workspace.watched_folders import LOOK_EVERY_S

    path = _absolute(arguments.path)
    what = "corpus"
    if arguments.as_corpus:
        registry.open_corpus(path)
    elif inspect(path)["run"] is not None:
        what = "run"
    folder, server = watched_folder(what, arguments.watched, arguments.port)
    linked = LinkFolder(folder, server.named(what) if server else {}).add(path, arguments.name)
    says = "was connected already" if linked.was_there else "is connected"
    address = f" at {server.address}" if server else ""
    called = linked.name if linked.title == linked.name else f"{linked.title} ({linked.name})"
    write(f"The {what} {called} {says}; it is shown{address} within {LOOK_EVERY_S:g} seconds.\n")
    if server is None and Path(os.path.realpath(folder)) not in path.parents:
        note = f"A server in a container can read {path} only if that folder is mounted at the same path."
        print(f"mloscope: {note}", file=sys.stderr)
    return 0


def _absolute(path: Path) -> Path:
    """With the folders above it in plain, but where it is a link itself, that link: it may be led elsewhere later."""
    path = path.expanduser()
    return path.resolve() if path.name in ("", "..") else Path(os.path.realpath(path.parent)) / path.name
