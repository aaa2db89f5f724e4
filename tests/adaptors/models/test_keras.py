"""Keras runs: the conformance suite over every kind of file, bit-identity with Keras, and what bad files
get."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import sys
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import RunConformance
from mloscope.adaptors.interface import AdaptorError, Preprocessing, Refused, RunOptions, Unreadable
from mloscope.adaptors.models.keras import KerasRun
from mloscope.adaptors.readers.keras import files as keras_files

# ---------- conformance


class TestArchives(RunConformance):
    adaptor = KerasRun

    @pytest.fixture
    def path(self, saved: Any) -> Path:
        return saved.folders["keras"]


class TestLegacyFiles(RunConformance):
    adaptor = KerasRun

    @pytest.fixture
    def path(self, saved: Any) -> Path:
        return saved.folders["h5"]


class TestWeightsWithArchitectureBeside(RunConformance):
    adaptor = KerasRun

    @pytest.fixture
    def path(self, saved: Any) -> Path:
        return saved.folders["weights"]


class TestWeightsAlone(RunConformance):
    adaptor = KerasRun

    @pytest.fixture
    def path(self, saved: Any, tmp_path: Path) -> Path:
        folder = tmp_path / "weights"
        shutil.copytree(saved.folders["weights"], folder, ignore=shutil.ignore_patterns("model.json"))
        return folder


class TestOneFile(RunConformance):
    adaptor = KerasRun

    @pytest.fixture
    def path(self, saved: Any) -> Path:
        return saved.folders["keras"] / "epoch_9.keras"


@pytest.mark.real_data
class TestRealResNet20OfKeras2(RunConformance):
    adaptor = KerasRun

    @pytest.fixture
    def path(self, real_data: Path) -> Path:
        return real_data / "keras" / "resnet20_cifar10"


@pytest.mark.real_data
class TestRealArchive(RunConformance):
    adaptor = KerasRun

    @pytest.fixture
    def path(self, real_data: Path) -> Path:
        return real_data / "keras" / "single" / "mnist_cnn.keras"


# ---------- the same as Keras


def own_order(run: KerasRun, step: int) -> dict[str, np.ndarray]:
    checkpoint = next(checkpoint for checkpoint in run.checkpoints() if checkpoint.step == step)
    return run.weights(checkpoint)


def keras_arrays(model: Any, around: str = "") -> dict[str, np.ndarray]:
    """The model's arrays by the names we give them, from Keras's own objects."""
    found = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= keras_arrays(layer, f"{around}{layer.name}/")
        else:
            for variable in layer.variables:
                if variable.name not in ("count", "seed_generator_state"):
                    found[f"{around}{layer.name}/{variable.name}"] = np.asarray(variable)
    return found


@pytest.mark.parametrize("kind", ["keras", "h5", "weights"])
def test_arrays_are_those_of_keras_to_the_bit(saved: Any, keras: Any, kind: str) -> None:
    run = registry.open_run(saved.folders[kind])
    for step in (9, 10):
        saved.model.set_weights(saved.weights[step])
        expected, found = keras_arrays(saved.model), own_order(run, step)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            assert found[name].dtype == array.dtype
            assert found[name].tobytes() == array.tobytes(), name


def test_steps_sort_as_numbers(saved: Any) -> None:
    run = registry.open_run(saved.folders["keras"])
    assert [checkpoint.name for checkpoint in run.checkpoints()] == ["epoch_9.keras", "epoch_10.keras"]
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [9, 10]
    assert run.problems() == ()


@pytest.mark.parametrize("kind", ["keras", "h5", "weights"])
def test_graph_of_the_branching_network(saved: Any, kind: str) -> None:
    layers = {layer.name: layer for layer in registry.open_run(saved.folders[kind]).layers()}
    assert layers["inner/conv"].inputs == ("separable",)
    assert layers["inner/sum"].inputs == ("inner/conv", "inner/depthwise")
    assert layers["shared"].inputs == ("inner/sum", "relu")
    assert layers["head/conv"].inputs == ("pool",)
    assert layers["out"].inputs == ("head/norm",)

    def names(layer: str) -> list[str]:
        return [parameter.name for parameter in layers[layer].parameters]

    assert names("unscaled") == ["beta", "moving_mean", "moving_variance"]
    assert names("scaled") == [
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
    ]
    assert names("shared") == ["kernel"]
    separable = {p.name: p.axes for p in layers["separable"].parameters}
    assert separable == {
        "depthwise_kernel": ("row", "column", "channel", "multiplier"),
        "pointwise_kernel": ("row", "column", "channel", "unit"),
        "bias": ("unit",),
    }
    assert layers["transposed"].parameters[0].axes == ("row", "column", "unit", "channel")
    assert layers["inner/depthwise"].parameters[0].axes == ("row", "column", "channel", "multiplier")
    assert layers["dropout"].parameters == ()
    assert layers["separable"].hyperparameters["strides"] == [2, 2]
    assert layers["image"].kind == "input"
    assert registry.open_run(saved.folders[kind]).input_shape == (16, 16, 3)


def keras_shapes(model: Any, around: str = "") -> dict[str, tuple[int | None, ...]]:
    found = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= keras_shapes(layer, f"{around}{layer.name}/")
        elif not (around and type(layer).__name__ == "InputLayer"):
            found[f"{around}{layer.name}"] = layer._inbound_nodes[0].outputs[0].shape[1:]
    return found


def plain_blocks(keras: Any) -> Any:
    """The layers of ordinary classifiers with arguments that make shapes interesting."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((37, 41, 3)),
            layers.ZeroPadding2D(((1, 2), (3, 4))),
            layers.Conv2D(8, (3, 5), strides=(2, 3), dilation_rate=1, groups=1),
            layers.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2),
            layers.MaxPooling2D(3, 2, padding="same"),
            layers.AveragePooling2D(2),
            layers.UpSampling2D((2, 3)),
            layers.Cropping2D(((1, 0), (0, 2))),
            layers.DepthwiseConv2D(2, depth_multiplier=3, strides=2),
            layers.Conv2DTranspose(4, 4, strides=3, padding="same"),
            layers.Conv2DTranspose(4, (4, 5), strides=(3, 2), output_padding=1),
            layers.LeakyReLU(),
            layers.SpatialDropout2D(0.1),
            layers.GlobalMaxPooling2D(keepdims=True),
            layers.Reshape((2, -1)),
            layers.Permute((2, 1)),
            layers.Flatten(),
            layers.Dense(5),
            layers.Softmax(),
        ]
    )


