"""The compare page's callbacks as plain functions over stores' contents, and its routes."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from dash import no_update
from fastapi import FastAPI
from starlette.testclient import TestClient

from mloscope.app.web.dash import shell
from mloscope.app.web.dash.dash_pages import laid_out
from mloscope.app.web.dash.page import view_schema
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.dash.pages import compare_layout as parts
from mloscope.app.web.dash.pages.compare import PAGE, Compare
from mloscope.app.web.rest.api import add_rest

SCHEMA = view_schema(OURS)

NOW = {"step": 200, "index": 20}
OTHER = {
    "run": "lenet", "step": 0, "label": "0", "layer": "block/conv1", "parameter": "kernel", "units": "", "reason": None, "problem": None,
}  # fmt: skip


def view_of(**changes: Any) -> dict[str, Any]:
    return {**SCHEMA.defaults(), "layer": "block/conv1", **changes}


def words(children: Any) -> str:
    if isinstance(children, list | tuple):
        return " ".join(filter(None, map(words, children)))
    if hasattr(children, "children"):
        return words(children.children)
    return "" if children is None else str(children)


@pytest.fixture
def here(bench: Any) -> Compare:
    return Compare(bench.services)


@pytest.fixture
def subject(bench: Any) -> dict[str, Any]:
    return shell.subject_of(bench.services, "?run=lenet&corpus=noise")


def test_the_layout_holds_every_part_once() -> None:
    text = json.dumps(laid_out(PAGE), default=lambda part: part.to_plotly_json())
    for name in (
        parts.COMPARISON, parts.COMPARE_SETTLED,
        parts.COMPARE_LAYERS, parts.COMPARE_PREDICTIONS, parts.COMPARE_CONFUSION, parts.COMPARE_IMAGES,
        parts.COMPARE_SUMMARY, parts.COMPARE_SCATTER,
        parts.COMPARE_CHANGE, parts.COMPARE_UNIT, parts.COMPARE_TRAINING, parts.COMPARE_METRIC,
    ):  # fmt: skip
        assert text.count(f'"id": "{name}"') == 1, name


def test_one_click_tests_whether_high_variance_stays(here: Compare, subject: dict) -> None:
    said = words(here.summarise(subject, view_of(**{"compare-measure": "variance"}), NOW, OTHER))
    assert "Unit variances, A vs B: Spearman" in said
    assert "4 units" in said
    figure = here.scatter(subject, view_of(unit=2), NOW, OTHER, "light")
    assert list(figure.data[1].customdata) == [0, 1, 2, 3]
    assert "step 0" in figure.layout.xaxis.title.text
    assert "step 200" in figure.layout.yaxis.title.text


def test_chosen_units_carry_their_own_numbers(here: Compare, subject: dict) -> None:
    view = view_of(layer="conv2", units="5,1,9", unit=9)
    other = {**OTHER, "layer": "conv2", "units": "5,1,9"}
    assert sorted(here.scatter(subject, view, NOW, other, "dark").data[1].customdata) == [1, 5, 9]
    assert len(here.enlarge(subject, view, NOW, other, "dark").data) == 3
    elsewhere = here.enlarge(subject, {**view, "unit": 0}, NOW, other, "dark")
    assert "not among" in elsewhere.layout.annotations[0].text


@pytest.mark.parametrize(
    ("view", "other", "sentence"),
    [
        ({"compare-show": "features"}, {}, "Choose an image"),
        ({"compare-show": "confusion"}, {}, "Per-unit change"),
        ({}, {"layer": None}, "has no partner in lenet"),
        ({}, {"step": None, "reason": "There is no checkpoint 3 before this one."}, "no checkpoint 3 before"),
        ({}, {"step": None}, "no checkpoint at this step"),
        ({}, {"problem": 'There is no run "gone".'}, 'no run "gone"'),
        ({}, {"step": 7}, "no checkpoint of step 7"),
        ({}, {"layer": "conv2"}, "same shape on both sides"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    here: Compare, subject: dict, view: dict, other: dict, sentence: str
) -> None:
    stores = (subject, view_of(**view), NOW, {**OTHER, **other})
    assert sentence in words(here.summarise(*stores))
    for figure in (here.scatter(*stores, "light"), here.rank(*stores, "light"), here.enlarge(*stores, "light")):
        assert isinstance(figure, go.Figure)
        assert not figure.data


def test_feature_maps_of_an_image(here: Compare, subject: dict) -> None:
    view = view_of(**{"compare-show": "features", "image": "test-0"})
    assert len(here.rank(subject, view, NOW, OTHER, "light").data[0].x) == 4


def test_nothing_is_done_before_the_stores_are_filled_or_behind_another_panel(here: Compare, subject: dict) -> None:
    assert here.summarise(None, view_of(), NOW, OTHER) is no_update
    assert here.scatter(subject, view_of(), NOW, None, "light") is no_update
    assert here.rank(subject, view_of(), NOW, OTHER, None) is no_update
    assert here.enlarge(subject, view_of(**{"compare-panel": "layers"}), NOW, OTHER, "light") is no_update
    assert here.train(subject, view_of(), OTHER, "light") == (no_update, no_update)


def test_training_of_both_runs(make_bench: Any, measure: Any, tmp_path: Any) -> None:
    bench = make_bench(cache_folder=tmp_path)
    here, subject = Compare(bench.services), shell.subject_of(bench.services, "?run=lenet&corpus=noise")
    view = view_of(**{"compare-panel": "training"})
    figure, buttons = here.train(subject, view, OTHER, "light")
    assert "No metrics were recorded" in figure.layout.annotations[0].text
    assert [vars(button).get("data-page") for button in buttons] == ["metrics"]
    measure(bench, [0, 200])
    figure, buttons = here.train(subject, {**view, "compare-metric": "accuracy"}, OTHER, "light")
    assert [button.children for button in buttons][:3] == ["automatic", "loss", "accuracy"]
    *_, further, _ = here.train(subject, {**view, "compare-runs": "lost"}, OTHER, "light")[1]
    assert further.children == "+ lost"
    assert {trace.name for trace in figure.data} == {"lenet · test"}
    assert figure.layout.meta == {"x": "step", "ends": {"lenet": 200}}
    assert here.train(subject, {**view, "compare-align": "epoch"}, OTHER, "light")[0].layout.meta["x"] == "epoch"


# ------------------------------------------------------------------------------------------------------------ routes

QUESTION = "a_step=200&b_step=0&a_layer=block/conv1"


@pytest.fixture
def client(make_bench: Any, measure: Any, tmp_path: Any) -> TestClient:
    bench = make_bench(cache_folder=tmp_path)
    measure(bench, [0, 200])
    app = FastAPI()
    add_rest(app, bench.services)
    client = TestClient(app, base_url="http://127.0.0.1/api/v1/runs/lenet/comparison/", raise_server_exceptions=False)
    client.bench = bench
    return client


def test_the_table_of_units_as_json_and_csv(client: TestClient) -> None:
    answer = client.get(f"lenet/units?{QUESTION}&a_units=2,0&b_units=2,0").json()
    assert [row["unit"] for row in answer["units"]] == [2, 0]
    assert answer["correlations"]["variance"]["rank"] is None  # two units are too few
    table = client.get(f"lenet/units?{QUESTION}&format=csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert 'filename="lenet-200-lenet-0-block-conv1.csv"' in table.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert len(rows) == 4
    kernel = client.bench.parameters(200, "block/conv1")["kernel"]
    assert float(rows[1]["norm_a"]) == pytest.approx(np.linalg.norm(kernel[..., 1].astype(float)))


def test_the_arrays_and_the_confusion_are_files(client: TestClient) -> None:
    archive = np.load(io.BytesIO(client.get(f"lenet/arrays.npz?{QUESTION}&a_parameter=bias&b_parameter=bias").content))
    assert archive["a"].shape == (4, 1, 1, 1)
    rows = list(csv.DictReader(io.StringIO(client.get("lenet/confusion?a_step=200&b_step=0").text)))
    assert sum(int(row["a"]) for row in rows) == 20
    assert rows[0]["actual_name"] == "Bird"
    moved = client.get("lenet/confusion/0/0?a_step=200&b_step=0&limit=1").json()
    assert len(moved["into"]["images"]) == min(1, moved["into"]["total"])


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("gone", 404, 'no run "gone"'),
        ("lost", 422, "could not be opened"),
        ("lenet?pairs=conv1", 400, "pairs no layers"),
        (f"lenet/units?{QUESTION}&a_units=9-1", 400, "runs backwards"),
        (f"lenet/units?{QUESTION}&b_units=0-9", 404, "no unit 4"),
        (f"lenet/units?{QUESTION}&b_layer=conv2", 422, "same shape"),
        ("lenet/units?a_step=200&a_layer=conv2", 422, "b_step"),
        ("lenet/confusion/0/0?a_step=200&b_step=10", 404, "mloscope statistics"),
        ("lenet/confusion/99/0?a_step=200&b_step=0", 404, "no cell 99, 0"),
    ],
)
def test_refusals(client: TestClient, address: str, status: int, sentence: str) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]["message"]
