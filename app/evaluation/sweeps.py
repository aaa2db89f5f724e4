"""What a network makes of an image that is changed little by little: how far each layer's output moves, and what becomes of a class.

    amounts of a change ──► changed images ──► outputs of the layers, checkpoint by checkpoint ──► distances, class probabilities

As in Figure 5 of Zeiler and Fergus (2014), with a time axis. Adding a sweep is one line of :data:`SWEEPS`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.app.cache.content_keys import content_key, pack, unpack
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.evaluation.evaluations import Evaluations
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.evaluation.pacing import nearest_first, place_of
from mloscope.app.model_service.class_probabilities import as_probabilities
from mloscope.app.process.line_streams import Lines, with_end
from mloscope.app.runs.opened_run import OpenedRun

MOST_LAYERS = 12
"""Measured where none are named: those with parameters, evenly chosen among more."""
MOST_AMOUNTS = 61


@dataclass(frozen=True)
class Sweep:
    """A change whose amount grows."""

    name: str
    title: str
    unit: str
    low: float
    high: float
    count: int
    neutral: float
    """The amount that changes nothing."""
    change: Callable[[float], str]
    """What of a reference stands for an amount; see :mod:`mloscope.app.images.changes`."""

    def amounts(self, low: float | None, high: float | None, count: int | None) -> tuple[float, ...]:
        """Return the amounts, evenly spaced. Raises :class:`BadRequest`."""
        low, high, count = (
            default if given is None else given
            for given, default in ((low, self.low), (high, self.high), (count, self.count))
        )
        if not 2 <= count <= MOST_AMOUNTS or not low < high:
            raise BadRequest(
                f"A sweep goes from one amount up to a larger one, in 2 to {MOST_AMOUNTS} amounts; got {low:g} to {high:g} "
                f"in {count}."
            )
        return tuple(float(f"{amount:.6g}") for amount in np.linspace(low, high, int(count)))


def _centred(share: float) -> str:
    edge = (100 - share) / 2
    return f"~occlude={edge:g},{edge:g},{share:g},{share:g}"


SWEEPS: Mapping[str, Sweep] = {
    sweep.name: sweep
    for sweep in (
        Sweep("shift-right", "Shift right", "px", -10, 10, 21, 0, lambda amount: f"~shift={amount:g},0"),
        Sweep("shift-down", "Shift down", "px", -10, 10, 21, 0, lambda amount: f"~shift=0,{amount:g}"),
        Sweep("rotation", "Rotation", "°", -180, 180, 25, 0, lambda amount: f"~rotate={amount:g}"),
        Sweep("scale", "Scale", "×", 0.5, 2, 16, 1, lambda amount: f"~scale={amount:g}"),
        Sweep("occluder", "Edge of a grey square in the centre", "%", 0, 100, 21, 0, _centred),
        Sweep("blur", "Blur", "px", 0, 5, 16, 0, lambda amount: f"~blur={amount:g}"),
        Sweep("noise", "Noise", "levels", 0, 100, 21, 0, lambda amount: f"~noise={amount:g},1"),
    )
}


def sweep_of(name: str) -> Sweep:
    """Return the sweep of this name. Raises :class:`NotFound`."""
    try:
        return SWEEPS[name]
    except KeyError:
        raise NotFound(f'There is no sweep "{name}"; there are {", ".join(SWEEPS)}.') from None


@dataclass(frozen=True)
class SweptImage:
    """An image and its changed versions, as the run's network takes them."""

    sweep: Sweep
    amounts: tuple[float, ...]
    original: NetworkInput
    changed: tuple[NetworkInput, ...]
    """One per amount."""
    label: int | None
    """The output that stands for the image's class; None where that is not known."""


