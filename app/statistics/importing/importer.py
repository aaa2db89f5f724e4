"""Predictions that were computed elsewhere, brought into the store: section 4.3 of the report. No model is needed.

    files ──read──► Predictions (rows, by image name or in order) ──checked──► rows in the split's order ──► plane

| file | what it holds |
|---|---|
| ``.npy`` | numbers (image, class), images in the order of the split |
| ``.npz`` | ``probabilities`` or ``logits`` (image, class); ``names`` (image,) where the order is another; ``labels`` |
| ``.csv``, ``.parquet`` | a row an image: a column a class, or (Parquet) a column of lists ``probabilities`` or ``logits``; |
| | a column ``name``, ``id`` or ``image``, and ``label``, where there are such |
| ``dynamics_epoch_N.jsonl`` | Dataset Cartography: ``{"guid", "logits_epoch_N": [...], "gold"}`` a line |

Everything that does not fit is one sentence with the file, the image and the value. Rows that hold NaN count as not
predicted, and are said. A file comes in as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.files.checkpoint_steps import Reading, read_steps
from mloscope.adaptors.files.expansion import check_expansion
from mloscope.adaptors.files.numbers_in_names import numbers_in
from mloscope.adaptors.files.regular_files import check_regular, open_regular
from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import AdaptorError, Checkpoint, CorpusAdaptor
from mloscope.app.errors import BadRequest, NotFound, Unavailable, from_adaptor
from mloscope.app.evaluation.class_matching import ClassMatch
from mloscope.app.model_service.class_probabilities import softmax
from mloscope.app.statistics.identity import CODE_VERSION, Identity
from mloscope.app.statistics.stored.step_statistics import StepStatistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.workspace import Workspace

PROBABILITIES, LOGITS = "probabilities", "logits"
NAME_COLUMNS = ("name", "id", "image", "file", "filename", "guid")
LABEL_COLUMNS = ("label", "actual", "gold", "true")
SUM_TOLERANCE = 1e-2
"""Probabilities of an image sum to 1 so nearly; float16 and three printed digits do."""
_BLOCK_VALUES = 4_000_000
_LONGEST_LINE = 64 << 20
_DYNAMICS = re.compile(r"dynamics_epoch_(\d+)\.jsonl")


@dataclass(frozen=True)
class Predictions:
    """What a file holds."""

    path: Path
    rows: int
    classes: int
    block: Callable[[int, int], np.ndarray]
    """``block(start, stop)``: float32 (row, class)"""
    kind: str | None = None
    """PROBABILITIES or LOGITS where the file says which, else None."""
    names: Sequence[str] | None = None
    """Of the image of each row; None: the rows are in the order of the split."""
    labels: np.ndarray | None = None
    """int64 (row,), -1 for none"""


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
                raise BadRequest(
                    f'{path}: the image "{name}" stands in it twice, in the rows {order[place] + 1} and {row + 1}.'
                )
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


# ----------------------------------------------------------------------------------------------------- reading


def read_predictions(path: Path, class_names: Sequence[str] = ()) -> Predictions:
    """What the file holds, read as far as its rows are asked for. ``class_names`` tells which column is which class
    where columns have their names. Raises :class:`NotFound` or :class:`BadRequest`."""
    readers: dict[str, Callable[[Path, Sequence[str]], Predictions]] = {
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
        ".jsonl": _read_dynamics,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadRequest(f"{path} is none of the files that predictions are read from: {', '.join(readers)}.")
    try:
        check_regular(path)
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror or error}.") from error
    try:
        return reader(path, class_names)
    except AdaptorError as error:
        raise from_adaptor(error) from error
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise BadRequest(f"{path} cannot be read as {path.suffix}: {' '.join(str(error).split())[:300]}.") from error


def _read_npy(path: Path, _class_names: Sequence[str]) -> Predictions:
    return _of_array(path, np.load(path, mmap_mode="r", allow_pickle=False))


def _read_npz(path: Path, _class_names: Sequence[str]) -> Predictions:
    with zipfile.ZipFile(path) as packed:
        for member in packed.infolist():
            check_expansion(member.file_size, member.compress_size, f"{path}: {member.filename}")
    with np.load(path, allow_pickle=False) as archive:
        found = [name for name in (PROBABILITIES, LOGITS) if name in archive]
        if len(found) != 1:
            held = ", ".join(archive.files) or "nothing"
            raise BadRequest(f'{path} must hold either "{PROBABILITIES}" or "{LOGITS}"; it holds {held}.')
        values = archive[found[0]]
        names = archive.get("names")
        labels = archive.get("labels")
    return _of_array(path, values, found[0], None if names is None else _as_names(names), labels)


def _read_dynamics(path: Path, _class_names: Sequence[str]) -> Predictions:
    """Swayamdipta et al., Dataset Cartography, 2020: training dynamics of one epoch, a line an instance."""
    rows, names, labels, field_name = [], [], [], ""
    with io.TextIOWrapper(open_regular(path), encoding="utf-8") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), ""), start=1):
            if not line.strip():
                continue
            if len(line) > _LONGEST_LINE:
                raise BadRequest(f"{path}, line {number} is longer than {_LONGEST_LINE:,} letters.")
            record = json.loads(line)
            field_name = field_name or next((key for key in record if str(key).startswith("logits")), "")
            logits = record.get(field_name) if isinstance(record, dict) else None
            if not isinstance(logits, list) or "guid" not in record:
                raise BadRequest(
                    f'{path}, line {number}: there must be "guid" and "logits_epoch_N", a list of numbers.'
                )
            if rows and len(logits) != len(rows[0]):
                raise BadRequest(
                    f"{path}, line {number}: {field_name} has {len(logits)} numbers, and {len(rows[0])} before."
                )
            rows.append(np.asarray(logits, np.float32))
            names.append(str(record["guid"]))
            gold = record.get("gold")
            labels.append(gold if isinstance(gold, int) else -1)
    if not rows:
        raise BadRequest(f"{path} holds no line.")
    return _of_array(path, np.stack(rows), LOGITS, names, np.asarray(labels))


def _read_csv(path: Path, class_names: Sequence[str]) -> Predictions:
    csv = _arrow("csv")
    return _of_table(path, csv.read_csv(path), class_names)


def _read_parquet(path: Path, class_names: Sequence[str]) -> Predictions:
    parquet = _arrow("parquet")
    return _of_table(path, parquet.read_table(path), class_names)


def _arrow(part: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"pyarrow.{part}")
    except ImportError as error:
        raise Unavailable(
            f"CSV and Parquet are read by pyarrow, which cannot be loaded ({error}): {how_to_add('statistics')}"
        ) from error


def _of_table(path: Path, table: Any, class_names: Sequence[str]) -> Predictions:
    columns = [str(name) for name in table.column_names]
    lower = {name.lower(): name for name in columns}
    name_column = next((lower[name] for name in NAME_COLUMNS if name in lower and lower[name] not in class_names), None)
    label_column = next(
        (lower[name] for name in LABEL_COLUMNS if name in lower and lower[name] not in class_names), None
    )
    names = None
    if name_column is not None:
        names = [str(name) for name in table.column(name_column).to_pylist()]
    labels = None
    if label_column is not None:
        labels = _as_labels(path, label_column, table.column(label_column).to_pylist(), class_names)
    kind = next((kind for kind in (PROBABILITIES, LOGITS) if kind in lower), None)
    if kind is not None:
        lists = table.column(lower[kind]).to_pylist()
        lengths = {len(row) if row is not None else 0 for row in lists}
        if len(lengths) != 1:
            raise BadRequest(
                f'{path}: the lists in "{lower[kind]}" have {min(lengths)} to {max(lengths)} numbers; all must have as many.'
            )
        return _of_array(path, np.asarray(lists, np.float32), kind, names, labels)
    rest = [name for name in columns if name not in (name_column, label_column)]
    if class_names and set(class_names) == set(rest):
        rest = list(class_names)
    elif class_names and len(rest) != len(class_names):
        missing = [name for name in class_names if name not in rest][:5]
        raise BadRequest(
            f"{path} has {len(rest)} columns of numbers, and there are {len(class_names)} classes"
            + (f"; there is no column {', '.join(missing)}" if len(missing) < len(class_names) else "")
            + "."
        )
    values = np.empty((table.num_rows, len(rest)), np.float32)
    for number, name in enumerate(rest):
        column = table.column(name)
        try:
            values[:, number] = column.to_numpy().astype(np.float32)
        except (ValueError, TypeError) as error:
            raise BadRequest(f'{path}: the column "{name}" holds {column.type}, not numbers.') from error
    return _of_array(path, values, None, names, labels)


def _of_array(
    path: Path,
    values: np.ndarray,
    kind: str | None = None,
    names: Sequence[str] | None = None,
    labels: np.ndarray | None = None,
) -> Predictions:
    if values.ndim != 2 or values.dtype.kind not in "fiu" or values.shape[1] < 2:
        raise BadRequest(
            f"{path} holds {values.dtype} of the shape {values.shape}; predictions are numbers of the shape "
            "(image, class), with two classes at least."
        )
    rows, classes = values.shape
    for what, listed in (("names", names), ("labels", labels)):
        if listed is not None and len(listed) != rows:
            raise BadRequest(f"{path} has {len(listed):,} {what} and {rows:,} rows; there must be one for each.")
    if labels is not None:
        labels = np.asarray(labels)
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise BadRequest(f"{path}: labels must be whole numbers; they are {labels.dtype} of shape {labels.shape}.")
        labels = labels.astype(np.int64)
    return Predictions(
        path, rows, classes, lambda start, stop: np.asarray(values[start:stop], np.float32), kind, names, labels
    )


def _as_names(names: np.ndarray) -> list[str]:
    return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names.tolist()]


def _as_labels(path: Path, column: str, labels: Sequence[Any], class_names: Sequence[str]) -> np.ndarray:
    numbers = {name: number for number, name in enumerate(class_names)}
    found = np.full(len(labels), -1, np.int64)
    for row, label in enumerate(labels):
        if label is None:
            continue
        if isinstance(label, int):
            found[row] = label
        elif label in numbers:
            found[row] = numbers[label]
        else:
            raise BadRequest(f'{path}, row {row + 1}: the {column} "{label}" is the name of no class.')
    return found
