"""A view as one HTML file: it holds what the page needs, asks nobody, and runs from a disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mloscope.app.web.rest import saved_page
from mloscope.app.web.rest.api import add_rest

CONV = "/api/v1/runs/lenet/layers/block/conv1/page.html"
VIEW = "step=20&layer=block/conv1&image=test-0&mode=both"


@pytest.fixture
def client(make_bench: Any, array_run: Any) -> TestClient:
    bench = make_bench(array_run(steps=(0, 10, 20, 30), torn=(30,)))
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_rest(app, bench.services)
    return TestClient(app, base_url="http://127.0.0.1:8050")


def held(html: str, name: str) -> Any:
    found = re.search(rf'<script id="{name}" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def page(client: TestClient, hash: str = VIEW, **more: str) -> str:
    answer = client.get(CONV, params={"image": "test-0", "corpus": "noise", "hash": hash, **more})
    assert answer.status_code == 200, answer.text
    return answer.text


def test_it_holds_the_films_the_image_and_what_they_rest_on(client: TestClient) -> None:
    html = page(client)

    answers = held(html, "saved-answers")
    for show in ("parameters", "features"):
        assert f"/api/v1/runs/lenet/layers/block/conv1/film?show={show}" in answers
    assert "/api/v1/runs/lenet/predictions/test-0" in answers
    assert any(address.startswith("/api/v1/films/") for address in answers)
    about = re.search(r"<details.*?</details>", html, re.DOTALL)[0]  # type: ignore[index]
    assert "lenet" in about
    assert "Pixels: " in about
    assert "http://127.0.0.1:8050/" in about


def test_without_an_image_there_are_parameters_alone(client: TestClient) -> None:
    answer = client.get(CONV)

    assert [part["part"] for part in held(answer.text, "saved-parts")].count("FilmCanvas") == 1
    refused = client.get("/api/v1/runs/lenet/layers/flatten/page.html")
    assert (refused.status_code, refused.json()["error"]["kind"]) == (422, "not-possible")


def test_what_names_hold_ends_no_script(client: TestClient) -> None:
    html = page(client, hash="layer=</script><img src=x onerror=alert(1)>")

    assert "<img src=x" not in html


def test_what_is_too_large_is_said(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_page, "MOST_BYTES", 100)

    refused = client.get(CONV)

    assert refused.status_code == 422
    assert "fewer units" in refused.json()["error"]["message"]


@pytest.mark.browser
@pytest.mark.own_page
def test_it_runs_from_a_disk_and_asks_nobody(client: TestClient, open_page: Any, tmp_path: Path) -> None:
    file = tmp_path / "view.html"
    file.write_text(page(client))
    tab = open_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(f"file://{quote(str(file))}")
    for kind in ("parameters", "features"):
        tab.wait_for_selector(f"#{kind}-canvas canvas[data-state=ready][data-step='20']")
    tab.wait_for_selector("#predictions[data-state=ready]")

    tab.keyboard.press("ArrowLeft")
    tab.wait_for_selector("#features-canvas canvas[data-state=ready][data-step='10']")
    tab.keyboard.press("End")
    tab.wait_for_selector("#parameters-canvas canvas[data-state=missing]")

    assert "conv1" in tab.inner_text("#parameters-canvas .film-message")
    assert {url.split("#")[0] for url in asked if not url.startswith("data:")} == {file.as_uri()}
