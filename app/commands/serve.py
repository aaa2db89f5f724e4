"""``mloscope serve``: shows runs in the browser."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mloscope.app.commands.arguments import options, values
from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.serving import serving

if TYPE_CHECKING:
    from mloscope.app.process.settings import Settings
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.workspace import Workspace

DESCRIPTION = "Show training runs in the browser; without RUN, those named in ./mloscope.toml."
WORKSPACE_FILE = "mloscope.toml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="*", metavar="RUN", type=Path, help="a folder of checkpoints, or one file")
    parser.add_argument(
        "--images", action="append", default=[], metavar="CORPUS", type=Path,
        help="images: MNIST idx, CIFAR-10, .npz, or folders of pictures; may be repeated",
    )  # fmt: skip
    parser.add_argument("--images-format", metavar="NAME", help="the adaptor that reads CORPUS")
    parser.add_argument(
        "--name", action="append", default=[], metavar="NAME",
        help="name of the run; once per RUN, in the same order",
    )  # fmt: skip
    options.add_run_options(parser)
    options.add_preprocessing(parser)
    parser.add_argument(
        "--workspace",
        type=Path,
        metavar="FILE",
        help=f"a file that names runs and corpora (default: {WORKSPACE_FILE})",
    )
    options.add_address(parser)
    parser.add_argument(
        "--workers", type=values.whole(1), default=1, metavar="N",
        help="number of web processes; more than one need Redis and a model service (default: 1)",
    )  # fmt: skip
    parser.set_defaults(command=_serve)


def _serve(arguments: argparse.Namespace) -> int:
    settings = options.settings_of(arguments)
    # What was asked for is looked at before the port is: who mistyped a path is not to read about ports.
    if arguments.workers > 1:
        _entries(arguments, settings)  # each worker opens them for itself
        serving.check_can_share(arguments.workers, settings)
        listener = serving.listener(settings)
        return serving.serve_with_workers(arguments.workers, arguments.command_line, settings, listener)
    workspace = _workspace(arguments, settings)
    listener = serving.listener(settings)
    return serving.serve(workspace, settings, listener, open_browser=not arguments.no_browser)


def worker_application() -> Any:
    """The web application of one of several workers: of the same command line as the process that started it."""
    from mloscope.app.commands import cli

    arguments = cli.parse(serving.command_line_of_worker())
    settings = options.settings_of(arguments)
    return serving.worker_application(_workspace(arguments, settings), settings)


def _workspace(arguments: argparse.Namespace, settings: Settings) -> Workspace:
    """What the command line, the workspace file and the watched folders name."""
    return serving.connect(*_entries(arguments, settings), settings)


def _entries(arguments: argparse.Namespace, settings: Settings) -> tuple[Sequence[RunEntry], Sequence[CorpusEntry]]:
    """What to connect: the command line's runs, else the workspace file's."""
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.names import url_safe

    if not arguments.runs:
        about_runs = (
            "images", "images_format", "name", "format", "step_pattern", "architecture", "custom_objects", "trust", "scale",
            "mean", "channel_order", "output", "classes",
        )  # fmt: skip
        for flag in about_runs:
            if getattr(arguments, flag) not in (None, False, [], ()):
                raise BadRequest(f"--{flag.replace('_', '-')} needs a RUN, but none is given.")
        return _of_workspace_file(arguments, settings)
    if arguments.workspace is not None:
        raise BadRequest("Give either RUNs or a workspace file with --workspace, not both.")
    names: list[str | None] = list(arguments.name) or [None] * len(arguments.runs)
    if len(names) != len(arguments.runs):
        raise BadRequest(f"Got {len(names)} --name for {len(arguments.runs)} RUN; each RUN needs its own.")
    for name in filter(None, names):
        if url_safe(name) != name:
            raise BadRequest(f'"{name}" cannot be a name, because it stands in addresses; "{url_safe(name)}" could be.')
    if len(set(names) - {None}) != len([name for name in names if name is not None]):
        raise BadRequest("Two RUNs have the same --name; each needs its own.")
    for path in (*arguments.runs, *arguments.images):
        if not path.exists():
            raise NotFound(f"{path} does not exist.")
    how = options.run_options_of(arguments)
    runs = [
        RunEntry(path, name, arguments.format, options=how) for path, name in zip(arguments.runs, names, strict=True)
    ]
    return runs, [CorpusEntry(path, format=arguments.images_format) for path in arguments.images]


def _of_workspace_file(
    arguments: argparse.Namespace, settings: Settings
) -> tuple[Sequence[RunEntry], Sequence[CorpusEntry]]:
    from mloscope.app.workspace.workspace_file import read_workspace_file

    named = arguments.workspace or (Path(settings.workspace) if settings.workspace else None)
    if named is None and not Path(WORKSPACE_FILE).is_file():
        if settings.watch_runs is not None:
            return (), ()
        raise NotFound(
            f"Nothing to show: name a RUN, as in mloscope serve checkpoints/ --images dataset/, or write a "
            f"{WORKSPACE_FILE} here."
        )
    runs, corpora = read_workspace_file(named or Path(WORKSPACE_FILE))
    if not runs:
        raise BadRequest(f"{named or WORKSPACE_FILE} has no run; it needs a table such as [runs.mine].")
    return runs, corpora
