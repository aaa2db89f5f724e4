"""The statistics of a whole run: which steps have any, their rates, and where the rest can be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi.responses import Response
from pydantic import Field

from mloscope.app.statistics import confusion, tables
from mloscope.app.statistics.clusters import answers
from mloscope.app.statistics.clusters.map_kinds import MAP_KINDS, PCA
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.web.rest.resource import Notices, resource
from mloscope.app.web.rest.statistics.asked_split import RUN_PATH, TABLE, Asked, Chunk, Format, chunks_of
from mloscope.app.web.rest.statistics.jobs import JobAnswer

router = resource("statistics", RUN_PATH)


@dataclass(frozen=True)
class StepOfStatistics:
    step: int
    state: Annotated[str, Field(description="ready, unfinished (some images are measured) or missing")]
    key: Annotated[str | None, Field(description="Of the content that its statistics are made from.")]
    source: Annotated[str | None, Field(description="evaluated, or imported; null where it is not ready")]
    problem: Annotated[str | None, Field(description="Why it cannot be had; null where nothing is wrong.")]
    images_done: int
    accuracy: Annotated[
        float | None, Field(description="Share of the labelled images; those not predicted count as wrong.")
    ]
    top_5_accuracy: float | None
    loss: Annotated[float | None, Field(description="Mean of -ln p of the true class, p at least 1e-7.")]
    calibration_error: Annotated[float | None, Field(description="Expected calibration error, 15 bins of equal width.")]
    not_predicted: Annotated[int | None, Field(description="Images that the network gives NaN for.")]
    labelled: int | None


@dataclass(frozen=True)
class MapOfRun:
    kind: Annotated[str, Field(description="Such as pca or tsne.")]
    label: str
    key: Annotated[str | None, Field(description="Of the map's content; null where it has not been computed.")]
    expected_seconds: Annotated[
        float | None, Field(description="About how long it takes; null where it is computed with the clusters.")
    ]
    points: Annotated[list[Chunk], Field(description="Where the places of images on it can be had.")]


@dataclass(frozen=True)
class ClustersOfRun:
    k: int
    seed: int
    steps: list[int]
    keys: Annotated[list[str], Field(description="Of the content of each step's clusters.")]
    map: Annotated[str | None, Field(description="Of the content of the map that points lie on.")]
    maps: Annotated[list[MapOfRun], Field(description="All kinds; the first is that of map and points.")]
    rows: list[Chunk]


@dataclass(frozen=True)
class StatisticsAnswer:
    run: str
    corpus: str
    split: str
    splits: Annotated[Mapping[str, int], Field(description="Number of images of each split.")]
    images: int
    class_names: tuple[str, ...]
    command: Annotated[str, Field(description="The line that computes what is missing.")]
    job: JobAnswer | None
    expected_seconds: Annotated[
        float, Field(description="About how long computing what is missing takes; within a factor of a few.")
    ]
    steps: list[StepOfStatistics]
    confusions: list[Chunk]
    points: list[Chunk]
    clusters: ClustersOfRun | None
    notices: Notices


@router.get("/statistics", response_model=StatisticsAnswer, responses=TABLE)
def statistics_of_run(asked: Asked, format: Format = "json") -> StatisticsAnswer | Response:
    """Which steps have statistics, their rates, and where the confusion counts (``confusions``) and the places of
    images on the map (``points``) can be had. As a table: a row per step."""
    of = asked.of
    if format != "json":
        return asked.table(tables.steps_table(of), format, "statistics")
    return StatisticsAnswer(
        run=of.run,
        corpus=of.corpus,
        split=of.split,
        splits=of.splits,
        images=len(of.positions),
        class_names=of.class_names,
        command=of.command,
        job=of.job() if of.can_compute else None,
        expected_seconds=of.expected_seconds(),
        steps=[StepOfStatistics(**state.json()) for state in of.steps],
        confusions=chunks_of(of, "confusions", confusion.count_chunks(of)),
        points=chunks_of(of, "points", answers.point_chunks(of)),
        clusters=_clusters(of),
        notices=asked.notices(),
    )


def _clusters(of: RunStatistics) -> ClustersOfRun | None:
    found = of.clustering
    if found is None:
        return None
    rows = chunks_of(of, "cluster_rows", answers.row_chunks(of))
    maps = [
        MapOfRun(
            kind=name,
            label=kind.label,
            key=found.maps.get(name),
            expected_seconds=kind.expected_s(len(of.positions), len(found.steps)) if kind.expected_s else None,
            points=chunks_of(of, "points", answers.point_chunks(of, name), map=name),
        )
        for name, kind in MAP_KINDS.items()
    ]
    keys = list(found.clusters.values())
    return ClustersOfRun(found.k, found.seed, found.steps, keys, found.maps.get(PCA.name), maps, rows)
