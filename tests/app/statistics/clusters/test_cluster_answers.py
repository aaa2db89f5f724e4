"""Clusters as pages read them, with ids of images."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from measured import STEPS

from mloscope.app.errors import Conflict, NotFound
from mloscope.app.statistics.clusters import answers
from mloscope.app.statistics.clusters.lasso import Lasso
from mloscope.app.statistics.queries import Statistics


def test_clusters_are_told_with_ids(clustered: Statistics) -> None:
    of = clustered.of("lenet")
    found = answers.clusters(of, 100)
    assert (found["k"], found["step"], found["before"], found["after"]) == (3, 100, 0, 200)
    assert sum(row["size"] for row in found["clusters"]) == 20
    for row in found["clusters"]:
        page = answers.cluster_members(of, 100, row["cluster"]).page()
        assert page.total == len(page.images) == row["size"]
        assert row["nearest"] == [image["id"] for image in page.images][: len(row["nearest"])]
        distances = [image["distance"] for image in page.images]
        assert distances == sorted(distances)
        classes = [image["label"] for image in page.images]
        assert row["majority"][0]["count"] == max(map(classes.count, classes))
        assert sum(flow["count"] for flow in row["from"]) == row["size"]
        assert sum(flow["count"] for flow in row["to"]) == row["size"]
    with pytest.raises(NotFound, match="no cluster 3"):
        answers.cluster_members(of, 100, 3)
    with pytest.raises(NotFound, match="Step 110"):
        answers.clusters(of, 110)


def test_images_within_a_lasso_are_those_whose_places_are(clustered: Statistics) -> None:
    of = clustered.of("lenet")
    x = of.clustered().coordinates(100)[:, 0]
    left = answers.lassoed_images(of, Lasso.parse("100:0,0;500,0;500,999;0,999")).page()
    right = answers.lassoed_images(of, Lasso.parse("100:500,0;999,0;999,999;500,999")).page()
    middle = 500 / 999 * 65534 - 32767
    assert 0 < left.total < 20
    assert {x[image["position"]] < middle for image in left.images} == {True}
    assert {x[image["position"]] < middle for image in right.images} == {False}
    assert left.total + right.total >= 18  # an image at the very edge of the map lies on the line
    with pytest.raises(NotFound, match="Step 110 has no place"):
        answers.lassoed_images(of, Lasso.parse("110:0,0;9,0;9,9"))


def test_points_are_told_in_chunks(clustered: Statistics) -> None:
    of = clustered.of("lenet")
    ((steps, digest),) = answers.point_chunks(of)
    data = answers.points(of, steps, digest)
    length = int.from_bytes(data[4:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert data[:4] == b"MLP1"
    assert (header["steps"], header["images"], header["clusters"]) == (list(STEPS), 20, 3)
    assert len(data) == 8 + length + 3 * 20 * 8
    last = np.frombuffer(data, "<u2", 20, len(data) - 40)
    np.testing.assert_array_equal(last, clustered.of("lenet").step(200).predicted)
    with pytest.raises(Conflict):
        answers.points(of, steps[:1], digest)


def test_without_clusters_the_command_is_said(statistics: Statistics, made: Any) -> None:
    of = statistics.of("lenet")
    assert answers.point_chunks(of) == []
    for ask in (
        lambda: answers.points(of, [0], "x"),
        lambda: answers.clusters(of, 0),
        lambda: answers.cluster_members(of, 0, 0),
    ):
        with pytest.raises(NotFound, match="There are no clusters yet; this computes them: mloscope statistics"):
            ask()
