"""Single units of a layer: their values over the run, one of them enlarged, and which come first by a rule."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mloscope.adaptors.interface import Layer, Parameter
from mloscope.app.cache.content_keys import content_key, pack, unpack
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, MloscopeError, NotFound, NotPossible
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.parameters import Arrays, ParameterPicture, kept_of_arrays, norms, parameter_of
from mloscope.app.runs.tiles import by_unit, joint_range, map_tiles, ranges

LARGEST_NORM, MOST_CHANGED, MOST_ACTIVE = "largest-norm", "most-changed", "most-active"
RANKING_RULES = (LARGEST_NORM, MOST_CHANGED, MOST_ACTIVE)


class UnitCourse(NamedTuple):
    """One unit's values over the whole run."""

    values: np.ndarray
    """float as stored, (checkpoint, value), in the checkpoints' order; rows of NaN where there is none."""
    names: tuple[str, ...]
    """What each value is: ``row 0, column 3, channel 2``."""


class EnlargedUnit(NamedTuple):
    """One unit to be looked at closely."""

    values: np.ndarray
    """float (channel, row, column)"""
    range: tuple[float, float]
    """Of all finite values of the layer at the step."""


@dataclass(frozen=True)
class UnitRanking:
    """Units that a rule found, best first."""

    units: tuple[int, ...]
    values: tuple[float, ...]
    rule: str
    unit_total: int


# ----------------------------------------------------------------------------------------------- over the run


def unit_values_over_time(
    cache: ResultCache, run: OpenedRun, layer: str, parameter: str | None, unit: int
) -> UnitCourse:
    """One unit's values at every checkpoint, exactly as stored."""
    known = run.layer(layer)
    wanted = parameter_of(known, parameter)
    total, names = _unit_names(wanted)
    if not 0 <= unit < total:
        raise _no_unit(layer, unit, total)
    prints = run.fingerprints(run.checkpoints).known
    key = content_key("course", run.architecture, layer, wanted.name, str(unit), *map(str, prints.items()))

    def compute() -> bytes:
        rows = {}
        for step, fingerprint in prints.items():
            try:
                array = run.read(run.checkpoint(step), known, fingerprint)[wanted.name]
            except (MloscopeError, KeyError):
                continue
            if array.shape == tuple(wanted.shape):
                rows[step] = by_unit(array, wanted.axes).rows[unit]
        kind = np.result_type(np.float16, *rows.values()) if rows else np.dtype(np.float32)
        course = np.full((len(run.checkpoints), len(names)), np.nan, kind)
        for position, checkpoint in enumerate(run.checkpoints):
            if checkpoint.step in rows:
                course[position] = rows[checkpoint.step]
        return pack(course)

    return UnitCourse(unpack(cache.get_or_compute(key, compute)), names)


def _unit_names(parameter: Parameter) -> tuple[int, tuple[str, ...]]:
    """How many units a parameter has, and what each value of one is."""
    rows, shape, axes = by_unit(np.broadcast_to(np.int8(0), parameter.shape), parameter.axes)
    if not axes:
        return len(rows), (parameter.name,)
    numbers = itertools.product(*(range(size) for size in shape))
    names = tuple(", ".join(f"{axis} {n}" for axis, n in zip(axes, place, strict=True)) for place in numbers)
    return len(rows), names


# -------------------------------------------------------------------------------------------------- enlarged


def enlarged_weights(
    cache: ResultCache,
    run: OpenedRun,
    step: int,
    layer: str,
    unit: int,
    parameter: str | None = None,
    layout: str = "tiles",
) -> EnlargedUnit:
    """One unit's weights at a step."""
    known = run.layer(layer)
    wanted = parameter_of(known, parameter)
    picture = ParameterPicture.of(run, known, wanted, layout)

    def tell(arrays: Arrays) -> bytes:
        found = _enlarged(picture.tiles(arrays), layer, unit)
        return struct.pack("<2d", *found.range) + pack(found.values)

    what = ("unit", wanted.name, layout, str(unit), run.preprocessing.channel_order)
    told = kept_of_arrays(cache, run, step, known, what, tell)
    return EnlargedUnit(unpack(told[16:]), struct.unpack_from("<2d", told))


def enlarged_map(feature_map: np.ndarray, layer: str, unit: int) -> EnlargedUnit:
    """One unit of a layer's output for an image."""
    return _enlarged(map_tiles(feature_map)[..., np.newaxis], layer, unit)


def _enlarged(pictures: np.ndarray, layer: str, unit: int) -> EnlargedUnit:
    """Of (unit, channel, row, column, component) one unit, its components as channels."""
    if not 0 <= unit < len(pictures):
        raise _no_unit(layer, unit, len(pictures))
    low, high = joint_range(ranges(pictures)).tolist()
    tiles = pictures[unit].transpose(0, 3, 1, 2)
    return EnlargedUnit(tiles.reshape(-1, *tiles.shape[2:]), (low, high) if low == low else (0.0, 0.0))


# --------------------------------------------------------------------------------------------------- rankings


def unit_ranking(
    run: OpenedRun,
    step: int,
    layer: str,
    rule: str,
    *,
    count: int = 32,
    parameter: str | None = None,
    feature_map: Callable[[], np.ndarray] | None = None,
) -> UnitRanking:
    """The ``count`` units that a rule of :data:`RANKING_RULES` puts first. Ties by number; NaN last.

    ``largest-norm``: L2 norm of the unit's weights; ``most-changed``: L2 norm of their difference from the first checkpoint
    that can be read; ``most-active``: mean absolute value of the unit's feature map, which ``feature_map`` gives where an
    image is known.
    """
    if rule not in RANKING_RULES:
        raise BadRequest(f'The rule must be one of {", ".join(RANKING_RULES)}; got "{rule}".')
    if rule == MOST_ACTIVE:
        if feature_map is None:
            raise BadRequest(f"The rule {MOST_ACTIVE} needs an image.")
        maps = feature_map().astype(np.float64)
        values = np.abs(maps).reshape(-1, maps.shape[-1]).mean(axis=0)
    else:
        known = run.layer(layer)
        wanted = parameter_of(known, parameter)
        weights = _weights(run, step, known, wanted)
        values = norms(weights - _first_weights(run, known, wanted) if rule == MOST_CHANGED else weights)
    order = np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")[: max(0, count)]
    return UnitRanking(
        tuple(int(unit) for unit in order), tuple(float(values[unit]) for unit in order), rule, len(values)
    )


def _weights(run: OpenedRun, step: int, layer: Layer, parameter: Parameter) -> np.ndarray:
    """float64 (unit, value)"""
    array = run.read(run.checkpoint(step), layer).get(parameter.name)
    if array is None or array.shape != tuple(parameter.shape):
        raise NotPossible(
            f"The checkpoint of step {step} belongs to another network: "
            f"its {layer.name}/{parameter.name} is not {tuple(parameter.shape)}."
        )
    return by_unit(array, parameter.axes).rows.astype(np.float64)


def _first_weights(run: OpenedRun, layer: Layer, parameter: Parameter) -> np.ndarray:
    for step in run.steps:
        try:
            return _weights(run, step, layer, parameter)
        except MloscopeError:
            continue
    raise NotPossible(f'No checkpoint of the run "{run.name}" holds {layer.name}/{parameter.name}.')


def _no_unit(layer: str, unit: int, total: int) -> NotFound:
    return NotFound(f'The layer "{layer}" has no unit {unit}; its units are 0 to {total - 1}.')
