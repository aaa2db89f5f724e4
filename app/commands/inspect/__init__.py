"""``mloscope inspect``: says what a run or a corpus holds."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mloscope.app.commands.arguments import options
from mloscope.app.process.terminal import write

DESCRIPTION = "Describe what a run or a corpus contains, and what cannot be read and why."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", type=Path)
    parser.add_argument("--json", action="store_true", help="as JSON, with everything")
    parser.add_argument(
        "--images", metavar="CORPUS", type=Path, help="show the basis of the run's numbers over these images"
    )
    parser.add_argument("--images-format", metavar="NAME", help="the adaptor that reads CORPUS")
    parser.add_argument(
        "--quick", action="store_true", help="do not test whether the network can be evaluated, which loads TensorFlow"
    )
    options.add_network_options(parser)
    parser.set_defaults(command=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    from mloscope.app.commands.inspect.report import inspect
    from mloscope.app.commands.inspect.text import as_text
    from mloscope.app.evaluation.trial import NOT_TRIED, try_network
    from mloscope.app.workspace.entries import CorpusEntry

    report = inspect(
        arguments.path,
        options.run_options_of(arguments),
        arguments.format,
        images=CorpusEntry(arguments.images, "corpus", arguments.images_format) if arguments.images else None,
        attempt=(lambda run, basis: NOT_TRIED) if arguments.quick else try_network,
    )
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        write(as_text(report))
    return 0
