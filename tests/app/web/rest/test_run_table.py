"""The table of runs over HTTP; tags; connecting a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from mloscope.app.web.rest import run_table
from mloscope.app.web.rest.api import add_rest
from mloscope.app.workspace.links import LinkFolder, PageConnections
from mloscope.app.workspace.run_labels import RunLabelsStore

OWN_PAGE = {"X-Mloscope": "1"}


@pytest.fixture
def client(make_bench: Any, tmp_path: Path) -> TestClient:
    bench = make_bench()
    bench.services.workspace.labels = RunLabelsStore(tmp_path / "cache")
    for name in ("watched", "runs/first", "runs/second"):
        (tmp_path / name).mkdir(parents=True)
    pages = PageConnections.of(LinkFolder(tmp_path / "watched"), [], [tmp_path / "runs" / "first"])
    services = replace(bench.services, connecting=replace(pages, open_run=lambda *_: None))
    app = FastAPI()
    add_rest(app, services)
    return TestClient(app, raise_server_exceptions=False)


def test_every_run_has_a_row_broken_ones_with_their_problem(client: TestClient) -> None:
    answer = client.get("/api/v1/run-table")
    TypeAdapter(list[run_table.RunRowBody]).validate_python(answer.json()["runs"], extra="forbid")
    lenet, lost = answer.json()["runs"]
    assert answer.json()["prepared"] is True
    assert (lenet["name"], lenet["state"], lenet["problem"]) == ("lenet", "ready", None)
    assert lenet["checkpoints"] > 0
    assert (lost["state"], lost["problem"]) == ("broken", "gone does not exist.")


def test_labels_are_kept_and_shown_in_the_table(client: TestClient) -> None:
    labels = {"tags": ["b", "a", "a"], "group": "sweep"}
    answer = client.put("/api/v1/runs/lenet/labels", json=labels, headers=OWN_PAGE)
    assert answer.json() == {"tags": ["a", "b"], "group": "sweep"}
    row = client.get("/api/v1/run-table").json()["runs"][0]
    assert (row["tags"], row["group"]) == (["a", "b"], "sweep")


def test_labels_that_cannot_be_are_refused(client: TestClient) -> None:
    put = client.put
    assert put("/api/v1/runs/lenet/labels", json={"tags": ["a,b"]}, headers=OWN_PAGE).status_code == 400
    assert put("/api/v1/runs/nobody/labels", json={"tags": ["a"]}, headers=OWN_PAGE).status_code == 404
    assert put("/api/v1/runs/lenet/labels", json={"tags": ["a"]}).status_code == 403


def test_a_run_is_connected_where_that_is_allowed(client: TestClient, tmp_path: Path) -> None:
    allowed = client.get("/api/v1/connections").json()
    assert allowed["folders"] == [str(tmp_path / "runs")]
    assert allowed["command"].startswith("mloscope connect")
    order = {"path": str(tmp_path / "runs" / "second")}
    assert client.post("/api/v1/connections", json=order).status_code == 403
    answer = client.post("/api/v1/connections", json=order, headers=OWN_PAGE)
    assert answer.json() == {"name": "second", "was_connected": False}
    assert (tmp_path / "watched" / "second").is_symlink()
    assert client.post("/api/v1/connections", json={"path": "/"}, headers=OWN_PAGE).status_code == 403
