"""Arrays that older Keras stored otherwise become today's: gates, CuDNN's matrices, kernels of one and three dimensions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mloscope.adaptors.interface import RunOptions
from mloscope.adaptors.models.keras import KerasRun
from mloscope.app.model_service.backends.keras import KerasBackend

RANDOM = np.random.default_rng(11)
ROWS, INPUTS, UNITS = 6, 3, 4
SEQUENCE = RANDOM.normal(size=(2, ROWS, INPUTS)).astype(np.float32)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    return np.clip(0.2 * x + 0.5, 0, 1)


def random(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32) / 2


def write(path: Path, entry: Mapping[str, Any], arrays: Mapping[str, np.ndarray], version: str) -> None:
    name = entry["config"]["name"]
    with h5py.File(path, "w") as file:
        held = {"class_name": "Sequential", "config": [entry]}
        file.attrs["model_config"] = json.dumps(held).encode()
        file.attrs["keras_version"] = version.encode()
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode()]
        group = root.create_group(name)
        group.attrs["weight_names"] = [each.encode() for each in arrays]
        for each, array in arrays.items():
            group[each] = array


def computed(loaded: Callable[..., Any], path: Path, given: np.ndarray) -> np.ndarray:
    run = KerasRun.open(path, RunOptions())
    return np.asarray(loaded(run, run.checkpoints()[0])(given))


def recurrent(class_name: str, **more: Any) -> dict[str, Any]:
    config = {"name": "cell", "trainable": True, "batch_input_shape": [None, ROWS, INPUTS], "return_sequences": False,
              "go_backwards": False, "stateful": False, **more}  # fmt: skip
    return {"class_name": class_name, "config": config}


def lstm(gates: Mapping[str, Any], inner: Callable[..., Any], backwards: bool = False) -> np.ndarray:
    state = memory = np.zeros((2, UNITS))
    for row in SEQUENCE.transpose(1, 0, 2)[:: -1 if backwards else 1]:
        i, f, c, o = (row @ gates[g][0] + state @ gates[g][1] + gates[g][2] for g in "ifco")
        memory = inner(f) * memory + inner(i) * np.tanh(c)
        state = inner(o) * np.tanh(memory)
    return state


def test_an_lstm_of_keras_1(loaded: Callable[..., Any], tmp_path: Path) -> None:
    gates = {gate: (random(INPUTS, UNITS), random(UNITS, UNITS), random(UNITS)) for gate in "icfo"}
    arrays = {f"cell_{letter}_{gate}": part for gate, parts in gates.items()
              for letter, part in zip("WUb", parts, strict=True)}  # fmt: skip
    entry = recurrent("LSTM", output_dim=UNITS, inner_activation="hard_sigmoid", activation="tanh", dropout_W=0.1,
                      dropout_U=0.1, init="glorot_uniform", inner_init="orthogonal", forget_bias_init="one",
                      consume_less="cpu", unroll=False, input_dim=INPUTS, W_regularizer=None)  # fmt: skip
    write(tmp_path / "w.01.h5", entry, arrays, "1.2.2")
    np.testing.assert_allclose(computed(loaded, tmp_path, SEQUENCE), lstm(gates, hard_sigmoid), rtol=1e-4, atol=1e-5)


def test_a_gru_of_keras_1(loaded: Callable[..., Any], tmp_path: Path) -> None:
    gates = {gate: (random(INPUTS, UNITS), random(UNITS, UNITS), random(UNITS)) for gate in "zrh"}
    arrays = {f"cell_{letter}_{gate}": part for gate, parts in gates.items()
              for letter, part in zip("WUb", parts, strict=True)}  # fmt: skip
    entry = recurrent("GRU", output_dim=UNITS, inner_activation="hard_sigmoid", activation="tanh", consume_less="mem")
    write(tmp_path / "w.01.h5", entry, arrays, "1.1.0")
    state = np.zeros((2, UNITS))
    for row in SEQUENCE.transpose(1, 0, 2):
        z, r = (hard_sigmoid(row @ gates[g][0] + state @ gates[g][1] + gates[g][2]) for g in "zr")
        new = np.tanh(row @ gates["h"][0] + (r * state) @ gates["h"][1] + gates["h"][2])
        state = z * state + (1 - z) * new
    np.testing.assert_allclose(computed(loaded, tmp_path, SEQUENCE), state, rtol=1e-4, atol=1e-5)


def cudnn(gates: Mapping[str, tuple[np.ndarray, ...]]) -> dict[str, np.ndarray]:
    """As CuDNN has them: each gate's matrix as (unit, input) in memory, and one bias for each side."""

    def laid(place: int) -> np.ndarray:
        return np.hstack([np.ravel(part[place].T).reshape(part[place].shape) for part in gates.values()])

    biases = [np.concatenate([part[place] for part in gates.values()]) for place in (2, 3)]
    return {"cell/kernel:0": laid(0), "cell/recurrent_kernel:0": laid(1), "cell/bias:0": np.concatenate(biases)}


