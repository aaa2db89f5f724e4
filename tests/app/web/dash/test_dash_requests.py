"""What is asked of Dash: what a browser sends goes through, and nothing else reaches a callback."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import dash
import pytest
from starlette.testclient import TestClient

from mloscope.app.process.settings import Settings
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.dash_requests import CALLBACKS, COMPONENT_FILES, DashRequests, checks_of
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS, clusters, compare_layout, confusion, main_display_layout
from mloscope.app.web.server import create_app

SCHEMA = view_schema(OURS)

VIEW = {key: value for key, value in SCHEMA.defaults().items() if key != "step"} | {"layer": "block/conv1"}


@pytest.fixture
def client(bench: Any) -> Iterator[TestClient]:
    with TestClient(create_app(bench.services, Settings()), raise_server_exceptions=False) as client:
        yield client


def question(output: str, values: dict[str, Any]) -> dict[str, Any]:
    """What Dash's script sends for a callback, with these values of its inputs, null for others."""
    callback = dash.get_app().callback_map[output]
    made: dict[str, Any] = {"output": output, "changedPropIds": []}
    for word in ("inputs", "state"):
        made[word] = [{**each, "value": values.get(f"{each['id']}.{each['property']}")} for each in callback[word]]
    several = isinstance(callback["output"], list | tuple)
    outputs = [
        {"id": each.component_id, "property": each.component_property}
        for each in (callback["output"] if several else [callback["output"]])
    ]
    return {**made, "outputs": outputs if several else outputs[0]}


def stores(client: TestClient) -> dict[str, Any]:
    answer = client.post(CALLBACKS, json=question("subject.data", {"_pages_location.search": "?run=lenet"}))
    subject = answer.json()["response"]["subject"]["data"]
    return {
        f"{ids.SUBJECT}.data": subject,
        f"{ids.VIEW}.data": VIEW,
        f"{main_display_layout.UNIT_VIEW}.data": VIEW,
        f"{main_display_layout.IMAGE_VIEW}.data": VIEW,
        f"{compare_layout.COMPARE_VIEW}.data": VIEW,
        f"{confusion.CONFUSION_VIEW}.data": VIEW,
        f"{clusters.CLUSTER_VIEW}.data": VIEW,
        f"{ids.SETTLED_TIME}.data": {"step": 20, "index": 2},
        f"{ids.THEME}.data": "dark",
        f"{compare_layout.COMPARE_SETTLED}.data": {
            "run": "lenet", "step": 10, "label": "10", "layer": "block/conv1", "parameter": "", "units": "", "reason": None,
            "problem": None,
        },
        "_pages_location.pathname": "/compare",
        "_pages_location.search": "",
    }  # fmt: skip


def refusal(answer: Any) -> tuple[int, str]:
    error = answer.json()["error"]
    assert error["message"].endswith(".")
    return answer.status_code, error["kind"]


def test_every_callback_answers_what_a_browser_asks(client: TestClient) -> None:
    values = stores(client)
    asked = [output for output, callback in dash.get_app().callback_map.items() if "callback" in callback]
    assert len(asked) > 12
    for output in asked:
        answer = client.post(CALLBACKS, json=question(output, values))
        assert answer.status_code in (200, 204), output
        assert answer.headers.get("content-type") == ("application/json" if answer.status_code == 200 else None), output
        assert client.post(CALLBACKS, json=question(output, {"_pages_location.pathname": "/"})).status_code in (
            200,
            204,
        )


def test_what_may_come_in_is_said_of_every_input(client: TestClient) -> None:
    client.get("/")
    callbacks = [callback for callback in dash.get_app().callback_map.values() if "callback" in callback]
    taken = {f"{each['id']}.{each['property']}" for each in callbacks for each in (*each["inputs"], *each["state"])}
    stored_for_nobody = {f"{main_display_layout.CHOSEN_UNITS}.data"}  # the browser reads it
    assert taken == set(checks_of(OURS)) - stored_for_nobody


NONSENSE = (
    b"", b"null", b"[]", b"{}", b"no JSON", b"\xff", b"[" * 100_000, b"9" * 5000, b'{"output": ["subject.data"]}',
    b'{"output": "subject.data", "inputs": [{"id": "_pages_location", "property": "search", "value": "\\ud800"}]}',
    b'{"output": "nothing.here", "inputs": []}', b'{"output": "theme.data", "inputs": []}',
    b'{"output": "subject.data"}', b'{"output": "subject.data", "inputs": {}}', b'{"output": "subject.data", "inputs": [3]}',
    b'{"output": "subject.data", "inputs": [{"id": "view", "property": "data"}]}',
)  # fmt: skip


def test_what_no_page_sends_is_refused(client: TestClient) -> None:
    for body in NONSENSE:
        answer = client.post(CALLBACKS, content=body, headers={"content-type": "application/json"})
        assert refusal(answer) in ((400, "bad-request"), (404, "not-found")), body[:100]


