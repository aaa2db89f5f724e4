"""The REST API: every route's answer, its type, its headers, and its refusals."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from PIL import Image
from pydantic import TypeAdapter
from starlette.testclient import TestClient

from mloscope.adaptors.interface import Facet
from mloscope.app.films import encoding
from mloscope.app.images import pictures
from mloscope.app.web.rest import corpora, histograms, parameters, predictions, runs
from mloscope.app.web.rest.answers import ASK_AGAIN, IMMUTABLE
from mloscope.app.web.rest.api import add_rest

RUN = "/api/v1/runs/lenet"
CONV = f"{RUN}/checkpoints/20/layers/block/conv1"


def application(services: Any) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_rest(app, services)

    @app.get("/{anything:path}")
    def everything_else() -> str:
        return "a page"

    return app


@pytest.fixture
def client(bench: Any) -> TestClient:
    return TestClient(application(bench.services), raise_server_exceptions=False)


def lines_of(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def array_of(answer: Any) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content), allow_pickle=False)


def picture_of(answer: Any) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


# ----------------------------------------------------------------------------------------- answers' shapes


@pytest.mark.parametrize(
    ("address", "model"),
    [
        ("/api/v1/runs", runs.RunsAnswer),
        (RUN, runs.RunAnswer),
        (f"{RUN}/checkpoints", runs.CheckpointsAnswer),
        (f"{RUN}/layers", runs.LayersAnswer),
        (f"{RUN}/metrics", runs.MetricsAnswer),
        (f"{RUN}/training-curve", runs.TrainingCurveAnswer),
        (f"{RUN}/checkpoints/20/predictions/test-0", predictions.PredictionAnswer),
        (f"{RUN}/predictions/test-0", predictions.PredictionsAnswer),
        (f"{RUN}/layers/block/conv1/units", parameters.UnitsAnswer),
        (f"{RUN}/layers/block/conv1/histograms", histograms.HistogramsAnswer),
        (f"{RUN}/layers/block/conv1/histograms?image=test-0&unit=1&scale=symlog", histograms.HistogramsAnswer),
        ("/api/v1/corpora", corpora.CorporaAnswer),
        ("/api/v1/corpora/noise", corpora.CorpusAnswer),
        ("/api/v1/corpora/nowhere", corpora.CorpusAnswer),
        ("/api/v1/corpora/noise/images", corpora.ImagesAnswer),
    ],
)
def test_json_is_what_the_documentation_says_and_carries_a_true_etag(
    client: TestClient, address: str, model: Any
) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"
    TypeAdapter(model).validate_json(answer.content, strict=True, extra="forbid")
    again = client.get(address, headers={"If-None-Match": f'"other", {answer.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", answer.headers["etag"])
    assert client.get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_the_curve_behind_the_timeline_is_the_recorded_loss(make_bench: Any, array_run: Any) -> None:
    run = array_run()
    client = TestClient(application(make_bench(run=run).services), raise_server_exceptions=False)
    unknown = client.get(f"{RUN}/training-curve").json()
    assert unknown == {"name": None, "source": None, "steps": [], "values": []}
    run.metrics = lambda: {"training loss": (np.array([0, 5, 20]), np.array([2.5, np.nan, 1.5]))}
    client = TestClient(application(make_bench(run=run).services), raise_server_exceptions=False)
    known = client.get(f"{RUN}/training-curve").json()
    assert (known["name"], known["source"]) == ("training loss", "checkpoints")
    assert (known["steps"], known["values"]) == ([0, 5, 20], [2.5, None, 1.5])


def test_metrics_are_curves_with_null_for_what_is_not_finite(make_bench: Any, array_run: Any) -> None:
    run = array_run()
    run.metrics = lambda: {"training loss": (np.array([0, 5, 20]), np.array([2.5, np.nan, np.inf]))}
    client = TestClient(application(make_bench(run=run).services), raise_server_exceptions=False)
    answer = client.get(f"{RUN}/metrics").json()
    TypeAdapter(runs.MetricsAnswer).validate_python(answer, extra="forbid")
    (curve,) = answer["curves"]
    assert answer["problems"] == []
    assert (curve["name"], curve["axis"], curve["source"]) == ("training loss", "step", "checkpoints")
    assert (curve["x"], curve["y"]) == ([0, 5, 20], [2.5, None, None])


def test_runs_that_could_not_be_opened_are_listed_with_their_problem(client: TestClient) -> None:
    assert client.get("/api/v1/runs").json()["runs"] == [
        {
            "name": "lenet",
            "title": "lenet",
            "format": "arrays",
            "path": "arrays",
            "checkpoints": 40,
            "version": "",
            "problem": None,
        },
        {
            "name": "lost",
            "title": "lost",
            "format": "keras",
            "path": "gone",
            "checkpoints": 0,
            "version": "",
            "problem": "gone does not exist.",
        },
    ]
    assert client.get("/api/v1/runs/lost").json()["problem"] == "gone does not exist."
    assert client.get("/api/v1/runs/lost/layers").status_code == 422


def test_a_run_says_what_its_network_takes(client: TestClient) -> None:
    run = client.get(RUN).json()
    assert run["input_shape"] == [6, 6, 3]
    assert run["class_names"][:2] == ["Bird", "cat"]
    assert len(run["class_names"]) == 10
    assert run["preprocessing"] == {"scale": 1 / 255, "mean": None, "channel_order": "rgb", "assumed": True}
    assert run["evaluation"] == {"possible": True, "state": "ready", "message": None, "passing": False}


def test_the_graph_is_a_picture(client: TestClient) -> None:
    answer = client.get(f"{RUN}/graph.svg", params={"selected": "conv2", "expanded": "a,b"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert 'data-layer="conv2"' in answer.text


# --------------------------------------------------------------------------------------------- parameters


def test_parameters_are_exactly_what_is_stored(client: TestClient, bench: Any) -> None:
    for kind in (np.float16, np.float64):
        stored = np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype(kind)
        stored[0, 0, 0] = [np.nan, np.inf, -np.inf, -0.0]
        bench.run.replaced[(20, "block/conv1", "kernel")] = stored
        bench.run.versions[20] += 1
        for ending in ("", ".npy"):
            found = array_of(client.get(f"{CONV}/parameters{ending}", params={"parameter": "kernel"}))
            assert found.dtype == kind
            assert found.tobytes() == stored.tobytes()


def test_parameters_are_selected_along_their_axes(client: TestClient, bench: Any) -> None:
    kernel = bench.run.values(20, "block/conv1", bench.run.layers()[1].parameters[0])
    answer = client.get(f"{CONV}/parameters.npy", params={"units": "1-2", "channels": "2"})
    np.testing.assert_array_equal(array_of(answer), kernel[:, :, 2:3, 1:3])
    assert answer.headers["x-mloscope-axes"] == "row,column,channel,unit"
    bias = client.get(f"{CONV}/parameters.npy", params={"parameter": "bias", "units": "3,0"})
    assert (
        array_of(bias).tolist()
        == bench.run.values(20, "block/conv1", bench.run.layers()[1].parameters[1])[[3, 0]].tolist()
    )


def test_an_unchanged_parameter_is_not_read_again(client: TestClient, bench: Any) -> None:
    for address in (f"{CONV}/parameters.npy", f"{CONV}/parameters.png"):
        etag = client.get(address).headers["etag"]
        reads = len(bench.run.reads)
        assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
        assert len(bench.run.reads) == reads
        bench.run.versions[20] += 1
        assert client.get(address, headers={"If-None-Match": etag}).status_code == 200


def test_a_picture_of_parameters_has_a_tile_for_each_and_hatches_what_is_no_number(
    client: TestClient, bench: Any
) -> None:
    kernel = np.zeros((3, 3, 4, 40), np.float32)
    kernel[0, 0, 0, 0], kernel[0, 1, 0, 0], kernel[2, 2, 3, 1] = -2, np.nan, 1
    bench.run.replaced[(20, "conv2", "kernel")] = kernel
    answer = client.get(f"{RUN}/checkpoints/20/layers/conv2/parameters.png", params={"units": "0-1", "zoom": 1})
    picture = picture_of(answer)
    assert picture.shape == (2 * 4 - 1, 4 * 4 - 1, 3)
    # Blue below zero, white at it, red above, to 2 on both sides although 1 is the largest.
    assert answer.headers["x-mloscope-range"] == "-2.0,2.0"
    low, middle, high = picture[0, 0], picture[0, 2], picture[6, 14]
    assert low[2] > low[0]
    assert min(middle) > 240
    assert high[0] > high[2]
    assert len({int(value) for value in picture[0, 1]}) == 1  # grey: no colour of the table
    assert picture_of(client.get(f"{CONV}/parameters.png")).shape[2] == 3


@pytest.mark.parametrize("colour", pictures.COLOUR_TABLES)
def test_every_colour_table_spans_the_range_given(client: TestClient, colour: str) -> None:
    params = {"colour": colour, "low": -1, "high": 3, "zoom": 1}
    answer = client.get(f"{RUN}/checkpoints/20/layers/conv2/parameters.png", params=params)
    assert answer.headers["x-mloscope-range"] == "-1.0,3.0"
    assert len(np.unique(picture_of(answer).reshape(-1, 3), axis=0)) > 50


# ------------------------------------------------------------------------------------- features, predictions


def test_features_are_the_maps_and_are_evaluated_once(client: TestClient, bench: Any) -> None:
    image = bench.network_input(43)
    expected = bench.service.expected((4, 4, 4), 20, "block/conv1", image)
    for ending in (".npy", ""):
        answer = client.get(f"{CONV}/features/test-3{ending}", params={"corpus": "noise"})
        np.testing.assert_array_equal(array_of(answer), expected)
    answer = client.get(f"{CONV}/features/test-3.png", params={"units": "0-1", "zoom": 3})
    assert picture_of(answer).ndim == 3
    assert len(bench.service.calls) == 1
    low, high = map(float, answer.headers["x-mloscope-range"].split(","))
    assert (low, high) == (expected.min(), expected.max())


def test_predictions_at_one_step_at_all_and_as_they_come(client: TestClient, bench: Any) -> None:
    image = bench.network_input(40)
    one = client.get(f"{RUN}/checkpoints/20/predictions/test-0").json()
    np.testing.assert_allclose(one["probabilities"], bench.service.expected((10,), 20, "classes", image), rtol=1e-6)
    whole = client.get(f"{RUN}/predictions/test-0").json()
    assert whole["steps"] == list(range(0, 400, 10))
    assert whole["probabilities"][2] == one["probabilities"]
    lines = lines_of(client.get(f"{RUN}/predictions/test-0", params={"stream": True, "near": 20}))
    assert lines[-1] == {"done": True}
    assert lines[0]["steps"][0] in (20, 30)
    together = {s: p for line in lines[:-1] for s, p in zip(line["steps"], line["probabilities"], strict=True)}
    assert [together[step] for step in whole["steps"]] == whole["probabilities"]


def test_nan_probabilities_are_null(client: TestClient, bench: Any) -> None:
    bench.service.expected = lambda shape, *_: np.full(shape, np.nan, np.float32)
    assert client.get(f"{RUN}/checkpoints/20/predictions/test-0").json()["probabilities"] == [None] * 10


def test_units_are_ranked(client: TestClient, bench: Any) -> None:
    bench.run.replaced[(20, "block/conv1", "bias")] = np.array([1, np.nan, 3, 2], np.float32)
    params = {"rule": "largest-norm", "step": 20, "parameter": "bias", "count": 4}
    found = client.get(f"{RUN}/layers/block/conv1/units", params=params).json()
    assert found == {
        "units": [2, 3, 0, 1],
        "values": [3, 2, 1, None],
        "rule": "largest-norm",
        "unit_total": 4,
    }


# -------------------------------------------------------------------------------------------------- films


def test_a_film_comes_as_lines_and_its_chunks_for_ever(client: TestClient, bench: Any) -> None:
    lines = lines_of(client.get(f"{RUN}/layers/block/conv1/film", params={"near": 100, "units": "1,3"}))
    assert lines[0]["film"]["units"] == [1, 3]
    assert lines[-1] == {"done": True}
    steps = []
    for line in lines:
        if "chunk" not in line:
            continue
        answer = client.get(line["chunk"]["address"])
        assert answer.headers["cache-control"] == IMMUTABLE
        assert answer.headers["content-type"] == "application/octet-stream"
        assert len(answer.content) == line["chunk"]["bytes"]
        steps += encoding.Film.from_bytes(answer.content).steps
        again = client.get(line["chunk"]["address"], headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.headers["cache-control"]) == (304, IMMUTABLE)
    assert sorted(steps) == list(range(0, 400, 10))


def test_names_that_are_no_text_come_as_near_to_it_as_they_can(client: TestClient, bench: Any) -> None:
    bench.corpus._names[0] = "caf\udce9 \udcff"  # as os.listdir gives bytes that are no UTF-8
    images = client.get("/api/v1/corpora/noise/images", params={"limit": 2}).json()["images"]
    assert [image["name"] for image in images] == ["caf? ?", "training 1"]


def test_a_method_that_is_not_allowed_is_told_which_are(client: TestClient) -> None:
    answer = client.request("TRACE", "/api/v1/runs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["error"]["message"] == "Method Not Allowed."


def test_what_the_cache_let_go_is_had_by_its_steps(client: TestClient, bench: Any) -> None:
    params = {"show": "features", "image": "test-0", "corpus": "noise", "units": "1,3"}
    lines = lines_of(client.get(f"{RUN}/layers/conv2/film", params=params))
    chunk = next(line["chunk"] for line in lines if "chunk" in line and len(line["chunk"]["steps"]) == 16)
    kept = client.get(chunk["address"]).content
    made = client.get(f"{RUN}/layers/conv2/frames", params={**params, "steps": ",".join(map(str, chunk["steps"]))})
    assert (made.status_code, made.headers["cache-control"]) == (200, ASK_AGAIN)
    assert made.content == kept
    bench.run.torn.add(20)
    kernel = client.get(f"{RUN}/layers/block/conv1/frames", params={"steps": "0,10"})
    assert encoding.Film.from_bytes(kernel.content).steps == (0, 10)


@pytest.mark.parametrize(
    ("steps", "status", "sentence"),
    [
        ("0,x", 400, 'steps must be whole numbers separated by commas, got "0,x".'),
        ("", 400, 'steps must be whole numbers separated by commas, got "".'),
        (
            ",".join(map(str, range(0, 170, 10))),
            400,
            "steps must name 1 to 16 steps of this film at a time; got 17.",
        ),
        ("5", 404, 'The run "lenet" has no checkpoint of step 5; its steps go from 0 to 390.'),
        ("0,20", 422, "Step 20 is missing: 20.npz ends in the middle of block/conv1."),
    ],
)
def test_frames_that_cannot_be_had_are_an_error_that_says_why(
    client: TestClient, bench: Any, steps: str, status: int, sentence: str
) -> None:
    bench.run.torn.add(20)
    answer = client.get(f"{RUN}/layers/block/conv1/frames", params={"steps": steps})
    assert (answer.status_code, answer.json()["error"]["message"]) == (status, sentence)


def test_a_film_of_features_is_served_with_its_image(client: TestClient) -> None:
    params = {"show": "features", "image": "test-0", "corpus": "noise"}
    lines = lines_of(client.get(f"{RUN}/layers/conv2/film", params=params))
    assert lines[0]["film"]["unit_total"] == 40
    assert lines[-1] == {"done": True}


def test_pictures_come_as_arrays_with_their_figures_and_as_png(client: TestClient, bench: Any) -> None:
    answer = client.get(
        f"{CONV}/deconvolution/test-0.npy", params={"corpus": "noise", "units": "3,1", "method": "guided"}
    )
    array = np.load(io.BytesIO(answer.content))
    assert array.dtype == np.float32
    assert array.shape[3] == 2
    asked = bench.service.expected(array.shape, 20, "deconvolution" + "block/conv1", bench.network_input(40))
    np.testing.assert_array_equal(array, asked)
    assert json.loads(answer.headers["x-mloscope-figures"]) == {"activation": [1.0, 1.0]}
    assert [call[1] for call in bench.service.calls] == [("deconvolution", "block/conv1")]
    picture = client.get(f"{CONV}/deconvolution/test-0.png", params={"units": "3,1", "method": "guided"})
    assert picture.content.startswith(b"\x89PNG")
    low, high = map(float, picture.headers["x-mloscope-range"].split(","))
    assert low == -high
    assert len(bench.service.calls) == 1


def ask_and_hang_up(app: FastAPI, path: str, asgi: str, enough: Callable[[bytes], bool]) -> bytes:
    """Speak ASGI of this version with the application, and hang up as soon as enough has come."""
    gone = asyncio.Event()
    asked = False
    came = b""

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        nonlocal came
        came += message.get("body", b"")
        if enough(came):
            gone.set()

    async def talk() -> None:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": asgi},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "server": ("testserver", 80),
            "client": ("reader", 1),
        }
        await app(scope, receive, send)

    asyncio.run(asyncio.wait_for(talk(), 20))
    return came


@pytest.mark.parametrize("asgi", ["2.3", "2.4"])
def test_a_reader_who_hangs_up_stops_the_work(bench: Any, asgi: str) -> None:
    app, path = application(bench.services), f"{RUN}/layers/block/conv1/film"
    came = ask_and_hang_up(app, path, asgi, lambda came: b'"chunk"' in came)
    assert b'{"done":true}' not in came
    # The first chunk has two steps; at most one more was under way.
    assert len({step for step, _ in bench.run.reads}) <= 4


# --------------------------------------------------------------------------------------------------- images


def test_facets_of_a_corpus_are_parameters_of_the_search(make_bench: Any, array_corpus: Any) -> None:
    corpus = array_corpus()
    corpus.facets = lambda: [Facet("pen", "Pen", ("thin", "thick"), np.arange(60, dtype=np.int32) % 3 - 1)]
    with TestClient(application(make_bench(corpus=corpus).services)) as client:
        facets = client.get("/api/v1/corpora/noise").json()["facets"]
        assert [(facet["name"], facet["values"]) for facet in facets] == [
            ("label", ["Bird", "cat"]), ("split", ["training", "test"]), ("pen", ["thin", "thick"]),
        ]  # fmt: skip
        found = client.get("/api/v1/corpora/noise/images?pen=thick&split=test&limit=2&nonsense=1").json()
        assert (found["total"], [image["id"] for image in found["images"]]) == (7, ["test-1", "test-4"])
        refused = client.get("/api/v1/corpora/noise/images?pen=felt")
        assert (refused.status_code, refused.json()["error"]["kind"]) == (404, "not-found")


def test_images_are_searched_a_page_at_a_time(client: TestClient) -> None:
    params = {"search": "test", "label": "cat", "split": "test", "offset": 1, "limit": 2}
    found = client.get("/api/v1/corpora/noise/images", params=params).json()
    assert (found["total"], found["offset"]) == (10, 1)
    assert found["images"][0] == {
        "id": "test-3",
        "name": "test 3",
        "label": 1,
        "class_name": "cat",
        "split": "test",
        "metadata": {"sharpness": None},
    }
    found = client.get("/api/v1/corpora/noise/images", params={**params, "at": "test-7"}).json()
    assert (found["offset"], [image["id"] for image in found["images"]]) == (2, ["test-5", "test-7"])
    shuffled = [
        [image["id"] for image in client.get("/api/v1/corpora/noise/images?random=5").json()["images"]]
        for _ in range(2)
    ]
    assert shuffled[0] == shuffled[1]


def test_an_image_is_its_pixels_and_carries_its_contents_etag(client: TestClient, bench: Any) -> None:
    answer = client.get("/api/v1/corpora/noise/images/test-2.png")
    np.testing.assert_array_equal(picture_of(answer), bench.corpus.pixels(42))
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get("/api/v1/corpora/noise/images/test-2.png", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert picture_of(client.get("/api/v1/corpora/noise/images/test-2.png?edge=3")).shape == (3, 3, 3)
    assert client.get("/api/v1/corpora/noise/images/test-3.png").headers["etag"] != answer.headers["etag"]


# ----------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("address", "status", "kind", "words"),
    [
        ("/api/v1/runs/vgg", 404, "not-found", "connected: lenet, lost"),
        ("/api/v1/runs/lost/checkpoints", 422, "not-possible", "gone does not exist"),
        (f"{RUN}/checkpoints/25/layers/conv2/parameters", 404, "not-found", "no checkpoint of step 25"),
        (f"{RUN}/checkpoints/two/layers/conv2/parameters", 422, "not-possible", 'path value step is "two"'),
        (f"{RUN}/checkpoints/20/layers/conv9/parameters", 404, "not-found", 'no layer "conv9"'),
        (f"{CONV}/parameters?parameter=gamma", 404, "not-found", "it has: kernel, bias"),
        (f"{CONV}/parameters?units=4", 404, "not-found", "units 0 to 3"),
        (f"{CONV}/parameters?units=3-1", 400, "bad-request", "runs backwards"),
        (f"{CONV}/parameters?parameter=bias&channels=0", 400, "bad-request", "has the axes unit only"),
        (f"{CONV}/parameters.png?colour=jet", 400, "bad-request", "viridis"),
        (f"{CONV}/parameters.png?zoom=99", 400, "bad-request", "from 1 to 32"),
        (f"{CONV}/parameters.png?low=1&high=0", 400, "bad-request", "low must not be above high"),
        (f"{CONV}/parameters.png?low=nan", 400, "bad-request", "low"),
        (f"{CONV}/features/test-99.npy", 404, "not-found", 'no image "test-99"'),
        (f"{CONV}/features/test-0?corpus=birds", 404, "not-found", 'no corpus "birds"'),
        (f"{RUN}/checkpoints/20/layers/lambda/features/test-0", 422, "not-possible", "--trust"),
        (f"{CONV}/deconvolution/test-99.npy", 404, "not-found", 'no image "test-99"'),
        (f"{CONV}/deconvolution/test-0.npy?method=vague", 422, "not-possible", "method"),
        (f"{CONV}/deconvolution/test-0.npy?of=9,0", 400, "bad-request", "rows 0 to 3"),
        (f"{CONV}/deconvolution/test-0.npy?units=4", 404, "not-found", "units 0 to 3"),
        (f"{CONV}/sketch/test-0.npy", 422, "not-possible", "kind"),
        (f"{RUN}/checkpoints/20/layers/lambda/deconvolution/test-0.npy", 422, "not-possible", "--trust"),
        (f"{RUN}/layers/flatten/film", 422, "not-possible", "has no parameters"),
        (f"{RUN}/layers/conv2/film?show=features", 400, "bad-request", "add image=ID"),
        (f"{RUN}/layers/conv2/film?show=weights", 422, "not-possible", "'parameters', 'features'"),
        (f"{RUN}/layers/conv2/film?units=x", 400, "bad-request", '"0-15,40" would be right'),
        (f"{RUN}/layers/conv2/film?units=40", 404, "not-found", "units 0 to 39"),
        (f"{RUN}/layers/conv2/units?rule=best", 422, "not-possible", "largest-norm"),
        (f"{RUN}/layers/conv2/units?rule=most-active", 400, "bad-request", "needs an image"),
        ("/api/v1/films/" + "0" * 32, 404, "not-found", "request its manifest again"),
        ("/api/v1/films/..%2Fsecret", 404, "not-found", "There is no"),
        ("/api/v1/corpora/nowhere/images", 422, "not-possible", "gone does not exist"),
        ("/api/v1/corpora/noise/images?limit=0", 422, "not-possible", "query value limit"),
        ("/api/v1/corpora/noise/images?label=dog", 404, "not-found", "it has: Bird, cat"),
        ("/api/v1/corpora/noise/images/test-99.png", 404, "not-found", "test-99"),
        ("/api/v1/corpora/noise/images/test-0.png?edge=0", 422, "not-possible", "query value edge"),
        ("/api/v1/nothing", 404, "not-found", "see /api/docs"),
        ("/api/v2/runs", 404, "not-found", "see /api/docs"),
        ("/api", 404, "not-found", "see /api/docs"),
        ("/api/", 404, "not-found", "see /api/docs"),
    ],
)
def test_refusals_are_sentences(client: TestClient, address: str, status: int, kind: str, words: str) -> None:
    answer = client.get(address)
    error = answer.json()["error"]
    assert (answer.status_code, error["kind"]) == (status, kind)
    assert words in error["message"]
    assert error["message"].endswith(".")
    assert answer.headers["cache-control"] == "no-store"


def test_other_methods_are_refused_and_other_addresses_left_alone(client: TestClient) -> None:
    assert client.post("/api/v1/runs").json()["error"]["kind"] == "not-found"
    assert client.delete("/api/v1/nothing").status_code == 404
    assert client.get("/network").json() == "a page"
    assert client.get("/apiary").json() == "a page"


def test_a_broken_checkpoint_answers_its_own_sentence(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(broken=[20], torn=[30]))
    client = TestClient(application(bench.services))
    for step, words in ((20, "The file is cut off."), (30, "30.npz ends in the middle of block/conv1.")):
        for ending in (".npy", ".png"):
            answer = client.get(f"{RUN}/checkpoints/{step}/layers/block/conv1/parameters{ending}")
            assert (answer.status_code, answer.json()["error"]["message"]) == (422, words)


def test_a_service_that_is_away_is_503(client: TestClient, bench: Any) -> None:
    bench.service.down = True
    answer = client.get(f"{CONV}/features/test-0")
    assert (answer.status_code, answer.json()["error"]["kind"]) == (503, "unavailable")


def test_what_nobody_expected_is_logged_and_said_in_one_opaque_sentence(
    client: TestClient, bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def burst() -> Any:
        raise RuntimeError("the secret of the house")

    bench.run.layers = burst
    with caplog.at_level(logging.ERROR):
        answer = client.get(f"{RUN}/layers")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": {"kind": "error", "message": "Something went wrong inside ML-o-scope; its log says what."}
    }
    assert "the secret of the house" in caplog.text
