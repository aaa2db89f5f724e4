"""The folder of a demo run: its checkpoints, ``checkpoints.json``, ``mloscope_run.json``, ``training_log.csv`` (one row per
checkpoint: ``loss`` and ``accuracy`` over the training batches since the one before, ``val_loss`` and ``val_accuracy`` over test
images) and ``demo.json``, which holds the recipe and is marked complete last. Every file appears whole or not at all.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mloscope.adaptors.files.regular_files import read_regular
from mloscope.app.demo.recipe import Recipe, as_json
from mloscope.app.errors import NotPossible

if TYPE_CHECKING:
    import keras

RECIPE_FILE = "demo.json"
LOG_FILE = "training_log.csv"
LOG_COLUMNS = ("step", "epoch", "loss", "accuracy", "val_loss", "val_accuracy")
UNFINISHED = ".unfinished-"


def checkpoint_name(step: int) -> str:
    return f"step_{step:06d}.keras"


def is_complete(run: Path, recipe: Recipe) -> bool:
    """Whether the folder holds this recipe's run, all of it."""
    note = read_note(run)
    return (
        bool(note.get("complete"))
        and note.get("recipe") == as_json(recipe)
        and all((run / checkpoint_name(step)).is_file() for step in recipe.checkpoints)
    )


def read_note(run: Path) -> dict[str, Any]:
    try:
        note = json.loads(read_regular(run / RECIPE_FILE, 1 << 20))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def check_is_ours(run: Path) -> None:
    """A folder that no demo made is left alone. Raises :class:`NotPossible`."""
    if not run.exists() or (run / RECIPE_FILE).is_file():
        return
    if not run.is_dir() or any(not entry.name.startswith(UNFINISHED) for entry in run.iterdir()):
        raise NotPossible(f"{run} exists, but is not a demo; choose another folder with --folder, or move it away.")


def begin(run: Path, recipe: Recipe) -> None:
    """Make the folder hold nothing but the note that this recipe is being trained."""
    check_is_ours(run)
    run.mkdir(parents=True, exist_ok=True)
    with appearing(run / RECIPE_FILE) as file:
        file.write(json.dumps({"complete": False, "recipe": as_json(recipe)}, indent=1).encode())
    for leftover in [*run.glob("step_*.keras"), *run.glob(f"{UNFINISHED}*")]:
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


@contextmanager
def appearing(path: Path) -> Iterator[io.BufferedWriter]:
    """A file to write that takes its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
    try:
        with open(unfinished, "wb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def mark_complete(run: Path, recipe: Recipe, accuracy: float, seconds: float) -> None:
    """Note that the folder holds the whole run. ``accuracy``: share of test images, 0..1."""
    shutil.rmtree(run / f"{UNFINISHED}{os.getpid()}", ignore_errors=True)
    note = {
        "complete": True,
        "recipe": as_json(recipe),
        "test_accuracy": round(accuracy, 4),
        "seconds": round(seconds, 1),
    }
    with appearing(run / RECIPE_FILE) as file:
        file.write(json.dumps(note, indent=1).encode())


def save_checkpoint(model: keras.Model, run: Path, step: int) -> None:
    """Keras chooses the format by the ending, so the unfinished file has its final name, in its own
    folder."""
    name = checkpoint_name(step)
    unfinished = run / f"{UNFINISHED}{os.getpid()}" / name
    unfinished.parent.mkdir(exist_ok=True)
    model.save(unfinished)
    unfinished.replace(run / name)


class TrainingLog:
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