class Sweeps:
    """Measures sweeps, or takes them from the cache. Thread-safe."""

    def __init__(self, cache: ResultCache, evaluations: Evaluations) -> None:
        self._cache = cache
        self._evaluations = evaluations

    def stream(
        self, run: OpenedRun, corpus: str | None, swept: SweptImage, layers: Sequence[str] = (), near: int | None = None
    ) -> Iterator[Lines]:
        """Yield what became of the image, as JSON lines, checkpoints nearest to ``near`` first.

        First ``{"sweep": {"name", "title", "unit", "neutral", "amounts", "layers", "class", "total"}}``; ``class`` is the output whose
        probability is given, null where the network gives no class probabilities. Then per group of checkpoints and amount
        ``{"amount": index, "steps", "distances" (step, layer), "probabilities", "predicted" (step)}``; ``{"missing": {"step",
        "reason"}}``; at the end ``{"done": true}`` or ``{"error"}``. A distance is ‖changed − original‖ / ‖original‖ of the
        layer's output, null where the original's is zero. Raises at once where the question is wrong.
        """
        measured = [run.layer(name) for name in layers] or _chosen(run)
        for layer in measured:
            self._evaluations.check(run, layer)
        if not measured:
            raise NotPossible(f'No layer of the run "{run.name}" can be evaluated.')
        basis = run.basis(corpus)
        output = basis.output.layer if basis.output.rule is not None else None
        question = _Question(run, swept, tuple(layer.name for layer in measured), output, basis.output.rule)
        return with_end(self._pieces(question, near))

    def _pieces(self, question: _Question, near: int | None) -> Iterator[Lines]:
        run, swept = question.run, question.swept
        checkpoints = run.checkpoints
        known, missing = run.fingerprints(checkpoints)
        shown = swept.label
        if shown is None and question.output is not None:
            shown = self._predicted_at_end(question, known)
        head = {
            "name": swept.sweep.name,
            "title": swept.sweep.title,
            "unit": swept.sweep.unit,
            "neutral": swept.sweep.neutral,
            "amounts": list(swept.amounts),
            "layers": list(question.layers),
            "class": shown,
            "total": len(known) * len(swept.amounts),
        }
        yield [{"sweep": head}, *({"missing": {"step": step, "reason": why}} for step, why in missing.items())]
        order = nearest_first(len(checkpoints), place_of(checkpoints, near))
        for group in self._evaluations.pace.groups(run.architecture, order):
            here = [checkpoints[i] for block in group for i in block if checkpoints[i].step in known]
            yield from self._group(question, here, known, shown)

    def _group(
        self, question: _Question, here: Sequence[Checkpoint], known: Mapping[int, str], shown: int | None
    ) -> Iterator[Lines]:
        originals = _Originals(self._evaluations, question, here, known)
        for number, changed in enumerate(question.swept.changed):
            rows, failed = self._rows(question, here, known, originals, changed)
            if number == 0:
                for step, reason in failed.items():
                    yield [{"missing": {"step": step, "reason": reason}}]
            if not rows:
                continue
            count = len(question.layers)
            table = np.stack(list(rows.values()))
            probabilities = table[:, count:]
            yield [
                {
                    "amount": number,
                    "steps": list(rows),
                    "distances": table[:, :count],
                    "probabilities": probabilities[:, shown] if shown is not None else None,
                    "predicted": [_best(row) for row in probabilities] if shown is not None else None,
                }
            ]

    def _rows(
        self,
        question: _Question,
        here: Sequence[Checkpoint],
        known: Mapping[int, str],
        originals: _Originals,
        changed: NetworkInput,
    ) -> tuple[dict[int, np.ndarray], dict[int, str]]:
        """By step: distances of the layers, then class probabilities, float32; and why a step has none."""
        keys = {
            content_key(
                "sweep", question.run.architecture, known[each.step], question.identity, changed.digest
            ): each.step
            for each in here
        }
        failed: dict[int, str] = {}

        def measure(missing: Sequence[str]) -> dict[str, bytes]:
            steps = [keys[key] for key in missing]
            before = originals.outputs()
            found = self._evaluations.outputs(
                question.run, [(step, name) for step in steps for name in question.evaluated], known, changed, 1
            )
            failed.update(before.failed | found.failed)
            return {
                key: pack(question.row(step, before.arrays, found.arrays))
                for key, step in zip(missing, steps, strict=True)
                if step not in failed
            }

        kept = self._cache.get_or_compute_many(list(keys), measure)
        return {keys[key]: unpack(data) for key, data in kept.items()}, failed

    def _predicted_at_end(self, question: _Question, known: Mapping[int, str]) -> int | None:
        """The class that the last checkpoint takes the original image for."""
        last = [checkpoint for checkpoint in question.run.checkpoints if checkpoint.step in known][-1:]
        for checkpoint in last:
            wanted = [(checkpoint.step, str(question.output))]
            found = self._evaluations.outputs(question.run, wanted, known, question.swept.original, 0)
            for values in found.arrays.values():
                return _best(as_probabilities(str(question.rule), values.reshape(1, -1))[0][0])
        return None


@dataclass(frozen=True)
class _Question:
    """What is measured of which run."""

    run: OpenedRun
    swept: SweptImage
    layers: tuple[str, ...]
    output: str | None
    """The layer that gives classes; None where none does."""
    rule: str | None

    @property
    def evaluated(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.layers, *([self.output] if self.output else []))))

    @property
    def identity(self) -> str:
        return json.dumps([self.layers, self.output, self.rule, self.swept.original.digest])

    def row(self, step: int, before: Mapping[Any, np.ndarray], after: Mapping[Any, np.ndarray]) -> np.ndarray:
        """Distances of the layers, then class probabilities, float32."""
        distances = [_distance(before[step, name], after[step, name]) for name in self.layers]
        if self.output is None:
            return np.array(distances, np.float32)
        values = after[step, self.output].astype(np.float64).reshape(1, -1)
        return np.array([*distances, *as_probabilities(str(self.rule), values)[0][0]], np.float32)


class _Originals:
    """The unchanged image's outputs at some checkpoints, evaluated when first asked for."""

    def __init__(
        self, evaluations: Evaluations, question: _Question, here: Sequence[Checkpoint], known: Mapping[int, str]
    ) -> None:
        self._ask = lambda: evaluations.outputs(
            question.run,
            [(checkpoint.step, name) for checkpoint in here for name in question.evaluated],
            known,
            question.swept.original,
            1,
        )
        self._found: Any = None

    def outputs(self) -> Any:
        if self._found is None:
            self._found = self._ask()
        return self._found


def _distance(before: np.ndarray, after: np.ndarray) -> float:
    before, after = before.astype(np.float64), after.astype(np.float64)
    length = np.linalg.norm(before)
    return float(np.linalg.norm(after - before) / length) if length > 0 else float("nan")


def _best(probabilities: np.ndarray) -> int | None:
    return int(np.argmax(probabilities)) if np.isfinite(probabilities).all() else None


def _chosen(run: OpenedRun) -> list[Layer]:
    """Layers with parameters that can be evaluated, at most :data:`MOST_LAYERS`, evenly chosen, the last among them."""
    layers = [layer for layer in run.layers if layer.parameters and not layer.problem]
    places = np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS)).round().astype(int)
    return [layers[place] for place in dict.fromkeys(places.tolist())]
