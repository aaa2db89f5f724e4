"""What numbers rest on, over HTTP: the record, a link to it in every answer about a run, notices in every answer with numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from mloscope.app.evaluation.named_outputs import NamedOutputsStore
from mloscope.app.web.rest import basis
from mloscope.app.web.rest.api import add_rest
from mloscope.app.web.rest.resource import AnswerRoute
from mloscope.app.web.rest.resources import ROUTERS

RUN = "/api/v1/runs/lenet"
WITHOUT_NUMBERS_OF_THE_NETWORK = {
    "/api/v1/runs": "names of runs",
    "/api/v1/runs/{run}": "what the run is",
    "/api/v1/runs/{run}/checkpoints": "the run's files",
    "/api/v1/runs/{run}/layers": "the network's configuration",
    "/api/v1/runs/{run}/metrics": "recorded by the training itself",
    "/api/v1/runs/{run}/training-curve": "recorded by the training itself; of statistics, whose overview has the notices",
    "/api/v1/runs/{run}/layers/{layer:path}/units": "norms of parameters; with an image the link tells",
    "/api/v1/runs/{run}/layers/{layer:path}/histograms": "counts of parameters; with an image the link tells",
    "/api/v1/runs/{run}/statistics/class_order": "an order of the classes",
    "/api/v1/runs/{run}/statistics/cluster_rows": "kept for ever under an address out of the overview, which has the notices",
    "/api/v1/runs/{run}/statistics/image_ids": "ids and labels of images",
    "/api/v1/runs/{run}/statistics/job": "how far a computation is",
}
"""JSON answers that need no notices, and why."""


@pytest.fixture
def made(make_bench: Any, tmp_path: Path) -> Any:
    bench = make_bench(cache_folder=tmp_path)
    bench.services.workspace.named_outputs = NamedOutputsStore(tmp_path)
    return bench


@pytest.fixture
def application(made: Any) -> FastAPI:
    app = FastAPI()
    add_rest(app, made.services)
    return app


@pytest.fixture
def client(application: FastAPI) -> TestClient:
    return TestClient(application, raise_server_exceptions=False)


def test_no_answer_with_numbers_of_a_network_can_be_without_its_notices() -> None:
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    about_runs = [route for route in routes if "{run}" in route.path]
    assert len(about_runs) > 25
    for route in about_runs:
        assert isinstance(route, AnswerRoute), f"{route.path} has no link to what its numbers rest on"
        if route.response_model and "GET" in route.methods and route.path not in WITHOUT_NUMBERS_OF_THE_NETWORK:
            fields = get_type_hints(route.response_model)
            assert "notices" in fields, f"{route.path} answers with numbers and without notices"


def test_the_record_is_the_workspaces(client: TestClient, made: Any) -> None:
    answer = client.get(f"{RUN}/basis")
    assert answer.json() == made.services.workspace.basis("lenet").json()
    TypeAdapter(basis.BasisAnswer).validate_json(answer.content, extra="forbid")
    assert client.get(f"{RUN}/basis", params={"corpus": "gone"}).status_code == 404
    assert client.get("/api/v1/runs/lost/basis").status_code == 422


@pytest.mark.parametrize(
    ("path", "corpus"),
    [
        ("/checkpoints/20/predictions/test-0", None),
        ("/checkpoints/20/predictions/test-0?corpus=noise", "noise"),
        ("/predictions/test-0?stream=true", None),
        ("/checkpoints/20/layers/block/conv1/features/test-0.npy", None),
        ("/checkpoints/20/layers/block/conv1/features/test-0.png?corpus=noise", "noise"),
        ("/layers/block/conv1/film?show=features&image=test-0", None),
        ("/statistics", None),
        ("/statistics?format=csv", None),
        ("/statistics/image_ids", None),
    ],
)
def test_every_answer_about_a_run_links_to_the_record(client: TestClient, path: str, corpus: str | None) -> None:
    answer = client.get(RUN + path)
    assert answer.status_code == 200, answer.text
    address, _, relation = answer.headers["link"].partition(">; ")
    assert (address, relation) == (f"<{RUN}/basis" + (f"?corpus={corpus}" if corpus else ""), 'rel="describedby"')
    assert client.get(address[1:]).status_code == 200


def test_a_comparison_links_to_the_records_of_both_runs(client: TestClient) -> None:
    answer = client.get(f"{RUN}/comparison/lenet")
    assert answer.headers["link"].count("/basis>") == 2
    assert answer.json()["notices"]


def test_predictions_carry_the_notices_themselves(client: TestClient, made: Any) -> None:
    notices = made.services.workspace.basis("lenet").json()["notices"]
    assert notices
    for path in ("/checkpoints/20/predictions/test-0", "/predictions/test-0", "/statistics"):
        assert client.get(RUN + path).json()["notices"] == notices


# ------------------------------------------------------------------------------------------- settling outputs


def put(client: TestClient, **order: Any) -> Any:
    return client.put(f"{RUN}/outputs", json=order, headers={"X-Mloscope": "1"})


def test_classes_are_named_for_everybody_and_forgotten_again(client: TestClient, made: Any) -> None:
    names = [f"class of {number}" for number in range(10)]
    names[3], names[7] = "Bird", "cat"
    answer = put(client, classes=names)
    assert answer.status_code == 200, answer.text
    assert answer.json()["classes"]["named_by"] == "saved"
    assert answer.json()["classes"]["corpus_classes"][3] == 0
    assert made.services.workspace.basis("lenet").classes.output_of(1) == 7
    assert client.get(f"{RUN}/checkpoints/20/predictions/test-0").json()["class_names"] == names
    assert put(client).json()["classes"]["named_by"] == "the run's files"


@pytest.mark.parametrize(
    "order",
    [
        {"classes": ["a", "b"]},
        {"classes": ["a"] * 10},
        {"classes": ["a", ""]},
        {"output": "no such layer"},
        {"output": "block/conv1"},
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(client: TestClient, made: Any, order: dict[str, Any]) -> None:
    before = made.services.workspace.basis("lenet").json()
    answer = put(client, **order)
    assert answer.status_code == 400, answer.text
    assert made.services.workspace.basis("lenet").json() == before


def test_another_site_cannot_name_outputs(client: TestClient) -> None:
    assert client.put(f"{RUN}/outputs", json={"output": "classes"}).status_code == 403
