"""When units settle, and how long patches have been at the top."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from found_patches import keep_patches

from mloscope.app.errors import NotFound
from mloscope.app.statistics.patches import answers
from mloscope.app.statistics.patches.course import PatchCourse
from mloscope.app.statistics.patches.search import TopPatches

STEPS = (0, 10, 20, 30)


def found(images: list[list[int]], excited: int = 1) -> TopPatches:
    """One step, units by rows."""
    numbers = np.array(images, np.int32)
    one = np.ones(len(numbers), np.int32)
    return TopPatches(
        numbers,
        np.zeros((*numbers.shape, 2), np.int32),
        np.ones(numbers.shape, np.float32),
        one,
        excited * one,
        one * 0.5,
    )


def course(*images: list[list[int]], excited: int = 1) -> PatchCourse:
    return PatchCourse(STEPS[: len(images)], tuple(found(each, excited) for each in images))


def test_a_unit_settles_where_it_stays_like_the_last_step() -> None:
    first_unit = [[1, 2, 3, 4], [5, 6, 3, 4], [5, 6, 7, 4], [5, 6, 7, 8]]
    falls_back = [[5, 6, 7, 8], [5, 6, 7, 8], [1, 2, 3, 8], [5, 6, 7, 8]]
    never_alone = [[1, 2, 3, 4]] * 4
    of = course(*([list(units) for units in zip(first_unit, falls_back, never_alone, strict=True)]))
    assert of.overlap[:, 0].tolist() == [0, 0.5, 0.75, 1]
    assert of.settled() == [10, 30, 0]
    assert of.settled(0.75) == [20, 30, 0]


def test_dead_units_and_those_without_values_settle_never() -> None:
    assert course([[1, 2]], [[1, 2]], excited=0).settled() == [None]
    assert course([[1, 2]], [[-1, -1]]).settled() == [None]


def test_a_patch_counts_from_when_it_came_to_stay() -> None:
    of = course([[1, 2]], [[2, 3]], [[3, 1]], [[3, 2]])
    assert of.since[:, 0].tolist() == [[0, 0], [0, 1], [1, 2], [1, 3]]


def test_answers_cut_patches_out_of_the_input(bench: Any, made: Any) -> None:
    random = np.random.default_rng(5)
    maps = {step: random.normal(size=(20, 4, 4, 4)).astype(np.float32) for step in (0, 10)}
    maps[10][..., 2], maps[10][..., 3] = -1, np.nan
    keep_patches(bench, "block/conv1", maps)
    of = bench.services.statistics.of("lenet")
    page = answers.at_step(of, 10, "block/conv1", 1, 2)
    assert (page["total"], [unit["unit"] for unit in page["units"]], page["input"]) == (4, [1, 2], [6, 6])
    best = page["units"][0]["patches"][0]
    image = int(maps[10][..., 1].max(axis=(1, 2)).argmax())
    assert (best["position"], best["image"]) == (image, of.image_ids()[image])
    assert (best["row"], best["column"]) == np.unravel_index(maps[10][image, ..., 1].argmax(), (4, 4))
    assert best["box"] == [0, 0, 6, 6], "where layers do not say what they see, it may be everything"
    dead, nothing = (answers.of_unit(of, "block/conv1", unit)["steps"][1] for unit in (2, 3))
    assert (dead["state"], dead["excited"]) == ("dead", 0)
    assert (nothing["state"], nothing["patches"], nothing["mean"]) == ("not a number", [], None)
    (layer,) = answers.overview(of)["layers"]
    assert (layer["steps"], layer["dead"], layer["settled"][2:]) == ([0, 10], 1, [None, None])


def test_what_is_not_there_is_refused_with_what_finds_it(bench: Any) -> None:
    of = bench.services.statistics.of("lenet")
    with pytest.raises(NotFound, match="--top-patches"):
        answers.of_unit(of, "conv2", 0)
    with pytest.raises(NotFound, match="nowhere"):
        answers.of_unit(of, "nowhere", 0)
    keep_patches(bench, "conv2", {0: np.ones((20, 2, 2, 40), np.float32)})
    again = bench.services.statistics.of("lenet")
    with pytest.raises(NotFound, match="units 0 to 39"):
        answers.of_unit(again, "conv2", 40)
    with pytest.raises(NotFound, match="--top-patches"):
        answers.at_step(again, 10, "conv2", 0, 10)
