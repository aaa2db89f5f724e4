"""Find the number in a run's file names that is the step, by looking at all names together.

In this order: the number after epoch, step, iter, ckpt and the like (or before: ``300_steps``); the number after weights,
model and the like, or by itself, that differs in every file; then a number that is part of a word (``m12``); then, with a
word of doubt, what is usually something else: the number of a run, a seed, a version, or a date, which gives the order
alone. Measurements, sizes and percentages are never steps. Names with best, last, final or latest beside numbered ones
have no place of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from mloscope.adaptors.files.numbers_in_names import Number, Standing, is_measure, numbers_in, rises_evenly, words_in

_PRIORITY = ("step", "epoch", "count", "saved")
_SPECIAL = frozenset(("best", "last", "final", "latest", "newest", "finished", "interrupted"))
_SPECIAL_STARTS = ("best", "final", "latest")
_SPECIAL_ENDS = frozenset(("model", "weights", "weight", "ckpt", "checkpoint"))
_WORDS_FOR = {
    "step": "step or iteration",
    "epoch": "epoch",
    "count": "ckpt or checkpoint",
    "saved": "weights or model",
    "date": "date",
}
_PARTS = re.compile(r"([0-9]+)")
Column = tuple[Hashable, ...]


@dataclass
class Reading:
    """What the names say, by name."""

    steps: dict[str, int] = field(default_factory=dict)
    epochs: dict[str, float] = field(default_factory=dict)
    """Of names that tell both a step and an epoch."""
    labels: dict[str, str] = field(default_factory=dict)
    """How the step is written, where that is not its number."""
    special: tuple[str, ...] = ()
    """Names with best, last and the like, which have no number, or stand beside others that have one."""
    why_not: dict[str, str] = field(default_factory=dict)
    """Why each of the others has no step: what follows the name in a sentence."""
    doubts: list[str] = field(default_factory=list)
    """Sentences about steps that are uncertain."""


def is_special(name: str) -> bool:
    """Return whether the name contains best, last, final, latest or the like as a word."""
    lower = name.lower()
    if not any(word in lower for word in _SPECIAL):
        return False
    return any(
        word in _SPECIAL
        or any(word.startswith(start) and word.removeprefix(start) in _SPECIAL_ENDS for start in _SPECIAL_STARTS)
        for word in words_in(name)
    )


def read_steps(names: Sequence[str]) -> Reading:
    """Return the step of each name (without its extension; folders separated by slashes) for which the names determine
    one."""
    distinct = list(dict.fromkeys(names))
    special = {name for name in distinct if is_special(name)}
    numbers = {name: numbers_in(name) for name in distinct}
    plain = {name: found for name, found in numbers.items() if name not in special}
    reading = _read(plain) if plain else Reading()
    if reading.steps:
        reading.special = tuple(name for name in distinct if name in special)
        return reading
    reading = _read(numbers)
    reading.special = tuple(name for name in distinct if name in special and name not in reading.steps)
    return reading


def _read(numbers: Mapping[str, Sequence[Number]]) -> Reading:
    columns = _columns(numbers)
    chosen = _chosen(columns, len(numbers))
    reading = Reading()
    if chosen is None:
        _read_decimals(numbers, reading)
    elif chosen[1] == "date":
        _read_dates(columns[chosen], reading)
    else:
        reading.steps = {name: number.value for name, number in columns[chosen].items()}
        _add_epochs(columns, chosen, reading)
        _doubt(columns, chosen, reading)
    what = _WORDS_FOR.get(str(chosen[1])) if chosen is not None else None
    for name, found in numbers.items():
        if name not in reading.steps:
            some = any(number.value is not None for number in found)
            reading.why_not[name] = (
                "has no whole number in its name"
                if not some
                else f"has no number after {what} in its name, as the others have"
                if what and reading.steps
                else "has no number in its name that is known to be a step"
            )
    return reading


def _columns(numbers: Mapping[str, Sequence[Number]]) -> dict[Column, dict[str, Number]]:
    """Group the numbers of all names that belong together: those after words of one kind, and those at the same
    position. Numbers without a value are in none."""
    columns: dict[Column, dict[str, Number]] = {}
    for name, found in numbers.items():
        seen: Counter[Hashable] = Counter()
        by_standing = Counter(number.standing for number in found)
        for number in found:
            standing = number.standing
            if standing == Standing.NEVER or number.value is None:
                continue
            keys: list[Column] = [(standing, number.kind)]
            if standing in (Standing.FREE, Standing.GLUED) and number.kind != "saved":
                place = seen[standing, None]
                seen[standing, None] += 1
                keys += [
                    (standing, "from the left", place),
                    (standing, "from the right", by_standing[standing] - place),
                ]
            for key in keys:
                occurrence = seen[key]
                seen[key] += 1
                columns.setdefault((*key, occurrence), {})[name] = number
    return columns


def _distinct(column: Mapping[str, Number]) -> int:
    return len({number.value for number in column.values()})


def _tells(column: Mapping[str, Number]) -> bool:
    """Return whether the column distinguishes checkpoints; a number that all names share does not."""
    return len(column) == 1 or _distinct(column) > 1


def _chosen(columns: Mapping[Column, Mapping[str, Number]], count: int) -> Column | None:
    """Return the column with the steps: the one of best standing that distinguishes at least half as many checkpoints
    as any column of plain numbers."""
    if count == 1:
        return _chosen_of_one(columns)
    telling = {key: column for key, column in columns.items() if _tells(column)}
    for standing in Standing:
        rivals = {key: column for key, column in telling.items() if key[0] == standing}
        others = [_distinct(column) for key, column in telling.items() if standing < int(key[0]) <= Standing.GLUED]
        if not rivals:
            continue
        best = max(rivals, key=lambda key: _merit(key, rivals[key]))
        if 2 * _distinct(rivals[best]) >= max(others, default=0):
            return best
    return None


def _chosen_of_one(columns: Mapping[Column, Mapping[str, Number]]) -> Column | None:
    """Return the step column of a single file: its number must follow a word or leading zeros that mark it, or be the
    whole name."""
    for key in sorted(columns, key=lambda key: (int(key[0]), _rank(key))):
        ((name, number),) = columns[key].items()
        is_said = key[1] == "saved" or number.is_padded or number.text == name
        if key[0] == Standing.KEYED or (key[0] == Standing.FREE and is_said):
            return key
    return None


def _merit(key: Column, column: Mapping[str, Number]) -> tuple:
    """Sort key for candidate columns: most distinct values, best preceding word, most names, increasing in the order of
    the names, evenly spaced, zero-padded, leftmost."""
    values = [column[name].value for name in sorted(column)]
    by_name = sorted(column, key=lambda name: [int(part) if part.isdigit() else part for part in _PARTS.split(name)])
    place = key[2] if key[1] == "from the left" else len(column)
    return (
        _distinct(column),
        -_rank(key),
        len(column),
        [column[name].value for name in by_name] == sorted(values),
        rises_evenly(values),
        all(number.is_padded for number in column.values()),
        -int(str(place)),
    )


def _rank(key: Column) -> int:
    return _PRIORITY.index(key[1]) if key[1] in _PRIORITY else len(_PRIORITY)


def _add_epochs(columns: Mapping[Column, Mapping[str, Number]], chosen: Column, reading: Reading) -> None:
    """Add epochs to steps. If several files belong to one epoch, another number distinguishes them: it is the step if
    it keeps rising from epoch to epoch; if it restarts, the pair of both gives the position in time."""
    epochs = columns.get((Standing.KEYED, "epoch", 0), {})
    if not epochs:
        return
    within = _within(columns, chosen, epochs)
    if within is None:
        if chosen[1] != "epoch":
            reading.epochs = {name: float(number.value) for name, number in epochs.items()}
        return
    reading.epochs = {name: float(number.value) for name, number in epochs.items()}
    pairs = {name: (epochs[name].value, within[name].value) for name in epochs}
    ordered = [step for _, step in sorted(pairs.values())]
    if ordered == sorted(set(ordered)):
        reading.steps = {name: step for name, (_, step) in pairs.items()}
        return
    factor = 10 ** len(str(max(abs(step) for _, step in pairs.values())))
    reading.steps = {name: epoch * factor + step for name, (epoch, step) in pairs.items()}
    reading.labels = {name: f"{epoch}.{step:0{len(str(factor)) - 1}}" for name, (epoch, step) in pairs.items()}
    reading.doubts.append(
        "Several checkpoints are of one epoch and steps begin again in each, so they are placed by both: "
        f"step {factor} is the beginning of epoch 1."
    )


def _within(
    columns: Mapping[Column, Mapping[str, Number]], chosen: Column, epochs: Mapping[str, Number]
) -> Mapping[str, Number] | None:
    """Return the numbers that distinguish the files of one epoch; None if the epochs do, or nothing does."""
    column = columns[chosen]
    if _distinct(column) == len(column):
        return None
    rivals = [
        (int(key[0]), _rank(key), other)
        for key, other in columns.items()
        if key[0] in (Standing.KEYED, Standing.FREE, Standing.GLUED)
        and other is not epochs
        and other.keys() >= epochs.keys()
        and len({(epochs[name].value, other[name].value) for name in epochs}) == len(epochs)
    ]
    return min(rivals, key=lambda rival: rival[:2])[2] if rivals else None


def _doubt(columns: Mapping[Column, Mapping[str, Number]], chosen: Column, reading: Reading) -> None:
    column = columns[chosen]
    example = next(iter(column))
    text, word = column[example].text, str(column[example].kind)
    if chosen[0] == Standing.OTHER or (chosen[0] == Standing.GLUED and len(word) > 2 and len(column) > 1):
        reading.doubts.append(
            f"The number after {word} is read as the step, because there is no other ({text} in {example}); "
            "if it means something else, a step pattern or checkpoints.json gives the steps."
        )
        return
    if chosen[0] == Standing.KEYED or len(column) < 2:
        return
    order = _in_order(column)
    for key, other in columns.items():
        same = all(other.get(name) is column[name] for name in column)
        if key[0] != chosen[0] or same or key[1] == "saved" or _distinct(other) < _distinct(column):
            continue
        if _in_order(other) != order:
            reading.doubts.append(
                f"Several numbers differ in every file name; {text} in {example} is read as its step, though "
                f"{other[example].text if example in other else 'another'} could be. A step pattern can say which it is."
            )
            return


def _in_order(column: Mapping[str, Number]) -> list[str]:
    return sorted(column, key=lambda name: (column[name].value, name))


def _read_dates(column: Mapping[str, Number], reading: Reading) -> None:
    moments = {moment: place for place, moment in enumerate(sorted({number.value for number in column.values()}), 1)}
    reading.steps = {name: moments[number.value] for name, number in column.items()}
    reading.labels = {name: number.text for name, number in column.items()}
    reading.doubts.append(
        "The names hold dates and no steps, so the checkpoints are numbered from 1 in the order of their dates; "
        "checkpoints.json can give their steps."
    )


def _read_decimals(numbers: Mapping[str, Sequence[Number]], reading: Reading) -> None:
    """Read names with only decimals: fractions of an epoch (``epoch_0.5``), or two numbers separated by a dot
    (``v2.10``)."""
    keyed = {
        name: number.text
        for name, found in numbers.items()
        for number in found
        if number.kind in _PRIORITY and number.text.replace(".", "", 1).isdigit()
    }
    texts = keyed or {
        name: number.text
        for name, found in numbers.items()
        for number in found
        if not is_measure(number.kind)
        and (number.kind or not number.text.startswith("0."))
        and number.text.replace(".", "", 1).isdigit()
    }
    if len(texts) < 2 or len(set(texts.values())) < len(texts):
        return
    wholes = {name: int(text.partition(".")[0] or 0) for name, text in texts.items()}
    parts = {name: int(text.partition(".")[2] or 0) for name, text in texts.items()}
    example = next(iter(texts))
    lengths = {len(text.partition(".")[2]) for text in texts.values()}
    if len(lengths) > 1 and any(
        part % 10 == 0 and part for part in parts.values()
    ):  # 10.9 and 10.10 are two numbers each
        factor = 10 ** max(lengths)
        reading.steps = {name: wholes[name] * factor + parts[name] for name in texts}
        reading.labels, what = dict(texts), f"{texts[example]} in {example}, read as two numbers"
    elif len(set(wholes.values())) == len(texts) and rises_evenly(list(wholes.values())):
        reading.steps, what = wholes, f"what stands before the dot ({texts[example]} in {example})"
    elif keyed:
        digits = max(len(text.partition(".")[2]) for text in texts.values())
        scaled = {name: round(float(text) * 10**digits) for name, text in texts.items()}
        reading.steps, reading.labels = scaled, dict(texts)
        if any(number.kind == "epoch" for found in numbers.values() for number in found):
            reading.epochs = {name: float(text) for name, text in texts.items()}
        what = f"{texts[example]} in {example}, counted in {10**-digits:g}"
    elif len(set(parts.values())) == len(texts) and len(set(wholes.values())) == 1:
        reading.steps, what = parts, f"what stands behind the dot ({texts[example]} in {example})"
    else:
        return
    reading.doubts.append(f"The step is {what}; a step pattern or checkpoints.json can say otherwise.")
