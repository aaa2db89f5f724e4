"""``mloscope demo``: what was asked for is looked at first, then the port, then training, and at last the pages are filled.

plan ──► port ──► train (once) ──► serve ──► statistics (once), while the pages are open already
          │
          └── in use by a server of ours that shows this demo: its address instead
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mloscope.app.commands.arguments import options, values
from mloscope.app.errors import BadRequest
from mloscope.app.process.terminal import discard_output, write
from mloscope.app.serving import serving

if TYPE_CHECKING:
    import socket

    from mloscope.app.demo.preparing import Demo
    from mloscope.app.process.settings import Settings
    from mloscope.app.serving.running_servers import RunningServer
    from mloscope.app.statistics.queries import Statistics

DESCRIPTION = (
    "Train a small network on handwritten digits, or with --images the report's network on "
    "CIFAR-10, and show it. An existing run is shown without training."
)
_OTHER_PORTS = 20
"""How many ports behind the usual one are tried where that is taken by a server of ours."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, metavar="PATH", help="a CIFAR-10 folder, or other 32x32 colour images")
    parser.add_argument(
        "--epochs", type=values.whole(1), metavar="N", help="epochs of the CIFAR-10 network (default: 10)"
    )
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="folder for runs (default: the user's cache)")
    parser.add_argument("--train-only", action="store_true", help="train only, without serving")
    options.add_address(parser)
    parser.set_defaults(command=lambda arguments: _demo(arguments, options.settings_of(arguments)))


def _demo(arguments: argparse.Namespace, settings: Settings) -> int:
    from mloscope.app.demo.preparing import default_folder, plan_cifar10, plan_digits, prepare
    from mloscope.app.serving.running_servers import running_at

    if arguments.epochs is not None and arguments.images is None:
        raise BadRequest("--epochs requires --images PATH, which selects the report's network on CIFAR-10.")
    folder = arguments.folder or default_folder(os.environ)
    images, epochs = arguments.images, arguments.epochs or 10
    plan = plan_digits(folder) if images is None else plan_cifar10(folder, images, epochs)
    if arguments.train_only:
        trained = prepare(plan, sys.stdout)
        print(f"The run is {trained.run}, its images are {trained.images}.")
        return 0
    # Nobody wants to wait for the training and then read that the port is taken.
    found = _listener_or_server(
        plan.demo, settings, any_port=arguments.port is None and "MLOSCOPE_PORT" not in os.environ
    )
    if not isinstance(found, tuple):
        return _offered(found, open_browser=not arguments.no_browser)
    listener, settings = found
    trained = prepare(plan, sys.stdout)
    there = running_at(settings.port, os.environ)
    if there is not None and there.shows(trained.run):  # whoever trained it while we waited was first to listen as well
        listener.close()
        return _offered(there, open_browser=not arguments.no_browser)
    return _served(trained, settings, listener, open_browser=not arguments.no_browser)


def _offered(server: RunningServer, *, open_browser: bool) -> int:
    write(f"The demo is already running: ML-o-scope listens on {server.address}.\n")
    if open_browser:
        serving.show(server.address, wait=True)
    return 0


def _listener_or_server(
    demo: Demo, settings: Settings, *, any_port: bool
) -> tuple[socket.socket, Settings] | RunningServer:
    """The socket to listen on, with the settings that say where it is; or the server of ours that shows the demo, where that
    has the port. Where the port is another server's of ours and ``any_port`` will do, the next free one is taken."""
    from mloscope.app.serving.running_servers import running, running_at

    try:
        return serving.listener(settings), settings
    except serving.PortInUse:
        there = running_at(settings.port, os.environ)
        if there is None:
            raise
        if there.shows(demo.run):
            return there
        if not any_port:
            raise
        for server in running(os.environ):
            if server.shows(demo.run):
                return server
        listener, elsewhere = _next_free(settings)
        write(f"Your server at {there.address} shows something else; the demo takes port {elsewhere.port}.\n")
        return listener, elsewhere


def _next_free(settings: Settings) -> tuple[socket.socket, Settings]:
    last = min(settings.port + _OTHER_PORTS, 65535)
    for port in range(settings.port + 1, last + 1):
        elsewhere = replace(settings, port=port)
        try:
            return serving.listener(elsewhere), elsewhere
        except serving.PortInUse:
            if port == last:
                raise
    return serving.listener(settings), settings


def _served(trained: Demo, settings: Settings, listener: socket.socket, *, open_browser: bool) -> int:
    from mloscope.app.demo import statistics as demo_statistics
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry

    def fill(statistics: Statistics) -> None:
        try:
            demo_statistics.compute(statistics, sys.stdout)
        except BrokenPipeError:  # nobody reads how far it is, and it goes on
            discard_output()

    workspace = serving.connect((RunEntry(trained.run),), (CorpusEntry(trained.images),), settings)
    return serving.serve(
        workspace,
        settings,
        listener,
        open_browser=open_browser,
        meanwhile=fill,
    )
