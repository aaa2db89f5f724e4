"""A layer's parameters at one checkpoint: as tiles to look at, and as numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Layer, Parameter
from mloscope.app.cache.content_keys import content_key
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import NotFound, NotPossible
from mloscope.app.process.plain_json import plain
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.tiles import by_unit, tiles

Arrays = Mapping[str, np.ndarray]
"""A layer's parameters at one checkpoint, by name."""

_SHAPE_ONLY = {"flatten", "reshape", "dropout", "activation", "normalisation"}


def parameter_of(layer: Layer, name: str | None = None) -> Parameter:
    """The parameter of this name, or the layer's first. Raises :class:`NotFound` or :class:`NotPossible`."""
    if not layer.parameters:
        raise NotPossible(f'The layer "{layer.name}" has no parameters ({layer.kind}).')
    if not name:
        return layer.parameters[0]
    for parameter in layer.parameters:
        if parameter.name == name:
            return parameter
    names = ", ".join(parameter.name for parameter in layer.parameters)
    raise NotFound(f'The layer "{layer.name}" has no parameter "{name}"; it has: {names}.')


# ----------------------------------------------------------------------------------------------------- tiles


def parameter_tiles(
    run: OpenedRun, step: int, layer: str, parameter: str | None = None, layout: str = "tiles"
) -> np.ndarray:
    """A parameter at one step as pictures: float (unit, channel, row, column, component), see :class:`ParameterPicture`."""
    known = run.layer(layer)
    picture = ParameterPicture.of(run, known, parameter_of(known, parameter), layout)
    return picture.tiles(run.read(run.checkpoint(step), known))


