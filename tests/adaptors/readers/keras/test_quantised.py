"""Quantised layers: what their whole numbers stand for, and what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.interface import Unreadable
from mloscope.adaptors.readers.keras.quantised import mode_of, scaled, unquantised


def policy(mode: str) -> dict[str, Any]:
    return {"class_name": "QuantizedDTypePolicy", "config": {"mode": mode, "source_name": "float32"}}


@pytest.mark.parametrize(
    ("dtype", "mode"),
    [
        (policy("int8"), "int8"),
        (policy("int4/128"), "int4"),
        (policy("float8"), "float8"),
        ("int8_from_mixed_bfloat16", "int8"),
        ({"class_name": "DTypePolicy", "config": {"name": "float32"}}, ""),
        ("float32", ""),
        (None, ""),
    ],
)
def test_the_mode_that_a_configuration_names(dtype: Any, mode: str) -> None:
    assert mode_of({"dtype": dtype}) == mode


def test_int8_is_divided_by_its_scale() -> None:
    arrays = {"kernel": np.array([[127, -64], [0, 1]], np.int8), "kernel_scale": np.array([127.0, 32.0])}
    assert scaled("Dense", arrays, (2, 2)).tolist() == [[1.0, -2.0], [0.0, 0.03125]]
    rows = {"embeddings": np.array([[127, -64], [0, 1]], np.int8), "embeddings_scale": np.array([127.0, 32.0])}
    assert scaled("Embedding", rows, (2, 2))[1].tolist() == [0.0, 0.03125]


@pytest.mark.parametrize("axis", [0, 1])
def test_two_values_of_int4_lie_in_a_byte(axis: int) -> None:
    values = np.array([[-8, 7, 1], [0, -1, 3], [2, -2, 5]], np.int8)
    padded = np.pad(values, [(0, int(axis == 0)), (0, int(axis == 1))])
    low, high = np.take(padded, [0, 2], axis), np.take(padded, [1, 3], axis)
    packed = ((low & 15) | (high << 4)).astype(np.int8)
    found = scaled("Dense", {"kernel": packed, "kernel_scale": np.ones(3)}, (3, 3))
    assert found.tolist() == values.tolist()


def test_groups_have_zeros_and_scales_of_their_own() -> None:
    arrays = {
        "kernel": np.array([[3], [3], [3]], np.int8),
        "kernel_scale": np.array([[0.5], [2.0]], np.float32),
        "kernel_zero": np.array([[1], [2]], np.int8),
        "g_idx": np.array([0.0, 1.0, 1.0], np.float32),
    }
    assert scaled("Dense", arrays, (3, 1)).tolist() == [[1.0], [2.0], [2.0]]
    with pytest.raises(ValueError, match="groups"):
        scaled("Dense", arrays | {"g_idx": np.array([0.0, 9.0, 1.0])}, (3, 1))


def test_a_configuration_without_its_quantised_types() -> None:
    config = {"layers": [{"config": {"dtype": policy("int8"), "quantization_config": {"class_name": "x"}}}]}
    assert unquantised(config) == {"layers": [{"config": {"dtype": "float32"}}]}
    assert unquantised({"dtype": "int8_from_float32"}) == {"dtype": "float32"}


def checkpoint(path: Path, mode: str, variables: list[np.ndarray]) -> None:
    dtype = policy(mode) if mode else "float32"
    layer = {"class_name": "Dense", "config": {"name": "hidden", "units": 2, "use_bias": True, "dtype": dtype}}
    first = {"class_name": "InputLayer", "config": {"batch_shape": [None, 2], "name": "image"}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "n", "layers": [first, layer]}}
    with h5py.File(path.with_suffix(".tmp"), "w") as file:
        for number, array in enumerate(variables):
            file[f"layers/dense/vars/{number}"] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.write(path.with_suffix(".tmp"), "model.weights.h5")
    path.with_suffix(".tmp").unlink()


BIAS = np.zeros(2, np.float32)
FLOATS = [np.ones((2, 2), np.float32), BIAS]
WHOLES = [np.full((2, 2), 127, np.int8), BIAS, np.full(2, 127, np.float32)]


def test_a_quantised_checkpoint_in_a_run_of_float_ones(tmp_path: Path) -> None:
    checkpoint(tmp_path / "epoch_1.keras", "", FLOATS)
    checkpoint(tmp_path / "epoch_2.keras", "int8", WHOLES)
    run = registry.open_run(tmp_path)
    for each in run.checkpoints():
        assert each.problem is None
        weights = run.weights(each)
        assert weights["hidden/kernel"].tolist() == [[1, 1], [1, 1]]
        assert weights.keys() == {"hidden/kernel", "hidden/bias"}
    assert "epoch_2.keras is quantised (int8)" in " ".join(run.problems())


def test_a_run_of_quantised_checkpoints_alone(tmp_path: Path) -> None:
    checkpoint(tmp_path / "epoch_1.keras", "int8", WHOLES)
    run = registry.open_run(tmp_path)
    hidden = next(layer for layer in run.layers() if layer.name == "hidden")
    assert [(parameter.name, parameter.shape) for parameter in hidden.parameters] == [
        ("kernel", (2, 2)),
        ("bias", (2,)),
    ]
    assert run.parameters(run.checkpoints()[0], hidden)["kernel"].dtype == np.float32


def test_what_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint(tmp_path / "epoch_2.keras", "float8", FLOATS)
    with pytest.raises(Unreadable, match=r"hidden \(Dense\) is quantised to float8"):
        registry.open_run(tmp_path)
    checkpoint(tmp_path / "epoch_1.keras", "", FLOATS)
    first, second = registry.open_run(tmp_path).checkpoints()
    assert first.problem is None
    assert "float8" in (second.problem or "")


def test_whole_numbers_without_a_scale_are_never_taken_for_weights(tmp_path: Path) -> None:
    checkpoint(tmp_path / "epoch_1.keras", "", FLOATS)
    checkpoint(tmp_path / "epoch_2.keras", "", WHOLES[:2])
    run = registry.open_run(tmp_path)
    with pytest.raises(Unreadable, match="int8"):
        run.weights(run.checkpoints()[1])


def test_whole_numbers_within_a_layer_of_layers_are_never_taken_for_weights(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "epoch_1.weights.h5", "w") as file:
        for number, array in enumerate(WHOLES):
            file[f"layers/multi_head_attention/query_dense/vars/{number}"] = array
        file["layers/multi_head_attention/vars/0"] = np.zeros(2, np.float32)
    run = registry.open_run(tmp_path)
    with pytest.raises(Unreadable, match="int8"):
        run.weights(run.checkpoints()[0])


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_weights_are_what_keras_computes_with(keras: Any, tmp_path: Path, mode: str, suffix: str) -> None:
    model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(5, name="hidden")])
    model.set_weights([np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32), np.zeros(5, np.float32)])
    model.quantize(mode)
    path = tmp_path / f"epoch_1{suffix}"
    (model.save_weights if "weights" in suffix else model.save)(path)
    run = registry.open_run(path)
    (weights,) = [array for name, array in run.weights(run.checkpoints()[0]).items() if name.endswith("kernel")]
    assert np.allclose(weights, np.asarray(model(np.eye(7, dtype=np.float32))), atol=1e-6)
