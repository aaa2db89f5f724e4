"""Fills the demo's pages about all images, Confusion and Clusters, so that nobody has to find out first how that is done.

It presses the button of these pages as a visitor would: the same job, whose progress they show, and which goes on where it
was where a server ended too soon. What is there already is not computed again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TextIO

from mloscope.app.demo.progress import Progress
from mloscope.app.errors import Conflict, MloscopeError
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.run_statistics import RunStatistics

_LOOK_EVERY_S = 0.2


def compute(statistics: Statistics, stream: TextIO, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Compute what is missing of every connected run over its images, one run after the other; returns when that is done or
    cannot be. What comes of it is told on the stream."""
    for run in statistics.workspace.runs:
        try:
            of = statistics.of(run.name)
            if not _is_complete(of):
                _compute(statistics, of, stream, sleep)
        except MloscopeError as error:
            _say(stream, f"Confusion and Clusters are empty. {error}")


def _is_complete(of: RunStatistics) -> bool:
    return of.clustering is not None and all(step.statistics is not None or step.problem for step in of.steps)


def _compute(statistics: Statistics, of: RunStatistics, stream: TextIO, sleep: Callable[[float], None]) -> None:
    if statistics.jobs is None:
        return
    names = (of.run, of.corpus, of.split)
    try:
        told = statistics.jobs.act("start", *names)
    except Conflict:  # a visitor was quicker
        told = statistics.jobs.state(*names)
    _say(stream, f"Filling Confusion and Clusters: {len(of.steps)} checkpoints, {len(of.positions):,} images.")
    progress: Progress | None = None
    while told["state"] in ("starting", "running"):
        if told["of"]:
            progress = progress or Progress(stream, told["of"], what="evaluation")
            progress.update(told["done"] or 0)
        sleep(_LOOK_EVERY_S)
        told = statistics.jobs.state(*names)
    say = progress.say if progress is not None else lambda sentence: _say(stream, sentence)
    if told["state"] == "done":
        say("Confusion and Clusters are filled.")
    else:
        say(f"Confusion and Clusters are not complete ({told['state']}). {told['message'] or ''}".strip())


def _say(stream: Any, sentence: str) -> None:
    stream.write(f"{sentence}\n")
    stream.flush()