@pytest.mark.parametrize("version", ["2.2.4", "2.2.4-tf"])
def test_an_lstm_of_cudnn(loaded: Callable[..., Any], tmp_path: Path, version: str) -> None:
    gates = {gate: (random(INPUTS, UNITS), random(UNITS, UNITS), random(UNITS), random(UNITS)) for gate in "ifco"}
    write(tmp_path / "w.01.h5", recurrent("CuDNNLSTM", units=UNITS), cudnn(gates), version)
    both = {gate: (w, u, b + c) for gate, (w, u, b, c) in gates.items()}
    np.testing.assert_allclose(computed(loaded, tmp_path, SEQUENCE), lstm(both, sigmoid), rtol=1e-4, atol=1e-5)
    assert any("CuDNNLSTM as LSTM" in each for each in KerasRun.open(tmp_path, RunOptions()).problems())


def test_a_gru_of_cudnn(loaded: Callable[..., Any], tmp_path: Path) -> None:
    gates = {gate: (random(INPUTS, UNITS), random(UNITS, UNITS), random(UNITS), random(UNITS)) for gate in "zrh"}
    write(tmp_path / "w.01.h5", recurrent("CuDNNGRU", units=UNITS), cudnn(gates), "2.2.4")
    state = np.zeros((2, UNITS))
    for row in SEQUENCE.transpose(1, 0, 2):
        sides = {g: (row @ w + b, state @ u + c) for g, (w, u, b, c) in gates.items()}
        z, r = (sigmoid(sum(sides[g])) for g in "zr")
        new = np.tanh(sides["h"][0] + r * sides["h"][1])
        state = z * state + (1 - z) * new
    np.testing.assert_allclose(computed(loaded, tmp_path, SEQUENCE), state, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("until_1_1", [False, True])
def test_a_convolution_over_rows(loaded: Callable[..., Any], tmp_path: Path, until_1_1: bool) -> None:
    kernel = random(3, INPUTS, UNITS)
    held = kernel.transpose(2, 1, 0)[..., None] if until_1_1 else kernel[:, None]
    entry = {"class_name": "Convolution1D",
             "config": {"name": "rows", "batch_input_shape": [None, ROWS, INPUTS], "nb_filter": UNITS, "filter_length": 3,
                        "subsample_length": 1, "border_mode": "valid", "activation": "linear", "bias": True}}  # fmt: skip
    write(tmp_path / "w.01.h5", entry, {"rows_W": held, "rows_b": np.zeros(UNITS, np.float32)}, "1.0.8")
    windows = np.lib.stride_tricks.sliding_window_view(SEQUENCE, 3, axis=1)
    expected = np.einsum("nrci,icu->nru", windows, kernel)
    np.testing.assert_allclose(computed(loaded, tmp_path, SEQUENCE), expected, rtol=1e-4, atol=1e-5)


def test_kernels_that_keras_2_trained_with_theano_are_turned(tmp_path: Path) -> None:
    kernel = random(3, 3, 3, UNITS)
    entry = {"class_name": "Conv2D",
             "config": {"name": "conv", "batch_input_shape": [None, 5, 5, 3], "filters": UNITS, "kernel_size": [3, 3],
                        "padding": "valid", "data_format": "channels_last", "use_bias": False}}  # fmt: skip
    write(tmp_path / "w.01.h5", entry, {"conv/kernel:0": kernel}, "2.1.6")
    run = KerasRun.open(tmp_path, RunOptions())
    assert np.array_equal(run.weights(run.checkpoints()[0])["conv/kernel"], kernel)
    with h5py.File(tmp_path / "w.01.h5", "a") as file:
        file.attrs["backend"] = "theano"
    run = KerasRun.open(tmp_path, RunOptions())
    assert np.array_equal(run.weights(run.checkpoints()[0])["conv/kernel"], kernel[::-1, ::-1])
    assert any("Theano" in each for each in run.problems())


def test_a_sequential_within_another_has_its_layers_beside_the_others(tmp_path: Path) -> None:
    kernel = random(6, UNITS)
    dense = {"class_name": "Dense", "config": {"name": "inner", "output_dim": UNITS, "batch_input_shape": [None, 6]}}
    nested = {"class_name": "Sequential", "config": [dense]}
    with h5py.File(tmp_path / "w.01.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": [nested]}).encode()
        file.attrs["keras_version"] = b"1.2.1"
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"inner"]
        group = root.create_group("inner")
        group.attrs["weight_names"] = [b"inner_W", b"inner_b"]
        group["inner_W"], group["inner_b"] = kernel, np.zeros(UNITS, np.float32)
    run = KerasRun.open(tmp_path, RunOptions())
    weights = run.weights(run.checkpoints()[0])
    assert np.array_equal(next(array for name, array in weights.items() if name.endswith("inner/kernel")), kernel)


