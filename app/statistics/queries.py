"""The front door of statistics: everything that pages and the REST API ask begins here.

    Statistics.of(run, corpus, split) ──► RunStatistics ──► .step(step) ──► StepStatistics ──► numbers
                                             │
                                             └──► confusion, images, clusters.answers, class_order.orders, tables, values

All of these modules are synchronous and thread-safe, compute nothing that needs a network, and raise
:class:`mloscope.app.errors.MloscopeError` with a sentence. Positions count within the split.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from cachetools import LRUCache

from mloscope.app.errors import NotFound
from mloscope.app.images.opened_corpus import OpenedCorpus
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.statistics.identity import Identity
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.statistics.table import StatisticTable
from mloscope.app.workspace.workspace import Workspace

_REMEMBERED = 64


class Jobs(Protocol):
    """What computes statistics in the background, see :mod:`mloscope.app.statistics.computing.jobs`."""

    def state(self, run: str, corpus: str, split: str) -> dict[str, Any]:
        """``{"state", "done", "of", "rate", "seconds_left", "step", "message"}``"""
        ...

    def act(
        self,
        action: str,
        run: str,
        corpus: str,
        split: str,
        maps: Sequence[str] = (),
        step: int | None = None,
        patches: bool = False,
    ) -> dict[str, Any]:
        """``start``, ``pause``, ``resume``, ``cancel`` or ``reorder``; the state afterwards. ``maps``: kinds to compute besides;
        ``step``: the checkpoint to begin with; ``patches``: find top patches too."""
        ...


class Statistics:
    """The statistics of everything that a workspace holds. ``jobs`` is None if nothing can be computed here; ``program``
    is the first word of the command that computes; ``table``: default what is installed."""

    def __init__(
        self,
        workspace: Workspace,
        store: StatisticsStore,
        jobs: Jobs | None = None,
        program: str = "mloscope",
        table: StatisticTable | None = None,
    ) -> None:
        self.workspace = workspace
        self.store = store
        self.jobs = jobs
        self.program = program
        self.table = StatisticTable.installed() if table is None else table
        self.identity = Identity(workspace)
        self._lock = threading.Lock()
        self._known: LRUCache[Any, Any] = LRUCache(_REMEMBERED)

    def of(self, run: str, corpus: str | None = None, split: str | None = None) -> RunStatistics:
        """The statistics of a run over one split. ``corpus`` None: the run's own; ``split`` None: "test" if there is one,
        else the last."""
        opened = self.workspace.opened_run(run)
        return self._over(opened, self._images(opened, corpus), split)

    def of_image(
        self, run: str, image: str, corpus: str | None = None, split: str | None = None
    ) -> tuple[RunStatistics, int]:
        """The statistics over the split that holds an image, and the image's position in it."""
        opened = self.workspace.opened_run(run)
        images = self._images(opened, corpus)
        place = images.position(image)
        if split is None:
            splits = images.adaptor.splits
            split = next((name for name, positions in splits.items() if place in positions), None)
        of = self._over(opened, images, split)
        if place not in of.positions:
            raise NotFound(f'The image "{image}" is not in the split "{of.split}" of the corpus "{of.corpus}".')
        return of, place - of.positions.start

    def _images(self, run: OpenedRun, corpus: str | None) -> OpenedCorpus:
        corpus = corpus or run.corpus
        if corpus is None:
            raise NotFound("Statistics are made of images, and no corpus is connected; name one with --images.")
        return self.workspace.opened_corpus(corpus)

    def _over(self, run: OpenedRun, images: OpenedCorpus, split: str | None) -> RunStatistics:
        splits = images.adaptor.splits
        if not splits:
            raise NotFound(f'The corpus "{images.name}" has no images.')
        return RunStatistics(self, run, images, split or ("test" if "test" in splits else list(splits)[-1]))

    def remembered(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What ``compute`` returns, kept in memory under what it is computed from."""
        with self._lock:
            if key in self._known:
                return self._known[key]
        value = compute()
        with self._lock:
            self._known[key] = value
        return value
