"""``mloscope check RUN --images CORPUS``: are these the network's own preprocessing and order of classes?

A sample of labelled images is evaluated at the last checkpoint with each of the usual alternatives; see
:mod:`mloscope.app.evaluation.check`.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from mloscope.app.commands.arguments import options, values
from mloscope.app.errors import NotPossible
from mloscope.app.process.terminal import printable, write

if TYPE_CHECKING:
    import numpy as np

    from mloscope.adaptors.interface import Preprocessing
    from mloscope.app.evaluation.basis import Basis
    from mloscope.app.evaluation.check import Check
    from mloscope.app.workspace.workspace import Workspace

DESCRIPTION = (
    "Evaluate a sample of labelled images at the last checkpoint with the current preprocessing and with "
    "the usual alternatives (scale, mean, channel order, order of classes), and report which fit better."
)
_SAMPLE_IMAGES = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run_and_images(parser, "labelled images")
    parser.add_argument(
        "--sample", type=values.whole(1), default=_SAMPLE_IMAGES, metavar="N",
        help=f"size of the sample, drawn at random with a fixed seed (default: {_SAMPLE_IMAGES})",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="as JSON, with the basis of the numbers")
    parser.set_defaults(command=_check)


def _check(arguments: argparse.Namespace) -> int:
    from mloscope.app.commands.arguments.opened_subject import open_subject

    opened = open_subject(arguments)
    workspace, split = opened.workspace, opened.split
    basis = workspace.basis("run", "corpus")
    found = _checked(workspace, basis, split, arguments.sample)
    if arguments.json:
        print(json.dumps({"basis": basis.json(), "split": split, **found.json()}, indent=2))
        return 0
    write(_as_text(found, basis, split))
    return 0


def _checked(workspace: Workspace, basis: Basis, split: str, sample: int) -> Check:
    import numpy as np

    from mloscope.app.evaluation.check import check
    from mloscope.app.model_service.evaluator import evaluator_in_this_process
    from mloscope.app.model_service.wire import RunSpec

    run, images = workspace.opened_run("run"), workspace.opened_corpus("corpus")
    corpus = images.adaptor
    readable = [checkpoint.step for checkpoint in run.checkpoints if not checkpoint.problem]
    if not readable:
        raise NotPossible("No checkpoint of the run can be read.")
    labels = np.asarray(corpus.labels)
    within = corpus.splits[split]
    known = np.flatnonzero(labels[within.start : within.stop] >= 0) + within.start
    chosen = np.sort(np.random.default_rng(0).permutation(known)[:sample])
    spec = RunSpec(str(run.path.expanduser().absolute()), run.format, run.options)
    evaluator = evaluator_in_this_process(run.adaptor)

    def prepare(how: Preprocessing) -> np.ndarray:
        pictures = [workspace.inputs.one(run, images, int(position), how) for position in chosen]
        if len({picture.shape for picture in pictures}) > 1:
            raise NotPossible("The images differ in size, and the network takes any size, so they cannot be one batch.")
        return np.stack(pictures)

    def probabilities(images: np.ndarray) -> np.ndarray:
        output, rule = basis.output.layer, basis.output.rule
        return np.asarray(evaluator.probabilities(spec, readable[-1], images, output, rule))

    trains = any(name in ("training", "train") for name in corpus.splits)
    said = (lambda name: print(f"Trying {name} ...", file=sys.stderr)) if sys.stderr.isatty() else (lambda name: None)
    return check(basis, readable[-1], labels[chosen], prepare, probabilities, trains, said)


def _as_text(found: Check, basis: Basis, split: str) -> str:
    lines = [printable(line) for line in basis.lines()]
    lines += ["", f"Accuracy of {found.images:,} labelled images of the split {printable(split)} at step {found.step}"]
    width = max(len(each.name) for each in found.alternatives)
    for each in found.alternatives:
        value = each.problem or ("no image is predicted right" if each.accuracy is None else f"{each.accuracy:.3f}")
        lines.append(f"  {each.name:<{width}}  {printable(value)}")
    lines += ["", *(f"Warning: {printable(sentence)}" for sentence in found.warnings)]
    if not found.warnings:
        lines.append("None of the usual alternatives fits clearly better than the current preprocessing.")
    return "\n".join(lines) + "\n"
