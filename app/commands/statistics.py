"""``mloscope statistics``: computes, imports and exports statistics; see docs/statistics.md.

    mloscope statistics RUN --images CORPUS          compute what is not there yet
    mloscope statistics import RUN --images CORPUS FILES...
    mloscope statistics export RUN --images CORPUS

Progress goes to stderr as a bar where that is a terminal, else as a line now and then; with ``--json`` it goes to stdout,
one JSON object a line, the last one with ``"state": "done"`` or ``"paused"``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mloscope.app.errors import NotFound, Unavailable
from mloscope.app.process.terminal import printable

if TYPE_CHECKING:
    from mloscope.adaptors.interface import RunOptions
    from mloscope.app.evaluation.basis import Basis
    from mloscope.app.statistics.computing.engine import Outcome, Progress
    from mloscope.app.statistics.export import Table
    from mloscope.app.statistics.stored.step_statistics import StepStatistics
    from mloscope.app.statistics.stored.store import StatisticsStore
    from mloscope.app.workspace.workspace import Workspace

ORDERS = ("import", "export")
TABLES = ("steps", "confusion", "classes", "images", "moves", "clusters", "members")
_FAILED = 1
_LINE_EVERY_S = 10.0
_JSON_EVERY_S = 0.5
_STOP_WORD = "stop"


def add_arguments(
    statistics: argparse.ArgumentParser,
    add_run_options: Callable[[argparse.ArgumentParser], None],
    run_options: Callable[[argparse.Namespace], RunOptions],
) -> None:
    """The arguments of all three; which one is meant is the hidden first word, see :func:`with_order`.

    ``add_run_options`` adds what can be said of any run, ``run_options`` reads it.
    """
    statistics.set_defaults(run_options=run_options)
    orders = statistics.add_subparsers(metavar="", required=True, parser_class=type(statistics))

    compute = orders.add_parser(
        "compute",
        prog=statistics.prog,
        description="Evaluate every checkpoint of a run over every image of a corpus, and keep class probabilities, "
        "confusion counts and clusters for the pages /confusion and /clusters. What is there already stays, and what was "
        "broken off goes on. mloscope statistics import and mloscope statistics export have help of their own.",
    )
    _add_subject(compute, add_run_options)
    compute.add_argument(
        "--steps", type=_steps, metavar="STEPS", help='only these checkpoints, such as "0,100,500-2000" (default: all)'
    )
    compute.add_argument(
        "--dask", metavar="ADDRESS", help="the scheduler of a Dask cluster, such as tcp://host:8786 (default: MLOSCOPE_DASK_ADDRESS)",
    )  # fmt: skip
    compute.add_argument(
        "--processes", type=_whole(0), default=0, metavar="N",
        help="without --dask: evaluate in so many processes (default: in a thread of this one)",
    )  # fmt: skip
    _add_clusters(compute)
    compute.add_argument(
        "--keep", choices=("full", "top-20"), help="how many probabilities of an image (default: by size)"
    )
    compute.add_argument("--batch", type=_whole(1), metavar="N", help="images that are evaluated at once")
    compute.add_argument("--json", action="store_true", help="progress and result as JSON, one object a line")
    compute.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    compute.set_defaults(command=_compute)

    bring_in = orders.add_parser(
        "import",
        prog=f"{statistics.prog} import",
        description="Take predictions computed elsewhere, a file a checkpoint: .npy, .npz, .csv, .parquet, or Dataset "
        "Cartography's dynamics_epoch_N.jsonl; docs/statistics.md says what is in them. Everything is checked first.",
    )
    _add_subject(bring_in, add_run_options)
    bring_in.add_argument(
        "files", nargs="+", metavar="FILE",
        help="its name tells the step, as a checkpoint's does; STEP=FILE says another; a folder stands for its files",
    )  # fmt: skip
    kinds = bring_in.add_mutually_exclusive_group()
    kinds.add_argument(
        "--logits", dest="kind", action="store_const", const="logits", help="the files hold logits, unless they say"
    )
    kinds.add_argument(
        "--probabilities", dest="kind", action="store_const", const="probabilities", help="the default, checked"
    )
    bring_in.add_argument(
        "--keep", choices=("full", "top-20"), help="how many probabilities of an image (default: by size)"
    )
    _add_clusters(bring_in)
    bring_in.set_defaults(command=_import)

    export = orders.add_parser(
        "export",
        prog=f"{statistics.prog} export",
        description="Write a table as CSV, Parquet or JSON.",
    )
    _add_subject(export, add_run_options)
    export.add_argument(
        "--table", choices=TABLES, default="steps",
        help="steps: rates of every checkpoint (the default); of one step: confusion, classes, images, clusters, members "
        "(of clusters); moves: images whose prediction changed between --since and --step",
    )  # fmt: skip
    export.add_argument(
        "--statistic", metavar="NAME",
        help="instead of a table: one statistic at every step, such as recall (the REST API's /statistics lists all)",
    )  # fmt: skip
    export.add_argument("--layer", metavar="NAME", help="of a --statistic of weights: the layer")
    export.add_argument(
        "--step", type=_whole(0), metavar="STEP", help="the checkpoint (default: the last with statistics)"
    )
    export.add_argument(
        "--since", type=_whole(0), metavar="STEP", help="of moves: the earlier step (default: the first)"
    )
    export.add_argument(
        "--to", type=Path, metavar="FILE", help="a .csv, .parquet or .json file (default: CSV on stdout)"
    )
    export.set_defaults(command=_export)


def with_order(arguments: Sequence[str]) -> list[str]:
    """The command line with the word "compute" where no other order stands: ``statistics RUN`` is short for it."""
    words = list(arguments)
    if words[:1] == ["statistics"] and words[1:2] not in [[order] for order in ORDERS]:
        words.insert(1, "compute")
    return words


def _add_subject(parser: argparse.ArgumentParser, add_run_options: Callable[[argparse.ArgumentParser], None]) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a folder of checkpoints, or one file")
    parser.add_argument("--images", metavar="CORPUS", type=Path, required=True, help="the images")
    parser.add_argument("--images-format", metavar="NAME", help="the adaptor that reads CORPUS")
    parser.add_argument("--split", metavar="NAME", help="which images of it (default: test, else the last split)")
    add_run_options(parser)


def _add_clusters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clusters", type=_whole(0), metavar="K",
        help="how many clusters of images (default: two a class, at most 30; 0: none)",
    )  # fmt: skip
    parser.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="for the clusters (default: 0)")


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f'"{text}" must be a whole number from {least}')
        return int(text)

    return parse


def _steps(text: str) -> list[tuple[int, int]]:
    """(first, last) of each range."""
    found = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or (dash and int(last) < int(first)):
            raise argparse.ArgumentTypeError(f'"{part}" is no step or range of steps; right is "0,100,500-2000"')
        found.append((int(first), int(last) if dash else int(first)))
    return found


# ------------------------------------------------------------------------------------------------- what is meant


class _Subject:
    """The run and corpus of a command line, opened, and the store."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from mloscope.app.commands.opened_subject import open_subject
        from mloscope.app.statistics.queries import Statistics
        from mloscope.app.statistics.stored.store import StatisticsStore

        opened = open_subject(arguments)
        self.workspace: Workspace = opened.workspace
        self.split: str = opened.split
        self.settings = opened.settings
        self.cache_folder = opened.cache_folder
        self.store: StatisticsStore = StatisticsStore(self.cache_folder)
        self.statistics = Statistics(self.workspace, self.store)
        self.identity = self.statistics.identity

    @property
    def basis(self) -> Basis:
        """What the numbers rest on."""
        return self.workspace.basis("run", "corpus")

    @property
    def series(self) -> str:
        return self.identity.series("run", "corpus", self.split)

    def steps(self, ranges: Sequence[tuple[int, int]] | None) -> list[int] | None:
        """The checkpoints' steps in these ranges. Raises :class:`NotFound` for a range without any."""
        if ranges is None:
            return None
        known = [checkpoint.step for checkpoint in self.workspace.opened_run("run").checkpoints]
        for first, last in ranges:
            if not any(first <= step <= last for step in known):
                span = f"{first}" if first == last else f"{first} to {last}"
                ends = f"its steps go from {min(known)} to {max(known)}" if known else "it has no checkpoint"
                raise NotFound(f"The run has no checkpoint of step {span}; {ends}.")
        return [step for step in known if any(first <= step <= last for first, last in ranges)]

    def planes(self) -> dict[int, StepStatistics]:
        """All there are, by step, imported ones where nothing was evaluated."""
        return self.statistics.of("run", "corpus", self.split).ready