@pytest.mark.parametrize("network", ["branching", "plain", "resnet50", "mobilenetv2"])
def test_shapes_are_those_of_keras(saved: Any, keras: Any, network: str, tmp_path: Path) -> None:
    model = {
        "branching": lambda: saved.model,
        "plain": lambda: plain_blocks(keras),
        "resnet50": lambda: keras.applications.ResNet50(weights=None, input_shape=(96, 128, 3), classes=10),
        "mobilenetv2": lambda: keras.applications.MobileNetV2(weights=None, input_shape=(96, 96, 3)),
    }[network]()
    model.save_weights(tmp_path / "at_1.weights.h5")
    (tmp_path / "model.json").write_text(model.to_json())
    run = registry.open_run(tmp_path)
    expected = keras_shapes(model)
    shapes = {layer.name: layer.output_shape for layer in run.layers() if layer.name in expected}
    assert shapes == expected
    assert sum(layer.parameter_count for layer in run.layers()) == sum(a.size for a in keras_arrays(model).values())


@pytest.mark.parametrize("kind", ["keras", "h5", "weights"])
def test_keras_model_computes_what_was_saved(saved: Any, keras: Any, kind: str) -> None:
    run = registry.open_run(saved.folders[kind])
    original = keras.models.load_model(saved.folders["keras"] / "epoch_9.keras", compile=False)
    images = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float32)
    for _ in range(2):  # building must leave the run as it was
        model = run.keras_model()
        assign(model, own_order(run, 9))
        assert np.array_equal(np.asarray(model(images)), np.asarray(original(images)))


def assign(model: Any, weights: dict[str, np.ndarray], around: str = "") -> None:
    for layer in model.layers:
        if hasattr(layer, "layers"):
            assign(layer, weights, f"{around}{layer.name}/")
        else:
            for variable in layer.variables:
                if f"{around}{layer.name}/{variable.name}" in weights:
                    variable.assign(weights[f"{around}{layer.name}/{variable.name}"])
            if hasattr(layer, "finalize_state"):  # Normalization computes with constants made of its variables
                layer.finalize_state()


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_layers_made_of_layers(keras: Any, tmp_path: Path, suffix: str) -> None:
    layers = keras.layers
    image = keras.Input((4, 4, 3))
    tokens = layers.Reshape((16, 3))(image)
    attended = layers.MultiHeadAttention(2, 3, name="attention")(tokens, tokens)
    model = keras.Model(image, layers.Dense(2, name="out")(layers.Flatten()(attended)))
    (model.save_weights if suffix == ".weights.h5" else model.save)(tmp_path / f"at_1{suffix}")
    (tmp_path / "model.json").write_text(model.to_json())
    run = registry.open_run(tmp_path)
    weights = run.weights(run.checkpoints()[0])
    attention = model.get_layer("attention")
    for part in ("query", "key", "value", "output"):
        inner = getattr(attention, f"_{part}_dense")
        for variable in inner.variables:
            found = weights[f"attention/{inner.name}/{variable.name}"]
            assert np.array_equal(found, np.asarray(variable))
    assert len(weights) == 10


def test_numbers_of_16_bits_are_what_they_stand_for(keras: Any, tmp_path: Path) -> None:
    for dtype in ("float16", "bfloat16"):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, dtype=dtype, name="out")])
        model.save(tmp_path / f"{dtype}.keras")
        run = registry.open_run(tmp_path / f"{dtype}.keras")
        kernel = run.weights(run.checkpoints()[0])["out/kernel"]
        expected = np.asarray(keras.ops.cast(model.get_layer("out").kernel, "float32"))
        assert kernel.dtype == (np.float16 if dtype == "float16" else np.float32)
        assert np.array_equal(kernel.astype(np.float32), expected)


