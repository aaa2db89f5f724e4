"""``mloscope adaptors``: lists what formats can be read."""

from __future__ import annotations

import argparse
import json

from mloscope.app.process.terminal import write

DESCRIPTION = "List the formats that can be read, and adaptors that failed to load."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(command=_adaptors)


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
