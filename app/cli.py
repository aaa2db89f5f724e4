"""The command line. Everything heavy is imported by the command that needs it: ``mloscope --help`` is quick.

Exit codes: 0; 1 where something that is there does not work; 2 where what was asked for is wrong or not
there; 130 when stopped with Ctrl-C before serving. What went wrong is one sentence on stderr, with the
traceback only where ``MLOSCOPE_DEBUG`` is set."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mloscope.adaptors.interface import AdaptorError, NothingFits, NothingThere
from mloscope.app import statistics_cli, users_cli
from mloscope.app.errors import BadRequest, MloscopeError, NotFound

if TYPE_CHECKING:
    from types import FrameType

    from mloscope.adaptors.interface import RunOptions
    from mloscope.app.settings import Settings
    from mloscope.app.workspace import CorpusEntry, RunEntry, Workspace

WORKSPACE_FILE = "mloscope.toml"
_WRONG_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130
_STOP_WITHIN_S = 3


class _Terminated(SystemExit):
    """Somebody sent SIGTERM: unwinds like Ctrl-C, so that whatever was started is stopped."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parsed = _parser().parse_args(statistics_cli.with_order(sys.argv[1:] if arguments is None else arguments))
    debug = os.environ.get("MLOSCOPE_DEBUG", "") not in ("", "0")
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(parsed.command(parsed))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # mloscope inspect ... | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except (MloscopeError, AdaptorError) as error:
        if debug:
            raise
        print(f"mloscope: {error}", file=sys.stderr)
        wrong = isinstance(error, BadRequest | NotFound | NothingThere | NothingFits)
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
        words = " ".join(str(error).split())[:300] or "no message"
        print(
            f"mloscope: A fault in ML-o-scope itself, {type(error).__name__} ({words}); MLOSCOPE_DEBUG=1 shows where.",
            file=sys.stderr,
        )
        return _FAILED
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated(128 + number)


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
    serve.set_defaults(command=_serve)

    inspect = commands.add_parser(
        "inspect",
        help="say what a run or a corpus holds",
        description="Say what a run or a corpus holds, and what of it cannot be read and why.",
    )
    inspect.add_argument("path", metavar="PATH", type=Path)
    inspect.add_argument("--json", action="store_true", help="as JSON, with everything")
    _add_run_options(inspect)
    inspect.set_defaults(command=_inspect)

    demo = commands.add_parser(
        "demo",
        help="train a small network on handwritten digits, and show it",
        description="Train a small network on handwritten digits, or with --images the report's network on "
        "CIFAR-10, and show it. A run that is there already is shown as it is.",
    )
    demo.add_argument("--images", type=Path, metavar="PATH", help="a CIFAR-10 folder, or other 32x32 colour images")
    demo.add_argument("--epochs", type=_at_least_one, metavar="N", help="epochs of the CIFAR-10 network (default: 10)")
    demo.add_argument("--folder", type=Path, metavar="FOLDER", help="where runs are kept (default: the user's cache)")
    demo.add_argument("--train-only", action="store_true", help="train, and do not serve")
    _add_address(demo)
    demo.set_defaults(command=_demo)

    users_cli.add_commands(commands)

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
        "--trust",
        action="store_true",
        help="run code that came with the files (Lambda layers); know who made them",
    )


def _add_address(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", metavar="ADDRESS", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_port, metavar="NUMBER", help="port to listen on; 0 takes any (default: 8050)")
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
        help='subtracted after scaling: a number, one a channel ("0.5,0.5,0.5"), a .npy file, or "corpus" '
        "for the mean image of the training split",
    )  # fmt: skip
    parser.add_argument("--channel-order", choices=("rgb", "bgr"), help="the order that the network takes channels in")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is no port; it must be a whole number from 0 to 65535')
    return int(text)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" must be a whole number from 1')
    return int(text)


def _scale(text: str) -> float:
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f'"{text}" must be a number, such as 0.0039 or 1/255') from None


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


# ----------------------------------------------------------------------------------- inspect, adaptors, demo


def _inspect(arguments: argparse.Namespace) -> int:
    from mloscope.app import inspection

    report = inspection.inspect(arguments.path, _run_options(arguments), arguments.format)
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        _write(inspection.as_text(report))
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
        _write("  ".join((*columns, entry["problem"] or entry["description"])) + "\n")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from mloscope.app import demo

    if arguments.epochs is not None and arguments.images is None:
        raise BadRequest("--epochs goes with --images PATH, the report's network on CIFAR-10.")
    settings = _settings(arguments)
    # Nobody wants to wait for the training and then read that the port is taken.
    listener = None if arguments.train_only else _listener(settings)
    folder = arguments.folder or demo.default_folder(os.environ)
    if arguments.images is None:
        trained = demo.prepare_digits(folder, sys.stdout)
    else:
        trained = demo.prepare_cifar10(folder, arguments.images, sys.stdout, arguments.epochs or 10)
    if listener is None:
        print(f"The run is {trained.run}, its images are {trained.images}.")
        return 0
    from mloscope.app.workspace import CorpusEntry, RunEntry

    workspace = _connect((RunEntry(trained.run),), (CorpusEntry(trained.images),))
    return _run_server(workspace, settings, listener, arguments)


