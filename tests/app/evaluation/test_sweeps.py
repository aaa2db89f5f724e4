"""Sweeps: distances and probabilities of an image that is changed little by little, at every checkpoint."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest

from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.evaluation.sweeps import SWEEPS, SweptImage, sweep_of
from mloscope.app.images.changes import Reference


def swept(bench: Any, image: str, amounts: tuple[float, ...], label: int | None = 1) -> SweptImage:
    sweep = SWEEPS["shift-right"]
    return SweptImage(
        sweep, amounts, bench.image(image), tuple(bench.image(image + sweep.change(each)) for each in amounts), label
    )


def lines(bench: Any, question: SweptImage, **words: Any) -> list[dict[str, Any]]:
    return list(chain.from_iterable(bench.services.sweeps.stream(bench.opened, None, question, **words)))


def test_distances_and_probabilities_are_those_of_the_layers(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(5), broken=[3]))
    question = swept(bench, "test-1", (0.0, 2.0))
    found = lines(bench, question)
    head = found[0]["sweep"]
    assert (head["amounts"], head["class"], head["total"]) == ([0, 2], 1, 8)
    assert {line["missing"]["step"] for line in found if "missing" in line} == {3}
    assert found[-1] == {"done": True}
    rows = {
        (line["amount"], step): (distances, probability, best)
        for line in found
        if "amount" in line
        for step, distances, probability, best in zip(
            line["steps"], line["distances"], line["probabilities"], line["predicted"], strict=True
        )
    }
    assert set(rows) == {(amount, step) for amount in (0, 1) for step in (0, 1, 2, 4)}
    output = bench.opened.basis().output.layer
    for (amount, step), (distances, probability, best) in rows.items():
        changed = question.changed[amount]
        expected = []
        for layer in head["layers"]:
            before, after = (
                bench.services.feature_maps.one(bench.opened, step, layer, image).astype(np.float64)
                for image in (question.original, changed)
            )
            expected.append(np.linalg.norm(after - before) / np.linalg.norm(before))
        np.testing.assert_allclose(distances, expected, rtol=1e-5)
        probabilities = bench.services.feature_maps.one(bench.opened, step, output, changed).ravel()
        assert probability == pytest.approx(probabilities[1], rel=1e-5)
        assert best == probabilities.argmax()
    assert max(rows[0, 0][0]) == 0
    assert min(rows[1, 0][0]) > 0


def test_the_same_sweep_again_evaluates_nothing(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(4)))
    question = swept(bench, "test-1", (1.0, 2.0))
    first = lines(bench, question)
    count = len(bench.service.calls)
    again = lines(bench, question)
    assert len(bench.service.calls) == count
    assert str(again) == str(first)


def test_without_a_known_class_that_of_the_last_checkpoint_is_followed(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(3)))
    question = swept(bench, "test-1", (1.0,), label=None)
    output = bench.opened.basis().output.layer
    last = bench.services.feature_maps.one(bench.opened, 2, output, question.original)
    assert lines(bench, question)[0]["sweep"]["class"] == last.argmax()


def test_checkpoints_nearest_to_the_slider_come_first(make_bench: Any, array_run: Any) -> None:
    bench = make_bench(run=array_run(steps=range(40)))
    found = lines(bench, swept(bench, "test-1", (1.0,)), near=21)
    assert set(next(line for line in found if "amount" in line)["steps"]) == {20, 21}


def test_layers_can_be_named(bench: Any) -> None:
    name = bench.opened.layers[1].name
    assert lines(bench, swept(bench, "test-1", (1.0,)), layers=[name])[0]["sweep"]["layers"] == [name]
    with pytest.raises(NotFound):
        bench.services.sweeps.stream(bench.opened, None, swept(bench, "test-1", (1.0,)), ["nowhere"])


@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_makes_references_and_its_neutral_amount_changes_nothing(name: str) -> None:
    sweep = sweep_of(name)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 1), dtype=np.uint8)
    for amount in sweep.amounts(None, None, None):
        assert Reference.parse("x" + sweep.change(amount)).changes
    unchanged = Reference.parse("x" + sweep.change(sweep.neutral))
    np.testing.assert_array_equal(unchanged.apply(pixels), pixels)


@pytest.mark.parametrize("asked", [(1, 1, 5), (5, 1, 5), (0, 1, 1), (0, 1, 1000)])
def test_amounts_go_upwards_and_are_not_too_many(asked: tuple[float, float, int]) -> None:
    with pytest.raises(BadRequest):
        SWEEPS["blur"].amounts(*asked)
