"""docs/http_api.md: every route is there and no other, every example is answered, its film reader reads."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from found_patches import keep_patches
from starlette.testclient import TestClient

from mloscope.app import errors
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.evaluation.named_outputs import NamedOutputsStore
from mloscope.app.films import encoding
from mloscope.app.images.thumbnails import png
from mloscope.app.statistics.clusters.clustering import cluster_run
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.web.rest.answers import IMMUTABLE
from mloscope.app.web.rest.api import add_rest
from mloscope.app.web.services import Services
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.run_labels import RunLabelsStore
from mloscope.app.workspace.saved_views import SavedViews
from mloscope.app.workspace.workspace import Workspace

PAGE = (Path(__file__).parents[4] / "docs" / "http_api.md").read_text()
VIEW = "5f1c0e6ad1b24c77"
HOST = "http://127.0.0.1:8050"
CHUNKS = (
    "films/{digest}",
    "saved-films/{digest}",
    *(f"runs/{{run}}/statistics/{what}" for what in ("confusions", "points", "cluster_rows", "cluster_pictures")),
)
PICTURE = png(np.zeros((4, 4, 1), np.uint8))
"""An image of one's own, of which the page names the id."""
COMMANDS = [
    line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for line in block.splitlines()
]


@pytest.fixture
def client(bench: Any, measure: Any, tmp_path: Path) -> TestClient:
    workspace = Workspace(
        [ConnectedRun("lenet", Path("arrays"), bench.run)],
        [ConnectedCorpus("digits", Path("digits"), bench.corpus)],
    )
    workspace.named_outputs = NamedOutputsStore(tmp_path)
    workspace.labels = RunLabelsStore(tmp_path)
    workspace.saved_views = SavedViews(tmp_path)
    saved = workspace.saved_views.add("nines", "", "/?run=lenet")
    (tmp_path / "views" / f"{VIEW}.json").write_text(json.dumps(asdict(saved) | {"id": VIEW}))
    statistics = Statistics(workspace, StatisticsStore(tmp_path))
    services = Services.of(workspace, ResultCache(MemoryStore(1 << 24)), bench.service, statistics=statistics)
    bench.services = services
    workspace.own_images.add(PICTURE)
    measure(bench, [0, 200], corpus="digits")
    series = statistics.identity.series("lenet", "digits", "test")
    cluster_run(statistics.store, series, list(statistics.of("lenet").ready.items()), k=3)
    keep_patches(bench, "conv2", {200: np.ones((20, 2, 2, 40), np.float32)})
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_rest(app, services)
    return TestClient(app, base_url=HOST)


