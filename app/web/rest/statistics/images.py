"""What statistics say of single images: the split's ids, every image at a step, one image at every step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from pydantic import Field

from mloscope.app.statistics import images as questions
from mloscope.app.statistics import tables
from mloscope.app.web.rest.addresses import ImageId, Step
from mloscope.app.web.rest.resource import Notices, resource
from mloscope.app.web.rest.statistics.asked_images import RestsOn, Wanted
from mloscope.app.web.rest.statistics.asked_split import COLUMNS, RUN_PATH, STEP_PATH, Asked, DescribedImage, Format

router = resource("statistics", RUN_PATH)


@dataclass(frozen=True)
class IdsAnswer:
    ids: Annotated[list[str], Field(description="By position within the split.")]
    labels: Annotated[list[int], Field(description="Class numbers, -1 where not known.")]


@router.get("/statistics/image_ids")
def image_ids(asked: Asked) -> IdsAnswer:
    """The ids and classes of a split's images, in the order in which statistics and points count them."""
    return IdsAnswer(asked.of.image_ids(), asked.of.image_labels().tolist())


@router.get(STEP_PATH + "/images", response_class=Response, responses=COLUMNS)
def images_of_step(asked: Asked, step: Step, format: Format = "csv") -> Response:
    """What every image is held for: id, actual, predicted, confidence, true_probability, loss, margin, in_top_5. JSON
    is an object of lists by column."""
    return asked.table(tables.images_table(asked.of, step), format, step, "images")


@dataclass(frozen=True)
class ListedAnswer:
    total: Annotated[int, Field(description="How many images match in all.")]
    offset: int
    images: list[DescribedImage]
    rests_on: RestsOn
    notices: Notices


@router.get(STEP_PATH + "/images/search")
def list_images(
    asked: Asked,
    wanted: Wanted,
    step: Step,
    at: Annotated[
        str | None, Query(description="Id of an image: the page on which it stands, whatever offset.")
    ] = None,
) -> ListedAnswer:
    """Images of a split in an order that rests on what the network predicts at one step, a page at a time; ``search``,
    ``label`` and the corpus's facets narrow them as in the search for images. 404 where the step has not been evaluated."""
    found = wanted.page(questions.all_images(asked.of, step), step, at=at)
    images = [DescribedImage(**image) for image in found.images]
    return ListedAnswer(found.total, found.offset, images, found.rests_on, asked.notices())


@dataclass(frozen=True)
class TrajectoryAnswer:
    steps: list[int]
    label: int | None
    predicted: list[int | None]
    true_probability: list[float | None]
    classes: Annotated[
        list[list[int]] | None, Field(description="Whose the probabilities are; null where all classes have one.")
    ]
    probabilities: list[list[float | None]]
    form: Annotated[str, Field(description="full, or top-20: the twenty most probable classes")]
    notices: Notices


@router.get("/images/{image}/trajectory")
def trajectory(asked: Asked, image: ImageId) -> TrajectoryAnswer:
    """What one image is held for at every step that has statistics; no network is needed. ``split``, by default, is
    the image's own."""
    of, position = asked.statistics.of_image(asked.run, image, asked.corpus, asked.split)
    return TrajectoryAnswer(**questions.trajectory(of.ready, position), notices=asked.notices())
