"""The test suite that every statistic passes, ours and other packages'. Inherit it; needs pytest.

class TestMacroF1(StatisticConformance):
    statistic = MACRO_F1
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Layer, Parameter
from mloscope.app.statistics.clusters.store import StepClusters
from mloscope.app.statistics.stored.step_statistics import FULL, TOP, StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.statistics.table import Statistic
from mloscope.app.statistics.weights import LayerWeights

IMAGES, CLASSES = 60, 30
LAYER = Layer(
    "conv", "convolution", (), (4, 4, 4), (Parameter("kernel", (3, 3, 2, 4), ("row", "column", "channel", "unit")),)
)  # fmt: skip


class StatisticConformance:
    """Set ``statistic``. Each kind of input that a statistic may meet is computed twice and must give the same."""

    statistic: Statistic

    def test_it_says_what_it_is(self) -> None:
        assert self.statistic.help.endswith("."), "help is a sentence"
        assert self.statistic.version >= 1

    @pytest.mark.parametrize(
        "kind", ["whole", "top-20", "images not predicted", "no labels", "nothing predicted", "right"]
    )
    def test_it_gives_what_its_scope_says(self, kind: str, tmp_path: Path) -> None:
        if self.statistic.made_of == "weights":
            given, length = _weights(kind), 4
        else:
            step = _step(tmp_path, kind)
            given = _clusters(tmp_path, step) if self.statistic.made_of == "clusters" else step
            length = {"class": CLASSES, "cell": len(step.cells), "image": IMAGES, "cluster": 2}.get(
                self.statistic.scope, 1
            )
        values, again = (np.atleast_1d(np.array(self.statistic.compute(given), np.float64)) for _ in range(2))
        expected = () if self.statistic.scope in ("checkpoint", "layer") else (length,)
        assert np.array(self.statistic.compute(given), np.float64).shape == expected
        assert values.tobytes() == again.tobytes(), "the same input gives the same values"
        assert not np.isinf(values).any()
        if self.statistic.unit == "share":
            known = values[~np.isnan(values)]
            assert ((known >= 0) & (known <= 1)).all(), "a share is 0..1"
        if self.statistic.unit in ("images", "class", "cluster", "yes or no"):
            known = values[~np.isnan(values)]
            assert (known == np.round(known)).all(), "counts and numbers are whole"


def _step(folder: Path, kind: str) -> StepStatistics:
    random = np.random.default_rng(7)
    actual = random.integers(CLASSES, size=IMAGES)
    probabilities = random.dirichlet(np.full(CLASSES, 0.3), IMAGES).astype(np.float32)
    probabilities[np.arange(0, IMAGES, 2), actual[::2]] += 1
    if kind == "right":
        probabilities = np.eye(CLASSES, dtype=np.float32)[actual]
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if kind == "images not predicted":
        probabilities[::7] = np.nan
    if kind == "nothing predicted":
        probabilities[:] = np.nan
    if kind == "no labels":
        actual[:] = -1
    about = {"images": IMAGES, "classes": CLASSES, "form": TOP if kind == "top-20" else FULL}
    unfinished = StatisticsStore(folder).begin("step", about, actual)
    unfinished.write(0, IMAGES, probabilities)
    return unfinished.finish()


def _clusters(folder: Path, step: StepStatistics) -> StepClusters:
    """Two clusters, of the predicted images at even and odd positions."""
    predicted = np.asarray(step.predicted) >= 0
    assignment = np.where(predicted, np.arange(IMAGES) % 2, -1).astype(np.int16)
    arrays: dict[str, Any] = {
        "assignment": assignment,
        "distance": np.where(predicted, 0.25, np.nan).astype(np.float32),
        "order": np.lexsort((np.arange(IMAGES), assignment))[np.count_nonzero(~predicted) :].astype(np.int32),
        "centres": np.full((2, CLASSES), 1 / CLASSES, np.float32),
        "flows": np.empty((0, 3), np.int64),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    sizes = np.bincount(assignment[predicted], minlength=2).tolist()
    known = bool(predicted.any() and (np.asarray(step.actual) >= 0).any())
    about = {
        "k": 2, "sizes": sizes, "states": ["alive"] * 2, "purity": [0.5 if known else None] * 2, "majority": [[], []],
        "born": [], "died": [], "inertia": 0.0, "refit": True, "before": None,
    }  # fmt: skip
    return StepClusters(folder, about)


def _weights(kind: str) -> LayerWeights:
    kernel = np.random.default_rng(7).normal(size=(3, 3, 2, 4)).astype(np.float16 if kind == "top-20" else np.float32)
    if kind == "nothing predicted":
        kernel[:] = 0
    if kind == "images not predicted":
        kernel[0] = np.nan
    return LayerWeights(LAYER, {"kernel": kernel})
