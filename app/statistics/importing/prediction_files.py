"""Files of predictions that were computed elsewhere, read block by block: one larger than memory can be imported.

| file | what it holds |
|---|---|
| ``.npy`` | numbers (image, class), images in the order of the split |
| ``.npz`` | ``probabilities`` or ``logits`` (image, class); ``names`` (image,) for another order; ``labels`` |
| ``.csv``, ``.parquet`` | a row per image: a column per class, or (Parquet) a column of lists ``probabilities`` or ``logits``; |
| | optionally a column ``name``, ``id`` or ``image``, and ``label`` |
| ``dynamics_epoch_N.jsonl`` | Dataset Cartography: ``{"guid", "logits_epoch_N": [...], "gold"}`` per line |
"""

from __future__ import annotations

import io
import itertools
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mloscope.adaptors.files.expansion import check_expansion
from mloscope.adaptors.files.regular_files import check_regular, open_regular
from mloscope.adaptors.installation import how_to_add
from mloscope.adaptors.interface import AdaptorError
from mloscope.app.errors import BadRequest, NotFound, Unavailable, from_adaptor

PROBABILITIES, LOGITS = "probabilities", "logits"
NAME_COLUMNS = ("name", "id", "image", "file", "filename", "guid")
LABEL_COLUMNS = ("label", "actual", "gold", "true")
_LONGEST_LINE = 64 << 20
_CSV_BLOCK_BYTES = 8 << 20
_BLOCK_ROWS = 1024


@dataclass(frozen=True)
class Predictions:
    """What a file holds."""

    path: Path
    rows: int
    classes: int
    block: Callable[[int, int], np.ndarray]
    """``block(start, stop)``: float32 (row, class)"""
    kind: str | None = None
    """PROBABILITIES or LOGITS if the file says which, else None."""
    names: Sequence[str] | None = None
    """Of the image of each row; None: the rows are in the order of the split."""
    labels: np.ndarray | None = None
    """int64 (row,), -1 for none"""


def read_predictions(path: Path, class_names: Sequence[str] = ()) -> Predictions:
    """Open a file of predictions. ``class_names`` tells which column is which class if columns are called as classes are.
    Raises :class:`NotFound` or :class:`BadRequest`."""
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


# ------------------------------------------------------------------------------------------------------- arrays


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


# ------------------------------------------------------------------------------------------------- rows in blocks


def _spooled(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """The rows of all blocks, float32 (row, class), in a temporary file without a name that goes with the array."""
    classes = 0
    with tempfile.TemporaryFile(prefix="mloscope-import-") as file:
        for block in blocks:
            classes = block.shape[1]
            block.astype("<f4", copy=False).tofile(file)
        rows = file.tell() // max(4 * classes, 1)
        if not rows:
            return np.empty((0, classes), np.float32)
        return np.memmap(file, "<f4", "r", shape=(rows, classes))


def _read_dynamics(path: Path, _class_names: Sequence[str]) -> Predictions:
    """Swayamdipta et al., Dataset Cartography, 2020: training dynamics of one epoch, a line per instance."""
    names: list[str] = []
    labels: list[int] = []

    def rows() -> Iterator[np.ndarray]:
        for name, label, logits in _dynamics_lines(path):
            names.append(name)
            labels.append(label)
            yield logits

    lines = rows()
    values = _spooled(np.stack(block) for block in iter(lambda: list(itertools.islice(lines, _BLOCK_ROWS)), []))
    if not names:
        raise BadRequest(f"{path} holds no line.")
    return _of_array(path, values, LOGITS, names, np.asarray(labels))


def _dynamics_lines(path: Path) -> Iterator[tuple[str, int, np.ndarray]]:
    """Name, label (-1 for none) and logits, float32 (class,), of each line."""
    field, classes = "", None
    with io.TextIOWrapper(open_regular(path), encoding="utf-8") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE + 1), ""), start=1):
            if not line.strip():
                continue
            if len(line) > _LONGEST_LINE:
                raise BadRequest(f"{path}, line {number} is longer than {_LONGEST_LINE:,} letters.")
            record = json.loads(line)
            field = field or next((key for key in record if str(key).startswith("logits")), "")
            logits = record.get(field) if isinstance(record, dict) else None
            if not isinstance(logits, list) or "guid" not in record:
                raise BadRequest(
                    f'{path}, line {number}: there must be "guid" and "logits_epoch_N", a list of numbers.'
                )
            if classes not in (None, len(logits)):
                raise BadRequest(f"{path}, line {number}: {field} has {len(logits)} numbers, and {classes} before.")
            classes = len(logits)
            gold = record.get("gold")
            yield str(record["guid"]), gold if isinstance(gold, int) else -1, np.asarray(logits, np.float32)


# -------------------------------------------------------------------------------------------------------- tables


