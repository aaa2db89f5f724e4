"""What two runs, or two moments of one, have to do with each other. Pure functions of layers, times and arrays.

    layers of A, layers of B ──pair_layers──► which belong together, and why
    times of A, times of B ──align──► for each checkpoint of A the one of B that it is compared with
    units of A, units of B ──unit_changes──► norms, variances, relative change, cosine ──correlate──► r, rank correlation

Nothing here reads a file or knows a page.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.app.errors import BadRequest

ALIGNMENTS = ("step", "epoch", "share", "accuracy")
MOST_TIMES_LONGER = 4
"""Runs of which one has more than this many times the other's steps are taken to count in different units."""
MEASURES = ("norm", "variance")
SHUFFLES = 1999
"""How often values are shuffled to see what rank correlation chance gives."""
MOST_SHUFFLED_VALUES = 4_000_000
FEWEST_FOR_CORRELATION = 3

# ------------------------------------------------------------------------------------------------------------ layers


@dataclass(frozen=True)
class LayerPair:
    """A layer of A and its partner in B; one of the two is None where there is no partner."""

    a: str | None
    b: str | None
    how: str
    """``hand``, ``name``, ``kind and shape``, ``kind``, or ``none``."""
    agrees: bool
    """Whether both have the same arrays (names, shapes) and, where that is known, outputs of the same shape."""


def parse_pairs(text: str) -> dict[str, str | None]:
    """Pairs made by hand, as the address has them: ``"conv1:conv1a,conv2:"``, by A's layer; None for no partner.

    In names, ``%``, ``:`` and ``,`` are written ``%25``, ``%3A`` and ``%2C``. Raises :class:`BadRequest`.
    """
    pairs: dict[str, str | None] = {}
    for entry in filter(None, text.split(",")):
        a, colon, b = entry.partition(":")
        if not colon or not a or ":" in b:
            raise BadRequest(f'pairs: "{entry}" pairs no layers; "conv1:conv1a" would, and "conv1:" leaves it alone.')
        pairs[_unescaped(a)] = _unescaped(b) or None
    return pairs


def _unescaped(name: str) -> str:
    for plain, code in ((",", "%2C"), (":", "%3A"), ("%", "%25")):
        name = name.replace(code, plain)
    return name


def pair_layers(
    a: Sequence[Layer], b: Sequence[Layer], by_hand: Mapping[str, str | None] | None = None
) -> tuple[LayerPair, ...]:
    """Every layer of both networks exactly once: A's in their order, then B's that nobody took.

    First what was said by hand; then layers of the same name and kind; then, of those left, the first, second ... of a
    kind and of the same shapes with the first, second ... of them; then the same by kind alone. A name in ``by_hand`` that
    a network has not is passed over.
    """
    in_a, in_b = {layer.name: layer for layer in a}, {layer.name: layer for layer in b}
    partner: dict[str, tuple[str | None, str]] = {}
    taken: set[str] = set()

    def join(name: str, other: str, how: str) -> None:
        partner[name] = (other, how)
        taken.add(other)

    for name, other in (by_hand or {}).items():
        if name not in in_a:
            continue
        if other is None:
            partner[name] = (None, "hand")
        elif other in in_b and other not in taken:
            join(name, other, "hand")
    for layer in a:
        same = in_b.get(layer.name)
        if layer.name not in partner and same is not None and same.name not in taken and same.kind == layer.kind:
            join(layer.name, same.name, "name")
    rules: tuple[tuple[str, Callable[[Layer], Any]], ...] = (
        ("kind and shape", _shapes),
        ("kind", lambda layer: layer.kind),
    )
    for how, trait in rules:
        free: defaultdict[Any, deque[str]] = defaultdict(deque)
        for layer in b:
            if layer.name not in taken:
                free[trait(layer)].append(layer.name)
        for layer in a:
            if layer.name not in partner and free[trait(layer)]:
                join(layer.name, free[trait(layer)].popleft(), how)
    pairs = []
    for layer in a:
        other, how = partner.get(layer.name, (None, "none"))
        agrees = other is not None and _arrays(layer) == _arrays(in_b[other]) and _same_output(layer, in_b[other])
        pairs.append(LayerPair(layer.name, other, how, agrees))
    return (*pairs, *(LayerPair(None, layer.name, "none", False) for layer in b if layer.name not in taken))


def _arrays(layer: Layer) -> tuple[Any, ...]:
    return tuple((parameter.name, tuple(parameter.shape)) for parameter in layer.parameters)


def _same_output(a: Layer, b: Layer) -> bool:
    return a.output_shape == b.output_shape or a.output_shape is None or b.output_shape is None


def _shapes(layer: Layer) -> tuple[Any, ...]:
    """Kind and what is like it in another network under other names."""
    shapes = tuple((tuple(parameter.axes), tuple(parameter.shape)) for parameter in layer.parameters)
    return (layer.kind, shapes or tuple(layer.output_shape or ()))


# -------------------------------------------------------------------------------------------------------------- time


