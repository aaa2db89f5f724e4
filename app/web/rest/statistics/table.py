"""The table of statistics, and any statistic of it over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import Response
from pydantic import Field

from mloscope.app.statistics.values import course
from mloscope.app.web.rest.dependencies import TheStatistics
from mloscope.app.web.rest.resource import Notices, resource
from mloscope.app.web.rest.statistics.asked_split import RUN_PATH, TABLE, Asked, Format, read_steps

router = resource("statistics")

MOST_VALUES = 1_000_000
"""An answer has at most this many values."""


@dataclass(frozen=True)
class StatisticBody:
    name: str
    title: str
    help: str
    scope: Annotated[str, Field(description="checkpoint, class, cell, image, cluster, layer or unit")]
    made_of: Annotated[str, Field(description="probabilities, clusters or weights")]
    unit: Annotated[str, Field(description="share (0..1), images, nats, class, cluster, yes or no; empty: none")]
    version: int
    package: Annotated[str, Field(description="The installed package that adds it.")]


@dataclass(frozen=True)
class TableAnswer:
    statistics: list[StatisticBody]
    problems: Annotated[list[str], Field(description="Statistics of other packages that cannot be loaded, and why.")]


@router.get("/statistics")
def statistics_table(statistics: TheStatistics) -> TableAnswer:
    """Every statistic that can be asked for over time."""
    table = statistics.table
    return TableAnswer([StatisticBody(**each.json()) for each in table], list(table.problems.values()))


@dataclass(frozen=True)
class CourseAnswer:
    statistic: StatisticBody
    steps: Annotated[list[int], Field(description="Those that have values.")]
    items: Annotated[
        list[str],
        Field(
            description="What each column is: numbers of classes, clusters or units, actual:predicted, ids of images, the "
            "layer; one empty text for a number per checkpoint."
        ),
    ]
    names: Annotated[list[str], Field(description="The items as people call them.")]
    values: Annotated[list[list[float | None]], Field(description="By step, then by item; null where not defined.")]
    notices: Notices


@router.get(RUN_PATH + "/statistics/values/{statistic}", response_model=CourseAnswer, responses=TABLE)
def statistic_over_time(
    asked: Asked,
    statistic: Annotated[str, Path(description="A name from /api/v1/statistics.")],
    steps: Annotated[str | None, Query(description="Steps with commas between; default: all that have it.")] = None,
    items: Annotated[
        str | None, Query(description="Items with commas between, as answers have them; default: all.")
    ] = None,
    layer: Annotated[str | None, Query(description="The layer, for statistics of weights.")] = None,
    format: Format = "json",
) -> CourseAnswer | Response:
    """Any statistic at every step; no network is evaluated. As a table: a row per step and item."""
    chosen = None if steps is None else read_steps(steps)
    found = course(asked.of, statistic, chosen, None if items is None else items.split(","), layer, MOST_VALUES)
    if format != "json":
        return asked.table(found.table(), format, statistic)
    content: dict[str, Any] = found.json()
    return CourseAnswer(**content | {"statistic": StatisticBody(**content["statistic"])}, notices=asked.notices())
