"""Confusion: the matrix of a step, the images of its cells, what moved between two steps, classes and their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from fastapi.responses import Response
from pydantic import Field

from mloscope.app.statistics import confusion as questions
from mloscope.app.statistics import tables
from mloscope.app.statistics.class_order import orders
from mloscope.app.web.rest.addresses import Limit, Offset, Step
from mloscope.app.web.rest.answers import immutable_answer
from mloscope.app.web.rest.resource import Notices, resource
from mloscope.app.web.rest.statistics.asked_images import RestsOn, Wanted
from mloscope.app.web.rest.statistics.asked_split import (
    BYTES,
    RUN_PATH,
    STEP_PATH,
    TABLE,
    Asked,
    Class,
    DescribedImage,
    Digest,
    Format,
    Steps,
    read_steps,
)

router = resource("statistics", RUN_PATH)

# ------------------------------------------------------------------------------------------------- a whole run


@router.get("/statistics/confusions", response_class=Response, responses=BYTES)
def confusion_chunk(asked: Asked, steps: Steps, digest: Digest) -> Response:
    """Confusion counts of some steps, for ever the same under this address. Little-endian: ``MLC1``, uint32 H, H bytes
    of JSON ``{"steps", "classes": C, "cells": [n of each step], "images": [labelled images of each step]}``; then for
    each step n uint32 cell numbers ``actual * (C + 1) + predicted``, ascending (``predicted`` C: not predicted), and n
    uint32 counts. 409 where the statistics changed since.
    """
    data = questions.count_bytes(asked.of, read_steps(steps), digest)
    return immutable_answer(data, f'"MLC1-{digest}"')


@dataclass(frozen=True)
class MovedImage(DescribedImage):
    before: Annotated[int | None, Field(description="What it was predicted as at the earlier step.")]
    before_name: str | None


@dataclass(frozen=True)
class MovesAnswer:
    moves: Annotated[
        list[dict[str, int]], Field(description="actual, from, to, count; the most frequent first, 2000 at most")
    ]
    kinds: Annotated[int, Field(description="How many moves there are.")]
    total: Annotated[int, Field(description="How many images moved.")]
    images: list[MovedImage]
    notices: Notices


@router.get("/statistics/moves", response_model=MovesAnswer, responses=TABLE)
def moves(
    asked: Asked,
    from_step: Annotated[int, Query(alias="from", description="The earlier step.")],
    to_step: Annotated[int, Query(alias="to", description="The later step.")],
    actual: Annotated[int | None, Query(description="Only images of this class.")] = None,
    before: Annotated[int | None, Query(description="Only images that were predicted so.")] = None,
    after: Annotated[int | None, Query(description="Only images that are predicted so now.")] = None,
    offset: Offset = 0,
    limit: Limit = 60,
    format: Format = "json",
) -> MovesAnswer | Response:
    """Images that are predicted otherwise at one step than at another, and from where to where they went."""
    if format != "json":
        rows = tables.moves_table(asked.of, from_step, to_step)
        return asked.table(rows, format, "moves", from_step, to_step)
    found = questions.moves(asked.of, from_step, to_step, actual, before, after, offset, limit)
    images = [MovedImage(**image) for image in found["images"]]
    return MovesAnswer(found["moves"], found["kinds"], found["total"], images, asked.notices())


@dataclass(frozen=True)
class PairsAnswer:
    pairs: Annotated[
        list[dict[str, float]],
        Field(description="actual, predicted, count; share of the class's images, or with since: before, growth"),
    ]
    notices: Notices


@router.get("/statistics/pairs")
def pairs(
    asked: Asked,
    step: Annotated[int, Query(description="The step.")],
    since: Annotated[int | None, Query(description="An earlier step: pairs that grew most since.")] = None,
    limit: Limit = 50,
) -> PairsAnswer:
    """The pairs of classes that are confused most, or with ``since`` whose confusion grew most."""
    if since is None:
        return PairsAnswer(questions.most_confused(asked.of, step, limit), asked.notices())
    return PairsAnswer(questions.fastest_growing(asked.of, since, step, limit), asked.notices())


@dataclass(frozen=True)
class OrderAnswer:
    order: list[int]
    groups: Annotated[list[dict[str, Any]] | None, Field(description="name, first (place in the order), count")]


@router.get("/statistics/class_order")
def class_order(
    asked: Asked,
    rule: Annotated[
        Literal["given", "name", "similarity", "group"],
        Query(description="By number, by name, what is confused side by side, or by a hierarchy file."),
    ] = "given",
    step: Annotated[int | None, Query(description="For similarity; default: the last that is ready.")] = None,
) -> OrderAnswer:
    """An order of the classes for the axes of a confusion matrix."""
    return OrderAnswer(**orders.class_order(asked.of, rule, step))


# ------------------------------------------------------------------------------------------------------ a step


@dataclass(frozen=True)
class ConfusionAnswer:
    class_names: tuple[str, ...]
    cells: Annotated[list[list[int]], Field(description="[actual, predicted, count] of every cell that holds an image")]
    not_predicted_column: Annotated[
        int, Field(description="What stands as predicted for images that are not predicted.")
    ]
    notices: Notices


@router.get(STEP_PATH + "/confusion", response_model=ConfusionAnswer, responses=TABLE)
def confusion(asked: Asked, step: Step, format: Format = "json") -> ConfusionAnswer | Response:
    """The confusion matrix: how many images of each class are taken for which."""
    if format != "json":
        return asked.table(tables.confusion_table(asked.of, step), format, step, "confusion")
    found = asked.of.step(step)
    return ConfusionAnswer(asked.of.names_of(found.classes), found.cells, found.classes, asked.notices())


@dataclass(frozen=True)
class CellAnswer:
    total: int
    images: list[DescribedImage]
    rests_on: RestsOn
    notices: Notices


@router.get(STEP_PATH + "/confusion/{actual}/{predicted}")
def cell_images(
    asked: Asked,
    wanted: Wanted,
    step: Step,
    actual: Class,
    predicted: Annotated[int, Path(description="Number of a class; the number of classes for images not predicted.")],
) -> CellAnswer:
    """The images of one cell, by default the most confident first. Without ``search``, ``label``, ``judged`` or a facet of
    the corpus, which narrow them as in the search for images, ``total`` is the cell's count; with ``random``, ``order``
    makes no difference."""
    found = wanted.page(questions.cell_images(asked.of, step, actual, predicted), step, "confident")
    images = [DescribedImage(**image) for image in found.images]
    return CellAnswer(found.total, images, found.rests_on, asked.notices())


@dataclass(frozen=True)
class ClassesAnswer:
    class_names: list[str]
    precision: Annotated[list[float | None], Field(description="By class; null where nothing is predicted so.")]
    recall: list[float | None]
    support: Annotated[list[int], Field(description="Labelled images of each class.")]
    notices: Notices


@router.get(STEP_PATH + "/classes", response_model=ClassesAnswer, responses=TABLE)
def classes_of_step(asked: Asked, step: Step, format: Format = "json") -> ClassesAnswer | Response:
    """Precision, recall and support of every class."""
    rows = tables.classes_table(asked.of, step)
    if format != "json":
        return asked.table(rows, format, step, "classes")
    return ClassesAnswer(rows["class_name"], rows["precision"], rows["recall"], rows["support"], asked.notices())
