"""Films: the right numbers, made once, whatever is broken."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mloscope.adaptors.interface import Checkpoint, Layer, Parameter
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, Conflict, NotFound, NotPossible
from mloscope.app.evaluation.pacing import BLOCK_STEPS, Pace
from mloscope.app.films.encoding import Film
from mloscope.app.films.kinds import FilmQuestion
from mloscope.app.films.manifest import Films
from mloscope.app.runs.units import unit_ranking
from mloscope.app.web.services import Services
from mloscope.app.workspace.entries import RunEntry
from mloscope.app.workspace.workspace import Workspace

CONV = "block/conv1"


def shot(films: Films, lines: list[dict[str, Any]]) -> tuple[dict[int, np.ndarray], dict[int, Any]]:
    """Values and layer range by step, of all chunks of a manifest."""
    values: dict[int, np.ndarray] = {}
    spans: dict[int, Any] = {}
    for line in lines:
        if "chunk" in line:
            chunk = line["chunk"]
            data = films.chunk(chunk["address"].removeprefix("/api/v1/films/"))
            film = Film.from_bytes(data)
            assert (list(film.steps), len(data)) == (chunk["steps"], chunk["bytes"])
            assert not set(film.steps) & set(values), "a step came twice"
            values |= dict(zip(film.steps, film.values(), strict=True))
            spans |= dict(zip(film.steps, film.layer_ranges.tolist(), strict=True))
    return values, spans


def missing(lines: list[dict[str, Any]]) -> dict[int, str]:
    return {line["missing"]["step"]: line["missing"]["reason"] for line in lines if "missing" in line}


def test_what_a_film_cannot_show_is_said_before_anything_is_read(bench: Any) -> None:
    for words, kind, sentence in (
        ({"units": (4,)}, NotFound, "units 0 to 3; 4"),
        ({"channels": (4,)}, NotFound, "channels 0 to 0; 4"),
        ({"near": 5}, NotFound, "step 5"),
        ({"kind": "weights"}, BadRequest, "one of parameters, features"),
        ({"layout": "x"}, BadRequest, "one of tiles, matrix"),
        ({"parameter": "gamma"}, NotFound, "kernel, bias"),
    ):
        with pytest.raises(kind, match=sentence):
            bench.film(bench.question(CONV, **words))
    with pytest.raises(NotFound, match="manifest"):
        bench.services.films.chunk("0" * 32)
    assert bench.run.reads == []


def test_a_film_of_parameters_is_the_arrays(make_bench: Any, array_run: Any) -> None:
    run = array_run(broken=[50], torn=[120])
    bench = make_bench(run=run)
    lines = list(bench.film(bench.question(CONV, near=200)))
    head = lines[0]["film"]
    assert head == {
        "show": "parameters",
        "layer": CONV,
        "parameter": "kernel",
        "units": [0, 1, 2, 3],
        "channels": [0],
        "unit_total": 4,
        "channel_total": 1,
        "rows": 3,
        "columns": 3,
        "components": 3,
        "steps": list(range(0, 400, 10)),
    }
    values, spans = shot(bench.services.films, lines)
    assert missing(lines) == {50: "The file is cut off.", 120: f"120.npz ends in the middle of {CONV}."}
    assert sorted([*values, 50, 120]) == head["steps"]
    first = next(line["chunk"] for line in lines if "chunk" in line)
    assert 200 in first["steps"]
    assert len(first["steps"]) <= 3
    for step, found in values.items():
        kernel = run.values(step, CONV, run.layers()[1].parameters[0])
        np.testing.assert_allclose(found[:, 0], kernel.transpose(3, 0, 1, 2), atol=np.ptp(kernel) / 500)
        assert spans[step] == [kernel.min(), kernel.max()]
    assert lines[-1] == {"done": True}
    assert [line["progress"]["done"] for line in lines if "progress" in line][-1] == 40


def test_a_checkpoint_written_anew_while_it_is_read_is_never_shown_as_the_old_one(
    make_bench: Any, array_run: Any
) -> None:
    class Rewritten(array_run):
        """Written again, once, in the middle of reading step 20."""

        rewriting = True

        def parameters(self, checkpoint: Any, layer: Any) -> dict[str, np.ndarray]:
            found = super().parameters(checkpoint, layer)
            if checkpoint.step == 20 and self.rewriting:
                self.rewriting = False
                self.versions[20] += 1
                self.replaced[(20, CONV, "kernel")] = np.ones((3, 3, 3, 4), np.float32)
            return found

    run = Rewritten(steps=range(0, 40, 10))
    bench = make_bench(run=run)
    question = bench.question(CONV)
    lines = list(bench.film(question))
    assert missing(lines) == {20: "20.npz was changed while it was read; ask again."}
    assert sorted(shot(bench.services.films, lines)[0]) == [0, 10, 30]
    lines = list(bench.film(question))
    assert missing(lines) == {}
    assert shot(bench.services.films, lines)[1][20] == [1, 1]
    run.rewriting = True
    with pytest.raises(Conflict, match=r"20\.npz was changed while it was read; ask again\."):
        bench.opened.read(bench.opened.checkpoint(20), bench.opened.layer(CONV))


def test_a_checkpoint_caught_half_written_is_read_again_once_it_is_whole(make_bench: Any, array_run: Any) -> None:
    class HalfWritten(array_run):
        """Torn when it is read first; whole, and so another file, a moment later."""

        def parameters(self, checkpoint: Any, layer: Any) -> dict[str, np.ndarray]:
            try:
                return super().parameters(checkpoint, layer)
            finally:
                if checkpoint.step in self.torn:
                    self.torn.clear()
                    self.versions[checkpoint.step] += 1

    bench = make_bench(run=HalfWritten(steps=range(0, 40, 10), torn=[20]))
    assert missing(bench.film(bench.question(CONV))) == {20: f"20.npz ends in the middle of {CONV}."}
    assert missing(bench.film(bench.question(CONV))) == {}


def test_maps_of_a_checkpoint_written_anew_while_it_is_evaluated_are_not_kept(bench: Any) -> None:

    def write_again() -> None:
        if len(bench.service.calls) == 1:
            bench.run.versions[10] += 1

    bench.service.after_call = write_again
    found = bench.feature_maps([0, 10], CONV, "test-0")
    assert (list(found.maps), found.missing) == ([0], {10: "10.npz was changed while it was read; ask again."})
    bench.run.versions[10] -= 1  # the first file again: nothing of the other one may come back for it
    assert list(bench.feature_maps([0, 10], CONV, "test-0").maps) == [0, 10]
    assert [steps for steps, *_ in bench.service.calls] == [(0, 10), (10,)]
    bench.service.calls.clear()
    film = list(bench.film(bench.question("conv2", "features", image="test-0", near=10)))
    assert list(missing(film)) == [10]
    assert 10 not in shot(bench.services.films, film)[0]


def test_the_second_asking_reads_no_file_and_evaluates_nothing(make_bench: Any, array_run: Any) -> None:
    run = array_run(torn=[120])
    bench = make_bench(run=run)
    for question in (bench.question(CONV), bench.question("conv2", "features", image="test-0")):
        first = list(bench.film(question))
        assert run.reads or bench.service.calls
        list(bench.film(question))  # keeps what the torn checkpoint left out
        run.reads.clear()
        bench.service.calls.clear()
        assert list(bench.film(question)) == first
        assert (len(run.reads), len(bench.service.calls)) == (0, 0)
    # From elsewhere on the time axis most chunks are the same ones.
    elsewhere = {line["chunk"]["address"] for line in bench.film(bench.question(CONV, near=390)) if "chunk" in line}
    before = {line["chunk"]["address"] for line in bench.film(bench.question(CONV)) if "chunk" in line}
    assert elsewhere & before


def test_a_film_of_feature_maps_is_the_maps(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(broken=[50]))
    bench.service.failing = {80}
    question = bench.question("conv2", "features", image="test-7", units=(3, 39), near=100)
    lines = list(bench.film(question))
    head = lines[0]["film"]
    assert (head["units"], head["channels"], head["unit_total"], head["rows"]) == ([3, 39], [0], 40, 2)
    values, spans = shot(bench.services.films, lines)
    assert set(missing(lines)) == {50, 80}
    image = bench.network_input(47)
    for step, found in values.items():
        maps = bench.service.expected((2, 2, 40), step, "conv2", image)
        np.testing.assert_allclose(found[:, 0, :, :, 0], maps[..., [3, 39]].transpose(2, 0, 1), atol=2 / 500)
        assert spans[step] == [maps.min(), maps.max()]  # of all units, not of the two
    assert all(count == 1 for count in bench.service.evaluated.values())
    assert [priority for _, _, priority in bench.service.calls][:1] == [0]
    assert all(priority == 1 for _, _, priority in bench.service.calls[1:])
    bench.service.failing = set()
    again = list(bench.film(question))
    assert set(missing(again)) == {50}
    assert set(shot(bench.services.films, again)[0]) == {*values, 80}


def test_a_new_image_costs_two_calls_where_the_network_is_quick(make_bench: Any) -> None:
    bench = make_bench(pace=Pace(iter(np.arange(0, 10, 0.001)).__next__))
    list(bench.film(bench.question(CONV, "features", image="test-0")))
    assert [len(steps) for steps, _, _ in bench.service.calls] == [2, 38]


def test_a_slow_network_is_asked_for_little_at_a_time(make_bench: Any) -> None:
    bench = make_bench(pace=Pace(iter(np.arange(0, 10_000, 5.0)).__next__))
    list(bench.film(bench.question(CONV, "features", image="test-0")))
    assert max(len(steps) for steps, _, _ in bench.service.calls) <= BLOCK_STEPS
    assert sum(len(steps) for steps, _, _ in bench.service.calls) == 40


def test_hanging_up_stops_the_work(bench: Any) -> None:
    lines: Iterator[Any] = bench.film(bench.question(CONV, near=390))
    while "chunk" not in next(lines):
        pass
    lines.close()  # type: ignore[attr-defined]
    assert {step for step, _ in bench.run.reads} == {380, 390}


def test_units_and_channels_not_given_are_all_or_the_first_of_many(make_bench: Any, array_run: Any) -> None:
    kernels = {"wide": (3, 3, 40, 300), "deep": (3, 3, 300, 4), "fits": (3, 3, 16, 16)}
    axes = ("row", "column", "channel", "unit")
    more = tuple(
        Layer(name, "convolution", ("conv2",), None, (Parameter("kernel", shape, axes),))
        for name, shape in kernels.items()
    )
    bench = make_bench(run=array_run(layers=(*array_run().layers(), *more)))

    def head(layer: str, **question: Any) -> tuple[int, int]:
        film = next(iter(bench.film(bench.question(layer, **question))))["film"]
        return len(film["units"]), len(film["channels"])

    assert head("conv2") == (40, 4)
    assert head("dense") == (8, 16)
    assert head("dense", layout="matrix") == (8, 1)
    assert head("depthwise") == (80, 1)
    assert head("dense", units=(1, 2)) == (2, 80)
    assert head("dense", channels=tuple(range(20))) == (8, 20)
    assert (head("wide"), head("deep"), head("fits")) == ((32, 16), (4, 16), (16, 16))


def test_chunks_stay_within_their_bytes(make_bench: Any) -> None:
    bench = make_bench(film_chunk_bytes=3000)
    lines = list(bench.film(bench.question("conv2", near=0)))
    chunks = [line["chunk"] for line in lines if "chunk" in line]
    assert max(len(chunk["steps"]) for chunk in chunks) == 2
    assert sorted(step for chunk in chunks for step in chunk["steps"]) == list(range(0, 400, 10))


def test_ranges_are_over_all_channels_also_those_not_shown(bench: Any) -> None:
    question = bench.question("conv2", units=(7,), channels=(1,))
    line = next(line for line in bench.film(question) if "chunk" in line)
    film = Film.from_bytes(bench.services.films.chunk(line["chunk"]["address"].rpartition("/")[2]))
    kernel = bench.run.values(film.steps[0], "conv2", bench.run.layers()[2].parameters[0])
    assert film.unit_ranges[0, 0].tolist() == [kernel[..., 7].min(), kernel[..., 7].max()]
    assert film.layer_ranges[0].tolist() == [kernel.min(), kernel.max()]


def test_a_film_that_the_cache_has_comes_in_one_piece(bench: Any) -> None:
    question = bench.question(CONV, "features", image="test-0", near=200)
    first = list(bench.services.films.manifest(question))
    again = list(bench.services.films.manifest(question))
    assert len(first) > len(again) == 2
    assert [line for piece in again for line in piece] == [line for piece in first for line in piece]
    one_gone = next(line["chunk"] for line in again[0] if "chunk" in line)["address"].rpartition("/")[2]
    bench.store.set_many(
        {f"film:{one_gone}": bytes(bench.store.budget_bytes + 1)}
    )  # too large to be kept, nor what was there
    bench.service.calls.clear()
    assert list(bench.film(question)) == list(bench.film(question))
    assert bench.services.films.chunk(one_gone)
    assert bench.service.calls == []


def test_how_long_a_network_takes_is_remembered(make_bench: Any) -> None:
    """A call costs 0.2 s, whatever is asked: slow for the first steps, and quick for each of many."""
    bench = make_bench(pace=Pace(lambda: len(bench.service.calls) * 0.2))
    calls = []
    for image in ("test-0", "test-1", "test-2"):
        list(bench.film(bench.question(CONV, "features", image=image)))
        calls.append([len(steps) for steps, _, _ in bench.service.calls])
        bench.service.calls.clear()
    assert len(calls[0]) > len(calls[1]) > len(calls[2])
    assert calls[2] == [2, 38]


def test_a_service_that_dies_ends_the_film_with_its_sentence(bench: Any) -> None:
    lines = bench.film(bench.question(CONV, "features", image="test-0"))
    assert "film" in next(lines)
    bench.service.down = True
    rest = list(lines)
    assert rest == [
        {
            "error": {
                "kind": "unavailable",
                "message": "The model service stopped in the middle of this and is being restarted.",
            }
        }
    ]


def test_an_adaptor_that_fails_costs_its_checkpoint_and_no_other(make_bench: Any, array_run: Any) -> None:
    class Failing(array_run):
        def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
            if checkpoint.step == 20:
                raise ZeroDivisionError("secret path")
            return super().parameters(checkpoint, layer)

    bench = make_bench(run=Failing())
    lines = list(bench.film(bench.question(CONV)))
    assert missing(lines) == {
        20: "The checkpoint 20.npz could not be read: the adaptor arrays failed on it; the log has the details."
    }
    assert lines[-1] == {"done": True}


def test_a_checkpoint_of_another_network_is_said(bench: Any) -> None:
    bench.run.replaced[(30, CONV, "kernel")] = np.zeros((5, 5, 3, 4), np.float32)
    reason = missing(list(bench.film(bench.question(CONV))))[30]
    assert "belongs to another network" in reason
    assert "(5, 5, 3, 4)" in reason
    with pytest.raises(NotPossible, match="another network"):
        unit_ranking(bench.opened, 30, CONV, "largest-norm")


def test_nan_weights_are_codes_and_never_values(bench: Any) -> None:
    bench.run.replaced[(390, CONV, "kernel")] = np.full((3, 3, 3, 4), np.nan, np.float32)
    lines = list(bench.film(bench.question(CONV, near=390)))
    values, spans = shot(bench.services.films, lines)
    assert np.isnan(values[390]).all()
    assert np.isnan(spans[390]).all()


def test_bytes_that_the_cache_let_go_are_made_again(make_bench: Any) -> None:
    bench = make_bench()
    question = bench.question(CONV)
    first = list(bench.film(question))
    for line in first:
        if "chunk" in line:
            digest = line["chunk"]["address"].rpartition("/")[2]
            # A value larger than the whole budget is not kept, nor is what stood under its key.
            bench.store.set_many({f"film:{digest}": bytes(bench.store.budget_bytes + 1)})
            with pytest.raises(NotFound):
                bench.services.films.chunk(digest)
    again = list(bench.film(question))
    assert again == first
    assert len(shot(bench.services.films, again)[0]) == 40


def test_a_network_of_any_size_is_asked_for_its_maps_shape(make_bench: Any, array_run: Any) -> None:
    layers = (
        Layer("image", "input", (), (None, None, 3)),
        Layer("conv", "convolution", ("image",), (None, None, 5)),
    )
    bench = make_bench(run=array_run(layers=layers, input_shape=(None, None, 3), broken=[0]))
    lines = list(bench.film(bench.question("conv", "features", image="test-0")))
    assert (lines[0]["film"]["rows"], lines[0]["film"]["columns"], lines[0]["film"]["unit_total"]) == (
        6,
        6,
        5,
    )
    assert len(shot(bench.services.films, lines)[0]) == 39
    assert all(count == 1 for count in bench.service.evaluated.values())


def test_many_viewers_of_one_film_cost_one(make_bench: Any) -> None:
    bench = make_bench()
    question = bench.question(CONV, "features", image="test-0")
    together = threading.Barrier(6)
    answers: list[Any] = []

    def view() -> None:
        together.wait()
        answers.append(list(bench.film(question)))

    viewers = [threading.Thread(target=view) for _ in range(6)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    assert all(set(shot(bench.services.films, lines)[0]) == set(range(0, 400, 10)) for lines in answers)
    assert all(count == 1 for count in bench.service.evaluated.values())


def test_a_wrong_question_is_refused_before_the_first_line(bench: Any) -> None:
    for question in (
        bench.question(CONV, "features"),
        bench.question("flatten"),
        bench.question(CONV, "features", image="test-0", corpus="nowhere"),
    ):
        with pytest.raises((BadRequest, NotPossible)):
            bench.film(question)
    assert bench.run.reads == []


@pytest.fixture(scope="module")
def resnet() -> Services:
    folder = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[3] / "../shared/real"))
    run = folder / "keras" / "resnet20_cifar10"
    if not run.is_dir():
        pytest.skip(f"there is no {run}: MLOSCOPE_REAL_DATA names the folder of real runs")
    workspace = Workspace.connect([RunEntry(run)])
    assert workspace.runs[0].problem is None
    return Services.of(workspace, ResultCache(MemoryStore(1 << 26)))


def film_of(services: Services, layer: str, **words: Any) -> list[dict[str, Any]]:
    run = services.workspace.opened_run(services.workspace.runs[0].name)
    options = {"parameter": words.pop("parameter", None)}
    question = FilmQuestion(run, run.layer(layer), "parameters", options, **words)
    return list(chain.from_iterable(services.films.manifest(question)))


@pytest.mark.real_data
def test_every_layer_of_a_real_run_can_be_filmed(resnet: Services) -> None:
    filmed = 0
    for layer in resnet.workspace.opened_run(resnet.workspace.runs[0].name).layers:
        for parameter in layer.parameters:
            lines = film_of(resnet, layer.name, parameter=parameter.name, near=37)
            assert sorted(shot(resnet.films, lines)[0]) == [1, 3, 7, 11, 18, 37, 65, 94, 135]
            filmed += 1
    assert filmed > 100


@pytest.mark.real_data
def test_the_film_of_a_real_kernel_is_the_files_array(resnet: Services) -> None:
    values, _ = shot(resnet.films, film_of(resnet, "conv2d_1"))
    for step, found in values.items():
        (file,) = resnet.workspace.runs[0].path.glob(f"*.{step:03}.h5")
        with h5py.File(file) as opened:
            kernel = opened["model_weights/conv2d_1/conv2d_1/kernel:0"][()]
        np.testing.assert_allclose(found[:, 0], kernel.transpose(3, 0, 1, 2), atol=np.ptp(kernel) / 500)