# ----------------------------------------------------------------------------------------------------- compute


def _compute(arguments: argparse.Namespace) -> int:
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
    from mloscope.app.statistics.computing.dask_workers import connected
    from mloscope.app.statistics.computing.engine import Engine, Progress
    from mloscope.app.statistics.computing.plan import plan

    told = _Json(sys.stdout) if arguments.json else progress_on(sys.stderr)
    stop = _Stop(arguments.supervised)
    told(Progress("starting", 0, 0, message="Looking at run and corpus"))
    subject = _Subject(arguments)
    told.basis = subject.basis
    job = plan(
        subject.workspace, "run", "corpus", subject.split, steps=subject.steps(arguments.steps), batch=arguments.batch,
        form=arguments.keep, identity=subject.identity,
    )  # fmt: skip
    ready = sum(subject.store.find(planned.key) is not None for planned in job.steps)
    if ready == len(job.steps) and arguments.keep is None:
        outcome = Engine(subject.store, subject.cache_folder, None).compute(job)
    else:
        # --processes asks for this machine.
        address = arguments.dask or (None if arguments.processes else subject.settings.dask_address)
        with connected(address, arguments.processes) as client:
            outcome = Engine(subject.store, subject.cache_folder, client, report=told, stop=stop).compute(job)
    of = job.images * len(job.steps)
    if outcome.state == "done" and arguments.clusters != 0:
        _cluster(subject, arguments, told, stop, outcome, of)
    told.end(Progress(outcome.state, outcome.done, of, message=_summary(outcome)), outcome)
    return _FAILED if not outcome.planes and outcome.state == "done" else 0


