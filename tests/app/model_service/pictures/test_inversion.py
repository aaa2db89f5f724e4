"""Inversions through networks of which it is known what they keep of an image; the network is NumPy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from array_backend import SHAPE, ArrayRun, DifferentiatingNetwork
from framework import needs_tensorflow

from mloscope.adaptors.interface import RunOptions
from mloscope.adaptors.registry import open_run
from mloscope.app.errors import NotPossible
from mloscope.app.model_service.backends.keras import KerasBackend
from mloscope.app.model_service.pictures.attribution import blurred
from mloscope.app.model_service.pictures.inversion import inversion
from mloscope.app.model_service.pictures.picture import Asked, DifferentiableNetwork, Picture
from mloscope.app.model_service.work_queue import Stopped

IMAGE = np.random.default_rng(0).uniform(-1, 1, SHAPE).astype(np.float32)
WEIGHTS = ArrayRun().arrays[0]


def made(
    layer: str = "scaled", before: Picture | None = None, weights: Any = WEIGHTS, stop: Any = lambda: False, **more: Any
) -> Picture:
    options = {"iterations": 200, "smoothness": 0.0, "seed": 0, **more}
    network = DifferentiableNetwork(DifferentiatingNetwork(), weights, stop)
    return inversion(network, Asked(layer, options, IMAGE), before)


def test_a_layer_that_keeps_everything_gives_the_image_back() -> None:
    found = made()
    assert found.values.shape == (*SHAPE, 1)
    np.testing.assert_allclose(found.values[..., 0], IMAGE, atol=0.02)
    assert found.figures["PSNR in dB"][0] > 40
    assert found.figures["feature distance"][0] < 0.02


def test_what_a_layer_throws_away_does_not_come_back_though_its_features_do() -> None:
    found = made("output")
    assert found.figures["feature distance"][0] < 0.02
    assert found.figures["PSNR in dB"][0] < 30


def test_psnr_and_distance_are_those_of_the_picture() -> None:
    found = made("output", iterations=10)
    values = found.values[..., 0].astype(np.float64)
    peak = float(IMAGE.max() - IMAGE.min())
    assert found.figures["PSNR in dB"][0] == pytest.approx(
        10 * np.log10(peak**2 / ((values - IMAGE) ** 2).mean()), rel=1e-5
    )
    network = DifferentiatingNetwork()
    features = [
        network.outputs(np.float32(each)[np.newaxis], WEIGHTS, ["output"])["output"] for each in (values, IMAGE)
    ]
    distance = np.linalg.norm(features[0] - features[1]) / np.linalg.norm(features[1])
    assert found.figures["feature distance"][0] == pytest.approx(distance, rel=1e-4)


def test_it_stays_in_the_range_and_smoothness_smooths() -> None:
    rough, smooth = made("output"), made("output", smoothness=1.0)
    for found in (rough, smooth):
        assert found.values.min() >= IMAGE.min()
        assert found.values.max() <= IMAGE.max()

    def roughness(picture: Picture) -> float:
        return sum(float((np.diff(picture.values, axis=axis) ** 2).sum()) for axis in (0, 1))

    assert roughness(smooth) < 0.5 * roughness(rough)


def test_it_is_the_same_again_and_begins_with_what_was_found_before() -> None:
    first = made()
    np.testing.assert_array_equal(first.values, made().values)
    after, afresh = made(before=first, iterations=3), made(iterations=3)
    assert after.figures["PSNR in dB"][0] > afresh.figures["PSNR in dB"][0]


def test_stopping_ends_it_between_two_calls() -> None:
    calls = iter(range(10))
    with pytest.raises(Stopped):
        made(stop=lambda: next(calls) == 4)


def test_a_layer_that_gives_zeros_or_nothing_finite_is_said() -> None:
    for value in (0, np.nan):
        with pytest.raises(NotPossible):
            made(weights={name: np.full_like(array, value) for name, array in WEIGHTS.items()})


REAL = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[4] / ".." / "shared" / "real"))


@needs_tensorflow
@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real snapshots at {REAL}")
def test_the_first_convolution_of_a_real_network_keeps_the_image_and_the_last_layer_does_not() -> None:
    run: Any = open_run(REAL / "caffe" / "cifar10_full", RunOptions(), None)
    checkpoint = run.checkpoints()[-1]
    opened = KerasBackend().open(run, "the run")
    network = DifferentiableNetwork(opened, opened.weights(run.weights(checkpoint), checkpoint))
    image = blurred(np.random.default_rng(1).normal(size=(32, 32, 3)).astype(np.float32), 1.0)
    image *= 120 / np.abs(image).max()
    options = {"iterations": 128, "smoothness": 0.01, "seed": 0}
    reached = {
        layer: inversion(network, Asked(layer, options, image)).figures["PSNR in dB"][0] for layer in ("conv1", "ip1")
    }
    assert reached["conv1"] >= 30
    assert reached["ip1"] < 15
