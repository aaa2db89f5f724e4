"""Which files of a folder are a run's checkpoints, where folders hold more, or less, than one file for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.interface import NothingFits, Refused, Unreadable
from mloscope.adaptors.models.keras import KerasRun
from mloscope.adaptors.readers.keras.shards import parts, without_shards

NAMES = ("first", "second")
CONFIG = {
    "class_name": "Sequential",
    "config": {
        "name": "net",
        "layers": [
            {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4], "name": "image"}},
            *({"class_name": "Dense", "config": {"name": name, "units": 4, "use_bias": True}} for name in NAMES),
        ],
    },
}


def model(path: Path, value: float = 0) -> Path:
    """A full model as Keras 2 saved it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(CONFIG)
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = ["image", *NAMES]
        root.create_group("image").attrs["weight_names"] = np.array([], "S1")
        for name in NAMES:
            root[f"{name}/{name}/kernel:0"] = np.full((4, 4), value, np.float32)
            root[f"{name}/{name}/bias:0"] = np.zeros(4, np.float32)
            root[name].attrs["weight_names"] = [f"{name}/{each}:0".encode() for each in ("kernel", "bias")]
    return path


def opened(path: Path) -> Any:
    assert KerasRun.can_open(path)
    return registry.open_run(path)


def steps(run: Any) -> dict[int, str]:
    return {checkpoint.step: checkpoint.name for checkpoint in run.checkpoints()}


# ---------- one folder for each epoch


def test_one_folder_for_each_epoch(tmp_path: Path) -> None:
    for step in (2, 10):
        model(tmp_path / f"epoch_{step:02}" / "model.h5", step)
    run = opened(tmp_path)
    assert steps(run) == {2: "epoch_02/model.h5", 10: "epoch_10/model.h5"}
    assert [run.weights(each)["first/kernel"][0, 0] for each in run.checkpoints()] == [2, 10]
    assert len({run.fingerprint(each) for each in run.checkpoints()}) == 2


def test_of_several_files_in_each_folder_the_common_one_is_shown(tmp_path: Path) -> None:
    for step in (1, 2):
        model(tmp_path / f"step-{step}" / "model.h5")
    model(tmp_path / "step-2" / "extra.h5")
    model(tmp_path / "best" / "model.h5")
    run = opened(tmp_path)
    assert steps(run) == {1: "step-1/model.h5", 2: "step-2/model.h5"}
    said = " ".join(run.problems())
    assert "extra.h5 are left out" in said
    assert "best/model.h5" in said