@pytest.mark.real_data
def test_keras_2_network_is_built_by_todays_keras(real_data: Path, keras: Any) -> None:
    run = registry.open_run(real_data / "keras" / "resnet20_cifar10")
    model = run.keras_model()
    weights = run.weights(run.checkpoints()[-1])
    assert keras_arrays(model).keys() == weights.keys()
    assert {name: array.shape for name, array in keras_arrays(model).items()} == {
        name: array.shape for name, array in weights.items()
    }
    assign(model, weights)
    assert all(np.array_equal(array, weights[name]) for name, array in keras_arrays(model).items())
    assert keras_shapes(model) == {layer.name: layer.output_shape for layer in run.layers()}
    output = np.asarray(model(np.zeros((1, 32, 32, 3), np.float32)))
    assert output.shape == (1, 10)
    assert output.sum() == pytest.approx(1, abs=1e-5)


# ORIGIN.md: accuracy by epoch on the first 2,000 test images of CIFAR-10.
RESNET20 = {1: 0.5975, 7: 0.762, 11: 0.783, 18: 0.8285, 37: 0.851, 65: 0.869, 135: 0.922}


def resnet20_accuracies(
    real_data: Path, cifar10: Any, loaded: Any, epochs: Collection[int], most: int
) -> dict[int, float]:
    """Images are divided by 255, less the mean image of the training set."""
    run = registry.open_run(real_data / "keras" / "resnet20_cifar10")
    means = [cifar10(f"data_batch_{number}")[0].mean(axis=0, dtype=np.float64) for number in range(1, 6)]
    images, labels = (each[:most] for each in cifar10("test_batch"))
    images = (images - np.mean(means, axis=0).astype(np.float32)) / 255
    found: dict[int, float] = {}
    model = None
    for checkpoint in run.checkpoints():
        if checkpoint.step in epochs:
            model = loaded(run, checkpoint, model)
            answers = model.predict(images, batch_size=500, verbose=0).argmax(axis=1)
            found[checkpoint.step] = float(np.mean(answers == labels))
    return found


@pytest.mark.real_data
def test_accuracies_of_resnet20_are_about_those_of_origin(real_data: Path, cifar10: Any, loaded: Any) -> None:
    found = resnet20_accuracies(real_data, cifar10, loaded, (1, 135), 200)
    assert found.keys() == {1, 135}
    for epoch, accuracy in found.items():
        assert abs(accuracy - RESNET20[epoch]) < 4 * np.sqrt(0.25 / 200)


@pytest.mark.slow
@pytest.mark.real_data
def test_accuracies_of_resnet20_are_those_of_origin(real_data: Path, cifar10: Any, loaded: Any) -> None:
    found = resnet20_accuracies(real_data, cifar10, loaded, RESNET20, 2000)
    assert {epoch: f"{accuracy:.4f}" for epoch, accuracy in found.items()} == {
        epoch: f"{accuracy:.4f}" for epoch, accuracy in RESNET20.items()
    }


@pytest.mark.real_data
def test_real_arrays_are_those_of_h5py_to_the_bit(real_data: Path) -> None:
    folder = real_data / "keras" / "resnet20_cifar10"
    run = registry.open_run(folder)
    for checkpoint in run.checkpoints():
        stored: list[bytes] = []
        with h5py.File(folder / checkpoint.name) as file:
            file["model_weights"].visititems(
                lambda _, item, into=stored: into.append(item[()].tobytes()) if isinstance(item, h5py.Dataset) else None
            )
        assert sorted(stored) == sorted(array.tobytes() for array in run.weights(checkpoint).values())


# ---------- hand-made files, without TensorFlow


def conv(name: str = "conv", filters: int = 4, **more: Any) -> dict[str, Any]:
    settings = {
        "name": name,
        "filters": filters,
        "kernel_size": [3, 3],
        "strides": [1, 1],
        "padding": "valid",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "activation": "relu",
        "use_bias": True,
    }
    return {
        "module": "keras.layers",
        "class_name": "Conv2D",
        "config": settings | more,
        "registered_name": None,
    }


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    first = {"class_name": "InputLayer", "config": {"batch_shape": [None, 8, 8, 1], "name": "image"}}
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "net", "layers": [first, *layers]},
    }


