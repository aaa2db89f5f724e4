"""The clusters page's chart, and the REST routes that its rows come from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from mloscope.app.process.settings import Settings
from mloscope.app.statistics.clusters.clustering import cluster_run
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.dash.pages.clusters import Clusters
from mloscope.app.web.server import create_app

SCHEMA = view_schema(OURS)

STEPS = (0, 100, 200)
STATISTICS = "/api/v1/runs/lenet/statistics"


@pytest.fixture
def bench(make_bench: Any, measure: Any, tmp_path: Path) -> Any:
    """Three steps with statistics; image 4 of the split is not predicted."""
    bench = make_bench(cache_folder=tmp_path)
    measure(bench, STEPS, lost=(4,))
    return bench


def cluster(bench: Any, k: int = 3) -> None:
    statistics = bench.services.statistics
    of = statistics.of("lenet")
    series = statistics.identity.series("lenet", of.corpus, of.split)
    cluster_run(statistics.store, series, list(of.ready.items()), k)


@pytest.fixture
def client(bench: Any) -> TestClient:
    return TestClient(create_app(bench.services, Settings.from_environment({})))


def subject() -> dict:
    checkpoints = [{"step": step, "label": str(step)} for step in (*STEPS, 300)]
    return {"run": "lenet", "corpus": "noise", "checkpoints": checkpoints}


# ------------------------------------------------------------------------------------------------------------ REST


def test_rows_of_all_steps_come_in_chunks_that_never_change(bench: Any, client: TestClient) -> None:
    assert client.get(STATISTICS).json()["clusters"] is None
    cluster(bench)
    made = client.get(STATISTICS).json()["clusters"]
    assert (made["k"], made["steps"], len(made["keys"])) == (3, list(STEPS), 3)
    (chunk,) = made["rows"]
    answer = client.get(chunk["address"])
    assert "immutable" in answer.headers["cache-control"]
    rows = answer.json()["steps"]
    assert [row["step"] for row in rows] == list(STEPS)
    for row in rows:
        assert sum(found["size"] for found in row["clusters"]) == 19
        detail = client.get(f"/api/v1/runs/lenet/checkpoints/{row['step']}/clusters").json()["clusters"]
        assert [found["size"] for found in row["clusters"]] == [found["size"] for found in detail]
    cluster(bench, k=4)
    stale = client.get(chunk["address"])
    assert (stale.status_code, stale.json()["error"]["kind"]) == (409, "conflict")


def test_the_sheet_holds_the_pictures_of_the_nearest_images(bench: Any, client: TestClient) -> None:
    cluster(bench)
    (chunk,) = client.get(STATISTICS).json()["clusters"]["rows"]
    answer = client.get(chunk["address"]).json()
    shown = sorted({p for row in answer["steps"] for found in row["clusters"] for p in found["nearest"]})
    told = answer["pictures"]
    sheet = client.get(told["address"])
    assert sheet.headers["content-type"] == "image/webp"
    picture = np.asarray(Image.open(io.BytesIO(sheet.content)).convert("RGB")).astype(int)
    edge, across = told["edge"], told["across"]
    assert picture.shape[:2] == (-(-len(shown) // across) * edge, min(len(shown), across) * edge)
    for place in (0, len(shown) - 1):
        left, top = place % across * edge, place // across * edge
        pixels = bench.services.workspace.opened_corpus("noise").pixels(40 + shown[place])
        grey = np.asarray(Image.fromarray(pixels[..., :3].squeeze()).convert("RGB").resize((edge, edge), 0)).astype(int)
        assert np.abs(picture[top : top + edge, left : left + edge] - grey).mean() < 40  # WebP at 82 of noise
        assert np.corrcoef(picture[top : top + edge, left : left + edge].ravel(), grey.ravel())[0, 1] > 0.6


def test_ids_and_labels_are_in_the_order_of_the_split(bench: Any, client: TestClient) -> None:
    answer = client.get(f"{STATISTICS}/image_ids").json()
    assert answer["labels"] == bench.corpus.labels[40:60].tolist()
    assert answer["ids"] == [bench.corpus.record(position).id for position in range(40, 60)]


# ----------------------------------------------------------------------------------------------------------- chart


def test_the_chart_shows_the_size_of_every_cluster_and_breaks_where_there_is_none(bench: Any) -> None:
    cluster(bench)
    page = Clusters(bench.services)
    figure = page.draw_course(subject(), SCHEMA.defaults() | {"cluster": 1}, None, "light")
    sizes = np.array([trace.y for trace in figure.data[:3]], float)
    assert sizes[:, :3].sum(axis=0).tolist() == [19, 19, 19]
    assert np.isnan(sizes[:, 3]).all()
    assert figure.data[3].name == "purity"
    assert figure.data[1].line.width > figure.data[0].line.width


def test_a_cluster_that_there_is_not_is_none(bench: Any) -> None:
    cluster(bench)
    figure = Clusters(bench.services).draw_course(subject(), SCHEMA.defaults() | {"cluster": 99}, None, "dark")
    assert len(figure.data) == 3


def test_without_clusters_the_chart_says_so(bench: Any) -> None:
    figure = Clusters(bench.services).draw_course(subject(), SCHEMA.defaults(), None, "light")
    assert figure.layout.annotations[0].text == "There are no clusters yet."
    unknown = Clusters(bench.services).draw_course(subject() | {"run": "nowhere"}, SCHEMA.defaults(), None, "light")
    assert "nowhere" in unknown.layout.annotations[0].text
