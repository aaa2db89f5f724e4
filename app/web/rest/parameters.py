"""Parameters over HTTP: exactly as stored, as a picture, and the units that a rule puts first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from mloscope.adaptors.interface import Parameter
from mloscope.app.errors import BadRequest, NotPossible
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.parameters import ParameterPicture, parameter_of
from mloscope.app.runs.units import unit_ranking
from mloscope.app.web.rest.addresses import (
    LAYER_AT_STEP,
    Channels,
    CorpusChoice,
    LayerName,
    Layout,
    ParameterChoice,
    RunName,
    Step,
    Units,
    read_selection,
)
from mloscope.app.web.rest.answers import NPY, PNG, etag_of, held, npy_answer, unchanged_answer
from mloscope.app.web.rest.dependencies import TheServices, TheWorkspace
from mloscope.app.web.rest.resource import resource
from mloscope.app.web.rest.tile_pictures import AskedColours, Zoom, picture_answer

router = resource("parameters")


@router.get(LAYER_AT_STEP + "/parameters", include_in_schema=False)
@router.get(LAYER_AT_STEP + "/parameters.npy", response_class=Response, responses={200: NPY})
def parameters_npy(
    request: Request,
    workspace: TheWorkspace,
    run: RunName,
    step: Step,
    layer: LayerName,
    parameter: ParameterChoice = None,
    units: Units = "",
    channels: Channels = "",
) -> Response:
    """One parameter of a layer exactly as stored: its shape, its type, no rounding. ``units`` and
    ``channels`` select along these axes. The header X-Mloscope-Axes names the axes.
    """
    opened = workspace.opened_run(run)
    known = opened.layer(layer)
    wanted = parameter_of(known, parameter)
    before = _fingerprint(opened, step)
    etag = etag_of(before, layer, wanted.name, units, channels)
    if held(request, etag):
        return unchanged_answer(etag)
    array = opened.read(opened.checkpoint(step), known, before).get(wanted.name)
    if array is None:
        raise NotPossible(f"The checkpoint of step {step} has no {layer}/{wanted.name}.")
    for text, axis in ((units, "unit"), (channels, "channel")):
        if text:
            array = _selected(array, text, axis, layer, wanted)
    return npy_answer(array, etag, **{"X-Mloscope-Axes": ",".join(wanted.axes)})


def _selected(array: np.ndarray, text: str, axis: str, layer: str, parameter: Parameter) -> np.ndarray:
    if axis not in parameter.axes:
        axes = ", ".join(parameter.axes)
        raise BadRequest(f"{axis}s = {text}: {layer}/{parameter.name} has the axes {axes} only.")
    place = parameter.axes.index(axis)
    return array.take(read_selection(text, array.shape[place], f"{axis}s"), axis=place)


@router.get(LAYER_AT_STEP + "/parameters.png", response_class=Response, responses={200: PNG})
def parameters_png(
    request: Request,
    workspace: TheWorkspace,
    colours: AskedColours,
    run: RunName,
    step: Step,
    layer: LayerName,
    parameter: ParameterChoice = None,
    units: Units = "",
    channels: Channels = "",
    layout: Layout = "tiles",
    zoom: Zoom = 4,
) -> Response:
    """A parameter as a picture, a tile for each unit and channel. The colours span the layer's values,
    the same way above and below zero; the header X-Mloscope-Range has the two ends.
    """
    opened = workspace.opened_run(run)
    known = opened.layer(layer)
    wanted = parameter_of(known, parameter)
    before = _fingerprint(opened, step)
    asked = (units, channels, layout, colours.low, colours.high, colours.table, zoom)
    etag = etag_of("png", before, layer, wanted.name, asked)
    if held(request, etag):
        return unchanged_answer(etag)
    arrays = opened.read(opened.checkpoint(step), known, before)
    tiles = ParameterPicture.of(opened, known, wanted, layout).tiles(arrays)
    chosen = read_selection(units, tiles.shape[0], "units"), read_selection(channels, tiles.shape[1], "channels")
    ends = colours.ends(tiles, symmetric=True)
    return picture_answer(tiles[np.ix_(*chosen)], ends, colours.table or "blue-red", zoom, etag)


def _fingerprint(run: OpenedRun, step: int) -> str:
    checkpoint = run.checkpoint(step)
    if checkpoint.problem:
        raise NotPossible(checkpoint.problem)
    return run.fingerprint(checkpoint)


@dataclass(frozen=True)
class UnitsAnswer:
    units: Annotated[Sequence[int], Field(description="Best first.")]
    values: Annotated[Sequence[float | None], Field(description="What the rule measured, by unit; null for NaN.")]
    rule: str
    unit_total: int


@router.get("/runs/{run}/layers/{layer:path}/units")
def rank_units(
    services: TheServices,
    run: RunName,
    layer: LayerName,
    rule: Annotated[
        Literal["largest-norm", "most-changed", "most-active"],
        Query(description="L2 norm; L2 distance from the first checkpoint; mean absolute feature map."),
    ] = "largest-norm",
    step: Annotated[int | None, Query(description="Step; default: the last checkpoint's.")] = None,
    image: Annotated[str | None, Query(description="Id of an image, for most-active.")] = None,
    corpus: CorpusChoice = None,
    count: Annotated[int, Query(ge=1, le=100_000, description="How many units.")] = 32,
    parameter: ParameterChoice = None,
) -> UnitsAnswer:
    """The units that a rule puts first."""
    opened = services.workspace.opened_run(run)
    if step is None:
        readable = [checkpoint.step for checkpoint in opened.checkpoints if not checkpoint.problem]
        if not readable:
            raise NotPossible(f'The run "{run}" has no checkpoint that can be read.')
        step = readable[-1]

    def feature_map() -> np.ndarray:
        return services.feature_maps.one(opened, step, layer, services.workspace.network_input(opened, corpus, image))

    ranking = unit_ranking(
        opened, step, layer, rule, count=count, parameter=parameter, feature_map=feature_map if image else None
    )
    return UnitsAnswer(**vars(ranking))
