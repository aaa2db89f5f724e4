"""Predictions that were computed elsewhere, imported into the store: section 4.3 of the report. No model is needed.

    files ──read──► Predictions (rows, by image name or in order) ──checked──► rows in the split's order ──► plane

Everything that does not fit is one sentence with the file, the image and the value. Rows that hold NaN count as not
predicted, and are said. A file comes in as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.files.checkpoint_steps import Reading, read_steps
from mloscope.adaptors.files.numbers_in_names import numbers_in
from mloscope.adaptors.interface import Checkpoint, CorpusAdaptor
from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.evaluation.class_matching import ClassMatch
from mloscope.app.model_service.class_probabilities import softmax
from mloscope.app.statistics.identity import CODE_VERSION, Identity
from mloscope.app.statistics.importing.prediction_files import LOGITS, PROBABILITIES, Predictions, read_predictions
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.workspace import Workspace

SUM_TOLERANCE = 1e-2
"""Probabilities of an image sum to 1 so nearly; float16 and three printed digits do."""
_BLOCK_VALUES = 4_000_000
_DYNAMICS = re.compile(r"dynamics_epoch_(\d+)\.jsonl")


@dataclass(frozen=True)
class Imported:
    """What came of one file."""

    step: int
    plane: StepStatistics
    notices: tuple[str, ...] = ()


@dataclass
class Importer:
    """Brings files into a store, for one run over one split of one corpus of a workspace."""

    workspace: Workspace
    store: StatisticsStore
    identity: Identity
    run: str
    corpus: str
    split: str
    kind: str | None = None
    """What files that do not say hold: PROBABILITIES or LOGITS; None: probabilities, if they are any."""
    form: str | None = None
    _places: dict[str, int] = field(default_factory=dict, repr=False)

    def steps(self, files: Sequence[tuple[int | None, Path]]) -> dict[int, Path]:
        """Which file is whose: by the step given with it, else the step that the names tell (``checkpoint_steps.py``); of
        ``dynamics_epoch_N`` an epoch where the run's checkpoints know theirs. Raises :class:`NotFound` for a step that
        the run has not, and :class:`BadRequest` for a file without one, or two files of one step."""
        checkpoints = self.workspace.opened_run(self.run).checkpoints
        found: dict[int, Path] = {}
        reading = read_steps([path.stem for given, path in files if given is None])
        for given, path in files:
            step = given if given is not None else _step_of(path, reading, checkpoints)
            if step not in {checkpoint.step for checkpoint in checkpoints}:
                raise NotFound(
                    f"{path} is of step {step}, and the run has no checkpoint of that step; it has {_some(checkpoints)}. "
                    f"STEP=FILE says which step a file is of, as in {checkpoints[0].step if checkpoints else 0}={path}."
                )
            if step in found:
                raise BadRequest(f"{found[step]} and {path} are both of step {step}; a step has one file.")
            found[step] = path
        return dict(sorted(found.items()))

    def bring_in(self, step: int, path: Path) -> Imported:
        """Check a file and make a plane of it. Raises :class:`BadRequest` where it does not fit."""
        predictions = read_predictions(path, self.class_names)
        order = self._order(predictions)
        labels = self._labels
        self._check_labels(predictions, order, labels)
        kind = self._kind(predictions)
        key, lost = self._examined(predictions, order, kind)
        plane = self.store.find(key)
        if plane is None:
            plane = self._made(key, step, predictions, order, kind, labels)
        self.store.record_import(
            self.identity.series(self.run, self.corpus, self.split),
            step,
            key,
            {"source": "imported", "file": path.name},
        )
        notices = ()
        if len(lost):
            notices = (
                f"{path}: {len(lost):,} images hold NaN and count as not predicted, the first of them is "
                f"{self._name(int(lost[0]))}.",
            )
        return Imported(step, plane, notices)

    # ------------------------------------------------------------------------------------------- checking

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.workspace.class_names(self.run, self.corpus)

    @property
    def _classes(self) -> ClassMatch:
        return self.workspace.basis(self.run, self.corpus).classes

    @property
    def _adaptor(self) -> CorpusAdaptor:
        return self.workspace.opened_corpus(self.corpus).adaptor

    @property
    def _positions(self) -> range:
        return self._adaptor.splits[self.split]

    @property
    def _labels(self) -> np.ndarray:
        own = np.asarray(self._adaptor.labels)[self._positions.start : self._positions.stop]
        return self._classes.outputs_of(own)

    def _name(self, position: int) -> str:
        """Of an image of the split, for sentences."""
        return f'"{self._adaptor.names()[self._positions[position]]}"'

    def _order(self, predictions: Predictions) -> np.ndarray:
        """int64 (image,): the row of each image of the split."""
        images, path = len(self._positions), predictions.path
        if predictions.names is None:
            if predictions.rows != images:
                raise BadRequest(
                    f"{path} has {predictions.rows:,} rows and no names of images, but the split "
                    f'"{self.split}" has {images:,} images; there must be one row for each, in their order.'
                )
            return np.arange(images)
        places = self._known_places(predictions.names)
        order = np.full(images, -1, np.int64)
        for row, name in enumerate(predictions.names):
            place = places.get(name)
            if place is None:
                raise BadRequest(
                    f'{path}, row {row + 1}: the split "{self.split}" of the corpus has no image "{name}"; its images '
                    f"are called {self._name(0)} and so on, or by their ids."
                )
            if place < 0:
                raise BadRequest(
                    f'{path}, row {row + 1}: several images of the split are called "{name}"; name them by their ids.'
                )
            if order[place] >= 0:
                raise BadRequest(f'{path}: the image "{name}" occurs twice, in rows {order[place] + 1} and {row + 1}.')
            order[place] = row
        missing = np.flatnonzero(order < 0)
        if len(missing):
            raise BadRequest(
                f"{path} has no row for {len(missing):,} of the {images:,} images of the split "
                f'"{self.split}", the first of them is {self._name(int(missing[0]))}.'
            )
        return order

    def _known_places(self, names: Sequence[str]) -> Mapping[str, int]:
        """Positions by id and by name, -1 for a name that several have; else, where files count images, by number."""
        if not self._places:
            all_names = self._adaptor.names()
            for place, position in enumerate(self._positions):
                name = all_names[position]
                self._places[name] = -1 if name in self._places else place
            for place, position in enumerate(self._positions):
                self._places[self._adaptor.record(position).id] = place
        if names and names[0] not in self._places and all(name.isdecimal() for name in names):
            return {str(place): place for place in range(len(self._positions))}
        return self._places

    def _check_labels(self, predictions: Predictions, order: np.ndarray, labels: np.ndarray) -> None:
        """A file that knows labels, and other ones than the corpus, is of other images or in another order."""
        if predictions.labels is None:
            return
        said = predictions.labels[order]
        wrong = np.flatnonzero((said >= 0) & (labels >= 0) & (said != labels))
        if len(wrong):
            first = int(wrong[0])
            raise BadRequest(
                f"{predictions.path} gives {self._name(first)} the label {said[first]}, and the corpus gives it "
                f"{labels[first]} ({len(wrong):,} labels differ); file and corpus do not belong together, or the order "
                "of the images is another."
            )

    def _kind(self, predictions: Predictions) -> str:
        classes = self.class_names
        highest = int(self._labels.max(initial=-1))
        if highest >= predictions.classes:
            raise BadRequest(
                f"{predictions.path} has {predictions.classes} classes, but images of the split have labels up to {highest}."
            )
        if classes and predictions.classes != len(classes):
            raise BadRequest(
                f"{predictions.path} has {predictions.classes} classes, where the run and its corpus have {len(classes)}."
            )
        return predictions.kind or self.kind or PROBABILITIES

    def _examined(self, predictions: Predictions, order: np.ndarray, kind: str) -> tuple[str, np.ndarray]:
        """The key of the plane that this content makes, and the positions of the images that hold NaN."""
        digest = hashlib.sha256(
            json.dumps(
                [
                    CODE_VERSION, "imported", self.identity.corpus(self.corpus),
                    [self._positions.start, self._positions.stop], predictions.classes, self.form,
                    self._classes.corpus_classes,
                ]
            ).encode()
        )  # fmt: skip
        lost = []
        for start, stop in _blocks(len(order), predictions.classes):
            rows = _in_order(predictions, order[start:stop])
            if kind == PROBABILITIES:
                self._check_probabilities(predictions, rows, start)
            rows = softmax(rows) if kind == LOGITS else rows
            lost.append(np.flatnonzero(np.isnan(rows).any(axis=1)) + start)
            digest.update(np.ascontiguousarray(rows, "<f4").tobytes())
        return digest.hexdigest(), np.concatenate(lost) if lost else np.empty(0, np.int64)

    def _check_probabilities(self, predictions: Predictions, rows: np.ndarray, start: int) -> None:
        how = "say --logits if these are logits"
        with np.errstate(invalid="ignore"):
            outside = (rows < 0) | (rows > 1 + SUM_TOLERANCE)
            sums = rows.sum(axis=1, dtype=np.float64)
            wrong = np.abs(sums - 1) > SUM_TOLERANCE
        if outside.any():
            row, column = (int(number) for number in np.argwhere(outside)[0])
            raise BadRequest(
                f"{predictions.path} gives {self._name(start + row)} the probability {rows[row, column]:g} of class "
                f"{column}; probabilities are from 0 to 1 ({how})."
            )
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise BadRequest(
                f"{predictions.path}: the probabilities of {self._name(start + row)} sum to {sums[row]:g}; they must sum "
                f"to 1 ({how})."
            )

    def _made(
        self, key: str, step: int, predictions: Predictions, order: np.ndarray, kind: str, labels: np.ndarray
    ) -> StepStatistics:
        run = self.workspace.opened_run(self.run)
        about: dict[str, Any] = {
            "run": str(run.path.expanduser().absolute()),
            "format": run.format,
            "step": step,
            "corpus": str(self.workspace.corpus(self.corpus).path.expanduser().absolute()),
            "split": self.split,
            "source": "imported",
            "file": str(predictions.path.absolute()),
            "kind": "softmax of logits" if kind == LOGITS else "probabilities",
            "images": len(order),
            "classes": predictions.classes,
        }
        if self.form is not None:
            about["form"] = self.form
        unfinished = self.store.begin(key, about, labels)
        for start, stop in unfinished.missing(_blocks(len(order), predictions.classes)):
            rows = _in_order(predictions, order[start:stop])
            unfinished.write(start, stop, softmax(rows) if kind == LOGITS else rows)
        return unfinished.finish()


def _blocks(images: int, classes: int) -> list[tuple[int, int]]:
    size = max(1, _BLOCK_VALUES // max(1, classes))
    return [(start, min(start + size, images)) for start in range(0, images, size)]


def _in_order(predictions: Predictions, rows: np.ndarray) -> np.ndarray:
    """float32 (image, class) of these rows."""
    first, last = int(rows.min()), int(rows.max())
    block = predictions.block(first, last + 1)  # neighbours mostly stay neighbours
    if len(block) == len(rows) and (rows == np.arange(first, last + 1)).all():
        return np.array(block, np.float32)
    return np.asarray(block[rows - first], np.float32)


def _step_of(path: Path, reading: Reading, checkpoints: Sequence[Checkpoint]) -> int:
    dynamics = _DYNAMICS.fullmatch(path.name)
    if dynamics:
        epoch = int(dynamics[1])
        same = [checkpoint.step for checkpoint in checkpoints if checkpoint.epoch == epoch]
        return same[0] if len(same) == 1 else epoch
    if path.stem in reading.steps:
        return reading.steps[path.stem]
    known = {checkpoint.step for checkpoint in checkpoints}
    numbers = {number.value for number in numbers_in(path.stem) if number.value is not None}
    for told in (numbers & known, numbers):
        if len(told) == 1:
            return told.pop()
    raise BadRequest(
        f"The name of {path} {'does not say which of its numbers' if numbers else 'holds no number that'} is a step of "
        f"the run; STEP=FILE does, as in 100={path}."
    )


def _some(checkpoints: Sequence[Checkpoint]) -> str:
    steps = [str(checkpoint.step) for checkpoint in checkpoints]
    return ", ".join(steps[:12]) + (f" and {len(steps) - 12} more, to {steps[-1]}" if len(steps) > 12 else "")
