"""How values are distributed at every step: counts in bins that are the same at all steps, so that steps can be compared.

What is not finite is in no bin; it is counted beside them. The lowest and the highest value are exact.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mloscope.app.cache.content_keys import content_key
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, MloscopeError, NotFound, NotPossible
from mloscope.app.process.plain_json import plain
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.parameters import parameter_of
from mloscope.app.runs.tiles import by_unit
from mloscope.components.exploded_steps import exploded_steps

BINS = 60
LINEAR, SYMLOG, AUTO = "linear", "symlog", "auto"
SCALES = (AUTO, LINEAR, SYMLOG)
"""How bins lie: at equal distances; at equal distances on a symmetric logarithmic scale; the former unless a step exploded."""
"""As in films (assets/films/span.mjs): times the median step's largest absolute value, where there are steps enough for one."""
_SAMPLED = 100_000
"""Values of which the threshold of the symmetric logarithm is the median."""
_HELD_BYTES = 2**28
"""Arrays are read twice rather than held where all of them together are larger."""


@dataclass(frozen=True)
class Histograms:
    """Counts of the same bins at several steps; see :func:`histograms`."""

    steps: tuple[int, ...]
    """Those that could be read, ascending."""
    scale: str
    """``linear`` or ``symlog``"""
    threshold: float
    """Of the symmetric logarithm: bins lie evenly in ``arcsinh(value / threshold)``. 1 where the scale is linear."""
    edges: np.ndarray
    """float64 (bin + 1,). A bin holds its lower edge; the last one both."""
    counts: np.ndarray
    """int64 (step, bin)"""
    nan: np.ndarray
    """int64 (step,)"""
    infinite: np.ndarray
    """int64 (step,)"""
    low: np.ndarray
    """float64 (step,) of the finite values; NaN where there is none."""
    high: np.ndarray
    missing: Mapping[int, str] = field(default_factory=dict)
    """A sentence why a step has none."""

    def json(self) -> dict[str, Any]:
        """As the REST API gives it; NaN is null."""
        return plain({name: getattr(self, name) for name in self.__dataclass_fields__})

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Histograms:
        kinds = {"edges": np.float64, "low": np.float64, "high": np.float64} | dict.fromkeys(
            ("counts", "nan", "infinite"), np.int64
        )
        arrays = {name: np.array(found[name], kind) for name, kind in kinds.items()}
        arrays["counts"] = arrays["counts"].reshape(len(found["steps"]), len(found["edges"]) - 1)
        missing = {int(step): reason for step, reason in found["missing"].items()}
        return cls(tuple(found["steps"]), found["scale"], found["threshold"], missing=missing, **arrays)


def histograms(
    read: Callable[[int], np.ndarray],
    steps: Sequence[int],
    scale: str = AUTO,
    bins: int = BINS,
    missing: Mapping[int, str] | None = None,
) -> Histograms:
    """Count what ``read`` gives for each step, in bins from the lowest to the highest finite value of all steps.

    ``read`` is called twice per step; a step at which it raises is in ``missing``, with those that are given.
    """
    if scale not in SCALES:
        raise BadRequest(f'scale must be one of {", ".join(SCALES)}, got "{scale}".')
    without = dict(missing or {})
    ends: dict[int, tuple[float, float, float]] = {}
    for step in sorted(steps):
        try:
            ends[step] = _ends(read(step))
        except MloscopeError as error:
            without[step] = str(error)
    span = np.array([[low, high] for low, high, _ in ends.values() if low == low], np.float64).reshape(-1, 2)
    low, high = (span[:, 0].min(), span[:, 1].max()) if len(span) else (0.0, 1.0)
    kind = scale if scale != AUTO else (SYMLOG if len(exploded_steps(span)) else LINEAR)
    threshold = _threshold([middle for _, _, middle in ends.values()]) if kind == SYMLOG else 1.0
    edges = bin_edges(low, high, bins, threshold if kind == SYMLOG else None)
    rows = {}
    for step in ends:
        try:
            rows[step] = _counted(read(step), edges)
        except MloscopeError as error:
            without[step] = str(error)
    table = np.array(list(rows.values()), np.int64).reshape(len(rows), bins + 2)
    known = np.array([ends[step][:2] for step in rows], np.float64).reshape(len(rows), 2)
    return Histograms(
        tuple(rows), kind, threshold, edges, table[:, :bins], table[:, bins], table[:, bins + 1], known[:, 0], known[:, 1],
        dict(sorted(without.items())),
    )  # fmt: skip


