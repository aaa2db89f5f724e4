"""Logs beside checkpoints: event files that TensorFlow itself wrote, CSV files as Keras writes them, and broken ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.files import metric_files
from mloscope.adaptors.files.crc32c import masked_crc32c
from mloscope.adaptors.files.metric_files import find_metric_files, on_both_axes, read_metric_files
from mloscope.adaptors.interface import Checkpoint, Curve


def read(folder: Path) -> tuple[dict[str, Curve], tuple[str, ...]]:
    curves, problems = read_metric_files(find_metric_files(folder))
    assert len({curve.name for curve in curves}) == len(curves)
    return {curve.name: curve for curve in curves}, problems


# ---------------------------------------------------------------------------------------------------- event files


@pytest.fixture(scope="module")
def tensorflow(keras: Any) -> Any:
    return pytest.importorskip("tensorflow")


def summaries(tensorflow: Any, folder: Path, values: dict[str, list[tuple[int, Any]]]) -> Path:
    """TensorFlow 2's writer: tensors by tag, as ``tf.summary.scalar`` gives them to it."""
    about = tensorflow.compat.v1.SummaryMetadata
    scalars = about(plugin_data=about.PluginData(plugin_name="scalars"))
    writer = tensorflow.summary.create_file_writer(str(folder))
    with writer.as_default():
        for tag, points in values.items():
            for step, value in points:
                tensorflow.summary.write(tag, value, step=step, metadata=scalars)
    writer.close()
    return next(folder.glob("*tfevents*"))


def test_scalars_of_every_type_by_split(tensorflow: Any, tmp_path: Path) -> None:
    tf = tensorflow
    losses = np.random.default_rng(1).normal(size=50).astype(np.float32)
    summaries(tf, tmp_path / "logs/train", {"epoch_loss": [(i, tf.constant(v)) for i, v in enumerate(losses)]})
    summaries(
        tf,
        tmp_path / "logs/validation",
        {
            "epoch_loss": [(0, tf.constant(0.5, tf.float64)), (1, tf.constant(float("nan")))],
            "half": [(7, tf.constant(0.25, tf.float16))],
            "vector": [(7, tf.constant([1.0, 2.0]))],
            "text": [(7, tf.constant("words"))],
            "whole": [(7, tf.constant(3))],
        },
    )
    curves, problems = read(tmp_path)
    assert problems == ()
    assert set(curves) == {"training epoch_loss", "validation epoch_loss", "validation half"}
    training = curves["training epoch_loss"]
    assert training.axis == "epoch"
    assert training.x.tolist() == list(range(1, 51))  # epochs done; Keras counts from zero
    assert np.array_equal(training.y, losses.astype(np.float64))
    assert training.source.startswith("logs/train/")
    assert (training.split, training.metric) == ("training", "epoch_loss")
    np.testing.assert_array_equal(curves["validation epoch_loss"].y, [0.5, np.nan])
    half = curves["validation half"]
    assert (half.axis, half.x.tolist(), half.y.tolist()) == ("step", [7], [0.25])


def test_tensorflow_1_writes_simple_values_and_restarts_continue_a_curve(tensorflow: Any, tmp_path: Path) -> None:
    v1 = tensorflow.compat.v1

    def write(suffix: str, points: list[tuple[int, float]]) -> None:
        with tensorflow.Graph().as_default():
            writer = v1.summary.FileWriter(str(tmp_path), filename_suffix=suffix)
            for step, value in points:
                writer.add_summary(v1.Summary(value=[v1.Summary.Value(tag="loss_1", simple_value=value)]), step)
            writer.close()

    write(".a", [(0, 4.0), (10, 3.0), (20, 2.0)])
    write(".b", [(20, 2.5), (30, 1.5)])
    # Their names begin with the second in which they were made.
    for number, path in enumerate(sorted(tmp_path.iterdir(), key=lambda path: path.suffix)):
        path.rename(tmp_path / f"events.out.tfevents.{number}")
    curves, problems = read(tmp_path)
    assert problems == ()
    assert set(curves) == {"loss_1"}
    assert curves["loss_1"].x.tolist() == [0, 10, 20, 30]
    assert curves["loss_1"].y.tolist() == [4.0, 3.0, 2.5, 1.5]
    assert curves["loss_1"].split == ""