# ----------------------------------------------------------------------------------------------------- serve


def _serve(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments)
    runs, corpora = _entries(arguments, settings)
    listener = _listener(settings)
    return _run_server(_connect(runs, corpora), settings, listener, arguments)


def _settings(arguments: argparse.Namespace) -> Settings:
    """The environment's settings, with the flags before them."""
    from mloscope.app.settings import Settings

    settings = Settings.from_environment(os.environ)
    flags = {"host": arguments.host, "port": arguments.port, "unprotected": arguments.unprotected or None}
    return replace(settings, **{name: value for name, value in flags.items() if value is not None})


def _run_options(arguments: argparse.Namespace) -> RunOptions:
    from mloscope.adaptors.interface import RunOptions
    from mloscope.app.workspace import check_step_pattern, make_preprocessing

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
        trust=arguments.trust,
    )


def _entries(arguments: argparse.Namespace, settings: Settings) -> tuple[Sequence[RunEntry], Sequence[CorpusEntry]]:
    """What to connect: the command line's runs, else the workspace file's."""
    from mloscope.app.workspace import CorpusEntry, RunEntry, url_safe

    if not arguments.runs:
        about_runs = (
            "images", "images_format", "name", "format", "step_pattern", "architecture", "trust", "scale",
            "mean", "channel_order",
        )  # fmt: skip
        for flag in about_runs:
            if getattr(arguments, flag) not in (None, False, []):
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
    from mloscope.app.workspace import read_workspace_file

    named = arguments.workspace or (Path(settings.workspace) if settings.workspace else None)
    if named is None and not Path(WORKSPACE_FILE).is_file():
        raise NotFound(
            f"Nothing to show: name a RUN, as in mloscope serve checkpoints/ --images dataset/, or write a "
            f"{WORKSPACE_FILE} here."
        )
    runs, corpora = read_workspace_file(named or Path(WORKSPACE_FILE))
    if not runs:
        raise BadRequest(f"{named or WORKSPACE_FILE} names no run; it needs a table such as [runs.mine].")
    return runs, corpora


def _connect(runs: Sequence[RunEntry], corpora: Sequence[CorpusEntry]) -> Workspace:
    """Open everything; what cannot be opened is said, and is an error only where no run can be."""
    from mloscope.app.workspace import Workspace

    workspace = Workspace.connect(runs, corpora)
    problems = [connected.problem for connected in (*workspace.runs, *workspace.corpora) if connected.problem]
    if all(run.adaptor is None for run in workspace.runs):
        raise NothingFits(" ".join(problems))
    for problem in problems:
        print(f"mloscope: {problem}", file=sys.stderr)
    return workspace


def _run_server(
    workspace: Workspace, settings: Settings, listener: socket.socket, arguments: argparse.Namespace
) -> int:
    from mloscope.app import logs

    troubles = logs.configure(settings.log_level, settings.log_format, settings.secrets)
    service = _model_service(settings)

    def listening(address: str) -> None:
        # Only now, for loading TensorFlow would double the time until the first page is there.
        service.start()
        _announce(workspace, address, settings)
        if not arguments.no_browser and _has_display(os.environ):
            _open_browser(address)

    try:
        return _listen(_application(workspace, settings, service, troubles), settings, listener, listening)
    except (KeyboardInterrupt, _Terminated):
        return 0
    finally:
        service.stop()
        listener.close()


@dataclass(frozen=True)
class _Service:
    """The model service as the observatory wants it."""

    client: Any
    state: Callable[[], tuple[str, str | None]] | None = None
    start: Callable[[], None] = lambda: None
    stop: Callable[[], None] = lambda: None


def _model_service(settings: Settings) -> _Service:
    from mloscope.app.model_service.client import ModelServiceClient

    timeout_s, token = settings.model_service_timeout_s, settings.model_service_token
    if settings.model_service_url:
        return _Service(ModelServiceClient(settings.model_service_url, timeout_s=timeout_s, token=token))
    from mloscope.app.model_service.supervisor import ModelServiceProcess

    process = ModelServiceProcess(weights_budget_bytes=settings.weights_budget_bytes)
    return _Service(
        ModelServiceClient(process, timeout_s=timeout_s),
        state=lambda: (process.state, process.problem),
        start=process.start,
        stop=process.stop,
    )


