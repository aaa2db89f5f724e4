"""``mloscope statistics export``: writes a table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mloscope.app.commands.arguments import values
from mloscope.app.commands.statistics.subject import Subject
from mloscope.app.process.terminal import printable

if TYPE_CHECKING:
    from mloscope.app.statistics.export import Table

DESCRIPTION = "Write a table as CSV, Parquet or JSON."
TABLES = ("steps", "confusion", "classes", "images", "moves", "clusters", "members")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--table", choices=TABLES, default="steps",
        help="steps: rates of every checkpoint (the default); of one step: confusion, classes, images, clusters, members "
        "(of clusters); moves: images whose prediction changed between --since and --step",
    )  # fmt: skip
    parser.add_argument(
        "--statistic", metavar="NAME",
        help="instead of a table: one statistic at every step, such as recall (the REST API's /statistics lists all)",
    )  # fmt: skip
    parser.add_argument("--layer", metavar="NAME", help="the layer, for a --statistic computed from weights")
    parser.add_argument(
        "--step", type=values.whole(0), metavar="STEP", help="the checkpoint (default: the last with statistics)"
    )
    parser.add_argument(
        "--since", type=values.whole(0), metavar="STEP", help="for moves: the earlier step (default: the first)"
    )
    parser.add_argument(
        "--to", type=Path, metavar="FILE", help="a .csv, .parquet or .json file (default: CSV on stdout)"
    )


def run(arguments: argparse.Namespace) -> int:
    from mloscope.app.statistics import tables
    from mloscope.app.statistics.values import course

    subject = Subject(arguments)
    for line in subject.basis.lines():  # stdout may be the table
        print(printable(line), file=sys.stderr)
    of = subject.statistics.of("run", "corpus", subject.split)
    if arguments.statistic is not None:
        return _write(course(of, arguments.statistic, layer=arguments.layer).table(), arguments.to)
    step = of.last() if arguments.step is None else arguments.step
    since = next(iter(of.ready), step) if arguments.since is None else arguments.since
    written: dict[str, Callable[[], Any]] = {
        "steps": lambda: tables.steps_table(of),
        "confusion": lambda: tables.confusion_table(of, step),
        "classes": lambda: tables.classes_table(of, step),
        "images": lambda: tables.images_table(of, step),
        "moves": lambda: tables.moves_table(of, since, step),
        "clusters": lambda: tables.clusters_table(of, step),
        "members": lambda: tables.members_table(of, step),
    }
    return _write(written[arguments.table](), arguments.to)


def _write(table: Table, to: Path | None) -> int:
    """Write a table to a file in the format of its name, or as CSV to standard output."""
    from mloscope.app.statistics.export import encode

    content = encode(table, "csv" if to is None else to.suffix.lower().removeprefix("."))
    if to is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        to.write_bytes(content)
    return 0
