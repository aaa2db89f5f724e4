"""The map by principal components: against scikit-learn's principal component analysis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clustered_runs import a_run, write_step
from scipy.sparse import csr_matrix
from sklearn.decomposition import PCA

from mloscope.app.statistics.clusters.answers import rows_of_step
from mloscope.app.statistics.clusters.clustering import cluster_run
from mloscope.app.statistics.clusters.points import points_of
from mloscope.app.statistics.clusters.principal_map import principal_axes
from mloscope.app.statistics.clusters.store import NO_COORDINATE
from mloscope.app.statistics.stored.store import StatisticsStore


@pytest.fixture
def store(tmp_path: Path) -> StatisticsStore:
    return StatisticsStore(tmp_path)


def test_the_map_is_one_principal_component_analysis_of_all_steps(store):
    steps, _ = a_run(store)
    fit = cluster_run(store, "series", steps, k=5)
    keeps = [np.asarray(plane.predicted) >= 0 for _, plane in steps]
    all_points = np.concatenate([points_of(p)[keep] for (_, p), keep in zip(steps, keeps, strict=True)])
    expected = PCA(2).fit(all_points.astype(np.float64))
    about = fit.map_about()
    assert about["explained"] == pytest.approx(expected.explained_variance_ratio_.tolist(), rel=1e-3)
    for (step, plane), keep in zip(steps, keeps, strict=True):
        codes = fit.coordinates(step)
        assert (codes[~keep] == NO_COORDINATE).all()
        low, high = np.array([about["x"], about["y"]]).T
        values = low + (codes[keep].astype(np.float64) + 32767) / 65534 * (high - low)
        theirs = expected.transform(points_of(plane)[keep])
        signs = np.sign((values * theirs).sum(axis=0))
        assert values == pytest.approx(theirs * signs, abs=float((high - low).max()) / 60_000)
    extremes = np.concatenate([fit.coordinates(step)[keep] for (step, _), keep in zip(steps, keeps, strict=True)])
    assert extremes.min() == -32767
    assert extremes.max() == 32767


def test_axes_of_very_many_classes_are_found_without_the_whole_matrix():
    spread = 0.7 ** np.arange(40)
    points = np.random.default_rng(0).normal(size=(600, 40)).astype(np.float32) * spread.astype(np.float32)
    mean, axes, explained = principal_axes(lambda: iter([points]))
    for shaped in (points, csr_matrix(points)):
        same_mean, found, share = principal_axes(lambda shaped=shaped: iter([shaped[:300], shaped[300:]]), 10)
        assert same_mean == pytest.approx(mean, abs=1e-9)
        assert share == pytest.approx(explained, rel=0.001)
        assert np.abs((found * axes).sum(axis=1)) == pytest.approx([1, 1], abs=0.001)


def test_a_network_that_says_the_same_of_every_image_is_one_point(store):
    points = np.full((20, 3), 1 / 3, np.float32)
    fit = cluster_run(store, "series", [(0, write_step(store, "p", points, np.zeros(20)))])
    assert len(np.unique(fit.coordinates(0), axis=0)) == 1
    assert rows_of_step(fit, 0)["clusters"][0]["size"] == 20
    assert {row["state"] for row in rows_of_step(fit, 0)["clusters"]} == {"alive", "empty"}


def test_nothing_predicted_anywhere(store):
    points = np.full((20, 3), np.nan, np.float32)
    fit = cluster_run(store, "series", [(0, write_step(store, "p", points, np.zeros(20)))])
    assert (fit.coordinates(0) == NO_COORDINATE).all()
    assert all(row["state"] == "empty" for row in rows_of_step(fit, 0)["clusters"])