def _read_csv(path: Path, class_names: Sequence[str]) -> Predictions:
    csv, arrow = _arrow("csv"), _arrow("types").lib
    blocks = csv.ReadOptions(block_size=_CSV_BLOCK_BYTES)
    with csv.open_csv(path, blocks) as reader:
        columns = _Columns.of(path, reader.schema.names, class_names)
    kinds = {name: arrow.float64() for name in columns.classes}
    kinds |= {name: arrow.string() for name in (columns.name, columns.label) if name is not None}
    with csv.open_csv(path, blocks, convert_options=csv.ConvertOptions(column_types=kinds)) as reader:
        return _of_batches(path, columns, reader, class_names)


def _read_parquet(path: Path, class_names: Sequence[str]) -> Predictions:
    with _arrow("parquet").ParquetFile(path) as file:
        columns = _Columns.of(path, file.schema_arrow.names, class_names)
        for name in columns.classes:
            kind = file.schema_arrow.field(name).type
            is_number = _arrow("types").is_floating(kind) or _arrow("types").is_integer(kind)
            if columns.kind is None and not is_number:
                raise BadRequest(f'{path}: the column "{name}" holds {kind}, not numbers.')
        return _of_batches(path, columns, file.iter_batches(_BLOCK_ROWS), class_names)


def _arrow(part: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"pyarrow.{part}")
    except ImportError as error:
        raise Unavailable(
            f"CSV and Parquet are read by pyarrow, which cannot be loaded ({error}): {how_to_add('statistics')}"
        ) from error


@dataclass(frozen=True)
class _Columns:
    """What the columns of a table are."""

    name: str | None
    label: str | None
    classes: Sequence[str]
    """In the order of the classes; the one column of lists if ``kind`` is known."""
    kind: str | None

    @classmethod
    def of(cls, path: Path, columns: Sequence[str], class_names: Sequence[str]) -> _Columns:
        lower = {name.lower(): name for name in columns}

        def first(known: Sequence[str]) -> str | None:
            return next((lower[name] for name in known if name in lower and lower[name] not in class_names), None)

        name, label = first(NAME_COLUMNS), first(LABEL_COLUMNS)
        kind = next((kind for kind in (PROBABILITIES, LOGITS) if kind in lower), None)
        if kind is not None:
            return cls(name, label, [lower[kind]], kind)
        rest = [column for column in columns if column not in (name, label)]
        if class_names and set(class_names) == set(rest):
            rest = list(class_names)
        elif class_names and len(rest) != len(class_names):
            missing = [name for name in class_names if name not in rest][:5]
            raise BadRequest(
                f"{path} has {len(rest)} columns of numbers, and there are {len(class_names)} classes"
                + (f"; there is no column {', '.join(missing)}" if len(missing) < len(class_names) else "")
                + "."
            )
        return cls(name, label, rest, None)


def _of_batches(path: Path, columns: _Columns, batches: Iterable[Any], class_names: Sequence[str]) -> Predictions:
    names: list[str] = []
    labels: list[Any] = []

    def blocks() -> Iterator[np.ndarray]:
        for batch in batches:
            if columns.name is not None:
                names.extend(str(name) for name in batch.column(columns.name).to_pylist())
            if columns.label is not None:
                labels.extend(batch.column(columns.label).to_pylist())
            if columns.kind is not None:
                yield _of_lists(path, columns.classes[0], batch.column(columns.classes[0]))
            else:
                values = [batch.column(name).to_numpy(zero_copy_only=False) for name in columns.classes]
                yield np.stack(values, axis=1).astype(np.float32)

    values = _spooled(blocks())
    found = None if columns.label is None else _as_labels(path, columns.label, labels, class_names)
    return _of_array(path, values, columns.kind, None if columns.name is None else names, found)


def _of_lists(path: Path, name: str, column: Any) -> np.ndarray:
    lengths = {0 if length is None else length for length in column.value_lengths().to_pylist()}
    if len(lengths) > 1:
        raise BadRequest(
            f'{path}: the lists in "{name}" have {min(lengths)} to {max(lengths)} numbers; all must have as many.'
        )
    return column.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(column), -1)


def _as_labels(path: Path, column: str, labels: Sequence[Any], class_names: Sequence[str]) -> np.ndarray:
    """int64 (row,), -1 for none: class numbers if all labels are numbers, else names of classes."""
    known = [None if label in (None, "") else label for label in labels]
    try:
        return np.array([-1 if label is None else int(label) for label in known], np.int64)
    except (TypeError, ValueError):
        numbers = {name: number for number, name in enumerate(class_names)}
    for row, label in enumerate(known, start=1):
        if label is not None and label not in numbers:
            raise BadRequest(f'{path}, row {row}: the {column} "{label}" is not the name of a class.')
    return np.array([-1 if label is None else numbers[label] for label in known], np.int64)
