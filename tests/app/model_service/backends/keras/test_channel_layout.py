"""Networks with channels first: the same numbers as Keras', given and shown channels last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from framework import keras, layers, needs_tensorflow

from mloscope.adaptors.interface import RunOptions
from mloscope.adaptors.models.keras import KerasRun
from mloscope.app.model_service.backends.keras import KerasBackend
from mloscope.app.model_service.evaluator import evaluator_in_this_process
from mloscope.app.model_service.wire import RunSpec

pytestmark = needs_tensorflow

FIRST: dict[str, Any] = {"data_format": "channels_first"}
IMAGE = np.random.default_rng(0).random((6, 8, 3)).astype(np.float32)


def network() -> tuple[keras.Model, keras.Model]:
    """A network with channels first, and the same with channels last."""

    def build(first: bool) -> keras.Model:
        more = FIRST if first else {}
        axis = 1 if first else -1
        image = keras.Input((3, 6, 8) if first else (6, 8, 3), name="image")
        conv = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv", **more)(image)
        norm = layers.BatchNormalization(axis=axis, name="norm")(conv)
        twice = layers.Concatenate(axis=axis, name="twice")([conv, norm])
        pool = layers.MaxPooling2D(2, name="pool", **more)(twice)
        back = layers.Conv2DTranspose(2, 2, strides=2, name="back", **more)(pool)
        flat = layers.Flatten(name="flat", **more)(back)
        return keras.Model(image, layers.Dense(3, name="end")(flat))

    first, last = build(True), build(False)
    generator = np.random.default_rng(1)
    weights = [generator.uniform(0.1, 0.9, each.shape).astype(each.dtype) for each in last.get_weights()]
    first.set_weights(weights)
    last.set_weights(weights)
    return first, last


def test_maps_and_shapes_are_those_of_the_network_with_channels_last(tmp_path: Path) -> None:
    first, last = network()
    first.save(tmp_path / "epoch_1.keras")
    run = KerasRun.open(tmp_path, RunOptions())
    assert run.input_shape == (6, 8, 3)
    names = ["conv", "norm", "twice", "pool", "back", "flat", "end"]
    found = evaluator_in_this_process(run).evaluate(
        RunSpec(str(tmp_path), "keras", RunOptions()), [1], ["image", *names], IMAGE
    )
    assert not found.failed
    assert np.array_equal(found["image"][0], IMAGE)
    expected = keras.Model(last.input, [last.get_layer(name).output for name in names])(IMAGE[None])
    shapes = {layer.name: layer.output_shape for layer in run.layers()}
    for name, values in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name][0], np.asarray(values)[0], rtol=1e-5, atol=1e-5, err_msg=name)
        assert shapes[name] == found[name][0].shape


def test_a_plain_flatten_keeps_the_order_of_channels_first(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((3, 6, 8)),
            layers.Conv2D(2, 3, name="conv", **FIRST),
            layers.Flatten(name="flat"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(3, name="end"),
        ]
    )
    model.save(tmp_path / "epoch_1.h5")
    run = KerasRun.open(tmp_path, RunOptions())
    found = evaluator_in_this_process(run).evaluate(
        RunSpec(str(tmp_path), "keras", RunOptions()), [1], ["conv", "end"], IMAGE
    )
    conv = found["conv"][0]
    assert conv.shape == (4, 6, 2)
    kernel, bias = model.get_layer("end").get_weights()
    np.testing.assert_allclose(found["end"][0], conv.transpose(2, 0, 1).reshape(-1) @ kernel + bias, rtol=1e-4)
    (dense,) = (layer for layer in run.layers() if layer.name == "end")
    assert dense.parameters[0].flattened == ("channel", "row", "column")


def test_an_input_that_is_permuted_first_is_an_image_too(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((3, 6, 8)), layers.Permute((2, 3, 1), name="turned"), layers.Conv2D(2, 3, name="conv")]
    )
    model.save(tmp_path / "epoch_1.keras")
    run = KerasRun.open(tmp_path, RunOptions())
    assert run.input_shape == (6, 8, 3)
    found = evaluator_in_this_process(run).evaluate(
        RunSpec(str(tmp_path), "keras", RunOptions()), [1], ["turned", "conv"], IMAGE
    )
    assert np.array_equal(found["turned"][0], IMAGE)
    assert found["conv"][0].shape == (4, 6, 2)


def test_the_model_is_as_before_once_it_was_traced(tmp_path: Path) -> None:
    first, _ = network()
    first.save(tmp_path / "epoch_1.keras")
    run, built = KerasRun.open(tmp_path, RunOptions()), []

    class Noting:
        backend = "keras"
        weights, layers, channels_first = run.weights, run.layers, run.channels_first

        def keras_model(self) -> keras.Model:
            built.append(run.keras_model())
            return built[-1]

    traced = KerasBackend().open(Noting(), str(tmp_path))
    assert traced.input_shape == (6, 8, 3)
    (model,) = built
    assert model.get_layer("conv").data_format == "channels_first"
    assert "call" not in vars(model.get_layer("conv"))
