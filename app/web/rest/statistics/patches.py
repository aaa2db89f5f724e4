"""Top patches: the images and places that excite each unit most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Path
from pydantic import Field

from mloscope.app.statistics.patches import answers
from mloscope.app.web.rest.addresses import LayerName, Limit, Offset, Step
from mloscope.app.web.rest.resource import Notices, resource
from mloscope.app.web.rest.statistics.asked_split import RUN_PATH, STEP_PATH, Asked

router = resource("statistics", RUN_PATH)

Unit = Annotated[int, Path(description="Number of a unit.")]


@dataclass(frozen=True)
class Patch:
    image: Annotated[str, Field(description="Id of the image.")]
    position: Annotated[int, Field(description="Of the image within the split.")]
    row: Annotated[int, Field(description="Of the strongest place, in the layer's map.")]
    column: int
    value: Annotated[float, Field(description="The unit's activation there.")]
    box: Annotated[
        list[int] | None,
        Field(
            description="top, left, bottom, right of what the place sees, in the network's input; the last two exclusive"
        ),
    ]
    since: Annotated[
        int, Field(description="The step from which on the image has been among the best without a break.")
    ]


@dataclass(frozen=True)
class UnitPatches:
    unit: int
    state: Annotated[
        str, Field(description="alive, dead (no image drives it above 0), or not a number (no image has finite values)")
    ]
    mean: Annotated[float | None, Field(description="Activation over all images and places.")]
    excited: Annotated[float | None, Field(description="Share of the images that drive it above 0 somewhere.")]
    overlap: Annotated[float | None, Field(description="Share of the last step's images that are among the best here.")]
    patches: Annotated[list[Patch], Field(description="The strongest first.")]


@dataclass(frozen=True)
class UnitPatchesAtStep(UnitPatches):
    step: int


@dataclass(frozen=True)
class LayerWithPatches:
    layer: str
    units: int
    steps: list[int]
    settled: Annotated[
        list[int | None],
        Field(
            description="By unit, the step from which on it looks as it does at the last one; null where it is dead."
        ),
    ]
    median_settled: float | None
    dead: Annotated[int, Field(description="How many units are dead at the last step.")]


@dataclass(frozen=True)
class PatchesAnswer:
    layers: list[LayerWithPatches]
    share: Annotated[float, Field(description="Of the last step's images, what a settled unit shares at the least.")]
    command: Annotated[str, Field(description="The line that finds what is missing.")]
    expected_seconds: Annotated[float, Field(description="About how long it takes; within a factor of a few.")]
    notices: Notices


@dataclass(frozen=True)
class LayerPatchesAnswer:
    total: Annotated[int, Field(description="How many units the layer has.")]
    units: list[UnitPatches]
    input: Annotated[
        list[int] | None, Field(description="Rows and columns of the network's input, which boxes count in.")
    ]
    field: Annotated[
        list[int] | None, Field(description="Rows and columns of the largest receptive field of the layer.")
    ]
    notices: Notices


@dataclass(frozen=True)
class UnitPatchesAnswer:
    units: Annotated[int, Field(description="How many units the layer has.")]
    settled: Annotated[int | None, Field(description="The step from which on it looks as it does at the last one.")]
    share: float
    steps: list[UnitPatchesAtStep]
    input: list[int] | None
    field: list[int] | None
    notices: Notices


@router.get("/statistics/patches", response_model=PatchesAnswer)
def layers_with_patches(asked: Asked) -> dict:
    """Which layers have top patches, from which step on each unit looks as it does at the end, and how the rest is
    computed."""
    return {**answers.overview(asked.of), "notices": asked.notices()}


@router.get(STEP_PATH + "/layers/{layer:path}/patches", response_model=LayerPatchesAnswer)
def patches_of_layer(asked: Asked, step: Step, layer: LayerName, offset: Offset = 0, limit: Limit = 60) -> dict:
    """The images and places that excite each unit of a layer most at one step, a page of units at a time."""
    return {**answers.at_step(asked.of, step, layer, offset, limit), "notices": asked.notices()}


@router.get("/layers/{layer:path}/units/{unit}/patches", response_model=UnitPatchesAnswer)
def patches_of_unit(asked: Asked, layer: LayerName, unit: Unit) -> dict:
    """The images and places that excite one unit most, at every step, with its mean activation and the share of images
    that excite it."""
    return {**answers.of_unit(asked.of, layer, unit), "notices": asked.notices()}