@pytest.mark.parametrize("names", [("run_1", "run_2"), ("baseline", "larger"), ("seed3", "seed4")])
def test_folders_that_are_runs_of_their_own_are_no_run(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        model(tmp_path / name / "model.h5")
    assert not KerasRun.can_open(tmp_path)
    with pytest.raises(NothingFits):
        registry.open_run(tmp_path)


def test_folders_with_several_steps_each_are_no_run(tmp_path: Path) -> None:
    for folder in ("lr_1", "part-2", "3"):
        for step in (1, 2):
            model(tmp_path / folder / f"epoch_{step}.h5")
    assert not KerasRun.can_open(tmp_path)


def test_class_folders_of_pictures_are_no_run(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "1.png").touch()
    assert not KerasRun.can_open(tmp_path)


# ---------- what lies beside


def test_best_and_last_stand_beside_the_time_axis(tmp_path: Path) -> None:
    for name in ("weights.01-1.4", "weights.02-1.3", "best_model_v2", "last"):
        model(tmp_path / f"{name}.h5")
    run = opened(tmp_path)
    assert list(steps(run)) == [1, 2]
    assert "best_model_v2.h5 and last.h5 stand beside" in " ".join(run.problems())


def test_best_and_last_alone_need_an_order(tmp_path: Path) -> None:
    model(tmp_path / "best.h5")
    assert list(steps(opened(tmp_path))) == [0]
    model(tmp_path / "last.h5")
    with pytest.raises(Unreadable, match=r"checkpoints\.json") as refused:
        registry.open_run(tmp_path)
    (tmp_path / "checkpoints.json").write_text(str(refused.value)[str(refused.value).index("[{") :])
    assert steps(opened(tmp_path)) == {1: "best.h5", 2: "last.h5"}


@pytest.mark.parametrize("name", ["train_signs_64.h5", "features_3.hdf5"])
def test_data_sets_beside_checkpoints_are_no_checkpoints(tmp_path: Path, name: str) -> None:
    for step in (1, 2):
        model(tmp_path / f"lenet_{step}.h5")
    with h5py.File(tmp_path / name, "w") as file:
        file["images"] = np.zeros((2, 8, 8), np.uint8)
    run = opened(tmp_path)
    assert list(steps(run)) == [1, 2]
    assert f"{name} is an HDF5 file of something else" in " ".join(run.problems())


# ---------- sharded weights


def sharded(folder: Path, base: str, value: float) -> None:
    """Two files: the second layer's kernel is in the first, its bias in the second."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{base}_{number:05}.weights.h5" for number in (0, 1)]
    with h5py.File(folder / names[0], "w") as file:
        for group in ("dense", "dense_1"):
            file[f"layers/{group}/vars/0"] = np.full((4, 4), value, np.float32)
        file["layers/dense/vars/1"] = np.zeros(4, np.float32)
    with h5py.File(folder / names[1], "w") as file:
        file["layers/dense_1/vars/1"] = np.full(4, value + 0.5, np.float32)
    places = {"/layers/dense/vars": names[0], "/layers/dense_1/vars": names}
    (folder / f"{base}.weights.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for step in (1, 2):
        sharded(tmp_path, f"epoch{step}", step)
    (tmp_path / "model.json").write_text(json.dumps(CONFIG))
    return tmp_path


def test_shards_are_one_checkpoint(shards: Path) -> None:
    run = opened(shards)
    assert steps(run) == {1: "epoch1.weights.json", 2: "epoch2.weights.json"}
    for checkpoint in run.checkpoints():
        weights = run.weights(checkpoint)
        assert weights["second/kernel"][0, 0] == checkpoint.step
        assert weights["second/bias"][0] == checkpoint.step + 0.5
        second = next(layer for layer in run.layers() if layer.name == "second")
        assert run.parameters(checkpoint, second)["bias"][0] == checkpoint.step + 0.5
    assert run.problems() == ()


def test_shards_without_an_architecture(shards: Path) -> None:
    (shards / "model.json").unlink()
    assert [len(layer.parameters) for layer in opened(shards).layers()] == [2, 2]


def test_a_fingerprint_is_of_every_shard(shards: Path) -> None:
    run = opened(shards)
    before = [run.fingerprint(each) for each in run.checkpoints()]
    with h5py.File(shards / "epoch2_00001.weights.h5", "a") as file:
        file["layers/dense_1/vars/1"][...] = 7
    after = [run.fingerprint(each) for each in run.checkpoints()]
    assert after[0] == before[0]
    assert after[1] != before[1]


@pytest.mark.parametrize("what", ["lost", "cut off"])
def test_a_shard_that_is_lost_is_its_checkpoints_problem(shards: Path, what: str) -> None:
    shard = shards / "epoch2_00001.weights.h5"
    content = shard.read_bytes()
    shard.unlink()
    if what == "cut off":
        shard.write_bytes(content[:-100])
    first, second = opened(shards).checkpoints()
    assert first.problem is None
    assert shard.name in (second.problem or "")


def test_shards_whose_index_is_lost_are_no_steps(shards: Path) -> None:
    (shards / "epoch2.weights.json").unlink()
    run = opened(shards)
    assert list(steps(run)) == [1]
    assert "epoch2.weights.json, which is not there" in " ".join(run.problems())


def test_steps_of_five_digits_are_no_shards() -> None:
    names = ["epoch_00000.weights.h5", "epoch_00001.weights.h5"]
    assert without_shards(names) == (names, [])


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 3}}', '{"weight_map": 5}']
)
def test_an_index_that_makes_no_sense_is_unreadable(tmp_path: Path, content: str) -> None:
    (tmp_path / "epoch1.weights.json").write_text(content)
    with pytest.raises(Unreadable):
        registry.open_run(tmp_path)


@pytest.mark.parametrize("name", ["../other.h5", "/etc/passwd", "a\\b.h5"])
def test_an_index_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "epoch1.weights.json").write_text(json.dumps({"weight_map": {"/vars": name}}))
    with pytest.raises(Refused):
        parts(tmp_path / "epoch1.weights.json")


def test_shards_of_keras_itself(keras: Any, tmp_path: Path) -> None:
    network = keras.Sequential([keras.Input((40,)), keras.layers.Dense(40, name="a"), keras.layers.Dense(4, name="b")])
    network.compile("adam", "mse")
    network.save_weights(tmp_path / "epoch1.weights.json", max_shard_size=6.2e-6)
    (tmp_path / "model.json").write_text(network.to_json())
    assert len(list(tmp_path.glob("*.h5"))) > 1
    run = opened(tmp_path)
    weights = run.weights(run.checkpoints()[0])
    for name, array in zip(("a/kernel", "a/bias", "b/kernel", "b/bias"), network.get_weights(), strict=True):
        assert weights[name].tobytes() == array.tobytes()
