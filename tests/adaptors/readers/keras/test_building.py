"""Networks of every age are built as the Keras that wrote them meant them, and what cannot be built is said with its
cause."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mloscope.adaptors.interface import Refused, RunOptions, Unreadable
from mloscope.adaptors.models.keras import KerasRun
from mloscope.adaptors.readers.keras.architecture import nodes_of
from mloscope.adaptors.readers.keras.building import build_model, cause_of
from mloscope.adaptors.readers.keras.files import plain_lists

IMAGE = {"class_name": "InputLayer", "name": "image", "inbound_nodes": [],
         "config": {"name": "image", "batch_input_shape": [None, 4, 4, 3], "dtype": "float32"}}  # fmt: skip


def chain(*layers: Mapping[str, Any], version: str | None = "2.4.3", listed: bool = False) -> dict[str, Any]:
    """A Sequential as Keras 2 writes it; before 2.2.3 its configuration was a list."""
    entries = [dict(layer) for layer in layers]
    entries[0]["config"] = {**entries[0]["config"], "batch_input_shape": [None, 4, 4, 3]}
    return {
        "class_name": "Sequential",
        "config": entries if listed else {"name": "net", "layers": entries},
        "keras_version": version,
    }


def layer(class_name: str, name: str = "", **config: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name or class_name.lower(), "trainable": True, **config}}


def functional(*layers: Mapping[str, Any], output: str) -> dict[str, Any]:
    config = {"name": "net", "layers": [IMAGE, *layers], "input_layers": [["image", 0, 0]],
              "output_layers": [[output, 0, 0]]}  # fmt: skip
    return {"class_name": "Functional", "config": config, "keras_version": "2.9.0"}


def operator(function: str, node: Any, name: str = "op") -> dict[str, Any]:
    class_name = "SlicingOpLambda" if "getitem" in function else "TFOpLambda"
    config = {"name": name, "trainable": True, "dtype": "float32", "function": function}
    return {"class_name": class_name, "name": name, "config": config, "inbound_nodes": [node]}


def computed(config: Mapping[str, Any], pixels: np.ndarray | None = None) -> np.ndarray:
    pixels = np.arange(-24, 24, dtype=np.float32).reshape(1, 4, 4, 3) / 4 if pixels is None else pixels
    return np.asarray(build_model(config, "run", None, False)(pixels))


PIXELS = np.arange(-24, 24, dtype=np.float32).reshape(1, 4, 4, 3) / 4


# ---------- Keras 2


@pytest.mark.parametrize("alpha", [0.125, {"type": "ndarray", "value": 0.125}])
def test_the_slope_of_a_leaky_relu_is_the_files(keras: Any, alpha: Any) -> None:
    found = computed(chain(layer("LeakyReLU", alpha=alpha)))
    np.testing.assert_allclose(found, np.where(PIXELS > 0, PIXELS, PIXELS * 0.125))


def test_a_threshold_is_kept(keras: Any) -> None:
    found = computed(chain(layer("ThresholdedReLU", theta=1.5)))
    assert np.array_equal(found, np.where(PIXELS > 1.5, PIXELS, 0))


@pytest.mark.parametrize("version", ["1.2.2", "2.2.4-tf", "2.15.0"])
def test_hard_sigmoid_is_that_of_the_keras_that_wrote_it(keras: Any, version: str) -> None:
    found = computed(chain(layer("Activation", activation="hard_sigmoid"), version=version))
    np.testing.assert_allclose(found, np.clip(0.2 * PIXELS + 0.5, 0, 1), rtol=1e-6)


def test_hard_sigmoid_of_a_keras_3_file_is_that_of_keras_3(keras: Any) -> None:
    config = chain(layer("Activation", activation="hard_sigmoid"), version="3.4.0")
    found = computed(config)
    np.testing.assert_allclose(found, np.clip(PIXELS / 6 + 0.5, 0, 1), rtol=1e-5, atol=1e-6)


def test_hard_sigmoid_within_a_wrapped_cell_too(keras: Any) -> None:
    cell = layer("LSTM", "cell", units=2, recurrent_activation="hard_sigmoid", return_sequences=False)
    config = chain(layer("Reshape", target_shape=[4, 12]), layer("Bidirectional", "both", layer=cell))
    model = build_model(config, "run", None, False)
    inner = model.get_layer("both").forward_layer.cell.recurrent_activation
    assert float(inner(np.float32(1))) == pytest.approx(0.7)


def test_a_gru_older_than_the_choice_resets_before(keras: Any) -> None:
    old = build_model(chain(layer("Reshape", target_shape=[4, 12]), layer("GRU", "gru", units=2)), "run", None, False)
    assert old.get_layer("gru").cell.bias.shape == (6,)


@pytest.mark.parametrize("listed", [True, False])
def test_a_sequential_may_be_a_list(keras: Any, listed: bool) -> None:
    config = chain(layer("Flatten"), layer("Dense", "end", units=2, activation="softmax"), listed=listed)
    assert computed(config).shape == (1, 2)


def test_a_setting_that_matters_and_is_not_known_is_refused_by_name(keras: Any) -> None:
    with pytest.raises(Unreadable, match=r"(?s)cell.*time_major"):
        computed(chain(layer("Reshape", target_shape=[4, 12]), layer("LSTM", "cell", units=2, time_major=True)))
    assert computed(chain(layer("ReLU", max_value=None, some_switch=False))).shape == PIXELS.shape


def test_a_class_that_keras_does_not_have_is_named(keras: Any) -> None:
    with pytest.raises(Unreadable, match=r"(?s)local.*LocallyConnected2D.*custom-objects"):
        computed(chain(layer("LocallyConnected2D", "local", filters=2, kernel_size=[2, 2])))


def test_names_with_a_slash_stay(keras: Any) -> None:
    first = {**layer("ReLU", "block/relu"), "name": "block/relu", "inbound_nodes": [[["image", 0, 0, {}]]]}
    second = {**layer("Flatten", "end/flat"), "name": "end/flat", "inbound_nodes": [[["block/relu", 0, 0, {}]]]}
    model = build_model(functional(first, second, output="end/flat"), "run", None, False)
    assert [each.name for each in model.layers] == ["image", "block/relu", "end/flat"]
    assert np.array_equal(np.asarray(model(PIXELS)), np.maximum(PIXELS, 0).reshape(1, -1))


# ---------- operators


@pytest.mark.parametrize(
    ("function", "node", "expected"),
    [
        ("math.truediv", ["image", 0, 0, {"y": 2.0, "name": None}], PIXELS / 2),
        ("math.subtract", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["image", 0, 0], "name": None}], 1 - PIXELS),
        ("__operators__.add", ["image", 0, 0, {"y": ["image", 0, 0], "name": None}], PIXELS * 2),
        ("nn.relu6", ["image", 0, 0, {}], np.clip(PIXELS, 0, 6)),
        ("nn.bias_add", ["image", 0, 0, {"bias": [1.0, 2.0, 3.0], "data_format": "NHWC"}], PIXELS + np.array([1, 2, 3])),
        ("clip_by_value", ["image", 0, 0, {"clip_value_min": -1, "clip_value_max": 2}], np.clip(PIXELS, -1, 2)),
        (
            "__operators__.getitem",
            ["image", 0, 0, {"slice_spec": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]}],
            PIXELS[..., ::-1],
        ),
        (
            "__operators__.getitem",
            ["image", 0, 0, {"slice_spec": {"class_name": "__tuple__", "items": [
                {"start": None, "stop": None, "step": None}, {"start": 1, "stop": 3, "step": None}]}}],
            PIXELS[:, 1:3],
        ),
        (
            "concat",
            [["image", 0, 0, {"axis": -1, "name": "concat"}], ["image", 0, 0, {"axis": -1, "name": "concat"}]],
            np.concatenate([PIXELS, PIXELS], axis=-1),
        ),
        ("math.reduce_mean", ["image", 0, 0, {"axis": [1, 2], "keepdims": True}], PIXELS.mean((1, 2), keepdims=True)),
    ],
)  # fmt: skip
def test_operators_compute_what_tensorflow_does(keras: Any, function: str, node: Any, expected: np.ndarray) -> None:
    config = functional(operator(function, node), output="op")
    found = computed(config)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    run_layer = nodes(config)[-1].layer(None)
    assert run_layer.problem is None
    assert run_layer.output_shape in (None, found.shape[1:])
    assert function == "math.reduce_mean" or run_layer.output_shape is not None


def nodes(config: Mapping[str, Any]) -> list[Any]:
    return nodes_of(plain_lists(config))


@pytest.mark.parametrize("function", ["io.read_file", "py_function", "__operators__.getattr", "sysconfig.get_lib"])
def test_an_operator_that_is_not_translated_is_named_and_never_called(keras: Any, function: str) -> None:
    config = functional(operator(function, ["image", 0, 0, {}], name="odd"), output="odd")
    with pytest.raises(Unreadable, match="odd"):
        computed(config)
    assert function in (nodes(config)[-1].layer(None).problem or "")


# ---------- causes


def test_the_cause_is_the_last_line_and_no_configuration() -> None:
    error = TypeError("Something went wrong.\n\nconfig={'a': 1}.\n\nException encountered: Conv2D does not know x")
    assert cause_of(error) == "Conv2D does not know x"
    assert cause_of(ValueError("No. Full object config: {'a': 1}")) == "No."
    assert cause_of(KeyError()) == "KeyError"


def test_the_arguments_of_a_call_are_no_cause() -> None:
    said = (
        "Exception encountered when calling Lambda.call().\n\n\x1b[1mname 'mean' is not defined\x1b[0m\n\n"
        "Arguments received by Lambda.call():\n  \u2022 args=('<KerasTensor>',)\n  \u2022 kwargs={'mask': 'None'}"
    )
    assert cause_of(ValueError(said)) == "name 'mean' is not defined"


def test_a_file_of_a_later_keras_says_what_is_not_known(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 3, name="conv")])
    config = json.loads(model.to_json())
    config["config"]["layers"][1]["config"]["sharding_of_tomorrow"] = 3
    model.save(tmp_path / "epoch_1.keras")
    rewritten(tmp_path / "epoch_1.keras", config, {"keras_version": "3.98.0"})
    with pytest.raises(Unreadable, match=r"3\.98\.0.*sharding_of_tomorrow"):
        KerasRun.open(tmp_path, RunOptions()).keras_model()


def rewritten(path: Path, config: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= {"config.json": json.dumps(config).encode(), "metadata.json": json.dumps(about).encode()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


# ---------- the user's own classes

MODULE = """
import keras

