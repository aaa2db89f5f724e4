"""Networks of Keras 1 compute what that Keras computed: settings in its words, kernels in its orders."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mloscope.adaptors.interface import AdaptorError, RunOptions
from mloscope.adaptors.models.keras import KerasRun
from mloscope.adaptors.readers.keras.arrays import weight_names
from mloscope.adaptors.readers.keras.building import build_model
from mloscope.adaptors.readers.keras.legacy_config import in_words_of_keras_2, is_of_keras_1
from mloscope.app.model_service.backends.keras import KerasBackend

RANDOM = np.random.default_rng(5)
TF_KERNEL = RANDOM.normal(size=(3, 2, 3, 4)).astype(np.float32)
TH_KERNEL = np.ascontiguousarray(TF_KERNEL.transpose(3, 2, 0, 1))
DENSE = RANDOM.normal(size=(36, 5)).astype(np.float32)
NORM = {name: RANDOM.uniform(0.5, 2, 4).astype(np.float32) for name in ("gamma", "beta", "running_mean", "running_std")}
BIASES = {"convolution2d_1": RANDOM.normal(size=4).astype(np.float32), "dense_1": np.arange(5, dtype=np.float32) / 8}
PIXELS = RANDOM.normal(size=(2, 8, 7, 3)).astype(np.float32)


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, "trainable": True, **config}}


def layers(order: str) -> list[dict[str, Any]]:
    """What ``Sequential.get_config()`` of Keras 1.2 gives."""
    shape = [None, 3, 8, 7] if order == "th" else [None, 8, 7, 3]
    regular = {"W_regularizer": None, "b_regularizer": None, "activity_regularizer": None, "W_constraint": None,
               "b_constraint": None, "bias": True, "init": "glorot_uniform"}  # fmt: skip
    return [
        layer("Convolution2D", "convolution2d_1", nb_filter=4, nb_row=3, nb_col=2, subsample=[1, 1], activation="linear",
              border_mode="valid", dim_ordering=order, batch_input_shape=shape, input_dtype="float32", **regular),
        layer("BatchNormalization", "batchnormalization_1", epsilon=0.001, mode=0, momentum=0.99, beta_regularizer=None,
              gamma_regularizer=None, axis=1 if order == "th" else -1),
        layer("Activation", "activation_1", activation="relu"),
        layer("MaxPooling2D", "maxpooling2d_1", pool_size=[2, 2], strides=[2, 2], border_mode="valid", dim_ordering=order),
        layer("Dropout", "dropout_1", p=0.5),
        layer("Flatten", "flatten_1"),
        layer("Dense", "dense_1", output_dim=5, activation="softmax", input_dim=36, **regular),
    ]  # fmt: skip


def written(path: Path, order: str, backend: str | None, config: bool = True) -> None:
    kernel = TH_KERNEL if order == "th" else TF_KERNEL
    arrays = {
        "convolution2d_1": {"W": kernel, "b": BIASES["convolution2d_1"]},
        "batchnormalization_1": NORM,
        "dense_1": {"W": DENSE, "b": BIASES["dense_1"]},
    }
    with h5py.File(path, "w") as file:
        root = file
        if config:
            file.attrs["keras_version"] = b"1.2.2"
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": layers(order)})
            root = file.create_group("model_weights")
        if backend:
            file.attrs["backend"] = backend.encode()
        stored(root, {entry["config"]["name"]: arrays.get(entry["config"]["name"], {}) for entry in layers(order)})


def stored(root: h5py.Group, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    root.attrs["layer_names"] = [name.encode() for name in arrays]
    for name, own in arrays.items():
        group = root.create_group(name)
        group.attrs["weight_names"] = [f"{name}_{each}".encode() for each in own]
        for each, array in own.items():
            group[f"{name}_{each}"] = array


def forward(order: str, turned: bool) -> np.ndarray:
    """The network by hand."""
    kernel = TF_KERNEL[::-1, ::-1] if turned else TF_KERNEL
    windows = np.lib.stride_tricks.sliding_window_view(PIXELS, (3, 2), axis=(1, 2))
    maps = np.einsum("nyxcij,ijcu->nyxu", windows, kernel) + BIASES["convolution2d_1"]
    maps = (maps - NORM["running_mean"]) / np.sqrt(NORM["running_std"] + 0.001) * NORM["gamma"] + NORM["beta"]
    maps = np.maximum(maps, 0).reshape(2, 3, 2, 3, 2, 4).max((2, 4))
    flat = (maps.transpose(0, 3, 1, 2) if order == "th" else maps).reshape(2, -1)
    values = np.exp(flat @ DENSE + BIASES["dense_1"])
    return values / values.sum(1, keepdims=True)


def evaluated(run: KerasRun, folder: Path) -> np.ndarray:
    """What the model service makes of the images, which it takes channels last."""
    network, checkpoint = KerasBackend().open(run, str(folder)), run.checkpoints()[0]
    weights = network.weights(run.weights(checkpoint), checkpoint)
    return network.outputs(PIXELS.astype(np.float32), weights, [network.output_layer])[network.output_layer]


@pytest.mark.parametrize(
    ("order", "backend", "turned"),
    [("tf", "tensorflow", False), ("tf", None, False), ("th", "tensorflow", False), ("th", None, False),
     ("th", "theano", True), ("tf", "theano", True)],
)  # fmt: skip
@pytest.mark.parametrize("beside", [False, True])
def test_a_network_of_keras_1_computes_what_it_did(
    keras: Any, tmp_path: Path, order: str, backend: str | None, turned: bool, beside: bool
) -> None:
    written(tmp_path / "weights.01.h5", order, backend, config=not beside)
    if beside:
        said = {"class_name": "Sequential", "config": layers(order), "keras_version": "1.1.0"}
        (tmp_path / "model.json").write_text(json.dumps(said))
    run = KerasRun.open(tmp_path, RunOptions())
    assert run.checkpoints()[0].problem is None
    found = evaluated(run, tmp_path)
    np.testing.assert_allclose(found, forward(order, turned), rtol=2e-4, atol=1e-5)
    assert run.input_shape == (8, 7, 3)
    assert any("Convolution2D" in each for each in run.problems())
    assert any("backend" in each for each in run.problems()) == (backend is None)
    assert any("half a turn" in each and "Theano trained" in each for each in run.problems()) == turned


def test_layers_are_shown_in_the_words_of_today(tmp_path: Path) -> None:
    written(tmp_path / "weights.01.h5", "th", "theano")
    run = KerasRun.open(tmp_path, RunOptions())
    shown = {each.name: each for each in run.layers()}
    convolution = shown["convolution2d_1"]
    assert (convolution.kind, convolution.source_class) == ("convolution", "Conv2D")
    assert convolution.output_shape == (6, 6, 4)
    assert [(each.name, each.shape) for each in convolution.parameters] == [("kernel", (3, 2, 3, 4)), ("bias", (4,))]
    assert {"filters": 4, "kernel_size": [3, 2], "padding": "valid"}.items() <= convolution.hyperparameters.items()
    assert "written_as" not in convolution.hyperparameters
    names = [each.name for each in shown["batchnormalization_1"].parameters]
    assert names == ["gamma", "beta", "moving_mean", "moving_variance"]


def test_layers_that_keras_1_numbered_on_are_one_network(tmp_path: Path) -> None:
    written(tmp_path / "weights.01.h5", "tf", None)
    written(tmp_path / "weights.02.h5", "tf", None)
    with h5py.File(tmp_path / "weights.02.h5", "a") as file:
        text = file.attrs["model_config"].replace('2d_1"', '2d_7"').replace('dense_1"', 'dense_3"')
        file.attrs["model_config"] = text.encode()
        root = file["model_weights"]
        names = weight_names(root, "layer_names")
        for name in [name for name in names if name.endswith("2d_1") or name == "dense_1"]:
            new = name[:-1] + ("3" if name == "dense_1" else "7")
            root.move(name, new)
            for own in list(root[new]):
                root[new].move(own, own.replace(name, new))
            root[new].attrs["weight_names"] = [own.replace(name, new) for own in weight_names(root[new])]
        root.attrs["layer_names"] = [name.replace("2d_1", "2d_7").replace("dense_1", "dense_3") for name in names]
    run = KerasRun.open(tmp_path, RunOptions())
    assert [each.problem for each in run.checkpoints()] == [None, None]
    first, second = (run.weights(each) for each in run.checkpoints())
    assert all(np.array_equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("mode", "more", "expected"),
    [("sum", {}, lambda x: x * 3), ("mul", {}, lambda x: x * 2 * x), ("ave", {}, lambda x: x * 1.5),
     ("max", {}, lambda x: np.maximum(x, 2 * x)),
     ("concat", {"concat_axis": 2}, lambda x: np.concatenate([x, 2 * x], 2))],
)  # fmt: skip
def test_merging_by_its_mode(keras: Any, mode: str, more: Mapping[str, Any], expected: Callable[..., Any]) -> None:
    merged = functional(mode, "raw", **more)
    found = np.asarray(build_model(in_words_of_keras_2(merged), "run", None, False)(PIXELS))
    np.testing.assert_allclose(found, expected(PIXELS), rtol=1e-6)


def functional(mode: str, mode_type: str, **more: Any) -> dict[str, Any]:
    def node(entry: Mapping[str, Any], *inputs: str) -> dict[str, Any]:
        nodes = [[[each, 0, 0] for each in inputs]] if inputs else []
        return {**entry, "name": entry["config"]["name"], "inbound_nodes": nodes}

    image = layer("InputLayer", "image", batch_input_shape=[None, 8, 7, 3], input_dtype="float32", sparse=False)
    merge = layer("Merge", "merge_1", mode=mode, mode_type=mode_type, concat_axis=-1, dot_axes=-1, output_shape=None,
                  output_shape_type="raw")  # fmt: skip
    merge["config"] |= more
    doubled = node(layer("Merge", "twice", mode="sum", mode_type="raw"), "image", "image")
    inner = {"name": "net", "layers": [node(image), doubled, node(merge, "image", "twice")],
             "input_layers": [["image", 0, 0]], "output_layers": [["merge_1", 0, 0]]}  # fmt: skip
    return {"class_name": "Model", "config": inner, "keras_version": "1.2.0"}


@pytest.mark.parametrize(
    "odd",
    [
        layer("BatchNormalization", "odd", mode=1, axis=-1, epsilon=1e-3),
        layer("BatchNormalization", "odd", mode=2, axis=-1, epsilon=1e-3),
        layer("Highway", "odd", activation="relu"),
        layer("MaxoutDense", "odd", output_dim=4, nb_feature=4),
        layer(
            "Deconvolution2D", "odd", nb_filter=2, nb_row=2, nb_col=2, output_shape=[None, 9, 9, 2], subsample=[2, 2]
        ),
    ],
)
def test_what_cannot_be_converted_is_refused_by_name(keras: Any, odd: Mapping[str, Any]) -> None:
    entry = {**odd, "config": {**odd["config"], "batch_input_shape": [None, 8, 7, 3]}}
    config = {"class_name": "Sequential", "config": [entry], "keras_version": "1.0.8"}
    with pytest.raises(AdaptorError, match="odd"):
        build_model(in_words_of_keras_2(config), "run", None, False)


def test_a_merging_function_of_ones_own_and_models_side_by_side_are_refused(keras: Any) -> None:
    with pytest.raises(AdaptorError, match="merge_1"):
        build_model(in_words_of_keras_2(functional("4wAAAA", "lambda")), "run", None, False)
    branches = [{"class_name": "Sequential", "config": [layer("Activation", "a", activation="relu")]}]
    merge = layer("Merge", "sides", layers=branches, mode="concat")
    with pytest.raises(AdaptorError, match="sides"):
        in_words_of_keras_2({"class_name": "Sequential", "config": [merge], "keras_version": "1.2.2"})


def test_keras_1_is_known_by_its_word_or_its_settings() -> None:
    assert is_of_keras_1({"class_name": "Sequential", "config": layers("tf")})
    assert not is_of_keras_1({"class_name": "Sequential", "config": layers("tf"), "keras_version": "2.0.1"})
    plain = {"class_name": "Sequential", "config": [layer("Dense", "dense", units=2)]}
    assert not is_of_keras_1(plain)
    assert in_words_of_keras_2(plain) == plain
    assert is_of_keras_1({**plain, "keras_version": "1.0.0"})


def test_margins_and_dilations_are_translated(keras: Any) -> None:
    entries = [
        layer("ZeroPadding2D", "pad", padding=[1, 0, 2, 0], dim_ordering="tf", batch_input_shape=[None, 8, 7, 3]),
        layer("AtrousConvolution2D", "wide", nb_filter=2, nb_row=3, nb_col=3, atrous_rate=[2, 2], border_mode="valid",
              dim_ordering="tf", subsample=[1, 1], bias=False, init="zero"),
        layer("UpSampling2D", "up", size=[2, 2], dim_ordering="tf"),
        layer("AveragePooling2D", "mean", pool_size=[2, 2], strides=None, border_mode="same", dim_ordering="tf"),
        layer("GlobalAveragePooling2D", "all", dim_ordering="tf"),
        layer("LeakyReLU", "leaky", alpha=0.25),
    ]  # fmt: skip
    config = {"class_name": "Sequential", "config": entries, "keras_version": "1.2.2"}
    model = build_model(in_words_of_keras_2(config), "run", None, False)
    assert [each.output.shape[1:] for each in model.layers] == [
        (9, 9, 3),
        (5, 5, 2),
        (10, 10, 2),
        (5, 5, 2),
        (2,),
        (2,),
    ]
    assert len(model.get_layer("wide").weights) == 1
    assert model.get_layer("leaky").negative_slope == 0.25


def test_a_stride_that_theano_pads_otherwise_is_said(tmp_path: Path) -> None:
    written(tmp_path / "weights.01.h5", "th", "theano")
    with h5py.File(tmp_path / "weights.01.h5", "a") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"][0]["config"]["border_mode"] = "same"
        file.attrs["model_config"] = json.dumps(config).encode()
    problems = KerasRun.open(tmp_path, RunOptions()).problems()
    assert any("pads convolution2d_1" in each for each in problems)


@pytest.mark.parametrize("config", [{"class_name": "Sequential", "config": [None, 3, {"config": 4}, {"class_name": []}]},
                                    {"class_name": "Sequential", "config": {"layers": 3}}])  # fmt: skip
def test_nonsense_is_left_to_others(config: Mapping[str, Any]) -> None:
    in_words_of_keras_2({**config, "keras_version": "1.2"})
