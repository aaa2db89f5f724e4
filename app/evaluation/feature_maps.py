"""Feature maps: a layer's outputs for one image at the checkpoints, from the cache or evaluated.

run, checkpoints, layer, network input ──► cache ── miss ──► model service, the network's output in the same pass
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.app.cache.content_keys import content_key, pack, unpack
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import NotPossible
from mloscope.app.evaluation.evaluations import Evaluations
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.runs.histograms import AUTO, Histograms, histograms, of_unit
from mloscope.app.runs.opened_run import OpenedRun


@dataclass(frozen=True)
class MapsByStep:
    """A layer's outputs for one image."""

    maps: Mapping[int, np.ndarray]
    """float32 in the layer's output shape (channels last)."""
    missing: Mapping[int, str]
    """A sentence why there is none."""


class FeatureMaps:
    """Answers from the cache and evaluates what is missing. Thread-safe."""

    def __init__(self, cache: ResultCache, evaluations: Evaluations) -> None:
        self._cache = cache
        self._evaluations = evaluations

    def check(self, run: OpenedRun, layer: Layer) -> None:
        """Raise if the layer can never be evaluated; a service that is starting is not an error."""
        self._evaluations.check(run, layer)

    def one(self, run: OpenedRun, step: int, layer: str, image: NetworkInput) -> np.ndarray:
        """Return a layer's output at one step. Raises :class:`NotPossible` if the step has none."""
        found = self.at(run, (run.checkpoint(step),), run.layer(layer), image)
        if step in found.missing:
            raise NotPossible(found.missing[step])
        return found.maps[step]

    def at_steps(
        self, run: OpenedRun, steps: Iterable[int], layer: str, image: NetworkInput, priority: int = 0
    ) -> MapsByStep:
        """Return the layer's outputs at these steps, in temporal order."""
        checkpoints = [run.checkpoint(step) for step in sorted(set(steps))]
        return self.at(run, checkpoints, run.layer(layer), image, priority)

    def histograms(
        self, run: OpenedRun, layer: str, image: NetworkInput, unit: int | None = None, scale: str = AUTO
    ) -> Histograms:
        """Count the layer's outputs for one image at every checkpoint, of one unit or of all."""
        found = self.at(run, run.checkpoints, run.layer(layer), image, priority=1)

        def read(step: int) -> np.ndarray:
            values = found.maps[step]
            return values if unit is None else of_unit(np.moveaxis(values, -1, 0), unit, layer)

        for step in list(found.maps)[:1]:
            read(step)  # a unit that the layer does not have is not the steps' fault
        return histograms(read, list(found.maps), scale, missing=found.missing)

    def at(
        self,
        run: OpenedRun,
        checkpoints: Sequence[Checkpoint],
        layer: Layer,
        image: NetworkInput,
        priority: int = 0,
        fingerprints: Mapping[int, str] | None = None,
    ) -> MapsByStep:
        """Return the layer's outputs at the checkpoints, in temporal order.

        What is in the cache is not evaluated again; what is not is evaluated in one call, and the network's output with it.
        ``fingerprints``: by step, where they are known and the maps must be of those very files. Raises where nothing can
        be evaluated at all; a step that cannot is in ``missing``.
        """
        self._evaluations.check(run, layer)
        known, missing = run.fingerprints(checkpoints) if fingerprints is None else (fingerprints, {})
        names = dict.fromkeys((layer.name, *self._evaluated_along(run)))
        wanted = {
            content_key("map", run.architecture, known[checkpoint.step], name, image.digest): (checkpoint.step, name)
            for checkpoint in checkpoints
            if checkpoint.step in known
            for name in names
        }
        failed: dict[int, str] = {}

        def evaluate(keys: Sequence[str]) -> dict[str, bytes]:
            asked = {key: wanted[key] for key in keys if wanted[key][0] not in failed}
            if not asked:
                return {}
            outputs = self._evaluations.outputs(run, list(asked.values()), known, image, priority)
            failed.update(outputs.failed)
            return {key: pack(outputs.arrays[place]) for key, place in asked.items() if place in outputs.arrays}

        found = self._cache.get_or_compute_many(list(wanted), evaluate)
        maps = {step: unpack(found[key]) for key, (step, name) in wanted.items() if name == layer.name and key in found}
        return MapsByStep(
            dict(sorted(maps.items())),
            {step: reason for step, reason in sorted((missing | failed).items()) if step not in maps},
        )

    @staticmethod
    def _evaluated_along(run: OpenedRun) -> tuple[str, ...]:
        """The layer that tells classes, evaluated in the same pass: who looks at maps looks at predictions too."""
        output = run.basis().output
        if output.layer is None or output.rule is None or run.layer(output.layer).problem:
            return ()
        return (output.layer,)
