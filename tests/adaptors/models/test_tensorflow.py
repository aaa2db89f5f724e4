"""TensorFlow runs: the conformance suite over every kind of checkpoint, the accuracies their authors
measured, and what bad files get."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import RunConformance
from mloscope.adaptors.interface import DeclaresOutputs, EvaluableRun, NothingFits, RunOptions, Unreadable
from mloscope.adaptors.models.tensorflow import TensorFlowRun
from mloscope.adaptors.readers.tensorflow.tensor_bundle import INDEX

STEPS = (9, 10)


@pytest.fixture(scope="session")
def tensorflow(keras: Any) -> Any:
    return pytest.importorskip("tensorflow")


@pytest.fixture(scope="session")
def checkpoints(tensorflow: Any, saved: Any, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The network of ``saved`` as checkpoints of objects and as SavedModels, and one of names with Adam."""
    tf, model, root = tensorflow, saved.model, tmp_path_factory.mktemp("tensorflow")
    before = model.get_weights()
    for step in STEPS:
        model.set_weights(saved.weights[step])
        tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(root / f"objects/ckpt-{step}"))
        tf.saved_model.save(model, str(root / f"saved_models/epoch_{step}"))
    model.set_weights(before)
    (root / "with_architecture").mkdir()
    for path in (root / "objects").iterdir():
        shutil.copy(path, root / "with_architecture")
    (root / "with_architecture/model.json").write_text(model.to_json())
    _save_names(tf, root / "names")
    return {folder.name: folder for folder in root.iterdir()}