def bin_edges(low: float, high: float, bins: int, threshold: float | None = None) -> np.ndarray:
    """Edges at equal distances from ``low`` to ``high``, or with a ``threshold`` at equal distances of
    ``arcsinh(value / threshold)``; both ends exact. One value alone lies in the middle."""
    if low == high:
        half = max(0.5, abs(low) * 1e-9)
        low, high = low - half, high + half
    share = np.linspace(0, 1, bins + 1)
    if threshold is None:
        edges = low * (1 - share) + high * share  # high - low may be more than float64 holds
    else:
        first, last = np.arcsinh(low / threshold), np.arcsinh(high / threshold)
        edges = np.sinh(first + (last - first) * share) * threshold
    edges[0], edges[-1] = low, high
    return np.maximum.accumulate(np.clip(edges, low, high))


def _ends(array: np.ndarray) -> tuple[float, float, float]:
    """Lowest and highest finite value, and the median of a sample's absolute values; NaN where there is none."""
    values = np.asarray(array).ravel()
    values = values[np.isfinite(values)]
    if not values.size:
        return (np.nan, np.nan, np.nan)
    sample = np.abs(values[:: -(-values.size // _SAMPLED)].astype(np.float64))
    return float(values.min()), float(values.max()), float(np.median(sample))


def _counted(array: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """int64: how many values lie in each bin, are NaN, and are infinite."""
    values = np.asarray(array, np.float64).ravel()
    nan = int(np.isnan(values).sum())
    finite = values[np.isfinite(values)]
    bins = len(edges) - 1
    places = np.clip(np.searchsorted(edges, finite, side="right") - 1, 0, bins - 1)
    return np.append(np.bincount(places, minlength=bins), [nan, values.size - finite.size - nan])


def _threshold(middles: Sequence[float]) -> float:
    known = [middle for middle in middles if middle > 0]
    return float(np.median(known)) if known else 1.0


# ---------------------------------------------------------------------------------------------------- of weights


def weight_histograms(
    cache: ResultCache, run: OpenedRun, layer: str, parameter: str | None, unit: int | None, scale: str = AUTO
) -> Histograms:
    """The values of a parameter at every checkpoint, of one unit or of all; kept until a file changes."""
    known = run.layer(layer)
    wanted = parameter_of(known, parameter)
    prints, missing = run.fingerprints(run.checkpoints)
    checkpoint = {checkpoint.step: checkpoint for checkpoint in run.checkpoints}
    held: dict[int, np.ndarray] = {}
    is_small = 8 * float(np.prod(wanted.shape)) * len(prints) <= _HELD_BYTES

    def read(step: int) -> np.ndarray:
        if step in held:
            return held[step]
        array = run.read(checkpoint[step], known, prints[step]).get(wanted.name)
        if array is None or array.shape != tuple(wanted.shape):
            raise NotPossible(
                f"The checkpoint of step {step} has no {layer}/{wanted.name} of the shape {tuple(wanted.shape)}."
            )
        values = array if unit is None else of_unit(by_unit(array, wanted.axes).rows, unit, layer)
        if is_small:
            held[step] = values
        return values

    if unit is not None:
        of_unit(by_unit(np.broadcast_to(np.int8(0), wanted.shape), wanted.axes).rows, unit, layer)
    key = content_key(
        "histograms", run.architecture, layer, wanted.name, str(unit), scale, str(BINS), *map(str, prints.items())
    )

    def compute() -> bytes:
        found = histograms(read, list(prints), scale, missing=missing)
        if not found.steps and found.missing:  # as while the run is gone; that must not be remembered
            raise NotFound(next(iter(found.missing.values())))
        return json.dumps(found.json()).encode()

    return Histograms.of_json(json.loads(cache.get_or_compute(key, compute)))


def of_unit(rows: np.ndarray, unit: int, layer: str) -> np.ndarray:
    """One unit's row. Raises :class:`NotFound` where the layer has no such unit."""
    if not 0 <= unit < len(rows):
        raise NotFound(f'The layer "{layer}" has no unit {unit}; its units are 0 to {len(rows) - 1}.')
    return rows[unit]