@dataclass(frozen=True)
class Alignment:
    """Which checkpoint of B goes with each of A."""

    indices: tuple[int | None, ...]
    """By position among A's checkpoints: a position among B's; None where it has no counterpart."""
    problem: str | None
    """A sentence where nothing can be aligned so; then every index is None."""


def align(
    a: Sequence[Checkpoint],
    b: Sequence[Checkpoint],
    by: str,
    accuracy_a: Mapping[int, float] | None = None,
    accuracy_b: Mapping[int, float] | None = None,
    names: tuple[str, str] = ("A", "B"),
) -> Alignment:
    """For each checkpoint of A the nearest of B, of equally near ones the earlier.

    ``by``: ``step``; ``epoch``; ``share`` (of training: 0 at a run's first checkpoint, 1 at its last); ``accuracy``
    (``accuracy_a``, ``accuracy_b``: 0..1 by step). Raises :class:`BadRequest` for another word.
    """
    if by not in ALIGNMENTS:
        raise BadRequest(f'Time cannot be aligned by "{by}"; it can by {", ".join(ALIGNMENTS)}.')
    given = (accuracy_a or {}, accuracy_b or {})
    sides = [_times(checkpoints, by, known) for checkpoints, known in zip((a, b), given, strict=True)]
    for side, name in zip(sides, names, strict=True):
        if not np.isfinite(side).any():
            return Alignment((None,) * len(a), _nothing_to_align_by(by, name))
    times_a, times_b = sides
    known = np.flatnonzero(np.isfinite(times_b))
    indices = tuple(
        int(known[np.argmin(np.abs(times_b[known] - time))]) if np.isfinite(time) else None for time in times_a
    )
    return Alignment(indices, None)


def natural_alignment(a: Sequence[Checkpoint], b: Sequence[Checkpoint]) -> str:
    """Return by what two runs are best aligned where nobody says it: by epoch where both tell it, by step where their steps
    count alike, else by share of training: iterations are not set against epochs."""
    if all(checkpoint.epoch is not None for checkpoint in (*a, *b)):
        return "epoch"
    longest, shortest = sorted((max((c.step for c in side), default=0) for side in (a, b)), reverse=True)
    return "step" if longest <= MOST_TIMES_LONGER * shortest else "share"


def _times(checkpoints: Sequence[Checkpoint], by: str, accuracy: Mapping[int, float]) -> np.ndarray:
    """float64 (checkpoint,), NaN where it is not known."""
    if by == "epoch":
        return np.array([np.nan if c.epoch is None else c.epoch for c in checkpoints], np.float64)
    if by == "accuracy":
        return np.array([accuracy.get(c.step, np.nan) for c in checkpoints], np.float64)
    steps = np.array([c.step for c in checkpoints], np.float64)
    if by == "step" or len(steps) == 0:
        return steps
    length = steps[-1] - steps[0]
    return (steps - steps[0]) / length if length > 0 else np.ones(len(steps))


def _nothing_to_align_by(by: str, name: str) -> str:
    if by == "accuracy":
        return (
            f"Cannot align by accuracy: none is recorded for {name}. Evaluate it on its page Confusion, or with "
            "mloscope statistics."
        )
    if by == "epoch":
        return f'The checkpoints of the run "{name}" do not say their epoch; align by step or by share of training.'
    return f'The run "{name}" has no checkpoints.'


# ------------------------------------------------------------------------------------------------------------- units


