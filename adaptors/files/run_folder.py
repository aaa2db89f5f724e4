"""A run as a folder with one file per checkpoint: steps from file names, and metadata in JSON files.

Two optional JSON files may stand in the folder:

``checkpoints.json``
    ``[{"file": "step_000100.keras", "step": 100, "epoch": 0.7}, ...]``: ``step`` and ``epoch`` are both
    optional and take precedence over the file's name. Files that it does not mention get their step from
    their name.
``mloscope_run.json``
    ``{"class_names": ["cat", ...], "preprocessing": {"scale": 0.00392, "mean": [0.5, 0.5, 0.5],
    "channel_order": "rgb"}}``, each key optional; ``mean`` is a number, a list of numbers, the path of a
    ``.npy`` in this folder or below it, where its links lead as well, or ``"corpus"``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mloscope.adaptors.files.checkpoint_steps import Reading, read_steps
from mloscope.adaptors.files.regular_files import is_inside, read_regular
from mloscope.adaptors.interface import Checkpoint, Preprocessing, Unreadable

EXAMINED_UP_TO = 64
"""Of runs with more checkpoints not every file is opened with the run; the rest are looked at when they are read."""
LARGEST_STEP = 2**63 - 1
OUTSIDE = (
    "the mean {mean} lies outside of {folder}. The files of a run may name a mean of that folder only; "
    "--mean, or mean in mloscope.toml, may name any."
)
LONGEST_NOTE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True)
class Notes:
    """The contents of both JSON files."""

    steps: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, float] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None
    problems: tuple[str, ...] = ()


def checkpoints_of(
    names: Sequence[str], stems: Sequence[str], notes: Notes, pattern: str | None
) -> tuple[list[Checkpoint], list[str]]:
    """Return the checkpoints, sorted by step, and a sentence for every file without a step and every doubt.

    ``stems`` are the names from which steps are read. A step in ``notes`` takes precedence, then ``pattern``'s
    first group; otherwise ``checkpoint_steps.py`` reads the names. If several files have one step, the first
    one named is used.
    """
    check_pattern(pattern)
    reading = read_steps(stems) if pattern is None else Reading()
    taken: dict[int, Checkpoint] = {}
    problems: list[str] = []
    without: list[tuple[str, str]] = []
    for name, stem in zip(names, stems, strict=True):
        step, label = notes.steps.get(name), ""
        if step is None and pattern is not None:
            step = _step_of(stem, pattern)
        elif step is None:
            step, label = reading.steps.get(stem), reading.labels.get(stem, "")
        if step is not None and abs(step) > LARGEST_STEP:
            problems.append(
                f"{name} has a step of more than 64 bits, so it has no place on the time axis and is left out."
            )
            continue
        if step is None and len(names) == 1 and pattern is None:
            step = 0
        if step is None:
            without.append((name, stem))
        elif step in taken:
            problems.append(
                f"{name} has the same step, {step}, as {taken[step].name}, so it is left out; "
                "a step pattern can tell them apart."
            )
        else:
            epoch = notes.epochs.get(name, reading.epochs.get(stem))
            taken[step] = Checkpoint(step=step, name=name, label=label, epoch=epoch)
    found = [taken[step] for step in sorted(taken)]
    noted = all(name in notes.steps for name in names)
    return found, [
        *_without_step(without, reading, pattern, bool(found)),
        *problems,
        *([] if noted else reading.doubts),
    ]


def _step_of(stem: str, pattern: str) -> int | None:
    found = re.search(pattern, stem)
    digits = found.group(1 if found.re.groups else 0) if found else None
    return int(digits) if digits and re.fullmatch(r"[+-]?[0-9]+", digits) else None


def _without_step(
    files: Sequence[tuple[str, str]], reading: Reading, pattern: str | None, others_have: bool
) -> list[str]:
    """Return sentences about files without a step."""
    if pattern is not None:
        rule = f"does not match the step pattern {pattern}"
        return [f"{name} {rule}, so it has no place on the time axis and is left out." for name, _ in files]
    names, stems = [name for name, _ in files], [stem for _, stem in files]
    if len(files) > 1 and not others_have:
        entries = [{"file": name, "step": place} for place, name in enumerate(_likely_order(names), 1)]
        pattern_helps = (
            ". A step pattern can say which number is the step." if re.search("[0-9]", "".join(stems)) else ""
        )
        text = json.dumps(entries[:8], ensure_ascii=False)[:-1] + (", ...]" if len(entries) > 8 else "]")
        return [
            f"The names {enumerated(names)} hold no steps, so their order is not known. A file checkpoints.json beside "
            f"them gives it, with the right numbers: {text}{pattern_helps}"
        ]
    special = [name for name, stem in files if stem in reading.special]
    sentences = []
    if special:
        one = len(special) == 1
        sentences.append(
            f"{enumerated(special)} {'stands' if one else 'stand'} beside the numbered checkpoints without a step of "
            f"{'its' if one else 'their'} own, so {'it is' if one else 'they are'} not on the time axis; a file "
            f"checkpoints.json can give it: {json.dumps([{'file': special[0], 'step': 1}], ensure_ascii=False)}"
        )
    for name, stem in files:
        if stem not in reading.special:
            reason = reading.why_not.get(stem, "has no whole number in its name")
            sentences.append(f"{name} {reason}, so it has no place on the time axis and is left out.")
    return sentences


def _likely_order(names: Sequence[str]) -> list[str]:
    first, after = ("init", "untrained", "start", "before"), ("last", "final", "latest", "end", "after")
    return sorted(names, key=lambda name: (not name.lower().startswith(first), name.lower().startswith(after), name))


def enumerated(names: Sequence[str]) -> str:
    """List the names in a sentence: all of up to four, else the first three and the number of others."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def check_pattern(pattern: str | None) -> None:
    """Raise Unreadable if the user's step pattern is not a regular expression."""
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise Unreadable(f"The step pattern {pattern} is not a regular expression: {error}.") from error


