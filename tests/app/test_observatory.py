"""The observatory: the right numbers, asked for once, whatever is broken."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mloscope.adaptors.interface import Checkpoint, Layer, Parameter, Preprocessing, RunOptions
from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, Conflict, MloscopeError, NotFound, NotPossible, Unavailable
from mloscope.app.evaluation.pacing import BLOCK_STEPS, FIRST_BLOCK_STEPS, nearest_first
from mloscope.app.films import encoding
from mloscope.app.observatory import FilmQuestion, Observatory
from mloscope.app.workspace.entries import RunEntry
from mloscope.app.workspace.workspace import Workspace

CONV = "block/conv1"


def shot(observatory: Any, lines: list[dict[str, Any]]) -> tuple[dict[int, np.ndarray], dict[int, Any]]:
    """Values and layer range by step, of all chunks of a manifest."""
    values: dict[int, np.ndarray] = {}
    spans: dict[int, Any] = {}
    for line in lines:
        if "chunk" in line:
            chunk = line["chunk"]
            data = observatory.film_bytes(chunk["address"].removeprefix("/api/v1/films/"))
            film = encoding.Film.from_bytes(data)
            assert (list(film.steps), len(data)) == (chunk["steps"], chunk["bytes"])
            assert not set(film.steps) & set(values), "a step came twice"
            values |= dict(zip(film.steps, film.values(), strict=True))
            spans |= dict(zip(film.steps, film.layer_ranges.tolist(), strict=True))
    return values, spans


def missing(lines: list[dict[str, Any]]) -> dict[int, str]:
    return {line["missing"]["step"]: line["missing"]["reason"] for line in lines if "missing" in line}


# -------------------------------------------------------------------------------------------- what there is


def test_a_subject_holds_all_that_the_browser_needs(bench: Any) -> None:
    subject = bench.observatory.subject()
    assert (subject["run"], subject["corpus"]) == ("lenet", "noise")
    assert subject["runs"] == ["lenet", "lost"]
    assert subject["classNames"] == list(bench.run.class_names)
    assert subject["basis"] == bench.observatory.workspace.basis("lenet").json()
    assert subject["checkpoints"][1] == {
        "step": 10,
        "label": "10",
        "name": "10.npz",
        "epoch": 0.1,
        "problem": None,
    }
    assert [layer["name"] for layer in subject["layers"]] == [layer.name for layer in bench.run.layers()]
    assert subject["layers"][1]["parameter_count"] == 112
    assert subject["evaluation"] == {"possible": True, "state": "ready", "message": None, "passing": False}
    assert subject["preprocessing"]["assumed"] is True
    assert any("notes.txt" in problem for problem in subject["problems"])
    assert any("There is nothing at gone" in problem for problem in subject["problems"])


def test_an_unknown_subject_is_said_and_replaced(bench: Any) -> None:
    subject = bench.observatory.subject("vgg", "birds")
    assert (subject["run"], subject["corpus"]) == ("lenet", "noise")
    assert any('no run "vgg"' in problem for problem in subject["problems"])
    assert any('no corpus "birds"' in problem for problem in subject["problems"])
    lost = bench.observatory.subject("lost")
    assert (lost["run"], lost["layers"]) == ("lost", [])
    assert "There is nothing at gone." in lost["problems"]


@pytest.mark.parametrize(
    ("state", "possible", "temporary"),
    [
        ("ready", True, False),
        ("starting", False, True),
        ("restarting", False, True),
        ("stopped", False, False),
        ("not installed", False, False),
    ],
)
def test_evaluation_follows_the_service(make_bench: Any, state: str, possible: bool, temporary: bool) -> None:
    found = make_bench(service_state=lambda: (state, None)).observatory.evaluation("lenet")
    assert (found.possible, found.temporary, found.state) == (possible, temporary, state)
    assert (found.message is None) == possible


def test_without_a_service_that_is_said(make_bench: Any) -> None:
    observatory = make_bench(service=False).observatory
    assert "model service" in observatory.evaluation("lenet").message
    with pytest.raises(Unavailable, match="model service"):
        observatory.feature_maps("lenet", [0], CONV, "test-0")
    with pytest.raises(Unavailable, match="model service"):
        observatory.film(FilmQuestion("lenet", CONV, "features", image="test-0"))


def test_a_run_of_weights_only_says_that_it_cannot_be_evaluated(make_bench: Any, array_run: Any) -> None:
    class WeightsOnly(array_run):
        def __getattribute__(self, name: str) -> Any:
            if name in ("backend", "weights"):
                raise AttributeError(name)
            return super().__getattribute__(name)

    bench = make_bench(run=WeightsOnly())
    found = bench.observatory.evaluation("lenet")
    assert (found.possible, found.state) == (False, "impossible")
    with pytest.raises(NotPossible, match="weights only"):
        bench.observatory.predictions("lenet", [0], "test-0")


def test_unknown_names_are_answered_with_what_there_is(bench: Any) -> None:
    observatory = bench.observatory
    for ask, sentence in (
        (lambda: observatory.layers("vgg"), "connected: lenet, lost"),
        (lambda: observatory.layers("lost"), "There is nothing at gone"),
        (lambda: observatory.layer("lenet", "conv9"), "it has: image, block/conv1"),
        (
            lambda: observatory.parameters("lenet", 5, CONV),
            "no checkpoint of step 5; its steps go from 0 to 390",
        ),
        (lambda: observatory.parameter_of("lenet", CONV, "gamma"), "it has: kernel, bias"),
        (lambda: observatory.parameter_of("lenet", "flatten", None), "has no parameters"),
        (lambda: observatory.unit_course("lenet", CONV, "bias", 4), "its units are 0 to 3"),
        (lambda: observatory.unit_values("lenet", 0, CONV, -1), "its units are 0 to 3"),
        (lambda: observatory.unit_ranking("lenet", 0, CONV, "best"), "largest-norm"),
        (lambda: observatory.unit_ranking("lenet", 0, CONV, "most-active"), "needs an image"),
        (lambda: observatory.feature_maps("lenet", [0], CONV, "test-99"), 'no image "test-99"'),
        (lambda: observatory.feature_maps("lenet", [0], CONV, ""), "add image=ID"),
        (lambda: observatory.feature_maps("lenet", [0], "lambda", "test-0"), "--trust"),
        (
            lambda: observatory.film(FilmQuestion("lenet", CONV, units=(4,))),
            "has the units 0 to 3; 4 is not",
        ),
        (lambda: observatory.film(FilmQuestion("lenet", "conv2", channels=(4,))), "has the channels 0 to 3"),
        (lambda: observatory.film(FilmQuestion("lenet", CONV, near=5)), "no checkpoint of step 5"),
        (
            lambda: observatory.film(FilmQuestion("lenet", CONV, "weights")),
            "one of parameters, features",
        ),
        (lambda: observatory.film(FilmQuestion("lenet", CONV, layout="x")), 'it is "tiles" or "matrix"'),
        (lambda: observatory.film_bytes("0" * 32), "ask for its manifest again"),
    ):
        with pytest.raises(MloscopeError) as refusal:
            ask()
        assert sentence in str(refusal.value)
        assert str(refusal.value).endswith(".")


# ------------------------------------------------------------------------------------------------ parameters


def test_details_are_the_numbers_of_the_array(bench: Any) -> None:
    kernel = np.array([0, 0, 1, -2, np.nan, np.inf, -np.inf, 5], np.float32)
    kernel = np.resize(kernel, (3, 3, 3, 4))
    bench.run.replaced[(20, CONV, "kernel")] = kernel
    rows = bench.observatory.layer_details("lenet", 20, CONV, unit=3)
    assert [row["parameter"] for row in rows] == ["kernel", "bias"]
    row, finite = rows[0], kernel[np.isfinite(kernel)].astype(np.float64)
    assert (row["shape"], row["dtype"], row["count"]) == ([3, 3, 3, 4], "float32", 108)
    assert (row["nan"], row["infinite"]) == (np.isnan(kernel).sum(), np.isinf(kernel).sum())
    assert row["share_of_zeros"] == (kernel == 0).sum() / 108
    expected = (finite.min(), finite.max(), finite.mean(), finite.std(), np.sqrt((finite**2).sum()))
    np.testing.assert_allclose([row[key] for key in ("min", "max", "mean", "std", "norm")], expected)
    unit = kernel[..., 3]
    unit = unit[np.isfinite(unit)].astype(np.float64)
    found = [row[f"unit_{key}"] for key in ("min", "max", "norm")]
    np.testing.assert_allclose(found, [unit.min(), unit.max(), np.sqrt((unit**2).sum())])
    assert bench.observatory.layer_details("lenet", 20, CONV, unit=9)[1]["unit_norm"] is None


def test_details_of_nothing_finite_and_of_what_exploded(bench: Any) -> None:
    bench.run.replaced[(20, CONV, "bias")] = np.full(4, np.nan, np.float32)
    bench.run.replaced[(30, CONV, "bias")] = np.array([3e200, 4e200, 0, 0])
    row = bench.observatory.layer_details("lenet", 20, CONV)[1]
    assert (row["min"], row["norm"], row["nan"], row["share_of_zeros"]) == (None, None, 4, 0)
    assert bench.observatory.layer_details("lenet", 30, CONV)[1]["norm"] == pytest.approx(5e200)


def test_a_units_course_is_exactly_what_is_stored(make_bench: Any, array_run: Any) -> None:
    run = array_run(steps=range(6), broken=[2], torn=[4])
    bench = make_bench(run=run)
    values, names = bench.observatory.unit_course("lenet", CONV, "", 3)
    assert (values.shape, values.dtype) == ((6, 27), np.float32)
    assert names[5] == "row 0, column 1, channel 2"
    for step in (0, 1, 3, 5):
        kernel = run.values(step, CONV, run.layers()[1].parameters[0])
        np.testing.assert_array_equal(values[step], kernel[..., 3].ravel())
    assert np.isnan(values[[2, 4]]).all()
    reads = len(run.reads)
    bench.observatory.unit_course("lenet", CONV, "kernel", 3)
    assert len(run.reads) == reads
    run.versions[5] += 1  # a file that was written again is read again
    bench.observatory.unit_course("lenet", CONV, "kernel", 3)
    assert len(run.reads) > reads


def test_units_of_vectors_and_depthwise_kernels_have_courses(bench: Any) -> None:
    values, names = bench.observatory.unit_course("lenet", CONV, "bias", 1)
    assert (values.shape, names) == ((40, 1), ("bias",))
    values, names = bench.observatory.unit_course("lenet", "depthwise", None, 2 * 7 + 1)
    kernel = bench.run.values(390, "depthwise", bench.run.layers()[3].parameters[0])
    assert values[-1, 0] == kernel[0, 0, 7, 1]
    assert names == ("row 0, column 0",)


def test_a_unit_enlarged_is_its_tiles_and_the_layers_range(bench: Any) -> None:
    kernel = bench.run.values(10, CONV, bench.run.layers()[1].parameters[0])
    tiles, span = bench.observatory.unit_values("lenet", 10, CONV, 2)
    np.testing.assert_array_equal(tiles, kernel[..., 2].transpose(2, 0, 1))
    assert span == (kernel.min(), kernel.max())
    tiles, _ = bench.observatory.unit_values("lenet", 10, CONV, 2, image="test-3")
    image = bench.network_input(43)
    np.testing.assert_array_equal(tiles[0], bench.service.expected((4, 4, 4), 10, CONV, image)[..., 2])
    bench.run.replaced[(20, CONV, "bias")] = np.full(4, np.nan, np.float32)
    assert bench.observatory.unit_values("lenet", 20, CONV, 0, parameter="bias")[1] == (0.0, 0.0)


def test_colours_are_red_green_blue_whatever_the_networks_order(make_bench: Any) -> None:
    options = RunOptions(preprocessing=Preprocessing(channel_order="bgr"))
    bench = make_bench(options=options)
    kernel = bench.run.values(10, CONV, bench.run.layers()[1].parameters[0])
    tiles = bench.observatory.parameter_tiles("lenet", 10, CONV)
    np.testing.assert_array_equal(tiles[:, 0], kernel[:, :, ::-1].transpose(3, 0, 1, 2))


def test_only_a_kernel_on_the_networks_colours_is_coloured(bench: Any) -> None:
    observatory = bench.observatory
    assert observatory.parameter_tiles("lenet", 0, CONV).shape == (4, 1, 3, 3, 3)
    assert observatory.parameter_tiles("lenet", 0, "conv2").shape == (40, 4, 3, 3, 1)
    assert observatory.parameter_tiles("lenet", 0, "depthwise").shape == (80, 1, 1, 1, 1)
    # Through the flatten layer back to the map of 2 by 2 by 80.
    assert observatory.parameter_tiles("lenet", 0, "dense").shape == (8, 80, 2, 2, 1)
    assert observatory.parameter_tiles("lenet", 0, "dense", layout="matrix").shape == (8, 1, 1, 320, 1)
    assert observatory.parameter_tiles("lenet", 0, "classes").shape == (10, 1, 1, 8, 1)


def test_rankings_by_norm_and_change_put_ties_in_order_and_nan_last(make_bench: Any, array_run: Any) -> None:
    run = array_run(steps=range(4), broken=[0])
    bench = make_bench(run=run)
    run.replaced[(1, CONV, "bias")] = np.array([1, 1, 1, 1], np.float32)
    run.replaced[(3, CONV, "bias")] = np.array([2, -5, np.nan, 2], np.float32)
    ranked = bench.observatory.unit_ranking("lenet", 3, CONV, "largest-norm", parameter="bias")
    assert ranked.units == (1, 0, 3, 2)
    assert ranked.values[:3] == (5, 2, 2)
    assert np.isnan(ranked.values[3])
    changed = bench.observatory.unit_ranking("lenet", 3, CONV, "most-changed", parameter="bias", count=2)
    assert (changed.units, changed.values, changed.unit_total) == ((1, 0), (6, 1), 4)
    run.replaced[(3, "conv2", "kernel")] = np.tile(np.float32([1, 2]), (3, 3, 4, 20))
    ties = bench.observatory.unit_ranking("lenet", 3, "conv2", "largest-norm", count=40).units
    assert ties == (*range(1, 40, 2), *range(0, 40, 2))


def test_the_most_active_units_are_those_of_the_image(bench: Any) -> None:
    image = bench.network_input(41)
    maps = np.abs(bench.service.expected((4, 4, 4), 20, CONV, image).astype(np.float64)).mean(axis=(0, 1))
    ranked = bench.observatory.unit_ranking("lenet", 20, CONV, "most-active", image="test-1")
    assert ranked.units == tuple(np.argsort(-maps, kind="stable"))
    np.testing.assert_allclose(ranked.values, np.sort(maps)[::-1])


# ------------------------------------------------------------------------------- feature maps, predictions


def test_only_what_is_not_known_is_evaluated_and_predictions_come_along(bench: Any) -> None:
    observatory = bench.observatory
    found = observatory.feature_maps("lenet", [0, 10], CONV, "test-0")
    image = bench.network_input(40)
    np.testing.assert_array_equal(found.maps[10], bench.service.expected((4, 4, 4), 10, CONV, image))
    assert bench.service.calls == [((0, 10), (CONV, "classes"), 0)]
    observatory.feature_maps("lenet", [0, 10, 20], CONV, "test-0")
    assert bench.service.calls[1:] == [((20,), (CONV, "classes"), 0)]
    observatory.predictions("lenet", [0, 10, 20], "test-0")
    assert len(bench.service.calls) == 2
    observatory.feature_maps("lenet", [0], "dense", "test-0")
    assert bench.service.calls[2:] == [((0,), ("dense",), 0)]
    bench.run.versions[10] += 1
    observatory.feature_maps("lenet", [0, 10], CONV, "test-0")
    assert bench.service.calls[3:] == [((10,), (CONV, "classes"), 0)]


def test_another_preprocessing_is_another_question(make_bench: Any) -> None:
    store = MemoryStore(1 << 26)
    calls = []
    for scale in (1 / 255, 1.0, 1.0):
        bench = make_bench(store=store, options=RunOptions(preprocessing=Preprocessing(scale=scale)))
        bench.observatory.feature_maps("lenet", [0], CONV, "test-0")
        calls.append(len(bench.service.calls))
    assert calls == [1, 1, 0]


def test_a_step_that_fails_does_not_fail_the_others_and_is_tried_again(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(4), broken=[0]))
    bench.service.failing = {2}
    found = bench.observatory.feature_maps("lenet", range(4), CONV, "test-0")
    assert list(found.maps) == [1, 3]
    assert found.missing == {0: "The file is cut off.", 2: "Step 2 does not fit the network."}
    bench.service.failing = set()
    assert list(bench.observatory.feature_maps("lenet", range(4), CONV, "test-0").maps) == [1, 2, 3]
    assert bench.service.evaluated[(1, CONV)] == 1


def test_a_course_of_predictions_has_a_row_for_every_checkpoint(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(5), broken=[3]))
    course = bench.observatory.prediction_course("lenet", None, "test-1")
    assert course.probabilities.shape == (5, 10)
    assert np.isnan(course.probabilities[3]).all()
    np.testing.assert_allclose(course.probabilities[[0, 1, 2, 4]].sum(axis=1), 1, rtol=1e-6)
    assert course.class_names[:3] == ("Bird", "cat", "2")
    assert (course.true_class, course.kind) == (1, "output")
    assert course.missing == {3: "The file is cut off."}


def test_logits_become_probabilities_and_that_is_said(make_bench: Any, array_run: Any) -> None:
    layers = (
        Layer("image", "input", (), (6, 6, 3)),
        Layer("logits", "dense", ("image",), (10,), hyperparameters={"activation": "linear"}),
    )
    bench = make_bench(run=array_run(layers=layers))
    found = bench.observatory.predictions("lenet", [0], "test-0")
    image = bench.network_input(40)
    logits = bench.service.expected((10,), 0, "logits", image).astype(np.float64)
    assert found.kind == "softmax of the output"
    np.testing.assert_allclose(found.probabilities[0], np.exp(logits) / np.exp(logits).sum(), rtol=1e-6)


def test_predictions_stream_nearest_first_and_end(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(40), broken=[7]))
    lines = list(bench.observatory.prediction_stream("lenet", "test-0", near=21))
    assert lines[-1] == {"done": True}
    steps = [step for line in lines for step in line.get("steps", ())]
    assert sorted([*steps, 7]) == list(range(40))
    assert set(lines[0]["steps"]) == {20, 21}
    assert len(lines[0]["probabilities"][0]) == 10
    assert missing(lines) == {7: "The file is cut off."}


# ---------------------------------------------------------------------------------------------------- films


@given(st.integers(0, 300), st.sampled_from([1, 2, 4, 8, 16]), st.data())
@settings(deadline=None, derandomize=True)
def test_blocks_hold_every_checkpoint_once_nearest_first(count: int, size: int, data: Any) -> None:
    near = data.draw(st.integers(0, max(0, count - 1)))
    blocks = nearest_first(count, near, size)
    assert sorted(i for block in blocks for i in block) == list(range(count))
    assert all(0 < len(block) <= size for block in blocks)
    if count:
        assert near in blocks[0]
        assert len(blocks[0]) <= min(size, FIRST_BLOCK_STEPS)
    ends = [max(block.start - near, near - block.stop + 1, 0) for block in blocks]
    beyond = [end for end, block in zip(ends, blocks, strict=True) if block.start // size != near // size]
    assert beyond == sorted(beyond)


def test_a_film_of_parameters_is_the_arrays(make_bench: Any, array_run: Any) -> None:
    run = array_run(broken=[50], torn=[120])
    bench = make_bench(run=run)
    lines = list(bench.observatory.film(FilmQuestion("lenet", CONV, near=200)))
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
    values, spans = shot(bench.observatory, lines)
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
        """Written anew, once, in the middle of reading step 20."""

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
    question = FilmQuestion("lenet", CONV)
    lines = list(bench.observatory.film(question))
    assert missing(lines) == {20: "20.npz was changed while it was read; ask again."}
    assert sorted(shot(bench.observatory, lines)[0]) == [0, 10, 30]
    lines = list(bench.observatory.film(question))
    assert missing(lines) == {}
    assert shot(bench.observatory, lines)[1][20] == [1, 1]
    run.rewriting = True
    with pytest.raises(Conflict, match=r"20\.npz was changed while it was read; ask again\."):
        bench.observatory.parameters("lenet", 20, CONV)


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
    assert missing(bench.observatory.film(FilmQuestion("lenet", CONV))) == {20: f"20.npz ends in the middle of {CONV}."}
    assert missing(bench.observatory.film(FilmQuestion("lenet", CONV))) == {}


def test_maps_of_a_checkpoint_written_anew_while_it_is_evaluated_are_not_kept(bench: Any) -> None:

    def write_again() -> None:
        if len(bench.service.calls) == 1:
            bench.run.versions[10] += 1

    bench.service.after_call = write_again
    found = bench.observatory.feature_maps("lenet", [0, 10], CONV, "test-0")
    assert (list(found.maps), found.missing) == ([0], {10: "10.npz was changed while it was read; ask again."})
    bench.run.versions[10] -= 1  # the first file again: nothing of the other one may come back for it
    assert list(bench.observatory.feature_maps("lenet", [0, 10], CONV, "test-0").maps) == [0, 10]
    assert [steps for steps, *_ in bench.service.calls] == [(0, 10), (10,)]
    bench.service.calls.clear()
    film = list(bench.observatory.film(FilmQuestion("lenet", "conv2", "features", image="test-0", near=10)))
    assert list(missing(film)) == [10]
    assert 10 not in shot(bench.observatory, film)[0]


def test_the_second_asking_reads_no_file_and_evaluates_nothing(make_bench: Any, array_run: Any) -> None:
    run = array_run(torn=[120])
    bench = make_bench(run=run)
    for question in (FilmQuestion("lenet", CONV), FilmQuestion("lenet", "conv2", "features", image="test-0")):
        first = list(bench.observatory.film(question))
        assert run.reads or bench.service.calls
        list(bench.observatory.film(question))  # keeps what the torn checkpoint left out
        run.reads.clear()
        bench.service.calls.clear()
        assert list(bench.observatory.film(question)) == first
        assert (len(run.reads), len(bench.service.calls)) == (0, 0)
    # From elsewhere on the time axis most chunks are the same ones.
    elsewhere = {
        line["chunk"]["address"]
        for line in bench.observatory.film(FilmQuestion("lenet", CONV, near=390))
        if "chunk" in line
    }
    before = {
        line["chunk"]["address"] for line in bench.observatory.film(FilmQuestion("lenet", CONV)) if "chunk" in line
    }
    assert elsewhere & before


def test_a_film_of_feature_maps_is_the_maps(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(broken=[50]))
    bench.service.failing = {80}
    question = FilmQuestion("lenet", "conv2", "features", image="test-7", units=(3, 39), near=100)
    lines = list(bench.observatory.film(question))
    head = lines[0]["film"]
    assert (head["units"], head["channels"], head["unit_total"], head["rows"]) == ([3, 39], [0], 40, 2)
    values, spans = shot(bench.observatory, lines)
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
    again = list(bench.observatory.film(question))
    assert set(missing(again)) == {50}
    assert set(shot(bench.observatory, again)[0]) == {*values, 80}


def test_a_new_image_costs_two_calls_where_the_network_is_quick(make_bench: Any) -> None:
    bench = make_bench(clock=iter(np.arange(0, 10, 0.001)).__next__)
    list(bench.observatory.film(FilmQuestion("lenet", CONV, "features", image="test-0")))
    assert [len(steps) for steps, _, _ in bench.service.calls] == [2, 38]


def test_a_slow_network_is_asked_for_little_at_a_time(make_bench: Any) -> None:
    bench = make_bench(clock=iter(np.arange(0, 10_000, 5.0)).__next__)
    list(bench.observatory.film(FilmQuestion("lenet", CONV, "features", image="test-0")))
    assert max(len(steps) for steps, _, _ in bench.service.calls) <= BLOCK_STEPS
    assert sum(len(steps) for steps, _, _ in bench.service.calls) == 40


def test_hanging_up_stops_the_work(bench: Any) -> None:
    lines: Iterator[Any] = bench.observatory.film(FilmQuestion("lenet", CONV, near=390))
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
        film = next(iter(bench.observatory.film(FilmQuestion("lenet", layer, **question))))["film"]
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
    lines = list(bench.observatory.film(FilmQuestion("lenet", "conv2", near=0)))
    chunks = [line["chunk"] for line in lines if "chunk" in line]
    assert max(len(chunk["steps"]) for chunk in chunks) == 2
    assert sorted(step for chunk in chunks for step in chunk["steps"]) == list(range(0, 400, 10))


def test_ranges_are_over_all_channels_also_those_not_shown(bench: Any) -> None:
    question = FilmQuestion("lenet", "conv2", units=(7,), channels=(1,))
    line = next(line for line in bench.observatory.film(question) if "chunk" in line)
    film = encoding.Film.from_bytes(bench.observatory.film_bytes(line["chunk"]["address"].rpartition("/")[2]))
    kernel = bench.run.values(film.steps[0], "conv2", bench.run.layers()[2].parameters[0])
    assert film.unit_ranges[0, 0].tolist() == [kernel[..., 7].min(), kernel[..., 7].max()]
    assert film.layer_ranges[0].tolist() == [kernel.min(), kernel.max()]


def test_a_film_that_the_cache_has_comes_in_one_piece(bench: Any) -> None:
    question = FilmQuestion("lenet", CONV, "features", image="test-0", near=200)
    first = list(bench.observatory.film_pieces(question))
    again = list(bench.observatory.film_pieces(question))
    assert len(first) > len(again) == 2
    assert [line for piece in again for line in piece] == [line for piece in first for line in piece]
    one_gone = next(line["chunk"] for line in again[0] if "chunk" in line)["address"].rpartition("/")[2]
    del bench.store._values[f"film:{one_gone}"]
    bench.service.calls.clear()
    assert list(bench.observatory.film(question)) == list(bench.observatory.film(question))
    assert bench.observatory.film_bytes(one_gone)
    assert bench.service.calls == []


def test_predictions_that_the_cache_has_come_in_one_piece_the_nearest_first(bench: Any) -> None:
    first = list(bench.observatory.prediction_stream("lenet", "test-0", near=200))
    pieces = list(bench.observatory.prediction_pieces("lenet", "test-0", near=200))
    assert [len(piece) for piece in pieces] == [1, 1]
    by_step = {step: row for line in first[:-1] for step, row in zip(line["steps"], line["probabilities"], strict=True)}
    kept = pieces[0][0]
    assert dict(zip(kept["steps"], kept["probabilities"], strict=True)) == by_step
    assert kept["steps"][0] == 200
    assert bench.observatory.prediction_course("lenet", "noise", "test-0").probabilities.shape == (40, 10)


def test_how_long_a_network_takes_is_remembered(make_bench: Any) -> None:
    """A call costs 0.2 s, whatever is asked: slow for the first steps, and quick for each of many."""
    bench = make_bench(clock=lambda: len(bench.service.calls) * 0.2)
    calls = []
    for image in ("test-0", "test-1", "test-2"):
        list(bench.observatory.film(FilmQuestion("lenet", CONV, "features", image=image)))
        calls.append([len(steps) for steps, _, _ in bench.service.calls])
        bench.service.calls.clear()
    assert len(calls[0]) > len(calls[1]) > len(calls[2])
    assert calls[2] == [2, 38]


def test_details_and_the_enlarged_unit_are_read_from_a_file_once(bench: Any) -> None:
    ask = [
        lambda: bench.observatory.layer_details("lenet", 20, CONV, unit=1),
        lambda: bench.observatory.unit_values("lenet", 20, CONV, 1)[0].tolist(),
    ]
    first = [question() for question in ask]
    bench.run.reads.clear()
    assert [question() for question in ask] == first
    assert bench.run.reads == []
    bench.run.versions[20] += 1
    bench.run.replaced[(20, CONV, "kernel")] = np.zeros((3, 3, 3, 4), np.float32)
    assert bench.observatory.layer_details("lenet", 20, CONV, unit=1)[0]["max"] == 0


def test_a_service_that_dies_ends_the_film_with_its_sentence(bench: Any) -> None:
    lines = bench.observatory.film(FilmQuestion("lenet", CONV, "features", image="test-0"))
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
    lines = list(bench.observatory.film(FilmQuestion("lenet", CONV)))
    assert missing(lines) == {
        20: "The checkpoint 20.npz could not be read: the adaptor arrays failed on it; the log has the details."
    }
    assert lines[-1] == {"done": True}


def test_a_checkpoint_of_another_network_is_said(bench: Any) -> None:
    bench.run.replaced[(30, CONV, "kernel")] = np.zeros((5, 5, 3, 4), np.float32)
    reason = missing(list(bench.observatory.film(FilmQuestion("lenet", CONV))))[30]
    assert "belongs to another network" in reason
    assert "(5, 5, 3, 4)" in reason
    with pytest.raises(NotPossible, match="another network"):
        bench.observatory.unit_ranking("lenet", 30, CONV, "largest-norm")


def test_nan_weights_are_codes_and_never_values(bench: Any) -> None:
    bench.run.replaced[(390, CONV, "kernel")] = np.full((3, 3, 3, 4), np.nan, np.float32)
    lines = list(bench.observatory.film(FilmQuestion("lenet", CONV, near=390)))
    values, spans = shot(bench.observatory, lines)
    assert np.isnan(values[390]).all()
    assert np.isnan(spans[390]).all()


def test_bytes_that_the_cache_let_go_are_made_again(make_bench: Any) -> None:
    bench = make_bench()
    question = FilmQuestion("lenet", CONV)
    first = list(bench.observatory.film(question))
    for line in first:
        if "chunk" in line:
            digest = line["chunk"]["address"].rpartition("/")[2]
            # A value larger than the whole budget is not kept, nor is what stood under its key.
            bench.store.set_many({f"film:{digest}": bytes(bench.store.budget_bytes + 1)})
            with pytest.raises(NotFound):
                bench.observatory.film_bytes(digest)
    again = list(bench.observatory.film(question))
    assert again == first
    assert len(shot(bench.observatory, again)[0]) == 40


def test_a_network_of_any_size_is_asked_for_its_maps_shape(make_bench: Any, array_run: Any) -> None:
    layers = (
        Layer("image", "input", (), (None, None, 3)),
        Layer("conv", "convolution", ("image",), (None, None, 5)),
    )
    bench = make_bench(run=array_run(layers=layers, input_shape=(None, None, 3), broken=[0]))
    lines = list(bench.observatory.film(FilmQuestion("lenet", "conv", "features", image="test-0")))
    assert (lines[0]["film"]["rows"], lines[0]["film"]["columns"], lines[0]["film"]["unit_total"]) == (
        6,
        6,
        5,
    )
    assert len(shot(bench.observatory, lines)[0]) == 39
    assert all(count == 1 for count in bench.service.evaluated.values())


def test_many_viewers_of_one_film_cost_one(make_bench: Any) -> None:
    bench = make_bench()
    question = FilmQuestion("lenet", CONV, "features", image="test-0")
    together = threading.Barrier(6)
    answers: list[Any] = []

    def view() -> None:
        together.wait()
        answers.append(list(bench.observatory.film(question)))

    viewers = [threading.Thread(target=view) for _ in range(6)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    assert all(set(shot(bench.observatory, lines)[0]) == set(range(0, 400, 10)) for lines in answers)
    assert all(count == 1 for count in bench.service.evaluated.values())


def test_a_wrong_question_is_refused_before_the_first_line(bench: Any) -> None:
    for question in (
        FilmQuestion("lenet", CONV, "features"),
        FilmQuestion("lenet", "flatten"),
        FilmQuestion("lenet", CONV, "features", image="test-0", corpus="nowhere"),
    ):
        with pytest.raises((BadRequest, NotPossible)):
            bench.observatory.film(question)
    assert bench.run.reads == []


# --------------------------------------------------------------------------------------------- a real run


@pytest.fixture(scope="module")
def resnet() -> Observatory:
    folder = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[2] / "../shared/real"))
    run = folder / "keras" / "resnet20_cifar10"
    if not run.is_dir():
        pytest.skip(f"there is no {run}: MLOSCOPE_REAL_DATA names the folder of real runs")
    workspace = Workspace.connect([RunEntry(run)])
    assert workspace.runs[0].problem is None
    return Observatory(workspace, ResultCache(MemoryStore(1 << 26)))


@pytest.mark.real_data
def test_every_layer_of_a_real_run_can_be_filmed(resnet: Observatory) -> None:
    (run,) = resnet.workspace.runs
    steps = [1, 3, 7, 11, 18, 37, 65, 94, 135]
    filmed = 0
    for layer in resnet.layers(run.name):
        for parameter in layer.parameters:
            question = FilmQuestion(run.name, layer.name, parameter=parameter.name, near=37)
            lines = list(resnet.film(question))
            assert sorted(shot(resnet, lines)[0]) == steps
            filmed += 1
    assert filmed > 100


@pytest.mark.real_data
def test_the_film_of_a_real_kernel_is_the_files_array(resnet: Observatory) -> None:
    (run,) = resnet.workspace.runs
    lines = list(resnet.film(FilmQuestion(run.name, "conv2d_1")))
    values, _ = shot(resnet, lines)
    for step, found in values.items():
        (file,) = run.path.glob(f"*.{step:03}.h5")
        with h5py.File(file) as opened:
            kernel = opened["model_weights/conv2d_1/conv2d_1/kernel:0"][()]
        np.testing.assert_allclose(found[:, 0], kernel.transpose(3, 0, 1, 2), atol=np.ptp(kernel) / 500)
