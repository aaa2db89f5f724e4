"""The map of images by t-SNE: neighbours stay together, and it does not spin."""

from __future__ import annotations

import numpy as np
import pytest
from clustered_runs import training, write_step
from sklearn.manifold import trustworthiness

from mloscope.app.statistics.clusters.clustering import cluster_run
from mloscope.app.statistics.clusters.map_kinds import PCA, TSNE
from mloscope.app.statistics.clusters.neighbour_map import placed, turned_onto
from mloscope.app.statistics.clusters.points import points_of
from mloscope.app.statistics.clusters.store import NO_COORDINATE, find_clustering
from mloscope.app.statistics.stored.store import StatisticsStore

PLACED = 120


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StatisticsStore:
    return StatisticsStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def run(store):
    """Steps of which the last two say the same."""
    points, labels = training(3, images=600)
    points[1] = points[1].copy()
    points[1][0] = np.nan  # image 0 is not predicted at the second step
    points.append(points[2])
    return [write_step(store, f"p{number}", p, labels) for number, p in enumerate(points)]


@pytest.fixture(scope="module")
def places(run):
    placement = placed(run, PLACED)
    return placement.facts, list(placement.steps)


def test_so_many_images_evenly_spaced_have_a_place(places):
    facts, steps = places
    assert (facts["placed"], facts["images"]) == (PLACED, 600)
    assert "of 120 of 600 images, evenly spaced" in TSNE.note(facts)
    assert "of 2\u202f000 of 60\u202f000 images" in TSNE.note({"placed": 2000, "images": 60_000})
    assert "x explains 13\u202f%" in PCA.note({"explained": [0.13, 0.12]})
    shown = np.flatnonzero(~np.isnan(steps[0]).any(axis=1))
    assert (len(shown), shown[0], shown[-1]) == (PLACED, 0, 599)
    assert set(np.diff(shown)) <= {5, 6}


def test_neighbours_are_neighbours_on_the_map(run, places):
    for step, found in zip(run, places[1], strict=True):
        shown = ~np.isnan(found).any(axis=1)
        assert trustworthiness(np.sqrt(points_of(step)[shown]), found[shown], n_neighbors=5) > 0.9


def test_an_image_that_is_not_predicted_has_no_place_and_comes_back(places):
    assert [bool(np.isnan(step[0]).any()) for step in places[1]] == [False, True, False, False]


def test_what_stays_the_same_stays_where_it_is(places):
    *_, before, after = places[1]
    shown = ~np.isnan(after).any(axis=1)
    moved = np.linalg.norm(after[shown] - before[shown], axis=1)
    assert np.median(moved) < 0.1 * after[shown].std()


@pytest.mark.parametrize("mirrored", [1, -1])
def test_places_are_turned_and_mirrored_onto_those_before(mirrored):
    before = np.random.default_rng(1).normal(size=(40, 2)).astype(np.float32)
    turn = np.array([[np.cos(2.0), -np.sin(2.0)], [np.sin(2.0), np.cos(2.0)]]) * [1, mirrored]
    known = np.arange(40) > 9
    found = turned_onto((before @ turn + 7).astype(np.float32), before, known)
    assert found == pytest.approx(before, abs=1e-4)


def small_run(store):
    """Two steps of 60 images; image 5 is not predicted at the second."""
    points, labels = training(2, images=60)
    points[1][5, 0] = np.nan
    return [(10 * number, write_step(store, f"p{number}", p, labels)) for number, p in enumerate(points)]


def test_it_is_computed_where_it_is_asked_for_and_then_kept(tmp_path):
    store = StatisticsStore(tmp_path)
    steps = small_run(store)
    keys = {step: plane.key for step, plane in steps}
    cluster_run(store, "series", steps, k=3)
    assert list(find_clustering(store, "series", keys).maps) == ["pca"]
    said = []
    cluster_run(store, "series", steps, k=3, maps=["tsne"], progress=lambda done, of: said.append((done, of)))
    assert said == [(1, 6), (2, 6), (5, 6), (6, 6)]  # the other map is there already
    cluster_run(store, "series", steps, k=4)
    found = find_clustering(store, "series", keys)
    assert list(found.maps) == ["pca", "tsne"]
    assert found.coordinates(10, "tsne")[5].tolist() == [NO_COORDINATE] * 2
    assert (found.coordinates(0, "tsne") != NO_COORDINATE).all()
    assert "60 images;" in TSNE.note(found.map_about("tsne"))


def test_stopped_between_two_steps_it_leaves_nothing(tmp_path):
    store = StatisticsStore(tmp_path)
    steps = small_run(store)
    cluster_run(store, "series", steps, k=3)
    asked = []

    def stop() -> bool:
        asked.append(1)
        return (
            len(asked) > 4
        )  # two steps of clusters, the map of components, and before the map of neighbours: then after its first

    assert cluster_run(store, "series", steps, k=3, maps=["tsne"], stop=stop) is None
    assert list(find_clustering(store, "series", {step: plane.key for step, plane in steps}).maps) == ["pca"]
