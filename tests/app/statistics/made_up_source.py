"""A network made up of arithmetic, for workers in any process: no TensorFlow, no files but one that counts."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.app.errors import NotPossible
from mloscope.app.statistics.computing.tasks import Inputs, Span
from mloscope.app.statistics.patches.search import PatchSearch

CLASSES = 7


def labels(images: int) -> np.ndarray:
    """int32 (image,); every eleventh is not known."""
    known = (np.arange(images, dtype=np.int32) * 5) % CLASSES
    known[::11] = -1
    return known


def expected(step: int, positions: np.ndarray) -> np.ndarray:
    """float32 (image, class): different for every step and image."""
    values = np.sin(positions[:, None] * (np.arange(CLASSES) + 1) + step).astype(np.float32)
    powers = np.exp(values)
    return powers / powers.sum(axis=1, keepdims=True)


def maps(layer: str, step: int, positions: np.ndarray) -> np.ndarray:
    """float32: of "conv" (image, 3, 4, 5), with many ties; of "dense" (image, 6). Unit 1 is never above 0, at step 20 unit 2
    is NaN."""
    places = (3, 4, 5) if layer == "conv" else (6,)
    place = np.arange(np.prod(places)).reshape(places)
    values = np.round(4 * np.sin(np.multiply.outer(positions + 1.0, place + 1) + step)).astype(np.float32)
    values[..., 1] = np.minimum(values[..., 1], 0)
    if step == 20:
        values[..., 2] = np.nan
    return values


@dataclass(frozen=True)
class MadeUpSource:
    """``log``: a file that gets a line for every slice that is prepared (``prepare START``) or evaluated (``evaluate STEP
    START PID``). ``broken`` steps cannot be evaluated, ``poisoned`` ones give NaN, ``changing`` ones change meanwhile,
    ``sick`` ones take the process's memory, ``unwritable`` ones find the disk full."""

    images: int
    log: str
    delay_s: float = 0.0
    broken: tuple[int, ...] = ()
    poisoned: tuple[int, ...] = ()
    changing: tuple[int, ...] = ()
    sick: tuple[int, ...] = ()
    unwritable: tuple[int, ...] = ()
    closed: bool = False

    def open(self) -> OpenMadeUp:
        if self.closed:
            raise NotPossible("There is no TensorFlow on this worker.")
        return OpenMadeUp(self)


class OpenMadeUp:
    def __init__(self, source: MadeUpSource) -> None:
        self._source = source
        self.labels = labels(source.images)
        self._evaluated: set[int] = set()

    def _note(self, line: str) -> None:
        with open(self._source.log, "a") as file:
            file.write(line + "\n")

    def prepare(self, span: Span) -> Inputs:
        self._note(f"prepare {span[0]}")
        return Inputs((np.arange(*span, dtype=np.float32).reshape(-1, 1, 1, 1),))

    def probabilities(self, step: int, inputs: Inputs, search: PatchSearch | None = None) -> np.ndarray:
        source, positions = self._source, inputs.batches[0].ravel()
        self._note(f"evaluate {step} {int(positions[0])} {os.getpid()}")
        time.sleep(source.delay_s)
        if step in source.broken:
            raise NotPossible(f"step {step} is cut off.")
        if step in source.sick:
            raise MemoryError
        if step in source.unwritable:
            raise OSError(28, "No space left on device", "store")
        if search is not None:
            for batch in np.array_split(positions, 3):
                search.see({name: maps(name, step, batch) for name in search.layers}, np.ones(len(batch), bool))
        self._evaluated.add(step)
        rows = expected(step, positions)
        if step in source.poisoned:
            rows[:] = np.nan
        return rows

    def fingerprint(self, step: int) -> str:
        return f"changed {step}" if step in self._source.changing and step in self._evaluated else f"{step}"

    def describe(self) -> dict[str, Any]:
        return {"classes": CLASSES, "device": "arithmetic", "versions": {"arithmetic": "1"}}


def noted(log: Path, what: str) -> list[str]:
    """The lines of one kind, without the kind."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{what} ")]
