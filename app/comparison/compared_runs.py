"""Two runs of the workspace, or two moments of one, looked at together: what page and REST API ask.

    overview      B as a subject, pairs of layers, alignments of time: all that the browser needs to follow by itself
    units         a layer's units at A and at B, exactly as stored or evaluated, as rows of values
    changes       how each unit differs;  arrays_npz: the arrays themselves, for elsewhere

The arithmetic is that of :mod:`mloscope.app.comparison.pairing`; everything raises :class:`mloscope.app.errors.MloscopeError`.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mloscope.adaptors.interface import Curve
from mloscope.app.comparison import pairing
from mloscope.app.errors import MloscopeError, NotFound, NotPossible
from mloscope.app.evaluation.feature_maps import FeatureMaps
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.parameters import parameter_tiles
from mloscope.app.runs.tiles import map_tiles
from mloscope.app.runs.training_curves import TrainingCurvesReader
from mloscope.app.statistics.images import describe
from mloscope.app.workspace.workspace import Workspace

if TYPE_CHECKING:
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.statistics.run_statistics import RunStatistics
    from mloscope.app.statistics.stored.step_statistics import StepStatistics


@dataclass(frozen=True)
class Side:
    """One side: a layer of a run at a step."""

    run: str
    step: int
    layer: str
    parameter: str | None = None
    """Default: the layer's first. Means nothing for feature maps."""
    units: tuple[int, ...] | None = None
    """None: all."""


@dataclass(frozen=True)
class Shown:
    """What is compared of both sides: parameters, or what the layers make of one image."""

    image: str | None = None
    """None: parameters."""
    corpus: str | None = None
    """The image's; default: A's."""


