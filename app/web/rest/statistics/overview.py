"""The statistics of a whole run: which steps have any, their rates, and where the rest can be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi.responses import Response
from pydantic import Field

from mloscope.app.statistics.queries import Overview, Statistics
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
class ClustersOfRun:
    k: int
    seed: int
    steps: list[int]
    keys: Annotated[list[str], Field(description="Of the content of each step's clusters.")]
    map: Annotated[str | None, Field(description="Of the content of the map that points lie on.")]
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
    steps: list[StepOfStatistics]
    confusions: list[Chunk]
    points: list[Chunk]
    clusters: ClustersOfRun | None
    notices: Notices


@router.get("/statistics", response_model=StatisticsAnswer, responses=TABLE)
def statistics_of_run(asked: Asked, format: Format = "json") -> StatisticsAnswer | Response:
    """Which steps have statistics, their rates, and where the confusion counts (``confusions``) and the places of
    images on the map (``points``) can be had. As a table: a row per step."""
    statistics, overview = asked.statistics, asked.overview()
    if format != "json":
        return asked.table(statistics.steps_table(overview), format, "statistics")
    subject = overview.subject
    has_jobs = statistics.jobs is not None
    return StatisticsAnswer(
        run=subject.run,
        corpus=subject.corpus,
        split=subject.split,
        splits=overview.splits,
        images=len(subject.positions),
        class_names=overview.class_names,
        command=overview.command,
        job=statistics.job(subject.run, subject.corpus, subject.split) if has_jobs else None,
        steps=[StepOfStatistics(**state.json()) for state in overview.steps],
        confusions=chunks_of(overview, "confusions", statistics.confusion_chunks(overview)),
        points=chunks_of(overview, "points", statistics.point_chunks(overview)),
        clusters=_clusters(statistics, overview),
        notices=asked.notices(),
    )


def _clusters(statistics: Statistics, overview: Overview) -> ClustersOfRun | None:
    fit = overview.fit
    if fit is None:
        return None
    rows = chunks_of(overview, "cluster_rows", statistics.row_chunks(overview))
    return ClustersOfRun(fit.k, fit.seed, fit.steps, list(fit.clusters.values()), fit.projection, rows)
