"""Optimal stimuli of a linear network, of which the best image is known; the network is NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_backend import SHAPE, ArrayRun, DifferentiatingNetwork

from mloscope.app.errors import NotPossible
from mloscope.app.model_service.pictures.picture import SILENT, Asked, DifferentiableNetwork, Picture
from mloscope.app.model_service.pictures.stimulus import VARIANTS, stimulus
from mloscope.app.model_service.work_queue import Stopped

IMAGE = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
WEIGHTS = ArrayRun().arrays[0]
KERNEL = WEIGHTS["output/kernel"].reshape(*SHAPE, -1)


def made(
    layer: str = "output", before: Picture | None = None, weights: Any = WEIGHTS, stop: Any = lambda: False, **more: Any
) -> Picture:
    options = {"method": "norm", "of": "mean", "units": [0, 2], "iterations": 60, "seed": 0, **more}
    network = DifferentiableNetwork(DifferentiatingNetwork(), weights, stop)
    return stimulus(network, Asked(layer, options, IMAGE), before)


def test_under_a_norm_the_best_image_of_a_linear_unit_is_its_weights() -> None:
    found = made()
    norm = np.linalg.norm(IMAGE)
    for place, unit in enumerate((0, 2)):
        kernel = KERNEL[..., unit]
        best = kernel * norm / np.linalg.norm(kernel)
        assert np.linalg.norm(found.values[..., place] - best) < 0.02 * norm
        assert found.figures["activation"][place] == pytest.approx((best * kernel).sum(), rel=1e-3)
        assert found.figures["the image's"][place] == pytest.approx((IMAGE * kernel).sum(), rel=1e-4)


@pytest.mark.parametrize("method", VARIANTS)
def test_conditions_are_kept_and_more_is_reached_than_by_the_image(method: str) -> None:
    found = made(method=method)
    for place in range(2):
        values = found.values[..., place]
        assert np.linalg.norm(values) <= np.linalg.norm(IMAGE) * 1.001
        assert found.figures["activation"][place] > found.figures["the image's"][place]
        if method == "regularised":
            assert IMAGE.min() <= values.min()
            assert values.max() <= IMAGE.max()
        if method == "phase":
            spectra = [np.abs(np.fft.rfft2(each, axes=(0, 1))) for each in (values, IMAGE)]
            np.testing.assert_allclose(*spectra, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", VARIANTS)
def test_it_is_the_same_again_and_whichever_units_are_asked_for(method: str) -> None:
    both = made(method=method, iterations=5)
    np.testing.assert_array_equal(both.values, made(method=method, iterations=5).values)
    np.testing.assert_allclose(
        both.values[..., 1:], made(method=method, iterations=5, units=[2]).values, rtol=1e-4, atol=1e-5
    )


def test_it_begins_with_what_was_found_before() -> None:
    first = made()
    after = made(before=first, iterations=1)
    afresh = made(iterations=1)
    assert after.figures["activation"][0] > 0.95 * first.figures["activation"][0]
    assert afresh.figures["activation"][0] < 0.8 * first.figures["activation"][0]


def test_the_centre_of_a_map_is_one_place() -> None:
    found = made("scaled", of="centre", units=[1])
    row, column = SHAPE[0] // 2, SHAPE[1] // 2
    values = np.abs(found.values[..., 0])
    assert values[row, column, 1] == pytest.approx(np.linalg.norm(IMAGE), rel=1e-2)
    assert values.sum() < 1.2 * values[row, column, 1]


def test_a_unit_without_a_gradient_is_called_silent_and_stays_where_it_was() -> None:
    dead = {**WEIGHTS, "output/kernel": WEIGHTS["output/kernel"] * [1, 1, 0]}
    found = made(weights=dead)
    assert found.figures["activation"][1] == SILENT
    assert found.figures["activation"][0] > 0


def test_of_weights_that_are_no_numbers_there_is_none_and_it_stops_between_calls() -> None:
    with pytest.raises(NotPossible, match="output"):
        made(weights={name: array * np.nan for name, array in WEIGHTS.items()})
    answers = iter([False] * 5 + [True])
    with pytest.raises(Stopped):
        made(stop=lambda: next(answers))
