"""docs/adding_a_film_kind.md, taken at its word: its files become a package outside the tree, its test runs, and REST, its
documentation and the dashboard show the kind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from installed_package import fenced, installed

PAGE = Path(__file__).parents[2] / "docs" / "adding_a_film_kind.md"

ASKED = """
import json

import numpy as np
from starlette.testclient import TestClient

from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.films.conformance import CONV, MadeUpService, made_up_workspace
from mloscope.app.films.encoding import Film
from mloscope.app.process.settings import Settings
from mloscope.app.web.server import create_app
from mloscope.app.web.services import Services

workspace, service = made_up_workspace(), MadeUpService()
services = Services.of(workspace, ResultCache(MemoryStore(1 << 24)), service)
with TestClient(create_app(services, Settings.from_environment({}))) as client:
    answer = client.get("/api/v1/runs/run/layers/conv/film?show=map-difference&image=test-3&other=test-5&near=20")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    film = Film.from_bytes(client.get(next(line["chunk"] for line in lines if "chunk" in line)["address"]).content)
    page, openapi = client.get("/").text, client.get("/api/openapi.json").json()

run, step = workspace.opened_run("run"), film.steps[0]
one, other = (
    service.maps(CONV.output_shape, step, workspace.network_input(run, None, image).values) for image in ("test-3", "test-5")
)
expected = np.abs(one - other).transpose(2, 0, 1)[:, None, :, :, None]
print(json.dumps({
    "head": lines[0]["film"],
    "last": lines[-1],
    "error": float(np.abs(film.values()[0] - expected).max()),
    "page": page,
    "parameters": openapi["paths"]["/api/v1/runs/{run}/layers/{layer}/film"]["get"]["parameters"],
}))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(PAGE, tmp_path_factory.mktemp("mapdifference"))


def python(project: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(project), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    answer = subprocess.run([sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr[-2000:]
    return answer.stdout


def test_a_kind_is_one_file_and_its_registration() -> None:
    assert set(fenced(PAGE.read_text())) - {"test_map_difference.py"} == {"map_difference.py", "pyproject.toml"}


def test_the_page_s_own_test_passes(project: Path) -> None:
    said = python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_map_difference.py")
    passed = re.search(r"(\d+) passed", said)
    assert passed
    assert int(passed[1]) >= 8


def test_rest_its_documentation_and_the_dashboard_show_it(project: Path) -> None:
    told = json.loads(python(project, "-c", ASKED).splitlines()[-1])
    assert (told["head"]["show"], told["head"]["unit_total"], told["last"]) == ("map-difference", 5, {"done": True})
    assert told["error"] < 0.01
    parameters = {each["name"]: each for each in told["parameters"]}
    assert "map-difference" in json.dumps(parameters["show"])
    assert "other" in parameters
    kinds = re.search(r'<script id="film-kinds" type="application/json">(.*?)</script>', told["page"])
    assert kinds
    assert {each["name"]: each["title"] for each in json.loads(kinds[1])}["map-difference"] == "Map difference"
    schema = re.search(r'<script id="view-schema" type="application/json">(.*?)</script>', told["page"])
    assert schema
    (mode,) = (field for field in json.loads(schema[1]) if field["key"] == "mode")
    assert "map-difference" in mode["choices"]
