"""Clusters: against scikit-learn and by hand; the same each time; the same clusters from step to step."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from mloscope.app.errors import Conflict, NotFound
from mloscope.app.statistics.clusters import clustering
from mloscope.app.statistics.clusters.store import NO_COORDINATE, find_fit, points_bytes, rows_of_step
from mloscope.app.statistics.stored.store import StatisticsStore

IMAGES, CLASSES = 600, 6


def training(
    steps: int, images: int = IMAGES, classes: int = CLASSES, seed: int = 3
) -> tuple[list[np.ndarray], np.ndarray]:
    """Probabilities float32 (image, class) of a network that learns, by step, and the labels; some images waver."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=images)
    own = random.normal(size=(images, classes))
    found = []
    for step in range(steps):
        learnt = step / max(1, steps - 1)
        scores = own * 1.2 + random.normal(size=own.shape) * 0.3
        scores[np.arange(images), labels] += 5 * learnt
        scores *= 0.2 + learnt
        odds = np.exp(scores)
        found.append((odds / odds.sum(axis=1, keepdims=True)).astype(np.float32))
    return found, labels


def everyone(images: int = IMAGES) -> np.ndarray:
    return np.ones(images, bool)


@pytest.fixture
def store(tmp_path) -> StatisticsStore:
    return StatisticsStore(tmp_path)


def write_plane(store: StatisticsStore, key: str, probabilities: np.ndarray, labels: np.ndarray, form: str = "full"):
    images, classes = probabilities.shape
    plane = store.begin(key, {"images": images, "classes": classes, "form": form}, labels)
    plane.write(0, images, probabilities)
    return plane.finish()


def a_run(store: StatisticsStore, steps: int = 4, form: str = "full", name: str = "plane"):
    """Planes of steps 0, 10, 20, ...; image 5 is not predicted at step 10."""
    found, labels = training(steps)
    if steps > 1:
        found[1] = found[1].copy()
        found[1][5, 0] = np.nan
    return [(10 * n, write_plane(store, f"{name}{n}", p, labels, form)) for n, p in enumerate(found)], labels


# ---------------------------------------------------------------------------------------------------------- one step


def test_kmeans_is_that_of_scikit_learn():
    points = training(3)[0][-1]
    found = clustering.cluster_step(points, everyone(), 8, seed=1)
    expected = KMeans(8, random_state=1, n_init=clustering.COLD_STARTS).fit(points)
    assert found.inertia == pytest.approx(expected.inertia_, rel=1e-5)
    pairs = set(zip(found.assignment.tolist(), expected.labels_.tolist(), strict=True))
    assert len(pairs) == 8  # the same sets under other numbers
    for mine, theirs in pairs:
        assert found.centres[mine] == pytest.approx(expected.cluster_centers_[theirs], abs=1e-4)


def test_distance_and_centre_are_those_of_the_members():
    points = training(3)[0][-1]
    found = clustering.cluster_step(points, everyone(), 8, seed=1)
    for cluster in range(8):
        members = points[found.assignment == cluster]
        assert found.centres[cluster] == pytest.approx(members.astype(np.float64).mean(axis=0), abs=1e-6)
        distances = np.linalg.norm(members - found.centres[cluster], axis=1)
        assert found.distance[found.assignment == cluster] == pytest.approx(distances, abs=1e-6)
    assert found.inertia == pytest.approx(np.square(found.distance.astype(np.float64)).sum(), rel=1e-6)


def test_the_first_step_is_numbered_by_class_and_then_by_size():
    found = clustering.cluster_step(training(3)[0][-1], everyone(), 8, seed=1)
    classes = found.centres.argmax(axis=1)
    assert (np.diff(classes) >= 0).all()
    for number in range(CLASSES):
        assert (np.diff(found.sizes[classes == number]) <= 0).all()


def test_an_image_that_was_not_predicted_belongs_to_no_cluster():
    points = training(3)[0][-1].copy()
    points[[3, 77]] = np.nan
    predicted = everyone()
    predicted[[3, 77]] = False
    found = clustering.cluster_step(points, predicted, 5, seed=0)
    assert np.flatnonzero(found.assignment < 0).tolist() == [3, 77]
    assert np.flatnonzero(np.isnan(found.distance)).tolist() == [3, 77]
    assert found.sizes.sum() == IMAGES - 2
    assert np.isfinite(found.centres).all()


