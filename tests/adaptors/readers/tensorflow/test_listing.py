"""Which files of a folder are a run's checkpoints, and what is said of those that are not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import EvaluableRun, RunOptions, Unreadable
from mloscope.adaptors.models.tensorflow import TensorFlowRun


@pytest.fixture(scope="session")
def tensorflow(keras: Any) -> Any:
    return pytest.importorskip("tensorflow")


NETWORK = {"conv/weights": (3, 3, 1, 2), "fc/weights": (8, 4), "fc/biases": (4,)}


def save(tf: Any, prefix: Path, shapes: Mapping[str, tuple[int, ...]], meta: bool = False) -> None:
    """A checkpoint of names with variables of these shapes."""
    v1 = tf.compat.v1
    prefix.parent.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), v1.Session() as session:
        held = [v1.get_variable(name, initializer=np.zeros(shape, np.float32)) for name, shape in shapes.items()]
        session.run(v1.global_variables_initializer())
        v1.train.Saver(held).save(session, str(prefix), write_meta_graph=meta, write_state=False)


def opened(folder: Path, pattern: str | None = None) -> TensorFlowRun:
    return TensorFlowRun.open(folder, RunOptions(step_pattern=pattern))


def steps(run: TensorFlowRun) -> dict[int, bool]:
    """Whether each step can be read."""
    return {each.step: each.problem is None for each in run.checkpoints()}


def test_a_checkpoint_whose_data_is_gone_keeps_its_place(tensorflow: Any, tmp_path: Path) -> None:
    for step in (100, 200, 300):
        save(tensorflow, tmp_path / f"model.ckpt-{step}", NETWORK)
    (tmp_path / "model.ckpt-200.data-00000-of-00001").unlink()
    (tmp_path / "books.index").write_text("apples 12, pears 13")
    run = opened(tmp_path)
    assert steps(run) == {100: True, 200: False, 300: True}
    assert "model.ckpt-200.data-00000-of-00001" in str(run.checkpoints()[1].problem)


def test_where_all_data_is_gone_that_is_what_is_said(tensorflow: Any, tmp_path: Path) -> None:
    save(tensorflow, tmp_path / "model.ckpt-1", NETWORK)
    (tmp_path / "model.ckpt-1.data-00000-of-00001").unlink()
    assert TensorFlowRun.can_open(tmp_path)
    with pytest.raises(Unreadable, match=r"model\.ckpt-1\.data-00000-of-00001"):
        opened(tmp_path)


def test_a_shard_that_is_gone_or_an_index_that_is_gone(tensorflow: Any, tmp_path: Path) -> None:
    for step in (1, 2):
        save(tensorflow, tmp_path / f"model-{step}", NETWORK)
    (tmp_path / "model-3.data-00000-of-00001").write_bytes(b"0" * 100)
    run = opened(tmp_path)
    assert steps(run) == {1: True, 2: True}
    assert any("model-3" in sentence for sentence in run.problems())


@pytest.mark.parametrize("flat", [False, True])
def test_an_optimizer_beside_the_network_of_each_epoch(tensorflow: Any, tmp_path: Path, flat: bool) -> None:
    """Without normalisation an optimizer of Keras's holds as many variables as the network; its name comes first here."""
    tf = tensorflow
    for epoch in (1, 2, 3):
        place = f"{{}}-{epoch}" if flat else f"epoch_{epoch:02d}/{{}}"
        network = tf.Module()
        network.w = tf.Variable(np.full((2, 3), epoch, np.float32), name="fc/kernel")
        optimizer = tf.Module()
        optimizer._iterations = tf.Variable(5, dtype=tf.int64, name="adam/iteration")
        optimizer._trainable_variables = [network.w]
        for name, what in (("net", {"model": network}), ("adam", {"optimizer": optimizer})):
            tf.train.Checkpoint(**what).write(str(tmp_path / place.format(name)))
    assert TensorFlowRun.can_open(tmp_path)
    run = opened(tmp_path)
    assert steps(run) == {1: True, 2: True, 3: True}
    assert all("net" in each.name for each in run.checkpoints())
    layer = run.layers()[0]
    assert [float(run.parameters(each, layer)["kernel"][0, 0]) for each in run.checkpoints()] == [1, 2, 3]
    assert any("adam" in sentence for sentence in run.problems())


def test_of_two_networks_in_each_folder_the_larger_is_taken_and_a_pattern_shows_the_other(
    tensorflow: Any, tmp_path: Path
) -> None:
    for epoch in (1, 2):
        save(tensorflow, tmp_path / f"epoch_{epoch}" / "critic", {"d/w": (4, 4)})
        save(tensorflow, tmp_path / f"epoch_{epoch}" / "generator", NETWORK)
    run = opened(tmp_path)
    assert [each.name for each in run.checkpoints()] == ["epoch_1/generator.index", "epoch_2/generator.index"]
    (sentence,) = (each for each in run.problems() if "critic" in each)
    pattern = re.search(r"pattern (\S+) ", sentence)[1]  # type: ignore[index]
    other = opened(tmp_path, pattern)
    assert [each.name for each in other.checkpoints()] == ["epoch_1/critic.index", "epoch_2/critic.index"]


