"""All that is being computed of one checkpoint: class probabilities and, where they were asked for, top patches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.app.statistics.patches.asked import AskedPatches
from mloscope.app.statistics.patches.search import TopPatches
from mloscope.app.statistics.patches.store import PatchStore
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.statistics.stored.unfinished import Span, UnfinishedStep

NO_PATCHES = AskedPatches(())


@dataclass(frozen=True)
class StepInTheMaking:
    """Written slice by slice, by one process or several; what others have written is kept."""

    plane: UnfinishedStep
    patches: PatchStore
    asked: AskedPatches
    """The patches that the step lacks."""

    @classmethod
    def begin(
        cls,
        store: StatisticsStore,
        key: str,
        about: Mapping[str, Any],
        labels: np.ndarray,
        asked: AskedPatches = NO_PATCHES,
    ) -> StepInTheMaking:
        """As :meth:`StatisticsStore.begin`."""
        return cls(store.begin(key, about, labels), PatchStore(store.folder), asked)

    def missing(self, spans: Sequence[Span]) -> list[Span]:
        """The slices of which probabilities or patches are missing."""
        lacks = {*self.plane.missing(spans), *self.patches.missing(self.plane.key, self.asked, spans)}
        return [span for span in spans if span in lacks]

    def write(self, span: Span, probabilities: np.ndarray, found: Mapping[str, TopPatches]) -> None:
        """What is missing of a slice."""
        if self.plane.missing([span]):
            self.plane.write(*span, probabilities)
        if self.asked.layers:
            self.patches.write(self.plane.key, self.asked, span, found)

    def finish(self, spans: Sequence[Span], more: Mapping[str, Any]) -> StepStatistics:
        """Join all slices; ``more`` is added to ``about.json``."""
        if self.asked.layers:
            self.patches.finish(self.plane.key, self.asked, spans)
        return self.plane.finish(more)