def _save_names(tf: Any, folder: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        value = tf.zeros((2, 8, 8, 3))
        for name, units in (("net/conv2", 4), ("net/conv10", 5)):
            with tf.compat.v1.variable_scope(name):
                channels = value.shape[-1]
                kernel = tf.compat.v1.get_variable("weights", (3, 3, channels, units))
                value = tf.nn.conv2d(value, kernel, 1, "SAME") + tf.compat.v1.get_variable("biases", (units,))
        with tf.compat.v1.variable_scope("net/fc"):
            flat = tf.reshape(value, (2, -1))
            value = flat @ tf.compat.v1.get_variable("weights", (flat.shape[-1], 2))
        counter = tf.compat.v1.train.get_or_create_global_step()
        loss = tf.reduce_sum(value)
        tf.compat.v1.train.AdamOptimizer().minimize(loss, counter)
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver()
        for step in STEPS:
            saver.save(session, str(folder / "model.ckpt"), step, write_meta_graph=False)


# ---------- conformance


class TestCheckpointsOfObjects(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, checkpoints: Mapping[str, Path]) -> Path:
        return checkpoints["objects"]


class TestCheckpointsWithArchitectureBeside(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, checkpoints: Mapping[str, Path]) -> Path:
        return checkpoints["with_architecture"]


class TestSavedModels(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, checkpoints: Mapping[str, Path]) -> Path:
        return checkpoints["saved_models"]


class TestOneSavedModel(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, checkpoints: Mapping[str, Path]) -> Path:
        return checkpoints["saved_models"] / "epoch_9"


class TestCheckpointsOfNames(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, checkpoints: Mapping[str, Path]) -> Path:
        return checkpoints["names"]


class TestOneIndex(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, checkpoints: Mapping[str, Path], tmp_path: Path) -> Path:
        for path in checkpoints["objects"].glob("ckpt-9.*"):
            shutil.copy(path, tmp_path)
        return tmp_path / f"ckpt-9{INDEX}"

    def test_fingerprints_follow_the_files(self, run: Any, path: Path, tmp_path: Path) -> None:
        before = run.fingerprint(run.checkpoints()[0])
        path.write_bytes(path.read_bytes() + b"\0")  # the suite would copy the index without its data
        assert run.fingerprint(run.checkpoints()[0]) != before


@pytest.mark.real_data
class TestRealCheckpointsOfObjects(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, real_data: Path) -> Path:
        return real_data / "tensorflow/mnist_cnn_tf2"


@pytest.mark.real_data
class TestRealCheckpointsOfNames(RunConformance):
    adaptor = TensorFlowRun

    @pytest.fixture
    def path(self, real_data: Path) -> Path:
        return real_data / "tensorflow/pnet_tf1"


# ---------- layers and slots


def _names(run: Any, layer: str) -> list[str]:
    return next([p.name for p in each.parameters] for each in run.layers() if each.name == layer)


def test_steps_come_from_prefixes_and_folders(checkpoints: Mapping[str, Path]) -> None:
    for folder in ("objects", "names", "saved_models"):
        run = TensorFlowRun.open(checkpoints[folder], RunOptions())
        assert [checkpoint.step for checkpoint in run.checkpoints()] == list(STEPS)
    assert run.checkpoints()[0].name == "epoch_9/variables/variables.index"


def test_layers_by_name_alone_are_in_a_plausible_order(checkpoints: Mapping[str, Path]) -> None:
    run = TensorFlowRun.open(checkpoints["names"], RunOptions())
    assert [(layer.name, layer.kind) for layer in run.layers()] == [
        ("conv2", "convolution"),
        ("conv10", "convolution"),
        ("fc", "dense"),
    ]
    assert not isinstance(run, EvaluableRun)
    assert "module:function" in run.problems()[0]


def test_optimizer_slots_are_shown_and_not_counted(checkpoints: Mapping[str, Path]) -> None:
    run = TensorFlowRun.open(checkpoints["names"], RunOptions())
    layer = run.layers()[0]
    assert [(parameter.name, parameter.slot) for parameter in layer.parameters] == [
        ("weights", ""),
        ("biases", ""),
        ("weights momentum", "momentum"),
        ("biases momentum", "momentum"),
        ("weights velocity", "velocity"),
        ("biases velocity", "velocity"),
    ]
    assert layer.parameter_count == 3 * 3 * 3 * 4 + 4
    assert layer.parameters[2].axes == layer.parameters[0].axes


def test_the_layers_of_saved_objects_have_the_names_their_makers_gave(
    checkpoints: Mapping[str, Path],
) -> None:
    run = TensorFlowRun.open(checkpoints["objects"], RunOptions())
    names = {layer.name: layer for layer in run.layers()}
    assert names["separable"].kind == "separable convolution"
    assert names["scaled"].kind == "normalisation"
    slots = ["kernel momentum", "bias momentum", "kernel velocity", "bias velocity"]
    assert _names(run, "transposed") == ["kernel", "bias", *slots]
    assert not any("iteration" in parameter for layer in names for parameter in _names(run, layer))


def test_with_an_architecture_the_graph_is_that_of_keras(checkpoints: Mapping[str, Path], saved: Any) -> None:
    from mloscope.adaptors.models.keras import KerasRun

    run = TensorFlowRun.open(checkpoints["with_architecture"], RunOptions())
    same = KerasRun.open(saved.folders["weights"], RunOptions())
    assert isinstance(run, EvaluableRun)
    assert isinstance(run, DeclaresOutputs)
    assert run.outputs() == ("out",)
    assert run.input_shape == (16, 16, 3)
    for ours, theirs in zip(run.layers(), same.layers(), strict=True):
        assert (ours.name, ours.kind, ours.inputs, ours.output_shape) == (
            theirs.name,
            theirs.kind,
            theirs.inputs,
            theirs.output_shape,
        )
        assert [p.name for p in ours.parameters if not p.slot] == [p.name for p in theirs.parameters]
    for step, (checkpoint, other) in enumerate(zip(run.checkpoints(), same.checkpoints(), strict=True)):
        weights, expected = run.weights(checkpoint), same.weights(other)
        assert weights.keys() == expected.keys(), step
        for name, array in weights.items():
            assert array.tobytes() == expected[name].tobytes(), name


@pytest.mark.real_data
def test_a_tensorflow_1_run_loads_with_its_graph_and_slots_apart(real_data: Path) -> None:
    run = TensorFlowRun.open(real_data / "tensorflow/pnet_tf1", RunOptions())
    assert [checkpoint.step for checkpoint in run.checkpoints()] == list(range(2, 31, 2))
    layers = [layer.name for layer in run.layers() if layer.parameters]
    assert [name for name in layers if "prelu" not in name] == [
        "conv1", "conv2", "conv3", "conv4_1", "conv4_2", "conv4_3"
    ]  # fmt: skip
    assert _names(run, "conv1") == ["weights", "biases", "weights momentum", "biases momentum"]
    assert _names(run, "conv1/prelu") == ["slope", "slope momentum"]
    assert run.layers()[1].parameter_count == 3 * 3 * 3 * 10 + 10


@pytest.mark.real_data
def test_without_the_graph_variables_stay_where_their_names_put_them(real_data: Path, tmp_path: Path) -> None:
    for path in (real_data / "tensorflow/pnet_tf1").glob("PNet-1*.[id]*"):
        shutil.copy(path, tmp_path)
    run = TensorFlowRun.open(tmp_path, RunOptions())
    assert [layer.name for layer in run.layers()] == ["conv1", "conv2", "conv3", "conv4_1", "conv4_2", "conv4_3"]
    slots = ["weights momentum", "biases momentum", "alphas momentum"]
    assert _names(run, "conv1") == ["weights", "biases", "alphas", *slots]
    assert run.layers()[0].parameter_count == 3 * 3 * 3 * 10 + 10 + 10


def test_a_saved_model_of_keras_2_brings_its_architecture(
    checkpoints: Mapping[str, Path], saved: Any, tmp_path: Path
) -> None:
    """Written by hand after ``saved_metadata.proto``: today's Keras writes none. Real ones of tf_keras were
    tried too."""
    folder = tmp_path / "epoch_9"
    shutil.copytree(checkpoints["saved_models"] / "epoch_9", folder)
    config = {"class_name": "Functional", "config": json.loads(saved.model.to_json())["config"]}
    config["config"]["layers"][0]["config"]["batch_shape"] = {
        "class_name": "__tuple__",
        "items": [None, 16, 16, 3],
    }
    (folder / "keras_metadata.pb").write_bytes(
        _bytes_field(1, _bytes_field(3, b"root") + _bytes_field(5, json.dumps(config).encode()))
    )
    run = TensorFlowRun.open(folder, RunOptions())
    assert isinstance(run, EvaluableRun)
    assert run.input_shape == (16, 16, 3)


@pytest.mark.parametrize("listed", [True, False])
def test_a_saved_model_of_tensorflow_2_0_has_it_within(
    checkpoints: Mapping[str, Path], saved: Any, tmp_path: Path, listed: bool
) -> None:
    """Before TensorFlow 2.5 the configuration stood within ``saved_model.pb``, beside the first object."""
    folder = tmp_path / "epoch_9"
    shutil.copytree(checkpoints["saved_models"] / "epoch_9", folder)
    config = json.loads(saved.model.to_json())["config"]
    metadata = {"class_name": "Model", "keras_version": "2.2.4-tf"}
    metadata |= {"model_config": {"class_name": "Model", "config": config}} if listed else {"config": config}
    described = _bytes_field(1, b"_tf_keras_model") + _bytes_field(3, json.dumps(metadata).encode())
    objects = _bytes_field(1, _bytes_field(4, described))
    (folder / "saved_model.pb").write_bytes(_bytes_field(2, _bytes_field(7, objects)))
    run = TensorFlowRun.open(folder, RunOptions())
    assert isinstance(run, DeclaresOutputs)
    assert run.outputs() == ("out",)


def test_a_damaged_saved_model_costs_the_graph_alone(checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "epoch_9"
    shutil.copytree(checkpoints["saved_models"] / "epoch_9", folder)
    (folder / "saved_model.pb").write_bytes(b"\x12\xff\xff\x03cut")
    run = TensorFlowRun.open(folder, RunOptions())
    assert any("saved_model.pb" in sentence for sentence in run.problems())


def test_cells_and_wrapped_layers_belong_to_the_layer_around_them(tensorflow: Any, keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((4, 6)),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both"),
            layers.GRU(2, name="gru"),
            layers.Dense(2, name="end"),
        ]
    )
    tensorflow.train.Checkpoint(model=model).write(str(tmp_path / "ckpt-1"))
    (tmp_path / "model.json").write_text(model.to_json())
    run = TensorFlowRun.open(tmp_path, RunOptions())
    assert isinstance(run, EvaluableRun)
    weights = run.weights(run.checkpoints()[0])
    cell = model.get_layer("gru").cell
    for variable in cell.weights:
        assert np.array_equal(weights[f"gru/{variable.name}"], np.asarray(variable))
    assert len([name for name in weights if name.startswith("both/")]) == 6


def _bytes_field(number: int, data: bytes) -> bytes:
    length, size = bytearray(), len(data)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + data


# ---------- evaluation


ACCURACIES = [0.9752, 0.9847, 0.9878, 0.9871, 0.9885, 0.9916, 0.9914, 0.9902, 0.9924, 0.9923]
ACCURACIES += [0.9933, 0.9929, 0.9934, 0.9933, 0.9932]


@pytest.fixture(scope="module")
def architecture(keras: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The network of ORIGIN.md, in a file."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu", name="conv2d"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu", name="conv2d_2"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax", name="dense"),
        ]
    )
    path = tmp_path_factory.mktemp("architecture") / "model.json"
    path.write_text(model.to_json())
    return str(path)