@pytest.mark.parametrize("different", [1, 3])
def test_fewer_different_images_than_clusters_leave_the_rest_empty(different):
    points = np.eye(CLASSES, dtype=np.float32)[np.arange(40) % different]
    found = clustering.cluster_step(points, everyone(40), 7, seed=0)
    assert sorted(found.sizes[found.sizes > 0]) == sorted(np.bincount(np.arange(40) % different))
    assert found.inertia == pytest.approx(0, abs=1e-9)
    assert np.isfinite(found.centres).all()


def test_fewer_images_than_clusters():
    points = np.eye(CLASSES, dtype=np.float32)[:3]
    first = clustering.cluster_step(points, everyone(3), 7, seed=0)
    assert sorted(first.sizes) == [0, 0, 0, 0, 1, 1, 1]
    second = clustering.cluster_step(points, everyone(3), 7, seed=0, before=first)
    assert second.assignment.tolist() == first.assignment.tolist()


def test_a_step_at_which_nothing_was_predicted_passes_the_centres_on():
    steps = training(3)[0]
    first = clustering.cluster_step(steps[2], everyone(), 5, seed=0)
    nothing = clustering.cluster_step(np.full_like(steps[2], np.nan), ~everyone(), 5, seed=0, before=first)
    assert (nothing.assignment == -1).all()
    assert clustering.states(nothing, first) == (["died"] * 5, [], [0, 1, 2, 3, 4])
    after = clustering.cluster_step(steps[2], everyone(), 5, seed=0, before=nothing)
    assert after.sizes.sum() == IMAGES
    assert clustering.states(after, nothing)[1] == [0, 1, 2, 3, 4]


def test_sparse_points_give_what_the_same_dense_ones_do():
    steps = training(3)[0]
    dense = sparse = None
    for points in steps:
        dense = clustering.cluster_step(points, everyone(), 6, 0, dense)
        sparse = clustering.cluster_step(csr_matrix(points), everyone(), 6, 0, sparse)
        assert (dense.assignment == sparse.assignment).mean() > 0.99
        assert sparse.inertia == pytest.approx(dense.inertia, rel=1e-3)


def test_many_images_are_clustered_in_batches():
    steps = training(3)[0]
    first = clustering.cluster_step(steps[1], everyone(), 6, 0, mini_batch_values=100)
    whole = KMeans(6, random_state=0, n_init=4).fit(steps[1]).inertia_
    assert whole * 0.999 < first.inertia < whole * 1.15
    second = clustering.cluster_step(steps[2], everyone(), 6, 0, first, mini_batch_values=100)
    assert second.sizes.sum() == IMAGES
    assert second.inertia < KMeans(6, random_state=0, n_init=4).fit(steps[2]).inertia_ * 1.3


@pytest.mark.parametrize(("classes", "expected"), [(1, 2), (2, 4), (10, 20), (15, 30), (1000, 30)])
def test_default_number_of_clusters(classes, expected):
    assert clustering.default_clusters(classes) == expected


def test_more_clusters_than_numbers():
    with pytest.raises(ValueError, match="32,767"):
        clustering.cluster_step(np.eye(3, dtype=np.float32), everyone(3), 40_000, 0)


# ---------------------------------------------------------------------------------------------- identity over time


def test_images_keep_their_cluster_while_the_network_learns():
    steps, _ = training(12)
    before, kept = None, []
    for points in steps:
        found = clustering.cluster_step(points, everyone(), 9, 0, before)
        if before is not None:
            kept.append((found.assignment == before.assignment).mean())
            assert not found.refit
        before = found
    afresh = [clustering.cluster_step(points, everyone(), 9, seed) for seed, points in enumerate(steps)]
    by_chance = np.mean([(a.assignment == b.assignment).mean() for a, b in itertools.pairwise(afresh)])
    assert np.mean(kept) > 0.7
    assert np.mean(kept) > by_chance + 0.1


def eight_spots(seed: int = 0) -> np.ndarray:
    """float32 (image, class): every eighth image at the same place, nearly."""
    random = np.random.default_rng(seed)
    spots = random.dirichlet(np.full(CLASSES, 0.3), size=8)
    return (spots[np.arange(IMAGES) % 8] + random.normal(size=(IMAGES, CLASSES)) * 0.001).astype(np.float32)


