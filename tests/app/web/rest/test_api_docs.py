"""The API's documentation: complete, of the API only, and needing nothing from elsewhere."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mloscope.app.web.rest.api import add_rest
from mloscope.app.web.rest.refusals import REFUSALS


@pytest.fixture
def client(bench: Any) -> TestClient:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_rest(app, bench.services)

    @app.get("/a-page-of-the-dashboard")
    def other() -> str:
        return "not the API's"

    return TestClient(app, base_url="http://lab:8050")


class Elements(HTMLParser):
    """All start tags with their attributes, and the open elements at the end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_document_holds_routes_of_the_api_only(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert len(document["paths"]) > 30
    assert {path[: len("/api/v1/")] for path in document["paths"]} == {"/api/v1/"}


def test_everything_in_the_document_is_described(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    names = []
    for path, item in document["paths"].items():
        for operation in item.values():
            names.append(operation["operationId"])
            assert operation["description"].strip(), path
            assert "204" in operation["responses"] or operation["responses"]["200"]["content"], path
            assert {str(error.status) for error in REFUSALS} < set(operation["responses"])
            for parameter in operation.get("parameters", ()):
                assert parameter.get("description"), f"{path}: {parameter['name']}"
    assert len(names) == len(set(names))
    used = set(re.findall(r'"#/components/schemas/(\w+)"', client.get("/api/openapi.json").text))
    assert set(document["components"]["schemas"]) == used


def test_the_page_shows_every_route_with_a_line_to_copy(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    answer = client.get("/api/docs")
    assert answer.headers["content-type"].startswith("text/html")
    elements = Elements(answer.text)
    assert elements.open == []
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes.get("href") for tag, attributes in elements.tags if tag == "a"}
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    for operation in operations:
        assert operation["operationId"] in ids
        assert f"#{operation['operationId']}" in links
    for path in document["paths"]:
        filled = re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), path)
        assert f"http://lab:8050{filled}" in unescape(answer.text)
    assert sum(attributes.get("class") == "copy" for _, attributes in elements.tags) == len(operations)


def test_the_page_needs_nothing_from_elsewhere_and_its_policy_says_so(client: TestClient) -> None:
    answer = client.get("/api/docs")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for tag, attributes in Elements(answer.text).tags:
        assert "src" not in attributes
        address = attributes.get("href", "#")
        assert address.startswith(("#", "../", "openapi.json", "data:")), (tag, address)
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert "prefers-color-scheme: dark" in answer.text
