"""Attributions of networks that others trained are those of the package saliency, given gradients from Keras' own models."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from framework import keras, needs_tensorflow, tensorflow

from mloscope.adaptors.interface import RunOptions
from mloscope.adaptors.registry import open_run
from mloscope.app.model_service.backends.keras import KerasBackend
from mloscope.app.model_service.pictures.attribution import (
    Score,
    attribution,
    blurred,
    grad_cam,
    integrated_gradients,
    occlusion,
)
from mloscope.app.model_service.pictures.picture import Asked, DifferentiableNetwork

REAL = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[4] / ".." / "shared" / "real"))
pytestmark = [
    needs_tensorflow,
    pytest.mark.skipif(not REAL.is_dir(), reason=f"no real snapshots at {REAL}"),
    pytest.mark.skipif(
        importlib.util.find_spec("saliency") is None, reason="saliency is not installed: make test does it"
    ),
]
RELATIVE = 1e-4
CLASS = 3
NETWORKS = {"caffe/cifar10_full": 100.0, "keras/resnet20_cifar10": 1.0, "cuda_convnet/dropout_5sets/ConvNet": 100.0}
"""Of each the range of its images' values, above and below nought."""


class Real:
    """A network at its last checkpoint, and the same as a Keras model with its weights."""

    def __init__(self, path: Path, reach: float) -> None:
        run: Any = open_run(path, RunOptions(), None)
        checkpoint = run.checkpoints()[-1]
        arrays = run.weights(checkpoint)
        self.model = run.keras_model()
        for layer in self.model.layers:
            for variable in layer.weights:
                variable.assign(arrays[f"{layer.name}/{variable.name}"])
        network = KerasBackend().open(run, "the run")
        self.view = DifferentiableNetwork(network, network.weights(arrays, checkpoint))
        convolutions = [layer.name for layer in run.layers() if layer.kind == "convolution" and not layer.problem]
        dense = [layer.name for layer in run.layers() if layer.kind == "dense" and not layer.problem]
        self.convolution, self.target = convolutions[-1], dense[-1]
        shape = tuple(length or 32 for length in network.input_shape)
        image = blurred(np.random.default_rng(0).normal(size=shape).astype(np.float32), 2.0)
        self.image = image * reach / np.abs(image).max()
        self.score = Score(self.view, self.target, [[CLASS, 1.0]])

    def asked(self, method: str, **options: Any) -> Asked:
        target = [self.target, [[CLASS, 1.0]]]
        return Asked(self.convolution, {"method": method, "target": target, **options}, self.image, 0 * self.image)

    def call(self, images: np.ndarray, call_model_args: Any = None, expected_keys: Any = None) -> dict[str, np.ndarray]:
        """What saliency asks of a model."""
        layers = [self.model.get_layer(name) for name in (self.convolution, self.target)]
        both = keras.Model(self.model.inputs, [layer.output for layer in layers])
        given = tensorflow.constant(np.asarray(images, np.float32))
        with tensorflow.GradientTape(persistent=True) as tape:
            tape.watch(given)
            maps, outputs = both(given, training=False)
            score = outputs[:, CLASS]
        return {
            "INPUT_OUTPUT_GRADIENTS": np.asarray(tape.gradient(score, given)),
            "CONVOLUTION_OUTPUT_GRADIENTS": np.asarray(tape.gradient(score, maps)),
            "CONVOLUTION_LAYER_VALUES": np.asarray(maps),
            "OUTPUT_LAYER_VALUES": np.asarray(score),
        }


@pytest.fixture(scope="module", params=NETWORKS)
def real(request: pytest.FixtureRequest) -> Real:
    path = REAL / request.param
    if not path.is_dir():
        pytest.skip(f"{path} is not here")
    return Real(path, NETWORKS[request.param])


def assert_alike(found: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() <= RELATIVE * np.abs(expected).max()


def test_the_gradient(real: Real) -> None:
    from saliency import core

    expected = core.GradientSaliency().GetMask(real.image, real.call)
    assert_alike(attribution(real.view, real.asked("gradient")).values[..., 0], expected)


def test_smoothgrad_with_the_same_noise(real: Real, monkeypatch: pytest.MonkeyPatch) -> None:
    from saliency import core

    noise = np.random.default_rng(0)
    monkeypatch.setattr(np.random, "normal", noise.normal)
    expected = core.GradientSaliency().GetSmoothedMask(real.image, real.call, nsamples=6, magnitude=False)
    found = attribution(real.view, real.asked("smoothgrad", samples=6, noise=0.15, seed=0))
    assert_alike(found.values[..., 0], expected)


def test_integrated_gradients(real: Real) -> None:
    from saliency import core

    expected = core.IntegratedGradients().GetMask(real.image, real.call, x_steps=12, batch_size=12)
    shares = np.linspace(0, 1, 12)
    assert_alike(integrated_gradients(real.score, real.image, 0 * real.image, shares, np.full(12, 1 / 12)), expected)


def test_integrated_gradients_are_complete(real: Real) -> None:
    found = attribution(real.view, real.asked("integrated", points=256))
    assert found.figures["completeness gap (%)"][0] < 1


def test_grad_cam(real: Real) -> None:
    from saliency import core

    expected = core.GradCam().GetMask(real.image, real.call, should_resize=False, three_dims=False)
    assert_alike(grad_cam(real.score, real.image, real.convolution), expected)


def test_occlusion(real: Real) -> None:
    from saliency import core

    size = real.image.shape[0] - 4
    expected = core.Occlusion().GetMask(real.image, real.call, size=size)
    drops, _counts = occlusion(real.score, real.image, 0 * real.image, size, 1)
    assert_alike(np.repeat(drops[..., np.newaxis], real.image.shape[2], axis=2), expected)
