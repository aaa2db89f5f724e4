"""How far the computation of statistics is: a bar, lines for log files, or lines of JSON; and what came of it."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any, TextIO

from mloscope.app.process.terminal import printable

if TYPE_CHECKING:
    from mloscope.app.evaluation.basis import Basis
    from mloscope.app.statistics.computing.engine import Outcome, Progress

_LINE_EVERY_S = 10.0
_JSON_EVERY_S = 0.5


class JsonLines:
    """A line of JSON for each change, at most two per second."""

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
                "ready": list(outcome.ready),
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
        words += f", {duration(progress.seconds_left)} left"
    if progress.step is not None:
        words += f" (step {progress.step})"
    return words if progress.message == "Evaluating" else f"{words}. {progress.message}"


def duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} h" if hours >= 2 else f"{minutes:.0f} min"


def summary(outcome: Outcome) -> str:
    """What came of it, in one line."""
    if outcome.state == "paused":
        return f"Paused: {counted(len(outcome.ready), 'checkpoint')} ready; run the command again to resume."
    words = f"{counted(len(outcome.ready), 'checkpoint')} ready"
    if outcome.evaluated and outcome.seconds:
        rate = outcome.evaluated / outcome.seconds
        words += f"; {outcome.evaluated:,} evaluations in {duration(outcome.seconds)}, {rate:,.0f} per second"
    if outcome.problems:
        words += f"; {len(outcome.problems)} could not be evaluated"
    return words + "."


def _notices(outcome: Outcome) -> list[str]:
    """What is wrong with single checkpoints, a sentence each."""
    said = [f"Step {step} has no statistics: {problem}" for step, problem in outcome.problems.items()]
    for step, found in outcome.ready.items():
        lost = found.summary["not_predicted"]
        if lost:
            whom = "any image" if lost == found.images else f"{lost:,} of {found.images:,} images"
            said.append(f"Step {step} predicts nothing for {whom}: the network gives NaN, or a picture cannot be read.")
    return said


def counted(number: int, what: str) -> str:
    """Return how many there are of what: ``1 checkpoint``, ``1,200 checkpoints``."""
    return f"{number:,} {what}{'s' * (number != 1)}"
