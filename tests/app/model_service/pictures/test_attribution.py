"""Attributions of a linear network, of which everything is known; the network is NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from array_backend import SHAPE, ArrayRun, DifferentiatingNetwork

from mloscope.app.errors import NotPossible
from mloscope.app.model_service.pictures.attribution import FLAT, VARIANTS, attribution, blurred, resized
from mloscope.app.model_service.pictures.picture import Asked, DifferentiableNetwork, Picture

IMAGE = np.random.default_rng(0).normal(0, 1, SHAPE).astype(np.float32)
WEIGHTS = ArrayRun().arrays[0]
KERNEL = WEIGHTS["output/kernel"].reshape(*SHAPE, -1)
OPTIONS = {"samples": 4, "noise": 0.1, "seed": 0, "points": 5, "patch": 2, "stride": 2}


def picture(
    method: str, layer: str = "output", beside: np.ndarray | None = None, weights: Any = WEIGHTS, **more: Any
) -> Picture:
    options = {"method": method, "target": ["output", [[2, 1.0]]], **OPTIONS, **more}
    network = DifferentiableNetwork(DifferentiatingNetwork(), weights)
    return attribution(network, Asked(layer, options, IMAGE, beside))


@pytest.mark.parametrize("method", ["gradient", "smoothgrad"])
def test_a_linear_network_has_one_gradient(method: str) -> None:
    found = picture(method)
    np.testing.assert_allclose(found.values[..., 0], KERNEL[..., 2], rtol=1e-5)
    assert found.figures["score"] == pytest.approx([(IMAGE * KERNEL[..., 2]).sum()], rel=1e-4)


def test_of_two_classes_the_difference_is_explained() -> None:
    found = picture("gradient", target=["output", [[2, 1.0], [0, -1.0]]])
    np.testing.assert_allclose(found.values[..., 0], KERNEL[..., 2] - KERNEL[..., 0], rtol=1e-4, atol=1e-6)


def test_of_a_unit_with_a_map_its_mean_is_explained() -> None:
    found = picture("gradient", target=["scaled", [[1, 1.0]]])
    places = SHAPE[0] * SHAPE[1]
    np.testing.assert_allclose(found.values[..., 1, 0], WEIGHTS["scaled/factor"][0] / places, rtol=1e-5)
    assert not found.values[..., 0, 0].any()


def test_integrated_gradients_are_complete_and_say_so() -> None:
    baseline = np.ones(SHAPE, np.float32)
    found = picture("integrated", beside=baseline)
    np.testing.assert_allclose(found.values[..., 0], (IMAGE - baseline) * KERNEL[..., 2], rtol=1e-4, atol=1e-6)
    assert found.figures["baseline's score"] == pytest.approx([KERNEL[..., 2].sum()], rel=1e-4)
    assert found.figures["completeness gap (%)"][0] < 0.01


def test_what_is_covered_takes_its_share_of_the_score_away() -> None:
    baseline = np.zeros(SHAPE, np.float32)
    found = picture("occlusion", beside=baseline, patch=1, stride=1)
    assert found.values.shape == (*SHAPE[:2], 1, 1)
    np.testing.assert_allclose(found.values[..., 0, 0], (IMAGE * KERNEL[..., 2]).sum(-1), rtol=1e-3, atol=1e-4)
    of_patches = picture("occlusion", beside=baseline, patch=3, stride=2)
    assert of_patches.values.all(), "the last patches reach the edges"


def test_grad_cam_needs_maps() -> None:
    with pytest.raises(NotPossible, match="rows and columns"):
        picture("grad-cam", "output")


@pytest.mark.parametrize("method", [method for method in VARIANTS if method != "grad-cam"])
def test_a_score_that_no_pixel_changes_is_said(method: str) -> None:
    dead = {**WEIGHTS, "output/kernel": 0 * WEIGHTS["output/kernel"]}
    assert picture(method, weights=dead).figures["score"] == [FLAT]


def test_what_is_blurred_keeps_its_mean_and_loses_its_detail() -> None:
    image = np.zeros((21, 21, 1), np.float32)
    image[10, 10] = 1
    found = blurred(image, 2.0)
    assert found.sum() == pytest.approx(1, rel=1e-3)
    assert found.max() == pytest.approx(1 / (2 * np.pi * 4), rel=0.05)
    np.testing.assert_allclose(found, found[::-1, ::-1].transpose(1, 0, 2), atol=1e-6)


def test_a_map_is_resized_in_a_straight_line() -> None:
    ramp = np.arange(4.0) * np.ones((3, 1))
    np.testing.assert_allclose(resized(ramp, (3, 8))[0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_allclose(resized(ramp.T, (8, 3))[:, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_array_equal(resized(ramp, (3, 4)), ramp)