def test_clusters_that_collapse_for_a_moment_come_back_under_their_numbers():
    first = clustering.cluster_step(eight_spots(), everyone(), 8, 0)
    collapsed = clustering.cluster_step(np.full((IMAGES, CLASSES), 1 / CLASSES, np.float32), everyone(), 8, 0, first)
    assert (collapsed.sizes > 0).sum() == 1
    again = clustering.cluster_step(eight_spots(), everyone(), 8, 0, collapsed)
    assert again.assignment.tolist() == first.assignment.tolist()


def test_where_the_old_centres_are_no_place_to_begin_clusters_are_fitted_anew_and_numbered_by_shared_images():
    noise = np.random.default_rng(0).normal(size=(IMAGES, CLASSES)) * 0.001
    first = clustering.cluster_step((1 / CLASSES + noise).astype(np.float32), everyone(), 8, 0)
    spread = clustering.cluster_step(eight_spots(), everyone(), 8, 0, first)
    assert spread.refit
    assert spread.sizes.tolist() == [IMAGES // 8] * 8
    # Over all ways to number eight clusters an eighth keeps its number on average; the best way keeps more.
    assert (spread.assignment == first.assignment).mean() > 1 / 8


def test_match_is_one_to_one_and_keeps_as_many_images_as_possible():
    before = np.array([0] * 10 + [1] * 10 + [2] * 5 + [-1])
    now = np.array([2] * 9 + [0] + [0] * 6 + [2] * 4 + [1] * 5 + [1])
    numbers = clustering.match(before, now, 4)
    assert sorted(numbers) == [0, 1, 2, 3]
    assert numbers[:3].tolist() == [1, 2, 0]


def test_flows_count_every_image_once():
    before, now = np.array([0, 0, 1, 1, -1, -1, 2]), np.array([0, 1, 1, 1, 0, -1, -1])
    assert clustering.flows(before, now).tolist() == [[-1, 0, 1], [0, 0, 1], [0, 1, 1], [1, 1, 2], [2, -1, 1]]


def test_states_say_who_was_born_who_died_and_whose_number_others_took():
    def of(assignment: list[int]) -> clustering.Clustering:
        whom = np.array(assignment, np.int16)
        return clustering.Clustering(whom, np.zeros(len(whom), np.float32), np.zeros((6, 2), np.float32), 0.0, False)

    then = of([0] * 30 + [1] * 30 + [2] * 30)
    now = of([0] * 30 + [2] * 30 + [3] * 30)
    words, born, died = clustering.states(now, then)
    assert words == ["alive", "died", "born", "born", "empty", "empty"]
    assert (born, died) == ([2, 3], [1, 2])
    assert clustering.states(then, None) == (["alive"] * 3 + ["empty"] * 3, [], [])


# ------------------------------------------------------------------------------------------------------ a whole run


def test_a_run_is_fitted_and_found_again(store):
    planes, labels = a_run(store)
    said = []
    fit = clustering.fit_run(store, "series", planes, k=7, seed=2, progress=lambda done, of: said.append((done, of)))
    assert said == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    found = find_fit(store, "series", {step: plane.key for step, plane in planes})
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


def test_rows_say_where_images_came_from_and_where_they_go(store):
    planes, _ = a_run(store)
    fit = clustering.fit_run(store, "series", planes, k=7)
    first, middle, last = (rows_of_step(fit, step) for step in (0, 20, 30))
    assert (first["before"], first["after"], last["after"]) == (None, 10, None)
    assert all(row["from"] == [] for row in first["clusters"])
    assert all(row["to"] == [] for row in last["clusters"])
    for row in middle["clusters"]:
        assert sum(count for _, count in row["from"]) == sum(count for _, count in row["to"]) == row["size"]
        assert sum(value for _, value in row["mean"]) == pytest.approx(1, abs=0.001)
        assert len(row["nearest"]) == min(12, row["size"])
        then, now = fit.step(10).assignment, fit.step(20).assignment
        for source, count in row["from"]:
            assert count == ((then == source) & (now == row["cluster"])).sum()
    json.dumps(first)


def test_every_image_without_labels_is_clustered_without_purity(store):
    points = training(2)[0]
    planes = [(n, write_plane(store, f"p{n}", p, np.full(IMAGES, -1))) for n, p in enumerate(points)]
    fit = clustering.fit_run(store, "series", planes, k=4)
    for row in rows_of_step(fit, 1)["clusters"]:
        assert row["purity"] is None
        assert row["majority"] == []


def stored(store: StatisticsStore) -> dict[str, bytes]:
    kinds = ("clusters", "projections", "fits")
    files = [path for kind in kinds for path in (store.folder / kind).rglob("*") if path.is_file()]
    return {str(path.relative_to(store.folder)): path.read_bytes() for path in files}


def test_the_same_planes_give_the_same_bytes_wherever_it_was_interrupted(tmp_path):
    whole, halves = StatisticsStore(tmp_path / "whole"), StatisticsStore(tmp_path / "halves")
    clustering.fit_run(whole, "series", a_run(whole)[0], k=7, seed=4)
    planes = a_run(halves)[0]
    asked = []
    stopped = clustering.fit_run(
        halves, "series", planes, k=7, seed=4, stop=lambda: asked.append(1) is None and len(asked) > 2
    )
    assert stopped is None
    assert len(list((halves.folder / "clusters").iterdir())) == 2
    assert find_fit(halves, "series", {step: plane.key for step, plane in planes}) is None
    clustering.fit_run(halves, "series", planes, k=7, seed=4)
    assert stored(whole) == stored(halves)


def test_the_number_of_threads_changes_nothing(tmp_path):
    code = (
        "import hashlib, numpy as np\n"
        "from mloscope.app.statistics import clusters\n"
        "points = np.random.default_rng(0).dirichlet(np.ones(10), size=5000).astype(np.float32)\n"
        "before, digest = None, hashlib.sha256()\n"
        "for shift in range(3):\n"
        "    before = clusters.cluster_step(np.roll(points, shift, 0), np.ones(5000, bool), 20, 0, before)\n"
        "    digest.update(before.centres.tobytes() + before.assignment.tobytes() + before.distance.tobytes())\n"
        "mean, axes, _ = clusters.principal_axes(lambda: iter([points]))\n"
        "digest.update(axes.tobytes())\n"
        "print(digest.hexdigest())\n"
    )
    said = set()
    for threads in ("1", "4"):
        set_to = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        said.add(subprocess.check_output([sys.executable, "-c", code], env={**os.environ, **set_to}))
    assert len(said) == 1


def test_a_step_added_at_the_end_makes_no_other_again(store):
    planes, _ = a_run(store, steps=4)
    clustering.fit_run(store, "series", planes[:3], k=5)
    before = {path.name: path.stat().st_mtime_ns for path in (store.folder / "clusters").iterdir()}
    fit = clustering.fit_run(store, "series", planes, k=5)
    after = {path.name: path.stat().st_mtime_ns for path in (store.folder / "clusters").iterdir()}
    assert before.items() <= after.items()
    assert len(after) == 4
    assert fit.steps == [0, 10, 20, 30]


def test_k_and_seed_are_part_of_the_key(store):
    planes, _ = a_run(store, steps=2)
    found = {
        fit.clusters[10]
        for fit in (clustering.fit_run(store, "s", planes, k, seed) for k, seed in ((4, 0), (5, 0), (4, 1)))
    }
    assert len(found) == 3


def test_a_step_whose_plane_is_another_now_has_no_clusters(store):
    planes, _ = a_run(store)
    clustering.fit_run(store, "series", planes, k=5)
    now = {step: plane.key for step, plane in planes} | {10: "retrained"}
    fit = find_fit(store, "series", now)
    assert fit.steps == [0, 20, 30]
    with pytest.raises(NotFound, match="Step 10"):
        fit.step(10)
    rows = rows_of_step(fit, 20)
    assert rows["before"] is None  # the step it was told from is gone
    assert all(row["from"] == [] for row in rows["clusters"])
    assert rows_of_step(fit, 0)["after"] is None
    assert find_fit(store, "series", {}) is None
    assert find_fit(store, "another", now) is None


def test_planes_that_do_not_belong_together(store):
    (one,), _ = a_run(store, steps=1)
    points, labels = training(1, images=50)
    with pytest.raises(Conflict, match="50 images"):
        clustering.fit_run(store, "series", [one, (10, write_plane(store, "other", points[0], labels))])
    with pytest.raises(ValueError, match="no planes"):
        clustering.fit_run(store, "series", [])


def test_planes_with_the_top_20_are_clustered_by_what_they_keep(store):
    found, labels = training(2, images=400, classes=50)
    planes = [(n, write_plane(store, f"p{n}", p, labels, "top-20")) for n, p in enumerate(found)]
    points = clustering.points_of(planes[1][1])
    dense = points.toarray()
    assert (np.count_nonzero(dense, axis=1) <= 20).all()
    lost = np.square(found[1].astype(np.float64) - dense).sum(axis=1)
    left_out = 1 - dense.sum(axis=1)
    twentieth = np.sort(found[1], axis=1)[:, -20]
    assert (lost <= twentieth * left_out + 1e-4).all()
    fit = clustering.fit_run(store, "series", planes)
    assert fit.k == 30
    assert len(rows_of_step(fit, 1)["clusters"][0]["mean"]) == 24
    assert fit.coordinates(1).shape == (400, 2)


# ------------------------------------------------------------------------------------------------------------ the map


def test_the_map_is_one_principal_component_analysis_of_all_steps(store):
    planes, _ = a_run(store)
    fit = clustering.fit_run(store, "series", planes, k=5)
    keeps = [np.asarray(plane.predicted) >= 0 for _, plane in planes]
    all_points = np.concatenate([clustering.points_of(p)[keep] for (_, p), keep in zip(planes, keeps, strict=True)])
    expected = PCA(2).fit(all_points.astype(np.float64))
    about = fit.map_about
    assert about["explained"] == pytest.approx(expected.explained_variance_ratio_.tolist(), rel=1e-3)
    for (step, plane), keep in zip(planes, keeps, strict=True):
        codes = fit.coordinates(step)
        assert (codes[~keep] == NO_COORDINATE).all()
        low, high = np.array([about["x"], about["y"]]).T
        values = low + (codes[keep].astype(np.float64) + 32767) / 65534 * (high - low)
        theirs = expected.transform(clustering.points_of(plane)[keep])
        signs = np.sign((values * theirs).sum(axis=0))
        assert values == pytest.approx(theirs * signs, abs=float((high - low).max()) / 60_000)
    extremes = np.concatenate([fit.coordinates(step)[keep] for (step, _), keep in zip(planes, keeps, strict=True)])
    assert extremes.min() == -32767
    assert extremes.max() == 32767


def test_axes_of_very_many_classes_are_found_without_the_whole_matrix():
    spread = 0.7 ** np.arange(40)
    points = np.random.default_rng(0).normal(size=(600, 40)).astype(np.float32) * spread.astype(np.float32)
    mean, axes, explained = clustering.principal_axes(lambda: iter([points]))
    for shaped in (points, csr_matrix(points)):
        same_mean, found, share = clustering.principal_axes(
            lambda shaped=shaped: iter([shaped[:300], shaped[300:]]), 10
        )
        assert same_mean == pytest.approx(mean, abs=1e-9)
        assert share == pytest.approx(explained, rel=0.001)
        assert np.abs((found * axes).sum(axis=1)) == pytest.approx([1, 1], abs=0.001)


def test_a_network_that_says_the_same_of_every_image_is_one_point(store):
    points = np.full((20, 3), 1 / 3, np.float32)
    fit = clustering.fit_run(store, "series", [(0, write_plane(store, "p", points, np.zeros(20)))])
    assert len(np.unique(fit.coordinates(0), axis=0)) == 1
    assert rows_of_step(fit, 0)["clusters"][0]["size"] == 20
    assert {row["state"] for row in rows_of_step(fit, 0)["clusters"]} == {"alive", "empty"}


def test_nothing_predicted_anywhere(store):
    points = np.full((20, 3), np.nan, np.float32)
    fit = clustering.fit_run(store, "series", [(0, write_plane(store, "p", points, np.zeros(20)))])
    assert (fit.coordinates(0) == NO_COORDINATE).all()
    assert all(row["state"] == "empty" for row in rows_of_step(fit, 0)["clusters"])


def test_points_bytes(store):
    planes, _ = a_run(store)
    fit = clustering.fit_run(store, "series", planes, k=5)
    data = points_bytes(fit, [10, 20], dict(planes))
    assert data[:4] == b"MLP1"
    length = int.from_bytes(data[4:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert (8 + length) % 8 == 0
    assert (header["steps"], header["images"], header["clusters"]) == ([10, 20], IMAGES, 5)
    body = np.frombuffer(data, np.uint16, offset=8 + length).reshape(2, 4, IMAGES)
    for part, (step, plane) in zip(body, planes[1:3], strict=True):
        assert (fit.coordinates(step) == part[:2].view(np.int16).T).all()
        assert (part[2].view(np.int16) == fit.step(step).assignment).all()
        assert (part[3].view(np.int16) == plane.predicted).all()
    assert body[0, 2:, 5].tolist() == [65535, 65535]
