"""Callbacks in worker threads: a slow one does not hold up a quick one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dash import Dash, Input, Output, html
from fastapi import FastAPI
from starlette.testclient import TestClient

from mloscope.app.web.dash.threaded_callbacks import threaded

PATIENCE_S = 30


def asked_of(component: str, value: str) -> dict[str, Any]:
    """The body of the request that Dash's renderer sends when ``in.value`` of this callback changes."""
    return {
        "output": f"{component}.children",
        "outputs": {"id": component, "property": "children"},
        "inputs": [{"id": "in", "property": "value", "value": value}],
        "changedPropIds": ["in.value"],
    }


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def begun() -> threading.Event:
    return threading.Event()


@pytest.fixture
def client(gate: threading.Event, begun: threading.Event) -> Iterator[TestClient]:
    """``slow`` answers once the gate is open, and ``quick`` opens it: in the other order nobody answers."""
    server = FastAPI()
    app = Dash("slow_and_quick", server=server, add_log_handler=False)
    app.layout = html.Div([html.Div(id=name) for name in ("in", "slow", "quick")])

    @threaded(app, Output("slow", "children"), Input("in", "value"))
    def slow(value: str) -> str:
        begun.set()
        return f"slow {value}" if gate.wait(PATIENCE_S) else "gave up"

    @threaded(app, Output("quick", "children"), Input("in", "value"))
    def quick(value: str) -> str:
        gate.set()
        return f"quick {value} in {threading.current_thread() is threading.main_thread()}"

    with TestClient(server) as client:
        yield client


def answer_of(client: TestClient, component: str, value: str) -> str:
    answer = client.post("/_dash-update-component", json=asked_of(component, value))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["response"][component]["children"])


def test_a_quick_request_overtakes_a_slow_callback(client: TestClient, begun: threading.Event) -> None:
    with ThreadPoolExecutor(2) as callers:
        slow = callers.submit(answer_of, client, "slow", "a")
        assert begun.wait(PATIENCE_S)
        assert answer_of(client, "quick", "b") == "quick b in False"
        assert slow.result(PATIENCE_S) == "slow a"


def test_a_route_answers_while_a_callback_is_slow(
    client: TestClient, gate: threading.Event, begun: threading.Event
) -> None:
    with ThreadPoolExecutor(2) as callers:
        slow = callers.submit(answer_of, client, "slow", "a")
        assert begun.wait(PATIENCE_S)
        assert client.get("/_dash-layout").status_code == 200
        assert not slow.done()
        gate.set()
        assert slow.result(PATIENCE_S) == "slow a"


def test_the_function_itself_stays_callable() -> None:
    app = Dash("callable", server=FastAPI(), add_log_handler=False)

    def double(value: int) -> int:
        return 2 * value

    bound = threaded(app, Output("out", "children"), Input("in", "value"))(double)
    assert bound is double
    assert bound(4) == 8


def test_a_coroutine_is_refused() -> None:
    app = Dash("refused", server=FastAPI(), add_log_handler=False)

    async def already(value: str) -> str:
        return value

    with pytest.raises(TypeError, match="already is a coroutine already"):
        threaded(app, Output("out", "children"), Input("in", "value"))(already)
