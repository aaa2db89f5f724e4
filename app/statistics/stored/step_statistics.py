"""The statistics of one checkpoint over one split, as they lie on disk: memory-mapped arrays and a short summary."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.app.errors import NotFound
from mloscope.app.statistics import measures

FULL, TOP = "full", f"top-{measures.TOP_CLASSES}"
"""What is kept of an image's probabilities: all of them, or the TOP_CLASSES largest."""
OF_IMAGES = {
    "actual": "<i4",
    "predicted": "<i4",
    "confidence": "<f4",
    "true_probability": "<f4",
    "margin": "<f4",
    "in_top_5": "|b1",
}
"""Arrays by image that each step has, as :class:`measures.ImageMeasures` describes them, and their types on disk."""


class StepStatistics:
    """What one checkpoint predicts for the images of a split. Files are read only as far as they are asked for.

    Arrays are memory-mapped, read-only, and by image in the order of the split: ``actual`` (int32, -1 not known),
    ``predicted`` (int32, -1 not predicted), ``confidence``, ``true_probability``, ``margin`` (float32), ``in_top_5``
    (bool), ``order`` (int32: positions sorted by cell); ``cells`` is int64 (cell, 3): actual, predicted, count. See
    :mod:`mloscope.app.statistics.measures`, where each is computed.
    """

    actual: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    true_probability: np.ndarray
    margin: np.ndarray
    in_top_5: np.ndarray
    order: np.ndarray
    cells: np.ndarray

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self.about = about
        self.images: int = about["images"]
        self.classes: int = about["classes"]
        self.form: str = about["form"]
        self._arrays: dict[str, np.ndarray] = {}
        self._places: dict[str, tuple[str, int, np.dtype[Any], int, tuple[int, ...]]] = {}

    @property
    def key(self) -> str:
        return self.folder.name

    def __getattr__(self, name: str) -> np.ndarray:
        if name in OF_IMAGES or name in ("order", "cells"):
            return self.array(name)
        raise AttributeError(name)

    @property
    def loss(self) -> np.ndarray:
        """float32 (image,), computed from ``true_probability``: storing it would add a twentieth to the size."""
        return measures.losses(self.true_probability)

    def array(self, name: str) -> np.ndarray:
        """The array in ``<name>.npy``, memory-mapped. Raises :class:`NotFound` if its file was removed."""
        array = self._arrays.get(name)
        if array is None:
            try:
                array = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise self._gone(error) from error
            self._arrays[name] = array
        return array

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What :func:`measures.summarise` returns."""
        try:
            return json.loads((self.folder / "summary.json").read_text())
        except (OSError, ValueError) as error:
            raise self._gone(error) from error

    @property
    def rates(self) -> dict[str, Any]:
        """The summary's single numbers: ``images``, ``labelled``, ``not_predicted``, ``accuracy``, ``top_5_accuracy``,
        ``loss``, ``calibration_error``."""
        return self.about["rates"]

    @property
    def cell_count(self) -> int:
        """How many cells hold at least one image."""
        return self._layout("cells")[2][0]

    @cached_property
    def _offsets(self) -> np.ndarray:
        return np.concatenate([[0], np.cumsum(self.cells[:, 2])])

    @cached_property
    def cell_numbers(self) -> np.ndarray:
        """int64 (cell,), ascending: actual * (classes + 1) + predicted."""
        return self.cells[:, 0] * (self.classes + 1) + self.cells[:, 1]

    def cell(self, actual: int, predicted: int) -> np.ndarray:
        """int32, ascending: positions of the images of class ``actual`` predicted as ``predicted`` (== classes: not
        predicted). Raises :class:`NotFound` for classes that do not exist."""
        if not (0 <= actual < self.classes and 0 <= predicted <= self.classes):
            raise NotFound(
                f"There is no cell of actual {actual} and predicted {predicted}; classes go from 0 to "
                f"{self.classes - 1}, and {self.classes} as the prediction stands for none."
            )
        number = actual * (self.classes + 1) + predicted
        index = int(np.searchsorted(self.cell_numbers, number))
        if index == len(self.cell_numbers) or self.cell_numbers[index] != number:
            return np.empty(0, np.int32)
        return self.order[self._offsets[index] : self._offsets[index + 1]]

    def probabilities(
        self, positions: np.ndarray | Sequence[int] | None = None
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Classes, int64 (image, k), the most probable first, and their probabilities, float32 (image, k). In the form
        "full" the classes are None and the probabilities are of all classes, (image, class). Of the images at these
        positions, or of all."""
        chosen: Any = slice(None) if positions is None else np.asarray(positions, np.int64)
        if self.form == FULL:
            return None, np.asarray(self.array("probabilities")[chosen], np.float32)
        classes = self.array("top_classes")[chosen].astype(np.int64)
        return classes, self.array("top_probabilities")[chosen].astype(np.float32)

    def row(self, position: int, names: Sequence[str]) -> list[np.ndarray]:
        """The row of one image in each of these arrays, read without the memory map (which would read whole pages around
        it)."""
        return [self._row_of(name, position) for name in names]

    def _row_of(self, name: str, position: int) -> np.ndarray:
        place = self._places.get(name)
        if place is None:
            offset, kind, shape = self._layout(name)
            count = int(np.prod(shape[1:], dtype=np.int64))
            place = self._places[name] = (f"{self.folder}/{name}.npy", offset, kind, count, shape[1:])
        path, offset, kind, count, rest = place
        size = count * kind.itemsize
        try:
            file = os.open(path, os.O_RDONLY)
            try:
                data = os.pread(file, size, offset + position * size)
            finally:
                os.close(file)
            return np.frombuffer(data, kind, count).reshape(rest)
        except (OSError, ValueError) as error:
            raise self._gone(error) from error

    def _layout(self, name: str) -> tuple[int, np.dtype[Any], tuple[int, ...]]:
        """Offset of the array's values in its file, in bytes; their type; the array's shape."""
        offset, kind, shape = self.about["arrays"][name]
        return offset, np.dtype(kind), tuple(shape)

    def _gone(self, error: Exception) -> NotFound:
        return NotFound(f"The statistics in {self.folder} were removed or damaged while they were read: {error}.")
