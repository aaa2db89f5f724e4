"""The shell: what a page learns of its run and corpus, and a layout that holds everything that scripts look for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from mloscope.app.evaluation.named_outputs import NamedOutputs, NamedOutputsStore
from mloscope.app.process.request_context import CALLER, Caller
from mloscope.app.process.settings import Settings
from mloscope.app.web.dash import ids, shell
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.server import create_app

SCHEMA = view_schema(OURS)


@pytest.fixture
def client(bench: Any) -> Iterator[TestClient]:
    with TestClient(create_app(bench.services, Settings())) as client:
        yield client


def components(node: Any) -> Iterator[dict[str, Any]]:
    """Every component of a layout as Dash serves it."""
    if isinstance(node, dict):
        if "namespace" in node:
            yield node
        for value in node.values():
            yield from components(value)
    elif isinstance(node, list):
        for item in node:
            yield from components(item)


def test_a_subject_is_complete_and_json(bench: Any) -> None:
    subject = shell.subject_of(bench.services, "?run=lenet&corpus=noise")
    assert (subject["run"], subject["corpus"]) == ("lenet", "noise")
    assert subject["runs"] == ["lenet", "lost"]
    assert [checkpoint["step"] for checkpoint in subject["checkpoints"]] == list(range(0, 400, 10))
    assert [layer["name"] for layer in subject["layers"]][:2] == ["image", "block/conv1"]
    assert subject["classNames"][:3] == [
        "Bird",
        "cat",
        "2",
    ]  # of the network's ten outputs, not the corpus's two classes
    assert len(subject["classNames"]) == 10
    assert subject["basis"] == bench.services.workspace.basis("lenet", "noise").json()
    assert subject["basis"]["classes"]["corpus_classes"] == [0, 1, *[None] * 8]
    assert subject["evaluation"]["possible"] is True
    assert subject["preprocessing"]["assumed"] is True
    assert subject["problems"] == ["notes.txt is not a checkpoint."]
    json.dumps(subject, allow_nan=False)


@pytest.mark.parametrize("search", [None, "", "?", "?theme=dark"])
def test_without_names_the_first_of_each_is_shown(bench: Any, search: str | None) -> None:
    subject = shell.subject_of(bench.services, search)
    assert (subject["run"], subject["corpus"]) == ("lenet", "noise")


def test_of_a_name_given_twice_the_last_counts(bench: Any) -> None:
    assert shell.subject_of(bench.services, "?run=nothing&run=lenet")["problems"] == ["notes.txt is not a checkpoint."]


def test_an_unknown_run_is_said_and_the_first_takes_its_place(bench: Any) -> None:
    subject = shell.subject_of(bench.services, "?run=vgg&corpus=birds")
    assert (subject["run"], subject["corpus"]) == ("lenet", "noise")
    assert 'There is no run "vgg"; connected: lenet, lost.' in subject["problems"]
    assert any('no corpus "birds"' in problem for problem in subject["problems"])


def test_a_run_that_could_not_be_opened_says_why(bench: Any) -> None:
    subject = shell.subject_of(bench.services, "?run=lost")
    assert subject["run"] == "lost"
    assert "gone does not exist." in subject["problems"]
    assert (subject["checkpoints"], subject["layers"]) == ([], [])
    assert subject["evaluation"]["possible"] is False


def test_broken_checkpoints_keep_their_place_and_reason(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=(0, 10, 20), broken=[10]))
    checkpoints = shell.subject_of(bench.services, "")["checkpoints"]
    assert [(c["step"], c["problem"]) for c in checkpoints] == [
        (0, None),
        (10, "The file is cut off."),
        (20, None),
    ]


def test_without_a_model_service_the_subject_says_so(make_bench: Any) -> None:
    evaluation = shell.subject_of(make_bench(service=False).services, "")["evaluation"]
    assert evaluation["possible"] is False
    assert "model service" in evaluation["message"]


def test_the_layout_holds_every_id_of_the_shell_once(client: TestClient) -> None:
    found = [
        component["props"]["id"]
        for component in components(client.get("/_dash-layout").json())
        if "id" in component["props"]
    ]
    assert len(found) == len(set(found))
    # The slider itself, ids.TIME_SLIDER, is made in the browser by the timeline.
    wanted = {
        ids.SUBJECT, ids.SETTLED_TIME, ids.VIEW, ids.THEME, ids.NOTICES, ids.BASIS, ids.TIMELINE, ids.RUN_CHOICE,
        ids.CORPUS_CHOICE, ids.THEME_SWITCH, ids.SHARE, ids.HELP, ids.KEY_MAP,
    }  # fmt: skip
    assert wanted <= set(found)


def test_notices_are_announced(client: TestClient) -> None:
    (notices,) = [c for c in components(client.get("/_dash-layout").json()) if c["props"].get("id") == ids.NOTICES]
    assert notices["props"]["role"] == "status"


def test_the_page_carries_the_schema_of_the_view(client: TestClient) -> None:
    page = client.get("/").text
    schema = re.search(r'<script id="view-schema" type="application/json">(.*?)</script>', page)
    assert schema
    assert json.loads(schema[1]) == SCHEMA.as_json()


def test_nothing_but_the_browser_writes_time_and_view(client: TestClient) -> None:
    outputs = [
        output.rpartition(".")[0]
        for callback in client.get("/_dash-dependencies").json()
        for output in callback["output"].strip(".").split("...")
    ]
    assert ids.SUBJECT in outputs
    assert ids.SETTLED_TIME not in outputs
    assert ids.VIEW not in outputs


def test_the_subject_comes_through_the_callback_too(client: TestClient) -> None:
    (callback,) = [c for c in client.get("/_dash-dependencies").json() if c["output"] == f"{ids.SUBJECT}.data"]
    answer = client.post(
        "/_dash-update-component",
        json={
            "output": callback["output"],
            "outputs": {"id": ids.SUBJECT, "property": "data"},
            "inputs": [
                {"id": "_pages_location", "property": "search", "value": "?run=vgg"},
                {"id": ids.CONNECTIONS, "property": "data", "value": {"asked": 1}},
            ],
            "changedPropIds": ["_pages_location.search"],
        },
    )
    assert answer.status_code == 200
    subject = answer.json()["response"][ids.SUBJECT]["data"]
    assert subject["run"] == "lenet"
    assert subject["problems"][0].startswith('There is no run "vgg"')


def test_what_somebody_says_of_the_outputs_is_another_version_of_the_run(make_bench: Any, tmp_path: Path) -> None:
    """Pages that are open look at the version, and follow."""
    bench = make_bench(cache_folder=tmp_path)
    workspace = bench.services.workspace
    workspace.named_outputs = NamedOutputsStore(tmp_path)
    versions = [shell.subject_of(bench.services, "")["version"]]
    for names in ("abcdefghij", "jihgfedcba", ""):
        workspace.named_outputs.save(Path("arrays"), NamedOutputs(None, tuple(names)) if names else None)
        versions.append(shell.subject_of(bench.services, "")["version"])
        assert versions[-1] == workspace.version("lenet")
    assert versions[0] == versions[3]
    assert len(set(versions)) == 3


@pytest.mark.parametrize(("role", "may"), [("editor", True), ("viewer", False)])
def test_only_editors_find_the_form_of_the_outputs_open(role: str, may: bool) -> None:
    token = CALLER.set(Caller("anna", role, "session", "::1"))
    try:
        layout = json.loads(json.dumps(shell.layout(OURS).to_plotly_json(), default=lambda part: part.to_plotly_json()))
    finally:
        CALLER.reset(token)
    (line,) = [each for each in components(layout) if each["type"] == "BasisLine"]
    assert line["props"]["editor"] is may


@pytest.mark.parametrize(
    ("caller", "texts"),
    [
        (Caller("", "editor", "open", "::1"), ["Status"]),
        (Caller("anna", "editor", "session", "::1"), ["anna", "Signed in as anna, editor", "Status", "Sign out"]),
        (Caller("ci", "viewer", "token", "::1"), ["ci", "Signed in as ci, viewer", "Status"]),
    ],
)
def test_who_is_signed_in_has_a_menu(caller: Caller, texts: list[str]) -> None:
    token = CALLER.set(caller)
    try:
        layout = json.loads(json.dumps(shell.layout(OURS).to_plotly_json(), default=lambda part: part.to_plotly_json()))
    finally:
        CALLER.reset(token)
    said = [
        each["props"].get("children") for each in components(layout) if each["type"] in ("A", "Summary", "P", "Button")
    ]
    menu = [text for text in said if text in ("Status", "Sign out") or (caller.name and caller.name in str(text))]
    assert menu == texts