def weights_file(arrays: dict[str, list[np.ndarray]]) -> bytes:
    """The newer layout: group name to numbered variables."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for group, variables in arrays.items():
            for number, array in enumerate(variables):
                file[f"layers/{group}/vars/{number}"] = array
    return buffer.getvalue()


def conv_arrays(filters: int = 4, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((3, 3, 1, filters)).astype(np.float32), np.zeros(filters, np.float32)]


def archive(path: Path, config: dict[str, Any], weights: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights)
    return path


def small_run(folder: Path, steps: tuple[int, ...] = (1, 2), name: str = "at_{}.keras") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for step in steps:
        archive(folder / name.format(step), sequential(conv()), weights_file({"conv2d": conv_arrays(seed=step)}))
    return folder


def test_weights_without_names_are_found_by_class_and_order(tmp_path: Path) -> None:
    config = sequential(conv("first", 4), conv("second", 2))
    second = [np.full((3, 3, 4, 2), 7, np.float32), np.full(2, 8, np.float32)]
    archive(tmp_path / "at_1.keras", config, weights_file({"conv2d": conv_arrays(), "conv2d_1": second}))
    run = registry.open_run(tmp_path)
    assert np.array_equal(run.weights(run.checkpoints()[0])["second/kernel"], second[0])


def test_deflated_archives_are_read_too(tmp_path: Path) -> None:
    arrays = conv_arrays(seed=3)
    weights = weights_file({"conv2d": arrays})
    archive(tmp_path / "at_1.keras", sequential(conv()), weights, zipfile.ZIP_DEFLATED)
    run = registry.open_run(tmp_path)
    assert np.array_equal(run.weights(run.checkpoints()[0])["conv/kernel"], arrays[0])


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "at_1.keras", sequential(conv()), bytes(100 * 1024**2), zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1024**2
    with pytest.raises(Refused, match=r"at_1\.keras: model\.weights\.h5 would unpack .* to 104,857,600"):
        registry.open_run(tmp_path)


def test_a_config_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "at_1.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", b" " * (70 * 1024**2))
        file.writestr("model.weights.h5", weights_file({}))
    with pytest.raises(Unreadable, match=r"config\.json would unpack"):
        registry.open_run(tmp_path)


def test_an_hdf5_bomb_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("layers/conv2d/vars/0", (3, 3, 1, 4), np.float32)
        file.create_dataset("layers/conv2d/vars/1", (10**11,), np.float32, chunks=(10**6,))
    archive(tmp_path / "at_1.keras", sequential(conv()), buffer.getvalue())
    run = registry.open_run(tmp_path)
    with pytest.raises(Refused, match=r"vars/1 would unpack 0 bytes to 400,000,000,000"):
        run.parameters(run.checkpoints()[0], run.layers()[1])


def test_values_kept_in_another_file_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(144))
    with h5py.File(tmp_path / "at_1.weights.h5", "w") as file:
        external = [(str(secret), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("layers/conv2d/vars/0", (3, 3, 1, 4), np.float32, external=external)
        file["layers/conv2d/vars/1"] = np.zeros(4, np.float32)
    (tmp_path / "model.json").write_text(json.dumps(sequential(conv())))
    run = registry.open_run(tmp_path)
    with pytest.raises(Refused, match="takes its values from another file"):
        run.weights(run.checkpoints()[0])


def test_links_to_another_file_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.data", "w") as file:
        file["kernel"] = np.zeros((3, 3, 1, 4), np.float32)
    with h5py.File(tmp_path / "at_1.weights.h5", "w") as file:
        file["layers/conv2d/vars/0"] = h5py.ExternalLink("other.data", "kernel")
        file["layers/conv2d/vars/1"] = np.zeros(4, np.float32)
    (tmp_path / "model.json").write_text(json.dumps(sequential(conv())))
    with pytest.raises(Unreadable, match="layers/conv2d/vars/0 takes its values from another file"):
        registry.open_run(tmp_path)


def test_a_lambda_layer_is_shown_and_refused(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    code = {"class_name": "__lambda__", "config": {"code": f"open({str(marker)!r}, 'w')", "defaults": None}}
    settings = {"name": "twice", "function": code}
    config = sequential(conv(), {"module": "keras.layers", "class_name": "Lambda", "config": settings})
    archive(tmp_path / "at_1.keras", config, weights_file({"conv2d": conv_arrays()}))
    run = registry.open_run(tmp_path)
    layers = {layer.name: layer for layer in run.layers()}
    assert "twice is a Lambda layer" in layers["twice"].problem
    assert "function" not in layers["twice"].hyperparameters
    assert layers["conv"].problem is None
    assert run.weights(run.checkpoints()[0])["conv/kernel"].shape == (3, 3, 1, 4)
    with pytest.raises(Refused, match=r"twice in at_1\.keras is a Lambda layer.*--trust"):
        run.keras_model()
    assert not marker.exists()


def test_a_lambda_layer_is_run_for_those_who_trust_it(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Lambda(lambda x: x * 3, output_shape=(2,), name="thrice")]
    )
    model.save(tmp_path / "at_1.keras")
    with pytest.raises(Refused, match="thrice"):
        registry.open_run(tmp_path).keras_model()
    trusted = registry.open_run(tmp_path, RunOptions(trust=True)).keras_model()
    assert np.asarray(trusted(np.ones((1, 2), np.float32))).tolist() == [[3, 3]]


def test_code_hidden_in_a_nested_model_is_refused(tmp_path: Path) -> None:
    inner = sequential({"module": "keras.layers", "class_name": "Lambda", "config": {"name": "hidden"}})
    inner["config"]["name"] = "inner"
    archive(tmp_path / "at_1.keras", sequential(conv(), inner), weights_file({"conv2d": conv_arrays()}))
    with pytest.raises(Refused, match="inner/hidden"):
        registry.open_run(tmp_path).keras_model()


def test_a_class_from_elsewhere_is_refused(tmp_path: Path) -> None:
    foreign = {"module": "os", "class_name": "system", "config": {"name": "odd"}, "registered_name": None}
    archive(tmp_path / "at_1.keras", sequential(conv(), foreign), weights_file({"conv2d": conv_arrays()}))
    run = registry.open_run(tmp_path)
    odd = run.layers()[-1]
    assert (odd.name, odd.kind, odd.output_shape) == ("odd", "system", None)
    with pytest.raises(Refused, match=r"odd in at_1\.keras needs os\.system"):
        run.keras_model()


def test_a_foreign_activation_is_refused(tmp_path: Path) -> None:
    activation = {"module": "subprocess", "class_name": "function", "config": "run", "registered_name": "run"}
    config = sequential(conv(activation=activation))
    archive(tmp_path / "at_1.keras", config, weights_file({"conv2d": conv_arrays()}))
    with pytest.raises(Refused, match="subprocess"):
        registry.open_run(tmp_path).keras_model()


# ---------- broken and mixed


def cut(path: Path, keep: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])


@pytest.mark.parametrize("kind", ["keras", "h5", "weights"])
@pytest.mark.parametrize("keep", [0, 0.0005, 0.5, 0.999])
def test_a_cut_off_checkpoint_is_marked_and_the_rest_works(saved: Any, kind: str, keep: float, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(saved.folders[kind], folder)
    broken = next(folder.glob("epoch_10.*"))
    cut(broken, keep)
    run = registry.open_run(folder)
    good, bad = run.checkpoints()
    assert good.problem is None
    assert bad.step == 10
    assert broken.name in bad.problem
    assert run.weights(good)
    with pytest.raises(Unreadable, match="epoch_10"):
        run.weights(bad)
    with pytest.raises(Unreadable, match="epoch_10"):
        registry.open_run(broken)


def test_damage_in_the_middle_is_found_when_it_is_read(saved: Any, tmp_path: Path) -> None:
    path = tmp_path / "epoch_1.h5"
    content = bytearray((saved.folders["h5"] / "epoch_9.h5").read_bytes())
    run = registry.open_run(_written(path, content))
    at = content.find(b"TREE", len(content) // 8)
    content[at : at + 4000] = bytes(4000)
    _written(path, content)
    outcomes = []
    for layer in run.layers():
        try:
            run.parameters(run.checkpoints()[0], layer)
        except Unreadable as error:
            outcomes.append(str(error))
    assert outcomes
    assert all("epoch_1.h5" in outcome for outcome in outcomes)


def _written(path: Path, content: bytes | bytearray) -> Path:
    path.write_bytes(content)
    return path


def test_a_file_that_vanishes_is_unreadable(tmp_path: Path) -> None:
    run = registry.open_run(small_run(tmp_path / "run"))
    checkpoint = run.checkpoints()[0]
    (tmp_path / "run" / checkpoint.name).unlink()
    with pytest.raises(Unreadable, match=r"at_1\.keras"):
        run.weights(checkpoint)
    with pytest.raises(Unreadable, match=r"at_1\.keras"):
        run.fingerprint(checkpoint)


def test_other_hdf5_files_are_not_runs(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "data_1.h5", "w") as file:
        file["images"] = np.zeros((3, 4, 4))
    with pytest.raises(Unreadable, match=r"data_1\.h5"):
        registry.open_run(tmp_path)


def test_nan_weights_are_given_as_they_are(tmp_path: Path) -> None:
    arrays = conv_arrays()
    arrays[0][0, 0, 0, :2] = [np.nan, np.inf]
    archive(tmp_path / "at_1.keras", sequential(conv()), weights_file({"conv2d": arrays}))
    run = registry.open_run(tmp_path)
    kernel = run.parameters(run.checkpoints()[0], run.layers()[1])["kernel"]
    assert kernel.tobytes() == arrays[0].tobytes()


def test_the_larger_group_of_two_architectures_is_the_run(tmp_path: Path) -> None:
    small_run(tmp_path, (1, 3, 4))
    other = sequential(conv("conv", 5))
    archive(tmp_path / "at_2.keras", other, weights_file({"conv2d": conv_arrays(5)}))
    run = registry.open_run(tmp_path)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [1, 2, 3, 4]
    odd = run.checkpoints()[1]
    assert "at_2.keras holds another network" in odd.problem
    assert [checkpoint.problem for checkpoint in run.checkpoints() if checkpoint is not odd] == [None] * 3
    assert run.layers()[1].parameters[0].shape == (3, 3, 1, 4)
    with pytest.raises(Unreadable, match=r"at_2\.keras"):
        run.weights(odd)


def test_networks_that_differ_in_activation_alone_are_told_apart(tmp_path: Path) -> None:
    small_run(tmp_path, (1, 2))
    other = sequential(conv(activation="tanh"))
    archive(tmp_path / "at_3.keras", other, weights_file({"conv2d": conv_arrays()}))
    assert "another network" in registry.open_run(tmp_path).checkpoints()[2].problem


def test_a_changed_learning_rate_or_a_frozen_layer_is_the_same_network(tmp_path: Path) -> None:
    small_run(tmp_path, (1, 2))
    config = sequential(conv(trainable=False)) | {"compile_config": {"optimizer": {"learning_rate": 1e-5}}}
    archive(tmp_path / "at_3.keras", config, weights_file({"conv2d": conv_arrays()}))
    assert [checkpoint.problem for checkpoint in registry.open_run(tmp_path).checkpoints()] == [None] * 3


def test_weights_of_two_architectures(tmp_path: Path) -> None:
    for step, filters in ((1, 4), (2, 5), (3, 4)):
        (tmp_path / f"at_{step}.weights.h5").write_bytes(weights_file({"conv2d": conv_arrays(filters)}))
    (tmp_path / "model.json").write_text(json.dumps(sequential(conv())))
    problems = [checkpoint.problem for checkpoint in registry.open_run(tmp_path).checkpoints()]
    assert problems[0] is None
    assert problems[2] is None
    assert "at_2.weights.h5 does not hold the run's network: conv/kernel has the shape" in problems[1]


def test_all_three_kinds_of_one_network_are_one_run(saved: Any, tmp_path: Path) -> None:
    for number, (kind, folder) in enumerate(saved.folders.items()):
        source = next(folder.glob("epoch_9.*"))
        shutil.copy(source, tmp_path / source.name.replace("epoch_9", f"at_{number}"))
        assert kind
    run = registry.open_run(tmp_path)
    assert [checkpoint.problem for checkpoint in run.checkpoints()] == [None] * 3
    first, *others = [run.weights(checkpoint) for checkpoint in run.checkpoints()]
    for other in others:
        assert all(np.array_equal(array, other[name]) for name, array in first.items())


# ---------- what the folder may say


def test_weights_alone_are_shown_without_a_graph(saved: Any, tmp_path: Path) -> None:
    shutil.copy(saved.folders["weights"] / "epoch_9.weights.h5", tmp_path)
    run = registry.open_run(tmp_path)
    layers = {layer.name: layer for layer in run.layers()}
    assert layers["inner/conv"].kind == "convolution"
    assert layers["inner/conv"].inputs == ()
    assert "holds weights alone" in run.problems()[0]
    with pytest.raises(Refused, match="architecture"):
        run.keras_model()


def test_architecture_from_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it returns is asked for its description in a process of its own; see test_building.py for a function of Keras."""
    (tmp_path / "at_1.weights.h5").write_bytes(weights_file({"conv2d": conv_arrays()}))
    (tmp_path / "my_networks.py").write_text(
        "class Network:\n"
        f"    def to_json(self): return {json.dumps(sequential(conv('named')))!r}\n"
        "def network(): return Network()\n"
        "def none(): raise SystemExit('no network today')\n"
    )
    monkeypatch.chdir(tmp_path)
    run = registry.open_run(tmp_path, RunOptions(architecture="my_networks:network"))
    assert [layer.name for layer in run.layers()][1:] == ["named"]
    assert np.array_equal(run.weights(run.checkpoints()[0])["named/kernel"], conv_arrays()[0])
    assert "my_networks" not in sys.modules
    with pytest.raises(Unreadable, match="no network today"):
        registry.open_run(tmp_path, RunOptions(architecture="my_networks:none"))


