"""A server's first page, whatever its address, is whole."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from mloscope.app.process.settings import Settings
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.server import create_app


@pytest.mark.parametrize("path", ["/", "/confusion", "/clusters"])
def test_the_first_page_that_is_asked_for_has_its_modules_and_styles(bench: Any, path: str) -> None:
    app = create_app(bench.services, Settings.from_environment({}))
    with TestClient(app) as client:
        first = client.get(path).text
        again = client.get(path).text
    assert re.search(r'<link rel="stylesheet" href="/assets/bundled/\w+/styles.css">', first)
    assert 'import("mloscope/main.mjs")' in first
    assert re.findall(r"/assets/[\w/.]+", first) == re.findall(r"/assets/[\w/.]+", again)


def test_every_page_is_in_the_top_bar(bench: Any) -> None:
    app = create_app(bench.services, Settings.from_environment({}))
    with TestClient(app) as client:
        client.get("/")
        layout = client.get("/_dash-layout").text
    assert layout.count('"className":"nav-link"') == len(OURS)


@pytest.mark.parametrize("name", ["_dash-layout", "_dash-dependencies"])
def test_the_page_brings_the_answers_that_dash_asks_for_first(bench: Any, name: str) -> None:
    app = create_app(bench.services, Settings.from_environment({}))
    with TestClient(app) as client:
        page = client.get("/").text
        asked = client.get(f"/{name}").json()
    brought = re.search(rf'<script id="brought{name}" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert brought is not None
    assert json.loads(brought[1]) == asked