@dataclass(frozen=True)
class UnitChanges:
    """Of each unit, how A and B differ; float64 (unit,) each."""

    norm_a: np.ndarray
    norm_b: np.ndarray
    variance_a: np.ndarray
    """Of the unit's values about their mean."""
    variance_b: np.ndarray
    ratio: np.ndarray
    """norm_a / norm_b; infinite where only B's is 0, NaN where both are."""
    change: np.ndarray
    """‖A − B‖ / ‖B‖: 0 where nothing changed, infinite where B is 0 and A is not."""
    cosine: np.ndarray
    """A·B / (‖A‖ ‖B‖), -1..1; NaN where one of the norms is 0."""

    @property
    def count(self) -> int:
        return len(self.norm_a)

    def measure(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A's and B's ``norm`` or ``variance`` of each unit."""
        if name not in MEASURES:
            raise BadRequest(f'There is no measure "{name}"; there are {", ".join(MEASURES)}.')
        return (self.norm_a, self.norm_b) if name == "norm" else (self.variance_a, self.variance_b)


def unit_changes(a: np.ndarray, b: np.ndarray) -> UnitChanges:
    """How the units of two arrays (unit, value), any float type, differ. Values that are NaN or infinite make their unit NaN.

    Raises :class:`BadRequest` where the shapes differ.
    """
    if a.shape != b.shape or a.ndim != 2:
        raise BadRequest(f"Units of the shapes {a.shape} and {b.shape} cannot be subtracted: they must agree.")
    a, b = _clean(a), _clean(b)
    # Divided by the largest of both first: squares stay within float64, whatever exploded.
    largest = np.maximum(np.abs(a).max(axis=1, initial=0), np.abs(b).max(axis=1, initial=0))
    scale = np.where(largest > 0, largest, 1)[:, np.newaxis]
    a, b, size = a / scale, b / scale, scale[:, 0]
    norm_a, norm_b, apart = (np.sqrt(np.square(rows).sum(axis=1)) for rows in (a, b, a - b))
    spread = [rows.var(axis=1) if rows.shape[1] else np.zeros(len(rows)) for rows in (a, b)]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        cosine = np.clip((a * b).sum(axis=1) / (norm_a * norm_b), -1, 1)
        change = np.where(apart == 0, 0.0, apart / norm_b)
        return UnitChanges(
            norm_a * size, norm_b * size, spread[0] * size**2, spread[1] * size**2, norm_a / norm_b, change, cosine
        )  # fmt: skip


def _clean(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    rows[~np.isfinite(rows).all(axis=1)] = np.nan
    return rows


@dataclass(frozen=True)
class Correlation:
    """How values of two moments go together; NaN where they cannot be told."""

    pearson: float
    rank: float
    """Spearman's: Pearson's of the ranks, ties having the mean of theirs."""
    chance: float
    """Share of :data:`SHUFFLES` shuffles (and the order as it is) whose rank correlation is at least as far from 0."""
    count: int
    """Pairs of finite values."""


def correlate(a: np.ndarray, b: np.ndarray) -> Correlation:
    """Of two float arrays (value,), over the pairs of which both are finite; the same arrays always give the same answer."""
    both = np.isfinite(a) & np.isfinite(b)
    a, b = np.asarray(a, np.float64)[both], np.asarray(b, np.float64)[both]
    ranks_a, ranks_b = ranks(a), ranks(b)
    rank = _pearson(ranks_a, ranks_b)
    chance = _chance(ranks_a, ranks_b, rank) if np.isfinite(rank) else float("nan")
    return Correlation(_pearson(a, b), rank, chance, int(both.sum()))


def ranks(values: np.ndarray) -> np.ndarray:
    """float64 (value,): 1 for the least; equal values have the mean of their ranks."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[place]


def _standardised(values: np.ndarray) -> np.ndarray | None:
    """Mean 0, norm 1; None where all are equal or there are too few."""
    if len(values) < FEWEST_FOR_CORRELATION:
        return None
    scale = float(np.abs(values).max()) or 1.0
    centred = values / scale - (values / scale).mean()
    norm = float(np.sqrt(np.square(centred).sum()))
    # What rounding leaves of equal values is not a spread.
    return centred / norm if norm > 1e-12 * np.sqrt(len(values)) else None


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    first, second = _standardised(a), _standardised(b)
    return float("nan") if first is None or second is None else float(np.clip(first @ second, -1, 1))


def _chance(ranks_a: np.ndarray, ranks_b: np.ndarray, rank: float) -> float:
    first, second = _standardised(ranks_a), _standardised(ranks_b)
    assert first is not None
    assert second is not None
    shuffles = max(99, min(SHUFFLES, MOST_SHUFFLED_VALUES // len(first)))
    random = np.random.default_rng(0)
    found = np.array([first @ random.permutation(second) for _ in range(shuffles)])
    return float((1 + (np.abs(found) >= abs(rank) - 1e-12).sum()) / (1 + shuffles))


# ------------------------------------------------------------------------------------------------------------ export

UNIT_COLUMNS = ("unit", "norm_a", "norm_b", "ratio", "variance_a", "variance_b", "change", "cosine")


def unit_rows(changes: UnitChanges, units: Iterable[int] | None = None) -> list[tuple[float | int, ...]]:
    """Rows of a table with :data:`UNIT_COLUMNS`."""
    numbers = range(changes.count) if units is None else units
    columns = (getattr(changes, name) for name in UNIT_COLUMNS[1:])
    return [(unit, *map(float, row)) for unit, row in zip(numbers, zip(*columns, strict=True), strict=True)]


# --------------------------------------------------------------------------------------------------------- confusion


@dataclass(frozen=True)
class MovedImages:
    """Images that the network put into another cell of the confusion matrix at A than at B."""

    into: np.ndarray
    """int32 (image,): in the cell at A, not at B; positions within the split."""
    out_of: np.ndarray
    """int32 (image,): in the cell at B, not at A."""


def moved(actual: np.ndarray, predicted_a: np.ndarray, predicted_b: np.ndarray, row: int, column: int) -> MovedImages:
    """Who came into the cell (``row`` the actual class, ``column`` the predicted one, -1 for not predicted) and who left it.

    Arrays int32 (image,). Raises :class:`BadRequest` where they are not of the same images.
    """
    if not actual.shape == predicted_a.shape == predicted_b.shape:
        raise BadRequest(
            "The two sides' statistics are of different images; compare them over the same corpus and split."
        )
    here = actual == row
    at_a, at_b = here & (predicted_a == column), here & (predicted_b == column)
    return MovedImages(*(np.flatnonzero(mask).astype(np.int32) for mask in (at_a & ~at_b, at_b & ~at_a)))
