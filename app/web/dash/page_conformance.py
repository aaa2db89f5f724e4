"""What every page promises, as tests. Subclass it beside your page:

    class TestMyPage(PageConformance):
        page = PAGE

The page is opened in the dashboard beside ours, over a workspace without runs: nothing of yours is needed, and nothing is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.process.settings import Settings
from mloscope.app.web.dash.dash_requests import CALLBACKS, checks_of
from mloscope.app.web.dash.page import Page, view_schema
from mloscope.app.web.dash.pages import OURS, collision
from mloscope.app.web.dash.view_state import KINDS, OWNERS
from mloscope.app.web.server import create_app
from mloscope.app.web.services import Services
from mloscope.app.workspace.workspace import Workspace

WORD = re.compile(r"[a-z][a-z0-9-]*")


class PageConformance:
    """The promises of :class:`mloscope.app.web.dash.page.Page`."""

    page: ClassVar[Page]

    @pytest.fixture
    def client(self) -> Iterator[TestClient]:
        """The dashboard with this page and no runs."""
        with TestClient(_dashboard(*OURS, self.page)) as client:
            yield client

    def test_it_can_stand_beside_our_pages(self) -> None:
        assert WORD.fullmatch(self.page.name)
        assert re.fullmatch(r"/[a-z0-9-/]+", self.page.path)
        assert all((self.page.label, self.page.title, self.page.help))
        assert collision(self.page, OURS) is None

    def test_fields_have_defaults_that_an_address_can_hold(self) -> None:
        schema = view_schema((self.page,))
        for field in self.page.fields:
            assert WORD.fullmatch(field.key), field.key
            assert field.kind in KINDS, field.key
            assert field.help, field.key
            assert set(field.of) <= set(OWNERS), field.key
            assert not field.unless or schema.field(field.unless), field.key
            field.check(field.default)
            for value in (field.default, *field.choices):
                view = {**schema.defaults(), field.key: value}
                assert schema.parse(schema.format(view)) == (view, [])

    def test_it_opens(self, client: TestClient) -> None:
        answer = client.get(self.page.path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        links = [each for each in _components(client.get("/_dash-layout").json()) if each.get("href") == self.page.path]
        assert [link["children"] for link in links] == [self.page.label]

    def test_ids_are_its_own(self, client: TestClient) -> None:
        known = _ids(client.get("/_dash-layout").json())
        own = _ids(self.page.layout().to_plotly_json()) + [store.id for store in self.page.stores]
        assert len(own) == len(set(own))
        assert not set(own) & set(known)

    def test_callbacks_take_what_is_declared_and_fill_what_is_there(self, client: TestClient) -> None:
        declared = set(checks_of((self.page,)))
        there = {*_ids(self.page.layout().to_plotly_json()), *(store.id for store in self.page.stores)}
        for callback in self._own_callbacks(client):
            taken = {f"{each['id']}.{each['property']}" for each in (*callback["inputs"], *callback["state"])}
            assert taken <= declared, f"stores or controls of the page must declare {sorted(taken - declared)}"
            assert {each["id"] for each in _outputs(callback)} <= there

    def test_callbacks_answer_before_a_run_is_open(self, client: TestClient) -> None:
        for callback in self._own_callbacks(client):
            outputs = _outputs(callback)
            question = {
                "output": callback["output"],
                "outputs": outputs if callback["output"].startswith("..") else outputs[0],
                "changedPropIds": [],
                "inputs": [{**each, "value": None} for each in callback["inputs"]],
                "state": [{**each, "value": None} for each in callback["state"]],
            }
            answer = client.post(CALLBACKS, json=question)
            assert answer.status_code in (200, 204), f"{callback['output']}: {answer.text}"

    def test_assets_are_served(self, client: TestClient) -> None:
        if self.page.assets is None:
            pytest.skip("this page brings no scripts and styles")
        shown = client.get(self.page.path).text
        for path in self.page.assets.rglob("*"):
            if path.suffix in (".mjs", ".css"):
                address = f"/assets/pages/{self.page.name}/{path.relative_to(self.page.assets).as_posix()}"
                assert address in shown
                assert client.get(address).content == path.read_bytes()

    def _own_callbacks(self, client: TestClient) -> list[dict[str, Any]]:
        """Those on the server that no dashboard without the page has."""
        with TestClient(_dashboard(*OURS)) as other:
            ours = {callback["output"] for callback in other.get("/_dash-dependencies").json()}
        found = client.get("/_dash-dependencies").json()
        return [each for each in found if each["output"] not in ours and not each["clientside_function"]]


def _dashboard(*pages: Page) -> FastAPI:
    return create_app(Services.of(Workspace([]), ResultCache(MemoryStore(1 << 20)), None), Settings(), pages)


def _components(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the properties of every component of a layout."""
    if hasattr(node, "to_plotly_json"):
        node = node.to_plotly_json()
    if isinstance(node, dict):
        if "namespace" in node:
            yield node["props"]
        for value in node.values():
            yield from _components(value)
    elif isinstance(node, list | tuple):
        for item in node:
            yield from _components(item)


def _ids(layout: Any) -> list[str]:
    return [properties["id"] for properties in _components(layout) if "id" in properties]


def _outputs(callback: dict[str, Any]) -> list[dict[str, str]]:
    """Return the outputs as Dash's script asks for them."""
    pairs = [output.rpartition(".") for output in callback["output"].strip(".").split("...")]
    return [{"id": component, "property": name} for component, _, name in pairs]
