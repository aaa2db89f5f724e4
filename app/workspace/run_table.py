"""The table of runs: for each what one searches, sorts and filters by, prepared once and again only when its files change.

    Workspace.runs ──► RunTable.rows ──► RunRow: state, checkpoints, last change, settings, metrics, tags, group

Preparing opens files, so one question prepares no more than a fraction of a second's worth; the next one goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mloscope.adaptors.files.setting_files import Setting, read_setting_files
from mloscope.adaptors.interface import Curve, RunOptions
from mloscope.app.errors import MloscopeError
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.training_curves import TrainingCurvesReader
from mloscope.app.workspace.connected import ConnectedRun
from mloscope.app.workspace.run_labels import NONE, RunLabels
from mloscope.app.workspace.workspace import Workspace

PREPARE_FOR_S = 0.4
NEW_FOR_S = 24 * 3600.0
BROKEN, LIVE, NEW, OPENING, READY = "broken", "live", "new", "opening", "ready"
STATES = (LIVE, NEW, READY, OPENING, BROKEN)


@dataclass(frozen=True)
class MetricEnds:
    """A curve in three numbers; those that are not finite are left out of them."""

    last: float | None
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class RunFacts:
    """What a run's files tell, without what changes by itself."""

    checkpoints: int = 0
    broken: int = 0
    """Checkpoints that cannot be read."""
    first_step: str | None = None
    last_step: str | None = None
    problem: str | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    metrics: Mapping[str, MetricEnds] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRow:
    """One run of the table."""

    run: ConnectedRun
    facts: RunFacts
    is_prepared: bool
    state: str
    """One of :data:`STATES`."""
    labels: RunLabels = NONE

    @property
    def problem(self) -> str | None:
        return None if self.run.is_being_opened else self.run.problem or self.facts.problem


class RunTable:
    """Rows of all runs of a workspace. Thread-safe."""

    def __init__(
        self,
        workspace: Workspace,
        curves: TrainingCurvesReader,
        *,
        prepare_for_s: float = PREPARE_FOR_S,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._workspace, self._curves = workspace, curves
        self._prepare_for_s, self._clock, self._now = prepare_for_s, clock, now
        self._known: dict[str, tuple[ConnectedRun, RunFacts]] = {}
        self._preparing = threading.Lock()

    def rows(self) -> list[RunRow]:
        """Return a row for each run, in the workspace's order. Some may not be prepared yet: ask again."""
        runs = self._workspace.runs
        known = self._prepared(runs)
        return [self._row(run, known.get(run.name)) for run in runs]

    def _row(self, run: ConnectedRun, known: tuple[ConnectedRun, RunFacts] | None) -> RunRow:
        is_read = run.adaptor is None or (known is not None and known[0] is run)
        facts = known[1] if known is not None and run.adaptor is not None else RunFacts()
        row = RunRow(run, facts, is_read and not run.is_being_opened, READY, self._workspace.labels.find(run.path))
        return replace(row, state=self._state(row))

    def _state(self, row: RunRow) -> str:
        if row.run.is_being_opened:
            return OPENING
        if row.problem:
            return BROKEN
        now_s = self._now()
        if row.run.activity is not None and row.run.activity.is_live(now_s):
            return LIVE
        found_s = row.run.found_s
        return NEW if found_s is not None and now_s - found_s < NEW_FOR_S else READY

    def _prepared(self, runs: tuple[ConnectedRun, ...]) -> dict[str, tuple[ConnectedRun, RunFacts]]:
        """Prepare what is not prepared yet, within the time; whoever comes meanwhile takes what there is."""
        if not self._preparing.acquire(blocking=False):
            return dict(self._known)
        try:
            until_s = self._clock() + self._prepare_for_s
            kept = {run.name for run in runs}
            known = {name: found for name, found in self._known.items() if name in kept}
            for run in runs:
                if run.adaptor is None or (run.name in known and known[run.name][0] is run):
                    continue
                if self._clock() > until_s:
                    break
                known[run.name] = (run, self._facts(run))
            self._known = known
            return dict(known)
        finally:
            self._preparing.release()

    def _facts(self, run: ConnectedRun) -> RunFacts:
        try:
            opened = self._workspace.opened_run(run.name)
            checkpoints = opened.checkpoints
        except MloscopeError as error:
            return RunFacts(problem=str(error))
        return RunFacts(
            len(checkpoints),
            sum(checkpoint.problem is not None for checkpoint in checkpoints),
            *(
                (end.label or str(end.step) for end in (checkpoints[0], checkpoints[-1]))
                if checkpoints
                else (None, None)
            ),
            settings=_settings(opened),
            metrics={curve.name: _ends(curve) for curve in self._curves.of(opened).curves},
        )


def _ends(curve: Curve) -> MetricEnds:
    finite = curve.y[np.isfinite(curve.y)]
    if not len(finite):
        return MetricEnds(None, None, None)
    return MetricEnds(float(finite[-1]), float(finite.min()), float(finite.max()))


def _settings(opened: OpenedRun) -> dict[str, Setting]:
    """Return what the run's files say of its training, and what the user said of it; then what its network is."""
    found: dict[str, Setting] = dict(read_setting_files(opened.path)[0])
    found |= _said(opened.options)
    try:
        layers = opened.layers
    except MloscopeError:
        return found
    return found | {
        "network layers": len(layers),
        "network parameters": sum(layer.parameter_count for layer in layers),
    }


def _said(options: RunOptions) -> dict[str, Setting]:
    said: dict[str, Any] = {
        "step pattern": options.step_pattern,
        "architecture": options.architecture,
        "output layer": options.output,
        "custom objects": options.custom_objects,
        "trust": options.trust or None,
    }
    return {name: value for name, value in said.items() if value is not None}