def test_a_file_being_written_ends_where_it_ends_and_a_damaged_one_is_said(tensorflow: Any, tmp_path: Path) -> None:
    points = [(step, tensorflow.constant(float(step))) for step in range(20)]
    path = summaries(tensorflow, tmp_path, {"loss": points})
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    curves, problems = read(tmp_path)
    assert problems == ()
    assert curves["loss"].x.tolist() == list(range(19))
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 1
    path.write_bytes(damaged)
    curves, problems = read(tmp_path)
    assert 5 < len(curves["loss"].x) < 15
    assert np.array_equal(curves["loss"].x, curves["loss"].y)
    (problem,) = problems
    assert path.name in problem
    assert "checksum" in problem


@pytest.mark.parametrize("content", [b"", b"x", b"no records at all, but long enough to be one", bytes(4096)])
def test_files_that_are_no_event_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events.out.tfevents.1").write_bytes(content)
    curves, problems = read(tmp_path)
    assert curves == {}
    assert len(problems) == (len(content) >= 12)


def test_a_value_without_a_number_is_passed_over(tmp_path: Path) -> None:
    """A record whose checksums hold and whose ``simple_value`` is an empty text instead of four bytes."""
    record = b"\x10\x01" + b"\x2a\x09" + b"\x0a\x07" + b"\x0a\x03abc" + b"\x12\x00"
    length = len(record).to_bytes(8, "little")
    sums = [masked_crc32c(part).to_bytes(4, "little") for part in (length, record)]
    (tmp_path / "events.out.tfevents.1").write_bytes(length + sums[0] + record + sums[1])
    assert read(tmp_path) == ({}, ())


# -------------------------------------------------------------------------------------------------------- CSV files


def test_keras_own_csv_logger(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    x, y = np.ones((8, 3), np.float32), np.ones((8, 1), np.float32)
    logger = keras.callbacks.CSVLogger(str(tmp_path / "history.csv"))
    kept = model.fit(
        x, y, epochs=4, verbose=0, validation_data=(x, y), validation_freq=2, callbacks=[logger], batch_size=8
    ).history
    curves, problems = read(tmp_path)
    assert problems == ()
    assert {"training loss", "training mae", "validation loss", "validation mae"} <= set(curves)
    loss, validation = curves["training loss"], curves["validation loss"]
    assert (loss.axis, loss.x.tolist(), loss.source) == ("epoch", [1, 2, 3, 4], "history.csv")
    np.testing.assert_allclose(loss.y, kept["loss"], rtol=1e-6)
    assert validation.x.tolist() == [2, 4]  # moved with the file, though its own first is not zero
    np.testing.assert_allclose(validation.y, kept["val_loss"], rtol=1e-6)


def test_a_csv_of_steps_with_gaps_an_appended_header_and_other_separators(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "step;epoch;loss;lr;note\n0;0;nan;0.1;first\n10;1;;0.1;\nstep;epoch;loss;lr;note\n10;1;2.5;0.01;\n"
        "5;0.5;inf;0.1;\nx;1;3;3;\n"
    )
    curves, problems = read(tmp_path)
    assert set(curves) == {"training loss", "learning rate"}
    loss = curves["training loss"]
    assert (loss.axis, loss.x.tolist()) == ("step", [0, 5, 10])
    np.testing.assert_array_equal(loss.y, [np.nan, np.inf, 2.5])
    assert curves["learning rate"].y.tolist() == [0.1, 0.1, 0.01]
    assert problems == ("log.csv: 1 lines without a number as their step are left out, the first of them line 7.",)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"name,age\nx,3\n", b"epoch\n1\n", b"\xff\xfe\x00epoch,loss\n", b"epoch,loss\n", b'"' * 99],
)
def test_other_csv_files_are_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.csv").write_bytes(content)
    assert read(tmp_path) == ({}, ())


def test_a_hostile_csv_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("epoch,loss\n1,2\n2," + "9" * 200_000 + "\n")
    curves, problems = read(tmp_path)
    assert curves["training loss"].x.tolist() == [1]
    assert "log.csv" in problems[0]


def test_two_files_with_one_metric_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("epoch,loss\n1,2\n")
    assert set(read(tmp_path)[0]) == {"training loss (a.csv)", "training loss (b.csv)"}


def test_more_than_the_bounds_is_left_out_and_said(tmp_path: Path) -> None:
    (tmp_path / "wide.csv").write_text("epoch,a,b,c,d\n1,1,1,1,1\n")
    curves, problems = read_metric_files(find_metric_files(tmp_path), most_curves=3)
    assert len(curves) == 3
    assert problems == ("wide.csv has more than 3 metrics; the others are left out.",)


# -------------------------------------------------------------------------------------------------- where they lie