@dataclass(frozen=True)
class ParameterPicture:
    """How a parameter becomes pictures: float (unit, channel, row, column, component).

    A first convolution's kernel on three channels has one channel and three components, red, green and blue whatever the
    network's channel order; anything else has one component.
    """

    layer: str
    parameter: Parameter
    layout: str
    preceding_shape: tuple[int | None, ...] | None
    """(row, column, channel) of the map whose values a dense layer takes; None where there is none."""
    is_colour: bool
    is_bgr: bool

    @classmethod
    def of(cls, run: OpenedRun, layer: Layer, parameter: Parameter, layout: str) -> ParameterPicture:
        return cls(
            layer.name,
            parameter,
            layout,
            _preceding_shape(run, layer),
            _is_colour_kernel(run, layer, parameter),
            run.preprocessing.channel_order == "bgr",
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tiles({self.parameter.name: np.broadcast_to(np.float32(0), self.parameter.shape)}).shape

    def tiles(self, arrays: Arrays) -> np.ndarray:
        """The pictures of one checkpoint. Raises :class:`NotPossible` where its arrays are another network's."""
        parameter = self.parameter
        array = arrays.get(parameter.name)
        if array is None or array.shape != tuple(parameter.shape):
            raise self._of_another_network(array)
        found = tiles(array, parameter.axes, self.preceding_shape, self.layout, parameter.flattened)
        if not self.is_colour:
            return found[..., np.newaxis]
        found = found[:, ::-1] if self.is_bgr else found
        return found.transpose(0, 2, 3, 1)[:, np.newaxis]

    def _of_another_network(self, array: np.ndarray | None) -> NotPossible:
        name, expected = f"{self.layer}/{self.parameter.name}", tuple(self.parameter.shape)
        if array is None and self.parameter.slot:
            return NotPossible(f"This checkpoint was saved without {name}.")
        held = "is not in it" if array is None else f"has the shape {array.shape} in it"
        return NotPossible(f"This checkpoint belongs to another network: {name} {held}, not {expected}.")


def _is_colour_kernel(run: OpenedRun, layer: Layer, parameter: Parameter) -> bool:
    """Whether the parameter is a kernel on the three colours of an image."""
    axes = dict(zip(parameter.axes, parameter.shape, strict=True))
    if axes.get("channel") != 3 or set(parameter.axes) != {"row", "column", "channel", "unit"}:
        return False
    if "convolution" not in layer.kind:
        return False
    first = next((known for known in run.layers if "convolution" in known.kind), None)
    by_name = run.layer_by_name
    takes_input = any(by_name[name].kind == "input" for name in layer.inputs if name in by_name)
    return first is layer or takes_input or not layer.inputs


def _preceding_shape(run: OpenedRun, layer: Layer) -> tuple[int | None, ...] | None:
    if layer.kind != "dense":
        return None
    for _ in range(len(run.layers)):
        before = run.layer_by_name.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
        if before is None or before.output_shape is None:
            return None
        if len(before.output_shape) == 3:
            return before.output_shape
        if before.kind not in _SHAPE_ONLY:
            return None
        layer = before
    return None


# --------------------------------------------------------------------------------------------------- numbers


def kept_of_arrays(
    cache: ResultCache,
    run: OpenedRun,
    step: int,
    layer: Layer,
    what: Sequence[str],
    compute: Callable[[Arrays], bytes],
) -> bytes:
    """What ``compute`` makes of the layer's arrays at the step, and of nothing but them and ``what``; kept, so that each
    file is read once for it."""
    checkpoint = run.checkpoint(step)
    fingerprint = run.fingerprints((checkpoint,)).known.get(step)
    if fingerprint is None:
        return compute(run.read(checkpoint, layer))  # which raises what is the matter
    key = content_key("told", run.architecture, fingerprint, layer.name, *what)
    return cache.get_or_compute(key, lambda: compute(run.read(checkpoint, layer, fingerprint)))


def parameter_details(
    cache: ResultCache, run: OpenedRun, step: int, layer: str, unit: int | None = None
) -> list[dict[str, Any]]:
    """One JSON-able mapping per parameter of the layer at the step, in the layer's order.

    ``parameter``, ``shape``, ``dtype``, ``count``; ``min``, ``max``, ``mean``, ``std``, ``norm`` (L2) of the finite values,
    None where there are none; ``share_of_zeros`` (exact zeros among all values), ``nan``, ``infinite`` (how many). With a
    unit, also ``unit_min``, ``unit_max``, ``unit_norm``, ``unit_share_of_zeros``, None for a unit that the parameter lacks.
    """
    known = run.layer(layer)

    def tell(arrays: Arrays) -> bytes:
        rows = []
        for parameter in known.parameters:
            array = arrays.get(parameter.name)
            if array is None:
                continue
            row = {
                "parameter": parameter.name,
                "shape": list(array.shape),
                "dtype": str(array.dtype),
                **summary(array),
            }
            if unit is not None:
                flat = by_unit(array, parameter.axes).rows
                found = summary(flat[unit]) if 0 <= unit < len(flat) else {}
                row |= {f"unit_{key}": found.get(key) for key in ("min", "max", "norm", "share_of_zeros")}
            rows.append(row)
        return json.dumps(rows).encode()

    rows: list[dict[str, Any]] = json.loads(kept_of_arrays(cache, run, step, known, ("details", str(unit)), tell))
    return rows


def summary(array: np.ndarray) -> dict[str, Any]:
    """Of all values: ``count``, ``nan``, ``infinite``, ``share_of_zeros``; of the finite ones: the others. JSON-able."""
    values = np.asarray(array, np.float64).ravel()
    finite = np.isfinite(values)
    nan = int(np.isnan(values).sum())
    good = values if finite.all() else values[finite]
    found: dict[str, Any] = {
        "count": int(values.size),
        "nan": nan,
        "infinite": int(values.size - finite.sum()) - nan,
        "share_of_zeros": float((values == 0).mean()) if values.size else None,
        **dict.fromkeys(("min", "max", "mean", "std", "norm")),
    }
    if good.size:
        # Divided by the largest first: float64 holds the squares then, whatever exploded.
        scale = float(np.abs(good).max()) or 1.0
        scaled = good / scale
        found |= {
            "min": float(good.min()),
            "max": float(good.max()),
            "mean": float(scaled.mean()) * scale,
            "std": float(scaled.std()) * scale,
            "norm": float(norms(good[np.newaxis])[0]),
        }
    return plain(found)


def norms(rows: np.ndarray) -> np.ndarray:
    """L2 norm of each row (row, value) in float64, without overflow; NaN where a value is NaN."""
    largest = np.abs(rows).max(axis=1, initial=0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        return np.sqrt(np.square(rows / scale[:, np.newaxis]).sum(axis=1)) * scale
