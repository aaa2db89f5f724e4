"""Requests that a program made up, as many as there is time for: no fault, no hang, and every answer as the document says."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from bombardment import LONGEST_S, Bombardment, Tally
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from raw_http import RawClient
from target_server import CORPUS, RUNS, STEPS, TargetServer

from mloscope.app.process.settings import Settings
from mloscope.app.web.access.authentication import Authentication
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.dash.view_state import Field

SCHEMA = view_schema(OURS)

DASH = "/_dash-update-component"
PAGES = (
    "/login",
    "/logout",
    "/status",
    "/metrics",
    "/healthz",
    "/readyz",
    "/",
    "/compare",
    "/api/docs",
    "/_dash-layout",
)


NOWHERE_TO_CONNECT_FROM = "POST /api/v1/connections"
"""Is refused, because this server watches no folder."""


def bombarded(target: TargetServer, requests: int, edges: int | None = None, answered: float = 1.0) -> Tally:
    """``answered``: the share of routes that must have answered a request well."""
    before = len(target.faults.records)
    tally = Bombardment(target).run(requests, edges)
    print(tally)
    assert not tally.wrong, "\n".join(f"{where}\n    {what}" for where, what in tally.wrong.items())
    assert target.faults.records[before:] == []
    assert max(tally.statuses) < 500
    assert tally.longest_s < LONGEST_S, tally.longest
    assert tally.requests >= requests
    operations = sum(len(item) for item in target.document["paths"].values())
    assert len(tally.answered) == operations
    refused = [route for route, count in tally.answered.items() if not count and route != NOWHERE_TO_CONNECT_FROM]
    assert len(refused) <= (1 - answered) * operations, refused
    return tally


@pytest.mark.timeout(300)  # most of the time goes into making requests up
def test_hundreds_of_requests_are_answered_as_the_document_says(target: TargetServer) -> None:
    assert bombarded(target, 200, edges=1, answered=0.85).answered_share > 0.2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_requests_are_answered_as_the_document_says(target: TargetServer) -> None:
    assert bombarded(target, 10_000).answered_share > 0.2


# ------------------------------------------------------------------------------------- what the document does not hold

LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=30)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
NUMBERS = st.integers(0, 10**15 - 1) | st.sampled_from([0, 1, 2, 3, 4, 100])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    ["", "block/conv", "classes", "kernel", "../x", "<b>", "__proto__"]
)


def view_values(field: Field) -> st.SearchStrategy[Any]:
    """What the store may hold for a key, whatever it means."""
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "number": NUMBERS if field.default is not None else NUMBERS | st.none(),
        "units": st.sampled_from(["", "0", "0-3", "3,1,0-2", "100000-200000", "999999"]),
        "text": TEXTS,
    }
    return kinds[field.kind] if field.kind in kinds else st.sampled_from(field.choices)


def stores(target: TargetServer) -> dict[str, st.SearchStrategy[Any]]:
    """What a browser could send for each input, mostly of what is here."""
    corpus = target.services.workspace.opened_corpus(CORPUS).adaptor
    runs = st.sampled_from([*RUNS, "lost"]) | TEXTS
    steps = st.sampled_from(STEPS) | st.integers(-(2**65), 2**65) | st.none()
    checkpoint = st.fixed_dictionaries({"step": st.sampled_from(STEPS) | st.integers(), "label": TEXTS})
    real = [{"step": step, "label": str(step)} for step in STEPS]
    subject = st.fixed_dictionaries({
        "run": runs, "corpus": st.sampled_from([CORPUS, "lost"]) | TEXTS | st.none(),
        "runs": st.just(list(RUNS)) | st.lists(TEXTS, max_size=4),
        "checkpoints": st.just(real) | st.lists(checkpoint, max_size=6),
    })  # fmt: skip
    fields = {field.key: view_values(field) for field in SCHEMA.fields if field.key != "step"}
    fields["layer"] = st.sampled_from(["block/conv", "classes", "flatten", "image"]) | TEXTS
    fields["image"] = st.sampled_from(["", *(corpus.record(position).id for position in range(len(corpus)))]) | TEXTS
    side = st.fixed_dictionaries({
        "run": runs, "step": steps, "label": TEXTS | st.none(), "layer": fields["layer"] | st.none(),
        "parameter": st.sampled_from(["", "kernel", "bias"]) | TEXTS, "units": fields["units"], "reason": st.none() | TEXTS,
        "problem": st.none(),
    })  # fmt: skip
    return {
        "subject.data": subject,
        "view.data": st.fixed_dictionaries(fields),
        "unit-view.data": st.fixed_dictionaries(
            {key: fields[key] for key in ("layer", "unit", "parameter", "mode", "symmetric", "image")}
        ),
        "image-view.data": st.fixed_dictionaries({"image": fields["image"]}),
        "compare-view.data": st.fixed_dictionaries(fields),
        "confusion-view.data": st.fixed_dictionaries({key: fields[key] for key in ("split", "actual")}),
        "cluster-view.data": st.fixed_dictionaries({key: fields[key] for key in ("split", "cluster")}),
        "settled-time.data": st.fixed_dictionaries({"step": steps}),
        "compare-settled.data": side,
        "theme.data": st.sampled_from(["light", "dark", None]),
        "unit-rule.value": st.sampled_from(["largest-norm", "most-changed", "most-active", "", None]),
        "_pages_location.pathname": st.sampled_from(["/", "/compare", "/confusion"]) | TEXTS.map("/".__add__),
        "_pages_location.search": st.none()
        | TEXTS
        | st.sampled_from(["?run=digits", "?run=lost&corpus=x", "?%ff=%00&&=="]),
    }


def ask_dash(client: RawClient, question: Any) -> int:
    answer = client.ask(DASH, "POST", {"Content-Type": "application/json"}, json.dumps(question).encode())
    assert answer.status in (200, 204, 400, 404), (answer.status, answer.content[:500], question)
    assert answer.seconds < LONGEST_S, question
    assert b"Traceback" not in answer.content
    if answer.status >= 400:
        assert answer.json()["error"]["message"].endswith("."), answer.content
    return answer.status


def questions(target: TargetServer) -> list[tuple[dict[str, Any], dict[str, st.SearchStrategy[Any]]]]:
    """For every callback on the server its question, without values, and what the values may be."""
    values = stores(target)
    made = []
    for output, callback in target.callbacks.items():
        if "callback" not in callback:
            continue
        several = isinstance(callback["output"], list | tuple)
        outputs = [
            {"id": each.component_id, "property": each.component_property}
            for each in (callback["output"] if several else [callback["output"]])
        ]
        question = {
            "output": output,
            "outputs": outputs if several else outputs[0],
            "inputs": callback["inputs"],
            "state": callback["state"],
            "changedPropIds": [],
        }
        names = [f"{each['id']}.{each['property']}" for each in (*callback["inputs"], *callback["state"])]
        made.append((question, {name: values.get(name, JSON) for name in names}))
    return made


def filled(question: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    def given(word: str) -> list[dict[str, Any]]:
        return [{**each, "value": values[f"{each['id']}.{each['property']}"]} for each in question[word]]

    return {**question, "inputs": given("inputs"), "state": given("state")}


def changed(value: Any, dice: random.Random, other: Any) -> Any:
    """A copy with something in it left out, doubled or replaced by the other value."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        key = dice.choice(sorted(value))
        if dice.random() < 0.15:
            return {name: held for name, held in value.items() if name != key}
        return {**value, key: changed(value[key], dice, other)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        place = dice.randrange(len(value))
        if dice.random() < 0.15:
            return value[:place] + value[place + 1 :]
        if dice.random() < 0.15:
            return [*value, value[place]]
        return [*value[:place], changed(value[place], dice, other), *value[place + 1 :]]
    return other


def dash_is_asked(target: TargetServer, times: int) -> Counter[int]:
    """So often each callback; every second time with something in it that no browser would send."""
    statuses: Counter[int] = Counter()
    before = len(target.faults.records)
    how = settings(
        max_examples=times, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )  # fmt: skip
    with target.visitor("viewer") as client:
        for number, (question, values) in enumerate(questions(target)):

            def ask(values: Any, other: Any, number: int, question: Any) -> None:
                dice = random.Random(number)
                whole = filled(question, values)
                statuses[ask_dash(client, changed(whole, dice, other) if dice.random() < 0.5 else whole)] += 1

            numbers = st.integers(0, 2**32)
            seed(number)(how(given(st.fixed_dictionaries(values), JSON, numbers, st.just(question))(ask)))()
    assert target.faults.records[before:] == []
    return statuses


@pytest.mark.timeout(300)
def test_dash_is_asked_what_no_page_asks(target: TargetServer) -> None:
    statuses = dash_is_asked(target, 8)
    print(statuses)
    assert statuses[200] > 0.2 * statuses.total()
    with target.visitor("viewer") as client:
        for body in (b"", b"{", b"[" * 50_000, b'{"a":' * 50_000, b"1" * 10_000, b"\xff\xfe{}", b'"\\ud800"'):
            answer = client.ask(DASH, "POST", {"Content-Type": "application/json"}, body)
            assert answer.status == 400, (body[:20], answer)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_dash_is_asked_for_long(target: TargetServer) -> None:
    print(dash_is_asked(target, 400))


def test_pages_take_any_query_any_header_and_any_method(target: TargetServer) -> None:
    before = len(target.faults.records)
    statuses: Counter[int] = Counter()
    words = ("next", "name", "token", "run", "corpus", "a" * 2000)
    values = (
        "",
        "/",
        "//x.example",
        "\\\\x.example",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:%20a=b",
        "%00",
        "%ff",
        "a" * 20_000,
        "<script>",
    )
    with target.visitor("editor") as editor, target.visitor(None) as nobody:
        for path in PAGES:
            for client in (editor, nobody):
                for number, value in enumerate(values):
                    answer = client.ask(f"{path}?{words[number % len(words)]}={value}", headers={"Accept": "text/html"})
                    statuses[answer.status] += 1
                    assert answer.status < 500, (path, value, answer.content[:300])
                    assert answer.seconds < LONGEST_S
                    assert b"<script>alert" not in answer.content
                    assert answer.headers.get("set-cookie", "_csrf_token").startswith("_csrf_token")
                    assert answer.headers.get("location", "/").startswith("/")
                    assert not answer.headers.get("location", "/").startswith(("//", "/\\"))
                for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "A" * 300):
                    answer = client.ask(
                        path, method, body=b"" if method == "HEAD" else b"name=anna&password=%00&next=%ff"
                    )
                    statuses[answer.status] += 1
                    assert answer.status < 500, (path, method, answer.content[:300])
        session = Authentication(Settings(), target.users).session_cookie
        for headers in (
            {"Cookie": f"{session}=" + "a" * 4000}, {"Cookie": f"{session}=eyJ.x.y; {session}=; =; ;;"},
            {"X-Forwarded-Prefix": "//evil.example"}, {"X-Forwarded-Prefix": '/"><script>' * 300},
            {"Cookie": '_csrf_token="\x80"'}, {"Authorization": "Bearer " + "x" * 8000}, {"Authorization": "Basic \xff"},
            {"X-Request-Id": "a\tb" * 100}, {"X-Forwarded-For": "1.2.3.4, ::1, x" * 500}, {"If-None-Match": '"' * 10_000},
            {"Range": "bytes=0-,-1,5-2"}, {"Accept": "*/*;" * 3000}, {"Accept-Encoding": "gzip;q=x, \xe9"},
            {"Content-Type": "multipart/form-data"},
        ):  # fmt: skip
            for path in (*PAGES, "/api/v1/runs", "/assets/theme.css"):
                for client in (editor, nobody):
                    answer = client.ask(path, headers=headers)
                    statuses[answer.status] += 1
                    assert answer.status < 500, (path, headers, answer.content[:300])
                    assert b"evil.example" not in answer.content
    print(statuses)
    assert target.faults.records[before:] == []