def test_architecture_from_a_named_file(saved: Any, tmp_path: Path) -> None:
    shutil.copy(saved.folders["weights"] / "epoch_9.weights.h5", tmp_path)
    archive_path = saved.folders["keras"] / "epoch_9.keras"
    run = registry.open_run(tmp_path, RunOptions(architecture=str(archive_path)))
    assert len(run.layers()) == len(registry.open_run(archive_path).layers())


def test_an_unnumbered_archive_beside_weights_is_their_architecture(saved: Any, tmp_path: Path) -> None:
    shutil.copy(saved.folders["weights"] / "epoch_9.weights.h5", tmp_path)
    shutil.copy(saved.folders["keras"] / "epoch_9.keras", tmp_path / "final.keras")
    run = registry.open_run(tmp_path)
    assert [checkpoint.name for checkpoint in run.checkpoints()] == ["epoch_9.weights.h5"]
    assert "inner/conv" in [layer.name for layer in run.layers()]


def test_files_without_a_place_in_time_are_named(tmp_path: Path) -> None:
    small_run(tmp_path, (1, 2))
    shutil.copy(tmp_path / "at_1.keras", tmp_path / "best.keras")
    shutil.copy(tmp_path / "at_1.keras", tmp_path / "other_1.keras")
    run = registry.open_run(tmp_path)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [1, 2]
    assert "best.keras stands beside the numbered checkpoints" in " ".join(run.problems())
    assert "other_1.keras has the same step, 1, as at_1.keras" in " ".join(run.problems())