def _cluster(
    subject: _Subject,
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
        told(Progress("running", of, of, message=f"Clusters: {done} of {total}"))

    try:
        fit = cluster_run(subject.store, subject.series, planes, arguments.clusters, arguments.seed, progress, stop)
    except OSError as error:
        raise Unavailable(unwritable(error)) from error
    if fit is None:
        outcome.state = "paused"


def _summary(outcome: Outcome) -> str:
    """What came of it, in one line."""
    if outcome.state == "paused":
        return f"Paused: {_count(len(outcome.planes), 'checkpoint')} ready; the same command goes on."
    words = f"{_count(len(outcome.planes), 'checkpoint')} ready"
    if outcome.evaluated and outcome.seconds:
        rate = outcome.evaluated / outcome.seconds
        words += f"; {outcome.evaluated:,} evaluations in {_duration(outcome.seconds)}, {rate:,.0f} a second"
    if outcome.problems:
        words += f"; {len(outcome.problems)} could not be evaluated"
    return words + "."


def _notices(outcome: Outcome) -> list[str]:
    """What is wrong with single checkpoints, a sentence each."""
    said = [f"Step {step} has no statistics: {problem}" for step, problem in outcome.problems.items()]
    for step, plane in outcome.planes.items():
        lost = plane.summary["not_predicted"]
        if lost:
            whom = "any image" if lost == plane.images else f"{lost:,} of {plane.images:,} images"
            said.append(f"Step {step} predicts nothing for {whom}: the network gives NaN, or a picture cannot be read.")
    return said


class _Stop:
    """Whether to stop after the task in hand: asked for by a line "stop" on stdin. Where stdin ends, the process that
    started us is gone, and we go too."""

    def __init__(self, supervised: bool) -> None:
        self._asked = threading.Event()
        if supervised:
            if hasattr(signal, "SIGUSR1"):  # from another process of the server than the one that started us
                signal.signal(signal.SIGUSR1, lambda *_: self._asked.set())
            getattr(os, "nice", int)(10)  # pages that are looked at come first
            threading.Thread(target=self._listen, name="listening", daemon=True).start()

    def __call__(self) -> bool:
        return self._asked.is_set()

    def _listen(self) -> None:
        for line in sys.stdin:
            if line.strip() == _STOP_WORD:
                self._asked.set()
        if not self._asked.is_set():
            os._exit(_FAILED)  # nothing is lost but the task in hand


# ---------------------------------------------------------------------------------------------- import, export


def _import(arguments: argparse.Namespace) -> int:
    from mloscope.app.statistics.clusters.clustering import cluster_run
    from mloscope.app.statistics.importing.importer import Importer

    subject = _Subject(arguments)
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
        print(f"Statistics that were evaluated here come before imported ones at the steps {', '.join(hidden)}.")
    if arguments.clusters != 0:
        cluster_run(subject.store, subject.series, list(planes.items()), arguments.clusters, arguments.seed)
    print(f"{_count(len(planes), 'checkpoint')} ready.")
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
                raise NotFound(f"The folder {word} holds no file of predictions ({', '.join(suffixes)}).")
            found += [(None, path) for path in inside]
        else:
            found.append((None, Path(word)))
    return found


def _export(arguments: argparse.Namespace) -> int:
    from mloscope.app.statistics import tables
    from mloscope.app.statistics.values import course

    subject = _Subject(arguments)
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


# ---------------------------------------------------------------------------------------------------- progress


class _Json:
    """A line of JSON for each change, at most two a second."""

    basis: Basis | None = None
    """What the numbers rest on; told at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: tuple[Any, ...] = ()
        self._when = -float("inf")

    def __call__(self, progress: Progress) -> None:
        now = (progress.state, progress.done, progress.of, progress.step, progress.message)
        soon = time.monotonic() - self._when < _JSON_EVERY_S and (progress.state,) == self._last[:1]
        if now != self._last and not soon:
            self._last, self._when = now, time.monotonic()
            self._line(vars(progress))

    def end(self, progress: Progress, outcome: Outcome) -> None:
        self._line(
            {
                **vars(progress),
                "ready": list(outcome.planes),
                "problems": {str(step): problem for step, problem in outcome.problems.items()},
                "notices": [
                    *_notices(outcome),
                    *(notice.sentence for notice in (self.basis.notices if self.basis is not None else ())),
                ],
                "basis": self.basis.json() if self.basis is not None else None,
                "evaluated": outcome.evaluated,
                "seconds": round(outcome.seconds, 3),
            }
        )

    def _line(self, values: dict[str, Any]) -> None:
        self._stream.write(json.dumps(values) + "\n")
        self._stream.flush()


class _Lines:
    """A line now and then, for log files."""

    basis: Basis | None = None
    """What the numbers rest on; told at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._when = -float("inf")
        self._message = ""

    def __call__(self, progress: Progress) -> None:
        same = progress.message.partition(":")[0] == self._message.partition(":")[0]
        if same and time.monotonic() - self._when < _LINE_EVERY_S:
            return
        self._message, self._when = progress.message, time.monotonic()
        self._write(_words(progress))

    def end(self, progress: Progress, outcome: Outcome) -> None:
        self._write(progress.message)
        for sentence in _notices(outcome):
            self._write(sentence)
        for line in self.basis.lines() if self.basis is not None else ():
            self._write(printable(line))

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class _Bar(_Lines):
    """One line that is written over."""

    def __call__(self, progress: Progress) -> None:
        width = shutil.get_terminal_size().columns
        share = progress.done / progress.of if progress.of else 0.0
        words = _words(progress)
        room = max(0, min(30, width - len(words) - 4))
        bar = f"[{'#' * int(room * share):-<{room}}] " if room >= 8 and progress.of else ""
        self._stream.write(f"\r\x1b[K{bar}{words}"[: width + 4])
        self._stream.flush()

    def end(self, progress: Progress, outcome: Outcome) -> None:
        self._stream.write("\r\x1b[K")
        super().end(progress, outcome)


def progress_on(stream: TextIO) -> _Lines:
    """What shows progress there: a bar on a terminal, else lines."""
    return _Bar(stream) if stream.isatty() else _Lines(stream)


def _words(progress: Progress) -> str:
    if not progress.of or progress.state == "starting" or progress.message.startswith("Clusters"):
        return progress.message
    words = f"{100 * progress.done // progress.of} %, {progress.done:,} of {progress.of:,}"
    if progress.rate is not None:
        words += f", {progress.rate:,.0f} images/s"
    if progress.seconds_left is not None:
        words += f", {_duration(progress.seconds_left)} left"
    if progress.step is not None:
        words += f" (step {progress.step})"
    return words if progress.message == "Evaluating" else f"{words}. {progress.message}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} h" if hours >= 2 else f"{minutes:.0f} min"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
