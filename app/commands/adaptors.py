"""``mloscope adaptors``: lists the formats that can be read, and what else packages have registered."""

from __future__ import annotations

import argparse
import json

from mloscope.app.process.terminal import write

DESCRIPTION = (
    "List what is installed: formats that can be read, network backends, film kinds, and the statistics and pages of other "
    "packages; with what failed to load, and why."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=_adaptors)


def _adaptors(arguments: argparse.Namespace) -> int:
    from mloscope.adaptors import entry_points as tables

    reads = {tables.RUNS: "runs", tables.CORPORA: "corpora"}
    found = [
        {
            "group": group.name,
            "reads": reads.get(group),
            "name": installed.name,
            "package": installed.package,
            "description": installed.description,
            "problem": installed.problem,
        }
        for group in tables.GROUPS
        for installed in tables.registered(group)
    ]
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    shown = [
        (
            entry["group"].removeprefix("mloscope.").replace("_", " "),
            entry["name"],
            entry["package"],
            entry["problem"] or entry["description"],
        )
        for entry in found
    ]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)][:-1]
    for *columns, last in shown:
        write("  ".join((*map(str.ljust, columns, widths), last)) + "\n")
    return 0