def test_no_file_with_a_place_in_time(tmp_path: Path) -> None:
    small_run(tmp_path, (1,), "first.keras")
    small_run(tmp_path, (1,), "second.keras")
    with pytest.raises(Unreadable, match=r"checkpoints\.json"):
        registry.open_run(tmp_path)
    assert registry.open_run(tmp_path / "first.keras").checkpoints()[0].step == 0


def test_notes_beside_the_checkpoints(tmp_path: Path) -> None:
    small_run(tmp_path, (1, 2))
    (tmp_path / "checkpoints.json").write_text(
        json.dumps([{"file": "at_1.keras", "step": 700, "epoch": 0.5}, {"file": "at_2.keras", "epoch": 1}])
    )
    about = {"class_names": ["cat", "dog"], "preprocessing": {"scale": 0.5, "mean": [1, 2, 3]}}
    (tmp_path / "mloscope_run.json").write_text(json.dumps(about))
    run = registry.open_run(tmp_path)
    assert [(c.step, c.name, c.epoch) for c in run.checkpoints()] == [
        (2, "at_2.keras", 1.0),
        (700, "at_1.keras", 0.5),
    ]
    assert run.class_names == ("cat", "dog")
    assert run.preprocessing == Preprocessing(scale=0.5, mean=(1.0, 2.0, 3.0))
    named = Preprocessing(scale=2)
    assert registry.open_run(tmp_path, RunOptions(preprocessing=named)).preprocessing == run.preprocessing


