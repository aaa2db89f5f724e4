"""Trains a demo network, in a process of its own: python -m mloscope.app.demo.training ORDER."""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from mloscope.app.demo.images import TrainingImages, read_digits, read_pictures
from mloscope.app.demo.networks import NETWORKS
from mloscope.app.demo.progress import Progress
from mloscope.app.demo.recipe import Recipe
from mloscope.app.demo.run_folder import TrainingLog, appearing, begin, mark_complete, save_checkpoint
from mloscope.app.errors import MloscopeError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

LOGGED_TEST_IMAGES = 2000
"""Test images behind ``val_loss`` and ``val_accuracy``; the accuracy reported at the end is over all."""
SCORED_AT_ONCE = 500


def train(run: Path, recipe: Recipe, images: TrainingImages, stream: TextIO, model: keras.Model | None = None) -> None:
    """Train and save into the folder ``run``; mark it complete at the end. Imports TensorFlow."""
    import keras

    begin(run, recipe)
    keras.utils.set_random_seed(recipe.seed)
    if model is None:
        model = NETWORKS[recipe.network](len(images.class_names), recipe.seed)
    prepare = write_run_note(run, recipe, images)
    began = time.monotonic()
    fitted = _Fitted(model, recipe, images.training_pixels.shape[1:], prepare)
    progress = Progress(stream, recipe.checkpoints[-1])
    _fit(fitted, run, images, progress)
    accuracy = fitted.score(images.test_pixels, images.test_labels)[1]
    seconds = time.monotonic() - began
    mark_complete(run, recipe, accuracy, seconds)
    progress.say(
        f"Trained {recipe.checkpoints[-1]} steps in {seconds:.0f} s and saved {len(recipe.checkpoints)} checkpoints; "
        f"{100 * accuracy:.1f} % of {len(images.test_labels)} test images are classified correctly."
    )


def _fit(fitted: _Fitted, run: Path, images: TrainingImages, progress: Progress) -> None:
    """Take every step of the recipe; save and log at its checkpoints."""
    recipe, log = fitted.recipe, TrainingLog(run, fitted.recipe)
    held_out = images.test_pixels[:LOGGED_TEST_IMAGES], images.test_labels[:LOGGED_TEST_IMAGES]
    first = slice(10 * recipe.batch)
    test = fitted.score(*held_out)
    log.add(0, fitted.score(images.training_pixels[first], images.training_labels[first]), test)
    save_checkpoint(fitted.model, run, 0)
    progress.update(0)
    since: list[tuple[Any, Any]] = []
    for step, part in enumerate(itertools.islice(_batches(recipe), recipe.checkpoints[-1]), start=1):
        since.append(fitted.step(step, images.training_pixels[part], images.training_labels[part]))
        if step in recipe.checkpoints:
            means = np.array([[float(loss), float(accuracy)] for loss, accuracy in since]).mean(axis=0)
            since.clear()
            test = fitted.score(*held_out)
            save_checkpoint(fitted.model, run, step)
            log.add(step, (float(means[0]), float(means[1])), test)
        epoch = (step - 1) // recipe.steps_per_epoch + 1
        progress.update(step, f"epoch {epoch} of {recipe.epochs}, {100 * test[1]:.1f} % right")


class _Fitted:
    """A model while it is fitted.

    Gradient descent with momentum, ``v = momentum v - rate (gradient + decay w)``, ``w += v``, as cuda-convnet has it."""

    def __init__(
        self, model: keras.Model, recipe: Recipe, shape: Sequence[int], prepare: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        import keras
        import tensorflow as tf

        self.model, self.recipe, self._prepare = model, recipe, prepare
        self._variables = model.trainable_variables
        self._optimizer = keras.optimizers.SGD(recipe.learning_rate, momentum=recipe.momentum)
        self._optimizer.build(self._variables)
        layer_of = {id(v): layer.name for layer in model.layers for v in layer.trainable_variables}
        self._decays = [
            0.0 if v.name == "bias" else recipe.weight_decay.get(layer_of[id(v)], 0.0) for v in self._variables
        ]
        self._speeds = [recipe.bias_speed if v.name == "bias" else 1.0 for v in self._variables]
        signature = [tf.TensorSpec((None, *shape), tf.float32), tf.TensorSpec((None,), tf.int32)]
        self._step = tf.function(self._step_once, input_signature=signature)
        self._judge = tf.function(lambda x, y: self._judged(x, y, False), input_signature=signature)

    def step(self, number: int, pixels: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
        """Take the step of this number, counted from 1; loss and accuracy before it, scalar tensors."""
        recipe = self.recipe
        if recipe.slower_after_epochs and number == recipe.slower_after_epochs * recipe.steps_per_epoch + 1:
            self._optimizer.learning_rate.assign(recipe.learning_rate / 10)
        return self._step(self._prepare(pixels), labels)

    def score(self, pixels: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
        """Mean loss and accuracy."""
        sums = np.zeros(2)
        for start in range(0, len(labels), SCORED_AT_ONCE):
            part = slice(start, start + SCORED_AT_ONCE)
            judged = self._judge(self._prepare(pixels[part]), labels[part])
            sums += len(labels[part]) * np.array([float(value) for value in judged])
        return float(sums[0] / len(labels)), float(sums[1] / len(labels))

    def _judged(self, pixels: tf.Tensor, labels: tf.Tensor, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        import keras
        import tensorflow as tf

        given = self.model(pixels, training=training)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, given))
        return loss, tf.reduce_mean(tf.cast(tf.argmax(given, 1, tf.int32) == labels, tf.float32))

    def _step_once(self, pixels: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss, accuracy = self._judged(pixels, labels, True)
        gradients = tape.gradient(loss, self._variables)
        self._optimizer.apply(
            [
                speed * (gradient + decay * variable if decay else gradient)
                for speed, gradient, decay, variable in zip(
                    self._speeds, gradients, self._decays, self._variables, strict=True
                )
            ],
            self._variables,
        )
        return loss, accuracy


def _batches(recipe: Recipe) -> Iterator[np.ndarray]:
    """Positions of training images, each once an epoch, in a random order."""
    order = np.random.default_rng(recipe.seed)
    while True:
        permuted = order.permutation(recipe.training_images)
        for start in range(0, len(permuted), recipe.batch):
            yield permuted[start : start + recipe.batch]


def write_run_note(run: Path, recipe: Recipe, images: TrainingImages) -> Callable[[np.ndarray], np.ndarray]:
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
        pictures = read_digits(images) if recipe.network == "lenet" else read_pictures(images)
        train(Path(order["run"]), recipe, pictures, stream)
    except KeyboardInterrupt:
        print("\nStopped; next time, training starts again from the beginning.", file=sys.stderr)
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


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
