"""Where a layer lies in a file that calls it otherwise: never the arrays of another layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.models.keras import KerasRun


def config(*names: str) -> dict[str, Any]:
    layers = [{"class_name": "Dense", "config": {"name": name, "units": 4, "use_bias": True}} for name in names]
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "image"}}
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [first, *layers]}}


def kernel(value: float) -> np.ndarray:
    return np.full((4, 4), value, np.float32)


def newer(path: Path, *names: str) -> None:
    with h5py.File(path, "w") as file:
        for place, name in enumerate(names):
            variables = file.create_group("layers/dense" + (f"_{place}" if place else "") + "/vars")
            variables.attrs["name"] = name
            variables["0"], variables["1"] = kernel(place), np.zeros(4, np.float32)


def older(path: Path, *names: str, within: str = "", model: dict[str, Any] | None = None) -> None:
    with h5py.File(path, "w") as file:
        root: Any = file
        if model is not None:
            file.attrs["model_config"] = json.dumps(model)
            root = file.create_group("model_weights")
        root.attrs["layer_names"] = ["image", *([within] if within else names)]
        root.create_group("image").attrs["weight_names"] = np.array([], "S1")
        written: dict[str, list[str]] = {}
        for place, name in enumerate(names):
            top = within or name
            for variable, array in (("kernel", kernel(place)), ("bias", np.zeros(4, np.float32))):
                root[f"{top}/{name}/{variable}:0"] = array
                written.setdefault(top, []).append(f"{name}/{variable}:0")
        for top, stored in written.items():
            root[top].attrs["weight_names"] = [name.encode() for name in stored]


def first_values(run: Any) -> list[list[float]]:
    """Of each checkpoint the first value of each layer's kernel, in the layers' order."""
    found = []
    for checkpoint in run.checkpoints():
        assert checkpoint.problem is None
        weights = run.weights(checkpoint)
        names = [layer.name for layer in run.layers() if layer.parameters]
        single = [run.parameters(checkpoint, layer)["kernel"][0, 0] for layer in run.layers() if layer.parameters]
        assert single == [weights[f"{name}/kernel"][0, 0] for name in names]
        found.append([float(value) for value in single])
    return found


@pytest.mark.parametrize("second", [("dense_1", "dense_2", "dense_3"), ("dense_7", "dense_8", "dense_9")])
def test_weights_alone_of_a_network_that_was_built_again(tmp_path: Path, second: tuple[str, ...]) -> None:
    newer(tmp_path / "epoch_1.weights.h5", "dense", "dense_1", "dense_2")
    newer(tmp_path / "epoch_2.weights.h5", *second)
    (tmp_path / "model.json").write_text(json.dumps(config("dense", "dense_1", "dense_2")))
    assert first_values(registry.open_run(tmp_path)) == [[0, 1, 2], [0, 1, 2]]


def test_groups_in_another_order_are_found_by_the_names_that_they_state(tmp_path: Path) -> None:
    newer(tmp_path / "epoch_1.weights.h5", "dense_2", "dense", "dense_1")
    (tmp_path / "model.json").write_text(json.dumps(config("dense", "dense_1", "dense_2")))
    assert first_values(registry.open_run(tmp_path)) == [[1, 2, 0]]


@pytest.mark.parametrize("second", [("dense_1", "dense_2"), ("dense_16", "dense_17")])
def test_older_files_of_weights_alone_are_matched_by_order(tmp_path: Path, second: tuple[str, ...]) -> None:
    older(tmp_path / "weights.01.hdf5", "dense", "dense_1")
    older(tmp_path / "weights.02.hdf5", *second)
    (tmp_path / "model.json").write_text(json.dumps(config("dense", "dense_1")))
    run = registry.open_run(tmp_path)
    assert first_values(run) == [[0, 1], [0, 1]]


def test_that_arrays_are_matched_by_order_is_said(tmp_path: Path) -> None:
    older(tmp_path / "weights.01.hdf5", "dense_16", "dense_17")
    (tmp_path / "model.json").write_text(json.dumps(config("dense", "dense_1")))
    run = registry.open_run(tmp_path)
    assert first_values(run) == [[0, 1]]
    assert "dense_16 stands for dense" in " ".join(run.problems())


def test_files_with_another_number_of_layers_do_not_fit(tmp_path: Path) -> None:
    older(tmp_path / "weights.01.hdf5", "dense", "dense_1")
    older(tmp_path / "weights.02.hdf5", "dense_5", "dense_6", "dense_7")
    (tmp_path / "model.json").write_text(json.dumps(config("dense", "dense_1")))
    first, second = registry.open_run(tmp_path).checkpoints()
    assert first.problem is None
    assert "no arrays for dense" in (second.problem or "")


def test_older_models_with_their_own_numbers(tmp_path: Path) -> None:
    for step, names in ((1, ("dense", "dense_1")), (2, ("dense_1", "dense_2"))):
        older(tmp_path / f"epoch_{step}.h5", *names, model=config(*names))
    run = registry.open_run(tmp_path)
    assert [layer.name for layer in run.layers() if layer.parameters] == ["dense", "dense_1"]
    assert first_values(run) == [[0, 1], [0, 1]]


def test_layers_of_a_nested_model_are_matched_by_order_too(tmp_path: Path) -> None:
    def nested(*names: str) -> dict[str, Any]:
        inner = config(*names)
        inner["config"]["name"] = "features"
        first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "image"}}
        return {"class_name": "Sequential", "config": {"name": "net", "layers": [first, inner]}}

    older(tmp_path / "weights.01.h5", "dense", "dense_1", within="features")
    older(tmp_path / "weights.02.h5", "dense_1", "dense_2", within="features")
    (tmp_path / "model.json").write_text(json.dumps(nested("dense", "dense_1")))
    assert first_values(registry.open_run(tmp_path)) == [[0, 1], [0, 1]]


def test_an_unseen_file_is_read_by_its_own_names(tmp_path: Path) -> None:
    for step in range(100):
        names = ("dense", "dense_1") if step < 50 else (f"dense_{step}", f"dense_{step + 1}")
        older(tmp_path / f"epoch_{step:03}.h5", *names, model=config(*names))
    run = KerasRun.open(tmp_path, registry.RunOptions())
    assert first_values(run) == [[0, 1]] * 100