@pytest.fixture(scope="session")
def digits(real_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """The official test images, float32 (image, row, column, 1) in 0..1, and their labels."""
    folder = real_data / "mnist_idx"
    images = gzip.decompress(next(folder.glob("t10k-images*")).read_bytes())
    labels = gzip.decompress(next(folder.glob("t10k-labels*")).read_bytes())
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    return pixels.astype(np.float32) / 255, np.frombuffer(labels, np.uint8, offset=8)


def _assign(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(weights[f"{layer.name}/{variable.name}"])


@pytest.mark.real_data
@pytest.mark.slow
def test_every_checkpoint_has_the_accuracy_of_origin(
    real_data: Path, keras: Any, digits: tuple[np.ndarray, np.ndarray], architecture: str
) -> None:
    run = TensorFlowRun.open(real_data / "tensorflow/mnist_cnn_tf2", RunOptions(architecture=architecture))
    model = run.keras_model()
    images, labels = digits
    measured = []
    for checkpoint in run.checkpoints():
        _assign(model, run.weights(checkpoint))
        predicted = model.predict(images, batch_size=1000, verbose=0).argmax(1)
        measured.append(round(float((predicted == labels).mean()), 4))
    assert measured == ACCURACIES


@pytest.mark.real_data
def test_two_checkpoints_predict_what_tensorflow_itself_makes_of_them(
    real_data: Path,
    tensorflow: Any,
    digits: tuple[np.ndarray, np.ndarray],
    architecture: str,
) -> None:
    folder = real_data / "tensorflow/mnist_cnn_tf2"
    run = TensorFlowRun.open(folder, RunOptions(architecture=architecture))
    model = run.keras_model()
    images = digits[0][:1000]
    for checkpoint in (run.checkpoints()[0], run.checkpoints()[-1]):
        reader = tensorflow.train.load_checkpoint(str(folder / checkpoint.name.removesuffix(INDEX)))
        keys = [
            f"layer_with_weights-{number}/{name}/.ATTRIBUTES/VARIABLE_VALUE"
            for number in range(4)
            for name in ("kernel", "bias")
        ]
        model.set_weights([reader.get_tensor(key) for key in keys])
        expected = model.predict(images, batch_size=500, verbose=0)
        model.set_weights([np.zeros_like(array) for array in model.get_weights()])
        _assign(model, run.weights(checkpoint))
        assert np.array_equal(model.predict(images, batch_size=500, verbose=0), expected)


@pytest.mark.real_data
def test_another_network_is_refused_with_the_layer_that_does_not_fit(
    real_data: Path, keras: Any, tmp_path: Path
) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10, name="dense")])
    other = tmp_path / "model.json"
    other.write_text(model.to_json())
    with pytest.raises(Unreadable, match=r"dense/kernel has the shape \(784, 10\) there and \(576, 10\) here"):
        TensorFlowRun.open(real_data / "tensorflow/mnist_cnn_tf2", RunOptions(architecture=str(other)))


