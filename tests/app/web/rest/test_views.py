"""Saved views over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mloscope.app.web.rest.api import add_rest
from mloscope.app.workspace.saved_views import SavedViews

VIEWS = "/api/v1/views"
OWN = {"X-Mloscope": "1"}


@pytest.fixture
def client(make_bench: Any, tmp_path: Path) -> TestClient:
    services = make_bench(cache_folder=tmp_path).services
    services.workspace.saved_views = SavedViews(tmp_path)
    app = FastAPI()
    add_rest(app, services)
    return TestClient(app, raise_server_exceptions=False)


def save(client: TestClient, **values: Any) -> Any:
    return client.post(VIEWS, headers=OWN, json={"name": "one", "address": "/?run=lenet#step=20", **values})


def test_a_view_is_saved_listed_renamed_and_deleted(client: TestClient) -> None:
    saved = save(client, note="look at unit 3").json()
    assert (saved["name"], saved["note"], saved["run"], saved["problem"]) == ("one", "look at unit 3", "lenet", None)
    assert client.get(VIEWS).json() == {"views": [saved]}
    assert client.get(VIEWS, params={"search": "unit nowhere"}).json() == {"views": []}
    changed = client.patch(f"{VIEWS}/{saved['id']}", headers=OWN, json={"name": "two"}).json()
    assert changed == {**saved, "name": "two"}
    deleted = client.delete(f"{VIEWS}/{saved['id']}", headers=OWN)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert client.delete(f"{VIEWS}/{saved['id']}", headers=OWN).json()["error"]["kind"] == "not-found"


def test_a_view_of_a_run_that_is_not_connected_says_so(client: TestClient) -> None:
    saved = save(client, address="/confusion?run=gone&corpus=lost").json()
    assert "gone" in saved["problem"]
    assert "lost" in saved["problem"]


def test_only_our_own_pages_and_whoever_means_it_may_write(client: TestClient) -> None:
    saved = save(client).json()
    for method, address in (("POST", VIEWS), ("PATCH", f"{VIEWS}/{saved['id']}"), ("DELETE", f"{VIEWS}/{saved['id']}")):
        answer = client.request(method, address, json={"name": "x", "address": "/"})
        assert answer.json()["error"]["kind"] == "forbidden"
    assert client.get(VIEWS).json()["views"] == [saved]


@pytest.mark.parametrize("values", [{"name": ""}, {"name": 7}, {"address": "https://evil.example"}, {"address": None}])
def test_bad_input_gets_a_sentence(client: TestClient, values: dict[str, Any]) -> None:
    answer = save(client, **values)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"].endswith(".")
