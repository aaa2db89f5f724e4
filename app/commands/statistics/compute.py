"""``mloscope statistics``: computes what is not there yet.

Progress goes to stderr as a bar where that is a terminal, else as a line now and then; with ``--json`` it goes to stdout,
one JSON object per line, the last one with ``"state": "done"`` or ``"paused"``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mloscope.app.commands.arguments import values
from mloscope.app.commands.statistics.subject import Subject, add_clusters, add_keep, add_patches
from mloscope.app.errors import Unavailable

if TYPE_CHECKING:
    from mloscope.app.statistics.computing.engine import Outcome, Progress

DESCRIPTION = (
    "Evaluate every checkpoint of a run over every image of a corpus, and keep class probabilities, "
    "confusion counts and clusters for the pages /confusion and /clusters. Finished work is kept; run the command again to "
    "resume. See also mloscope statistics import --help and mloscope statistics export --help."
)
_FAILED = 1
_STOP_WORD = "stop"
_FIRST_WORD = "first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--steps", type=_steps, metavar="STEPS", help='only these checkpoints, such as "0,100,500-2000" (default: all)'
    )
    parser.add_argument(
        "--first",
        type=values.whole(0),
        metavar="STEP",
        help="begin with the checkpoint nearest to this step, then its neighbours",
    )
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="the scheduler of a Dask cluster, such as tcp://host:8786 (default: MLOSCOPE_DASK_ADDRESS)",
    )  # fmt: skip
    parser.add_argument(
        "--processes", type=values.whole(0), default=0, metavar="N",
        help="without --dask: evaluate in N processes (default: in a thread of this one)",
    )  # fmt: skip
    add_clusters(parser)
    add_keep(parser)
    add_patches(parser)
    parser.add_argument("--batch", type=values.whole(1), metavar="N", help="number of images evaluated together")
    parser.add_argument("--json", action="store_true", help="progress and result as JSON, one object per line")
    parser.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)


def _steps(text: str) -> list[tuple[int, int]]:
    """(first, last) of each range."""
    found = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise argparse.ArgumentTypeError(
                f'"{part}" is not a step or a range of steps; expected something like "0,100,500-2000"'
            )
        found.append((int(first), int(last) if dash else int(first)))
    return found


def run(arguments: argparse.Namespace) -> int:
    with _libraries_silenced():
        return _computed(arguments)


@contextlib.contextmanager
def _libraries_silenced() -> Iterator[None]:
    """What TensorFlow's C++ writes to stderr past Python, whatever it is asked, is lost, for it would tear the bar;
    with ``MLOSCOPE_DEBUG`` it is not."""
    if os.environ.get("MLOSCOPE_DEBUG", "") not in ("", "0"):
        yield
        return
    sys.stderr.flush()
    before, number = sys.stderr, os.dup(2)
    with open(number, "w", encoding=before.encoding, errors="backslashreplace", closefd=False) as ours:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        sys.stderr = ours
        try:
            yield
        finally:
            ours.flush()
            sys.stderr = before
            os.dup2(number, 2)
    os.close(number)


def _computed(arguments: argparse.Namespace) -> int:
    from mloscope.app.commands.statistics.progress import JsonLines, progress_on, summary
    from mloscope.app.statistics.computing.dask_workers import connected
    from mloscope.app.statistics.computing.engine import Engine, Progress, is_complete
    from mloscope.app.statistics.computing.plan import plan

    told = JsonLines(sys.stdout) if arguments.json else progress_on(sys.stderr)
    orders = _Orders(arguments.supervised, arguments.first)
    told(Progress("starting", 0, 0, message="Reading run and corpus"))
    subject = Subject(arguments)
    told.basis = subject.basis
    job = plan(
        subject.workspace, "run", "corpus", subject.split, steps=subject.steps(arguments.steps), batch=arguments.batch,
        form=arguments.keep, identity=subject.identity, patches_of=arguments.top_patches,
        patches_per_unit=arguments.patches_per_unit,
    )  # fmt: skip
    if arguments.keep is None and is_complete(job, subject.store):
        outcome = Engine(subject.store, subject.cache_folder, None).compute(job)
    else:
        # --processes asks for this machine.
        address = arguments.dask or (None if arguments.processes else subject.settings.dask_address)
        with connected(address, arguments.processes) as client:
            outcome = Engine(
                subject.store, subject.cache_folder, client, report=told, stop=orders.stop, first=orders.first
            ).compute(job)
    of = job.images * len(job.steps)
    if outcome.state == "done" and arguments.clusters != 0:
        _cluster(subject, arguments, told, orders.stop, outcome, of)
    told.end(Progress(outcome.state, outcome.done, of, message=summary(outcome)), outcome)
    return _FAILED if not outcome.ready and outcome.state == "done" else 0


def _cluster(
    subject: Subject,
    arguments: argparse.Namespace,
    told: Callable[[Progress], None],
    stop: Callable[[], bool],
    outcome: Outcome,
    of: int,
) -> None:
    from mloscope.app.statistics.clusters.clustering import cluster_run
    from mloscope.app.statistics.computing.engine import Progress
    from mloscope.app.statistics.stored.files import unwritable

    planes = list(subject.planes().items())
    if not planes:
        return

    def progress(done: int, total: int) -> None:
        told(Progress("running", of, of, message=f"Clusters and maps: {done} of {total}"))

    try:
        fit = cluster_run(
            subject.store, subject.series, planes, arguments.clusters, arguments.seed, progress, stop, arguments.maps
        )
    except OSError as error:
        raise Unavailable(unwritable(error)) from error
    if fit is None:
        outcome.state = "paused"


class _Orders:
    """What is asked for while we compute, by lines on stdin: "stop" after the task in hand, "first 2000" is the step to go on
    with. Where stdin ends, the process that started us is gone, and we go too."""

    def __init__(self, supervised: bool, first: int | None) -> None:
        self._asked = threading.Event()
        self._first = first
        if supervised:
            if hasattr(signal, "SIGUSR1"):  # from another process of the server than the one that started us
                signal.signal(signal.SIGUSR1, lambda *_: self._asked.set())
            getattr(os, "nice", int)(10)  # pages that are looked at come first
            threading.Thread(target=self._listen, name="listening", daemon=True).start()

    def stop(self) -> bool:
        return self._asked.is_set()

    def first(self) -> int | None:
        return self._first

    def _listen(self) -> None:
        for line in sys.stdin:
            word, _, step = line.strip().partition(" ")
            if word == _STOP_WORD:
                self._asked.set()
            elif word == _FIRST_WORD and step.isdecimal():
                self._first = int(step)
        if not self._asked.is_set():
            os._exit(_FAILED)  # nothing is lost but the task in hand