def routes_of_the_page() -> list[str]:
    """The first column of the tables headed "route"."""
    tables = re.findall(r"^\| route \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [row.split("`")[1] for table in tables for row in table.splitlines()]


def test_the_routes_are_those_of_the_openapi_document(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    assert sorted(routes_of_the_page()) == sorted(path.removeprefix("/api/v1/") for path in paths)
    changing = {path: set(item) - {"get"} for path, item in paths.items() if set(item) != {"get"}}
    assert changing == {
        "/api/v1/connections": {"post"},
        "/api/v1/own-images": {"post"},
        "/api/v1/runs/{run}/labels": {"put"},
        "/api/v1/runs/{run}/outputs": {"put"},
        "/api/v1/runs/{run}/statistics/job": {"post"},
        "/api/v1/views": {"post"},
        "/api/v1/views/{view}": {"patch", "delete"},
    }


def test_the_parameters_that_the_page_names_exist(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()["paths"]
    known = {
        path: {p["name"] for p in item["get"].get("parameters", ()) if p["in"] == "query"}
        for path, item in document.items()
        if "get" in item
    }
    for command in COMMANDS:
        address, _, query = shlex.split(command)[-1].removeprefix(HOST).partition("?")
        address += ".npy" * address.endswith("/parameters")  # the ending may be left out
        names = {pair.split("=")[0] for pair in query.split("&") if pair}
        matching = [
            known[path] for path in known if re.fullmatch(re.sub(r"\\{\w+\\}", r".+", re.escape(path)), address)
        ]
        assert not names or any(names <= found for found in matching), command


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_is_answered(client: TestClient, command: str) -> None:
    name, *options, address = shlex.split(command)
    assert name == "curl"
    assert address.startswith(f"{HOST}/api/v1/")
    if "-X" in options:
        method = options[options.index("-X") + 1]
        is_file = "--data-binary" in options
        body = PICTURE if is_file else options[options.index("-d") + 1]
        headers = {"X-Mloscope": "1", "Content-Type": "image/png" if is_file else "application/json"}
        answer = client.request(method, address, content=body, headers=headers)
    else:
        answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert '{"error"' not in answer.text
    if "-o" in options:
        kinds = {
            ".npy": b"\x93NUMPY",
            ".npz": b"PK",
            ".mlf1": b"MLF1",
            ".png": b"\x89PNG",
            ".mp4": b"\0\0\0",
            ".html": b"<!doctype html>",
            ".svg": b"<svg",
            ".parquet": b"PAR1",
            ".csv": None,
        }
        start = kinds[Path(options[1]).suffix]
        assert answer.content.startswith(start) if start else answer.headers["content-type"].startswith("text/csv")


def test_every_route_but_the_chunks_has_an_example() -> None:
    addresses = [shlex.split(command)[-1].removeprefix(f"{HOST}/api/v1/").split("?")[0] for command in COMMANDS]
    for route in routes_of_the_page():
        pattern = re.sub(r"\\{(\w+)\\}", lambda word: ".+" if word[1] == "layer" else "[^/]+", re.escape(route))
        if route not in CHUNKS:
            assert any(re.fullmatch(pattern, address) for address in addresses), route


def read_film(data: bytes) -> Any:
    """The page's own reader."""
    text = re.search(r"^```python\n# file: read_film.py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert text
    assert len([line for line in text[1].splitlines() if line.strip()]) <= 15
    names: dict[str, Any] = {}
    exec(text[1], names)
    return names["read_film"](data)


def test_the_page_s_reader_reads_what_the_code_writes() -> None:
    values = np.random.default_rng(4).normal(size=(3, 2, 4, 3, 5, 1)).astype(np.float32)
    values[0, 0, 0, 0, :3, 0] = np.nan, -np.inf, np.inf
    values[1, 1] = 7.5
    values[2, 0] = np.nan
    film = encoding.quantise([0, 10, 25], values)
    steps, read = read_film(film.to_bytes())
    assert steps == [0, 10, 25]
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, film.values(), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(np.isnan(read), np.isnan(values))
    np.testing.assert_array_equal(np.isinf(read), np.isinf(values))
    span = film.unit_ranges[..., 1] - film.unit_ranges[..., 0]
    allowed = np.nan_to_num(span)[..., None, None, None, None] / 504 * 1.001 + 1e-6
    finite = np.isfinite(values)
    assert (np.abs(read[finite] - values[finite]) <= np.broadcast_to(allowed, values.shape)[finite]).all()


def test_a_chunk_of_a_manifest_is_read_and_is_immutable(client: TestClient) -> None:
    lines = client.get("/api/v1/runs/lenet/layers/conv2/film?units=0-7&near=200").text.splitlines()
    address = next(line for line in lines if line.startswith('{"chunk"')).split('"address":"')[1].split('"')[0]
    answer = client.get(address)
    assert answer.headers["cache-control"] == IMMUTABLE
    assert "immutable" in PAGE
    steps, values = read_film(answer.content)
    assert 200 in steps
    assert values.shape == (len(steps), 8, 4, 3, 3, 1)


def test_the_page_s_reader_reads_confusions(client: TestClient) -> None:
    text = re.search(r"^```python\n# file: read_confusions.py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert text
    names: dict[str, Any] = {}
    exec(text[1], names)
    chunks = client.get("/api/v1/runs/lenet/statistics").json()["confusions"]
    found = {}
    for chunk in chunks:
        answer = client.get(chunk["address"])
        assert answer.headers["cache-control"] == IMMUTABLE
        found |= names["read_confusions"](answer.content)
    assert list(found) == [0, 200]
    for step, counts in found.items():
        cells = client.get(f"/api/v1/runs/lenet/checkpoints/{step}/confusion").json()["cells"]
        assert {(a, p): n for a, p, n in cells} == {
            (a, p): counts[a, p] for a, p in zip(*np.nonzero(counts), strict=True)
        }


def test_the_table_of_errors_is_the_code_s() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    kinds = [errors.MloscopeError, *errors.MloscopeError.__subclasses__()]
    assert {(int(status), kind) for status, kind in rows} == {(kind.status, kind.kind) for kind in kinds}


def test_the_lines_of_a_manifest_are_the_table_s(client: TestClient) -> None:
    lines = client.get("/api/v1/runs/lenet/layers/conv2/film?show=features&image=test-0").text.splitlines()
    keys = {re.match(r'\{"(\w+)"', line)[1] for line in lines}  # type: ignore[index]
    table = PAGE.split("| line | meaning |")[1].split("\n\n")[0]
    for key in keys:
        assert re.search(rf"^\| .*`{key}`", table, re.MULTILINE), key
