"""Predictions of one image: at some checkpoints, at all, and as they come."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Layer


def missing(lines: list[dict[str, Any]]) -> dict[int, str]:
    return {line["missing"]["step"]: line["missing"]["reason"] for line in lines if "missing" in line}


def test_a_course_of_predictions_has_a_row_for_every_checkpoint(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(5), broken=[3]))
    course = bench.prediction_course("test-1")
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
    found = bench.predictions([0], "test-0")
    image = bench.network_input(40)
    logits = bench.service.expected((10,), 0, "logits", image).astype(np.float64)
    assert found.kind == "softmax of the output"
    np.testing.assert_allclose(found.probabilities[0], np.exp(logits) / np.exp(logits).sum(), rtol=1e-6)


def test_predictions_stream_nearest_first_and_end(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(40), broken=[7]))
    lines = list(chain.from_iterable(bench.prediction_pieces("test-0", near=21)))
    assert lines[-1] == {"done": True}
    steps = [step for line in lines for step in line.get("steps", ())]
    assert sorted([*steps, 7]) == list(range(40))
    assert set(lines[0]["steps"]) == {20, 21}
    assert len(lines[0]["probabilities"][0]) == 10
    assert missing(lines) == {7: "The file is cut off."}


def test_predictions_that_the_cache_has_come_in_one_piece_the_nearest_first(bench: Any) -> None:
    first = list(chain.from_iterable(bench.prediction_pieces("test-0", near=200)))
    pieces = list(bench.prediction_pieces("test-0", near=200))
    assert [len(piece) for piece in pieces] == [1, 1]
    by_step = {step: row for line in first[:-1] for step, row in zip(line["steps"], line["probabilities"], strict=True)}
    kept = pieces[0][0]
    assert dict(zip(kept["steps"], kept["probabilities"], strict=True)) == by_step
    assert kept["steps"][0] == 200
    assert bench.prediction_course("test-0").probabilities.shape == (40, 10)
