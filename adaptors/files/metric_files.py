"""Read training metrics beside a run's checkpoints: Keras's CSVLogger files and TensorBoard's event files. Read without
TensorFlow and without raising: problems become sentences.

Where files are looked for: in the run's folder; in its subfolders called like logs (:data:`LOG_FOLDERS`), a few levels
deep; and, where the run's folder is called like a folder of checkpoints (:data:`CHECKPOINT_FOLDERS`), in such folders
beside it. A folder of logs that has one called after the run is taken to hold those of other runs as well, and only that
one is read.

How curves are called: a CSV's ``loss`` and ``val_loss`` become ``training loss`` and ``validation loss``; a tag of an
event file in ``train/`` or ``validation/`` becomes ``training <tag>`` or ``validation <tag>``, elsewhere it stays as it
is. Keras counts epochs from zero and says ``epoch 0`` of what was measured after the first; curves here are over epochs
*done*, so its ``epoch_`` tags, and CSV files that begin with epoch 0, are moved by one.

Sources: ``keras/src/callbacks/csv_logger.py``; ``tensorflow/core/lib/io/record_writer.cc``,
``tensorflow/core/util/event.proto``, ``tensorflow/core/framework/summary.proto`` and ``tensor.proto``.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mloscope.adaptors.files.crc32c import masked_crc32c
from mloscope.adaptors.files.protobuf_wire import Message
from mloscope.adaptors.files.regular_files import read_regular
from mloscope.adaptors.interface import AdaptorError, Checkpoint, Curve

LOG_FOLDERS = frozenset({
    "log", "logs", "tensorboard", "tensorboard_logs", "tb", "tb_logs", "events", "summary", "summaries", "metrics", "history",
    "lightning_logs", "train", "training", "validation", "val", "eval", "test",
})  # fmt: skip
CHECKPOINT_FOLDERS = frozenset({
    "checkpoint", "checkpoints", "ckpt", "ckpts", "model", "models", "weights", "saved_models", "snapshots",
    "training_checkpoints",
})  # fmt: skip
MOST_FILES = 64
MOST_LISTED = 10_000
DEEPEST = 4
LARGEST_CSV_BYTES = 64 * 1024 * 1024
LARGEST_EVENTS_BYTES = 256 * 1024 * 1024
MOST_CURVES = 500
MOST_POINTS = 2_000_000
_SPLITS = {
    "train": "training", "training": "training", "val": "validation", "valid": "validation",
    "validation": "validation", "eval": "validation", "test": "test", "testing": "test",
}  # fmt: skip
_TIME_COLUMNS = ("wall_time", "timestamp")
"""In Unix time; a column called ``time`` may mean anything."""
_STEP_COLUMNS = ("step", "global_step", "iteration", "iter")
_UNSPLIT = {"lr": "learning rate", "learning_rate": "learning rate"}
_FLOAT, _DOUBLE, _HALF = 1, 2, 19
_NOTHING = frozenset(("", "na", "none", "null"))


@dataclass(frozen=True)
class MetricFile:
    """A file that may contain metrics; equal as long as it has not changed."""

    path: Path
    name: str
    """Relative to the run's folder."""
    size: int
    changed_ns: int


# ------------------------------------------------------------------------------------------------------- finding


