"""Clusters of a whole run: found again, continued, and the same bytes whoever interrupts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from clustered_runs import CLASSES, IMAGES, a_run, training, write_step

from mloscope.app.errors import Conflict, NotFound
from mloscope.app.statistics.clusters.answers import rows_of_step
from mloscope.app.statistics.clusters.clustering import cluster_run, default_clusters
from mloscope.app.statistics.clusters.points import points_of
from mloscope.app.statistics.clusters.store import find_clustering
from mloscope.app.statistics.stored.store import StatisticsStore


@pytest.fixture
def store(tmp_path: Path) -> StatisticsStore:
    return StatisticsStore(tmp_path)


@pytest.mark.parametrize(("classes", "expected"), [(1, 2), (2, 4), (10, 20), (15, 30), (1000, 30)])
def test_default_number_of_clusters(classes, expected):
    assert default_clusters(classes) == expected


def test_a_run_is_fitted_and_found_again(store):
    steps, labels = a_run(store)
    said = []
    fit = cluster_run(store, "series", steps, k=7, seed=2, progress=lambda done, of: said.append((done, of)))
    assert said == [(done, 8) for done in range(1, 9)]  # each step once for its clusters, once for the map
    found = find_clustering(store, "series", {step: plane.key for step, plane in steps})
    assert found == fit
    assert (found.k, found.seed, found.steps) == (7, 2, [0, 10, 20, 30])
    step = found.step(10)
    assert step.assignment[5] == -1
    assert step.sizes.sum() == len(step.order) == IMAGES - 1
    for cluster in range(7):
        members = step.members(cluster)
        assert set(members) == set(np.flatnonzero(step.assignment == cluster))
        assert (np.diff(step.distance[members]) >= 0).all()
        rows = np.bincount(labels[members], minlength=CLASSES)
        assert step.about["purity"][cluster] == pytest.approx(rows.max() / rows.sum())
        assert step.about["majority"][cluster][0][1] == rows.max()


def stored(store: StatisticsStore) -> dict[str, bytes]:
    kinds = ("clusters", "projections", "fits")
    files = [path for kind in kinds for path in (store.folder / kind).rglob("*") if path.is_file()]
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in files}


def test_the_same_steps_give_the_same_bytes_wherever_it_was_interrupted(tmp_path):
    whole, halves = StatisticsStore(tmp_path / "whole"), StatisticsStore(tmp_path / "halves")
    cluster_run(whole, "series", a_run(whole)[0], k=7, seed=4)
    steps = a_run(halves)[0]
    asked = []
    stopped = cluster_run(halves, "series", steps, k=7, seed=4, stop=lambda: asked.append(1) is None and len(asked) > 2)
    assert stopped is None
    assert len(list((halves.folder / "clusters").iterdir())) == 2
    assert find_clustering(halves, "series", {step: plane.key for step, plane in steps}) is None
    cluster_run(halves, "series", steps, k=7, seed=4)
    assert stored(whole) == stored(halves)


def test_a_step_added_at_the_end_makes_no_other_again(store):
    steps, _ = a_run(store, steps=4)
    cluster_run(store, "series", steps[:3], k=5)
    before = {path.name: path.stat().st_mtime_ns for path in (store.folder / "clusters").iterdir()}
    fit = cluster_run(store, "series", steps, k=5)
    after = {path.name: path.stat().st_mtime_ns for path in (store.folder / "clusters").iterdir()}
    assert before.items() <= after.items()
    assert len(after) == 4
    assert fit.steps == [0, 10, 20, 30]


def test_k_and_seed_are_part_of_the_key(store):
    steps, _ = a_run(store, steps=2)
    found = {
        fit.clusters[10] for fit in (cluster_run(store, "s", steps, k, seed) for k, seed in ((4, 0), (5, 0), (4, 1)))
    }
    assert len(found) == 3


def test_a_step_whose_plane_is_another_now_has_no_clusters(store):
    steps, _ = a_run(store)
    cluster_run(store, "series", steps, k=5)
    now = {step: plane.key for step, plane in steps} | {10: "retrained"}
    fit = find_clustering(store, "series", now)
    assert fit.steps == [0, 20, 30]
    with pytest.raises(NotFound, match="Step 10"):
        fit.step(10)
    rows = rows_of_step(fit, 20)
    assert rows["before"] is None  # the step it was told from is gone
    assert all(row["from"] == [] for row in rows["clusters"])
    assert rows_of_step(fit, 0)["after"] is None
    assert find_clustering(store, "series", {}) is None
    assert find_clustering(store, "another", now) is None


def test_steps_that_do_not_belong_together(store):
    (one,), _ = a_run(store, steps=1)
    points, labels = training(1, images=50)
    with pytest.raises(Conflict, match="50 images"):
        cluster_run(store, "series", [one, (10, write_step(store, "other", points[0], labels))])
    with pytest.raises(ValueError, match="no steps"):
        cluster_run(store, "series", [])


def test_steps_with_the_top_20_are_clustered_by_what_they_keep(store):
    found, labels = training(2, images=400, classes=50)
    steps = [(n, write_step(store, f"p{n}", p, labels, "top-20")) for n, p in enumerate(found)]
    points = points_of(steps[1][1])
    dense = points.toarray()
    assert (np.count_nonzero(dense, axis=1) <= 20).all()
    lost = np.square(found[1].astype(np.float64) - dense).sum(axis=1)
    left_out = 1 - dense.sum(axis=1)
    twentieth = np.sort(found[1], axis=1)[:, -20]
    assert (lost <= twentieth * left_out + 1e-4).all()
    fit = cluster_run(store, "series", steps)
    assert fit.k == 30
    assert len(rows_of_step(fit, 1)["clusters"][0]["mean"]) == 24
    assert fit.coordinates(1).shape == (400, 2)