def test_a_question_that_is_wrong_in_one_place_is_refused(client: TestClient) -> None:
    client.get("/")
    asked = question("subject.data", {"_pages_location.search": "?run=lenet"})
    for changes in (
        {"outputs": {"id": "view", "property": "data"}},
        {"changedPropIds": [{"a": 1}]},
        {"changedPropIds": "subject.data"},
        {"state": [{"id": "view", "property": "data"}]},
    ):
        answer = client.post(CALLBACKS, json={**asked, **changes})
        assert refusal(answer) == (400, "bad-request")
        assert next(iter(changes)) in answer.json()["error"]["message"]
    form = client.post(CALLBACKS, content=json.dumps(asked), headers={"content-type": "text/plain"})
    assert refusal(form) == (400, "bad-request")


def test_stores_hold_what_our_scripts_write(client: TestClient) -> None:
    right = stores(client)
    unordered = {"run": "lenet", "corpus": None, "runs": [], "checkpoints": [{"step": "1"}]}
    for name, value, said in (
        (f"{ids.SUBJECT}.data", {"run": 3}, "at run"),
        (f"{ids.SUBJECT}.data", "lenet", "subject.data"),
        (f"{ids.SUBJECT}.data", unordered, "checkpoints.0"),
        (f"{ids.VIEW}.data", {**VIEW, "unit": -1}, "unit is not a valid number"),
        (f"{main_display_layout.UNIT_VIEW}.data", {**VIEW, "unit": -1}, "unit is not a valid number"),
        (f"{main_display_layout.UNIT_VIEW}.data", {**VIEW, "mode": "all"}, "mode is not a valid choice"),
        (f"{main_display_layout.IMAGE_VIEW}.data", {"image": 3}, "image is not a valid text"),
        (f"{confusion.CONFUSION_VIEW}.data", {"split": "", "actual": -1}, "actual is not a valid number"),
        (f"{clusters.CLUSTER_VIEW}.data", {"split": None, "cluster": 1}, "split is not a valid text"),
        (f"{ids.VIEW}.data", {**VIEW, "unit": None}, "unit is not a valid number"),
        (f"{ids.VIEW}.data", {**VIEW, "unit": True}, "unit is not a valid number"),
        (f"{ids.VIEW}.data", {**VIEW, "layer": ["a"]}, "layer is not a valid text"),
        (f"{ids.VIEW}.data", {**VIEW, "mode": {}}, "mode is not a valid choice"),
        (f"{ids.VIEW}.data", {**VIEW, "units": "5000000"}, "larger than any layer"),
        (f"{ids.VIEW}.data", {"layer": "block/conv1"}, "is missing"),
        (f"{ids.SETTLED_TIME}.data", {"step": "20"}, "at step"),
        (f"{ids.THEME}.data", "pink", "theme.data"),
    ):
        takers = {
            f"{ids.VIEW}.data": "chosen-units.data",
            f"{main_display_layout.IMAGE_VIEW}.data": "prediction-course.figure",
            f"{confusion.CONFUSION_VIEW}.data": "confusion-course.figure",
            f"{clusters.CLUSTER_VIEW}.data": "cluster-course.figure",
        }
        output = takers.get(name, "unit-heat-map.figure")
        answer = client.post(CALLBACKS, json=question(output, {**right, name: value}))
        assert refusal(answer) == (400, "bad-request"), name
        assert said in answer.json()["error"]["message"]


class _Callbacks(dict[str, Any]):
    """Remembers in which threads somebody looked for a callback."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def get(self, *_: Any) -> None:
        self.threads.append(threading.get_ident())


@pytest.mark.parametrize(("length", "elsewhere"), [(100, False), (200_000, True)])
def test_what_is_large_is_not_read_where_everybody_waits(length: int, elsewhere: bool) -> None:
    callbacks = _Callbacks()
    statuses: list[int] = []
    body = json.dumps({"output": "x.y", "rest": "r" * length}).encode()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    async def story() -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": CALLBACKS,
            "headers": [(b"content-type", b"application/json")],
        }
        await DashRequests(send, SimpleNamespace(callback_map=callbacks), {}, ["/"])(scope, receive, send)  # type: ignore[arg-type]

    asyncio.run(story())
    assert statuses[0] == 404
    assert (callbacks.threads[0] != threading.get_ident()) == elsewhere


def test_components_bring_their_files_and_no_others(client: TestClient) -> None:
    known = [f"{package}/{path}" for package, paths in dash.get_app().registered_paths.items() for path in paths]
    assert known
    for path in ("", "dash", "dash/dash.py", "os/path", "dash/deps/x.js"):
        assert refusal(client.get(COMPONENT_FILES + path)) == (404, "not-found"), path
    found = [path for path in known if path.endswith(".min.js")]
    assert client.get(COMPONENT_FILES + found[0]).status_code == 200