@pytest.mark.parametrize("content", ["{", "3", '["x"]', '{"preprocessing": 3}', '{"class_names": 7}', "\xff"])
def test_nonsense_in_the_notes_is_told_and_ignored(tmp_path: Path, content: str) -> None:
    small_run(tmp_path, (1, 2))
    for name in ("checkpoints.json", "mloscope_run.json"):
        (tmp_path / name).write_text(content, encoding="latin1")
    run = registry.open_run(tmp_path)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == [1, 2]
    assert any(".json" in problem for problem in run.problems())


def test_caffes_files_are_left_to_caffe(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "net_iter_5000.caffemodel.h5", "w") as file:
        file["data/conv1/0"] = np.zeros((2, 2))
    assert not KerasRun.can_open(tmp_path)
    with pytest.raises(Unreadable, match="prototxt"):  # Caffe's own adaptor has taken it, and says what it lacks
        registry.open_run(tmp_path)


# ---------- long runs


def long_run(folder: Path, count: int) -> Path:
    small_run(folder, (0,))
    content = (folder / "at_0.keras").read_bytes()
    for step in range(count):
        (folder / f"at_{step}.keras").write_bytes(content)
    return folder


def test_a_thousand_checkpoints_open_and_list_without_a_thousand_openings(tmp_path: Path, opened: set[Path]) -> None:
    long_run(tmp_path, 1000)
    opened.clear()
    run = registry.open_run(tmp_path)
    assert [checkpoint.step for checkpoint in run.checkpoints()] == list(range(1000))
    assert run.layers()
    assert 0 < len({path for path in opened if path.parent == tmp_path}) < 100


@pytest.mark.parametrize("kind", ["activation", "damage"])
def test_what_was_not_seen_at_opening_is_seen_when_it_is_read(tmp_path: Path, kind: str) -> None:
    odd = long_run(tmp_path, 100) / "at_50.keras"
    size = odd.stat().st_size
    if kind == "activation":
        archive(odd, sequential(conv(activation="tanh")), weights_file({"conv2d": conv_arrays()}))
    else:
        odd.write_bytes(bytes(size))
    assert odd.stat().st_size == size
    run = registry.open_run(tmp_path)
    assert [checkpoint.problem for checkpoint in run.checkpoints()] == [None] * 100
    assert run.weights(run.checkpoints()[49])
    for _ in range(2):
        with pytest.raises(Unreadable, match=r"at_50\.keras"):
            run.weights(run.checkpoints()[50])
    assert run.weights(run.checkpoints()[51])


def test_where_a_size_does_not_tell_the_network_every_file_is_looked_at(tmp_path: Path) -> None:
    long_run(tmp_path, 100)
    for step in range(60, 90):
        archive(
            tmp_path / f"at_{step}.keras",
            sequential(conv(activation="tanh")),
            weights_file({"conv2d": conv_arrays()}),
        )
    checkpoints = registry.open_run(tmp_path).checkpoints()
    assert [c.step for c in checkpoints if c.problem and "another network" in c.problem] == list(range(60, 90))


def test_of_long_runs_of_weights_alone_those_of_another_shape_are_told_apart(tmp_path: Path) -> None:
    for step in range(100):
        (tmp_path / f"at_{step}.weights.h5").write_bytes(weights_file({"conv2d": conv_arrays(5 if step > 70 else 4)}))
    (tmp_path / "model.json").write_text(json.dumps(sequential(conv())))
    checkpoints = registry.open_run(tmp_path).checkpoints()
    assert [c.step for c in checkpoints if c.problem and "has the shape" in c.problem] == list(range(71, 100))