def find_metric_files(run: Path, most_listed: int = MOST_LISTED) -> tuple[MetricFile, ...]:
    """Find the files by name, at most :data:`MOST_FILES` among the first ``most_listed`` names. ``run`` is the run's
    folder or its single file. No file is opened."""
    if not run.exists():
        return ()
    folder = run if run.is_dir() else run.parent
    places: list[tuple[Path, int]] = [(folder, 0)]
    if folder.name.lower() in CHECKPOINT_FOLDERS:
        places += [(each, 1) for each in _subfolders(folder.parent) if each.name.lower() in LOG_FOLDERS]
    found: dict[Path, MetricFile] = {}
    listed = 0
    while places and listed < most_listed and len(found) < MOST_FILES:
        place, depth = places.pop(0)
        inner = []
        try:
            with os.scandir(place) as entries:
                for entry in entries:
                    listed += 1
                    if listed > most_listed:
                        break
                    if _is_metric_name(entry.name):
                        if entry.is_file() and len(found) < MOST_FILES:
                            status = entry.stat()
                            name = os.path.relpath(entry.path, folder).replace(os.sep, "/")
                            found[Path(entry.path)] = MetricFile(
                                Path(entry.path), name, status.st_size, status.st_mtime_ns
                            )
                    elif "." not in entry.name and entry.is_dir(follow_symlinks=False):
                        inner.append(Path(entry.path))
        except OSError:
            continue
        # In the run's folder only subfolders named like logs; within those, all.
        wanted = [each for each in inner if depth > 0 or each.name.lower() in LOG_FOLDERS]
        own = [each for each in wanted if depth > 0 and each.name in (folder.name, folder.parent.name)]
        if depth < DEEPEST:
            places += [(each, depth + 1) for each in sorted(own or wanted)]
    return tuple(sorted(found.values(), key=lambda file: file.name))


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(
                Path(entry.path)
                for entry, _ in zip(entries, range(MOST_LISTED), strict=False)
                if entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []


def _is_metric_name(name: str) -> bool:
    lower = name.lower()
    return lower.endswith((".csv", ".tsv")) or ("tfevents" in lower and not lower.endswith(".profile-empty"))


# ------------------------------------------------------------------------------------------------------- reading


def read_metric_files(
    files: Sequence[MetricFile], most_curves: int = MOST_CURVES
) -> tuple[tuple[Curve, ...], tuple[str, ...]]:
    """Return the curves of all files, and a sentence for each damaged file. If several files have one curve, as event
    files do after a restart, points of the later file replace those of the earlier one at the same step. CSV files
    without a column of epochs or steps are ignored."""
    curves: dict[tuple[str, str, str], tuple[list[float], list[float], list[float], str]] = {}
    problems: list[str] = []
    points = 0
    for file in files:
        if points > MOST_POINTS:
            problems.append(f"{file.name} is left out, for the files before it have {MOST_POINTS:,} points already.")
            continue
        events = "tfevents" in file.name.rpartition("/")[2].lower()
        folder = file.name.rpartition("/")[0]
        try:
            for name, axis, x, y, at_s in _event_points(file, problems) if events else _csv_points(file, problems):
                key = (name, axis, folder if events else file.name)
                if key not in curves:
                    if len(curves) == most_curves:
                        problems.append(f"{file.name} has more than {most_curves} metrics; the others are left out.")
                        break
                    curves[key] = ([], [], [], file.name)
                points += 1
                if points > MOST_POINTS:
                    problems.append(f"{file.name} has more than {MOST_POINTS:,} points; the rest is left out.")
                    break
                for values, value in zip(curves[key], (x, y, at_s), strict=False):
                    values.append(value)
        except (AdaptorError, OSError, ValueError, csv.Error) as error:
            problems.append(f"{file.name} is ignored from where it is broken: {str(error).rstrip('.')}.")
    several = {name for name, _, _ in curves if sum(name == other for other, _, _ in curves) > 1}
    from_zero = {source for (_, axis, _), (x, _, _, source) in curves.items() if axis == "epoch" and min(x) == 0}
    found = []
    for (name, axis, place), (*points_of_curve, source) in curves.items():
        x, y, times = _in_order(*(np.array(values, np.float64) for values in points_of_curve))
        if axis == "epoch" and source in from_zero:
            x = x + 1
        if np.all(x == np.floor(x)) and np.all(np.abs(x) < 2**53):
            x = x.astype(np.int64)
        known = None if np.isnan(times).any() else times
        found.append(Curve(f"{name} ({place})" if name in several else name, axis, x, y, source, times=known))
    return tuple(found), tuple(problems)


def _in_order(x: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, ...]:
    """Sort all ascending by x, unique; the last value written for an x wins."""
    order = np.argsort(x, kind="stable")
    x = x[order]
    last = np.append(x[1:] != x[:-1], True) if len(x) else np.zeros(0, bool)
    return x[last], *(values[order][last] for values in others)


def on_both_axes(
    curves: Sequence[Curve], checkpoints: Sequence[Checkpoint]
) -> tuple[tuple[Curve, ...], tuple[str, ...]]:
    """Convert curves to the other axis where the checkpoints allow it: they carry epochs, or, if none does, their steps
    are themselves epochs, which is assumed, with a notice, if all lie among the epochs of a curve."""
    told = [(checkpoint.epoch, checkpoint.step) for checkpoint in checkpoints if checkpoint.epoch is not None]
    if len({epoch for epoch, _ in told}) > 1:
        epochs, steps = (np.array(sorted(values), np.float64) for values in zip(*told, strict=True))
        pairs = {"epoch": (epochs, steps), "step": (steps, epochs)}
        return tuple(_converted(curve, *pairs[curve.axis]) for curve in curves), ()
    over_epochs = [curve for curve in curves if curve.axis == "epoch" and len(curve.x)]
    if told or not over_epochs or not checkpoints:
        return tuple(curves), ()
    last = max(float(curve.x[-1]) for curve in over_epochs)
    if not all(0 <= checkpoint.step <= last for checkpoint in checkpoints):
        return tuple(curves), ()
    same = [replace(c, converted=c.x.astype(np.float64)) if c.axis == "epoch" else c for c in curves]
    said = (
        f"The checkpoints' steps are read as epochs in the curves of {over_epochs[0].source}, because they all lie among "
        f"its {last:g} epochs."
    )
    return tuple(same), (said,)


def _converted(curve: Curve, known: np.ndarray, other: np.ndarray) -> Curve:
    x = curve.x.astype(np.float64)
    # Strictly ascending, so that every interval has a slope; beyond both ends, extrapolate from the nearest two.
    keep = np.append(True, np.diff(np.maximum.accumulate(known)) > 0)
    known, other = known[keep], other[keep]
    if len(known) < 2:
        return curve
    places = np.interp(x, known, other)
    for end, inner, beyond in ((0, 1, x < known[0]), (-1, -2, x > known[-1])):
        slope = (other[end] - other[inner]) / (known[end] - known[inner])
        places[beyond] = other[end] + (x[beyond] - known[end]) * slope
    return replace(curve, converted=places)


# ----------------------------------------------------------------------------------------------------------- CSV


def _csv_points(file: MetricFile, problems: list[str]) -> Iterator[tuple[str, str, float, float, float]]:
    """Yield name, axis, x, y, and when, NaN where it does not say."""
    if file.size > LARGEST_CSV_BYTES:
        problems.append(f"{file.name} is larger than {LARGEST_CSV_BYTES:,} bytes, so it is not read for metrics.")
        return
    text = read_regular(file.path, LARGEST_CSV_BYTES).decode("utf-8-sig", "replace")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    header = [word.strip() for word in next(rows, [])]
    lower = [word.lower() for word in header]
    at = next((lower.index(word) for word in (*_STEP_COLUMNS, "epoch", "epochs") if word in lower), None)
    if at is None or len(header) < 2:
        return
    axis = "epoch" if lower[at].startswith("epoch") else "step"
    when = next((lower.index(word) for word in _TIME_COLUMNS if word in lower), None)
    axes = {*_STEP_COLUMNS, *_TIME_COLUMNS, "epoch", "epochs", "time", ""}
    columns = [(place, _csv_name(header[place])) for place, word in enumerate(lower) if word not in axes]
    broken: list[int] = []
    for row in rows:
        if not row or row[:1] == header[:1]:  # an appended log may repeat its header
            continue
        x = _number(row[at]) if at < len(row) else None
        if x is None or not math.isfinite(x):
            broken.append(rows.line_num)
            continue
        at_s = _number(row[when]) if when is not None and when < len(row) else None
        at_s = at_s if at_s is not None and math.isfinite(at_s) else math.nan
        for place, name in columns:
            y = _number(row[place]) if place < len(row) else None
            if y is not None:
                yield name, axis, x, y, at_s
    if broken:
        problems.append(
            f"{file.name}: {len(broken)} lines without a number as their {lower[at]} are left out, the first of them "
            f"line {broken[0]}."
        )


def _csv_name(column: str) -> str:
    if column.lower() in _UNSPLIT:
        return _UNSPLIT[column.lower()]
    split, _, rest = column.partition("_")
    if rest and split.lower() in _SPLITS:
        return f"{_SPLITS[split.lower()]} {rest}"[:200]
    return f"training {column}"[:200]


def _number(text: str) -> float | None:
    """Return None if the cell is empty or not a number; ``nan`` is a number."""
    text = text.strip()
    if text.lower() in _NOTHING:
        return None
    try:
        return float(text)
    except ValueError:
        return None


# --------------------------------------------------------------------------------------------------- event files


def _event_points(file: MetricFile, problems: list[str]) -> Iterator[tuple[str, str, float, float, float]]:
    """Yield name, axis, x, y, and when."""
    if file.size > LARGEST_EVENTS_BYTES:
        problems.append(f"{file.name} is larger than {LARGEST_EVENTS_BYTES:,} bytes, so it is not read for metrics.")
        return
    split = next((_SPLITS[each.lower()] for each in reversed(file.name.split("/")[:-1]) if each.lower() in _SPLITS), "")
    for record in _records(read_regular(file.path, LARGEST_EVENTS_BYTES), file.name):
        event = Message(record, file.name)
        if 5 not in event:
            continue
        step = event.signed(2)
        at_s = float(event.reals(1, 8)[-1]) if 1 in event else math.nan
        for value in event.message(5).messages(1):
            y = _scalar(value)
            if y is not None:
                tag = value.text(1)[:200]
                over_epochs = tag.startswith("epoch_")  # Keras's callback writes them, counting from zero
                yield f"{split} {tag}".strip(), "epoch" if over_epochs else "step", float(step + over_epochs), y, at_s


def _records(data: bytes, name: str) -> Iterator[memoryview]:
    """Yield the records of a TFRecord file. A truncated last record is still being written, and skipped. Raises
    ValueError on a checksum mismatch."""
    view, place = memoryview(data), 0
    while place + 12 <= len(data):
        head = data[place : place + 8]
        length = int.from_bytes(head, "little")
        if masked_crc32c(head) != int.from_bytes(data[place + 8 : place + 12], "little"):
            raise ValueError(f"the record at byte {place:,} of {name} does not have its checksum")
        end = place + 12 + length
        if end + 4 > len(data):
            return
        if masked_crc32c(data[place + 12 : end]) != int.from_bytes(data[end : end + 4], "little"):
            raise ValueError(f"the record at byte {place:,} of {name} does not have its checksum")
        yield view[place + 12 : end]
        place = end + 4


def _scalar(value: Message) -> float | None:
    """Return the number of a ``Summary.Value``; None if it has a picture, a histogram, a text ..."""
    if 2 in value:
        stored = value.reals(2, 4)
        return float(stored[-1]) if len(stored) else None
    plugin = value.message(9).message(1).text(1)
    if 8 not in value or plugin not in ("", "scalars"):
        return None
    tensor = value.message(8)
    if any(size.signed(1) != 1 for size in tensor.message(2).messages(2)):
        return None
    dtype, content = tensor.number(1), tensor.data(4)
    if dtype == _HALF:
        bits = np.frombuffer(content, "<u2") if content else np.array(tensor.numbers(13), np.int64)
        numbers = (bits & 0xFFFF).astype(np.uint16).view(np.float16).astype(np.float64)
    elif dtype in (_FLOAT, _DOUBLE):
        size = 4 if dtype == _FLOAT else 8
        numbers = (
            np.frombuffer(content, f"<f{size}").astype(np.float64) if content else tensor.reals(5 + (size == 8), size)
        )
    else:
        return None
    return float(numbers[0]) if len(numbers) == 1 else None
