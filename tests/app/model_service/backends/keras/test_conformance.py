"""Keras on TensorFlow against the suite that every backend passes: a network in a network, and one with channels first."""

from __future__ import annotations

import numpy as np
import pytest
from framework import keras, needs_tensorflow
from small_networks import nested, random_weights, set_weights

from mloscope.adaptors.interface import RunOptions
from mloscope.adaptors.models.keras import KerasRun
from mloscope.app.model_service.backends.keras import KerasBackend
from mloscope.app.model_service.conformance import BackendConformance

pytestmark = needs_tensorflow


@pytest.fixture(scope="module")
def nested_run(tmp_path_factory: pytest.TempPathFactory) -> KerasRun:
    folder, model = tmp_path_factory.mktemp("nested"), nested()
    for step in range(3):
        set_weights(model, random_weights(model, step))
        model.save(folder / f"epoch_{step}.keras")
    return KerasRun.open(folder, RunOptions())


@pytest.fixture(scope="module")
def channels_first_run(tmp_path_factory: pytest.TempPathFactory) -> KerasRun:
    folder, first = tmp_path_factory.mktemp("first"), {"data_format": "channels_first"}
    model = keras.Sequential(
        [
            keras.Input((3, 8, 6)),
            keras.layers.Conv2D(4, 3, name="conv", **first),
            keras.layers.GlobalAveragePooling2D(name="pool", **first),
            keras.layers.Dense(3, name="end"),
        ]
    )
    for step in range(2):
        model.set_weights([np.random.default_rng(step).normal(size=each.shape) for each in model.get_weights()])
        model.save(folder / f"epoch_{step}.keras")
    return KerasRun.open(folder, RunOptions())


class TestNested(BackendConformance):
    backend = KerasBackend

    @pytest.fixture
    def run(self, nested_run: KerasRun) -> KerasRun:
        return nested_run


class TestChannelsFirst(BackendConformance):
    backend = KerasBackend

    @pytest.fixture
    def run(self, channels_first_run: KerasRun) -> KerasRun:
        return channels_first_run
