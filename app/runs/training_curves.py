"""How training went, as far as a run's files tell: curves that the adaptor finds in the checkpoints themselves, and those
of log files beside them. Remembered until a file changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cachetools import LRUCache

from mloscope.adaptors.files.metric_files import MetricFile, find_metric_files, on_both_axes, read_metric_files
from mloscope.adaptors.interface import AdaptorError, Curve, HasMetrics, RunAdaptor
from mloscope.app.runs.opened_run import OpenedRun

logger = logging.getLogger(__name__)

OWN_SOURCE = "checkpoints"
"""The source of curves that stand in the checkpoints."""
_MOST_REMEMBERED = 512


class TrainingCurves(NamedTuple):
    """What a run's files tell of its training."""

    curves: tuple[Curve, ...]
    problems: tuple[str, ...]
    """Sentences about files that could not be read, and about what was assumed."""


class TrainingCurvesReader:
    """Reads the curves of runs, and remembers them until a file changes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: MutableMapping[tuple[Path, int], tuple[tuple[MetricFile, ...], RunAdaptor, TrainingCurves]]
        self._known = LRUCache(_MOST_REMEMBERED)

    def of(self, opened: OpenedRun) -> TrainingCurves:
        """The curves of the run, its own first. Lists folders; opens files only where they have changed. Raises nothing."""
        run = opened.adaptor
        files = find_metric_files(opened.path)
        key = (opened.path, id(run))
        with self._lock:
            known = self._known.get(key)
        if known is not None and known[0] == files:
            return known[2]
        own, problems = _own(run)
        read, broken = read_metric_files(files)
        try:
            curves, said = on_both_axes((*own, *read), run.checkpoints())
        except AdaptorError:
            curves, said = (*own, *read), ()
        found = TrainingCurves(curves, (*problems, *broken, *said))
        with self._lock:
            # The run is kept beside, so that its id stays its own.
            self._known[key] = (files, run, found)
        return found


def _own(run: RunAdaptor) -> tuple[tuple[Curve, ...], tuple[str, ...]]:
    if not isinstance(run, HasMetrics):
        return (), ()
    try:
        return tuple(
            Curve(name, "step", np.asarray(steps), np.asarray(values, np.float64), OWN_SOURCE)
            for name, (steps, values) in run.metrics().items()
        ), ()
    except AdaptorError as error:
        return (), (str(error),)
    except Exception as error:  # a stranger's adaptor: its curves must not take the run with them
        logger.exception("adaptor %s failed on the metrics of its run", run.format)
        return (), (f"The adaptor {run.format} failed on the metrics in the checkpoints: {type(error).__name__}.",)


def curve_json(curve: Curve) -> dict[str, Any]:
    """As the REST API gives it; its NaNs are still to be made null."""
    return {
        "name": curve.name,
        "axis": curve.axis,
        "x": curve.x,
        "y": curve.y,
        "converted": curve.converted,
        "source": curve.source,
    }