def _application(workspace: Workspace, settings: Settings, service: _Service, troubles: Any) -> Any:
    from mloscope.app.observatory import Observatory
    from mloscope.app.result_cache import ResultCache
    from mloscope.app.settings import cache_folder_of
    from mloscope.app.statistics.answers import Statistics
    from mloscope.app.statistics.store import StatisticsStore
    from mloscope.app.web.doors.allowances import EvaluationCharge
    from mloscope.app.web.doors.metrics import Metrics
    from mloscope.app.web.server import create_guarded_app

    metrics = Metrics(lambda: observatory.vitals())
    observatory = Observatory(
        workspace,
        ResultCache.from_settings(settings.redis_url, settings.cache_budget_bytes),
        service.client,
        service_state=service.state,
        film_chunk_bytes=settings.film_chunk_bytes,
        charge=EvaluationCharge(settings.evaluations_a_minute, metrics.evaluated),
        statistics=Statistics(workspace, StatisticsStore(cache_folder_of(settings, os.environ))),
    )
    return create_guarded_app(observatory, settings, metrics, troubles)


def _listener(settings: Settings) -> socket.socket:
    """The socket to listen on. Raises :class:`BadRequest` where strangers could come in and nobody said that they may."""
    from mloscope.app.web.doors.authentication import Authentication, check_address
    from mloscope.app.web.doors.users import user_file

    check_address(settings, Authentication(settings, user_file(settings, os.environ)))
    return _bind(settings.host, settings.port)


def _bind(host: str, port: int) -> socket.socket:
    """A socket that has the port, but does not listen yet. Raises :class:`BadRequest` saying how to choose
    another."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise BadRequest(f'"{host}" is no address of this machine; --host takes one, such as 127.0.0.1.') from None
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # So that a server can be started again at once; it does not let two listen.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        listener.close()
        raise BadRequest(_cannot_bind(host, port, error)) from None
    return listener


def _cannot_bind(host: str, port: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1
        return (
            f"Port {port} of {host} is in use, perhaps by another mloscope; choose another with "
            f"--port {other}, or any free one with --port 0."
        )
    if number == errno.EACCES:
        return f"Port {port} of {host} is not allowed to you; choose one above 1023, such as --port 8050."
    if number == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine; --host takes one, such as 127.0.0.1."
    return f"Port {port} of {host} cannot be opened: {getattr(error, 'strerror', None) or error}."


def _listen(
    application: Any,
    settings: Settings,
    listener: socket.socket,
    listening: Callable[[str], None],
) -> int:
    """Serve until told to stop; ``listening(address)`` is called when requests are answered."""
    import asyncio
    import logging

    import uvicorn

    port = listener.getsockname()[1]
    address = f"http://{_as_browsers_write(settings.host)}:{port}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            try:
                await super().startup(sockets)
            except OSError as error:  # somebody else began to listen since the socket was bound
                raise BadRequest(_cannot_bind(settings.host, port, error)) from None
            listening(address)

    def is_a_fault(record: logging.LogRecord) -> bool:
        """Requests that are cut off by stopping are none."""
        return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))

    logging.getLogger("uvicorn.error").addFilter(is_a_fault)
    chosen = settings.log_level
    server = Server(
        uvicorn.Config(
            application,
            log_config=None,
            log_level="warning" if chosen == "info" else chosen,
            access_log=False,  # the doors log requests, with their numbers
            proxy_headers=False,  # and know which proxies may be believed
            server_header=False,
            # A film being streamed to a browser must not keep Ctrl-C waiting.
            timeout_graceful_shutdown=_STOP_WITHIN_S,
        )
    )
    server.run(sockets=[listener])
    return 0 if server.started else _FAILED


def _as_browsers_write(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _announce(workspace: Workspace, address: str, settings: Settings) -> None:
    from mloscope.app.inspection import printable

    for run in workspace.runs:
        if run.adaptor is not None:
            checkpoints = run.adaptor.checkpoints()
            broken = sum(bool(checkpoint.problem) for checkpoint in checkpoints)
            unreadable = f", {broken} of them unreadable" if broken else ""
            counted = f"{len(checkpoints)} checkpoint{'s' * (len(checkpoints) != 1)}{unreadable}"
            _write(f"Run {printable(run.name)}: {counted}, {len(run.adaptor.layers())} layers ({run.format}).\n")
    for corpus in workspace.corpora:
        if corpus.adaptor is not None:
            _write(f"Corpus {printable(corpus.name)}: {len(corpus.adaptor):,} images ({corpus.format}).\n")
    if not workspace.corpora:
        _write("No images are named, so there are no feature maps: add --images CORPUS.\n")
    if settings.unprotected:
        _write("Whoever reaches this address can see this, and nobody is asked who they are.\n")
    _write(f"ML-o-scope listens on {address} (Ctrl-C stops it).\n")


def _write(text: str) -> None:
    """Print at once, with what the terminal's encoding lacks replaced."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def _has_display(environment: Mapping[str, str]) -> bool:
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _open_browser(address: str) -> None:
    """In a thread of its own: a browser in the foreground must not hold up the server."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
