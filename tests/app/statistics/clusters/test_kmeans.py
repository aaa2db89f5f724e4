"""K-means of one step: against scikit-learn and by hand; the same each time; the same clusters from step to step."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from clustered_runs import CLASSES, IMAGES, training
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans

from mloscope.app.statistics.clusters import kmeans


def everyone(images: int = IMAGES) -> np.ndarray:
    return np.ones(images, bool)


def test_kmeans_is_that_of_scikit_learn():
    points = training(3)[0][-1]
    found = kmeans.cluster_step(points, everyone(), 8, seed=1)
    expected = KMeans(8, random_state=1, n_init=kmeans.COLD_STARTS).fit(points)
    assert found.inertia == pytest.approx(expected.inertia_, rel=1e-5)
    pairs = set(zip(found.assignment.tolist(), expected.labels_.tolist(), strict=True))
    assert len(pairs) == 8  # the same sets under other numbers
    for mine, theirs in pairs:
        assert found.centres[mine] == pytest.approx(expected.cluster_centers_[theirs], abs=1e-4)


def test_distance_and_centre_are_those_of_the_members():
    points = training(3)[0][-1]
    found = kmeans.cluster_step(points, everyone(), 8, seed=1)
    for cluster in range(8):
        members = points[found.assignment == cluster]
        assert found.centres[cluster] == pytest.approx(members.astype(np.float64).mean(axis=0), abs=1e-6)
        distances = np.linalg.norm(members - found.centres[cluster], axis=1)
        assert found.distance[found.assignment == cluster] == pytest.approx(distances, abs=1e-6)
    assert found.inertia == pytest.approx(np.square(found.distance.astype(np.float64)).sum(), rel=1e-6)


def test_the_first_step_is_numbered_by_class_and_then_by_size():
    found = kmeans.cluster_step(training(3)[0][-1], everyone(), 8, seed=1)
    classes = found.centres.argmax(axis=1)
    assert (np.diff(classes) >= 0).all()
    for number in range(CLASSES):
        assert (np.diff(found.sizes[classes == number]) <= 0).all()


def test_an_image_that_was_not_predicted_belongs_to_no_cluster():
    points = training(3)[0][-1].copy()
    points[[3, 77]] = np.nan
    predicted = everyone()
    predicted[[3, 77]] = False
    found = kmeans.cluster_step(points, predicted, 5, seed=0)
    assert np.flatnonzero(found.assignment < 0).tolist() == [3, 77]
    assert np.flatnonzero(np.isnan(found.distance)).tolist() == [3, 77]
    assert found.sizes.sum() == IMAGES - 2
    assert np.isfinite(found.centres).all()


@pytest.mark.parametrize("different", [1, 3])
def test_fewer_different_images_than_clusters_leave_the_rest_empty(different):
    points = np.eye(CLASSES, dtype=np.float32)[np.arange(40) % different]
    found = kmeans.cluster_step(points, everyone(40), 7, seed=0)
    assert sorted(found.sizes[found.sizes > 0]) == sorted(np.bincount(np.arange(40) % different))
    assert found.inertia == pytest.approx(0, abs=1e-9)
    assert np.isfinite(found.centres).all()


def test_fewer_images_than_clusters():
    points = np.eye(CLASSES, dtype=np.float32)[:3]
    first = kmeans.cluster_step(points, everyone(3), 7, seed=0)
    assert sorted(first.sizes) == [0, 0, 0, 0, 1, 1, 1]
    second = kmeans.cluster_step(points, everyone(3), 7, seed=0, before=first)
    assert second.assignment.tolist() == first.assignment.tolist()


def test_a_step_at_which_nothing_was_predicted_passes_the_centres_on():
    steps = training(3)[0]
    first = kmeans.cluster_step(steps[2], everyone(), 5, seed=0)
    nothing = kmeans.cluster_step(np.full_like(steps[2], np.nan), ~everyone(), 5, seed=0, before=first)
    assert (nothing.assignment == -1).all()
    assert kmeans.states(nothing, first) == (["died"] * 5, [], [0, 1, 2, 3, 4])
    after = kmeans.cluster_step(steps[2], everyone(), 5, seed=0, before=nothing)
    assert after.sizes.sum() == IMAGES
    assert kmeans.states(after, nothing)[1] == [0, 1, 2, 3, 4]


def test_sparse_points_give_what_the_same_dense_ones_do():
    steps = training(3)[0]
    dense = sparse = None
    for points in steps:
        dense = kmeans.cluster_step(points, everyone(), 6, 0, dense)
        sparse = kmeans.cluster_step(csr_matrix(points), everyone(), 6, 0, sparse)
        assert (dense.assignment == sparse.assignment).mean() > 0.99
        assert sparse.inertia == pytest.approx(dense.inertia, rel=1e-3)


def test_many_images_are_clustered_in_batches():
    steps = training(3)[0]
    first = kmeans.cluster_step(steps[1], everyone(), 6, 0, mini_batch_values=100)
    whole = KMeans(6, random_state=0, n_init=4).fit(steps[1]).inertia_
    assert whole * 0.999 < first.inertia < whole * 1.15
    second = kmeans.cluster_step(steps[2], everyone(), 6, 0, first, mini_batch_values=100)
    assert second.sizes.sum() == IMAGES
    assert second.inertia < KMeans(6, random_state=0, n_init=4).fit(steps[2]).inertia_ * 1.3


def test_more_clusters_than_numbers():
    with pytest.raises(ValueError, match="32,767"):
        kmeans.cluster_step(np.eye(3, dtype=np.float32), everyone(3), 40_000, 0)


def test_images_keep_their_cluster_while_the_network_learns():
    steps, _ = training(12)
    before, kept = None, []
    for points in steps:
        found = kmeans.cluster_step(points, everyone(), 9, 0, before)
        if before is not None:
            kept.append((found.assignment == before.assignment).mean())
            assert not found.refit
        before = found
    afresh = [kmeans.cluster_step(points, everyone(), 9, seed) for seed, points in enumerate(steps)]
    by_chance = np.mean([(a.assignment == b.assignment).mean() for a, b in itertools.pairwise(afresh)])
    assert np.mean(kept) > 0.7
    assert np.mean(kept) > by_chance + 0.1


def eight_spots(seed: int = 0) -> np.ndarray:
    """float32 (image, class): every eighth image at the same place, nearly."""
    random = np.random.default_rng(seed)
    spots = random.dirichlet(np.full(CLASSES, 0.3), size=8)
    return (spots[np.arange(IMAGES) % 8] + random.normal(size=(IMAGES, CLASSES)) * 0.001).astype(np.float32)


def test_clusters_that_collapse_for_a_moment_come_back_under_their_numbers():
    first = kmeans.cluster_step(eight_spots(), everyone(), 8, 0)
    collapsed = kmeans.cluster_step(np.full((IMAGES, CLASSES), 1 / CLASSES, np.float32), everyone(), 8, 0, first)
    assert (collapsed.sizes > 0).sum() == 1
    again = kmeans.cluster_step(eight_spots(), everyone(), 8, 0, collapsed)
    assert again.assignment.tolist() == first.assignment.tolist()


def test_where_the_old_centres_are_no_place_to_begin_clusters_are_fitted_anew_and_numbered_by_shared_images():
    noise = np.random.default_rng(0).normal(size=(IMAGES, CLASSES)) * 0.001
    first = kmeans.cluster_step((1 / CLASSES + noise).astype(np.float32), everyone(), 8, 0)
    spread = kmeans.cluster_step(eight_spots(), everyone(), 8, 0, first)
    assert spread.refit
    assert spread.sizes.tolist() == [IMAGES // 8] * 8
    # Over all ways to number eight clusters an eighth keeps its number on average; the best way keeps more.
    assert (spread.assignment == first.assignment).mean() > 1 / 8


def test_match_is_one_to_one_and_keeps_as_many_images_as_possible():
    before = np.array([0] * 10 + [1] * 10 + [2] * 5 + [-1])
    now = np.array([2] * 9 + [0] + [0] * 6 + [2] * 4 + [1] * 5 + [1])
    numbers = kmeans.match(before, now, 4)
    assert sorted(numbers) == [0, 1, 2, 3]
    assert numbers[:3].tolist() == [1, 2, 0]


def test_flows_count_every_image_once():
    before, now = np.array([0, 0, 1, 1, -1, -1, 2]), np.array([0, 1, 1, 1, 0, -1, -1])
    assert kmeans.flows(before, now).tolist() == [[-1, 0, 1], [0, 0, 1], [0, 1, 1], [1, 1, 2], [2, -1, 1]]


def test_states_say_who_was_born_who_died_and_whose_number_others_took():
    def of(assignment: list[int]) -> kmeans.FoundClusters:
        whom = np.array(assignment, np.int16)
        return kmeans.FoundClusters(whom, np.zeros(len(whom), np.float32), np.zeros((6, 2), np.float32), 0.0, False)

    then = of([0] * 30 + [1] * 30 + [2] * 30)
    now = of([0] * 30 + [2] * 30 + [3] * 30)
    words, born, died = kmeans.states(now, then)
    assert words == ["alive", "died", "born", "born", "empty", "empty"]
    assert (born, died) == ([2, 3], [1, 2])
    assert kmeans.states(then, None) == (["alive"] * 3 + ["empty"] * 3, [], [])


def test_the_number_of_threads_changes_nothing(tmp_path):
    code = (
        "import hashlib, numpy as np\n"
        "from mloscope.app.statistics.clusters import kmeans, principal_map\n"
        "points = np.random.default_rng(0).dirichlet(np.ones(10), size=5000).astype(np.float32)\n"
        "before, digest = None, hashlib.sha256()\n"
        "for shift in range(3):\n"
        "    before = kmeans.cluster_step(np.roll(points, shift, 0), np.ones(5000, bool), 20, 0, before)\n"
        "    digest.update(before.centres.tobytes() + before.assignment.tobytes() + before.distance.tobytes())\n"
        "mean, axes, _ = principal_map.principal_axes(lambda: iter([points]))\n"
        "digest.update(axes.tobytes())\n"
        "print(digest.hexdigest())\n"
    )
    said = set()
    for threads in ("1", "4"):
        set_to = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        said.add(subprocess.check_output([sys.executable, "-c", code], env={**os.environ, **set_to}))
    assert len(said) == 1
