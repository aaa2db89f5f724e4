"""``mloscope statistics``: computes, imports and exports statistics; see docs/statistics.md.

mloscope statistics RUN --images CORPUS          compute what is not there yet
mloscope statistics import RUN --images CORPUS FILES...
mloscope statistics export RUN --images CORPUS
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from types import ModuleType

from mloscope.app.commands.arguments import options
from mloscope.app.commands.statistics import compute, export, import_

DESCRIPTION = compute.DESCRIPTION
_ORDERS = {"compute": compute, "import": import_, "export": export}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of all three; which one is meant is the first word, see :func:`complete`."""
    orders = parser.add_subparsers(metavar="", required=True, parser_class=type(parser))
    for name, module in _ORDERS.items():
        _add_order(orders.add_parser(name, prog=_prog(parser, name), description=module.DESCRIPTION), module)


def _prog(parser: argparse.ArgumentParser, order: str) -> str:
    return parser.prog if order == "compute" else f"{parser.prog} {order}"


def _add_order(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    options.add_run_and_images(parser, "the images")
    module.add_arguments(parser)
    parser.set_defaults(command=module.run)


def complete(words: Sequence[str]) -> list[str]:
    """Return the command line with the word "compute" where no other order stands: ``statistics RUN`` is short for it."""
    place = list(words).index("statistics") + 1
    short = list(words[place : place + 1]) not in [["import"], ["export"]]
    return [*words[:place], *(["compute"] if short else []), *words[place:]]
