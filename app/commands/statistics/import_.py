"""``mloscope statistics import``: takes predictions computed elsewhere."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mloscope.app.commands.statistics.progress import counted
from mloscope.app.commands.statistics.subject import Subject, add_clusters, add_keep
from mloscope.app.errors import NotFound
from mloscope.app.process.terminal import printable

DESCRIPTION = (
    "Import predictions computed elsewhere, one file per checkpoint: .npy, .npz, .csv, .parquet, or Dataset "
    "Cartography's dynamics_epoch_N.jsonl; see docs/statistics.md for their contents. Everything is checked first."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE",
        help="its name gives the step, as a checkpoint's does, unless STEP=FILE does; a folder means all its files",
    )  # fmt: skip
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--logits",
        dest="kind",
        action="store_const",
        const="logits",
        help="the files contain logits, unless they state otherwise",
    )
    kinds.add_argument(
        "--probabilities", dest="kind", action="store_const", const="probabilities", help="the default, checked"
    )
    add_keep(parser)
    add_clusters(parser)


def run(arguments: argparse.Namespace) -> int:
    from mloscope.app.statistics.clusters.clustering import cluster_run
    from mloscope.app.statistics.importing.importer import Importer

    subject = Subject(arguments)
    importer = Importer(
        subject.workspace,
        subject.store,
        subject.identity,
        "run",
        "corpus",
        subject.split,
        arguments.kind,
        arguments.keep,
    )
    files = importer.steps(_listed(arguments.files))
    for step, path in files.items():
        imported = importer.bring_in(step, path)
        accuracy = imported.plane.summary["accuracy"]
        words = "no labels" if accuracy is None else f"accuracy {accuracy:.4f}"
        print(f"Step {step}: {imported.plane.images:,} images of {path}, {words}.")
        for notice in imported.notices:
            print(f"  {notice}")
    print(f"Classes: {printable(subject.basis.classes_line())}")
    for sentence in subject.basis.classes.sentences:
        print(f"  {printable(sentence)}")
    planes = subject.planes()
    hidden = [str(step) for step in files if planes[step].about.get("source") != "imported"]
    if hidden:
        print(f"Statistics evaluated here take precedence over imported ones at steps {', '.join(hidden)}.")
    if arguments.clusters != 0:
        how = {"k": arguments.clusters, "seed": arguments.seed, "maps": arguments.maps}
        cluster_run(subject.store, subject.series, list(planes.items()), **how)
    print(f"{counted(len(planes), 'checkpoint')} ready.")
    return 0


def _listed(words: Sequence[str]) -> list[tuple[int | None, Path]]:
    """(step or None, file) of each word of the command line."""
    suffixes = (".npy", ".npz", ".csv", ".parquet", ".jsonl")
    found: list[tuple[int | None, Path]] = []
    for word in words:
        step, equals, rest = word.partition("=")
        if equals and step.isdecimal() and not Path(word).exists():
            found.append((int(step), Path(rest)))
        elif Path(word).is_dir():
            inside = sorted(path for path in Path(word).iterdir() if path.suffix.lower() in suffixes)
            if not inside:
                raise NotFound(f"The folder {word} contains no file of predictions ({', '.join(suffixes)}).")
            found += [(None, path) for path in inside]
        else:
            found.append((None, Path(word)))
    return found
