"""Rows and points as pages read them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clustered_runs import IMAGES, a_run, training, write_step

from mloscope.app.statistics.clusters.answers import points_bytes, rows_of_step
from mloscope.app.statistics.clusters.clustering import cluster_run
from mloscope.app.statistics.stored.store import StatisticsStore


@pytest.fixture
def store(tmp_path: Path) -> StatisticsStore:
    return StatisticsStore(tmp_path)


def test_rows_say_where_images_came_from_and_where_they_go(store):
    steps, _ = a_run(store)
    fit = cluster_run(store, "series", steps, k=7)
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
    steps = [(n, write_step(store, f"p{n}", p, np.full(IMAGES, -1))) for n, p in enumerate(points)]
    fit = cluster_run(store, "series", steps, k=4)
    for row in rows_of_step(fit, 1)["clusters"]:
        assert row["purity"] is None
        assert row["majority"] == []


def test_points_bytes(store):
    steps, _ = a_run(store)
    fit = cluster_run(store, "series", steps, k=5)
    data = points_bytes(fit, [10, 20], dict(steps))
    assert data[:4] == b"MLP1"
    length = int.from_bytes(data[4:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert (8 + length) % 8 == 0
    assert (header["steps"], header["images"], header["clusters"]) == ([10, 20], IMAGES, 5)
    body = np.frombuffer(data, np.uint16, offset=8 + length).reshape(2, 4, IMAGES)
    for part, (step, plane) in zip(body, steps[1:3], strict=True):
        assert (fit.coordinates(step) == part[:2].view(np.int16).T).all()
        assert (part[2].view(np.int16) == fit.step(step).assignment).all()
        assert (part[3].view(np.int16) == plane.predicted).all()
    assert body[0, 2:, 5].tolist() == [65535, 65535]