@keras.saving.register_keras_serializable("lab")
class Scale(keras.layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(name="gain", shape=(shape[-1],), initializer="ones")
    def call(self, x):
        return x * self.gain

@keras.saving.register_keras_serializable("lab")
def swishy(x):
    return x * keras.ops.sigmoid(2 * x)

@keras.saving.register_keras_serializable("lab")
class Small(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None):
        return keras.ops.ones(shape, dtype) / 8
    def get_config(self):
        return {}

def build():
    return keras.Sequential([keras.Input((4, 4, 3)),
        keras.layers.Conv2D(2, 3, activation=swishy, kernel_initializer=Small(), name="conv"), Scale(name="scale")])
"""


@pytest.fixture
def lab(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The user's module, in the current folder; what importing it registers is forgotten in the end."""
    import importlib
    import sys

    (tmp_path / "lab_layers.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    known = dict(keras.saving.get_custom_objects())
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("lab_layers")
    sys.modules.pop("lab_layers", None)
    keras.saving.get_custom_objects().clear()
    keras.saving.get_custom_objects().update(known)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_classes_of_ones_own_are_those_of_the_module_that_is_named(lab: Any, keras: Any, suffix: str) -> None:
    run_folder = Path("run")
    run_folder.mkdir()
    model = lab.build()
    model.save(run_folder / f"epoch_1{suffix}")
    keras.saving.get_custom_objects().clear()
    with pytest.raises(Refused, match="custom-objects"):
        KerasRun.open(run_folder, RunOptions()).keras_model()
    run = KerasRun.open(run_folder, RunOptions(custom_objects="lab_layers"))
    keras.saving.get_custom_objects().update({"lab>Scale": lab.Scale, "lab>swishy": lab.swishy, "lab>Small": lab.Small})
    built = run.keras_model()
    assert type(built.get_layer("scale")).__name__ == "Scale"
    built.set_weights(model.get_weights())
    np.testing.assert_allclose(np.asarray(built(PIXELS)), np.asarray(model(PIXELS)), rtol=1e-6)


@pytest.mark.parametrize("suffix", [".keras", pytest.param(".h5", marks=pytest.mark.slow)])
def test_a_function_that_is_named_builds_the_network_that_files_describe_too(lab: Any, keras: Any, suffix: str) -> None:
    run_folder = Path("run")
    run_folder.mkdir()
    model = lab.build()
    model.save(run_folder / f"epoch_1{suffix}")
    run = KerasRun.open(run_folder, RunOptions(architecture="lab_layers:build"))
    assert run.checkpoints()[0].problem is None
    built = run.keras_model()
    assert type(built.get_layer("scale")).__name__ == "Scale"
    built.get_layer("conv").kernel.assign(run.weights(run.checkpoints()[0])["conv/kernel"])
    assert np.array_equal(np.asarray(built.get_layer("conv").kernel), np.asarray(model.get_layer("conv").kernel))


def test_an_initializer_of_ones_own_is_not_needed(lab: Any, keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(2, 3, kernel_initializer=lab.Small(), name="conv")])
    model.save("epoch_1.keras")
    keras.saving.get_custom_objects().clear()
    assert KerasRun.open(Path("epoch_1.keras"), RunOptions()).keras_model().get_layer("conv").filters == 2


def test_a_module_that_a_file_names_is_never_imported(
    keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    (tmp_path / "mine.py").write_text("def nothing(): pass")
    monkeypatch.syspath_prepend(str(tmp_path))
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.ReLU(name="odd")])
    config = json.loads(model.to_json())
    config["config"]["layers"][1] |= {"module": "trap", "class_name": "Layer", "registered_name": "trap>Layer"}
    for custom in (None, "mine"):
        with pytest.raises(Refused, match="odd"):
            build_model(config, "run", None, False, custom)


