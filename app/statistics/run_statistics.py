"""The statistics of a run over one split of one corpus: a handle, made once per request and passed on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from mloscope.adaptors.interface import Checkpoint
from mloscope.app.errors import MloscopeError, NotFound, Unavailable
from mloscope.app.images.image_index import ImageIndex
from mloscope.app.images.opened_corpus import OpenedCorpus
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.statistics.clusters.store import Clustering, find_clustering
from mloscope.app.statistics.command import command
from mloscope.app.statistics.expected_duration import expected_seconds
from mloscope.app.statistics.stored.step_statistics import StepStatistics

if TYPE_CHECKING:
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.statistics.stored.store import StatisticsStore
    from mloscope.app.statistics.table import StatisticTable

_RATES = ("accuracy", "top_5_accuracy", "loss", "calibration_error", "not_predicted", "labelled")


@dataclass(frozen=True)
class StepState:
    """What exists of one step."""

    step: int
    state: str = "missing"
    """``ready``, ``unfinished`` (some images are measured) or ``missing``"""
    key: str | None = None
    source: str | None = None
    """``evaluated`` or ``imported``; None unless it is ready"""
    problem: str | None = None
    """Why the step cannot have statistics; None if nothing is known to be wrong."""
    done: int = 0
    """Images measured."""
    statistics: StepStatistics | None = None

    def json(self) -> dict[str, Any]:
        rates = self.statistics.rates if self.statistics is not None else {}
        return {
            "step": self.step,
            "state": self.state,
            "key": self.key,
            "source": self.source,
            "problem": self.problem,
            "images_done": self.done,
            **{name: rates.get(name) for name in _RATES},
        }


class RunStatistics:
    """See the module's docstring. What is read is kept for the life of the handle, so that one answer is of one moment."""

    def __init__(self, statistics: Statistics, run: OpenedRun, images: OpenedCorpus, split: str) -> None:
        self.opened_run, self.opened_corpus = run, images
        self.run, self.corpus, self.split = run.name, images.name, split
        self.positions: range = images.split(split)
        """Of the split's images within the corpus."""
        self._statistics = statistics

    @property
    def store(self) -> StatisticsStore:
        return self._statistics.store

    @property
    def table(self) -> StatisticTable:
        """The statistics that there are."""
        return self._statistics.table

    def remembered(self, key: Any, compute: Callable[[], Any]) -> Any:
        """See :meth:`Statistics.remembered`."""
        return self._statistics.remembered(key, compute)

    @property
    def splits(self) -> dict[str, int]:
        """Number of images of each split of the corpus."""
        return {name: len(positions) for name, positions in self.opened_corpus.adaptor.splits.items()}

    # ------------------------------------------------------------------------------------------------- its steps

    @cached_property
    def steps(self) -> tuple[StepState, ...]:
        """Which steps have statistics, in the order of time. Reads file names and short files only."""
        states = {checkpoint.step: self._state(checkpoint) for checkpoint in self.opened_run.checkpoints}
        for step in self._imports:
            if step not in states:
                states[step] = self._imported(step) or StepState(step)
        return tuple(states[step] for step in sorted(states))

    @cached_property
    def ready(self) -> dict[int, StepStatistics]:
        """The statistics of all steps that have any, in the order of time."""
        return {state.step: state.statistics for state in self.steps if state.statistics is not None}

    def step(self, step: int) -> StepStatistics:
        """The statistics of a step. Raises :class:`NotFound` with the command that computes them."""
        if step in self._imports and step not in self.opened_run.steps:
            state = self._imported(step) or StepState(step)
        else:
            state = self._state(self.opened_run.checkpoint(step))
        if state.statistics is not None:
            return state.statistics
        if state.problem:
            raise NotFound(f"Step {step} has no statistics: {state.problem}")
        how = "are not finished" if state.state == "unfinished" else "do not exist yet"
        raise NotFound(
            f'The statistics of step {step} over the split "{self.split}" of the corpus "{self.corpus}" {how}; '
            f"this computes them: {self.command}"
        )

    def last(self) -> int:
        """The last step that is ready. Raises :class:`NotFound` if none is."""
        if not self.ready:
            raise NotFound(f"No step has statistics yet; this computes them: {self.command}")
        return max(self.ready)

    @cached_property
    def _series(self) -> str:
        return self._statistics.identity.series(self.run, self.corpus, self.split)

    @cached_property
    def _imports(self) -> Mapping[int, Mapping[str, Any]]:
        return self.store.imports(self._series)

    @cached_property
    def _key_of(self) -> Callable[[Checkpoint], str]:
        return self._statistics.identity.step_keys(self.opened_run, self.corpus, self.split)

    def _state(self, checkpoint: Checkpoint) -> StepState:
        store, found = self.store, self._imported(checkpoint.step)
        problem = checkpoint.problem
        if problem is None:
            try:
                key = self._key_of(checkpoint)
            except MloscopeError as error:
                problem = str(error)
            else:
                evaluated = store.find(key)
                if evaluated is not None:
                    return StepState(checkpoint.step, "ready", key, "evaluated", None, evaluated.images, evaluated)
                if found is None:
                    done = store.covered(key)
                    return StepState(checkpoint.step, "unfinished" if done else "missing", key, done=done)
        return found or StepState(checkpoint.step, problem=problem)

    def _imported(self, step: int) -> StepState | None:
        if step not in self._imports:
            return None
        key = str(self._imports[step]["plane"])
        found = self.store.find(key)
        return StepState(step, "ready", key, "imported", None, found.images, found) if found is not None else None

    # -------------------------------------------------------------------------------------------------- clusters

    @cached_property
    def clustering(self) -> Clustering | None:
        """The last clusters of the steps that are ready; None if there are none."""
        keys = {state.step: state.key for state in self.steps if state.statistics is not None and state.key is not None}
        return find_clustering(self.store, self._series, keys) if keys else None

    def clustered(self) -> Clustering:
        """The clusters. Raises :class:`NotFound` with the command that computes them."""
        if self.clustering is None:
            raise NotFound(f"There are no clusters yet; this computes them: {self.command}")
        return self.clustering

    # ------------------------------------------------------------------------------------------ classes and images

    @property
    def image_index(self) -> ImageIndex:
        """What finds images of the whole corpus by words and facets."""
        return self._statistics.workspace.image_index(self.corpus)

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of all steps."""
        return self.names_of(max((step.classes for step in self.ready.values()), default=0))

    def names_of(self, classes: int) -> tuple[str, ...]:
        """Names of at least this many classes; a class without a name is called by its number."""
        names = self._statistics.workspace.class_names(self.run, self.corpus)
        return names + tuple(str(number) for number in range(len(names), classes))

    def image_ids(self) -> list[str]:
        """Ids by position within the split."""
        key = ("ids", self._statistics.identity.corpus(self.corpus), self.split)
        return self.remembered(key, lambda: [self.opened_corpus.record(position).id for position in self.positions])

    def image_labels(self) -> np.ndarray:
        """Class numbers by position within the split, -1 where not known."""
        own = np.asarray(self.opened_corpus.adaptor.labels)[self.positions.start : self.positions.stop]
        labels = self.opened_run.basis(self.corpus).classes.outputs_of(own)
        return np.maximum(labels.astype(np.int64), -1)

    # ------------------------------------------------------------------------------------------------------- jobs

    @cached_property
    def command(self) -> str:
        """The command line that computes what is missing, to be pasted into a shell."""
        run, corpus = self.opened_run.connected, self.opened_corpus.connected
        return command(self._statistics.program, run, corpus, self.split)

    @property
    def can_compute(self) -> bool:
        """Whether this server can compute statistics."""
        return self._statistics.jobs is not None

    def job(self) -> dict[str, Any]:
        """The progress of the computation; its state is ``none`` if there is none."""
        jobs = self._statistics.jobs
        return {"state": "none"} if jobs is None else jobs.state(self.run, self.corpus, self.split)

    def expected_seconds(self) -> float:
        """About how long computing what is missing takes, see :mod:`.expected_duration`."""
        missing = sum(state.statistics is None and state.problem is None for state in self.steps)
        rate = self.job().get("rate")
        return expected_seconds(self.opened_run.layers, missing * len(self.positions), missing, rate)

    def act(
        self, action: str, maps: Sequence[str] = (), step: int | None = None, patches: bool = False
    ) -> dict[str, Any]:
        """``start``, ``pause``, ``resume``, ``cancel`` or ``reorder`` the computation; its state afterwards. ``maps``: kinds of map to
        compute besides; ``step``: the checkpoint to begin with; ``patches``: find top patches of units too."""
        jobs = self._statistics.jobs
        if jobs is None:
            raise Unavailable(f"Statistics cannot be computed by this server; type: {self.command}")
        return jobs.act(action, self.run, self.corpus, self.split, maps, step, patches)
