"""The command line. Everything heavy is imported by the command that needs it: ``mloscope --help`` is quick.

Exit codes: 0; 1 where something that is there does not work; 2 where what was asked for is wrong or not
there; 130 when stopped with Ctrl-C before serving. What went wrong is one sentence on stderr, with the
traceback only where ``MLOSCOPE_DEBUG`` is set."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mloscope.adaptors.interface import AdaptorError, NothingFits, NothingThere, Unknown
from mloscope.app.commands import check, connect, demo, users
from mloscope.app.commands import statistics as statistics_cli
from mloscope.app.errors import BadRequest, MloscopeError, NotFound, Unrecognised
from mloscope.app.process import url_prefix
from mloscope.app.process.home_folder import is_missing_home
from mloscope.app.process.terminal import Terminated, discard_output, open_standard_streams, write
from mloscope.app.serving import serving

if TYPE_CHECKING:
    from types import FrameType

    from mloscope.adaptors.interface import RunOptions
    from mloscope.app.process.settings import Settings
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.workspace import Workspace

WORKSPACE_FILE = "mloscope.toml"
_WRONG_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    open_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser().parse_args(statistics_cli.with_order(given))
    parsed.command_line = given
    debug = os.environ.get("MLOSCOPE_DEBUG", "") not in ("", "0")
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(parsed.command(parsed))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # mloscope inspect ... | head
        discard_output()
        return _FAILED
    except (MloscopeError, AdaptorError) as error:
        if debug:
            raise
        print(f"mloscope: {error}", file=sys.stderr)
        wrong = isinstance(error, BadRequest | NotFound | Unrecognised | NothingThere | NothingFits | Unknown)
        return _WRONG_USAGE if wrong else _FAILED
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"mloscope: {where}{error.strerror or error}.", file=sys.stderr)
        return _FAILED
    except Exception as error:
        if debug:
            raise
        if is_missing_home(error):
            print(
                "mloscope: A path begins with ~, and there is no home folder; set HOME, or write it out.",
                file=sys.stderr,
            )
            return _WRONG_USAGE
        words = " ".join(str(error).split())[:300] or "no message"
        print(
            f"mloscope: A fault in ML-o-scope itself, {type(error).__name__} ({words}); MLOSCOPE_DEBUG=1 shows where.",
            file=sys.stderr,
        )
        return _FAILED
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


# ------------------------------------------------------------------------------------------------- arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_WRONG_USAGE, f"{self.prog}: {message}; {self.prog} --help says what there is.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mloscope",
        description="A time-lapse microscope for neural networks: watch filters and feature maps form.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)

    serve = commands.add_parser(
        "serve",
        help="show training runs in the browser",
        description="Show training runs in the browser; without RUN, those that mloscope.toml here names.",
    )
    serve.add_argument("runs", nargs="*", metavar="RUN", type=Path, help="a folder of checkpoints, or one file")
    serve.add_argument(
        "--images", action="append", default=[], metavar="CORPUS", type=Path,
        help="images to look at: MNIST idx, CIFAR-10, .npz, or folders of pictures; may be repeated",
    )  # fmt: skip
    serve.add_argument("--images-format", metavar="NAME", help="the adaptor that reads CORPUS")
    serve.add_argument(
        "--name", action="append", default=[], metavar="NAME",
        help="what to call the run; once for each RUN, in their order",
    )  # fmt: skip
    _add_run_options(serve)
    _add_preprocessing(serve)
    serve.add_argument(
        "--workspace",
        type=Path,
        metavar="FILE",
        help=f"a file that names runs and corpora (default: {WORKSPACE_FILE})",
    )
    _add_address(serve)
    serve.add_argument(
        "--workers", type=_at_least_one, default=1, metavar="N",
        help="processes that answer browsers; more than one need Redis and a model service (default: 1)",
    )  # fmt: skip
    serve.set_defaults(command=_serve)

    connect.add_commands(commands)

    inspect = commands.add_parser(
        "inspect",
        help="say what a run or a corpus holds",
        description="Say what a run or a corpus holds, and what of it cannot be read and why.",
    )
    inspect.add_argument("path", metavar="PATH", type=Path)
    inspect.add_argument("--json", action="store_true", help="as JSON, with everything")
    inspect.add_argument(
        "--images", metavar="CORPUS", type=Path, help="say what numbers of the run over these images would rest on"
    )
    inspect.add_argument("--images-format", metavar="NAME", help="the adaptor that reads CORPUS")
    inspect.add_argument(
        "--quick", action="store_true", help="do not try whether the network can be evaluated, which loads TensorFlow"
    )
    _add_network_options(inspect)
    inspect.set_defaults(command=_inspect)

    demo.add_command(commands, _add_address, _settings, _at_least_one)
    check.add_command(commands, _add_network_options, _run_options)

    users.add_commands(commands)

    statistics = commands.add_parser(
        "statistics", help="evaluate all checkpoints over all images, for confusion matrix and clusters"
    )
    statistics_cli.add_arguments(statistics, _add_network_options, _run_options)

    adaptors = commands.add_parser("adaptors", help="list what formats can be read, and what is broken")
    adaptors.add_argument("--json", action="store_true", help="as JSON")
    adaptors.set_defaults(command=_adaptors)
    return parser


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"mloscope {version('mloscope')}")
        parser.exit(0)


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", metavar="NAME", help="the adaptor that reads it (mloscope adaptors lists them)")
    parser.add_argument(
        "--step-pattern", metavar="REGEX", help='finds the step in file names, such as "epoch-([0-9]+)"'
    )
    parser.add_argument("--architecture", metavar="WHERE", help="a model.json or .keras file, or module:function")
    parser.add_argument(
        "--custom-objects", metavar="MODULE", help="a module with the classes and functions of a Keras network of yours"
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run code that came with the files (Lambda layers); know who made them",
    )


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, metavar="NUMBER", help="port to listen on; 0 takes any (default: 8050)")
    parser.add_argument(
        "--url-prefix",
        type=_url_prefix,
        metavar="PATH",
        help="path below which a proxy shows this server, such as /tools/mloscope",
    )
    parser.add_argument("--unprotected", action="store_true", help="let in everybody who reaches the address")
    parser.add_argument("--no-browser", action="store_true", help="open no browser")


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    _add_run_options(parser)
    _add_preprocessing(parser)


def _add_preprocessing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scale", type=_scale, metavar="NUMBER", help="what pixels 0..255 are multiplied by, such as 1/255"
    )
    parser.add_argument(
        "--mean", type=_mean, metavar="MEAN",
        help='subtracted after scaling: a number, one a channel ("0.5,0.5,0.5"), a .npy file, a mean image '
        '(.binaryproto of Caffe, batches.meta of cuda-convnet), or "corpus" '
        "for the mean image of the training split",
    )  # fmt: skip
    parser.add_argument("--channel-order", choices=("rgb", "bgr"), help="the order that the network takes channels in")
    parser.add_argument(
        "--output", metavar="LAYER", help="the layer that tells classes (default: the network's declared output)"
    )
    parser.add_argument(
        "--classes", type=_classes, metavar="FILE",
        help="names of the network's classes, in the order of its outputs: a file with a name per line or JSON",
    )  # fmt: skip


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is no port; it must be a whole number from 0 to 65535')
    return int(text)


def _url_prefix(text: str) -> str:
    try:
        return url_prefix.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'"{text}" must be {error}') from None


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" must be a whole number from 1')
    return int(text)


def _scale(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f'"{text}" must be a number, such as 0.0039 or 1/255') from None


def _classes(text: str) -> tuple[str, ...]:
    """A file of names, or a JSON list."""
    from mloscope.app.evaluation.named_outputs import checked_names, read_class_names

    try:
        return checked_names(json.loads(text)) if text.lstrip().startswith("[") else read_class_names(Path(text))
    except json.JSONDecodeError:
        raise argparse.ArgumentTypeError("it begins like a JSON list of names, and is none") from None
    except (BadRequest, NotFound) as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from None


def _mean(text: str) -> float | list[float] | str:
    if re.fullmatch(r"[-+0-9.eE,\s]+", text):
        try:
            numbers = [float(part) for part in text.split(",")]
        except ValueError:
            raise argparse.ArgumentTypeError(
                f'"{text}" must be a number, or several with commas between them'
            ) from None
        return numbers[0] if len(numbers) == 1 else numbers
    return text if text == "corpus" else str(Path(text).expanduser().absolute())


# ----------------------------------------------------------------------------------- inspect, adaptors


def _inspect(arguments: argparse.Namespace) -> int:
    from mloscope.app.commands import inspection
    from mloscope.app.evaluation.trial import NOT_TRIED, try_network
    from mloscope.app.workspace.entries import CorpusEntry

    report = inspection.inspect(
        arguments.path,
        _run_options(arguments),
        arguments.format,
        images=CorpusEntry(arguments.images, "corpus", arguments.images_format) if arguments.images else None,
        attempt=(lambda run, basis: NOT_TRIED) if arguments.quick else try_network,
    )
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        write(inspection.as_text(report))
    return 0


def _adaptors(arguments: argparse.Namespace) -> int:
    from mloscope.adaptors import registry

    found = [
        {
            "reads": reads,
            "name": adaptor.name,
            "package": adaptor.package,
            "description": adaptor.description,
            "problem": adaptor.problem,
        }
        for reads, adaptors in (("runs", registry.run_adaptors()), ("corpora", registry.corpus_adaptors()))
        for adaptor in adaptors
    ]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    widths = {key: max(len(str(entry[key])) for entry in found) for key in ("reads", "name", "package")}
    for entry in found:
        columns = (f"{entry[key]:<{width}}" for key, width in widths.items())
        write("  ".join((*columns, entry["problem"] or entry["description"])) + "\n")
    return 0


# ----------------------------------------------------------------------------------------------------- serve


def _serve(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
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
    arguments = _parser().parse_args(serving.command_line_of_worker())
    settings = _settings(arguments)
    return serving.worker_application(_workspace(arguments, settings), settings)


def _workspace(arguments: argparse.Namespace, settings: Settings) -> Workspace:
    """What the command line, the workspace file and the watched folders name."""
    return serving.connect(*_entries(arguments, settings), settings)


def _settings(arguments: argparse.Namespace) -> Settings:
    """The environment's settings, with the flags before them."""
    from mloscope.app.process.settings import ABOUT_SERVING, Settings

    flags = {
        "host": arguments.host,
        "port": arguments.port,
        "url_prefix": arguments.url_prefix,
        "unprotected": arguments.unprotected or None,
    }
    said = {name: value for name, value in flags.items() if value is not None}
    unread = ABOUT_SERVING if getattr(arguments, "train_only", False) else said
    return replace(Settings.from_environment(os.environ, but=unread), **said)