def test_halves_of_letters_and_numbers_of_any_length_are_refused(target: TargetServer) -> None:
    job = "/api/v1/runs/digits/statistics/job"
    headers = {"Content-Type": "application/json", "X-Mloscope": "1"}
    with target.visitor() as editor:
        for body in (
            b'{"action": "start", "corpus": "\\ud800"}',
            b'{"action": "\\ud800"}',
            b'{"action": "start", "split": "\\udfff"}',
        ):
            assert 400 <= editor.ask(job, "POST", headers, body).status < 500
        for number in ("9" * 30, "9" * 5000, "-" + "9" * 30, "1e400", "nan", "-inf", "１２", "%00"):
            for address in (
                f"/api/v1/runs/digits/checkpoints/{number}/confusion",
                f"/api/v1/runs/digits/checkpoints/0/confusion/{number}/0",
                f"/api/v1/runs/digits/checkpoints/0/clusters/{number}",
                f"/api/v1/runs/digits/statistics/moves?from=0&to=10&actual={number}",
                f"/api/v1/runs/digits/statistics/points?steps={number}&digest=0",
                f"/api/v1/runs/digits/layers/block/conv/film?units={number}",
                f"/api/v1/runs/digits/layers/block/conv/units?count={number}",
                f"/api/v1/runs/digits/checkpoints/0/layers/block/conv/parameters.png?zoom={number}&low={number}",
                f"/api/v1/corpora/{CORPUS}/images?label={number}&random={number}&offset={number}",
                f"/api/v1/corpora/{CORPUS}/images?label={number}",
            ):
                answer = editor.ask(address)
                assert answer.status < 500, (address[:200], answer.content[:300])