def test_checkpoints_that_the_state_file_names_and_that_are_gone(tensorflow: Any, tmp_path: Path) -> None:
    save(tensorflow, tmp_path / "ckpt-2", NETWORK)
    (tmp_path / "checkpoint").write_text(
        'model_checkpoint_path: "ckpt-3"\nall_model_checkpoint_paths: "/runs/ckpt-1"\n'
        'all_model_checkpoint_paths: "ckpt-2"\nall_model_checkpoint_paths: "ckpt-3"\n'
    )
    said = " ".join(opened(tmp_path).problems())
    assert "ckpt-3 the latest" in said
    assert "names ckpt-1, not" in said


def test_slots_come_and_go_in_one_run(tensorflow: Any, tmp_path: Path) -> None:
    slots = {f"{name}/Adam": shape for name, shape in NETWORK.items()}
    save(tensorflow, tmp_path / "model.ckpt-0", NETWORK)  # before training
    for step in (10, 20):
        save(tensorflow, tmp_path / f"model.ckpt-{step}", {**NETWORK, **slots})
    save(tensorflow, tmp_path / "model.ckpt-30", NETWORK)  # for serving
    run = opened(tmp_path)
    assert steps(run) == {0: True, 10: True, 20: True, 30: True}
    layer = next(each for each in run.layers() if each.name == "fc")
    assert {each.name for each in layer.parameters} >= {"weights", "biases", "weights momentum"}
    first, second, *_ = run.checkpoints()
    assert set(run.parameters(first, layer)) == {"weights", "biases"}
    assert "weights momentum" in run.parameters(second, layer)


def test_one_checkpoint_of_each_kind_is_one_run_too(tensorflow: Any, tmp_path: Path) -> None:
    save(tensorflow, tmp_path / "cp-0000.ckpt", NETWORK)
    save(tensorflow, tmp_path / "cp-0001.ckpt", {**NETWORK, "fc/weights/Adam": (8, 4)})
    assert steps(opened(tmp_path)) == {0: True, 1: True}


def test_the_first_difference_of_another_network_is_named(tensorflow: Any, tmp_path: Path) -> None:
    for step in (1, 2):
        save(tensorflow, tmp_path / f"model-{step}", NETWORK)
    save(tensorflow, tmp_path / "model-3", {**NETWORK, "fc/weights": (8, 5), "fc/biases": (5,)})
    save(tensorflow, tmp_path / "model-4", {"conv/weights": (3, 3, 1, 2)})
    run = opened(tmp_path)
    assert steps(run) == {1: True, 2: True, 3: False, 4: False}
    third, fourth = (str(each.problem) for each in run.checkpoints()[2:])
    assert "fc/biases has the shape (5,)" in third
    assert "fc/biases is not in it" in fourth


def graph(tf: Any, folder: Path, step: int, units: str) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, 4, 4, 1), name="image")
        x = tf.nn.conv2d(image, v1.get_variable("conv/weights", (4, 4, 1, 2)), 1, "VALID")
        getattr(tf.nn, units)(x, name="end_of_the_network_with_a_long_name" if units == "tanh" else "end")
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(folder / "model.ckpt"), step, write_state=False)


def test_graphs_that_disagree_are_said_and_the_latest_is_taken(tensorflow: Any, tmp_path: Path) -> None:
    graph(tensorflow, tmp_path, 1, "relu")
    graph(tensorflow, tmp_path, 2, "tanh")
    run = opened(tmp_path)
    assert [layer.source_class for layer in run.layers()][-1] == "Tanh"
    assert any("model.ckpt-1.meta" in each and "model.ckpt-2.meta" in each for each in run.problems())


def test_one_graph_that_is_left_serves_all_checkpoints(tensorflow: Any, tmp_path: Path) -> None:
    for step in (1, 2, 3):
        graph(tensorflow, tmp_path, step, "relu")
    (tmp_path / "model.ckpt-1.meta").unlink()
    (tmp_path / "model.ckpt-3.meta").unlink()
    run = opened(tmp_path)
    assert isinstance(run, EvaluableRun)
    assert steps(run) == {1: True, 2: True, 3: True}
    assert not any("differ" in each for each in run.problems())


def test_two_architectures_beside_the_checkpoints_are_said(tensorflow: Any, tmp_path: Path) -> None:
    save(tensorflow, tmp_path / "model-1", NETWORK)
    for name in ("model.json", "config.json"):
        (tmp_path / name).write_text("{}")
    assert any("2 files" in each and "model.json" in each for each in opened(tmp_path).problems())