def _run_options(arguments: argparse.Namespace) -> RunOptions:
    from mloscope.adaptors.interface import RunOptions
    from mloscope.app.workspace.entries import check_step_pattern, make_preprocessing

    if arguments.step_pattern is not None:
        check_step_pattern(arguments.step_pattern)
    architecture = arguments.architecture
    if architecture is not None and not re.fullmatch(r"[\w.]+:[\w.]+", architecture):
        architecture = str(Path(architecture).expanduser().absolute())
    said = {name: getattr(arguments, name, None) for name in ("scale", "mean", "channel_order")}
    return RunOptions(
        step_pattern=arguments.step_pattern,
        architecture=architecture,
        preprocessing=make_preprocessing(**said) if any(value is not None for value in said.values()) else None,
        class_names=getattr(arguments, "classes", None) or (),
        output=getattr(arguments, "output", None),
        custom_objects=arguments.custom_objects,
        trust=arguments.trust,
    )


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
                raise BadRequest(f"--{flag.replace('_', '-')} is about a RUN, and none is named.")
        return _of_workspace_file(arguments, settings)
    if arguments.workspace is not None:
        raise BadRequest("Name RUNs or a workspace file with --workspace, not both.")
    names: list[str | None] = list(arguments.name) or [None] * len(arguments.runs)
    if len(names) != len(arguments.runs):
        raise BadRequest(f"There are {len(names)} --name for {len(arguments.runs)} RUN; each RUN needs its own.")
    for name in filter(None, names):
        if url_safe(name) != name:
            raise BadRequest(f'"{name}" cannot be a name, because it stands in addresses; "{url_safe(name)}" could be.')
    if len(set(names) - {None}) != len([name for name in names if name is not None]):
        raise BadRequest("Two RUNs have the same --name; each needs its own.")
    for path in (*arguments.runs, *arguments.images):
        if not path.exists():
            raise NotFound(f"There is nothing at {path}.")
    options = _run_options(arguments)
    runs = [
        RunEntry(path, name, arguments.format, options=options)
        for path, name in zip(arguments.runs, names, strict=True)
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
        raise BadRequest(f"{named or WORKSPACE_FILE} names no run; it needs a table such as [runs.mine].")
    return runs, corpora


if __name__ == "__main__":
    sys.exit(main())