def places(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("epoch,loss\n1,2\n")


def test_logs_are_found_in_and_beside_the_run_and_nowhere_else(tmp_path: Path) -> None:
    run = tmp_path / "experiment/checkpoints"
    near = ["checkpoints/own.csv", "checkpoints/logs/a/b.csv", "logs/c.csv"]
    far = ["data/images.csv", "checkpoints/pictures/d.csv", "logs/1/2/3/4/5/e.csv", "f.csv", "other_run/logs/g.csv"]
    places(run.parent, near + far)
    found = [file.name for file in find_metric_files(run)]
    assert found == ["../logs/c.csv", "logs/a/b.csv", "own.csv"]
    (run / "step-1.h5").write_bytes(b"x")
    assert [file.name for file in find_metric_files(run / "step-1.h5")] == found


def test_beside_a_run_of_another_name_nothing_is_taken(tmp_path: Path) -> None:
    places(tmp_path, ["lenet/own.csv", "logs/other.csv"])
    assert [file.name for file in find_metric_files(tmp_path / "lenet")] == ["own.csv"]


def test_of_logs_of_several_runs_only_the_run_s_own_are_taken(tmp_path: Path) -> None:
    places(tmp_path / "second/checkpoints", ["x.txt"])
    places(tmp_path / "second/logs", ["first/a.csv", "second/b.csv"])
    assert [file.name for file in find_metric_files(tmp_path / "second/checkpoints")] == ["../logs/second/b.csv"]


def test_a_folder_of_very_many_files_is_not_listed_to_the_end(tmp_path: Path) -> None:
    places(tmp_path, [f"logs/{number}/a.csv" for number in range(100)])
    assert len(find_metric_files(tmp_path)) == metric_files.MOST_FILES
    assert find_metric_files(tmp_path, most_listed=20) == ()


def test_a_folder_that_is_not_there_has_no_logs(tmp_path: Path) -> None:
    assert find_metric_files(tmp_path / "nowhere" / "x") == ()


def test_links_that_go_round_end(tmp_path: Path) -> None:
    places(tmp_path, ["logs/a.csv"])
    os.symlink(tmp_path, tmp_path / "logs" / "logs")
    assert len(find_metric_files(tmp_path)) == 1


# ------------------------------------------------------------------------------------------------------ two axes


def curve(axis: str, x: list[float]) -> Curve:
    return Curve("training loss", axis, np.array(x), np.zeros(len(x)), "log.csv")


def test_epochs_of_checkpoints_lead_from_one_axis_to_the_other() -> None:
    checkpoints = [Checkpoint(0, "a", epoch=0.0), Checkpoint(100, "b", epoch=1.0), Checkpoint(400, "c", epoch=2.0)]
    (epochs, steps), problems = on_both_axes([curve("epoch", [0.5, 1, 1.5, 3]), curve("step", [50, 250])], checkpoints)
    assert problems == ()
    assert epochs.along("step").tolist() == [50, 100, 250, 700]  # beyond the last, as between the last two
    assert epochs.along("epoch").tolist() == [0.5, 1, 1.5, 3]
    assert steps.along("epoch").tolist() == [0.5, 1.5]


def test_steps_are_taken_for_epochs_only_where_they_may_be() -> None:
    known = curve("epoch", [1, 2, 3, 4])
    (same,), said = on_both_axes([known], [Checkpoint(1, "a"), Checkpoint(4, "b")])
    assert same.along("step").tolist() == [1, 2, 3, 4]
    assert said == (
        "The checkpoints' steps are read as epochs in the curves of log.csv, because they all lie among its 4 epochs.",
    )
    (apart,), said = on_both_axes([known], [Checkpoint(1, "a"), Checkpoint(500, "b")])
    assert apart.along("step") is None
    assert said == ()
    assert on_both_axes([known], [Checkpoint(1, "a", epoch=1.0)])[0][0].along("step") is None


def test_points_know_when_they_were_recorded_where_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,loss,timestamp\n1,2,1e9\n0,3,999999000\n")
    (tmp_path / "other.csv").write_text("step,accuracy,time\n0,1,5\n")
    (tmp_path / "gaps.csv").write_text("step,error,wall_time\n0,1,1e9\n1,2,\n")
    curves = {curve.metric: curve for curve in read_metric_files(find_metric_files(tmp_path))[0]}
    assert curves["loss"].times.tolist() == [999999000, 1e9]
    assert curves["accuracy"].times is None, "a column called time may mean anything"
    assert curves["error"].times is None
