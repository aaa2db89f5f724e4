"""What a benchmark says at its end: its figures beside what was asked of them, as lines for people and as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured number. ``asked`` is the bound it was to keep, ``sense`` whether it is an upper (``<=``) or lower (``>=``) one;
    figures printed for information only have no bound."""

    name: str
    measured: float
    unit: str
    sense: str = ""
    asked: float | None = None

    @property
    def kept(self) -> bool | None:
        if self.asked is None:
            return None
        return self.measured <= self.asked if self.sense == "<=" else self.measured >= self.asked


def command_line(benchmark: str) -> argparse.ArgumentParser:
    """What every benchmark understands; one with options of its own adds them."""
    parser = argparse.ArgumentParser(description=f"Benchmark: {benchmark}")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    return parser


def report(benchmark: str, figures: Sequence[Figure], parser: argparse.ArgumentParser | None = None) -> None:
    """Print the figures; write them as JSON where ``--json FILE`` was given on the command line. ``parser``: that of a
    benchmark with options of its own."""
    file = (parser or command_line(benchmark)).parse_args().json
    width = max(len(figure.name) for figure in figures)
    print(benchmark, file=sys.stderr)
    for figure in figures:
        bound = (
            ""
            if figure.asked is None
            else f"  asked {figure.sense} {figure.asked:g}  {'kept' if figure.kept else 'NOT KEPT'}"
        )
        print(f"  {figure.name:<{width}}  {figure.measured:10.4g} {figure.unit}{bound}", file=sys.stderr)
    text = json.dumps({"benchmark": benchmark, "figures": [{**asdict(f), "kept": f.kept} for f in figures]}, indent=1)
    if file:
        file.write_text(text + "\n")
    print(text)
