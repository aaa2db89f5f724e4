"""Predictions: the class probabilities of one image, at some checkpoints or all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mloscope.adaptors.interface import Layer
from mloscope.app.cache.content_keys import content_key, pack, unpack
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import NotPossible
from mloscope.app.evaluation.evaluations import Evaluations
from mloscope.app.evaluation.feature_maps import FeatureMaps, MapsByStep
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.evaluation.pacing import nearest_first, place_of
from mloscope.app.images.opened_corpus import OpenedCorpus
from mloscope.app.model_service.class_probabilities import AS_GIVEN, as_probabilities
from mloscope.app.process.line_streams import Lines, with_end
from mloscope.app.process.plain_json import plain
from mloscope.app.runs.opened_run import OpenedRun


@dataclass(frozen=True)
class Predictions:
    """Class probabilities of one image."""

    probabilities: dict[int, np.ndarray]
    """By step, float64 (class,)."""
    missing: Mapping[int, str]
    """By step, a sentence why there are none."""
    kind: str
    """One of :data:`mloscope.app.model_service.class_probabilities.RULES`."""

    @classmethod
    def of(cls, rule: str, outputs: MapsByStep) -> Predictions:
        """Convert the output layer's values to probabilities."""
        if not outputs.maps:
            return cls({}, outputs.missing, AS_GIVEN)
        stacked = np.stack([row.astype(np.float64).ravel() for row in outputs.maps.values()])
        rows, kind = as_probabilities(rule, stacked)
        return cls(dict(zip(outputs.maps, rows, strict=True)), outputs.missing, kind)

    def lines(self) -> Lines:
        lines: Lines = []
        if self.probabilities:
            rows = [plain(row) for row in self.probabilities.values()]
            lines.append({"steps": list(self.probabilities), "probabilities": rows, "kind": self.kind})
        lines += ({"missing": {"step": step, "reason": reason}} for step, reason in self.missing.items())
        return lines


@dataclass(frozen=True)
class PredictionCourse:
    """Predictions for one image over the whole run."""

    probabilities: np.ndarray
    """float64 (checkpoint, class), in the checkpoints' order; rows of NaN where there is none."""
    class_names: tuple[str, ...]
    true_class: int | None
    """Which of the network's classes is right; None where that is not known."""
    missing: Mapping[int, str]
    kind: str


class Predictor:
    """Answers which classes a network predicts for an image. Thread-safe."""

    def __init__(self, cache: ResultCache, evaluations: Evaluations, feature_maps: FeatureMaps) -> None:
        self._cache = cache
        self._evaluations = evaluations
        self._maps = feature_maps

    def at_steps(
        self, run: OpenedRun, steps: Iterable[int], corpus: str | None, image: NetworkInput, priority: int = 0
    ) -> Predictions:
        """Return class probabilities at these steps."""
        output, rule = _classifier(run, corpus)
        wanted = set(steps)
        if len(run.steps) > 1 and wanted == set(run.steps):
            return Predictions.of(rule, self._everywhere(run, output, image, priority))
        return Predictions.of(rule, self._maps.at_steps(run, wanted, output.name, image, priority))

    def course(self, run: OpenedRun, corpus: OpenedCorpus, position: int, image: NetworkInput) -> PredictionCourse:
        """Return class probabilities at every checkpoint, and the right class. ``position``: of the image in the
        corpus."""
        found = self.at_steps(run, run.steps, corpus.name, image)
        classes = max((len(row) for row in found.probabilities.values()), default=0)
        course = np.full((len(run.steps), classes), np.nan)
        for row, step in enumerate(run.steps):
            if step in found.probabilities:
                course[row] = found.probabilities[step]
        known = run.basis(corpus.name).classes
        label = known.output_of(corpus.record(position).label)
        return PredictionCourse(course, known.names, label, found.missing, found.kind)

    def stream(
        self, run: OpenedRun, corpus: str | None, image: NetworkInput, near: int | None = None
    ) -> Iterator[Lines]:
        """Yield predictions at every checkpoint as they arrive, nearest to ``near`` first, as JSON lines; predictions
        computed together share a line.

        ``{"steps", "probabilities", "kind"}``, ``{"missing": {"step", "reason"}}``, at the end ``{"done": true}`` or
        ``{"error"}``. Raises at once where the question is wrong.
        """
        output, rule = _classifier(run, corpus)
        kept = self._kept(run, output, image)
        return with_end(self._pieces(run, output, rule, image, kept, near))

    def _pieces(
        self, run: OpenedRun, output: Layer, rule: str, image: NetworkInput, kept: _KeptOutputs, near: int | None
    ) -> Iterator[Lines]:
        checkpoints = run.checkpoints
        order = nearest_first(len(checkpoints), place_of(checkpoints, near))
        if kept.found is not None:
            in_order = (checkpoints[i].step for block in order for i in block)
            maps = {step: kept.found.maps[step] for step in in_order if step in kept.found.maps}
            yield Predictions.of(rule, MapsByStep(maps, kept.found.missing)).lines()
            return
        every: dict[int, np.ndarray] = {}
        for group in self._evaluations.pace.groups(run.architecture, order):
            found = self._maps.at(run, [checkpoints[i] for block in group for i in block], output, image)
            every |= found.maps
            yield Predictions.of(rule, found).lines()
        self._keep(run, kept, every)

    # -------------------------------------------------------------------------- all checkpoints as one result

    def _everywhere(self, run: OpenedRun, output: Layer, image: NetworkInput, priority: int) -> MapsByStep:
        """Return the network's outputs at every checkpoint: one cached result, because they are needed together."""
        kept = self._kept(run, output, image)
        if kept.found is not None:
            return kept.found
        found = self._maps.at(run, run.checkpoints, output, image, priority)
        self._keep(run, kept, found.maps)
        return found

    def _kept(self, run: OpenedRun, output: Layer, image: NetworkInput) -> _KeptOutputs:
        self._evaluations.check(run, output)
        prints, missing = run.fingerprints(run.checkpoints)
        key = content_key("outputs", run.architecture, output.name, image.digest, *map(str, prints.items()))
        data = self._cache.kept([key]).get(key)
        found = None if data is None else MapsByStep(dict(zip(prints, unpack(data), strict=True)), missing)
        return _KeptOutputs(key, prints, found)

    def _keep(self, run: OpenedRun, kept: _KeptOutputs, maps: Mapping[int, np.ndarray]) -> None:
        """Cache them if they are complete and the files are still those of the key."""
        if not maps or maps.keys() != kept.prints.keys():
            return
        if run.fingerprints(run.checkpoints).known == kept.prints:
            together = pack(np.stack([maps[step] for step in kept.prints]))
            self._cache.get_or_compute(kept.key, lambda: together)


@dataclass(frozen=True)
class _KeptOutputs:
    """A network's outputs at every checkpoint for one image, as one cached result."""

    key: str
    prints: Mapping[int, str]
    """Fingerprints, by step, of the checkpoints that can be read."""
    found: MapsByStep | None
    """None where the cache does not have them."""


def _classifier(run: OpenedRun, corpus: str | None) -> tuple[Layer, str]:
    """Return the output layer and its rule for probabilities."""
    output = run.basis(corpus).output
    if output.layer is None or output.rule is None:
        raise NotPossible(f'The run "{run.name}" gives no class probabilities. {output.refusal}')
    return run.layer(output.layer), output.rule
