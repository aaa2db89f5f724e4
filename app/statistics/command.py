"""The command line that computes the statistics of a run over a split."""

from __future__ import annotations

import json
import shlex

from mloscope.adaptors.interface import ASSUMED, RunOptions
from mloscope.app.evaluation.preprocessing import BY_DEFAULT
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun


def command(program: str, run: ConnectedRun, corpus: ConnectedCorpus, split: str) -> str:
    """The line, to be pasted into a shell; it says everything that the key of the statistics depends on."""
    words = [program, "statistics", str(run.path), "--images", str(corpus.path), "--split", split]
    if corpus.asked_format:
        words += ["--images-format", corpus.asked_format]
    if run.asked_format:
        words += ["--format", run.asked_format]
    return shlex.join([*words, *_options(run.options)])


def _options(options: RunOptions) -> list[str]:
    words = []
    for flag, value in (
        ("--step-pattern", options.step_pattern),
        ("--architecture", options.architecture),
        ("--output", options.output),
        ("--classes", json.dumps(list(options.class_names), ensure_ascii=False) if options.class_names else None),
        ("--custom-objects", options.custom_objects),
    ):
        if value:
            words += [flag, value]
    if options.trust:
        words += ["--trust"]
    how = options.preprocessing
    if how is not None:
        if how.scale_from != ASSUMED:
            words += ["--scale", repr(how.scale)]
        if how.mean is not None:
            words += [
                "--mean=" + (how.mean if isinstance(how.mean, str) else ",".join(repr(value) for value in how.mean))
            ]
        if how.channel_order_from != BY_DEFAULT:
            words += ["--channel-order", how.channel_order]
    return words