def test_a_module_that_cannot_be_imported_is_said(keras: Any) -> None:
    with pytest.raises(Unreadable, match="no_such_module_of_mine"):
        build_model(chain(layer("ReLU")), "run", None, False, "no_such_module_of_mine")


# ---------- archives of Keras 2.12 to 2.15


def test_an_archive_of_keras_2_is_translated(keras: Any, tmp_path: Path) -> None:
    def modern(class_name: str, **config: Any) -> dict[str, Any]:
        return {"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None,
                "build_config": {"input_shape": [None, 4, 4, 3]}}  # fmt: skip

    layers = [
        modern("InputLayer", name="image", batch_input_shape=[None, 4, 4, 3], dtype="float32", sparse=False),
        modern("LeakyReLU", name="leaky", alpha=0.5, dtype="float32"),
        modern("Flatten", name="flat", data_format="channels_last"),
    ]
    config = {"module": "keras.src.engine.sequential", "class_name": "Sequential", "registered_name": "Sequential",
              "config": {"name": "net", "layers": layers}, "build_input_shape": [None, 4, 4, 3]}  # fmt: skip
    with h5py.File(tmp_path / "model.weights.h5", "w") as file:
        file.create_group("_layer_checkpoint_dependencies")
    with zipfile.ZipFile(tmp_path / "epoch_1.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "2.13.1"}))
        archive.write(tmp_path / "model.weights.h5", "model.weights.h5")
    (tmp_path / "model.weights.h5").unlink()
    model = KerasRun.open(tmp_path, RunOptions()).keras_model()
    expected = np.where(PIXELS > 0, PIXELS, PIXELS / 2).reshape(1, -1)
    np.testing.assert_allclose(np.asarray(model(PIXELS)), expected)