def read_notes(folder: Path) -> Notes:
    """Read ``checkpoints.json`` and ``mloscope_run.json``; errors in them become problems and are not raised."""
    problems: list[str] = []
    steps: dict[str, int] = {}
    epochs: dict[str, float] = {}
    entries = _json(folder / "checkpoints.json", problems)
    if entries is not None and not isinstance(entries, list):
        problems.append("checkpoints.json is ignored: it should be a list of {file, step, epoch}.")
        entries = None
    for entry in entries or ():
        name = entry.get("file") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            problems.append(f"checkpoints.json: the entry {str(entry)[:80]} names no file and is ignored.")
            continue
        step, epoch = entry.get("step"), entry.get("epoch")
        if isinstance(step, int) and not isinstance(step, bool) and abs(step) <= LARGEST_STEP:
            steps[name] = step
        elif step is not None:
            problems.append(
                f"checkpoints.json: the step of {name[:80]} is ignored, because it is not a 64-bit integer."
            )
        if isinstance(epoch, int | float) and abs(epoch) <= LARGEST_STEP:  # which no NaN is
            epochs[name] = float(epoch)
    about = _json(folder / "mloscope_run.json", problems)
    if about is not None and not isinstance(about, dict):
        problems.append("mloscope_run.json is ignored: it should be an object with class_names and preprocessing.")
        about = None
    about = about or {}
    names = about.get("class_names", [])
    if not isinstance(names, list):
        problems.append("mloscope_run.json: class_names is ignored, for it is not a list.")
        names = []
    return Notes(
        steps=steps,
        epochs=epochs,
        # JSON can encode lone surrogates, which are not valid text.
        class_names=tuple(str(name).encode("utf-8", "replace").decode() for name in names),
        preprocessing=_preprocessing(about.get("preprocessing"), folder, problems),
        problems=tuple(problems),
    )


def _preprocessing(value: Any, folder: Path, problems: list[str]) -> Preprocessing | None:
    if value is None:
        return None
    try:
        mean = value.get("mean")
        if isinstance(mean, str) and mean != "corpus":
            mean = str(folder / mean)
            if not is_inside(mean, folder):
                problems.append(f"mloscope_run.json: {OUTSIDE.format(mean=mean, folder=folder)}")
        elif isinstance(mean, int | float):
            mean = (float(mean),)
        elif mean is not None and not isinstance(mean, str):
            mean = tuple(float(number) for number in mean)
        order = value.get("channel_order", "rgb")
        if order not in ("rgb", "bgr"):
            raise ValueError(f"channel_order is {order!r}, not rgb or bgr")
        scale = float(value.get("scale", 1.0))
        if not all(math.isfinite(number) for number in (scale, *(mean if isinstance(mean, tuple) else ()))):
            raise ValueError("scale and mean should be finite numbers")
        return Preprocessing(scale=scale, mean=mean, channel_order=order)
    except (AttributeError, TypeError, ValueError, ArithmeticError) as error:
        problems.append(f"mloscope_run.json: preprocessing is ignored, for it cannot be understood ({error}).")
        return None


def _json(path: Path, problems: list[str]) -> Any:
    try:
        return json.loads(read_regular(path, LONGEST_NOTE_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        problems.append(f"{path.name} is ignored, for it cannot be read: {reason}.")
        return None


def shortened(sentences: Iterable[str], most: int = 20) -> tuple[str, ...]:
    """Return at most ``most`` of the sentences, and one that counts the others."""
    listed = list(sentences)
    rest = len(listed) - most
    return tuple(listed if rest <= 0 else [*listed[:most], f"And {rest} more files with the same kind of problem."])


def none_readable(count: int, folder: Path, first_problem: str) -> Unreadable:
    """Return the error of a run of which no checkpoint can be read."""
    which = "The only checkpoint" if count == 1 else f"None of the {count} checkpoints"
    return Unreadable(f"{which} in {folder} {'cannot' if count == 1 else 'can'} be read. {first_problem}")
