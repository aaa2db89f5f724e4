"""The command line. Each command is a module of its own, which is imported when it is asked for: ``mloscope --help`` is quick.

Exit codes: 0; 1 where something that is there does not work; 2 where what was asked for is wrong or not
there; 130 when stopped with Ctrl-C before serving. What went wrong is one sentence on stderr, with the
traceback only where ``MLOSCOPE_DEBUG`` is set."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol

from mloscope.app.process.terminal import Terminated, discard_output, open_standard_streams

if TYPE_CHECKING:
    from types import FrameType


class Command(Protocol):
    """What the module of a command has."""

    DESCRIPTION: str
    """The first words of its ``--help``."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add what it takes, and set ``command``: a function of what was parsed that returns the exit code."""


COMMANDS = {
    "serve": "show training runs in the browser",
    "connect": "show another run or corpus in a running server",
    "disconnect": "stop showing a connected run or corpus",
    "inspect": "describe what a run or a corpus contains",
    "demo": "train a small network on handwritten digits and show it",
    "check": "try other preprocessings and orders of classes on a sample, and compare accuracies",
    "film": "save a layer over all checkpoints as MP4, GIF or PNG frames",
    "user": "manage users who may sign in",
    "token": "manage access tokens for programs",
    "statistics": "evaluate all checkpoints over all images, for the confusion matrix and clusters",
    "adaptors": "list the formats that can be read, what else is installed, and what failed to load",
}
"""Every command, in the order of ``mloscope --help``, with its line there: the module of the same name has the rest."""

_WRONG_USAGE, _FAILED, _INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    open_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = parse(given)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return int(parsed.command(parsed))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # mloscope inspect ... | head
        discard_output()
        return _FAILED
    except Exception as error:
        if os.environ.get("MLOSCOPE_DEBUG", "") not in ("", "0"):
            raise
        sentence, status = _explained(error)
        print(f"mloscope: {sentence}", file=sys.stderr)
        return status
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def _explained(error: Exception) -> tuple[str, int]:
    """Return a sentence for the user, and the exit code."""
    from mloscope.adaptors.interface import AdaptorError, NothingFits, NothingThere, Unknown
    from mloscope.app.errors import BadRequest, MloscopeError, NotFound, Unrecognised
    from mloscope.app.process.home_folder import is_missing_home

    if isinstance(error, MloscopeError | AdaptorError):
        wrong = isinstance(error, BadRequest | NotFound | Unrecognised | NothingThere | NothingFits | Unknown)
        return str(error), _WRONG_USAGE if wrong else _FAILED
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}.", _FAILED
    if is_missing_home(error):
        return "A path begins with ~, but there is no home folder; set HOME, or write the path in full.", _WRONG_USAGE
    words = " ".join(str(error).split())[:300] or "no message"
    name = type(error).__name__
    return f"Internal error in ML-o-scope: {name} ({words}); MLOSCOPE_DEBUG=1 shows where.", _FAILED


# ------------------------------------------------------------------------------------------------- arguments


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_WRONG_USAGE, f"{self.prog}: {message}; see {self.prog} --help.\n")


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Return what the command line says; ``command`` is what to call with it. Exits where it is wrong."""
    words = list(given)
    parser = _Parser(
        prog="mloscope",
        description="A time-lapse microscope for neural networks: watch filters and feature maps form.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=_Parser)
    asked = next((word for word in words if not word.startswith("-")), None)
    for name, help in COMMANDS.items():
        subparser = commands.add_parser(name, help=help)
        if name == asked:
            module = importlib.import_module(f"mloscope.app.commands.{name}")
            subparser.description = module.DESCRIPTION
            module.add_arguments(subparser)
            complete: Callable[[list[str]], list[str]] = getattr(module, "complete", list)
            words = complete(words)
    parsed = parser.parse_args(words)
    parsed.command_line = list(given)
    return parsed


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print(f"mloscope {version('mloscope')}")
        parser.exit(0)


if __name__ == "__main__":
    sys.exit(main())