def test_checkpoints_know_their_run(tmp_path: Path) -> None:
    run = registry.open_run(small_run(tmp_path / "a"))
    checkpoint = dataclasses.replace(run.checkpoints()[0], problem="said otherwise")
    assert run.weights(checkpoint)


@pytest.mark.real_data
@pytest.mark.parametrize("size", [9, 13, 40, 63])
def test_a_file_shorter_than_its_own_head_is_unreadable(real_data: Path, size: int, tmp_path: Path) -> None:
    whole = real_data / "keras/resnet20_cifar10/cifar10_ResNet20v1_model.001.h5"
    (tmp_path / "epoch_1.h5").write_bytes(whole.read_bytes()[:size])
    with pytest.raises(Unreadable, match=r"epoch_1\.h5"):
        registry.open_run(tmp_path)


def test_a_group_that_leads_nowhere_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "epoch_1.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/dense/vars/0", data=np.ones((2, 3)))
        file["layers/dense_1"] = h5py.SoftLink("/nowhere")
    with pytest.raises(Unreadable, match=r"epoch_1\.weights\.h5"):
        registry.open_run(tmp_path)


def test_a_dataset_where_a_layers_group_should_be_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "epoch_1.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/dense", data=np.ones((2, 3)))
    with pytest.raises(Unreadable, match=r"epoch_1\.weights\.h5"):
        registry.open_run(tmp_path)


@pytest.mark.real_data
def test_an_archives_weights_that_point_beyond_every_file_are_unreadable(real_data: Path, tmp_path: Path) -> None:
    content = bytearray((real_data / "keras/single/cifar10_cnn_a.keras").read_bytes())
    head = content.index(b"\x89HDF\r\n\x1a\n")
    content[head + 64 : head + 72] = (2**63 - 1).to_bytes(8, "little")  # where the root group's header lies
    (tmp_path / "epoch_1.keras").write_bytes(content)
    with pytest.raises(Unreadable, match=r"epoch_1\.keras"):
        registry.open_run(tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize("before", [0, 512, 2048])
def test_a_file_that_leads_hdf5_to_a_drivers_block_is_refused(real_data: Path, tmp_path: Path, before: int) -> None:
    """HDF5 would make room for as many bytes as stand there: up to 4 GB, for a file of 100."""
    whole = real_data / "keras/resnet20_cifar10/cifar10_ResNet20v1_model.001.h5"
    content = bytearray(whole.read_bytes())
    content[48:56] = (2048).to_bytes(8, "little")
    (tmp_path / "epoch_1.h5").write_bytes(bytes(before) + content)
    said = pytest.raises(Refused, match=r"epoch_1\.h5 says that it is a piece of several HDF5 files")
    with said, keras_files.opened(tmp_path / "epoch_1.h5"):
        pass
    with pytest.raises(AdaptorError, match=r"epoch_1\.h5"):
        registry.open_run(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("strides", [float("inf"), 1]), ("strides", 0), ("kernel_size", "x"), ("filters", None), ("batch_shape", [None, 8, "x", 1.5])],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_costs_shapes_and_no_more(tmp_path: Path, key: str, value: Any) -> None:
    settings = {"name": "conv2d", "filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid"}
    image = {"name": "image", "batch_shape": [None, 8, 8, 1]}
    (image if key in image else settings)[key] = value
    layers = [{"class_name": "InputLayer", "config": image}, {"class_name": "Conv2D", "config": settings}]
    config = {"class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    (tmp_path / "model.json").write_text(json.dumps(config))
    with h5py.File(tmp_path / "epoch_1.weights.h5", "w") as file:
        file.create_dataset("layers/conv2d/vars/0", data=np.ones((3, 3, 1, 2), np.float32))
    try:
        run = registry.open_run(tmp_path)
    except Unreadable:
        return
    for layer in run.layers():
        assert layer.output_shape is None or all(size is None or isinstance(size, int) for size in layer.output_shape)


@pytest.mark.real_data
@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", [".keras", ".weights.h5"])
def test_a_text_without_a_length_does_not_hang(real_data: Path, tmp_path: Path, kind: str) -> None:
    """HDF5 1.14.6 goes round forever in the heap where the layers' names lie."""
    archive = real_data / "keras/single/cifar10_cnn_a.keras"
    content = bytearray(archive.read_bytes())
    if kind != ".keras":
        with zipfile.ZipFile(archive) as members:
            content = bytearray(members.read("model.weights.h5"))
    length = content.index(b"adam\0\0\0\0", content.index(b"GCOL")) - 8
    content[length] = 132
    (tmp_path / f"epoch_1{kind}").write_bytes(content)

    def read_all() -> None:
        run = registry.open_run(tmp_path)
        for layer in run.layers():
            run.parameters(run.checkpoints()[0], layer)

    with pytest.raises(Unreadable, match=r"epoch_1.*the lengths of its texts are damaged"):
        read_all()