def test_an_architecture_beside_that_does_not_fit_costs_the_graph_only(
    checkpoints: Mapping[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(checkpoints["with_architecture"], folder)
    text = (folder / "model.json").read_text().replace('"filters": 5', '"filters": 6')
    (folder / "model.json").write_text(text)
    run = TensorFlowRun.open(folder, RunOptions())
    assert not isinstance(run, EvaluableRun)
    assert "transposed/kernel has the shape (3, 3, 6, 12) there and (3, 3, 5, 12) here" in " ".join(run.problems())
    assert len(run.parameters(run.checkpoints()[0], run.layers()[0])) > 0


# ---------- bad files


@pytest.fixture
def copied(checkpoints: Mapping[str, Path], tmp_path: Path) -> Path:
    folder = tmp_path / "objects"
    shutil.copytree(checkpoints["objects"], folder)
    return folder


def test_a_data_file_cut_off_is_said_at_opening(copied: Path) -> None:
    path = copied / "ckpt-9.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:1000])
    run = TensorFlowRun.open(copied, RunOptions())
    assert "is cut off: it should have" in str(run.checkpoints()[0].problem)
    assert run.checkpoints()[1].problem is None
    with pytest.raises(Unreadable, match="cut off"):
        run.parameters(run.checkpoints()[0], run.layers()[0])


def test_an_index_cut_off_is_said_at_opening(copied: Path) -> None:
    path = copied / f"ckpt-10{INDEX}"
    path.write_bytes(path.read_bytes()[:-100])
    run = TensorFlowRun.open(copied, RunOptions())
    assert "is not the index of a TensorFlow checkpoint, or it is cut off" in str(run.checkpoints()[1].problem)


def test_where_nothing_can_be_read_opening_fails(copied: Path) -> None:
    for path in copied.glob(f"*{INDEX}"):
        path.write_bytes(b"nothing")
    with pytest.raises(Unreadable, match="None of the 2 checkpoints"):
        TensorFlowRun.open(copied, RunOptions())


def test_another_network_in_the_folder_is_marked(copied: Path, checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    for path in checkpoints["names"].glob("model.ckpt-10.*"):
        shutil.copy(path, copied / path.name.replace("ckpt-10", "ckpt-11"))
    run = TensorFlowRun.open(copied, RunOptions())
    assert "another network" in str(run.checkpoints()[2].problem)


def test_the_latest_checkpoint_missing_is_said(copied: Path) -> None:
    (copied / "checkpoint").write_text('model_checkpoint_path: "/somewhere/else/ckpt-11"\n')
    assert "calls ckpt-11 the latest" in " ".join(TensorFlowRun.open(copied, RunOptions()).problems())
    (copied / "checkpoint").write_text('model_checkpoint_path: "ckpt-10"\n')
    assert "calls" not in " ".join(TensorFlowRun.open(copied, RunOptions()).problems())


def test_indices_without_data_are_known_for_what_they_are(tmp_path: Path, copied: Path) -> None:
    for path in copied.glob("*.data-*"):
        path.unlink()
    assert TensorFlowRun.can_open(copied)
    with pytest.raises(Unreadable, match=r"needs ckpt-\d+\.data-00000-of-00001, which is not there"):
        TensorFlowRun.open(copied, RunOptions())


def test_a_thousand_checkpoints_open_without_reading_a_thousand(copied: Path, opened: set[Path]) -> None:
    index = (copied / f"ckpt-9{INDEX}").read_bytes()
    data = copied / "ckpt-9.data-00000-of-00001"
    folder = copied.parent / "many"
    folder.mkdir()
    for step in range(1000):
        (folder / f"ckpt-{step}{INDEX}").write_bytes(index)
        (folder / f"ckpt-{step}.data-00000-of-00001").hardlink_to(data)
    opened.clear()
    run = registry.open_run(folder)
    assert len(run.checkpoints()) == 1000
    assert len({path for path in opened if path.parent == folder}) < 100


def test_the_registry_finds_it(checkpoints: Mapping[str, Path], tmp_path: Path) -> None:
    assert registry.open_run(checkpoints["saved_models"]).format == "tensorflow"
    (tmp_path / f"x{INDEX}").write_bytes(b"no checkpoint")
    with pytest.raises(NothingFits):
        registry.open_run(tmp_path / f"x{INDEX}")
