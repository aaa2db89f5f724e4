"""Statistics of a small run; makes the modules beside this one importable, however pytest was started."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from measured import STEPS

from mloscope.app.statistics.clusters.clustering import cluster_run
from mloscope.app.statistics.queries import Statistics


@pytest.fixture
def bench(make_bench: Any, tmp_path: Path) -> Any:
    return make_bench(cache_folder=tmp_path / "cache")


@pytest.fixture
def statistics(bench: Any) -> Statistics:
    return bench.services.statistics


@pytest.fixture
def made(bench: Any, measure: Any) -> dict[int, np.ndarray]:
    """Probabilities of the test images at STEPS; images 4 and 7 are NaN."""
    return measure(bench, STEPS, lost=(4, 7))


@pytest.fixture
def actual(bench: Any) -> np.ndarray:
    return bench.corpus.labels[40:]


@pytest.fixture
def clustered(statistics: Statistics, bench: Any, measure: Callable[..., Any]) -> Statistics:
    measure(bench, STEPS)
    planes = list(statistics.of("lenet").ready.items())
    cluster_run(statistics.store, statistics.identity.series("lenet", "noise", "test"), planes, k=3)
    return statistics