class ComparedRuns:
    """See the module's docstring. Thread-safe, holds nothing."""

    def __init__(
        self, workspace: Workspace, statistics: Statistics, feature_maps: FeatureMaps, curves: TrainingCurvesReader
    ) -> None:
        self._workspace = workspace
        self._statistics = statistics
        self._maps = feature_maps
        self._curves = curves

    def overview(
        self, run: str, other: str, corpus: str | None = None, split: str | None = None, pairs: str = ""
    ) -> dict[str, Any]:
        """JSON-able: ``run``, ``other``, ``pairs`` (of layers), ``alignments`` (by
        :data:`comparison.ALIGNMENTS`: ``indices``, ``problem``), ``alignment`` (which of them is best), ``accuracies`` (of ``a``
        and ``b``, by checkpoint, None where not known), ``problems`` (sentences).

        Raises :class:`NotFound` for a run that is not connected.
        """
        sides = [self._workspace.opened_run(name) for name in (run, other)]
        shown, own = corpus or sides[0].corpus, sides[1].corpus
        by_hand = pairing.parse_pairs(pairs)
        layers = [side.layers for side in sides]
        found = pairing.pair_layers(*layers, by_hand)
        problems = self._unknown_by_hand(by_hand, layers, (run, other))
        if own != shown:
            problems.append(
                f'Both sides are shown the images of "{shown}", although "{other}" belongs to "{own}": '
                "only the same image can be compared."
            )
        checkpoints = [side.checkpoints for side in sides]
        accuracies = [self.accuracy(side, shown, split) for side in sides]
        alignments = {
            by: asdict(pairing.align(*checkpoints, by, *accuracies, names=(run, other))) for by in pairing.ALIGNMENTS
        }
        return {
            "run": run,
            "other": other,
            "pairs": [asdict(pair) for pair in found],
            "alignments": alignments,
            "alignment": pairing.natural_alignment(*checkpoints),
            "accuracies": {
                side: [known.get(checkpoint.step) for checkpoint in own]
                for side, own, known in zip("ab", checkpoints, accuracies, strict=True)
            },
            "problems": problems,
        }

    @staticmethod
    def _unknown_by_hand(by_hand: Mapping[str, str | None], layers: list[Any], names: tuple[str, str]) -> list[str]:
        known = [{layer.name for layer in side} for side in layers]
        problems = []
        for a, b in by_hand.items():
            for name, have, run in zip((a, b), known, names, strict=True):
                if name is not None and name not in have:
                    problems.append(f'The pair "{a}:{b or ""}" is left out: the run "{run}" has no layer "{name}".')
        return problems

    def accuracy(self, run: OpenedRun, corpus: str | None = None, split: str | None = None) -> dict[int, float]:
        """Accuracy 0..1 by step: the statistics', else the run's own curve; empty where there is neither."""
        try:
            ready = self._statistics.of(run.name, corpus, split).ready
        except MloscopeError:
            ready = {}
        rates = {step: found.rates.get("accuracy") for step, found in ready.items()}
        known = {step: rate for step, rate in rates.items() if rate is not None}
        if known:
            return known
        return _accuracy_at(self._curves.of(run).curves, list(run.steps))

    def curves(
        self, runs: Iterable[str], corpus: str | None = None, split: str | None = None
    ) -> dict[str, list[Curve]]:
        """Everything that was recorded of each run's training, and accuracy and loss of its statistics."""
        return {run: [*self._recorded(run), *self._measured(run, corpus, split)] for run in dict.fromkeys(runs)}

    def _recorded(self, run: str) -> tuple[Curve, ...]:
        try:
            return self._curves.of(self._workspace.opened_run(run)).curves
        except MloscopeError:
            return ()

    def _measured(self, run: str, corpus: str | None, split: str | None) -> list[Curve]:
        try:
            of = self._statistics.of(run, corpus, split)
            ready = of.ready
        except MloscopeError:
            return []
        epochs = {checkpoint.step: checkpoint.epoch for checkpoint in self._workspace.opened_run(run).checkpoints}
        curves = []
        for rate in ("accuracy", "loss"):
            known = [(step, found.rates[rate]) for step, found in ready.items() if found.rates.get(rate) is not None]
            if known:
                steps = np.array([step for step, _ in known])
                when = [epochs.get(step) for step in steps.tolist()]
                converted = None if None in when else np.array(when, np.float64)
                values = np.array([value for _, value in known], np.float64)
                name = f"{of.split} {rate}"
                curves.append(Curve(name, "step", steps, values, "statistics", converted))
        return curves

    # ------------------------------------------------------------------------------------------------- confusion

    def moved(
        self,
        a: tuple[str, int],
        b: tuple[str, int],
        cell: tuple[int, int],
        corpus: str | None,
        split: str | None,
        limit: int,
    ) -> dict[str, Any]:
        """Images that one side puts into a cell of the confusion matrix and the other does not, JSON-able: ``into`` (at A, not
        at B) and ``out_of`` (at B, not at A), each ``total`` and ``images`` with what the other side took them for
        (``elsewhere``, ``elsewhere_name``; None for nothing).

        ``a``, ``b``: run and step. ``cell``: actual and predicted class; the number of classes for not predicted.
        Raises :class:`NotPossible` where a side has no statistics, or the two are of other images.
        """
        of, steps = self._confused(a, b, corpus, split)
        actual, predicted = cell
        classes = steps[0].classes
        if actual >= classes or predicted > classes:
            raise NotFound(f"There is no cell {actual}, {predicted}: the classes are 0 to {classes - 1}.")
        column = -1 if predicted == classes else predicted
        found = pairing.moved(
            np.asarray(steps[0].actual),
            np.asarray(steps[0].predicted),
            np.asarray(steps[1].predicted),
            actual,
            column,
        )
        answer = {}
        for key, positions, here, there in (("into", found.into, 0, 1), ("out_of", found.out_of, 1, 0)):
            chosen = positions[:limit]
            other = describe(of, chosen, steps[there])
            images = describe(of, chosen, steps[here])
            for image, elsewhere in zip(images, other, strict=True):
                image |= {"elsewhere": elsewhere["predicted"], "elsewhere_name": elsewhere["predicted_name"]}
            answer[key] = {"total": len(positions), "images": images}
        return answer

    def confusion_rows(
        self, a: tuple[str, int], b: tuple[str, int], corpus: str | None, split: str | None
    ) -> tuple[tuple[str, ...], list[tuple[int, int, int, int, int]]]:
        """Names of the classes, and rows ``actual, predicted, a, b, difference`` of all cells that are not 0 on both sides;
        predicted is the number of classes for not predicted."""
        of, steps = self._confused(a, b, corpus, split)
        counts: dict[tuple[int, int], list[int]] = {}
        for side, step in enumerate(steps):
            for actual, predicted, count in np.asarray(step.cells).tolist():
                counts.setdefault((actual, predicted), [0, 0])[side] = count
        rows = [(*cell, first, second, first - second) for cell, (first, second) in sorted(counts.items())]
        return of.names_of(steps[0].classes), rows

    def _confused(
        self, a: tuple[str, int], b: tuple[str, int], corpus: str | None, split: str | None
    ) -> tuple[RunStatistics, list[StepStatistics]]:
        """The statistics of A's run, and those of A's and B's steps. Raises :class:`NotPossible` if the two know other
        classes."""
        corpus = corpus or self._workspace.corpus_of(a[0])
        both = [self._statistics.of(run, corpus, split) for run, _step in (a, b)]
        steps = [of.step(step) for of, (_run, step) in zip(both, (a, b), strict=True)]
        if steps[0].classes != steps[1].classes:
            raise NotPossible(
                f'The run "{a[0]}" knows {steps[0].classes} classes and "{b[0]}" {steps[1].classes}: '
                "their confusion cannot be compared."
            )
        orders = [self._workspace.basis(run, corpus).classes.corpus_classes for run, _step in (a, b)]
        if orders[0] != orders[1]:
            raise NotPossible(
                f'The outputs of the runs "{a[0]}" and "{b[0]}" stand for the classes of the corpus in different orders: '
                "their confusion cannot be compared."
            )
        return both[0], steps

    # ---------------------------------------------------------------------------------------------------- arrays

    def tiles(self, side: Side, shown: Shown) -> np.ndarray:
        """float (unit, channel, row, column) of the side, as stored or evaluated."""
        run = self._workspace.opened_run(side.run)
        if shown.image is not None:
            image = self._workspace.network_input(run, shown.corpus, shown.image)
            pictures = map_tiles(self._maps.one(run, side.step, side.layer, image))
        else:
            whole = parameter_tiles(run, side.step, side.layer, side.parameter)
            # Colours are channels again: nothing here is drawn as one picture.
            pictures = whole[:, 0].transpose(0, 3, 1, 2) if whole.shape[-1] > 1 else whole[..., 0]
        if side.units is None:
            return pictures
        wrong = next((unit for unit in side.units if unit >= len(pictures)), None)
        if wrong is not None:
            raise NotFound(
                f'The layer "{side.layer}" of the run "{side.run}" has no unit {wrong}; '
                f"its units are 0 to {len(pictures) - 1}."
            )
        return pictures[list(side.units)]

    def both(self, a: Side, b: Side, shown: Shown) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`tiles` of both sides. Raises :class:`NotPossible` where their shapes differ."""
        tiles = self.tiles(a, shown), self.tiles(b, shown)
        if tiles[0].shape != tiles[1].shape:
            sizes = " and ".join(
                f'"{side.layer}" of "{side.run}" ({_size(array)})' for side, array in zip((a, b), tiles, strict=True)
            )
            raise NotPossible(f"A difference needs the same shape on both sides: {sizes} differ.")
        return tiles

    def changes(self, a: Side, b: Side, shown: Shown) -> pairing.UnitChanges:
        """How each unit differs, in the units' order."""
        first, second = (array.reshape(len(array), -1) for array in self.both(a, b, shown))
        return pairing.unit_changes(first, second)

    def whole(self, a: Side, b: Side, shown: Shown) -> pairing.UnitChanges:
        """How all values together differ: as if they were one unit."""
        first, second = (array.reshape(1, -1) for array in self.both(a, b, shown))
        return pairing.unit_changes(first, second)

    def arrays_npz(self, a: Side, b: Side, shown: Shown) -> bytes:
        """An ``.npz`` of ``a`` and ``b`` (unit, channel, row, column), ``difference`` (a - b, in the wider of both types)
        where the shapes agree, and ``about``: JSON text of what they are."""
        arrays = {"a": self.tiles(a, shown), "b": self.tiles(b, shown)}
        if arrays["a"].shape == arrays["b"].shape:
            with np.errstate(invalid="ignore", over="ignore"):
                arrays["difference"] = arrays["a"] - arrays["b"]
        about = {"a": asdict(a), "b": asdict(b), **asdict(shown), "axes": ["unit", "channel", "row", "column"]}
        file = io.BytesIO()
        np.savez(file, about=np.array(json.dumps(about)), **arrays)
        return file.getvalue()


def _size(tiles: np.ndarray) -> str:
    units, channels, rows, columns = tiles.shape
    return f"{units} units of {channels} × {rows} × {columns}"


def _accuracy_at(curves: Sequence[Curve], steps: list[int]) -> dict[int, float]:
    """Accuracy by checkpoint from a run's own curves: one of test or validation before others, an error rate turned round.

    A checkpoint has the value of the last point not after it.
    """

    def worth(curve: Curve) -> tuple[bool, bool, str]:
        name = curve.name.casefold()
        return ("acc" not in name, not any(word in name for word in ("test", "val")), name)

    for curve in sorted(curves, key=worth):
        name, points = curve.name.casefold(), curve.along("step")
        if points is None or ("acc" not in name and "error" not in name):
            continue
        good = np.isfinite(curve.y)
        points, values = points[good], curve.y[good]
        if not len(values) or values.min() < 0 or values.max() > 100:
            continue
        values = values / 100 if values.max() > 1 else values
        values = values if "acc" in name else 1 - values
        at = np.searchsorted(points, steps, side="right") - 1
        return {step: float(values[i]) for step, i in zip(steps, at, strict=True) if i >= 0}
    return {}
