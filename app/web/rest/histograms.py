"""Histograms over HTTP: how a layer's weights, or its outputs for an image, are distributed at every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from mloscope.app.runs.histograms import AUTO, weight_histograms
from mloscope.app.web.rest.addresses import CorpusChoice, LayerName, ParameterChoice, RunName
from mloscope.app.web.rest.dependencies import TheServices
from mloscope.app.web.rest.resource import resource

router = resource("histograms")


@dataclass(frozen=True)
class HistogramsAnswer:
    steps: Annotated[list[int], Field(description="Those that could be read, ascending.")]
    scale: Annotated[str, Field(description="linear or symlog")]
    threshold: Annotated[
        float, Field(description="Bins lie evenly in arcsinh(value / threshold) where the scale is symlog.")
    ]
    edges: Annotated[
        list[float], Field(description="Of the bins, the same at all steps; the last bin holds both of its edges.")
    ]
    counts: Annotated[list[list[int]], Field(description="By step and bin.")]
    nan: Annotated[list[int], Field(description="By step: how many values are NaN.")]
    infinite: list[int]
    low: Annotated[
        list[float | None], Field(description="By step: the lowest finite value, exact; null where there is none.")
    ]
    high: list[float | None]
    missing: Annotated[dict[str, str], Field(description="By step: why it has none.")]


@router.get("/runs/{run}/layers/{layer:path}/histograms")
def count_values(
    services: TheServices,
    run: RunName,
    layer: LayerName,
    parameter: ParameterChoice = None,
    unit: Annotated[int | None, Query(ge=0, description="Number of a unit; default: all units.")] = None,
    image: Annotated[
        str | None, Query(description="Id of an image: the layer's outputs for it, not its weights.")
    ] = None,
    corpus: CorpusChoice = None,
    scale: Annotated[
        Literal["auto", "linear", "symlog"],
        Query(
            description="How bins lie: evenly, or on a symmetric logarithmic scale; auto: the latter where a step exploded."
        ),
    ] = AUTO,
) -> HistogramsAnswer:
    """How the values of a parameter, or with an image the layer's outputs for it, are distributed at every checkpoint."""
    opened = services.workspace.opened_run(run)
    if image:
        taken = services.workspace.network_input(opened, corpus, image)
        found = services.feature_maps.histograms(opened, layer, taken, unit, scale)
    else:
        found = weight_histograms(services.cache, opened, layer, parameter, unit, scale)
    return HistogramsAnswer(**found.json())