def both_ways(cell: Mapping[str, Any]) -> dict[str, Any]:
    config = {"name": "both", "merge_mode": "concat", "layer": cell, "batch_input_shape": [None, ROWS, INPUTS]}
    return {"class_name": "Bidirectional", "config": config}


def evaluated(folder: Path) -> np.ndarray:
    run = KerasRun.open(folder, RunOptions())
    network, checkpoint = KerasBackend().open(run, str(folder)), run.checkpoints()[0]
    weights = network.weights(run.weights(checkpoint), checkpoint)
    return network.outputs(SEQUENCE, weights, [network.output_layer])[network.output_layer]


def test_both_ways_of_keras_1(keras: Any, tmp_path: Path) -> None:
    sides = {side: {gate: (random(INPUTS, UNITS), random(UNITS, UNITS), random(UNITS)) for gate in "icfo"}
             for side in ("forward", "backward")}  # fmt: skip
    arrays = {f"{side}_cell_{letter}_{gate}": part for side, gates in sides.items() for gate, parts in gates.items()
              for letter, part in zip("WUb", parts, strict=True)}  # fmt: skip
    cell = recurrent("LSTM", output_dim=UNITS, inner_activation="hard_sigmoid", activation="tanh")
    write(tmp_path / "w.01.h5", both_ways(cell), arrays, "1.2.2")
    expected = [lstm(sides[side], hard_sigmoid, side == "backward") for side in sides]
    np.testing.assert_allclose(evaluated(tmp_path), np.concatenate(expected, 1), rtol=1e-4, atol=1e-5)


def test_both_ways_of_cudnn(keras: Any, tmp_path: Path) -> None:
    sides = {side: {gate: (random(INPUTS, UNITS), random(UNITS, UNITS), random(UNITS), random(UNITS)) for gate in "ifco"}
             for side in ("forward", "backward")}  # fmt: skip
    arrays = {name.replace("cell/", f"both/{side}_cell/"): array for side, gates in sides.items()
              for name, array in cudnn(gates).items()}  # fmt: skip
    write(tmp_path / "w.01.h5", both_ways(recurrent("CuDNNLSTM", units=UNITS)), arrays, "2.2.4")
    summed = {side: {g: (w, u, b + c) for g, (w, u, b, c) in gates.items()} for side, gates in sides.items()}
    expected = [lstm(summed[side], sigmoid, side == "backward") for side in sides]
    np.testing.assert_allclose(evaluated(tmp_path), np.concatenate(expected, 1), rtol=1e-4, atol=1e-5)


def test_a_wrapped_kernel_is_turned_too(tmp_path: Path) -> None:
    kernel = random(3, 3, 3, UNITS)
    inner = {"class_name": "Convolution2D", "config": {"name": "conv", "nb_filter": UNITS, "nb_row": 3, "nb_col": 3,
             "border_mode": "valid", "dim_ordering": "th", "bias": False}}  # fmt: skip
    entry = {"class_name": "TimeDistributed",
             "config": {"name": "frames", "batch_input_shape": [None, 2, 3, 8, 8], "layer": inner}}  # fmt: skip
    held = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    write(tmp_path / "w.01.h5", entry, {"conv_W": held}, "1.2.2")
    with h5py.File(tmp_path / "w.01.h5", "a") as file:
        file.attrs["backend"] = "theano"
    run = KerasRun.open(tmp_path, RunOptions())
    assert np.array_equal(run.weights(run.checkpoints()[0])["frames/kernel"], kernel[::-1, ::-1])
