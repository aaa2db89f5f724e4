"""REST of statistics: types, headers, files and refusals; what is in the answers is tested with Statistics itself."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from found_patches import keep_patches
from starlette.testclient import TestClient

from mloscope.adaptors.interface import Facet
from mloscope.app.statistics.clusters.clustering import cluster_run
from mloscope.app.web.rest.answers import IMMUTABLE
from mloscope.app.web.rest.api import add_rest

RUN = "/api/v1/runs/lenet"


@pytest.fixture
def bench(make_bench: Any, measure: Any, tmp_path: Path) -> Any:
    made = make_bench(cache_folder=tmp_path)
    measure(made, [0, 100, 200])
    statistics = made.services.statistics
    series = statistics.identity.series("lenet", "noise", "test")
    cluster_run(statistics.store, series, list(statistics.of("lenet").ready.items()), k=3)
    return made


@pytest.fixture
def client(bench: Any) -> TestClient:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_rest(app, bench.services)
    return TestClient(app, raise_server_exceptions=False)


def refusal(answer: Any) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["error"]["kind"], answer.json()["error"]["message"]


def test_the_overview_is_asked_again_and_not_sent_again(client: TestClient, measure: Any, bench: Any) -> None:
    first = client.get(f"{RUN}/statistics")
    assert first.headers["cache-control"] == "no-cache"
    held = {"If-None-Match": first.headers["etag"]}
    assert client.get(f"{RUN}/statistics", headers=held).status_code == 304
    measure(bench, [300])
    second = client.get(f"{RUN}/statistics", headers=held)
    assert second.status_code == 200
    ready = [state["step"] for state in second.json()["steps"] if state["state"] == "ready"]
    assert ready == [0, 100, 200, 300]


@pytest.mark.parametrize("what", ["confusions", "points"])
def test_chunks_are_immutable_and_outdated_ones_are_refused(client: TestClient, bench: Any, what: str) -> None:
    (chunk,) = client.get(f"{RUN}/statistics").json()[what]
    answer = client.get(chunk["address"])
    assert answer.headers["cache-control"] == IMMUTABLE
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content[:4] == {"confusions": b"MLC1", "points": b"MLP1"}[what]
    held = {"If-None-Match": answer.headers["etag"]}
    assert client.get(chunk["address"], headers=held).status_code == 304
    status, kind, message = refusal(client.get(chunk["address"].replace("digest=", "digest=0")))
    assert (status, kind) == (409, "conflict")
    assert "the overview has the new one" in message
    assert refusal(client.get(chunk["address"].replace("steps=0,", "steps=zero,")))[0] == 400


def test_the_counts_of_cells_are_those_of_their_images(client: TestClient) -> None:
    for step in (0, 100, 200):
        answer = client.get(f"{RUN}/checkpoints/{step}/confusion").json()
        assert answer["not_predicted_column"] == 10
        assert sum(count for _, _, count in answer["cells"]) == 20
        for actual, predicted, count in answer["cells"]:
            page = client.get(f"{RUN}/checkpoints/{step}/confusion/{actual}/{predicted}?limit=1000").json()
            assert page["total"] == len(page["images"]) == count


def sets_of_images(client: TestClient) -> list[str]:
    """Addresses of lists: of the largest cell and the largest cluster of a step, and of all images on the map."""
    cells = client.get(f"{RUN}/checkpoints/200/confusion").json()["cells"]
    actual, predicted, _ = max(cells, key=lambda cell: cell[2])
    rows = client.get(f"{RUN}/checkpoints/200/clusters").json()["clusters"]
    cluster = max(rows, key=lambda row: row["size"])["cluster"]
    return [
        f"{RUN}/checkpoints/200/confusion/{actual}/{predicted}",
        f"{RUN}/checkpoints/200/clusters/{cluster}",
        f"{RUN}/statistics/lasso?lasso=200:0,0;999,0;999,999;0,999",
    ]


def listed(client: TestClient, address: str, **words: Any) -> list[str]:
    """Ids of the images of a list, which are all that its total counts."""
    for word, value in ({"limit": 1000} | words).items():
        address += f"{'&' if '?' in address else '?'}{word}={value}"
    found = client.get(address).json()
    assert found["total"] >= len(found["images"])
    assert found["total"] == len(found["images"]) or "limit" in words
    return [image["id"] for image in found["images"]]


def test_images_of_a_cell_a_cluster_and_a_lasso_are_narrowed_as_the_search_in_a_corpus(client: TestClient) -> None:
    for address in sets_of_images(client):
        everything = listed(client, address)
        assert len(everything) > 4
        for words in ({"search": "1"}, {"label": "cat"}, {"label": "0", "search": "TEST 2"}, {"search": "dog"}):
            searched = listed(client, "/api/v1/corpora/noise/images", split="test", **words)
            assert listed(client, address, **words) == [image for image in everything if image in searched]
        assert listed(client, address, split="test", corpus="noise", search="") == everything


def test_a_random_order_of_a_set_is_the_same_for_a_seed_and_its_first_page_a_sample(client: TestClient) -> None:
    cell, *others = sets_of_images(client)
    for address in (cell, *others):
        everything, shuffled = listed(client, address), listed(client, address, random=7)
        assert sorted(shuffled) == sorted(everything)
        assert shuffled != everything
        assert listed(client, address, random=7, offset=1, limit=3) == shuffled[1:4]
    assert listed(client, cell, random=7, order="unsure") == listed(client, cell, random=7)


def test_a_corpus_tells_its_facets_only_to_those_who_name_one(client: TestClient, bench: Any) -> None:
    told = []

    def facets() -> list[Facet]:
        told.append("pen")
        pens = np.arange(60, dtype=np.int32) % 3 - 1
        return [Facet("pen", "Pen", ("thin", "thick"), pens), Facet("order", "Order", ("unsure",), pens * 0 - 1)]

    bench.corpus.facets = facets
    cell, cluster, lasso = sets_of_images(client)
    unsure = listed(client, cell, order="unsure", search="test")
    assert told == []
    for address in (cell, cluster, lasso):
        thick = {f"test-{position}" for position in range(20) if (40 + position) % 3 == 2}
        assert listed(client, address, pen="thick") == [image for image in listed(client, address) if image in thick]
    assert told == ["pen"]
    # The route's own word is not the facet of that name, which no image has.
    assert listed(client, cell, order="unsure", label="") == unsure


@pytest.mark.parametrize(
    ("address", "rows"),
    [
        ("statistics?format=csv", 40),
        ("statistics/moves?from=0&to=0&format=csv", 0),
        ("checkpoints/0/classes?format=csv", 10),
        ("checkpoints/0/images", 20),
        ("checkpoints/0/clusters?format=csv", 3),
        ("checkpoints/0/clusters/members", 20),
    ],
)
def test_tables_are_files(client: TestClient, address: str, rows: int) -> None:
    answer = client.get(f"{RUN}/{address}")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''lenet-noise-test-")
    assert len(list(csv.DictReader(io.StringIO(answer.text, newline="")))) == rows


def test_a_table_as_parquet(client: TestClient) -> None:
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    answer = client.get(f"{RUN}/checkpoints/0/confusion?format=parquet")
    assert answer.content[:4] == b"PAR1"
    assert answer.headers["content-disposition"].endswith("lenet-noise-test-0-confusion.parquet")


@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        (
            "checkpoints/390/confusion",
            404,
            "this computes them: mloscope statistics arrays --images noise --split test",
        ),
        ("checkpoints/391/confusion", 404, "its steps go from 0 to 390"),
        ("checkpoints/0/confusion/10/0", 404, "classes go from 0 to 9"),
        ("checkpoints/0/confusion/0/0?order=size", 400, "order must be one of confident"),
        ("checkpoints/0/images/search?judged=maybe", 400, "judged must be one of wrong, right"),
        ("checkpoints/0/confusion/0/0?limit=1001", 422, "limit"),
        ("checkpoints/0/clusters/3", 404, "clusters go from 0 to 2"),
        ("checkpoints/0/clusters/0?label=dog", 404, "it has: Bird, cat"),
        ("checkpoints/0/confusion/0/0?random=soon", 422, "random"),
        ("statistics/lasso", 422, "lasso"),
        ("statistics/lasso?lasso=0:0,0;9,9", 400, "three corners"),
        ("statistics/lasso?lasso=390:0,0;9,0;9,9", 404, "no place on the map"),
        ("checkpoints/0/confusion?format=xlsx", 422, "format"),
        ("statistics?split=x", 404, "it has: training, test"),
        ("statistics?corpus=nowhere", 422, "gone does not exist"),
        ("statistics/moves?from=0&to=10", 404, "step 10"),
        ("statistics/class_order?rule=group", 404, "hierarchy.json"),
        ("images/test-99/trajectory", 404, "test-99"),
    ],
)
def test_refusals_are_sentences(client: TestClient, address: str, status: int, words: str) -> None:
    found, _, message = refusal(client.get(f"{RUN}/{address}"))
    assert found == status
    assert words in message


def test_top_patches_of_layers_and_units(client: TestClient, bench: Any) -> None:
    assert client.get(f"{RUN}/statistics/patches").json()["layers"] == []
    found, _, message = refusal(client.get(f"{RUN}/checkpoints/0/layers/block/conv1/patches"))
    assert (found, "--top-patches" in message) == (404, True)
    maps = np.random.default_rng(0).random((20, 4, 4, 4), np.float32)
    keep_patches(bench, "block/conv1", {0: maps, 100: maps})
    page = client.get(f"{RUN}/checkpoints/100/layers/block/conv1/patches?offset=1&limit=2").json()
    assert [unit["unit"] for unit in page["units"]] == [1, 2]
    unit = client.get(f"{RUN}/layers/block/conv1/units/2/patches").json()
    assert [step["patches"] for step in unit["steps"]] == [page["units"][1]["patches"]] * 2
    assert (unit["settled"], client.get(f"{RUN}/statistics/patches").json()["layers"][0]["median_settled"]) == (0, 0)


class Jobs:
    def state(self, run: str, corpus: str, split: str) -> dict[str, Any]:
        return {"state": "running", "done": 1.0, "of": 4.0, "step": 100}

    def act(
        self,
        action: str,
        run: str,
        corpus: str,
        split: str,
        maps: Sequence[str] = (),
        step: int | None = None,
        patches: bool = False,
    ) -> dict[str, Any]:
        return {
            "state": " ".join(
                [action, corpus, split, *maps, *([] if step is None else [str(step)]), *["patches"] * patches]
            )
        }


def test_a_job_is_ordered_only_with_the_header(client: TestClient, bench: Any) -> None:
    order = {"action": "start", "split": "training"}
    own = {"X-Mloscope": "1"}
    assert refusal(client.post(f"{RUN}/statistics/job", json=order, headers=own))[0] == 503
    bench.services.statistics.jobs = Jobs()
    assert refusal(client.post(f"{RUN}/statistics/job", json=order))[0] == 403
    assert client.post(f"{RUN}/statistics/job", json=order, headers=own).json()["state"] == "start noise training"
    with_map = client.post(f"{RUN}/statistics/job", json={**order, "maps": ["tsne"]}, headers=own)
    assert with_map.json()["state"] == "start noise training tsne"
    with_patches = client.post(f"{RUN}/statistics/job", json={**order, "patches": True}, headers=own)
    assert with_patches.json()["state"] == "start noise training patches"
    assert refusal(client.post(f"{RUN}/statistics/job", json={**order, "maps": ["globe"]}, headers=own))[0] == 422
    told = client.post(f"{RUN}/statistics/job", json={**order, "action": "reorder", "step": 100}, headers=own).json()
    assert told["state"] == "reorder noise training 100"
    assert client.get(f"{RUN}/statistics").json()["job"]["state"] == "running"
    assert refusal(client.post(f"{RUN}/statistics/job", json={"action": "explode"}, headers=own))[0] == 422


def test_each_map_has_its_own_points_and_lassos(client: TestClient, bench: Any) -> None:
    statistics = bench.services.statistics
    series = statistics.identity.series("lenet", "noise", "test")
    refused = refusal(client.get(f"{RUN}/statistics/lasso?lasso=200:0,0;999,0;999,999;0,999&map=tsne"))
    assert refused[0] == 404
    lacking = client.get(f"{RUN}/statistics").json()["clusters"]["maps"][1]
    assert (lacking["key"], lacking["points"], lacking["expected_seconds"] > 0) == (None, [], True)
    cluster_run(statistics.store, series, list(statistics.of("lenet").ready.items()), k=3, maps=["tsne"])
    pca, tsne = client.get(f"{RUN}/statistics").json()["clusters"]["maps"]
    assert (pca["kind"], tsne["kind"]) == ("pca", "tsne")
    contents = [client.get(made["points"][0]["address"]).content for made in (pca, tsne)]
    headers = [json.loads(content[8 : 8 + int.from_bytes(content[4:8], "little")]) for content in contents]
    assert [header["explained"] is None for header in headers] == [False, True]
    assert "20 images" in headers[1]["note"]
    half = "lasso=200:0,0;500,0;500,999;0,999"
    left = [
        client.get(f"{RUN}/statistics/lasso?{half}&map={kind}&limit=1000").json()["total"] for kind in ("pca", "tsne")
    ]
    codes = [statistics.of("lenet").clustered().coordinates(200, kind)[:, 0] for kind in ("pca", "tsne")]
    assert left == [int((x < 500 / 999 * 65534 - 32767).sum()) for x in codes]
