"""The REST API's part for statistics: what :class:`mloscope.app.statistics.queries.Statistics` answers, as JSON, tables and
bytes. Every route takes ``corpus`` and ``split``; ``format`` makes a table of what is one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from mloscope.app.errors import BadRequest, Conflict, Forbidden
from mloscope.app.observatory import Observatory
from mloscope.app.statistics import export
from mloscope.app.statistics.queries import SHEET_ACROSS, SHEET_EDGE_PX, Overview, Statistics, Subject
from mloscope.app.web.rest.api_docs import REFUSALS
from mloscope.app.web.rest.basis_link import LinkedRoute, NoticedAnswer
from mloscope.app.web.rest.rest import (
    IMMUTABLE,
    MOST_IMAGES,
    NPY,
    REFUSAL_ANSWERS,
    CorpusChoice,
    ErrorAnswer,
    ImageId,
    RunName,
    Step,
    answer,
    json_answer,
    unchanged_answer,
)

PREFIX = "/api/v1"

# -------------------------------------------------------------------------------------- what answers hold


class StepBody(BaseModel):
    step: int
    state: str = Field(description="ready, unfinished (some images are measured) or missing")
    key: str | None = Field(description="Of the content that its statistics are made from.")
    source: str | None = Field(description="evaluated, or imported; null where it is not ready")
    problem: str | None = Field(description="Why it cannot be had; null where nothing is wrong.")
    images_done: int
    accuracy: float | None = Field(description="Share of the labelled images; those not predicted count as wrong.")
    top_5_accuracy: float | None
    loss: float | None = Field(description="Mean of -ln p of the true class, p at least 1e-7.")
    calibration_error: float | None = Field(description="Expected calibration error, 15 bins of equal width.")
    not_predicted: int | None = Field(description="Images that the network gives NaN for.")
    labelled: int | None


class ChunkBody(BaseModel):
    steps: list[int]
    address: str


class ClusteredBody(BaseModel):
    k: int
    seed: int
    steps: list[int]
    keys: list[str] = Field(description="Of the content of each step's clusters.")
    map: str | None = Field(description="Of the content of the map that points lie on.")
    rows: list[ChunkBody]


class JobAnswer(BaseModel):
    state: str = Field(description="none, starting, running, paused, done, failed or cancelled")
    done: float | None = None
    of: float | None = None
    rate: float | None = Field(None, description="Images a second.")
    seconds_left: float | None = None
    step: int | None = None
    message: str | None = None


class StatisticsAnswer(NoticedAnswer):
    run: str
    corpus: str
    split: str
    splits: dict[str, int] = Field(description="Number of images of each split.")
    images: int
    class_names: list[str]
    command: str = Field(description="The line that computes what is missing.")
    job: JobAnswer | None
    steps: list[StepBody]
    confusions: list[ChunkBody]
    points: list[ChunkBody]
    clusters: ClusteredBody | None


class ConfusionAnswer(NoticedAnswer):
    class_names: list[str]
    cells: list[list[int]] = Field(description="[actual, predicted, count] of every cell that holds an image")
    not_predicted_column: int = Field(description="What stands as predicted for images that are not predicted.")


class CellImageBody(BaseModel):
    id: str
    name: str
    position: int = Field(description="Within the split.")
    label: int | None
    class_name: str | None
    probability: float | None = Field(description="Of what is predicted, 0..1.")
    predicted: int | None
    predicted_name: str | None
    true_probability: float | None


class CellAnswer(NoticedAnswer):
    total: int
    images: list[CellImageBody]


class MemberBody(CellImageBody):
    distance: float | None = Field(description="From the cluster's centre, between vectors of probabilities.")


class MembersAnswer(NoticedAnswer):
    total: int
    images: list[MemberBody]


class MovedImageBody(CellImageBody):
    before: int | None = Field(description="What it was predicted as at the earlier step.")
    before_name: str | None


class MovesAnswer(NoticedAnswer):
    moves: list[dict[str, int]] = Field(description="actual, from, to, count; the most frequent first, 2000 at most")
    kinds: int = Field(description="How many moves there are.")
    total: int = Field(description="How many images moved.")
    images: list[MovedImageBody]


class PairsAnswer(NoticedAnswer):
    pairs: list[dict[str, float]] = Field(
        description="actual, predicted, count; share of the class's images, or with since: before, growth"
    )


class OrderAnswer(BaseModel):
    order: list[int]
    groups: list[dict[str, Any]] | None = Field(description="name, first (place in the order), count")


class ClassesAnswer(NoticedAnswer):
    class_names: list[str]
    precision: list[float | None] = Field(description="By class; null where nothing is predicted so.")
    recall: list[float | None]
    support: list[int] = Field(description="Labelled images of each class.")


class IdsAnswer(BaseModel):
    ids: list[str] = Field(description="By position within the split.")
    labels: list[int] = Field(description="Class numbers, -1 where not known.")


class RowsAnswer(BaseModel):
    steps: list[dict[str, Any]] = Field(
        description="step, before, after, refit, inertia, clusters: cluster, size, state, purity, majority [[class, count]], "
        "mean [[class, probability]], nearest [positions within the split], from and to [[cluster, count]]"
    )
    pictures: dict[str, Any] = Field(description="address, edge and across of the sheet with the nearest images")


class ClustersAnswer(NoticedAnswer):
    k: int
    seed: int
    step: int
    before: int | None = Field(description="The step that from refers to.")
    after: int | None
    clusters: list[dict[str, Any]] = Field(
        description="cluster, size, state (alive, born, died, empty), purity, majority [{class, count}], "
        "mean [[class, probability]], nearest [ids], from and to [{cluster, count}]"
    )
    class_names: list[str]


class TrajectoryAnswer(NoticedAnswer):
    steps: list[int]
    label: int | None
    predicted: list[int | None]
    true_probability: list[float | None]
    classes: list[list[int]] | None = Field(description="Whose the probabilities are; null where all classes have one.")
    probabilities: list[list[float | None]]
    form: str = Field(description="full, or top-20: the twenty most probable classes")


class JobOrder(BaseModel):
    action: Literal["start", "pause", "resume", "cancel"]
    corpus: str | None = None
    split: str | None = None


# ------------------------------------------------------------------------------------- words of addresses

SplitChoice = Annotated[str | None, Query(description="Which images; default: test where there is one, else the last.")]
Steps = Annotated[str, Query(description="Steps with commas between, as the overview has them.")]
Digest = Annotated[str, Query(pattern="^[0-9a-f]{1,64}$", description="From the overview.")]
Class = Annotated[int, Path(description="Number of a class.")]
Predicted = Annotated[int, Path(description="Number of a class; the number of classes for images not predicted.")]
Offset = Annotated[int, Query(ge=0, description="How many to leave out at the beginning.")]
Limit = Annotated[int, Query(ge=0, le=MOST_IMAGES, description="How many at most.")]
Format = Annotated[Literal["json", "csv", "parquet"], Query(description="json, or a file of the table.")]

_TABLES = {"text/csv": {"schema": {"type": "string"}}, export.FORMATS["parquet"]: {"schema": {"type": "string"}}}
_TABLE: dict[int | str, dict[str, Any]] = {200: {"content": _TABLES}}
_COLUMNS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}, **_TABLES}}
}
_BYTES: dict[int | str, dict[str, Any]] = {200: NPY}
_SHEET: dict[int | str, dict[str, Any]] = {200: {"content": {"image/webp": {"schema": {"type": "string"}}}}}
_STALE: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": REFUSALS[Conflict]},
}


def _steps(text: str) -> list[int]:
    """Each once: of a thousand times the same, all would be read a thousand times."""
    try:
        steps = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise BadRequest(f"steps = {text}: it must be whole numbers with commas between, such as 0,100.") from None
    if len(set(steps)) < len(steps):
        raise BadRequest("steps: each step is named once.")
    return steps


def statistics_router(observatory: Observatory) -> APIRouter:
    """Routes under /api/v1/runs/{run}. To be included before the error handlers are installed."""
    api = APIRouter(
        prefix=PREFIX + "/runs/{run}",
        tags=["statistics"],
        responses=REFUSAL_ANSWERS,
        route_class=LinkedRoute,
        generate_unique_id_function=lambda route: route.name,
    )
    statistics: Statistics = observatory.statistics

    def table(request: Request, rows: export.Table, format: str, subject: Subject, *words: object) -> Response:
        name = "-".join(str(word) for word in (subject.run, subject.corpus, subject.split, *words))
        return answer(
            request,
            export.encode(rows, format),
            export.FORMATS[format],
            **{"Content-Disposition": f"attachment; filename*=UTF-8''{quote(f'{name}.{format}')}"},
        )

    def noticed(request: Request, run: str, corpus: str | None, content: Mapping[str, Any]) -> Response:
        """The answer, and what a reader of its numbers has to know."""
        return json_answer(request, {**content, "notices": observatory.workspace.basis(run, corpus).notices_json()})

    # ---- a whole run

    @api.get("/statistics", response_model=StatisticsAnswer, responses=_TABLE)
    def statistics_of_run(
        request: Request, run: RunName, corpus: CorpusChoice = None, split: SplitChoice = None, format: Format = "json"
    ) -> Response:
        """Which steps have statistics, their rates, and where the confusion counts (``confusions``) and the places of
        images on the map (``points``) can be had. As a table: a row a step."""
        overview = statistics.overview(run, corpus, split)
        subject = overview.subject
        if format != "json":
            return table(request, statistics.steps_table(overview), format, subject, "statistics")
        fit = overview.fit
        return noticed(
            request,
            run,
            subject.corpus,
            {
                "run": run,
                "corpus": subject.corpus,
                "split": subject.split,
                "splits": overview.splits,
                "images": len(subject.positions),
                "class_names": overview.class_names,
                "command": overview.command,
                "job": statistics.job(run, subject.corpus, subject.split) if statistics.jobs is not None else None,
                "steps": [state.json() for state in overview.steps],
                "confusions": chunks(overview, "confusions", statistics.confusion_chunks(overview)),
                "points": chunks(overview, "points", statistics.point_chunks(overview)),
                "clusters": {
                    "k": fit.k,
                    "seed": fit.seed,
                    "steps": fit.steps,
                    "keys": list(fit.clusters.values()),
                    "map": fit.projection,
                    "rows": chunks(overview, "cluster_rows", statistics.row_chunks(overview)),
                }
                if fit is not None
                else None,
            },
        )

    def chunks(overview: Overview, what: str, cut: Sequence[tuple[list[int], str]]) -> list[dict[str, Any]]:
        subject = overview.subject
        named = []
        for steps, digest in cut:
            query = {
                "corpus": subject.corpus,
                "split": subject.split,
                "steps": ",".join(map(str, steps)),
                "digest": digest,
            }
            address = f"{PREFIX}/runs/{quote(subject.run)}/statistics/{what}?{urlencode(query, safe=',')}"
            named.append({"steps": steps, "address": address})
        return named

    @api.get("/statistics/confusions", response_class=Response, responses={**_BYTES, **_STALE})
    def confusion_chunk(
        request: Request,
        run: RunName,
        steps: Steps,
        digest: Digest,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
    ) -> Response:
        """Confusion counts of some steps, for ever the same under this address. Little-endian: ``MLC1``, uint32 H, H bytes
        of JSON ``{"steps", "classes": C, "cells": [n of each step], "images": [labelled images of each step]}``; then for
        each step n uint32 cell numbers ``actual * (C + 1) + predicted``, ascending (``predicted`` C: not predicted), and n
        uint32 counts. 409 where the statistics changed since.
        """
        overview = statistics.overview(run, corpus, split)
        data = statistics.confusion_bytes(overview, _steps(steps), digest)
        return for_ever(request, data, f"MLC1-{digest}")

    @api.get("/statistics/points", response_class=Response, responses={**_BYTES, **_STALE})
    def points_chunk(
        request: Request,
        run: RunName,
        steps: Steps,
        digest: Digest,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
    ) -> Response:
        """Where images lie on the map at some steps, for ever the same under this address. Little-endian: ``MLP1``, uint32
        H, H bytes of JSON ``{"steps", "images", "x": [lo, hi], "y": [lo, hi], "explained", "clusters": k}``; then for each
        step int16 x and int16 y by image (``lo + (code + 32767) / 65534 * (hi - lo)``; -32768: none), uint16 cluster and
        uint16 predicted class (65535: none). 409 where the statistics changed since.
        """
        overview = statistics.overview(run, corpus, split)
        data = statistics.points_bytes(overview, _steps(steps), digest)
        return for_ever(request, data, f"MLP1-{digest}")

    @api.get("/statistics/cluster_rows", response_model=RowsAnswer, responses=_STALE)
    def cluster_rows(
        request: Request,
        run: RunName,
        steps: Steps,
        digest: Digest,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
    ) -> Response:
        """What the clusters' rows show at some steps, for ever the same under this address. 409 where the clusters changed
        since."""
        overview = statistics.overview(run, corpus, split)
        rows = statistics.rows_of_clusters(overview, _steps(steps), digest)
        (sheet,) = chunks(overview, "cluster_pictures", [(_steps(steps), digest)])
        pictures = {"address": sheet["address"], "edge": SHEET_EDGE_PX, "across": SHEET_ACROSS}
        data = json.dumps({"steps": rows, "pictures": pictures}, separators=(",", ":")).encode()
        return for_ever(request, data, f"rows-{digest}", "application/json")

    @api.get("/statistics/cluster_pictures", response_class=Response, responses={**_SHEET, **_STALE})
    def cluster_pictures(
        request: Request,
        run: RunName,
        steps: Steps,
        digest: Digest,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
    ) -> Response:
        """One picture of all images that the clusters' rows show at some steps (``cluster_rows`` says how large each is), in
        ascending order of their positions."""
        etag = f"sheet-{digest}"
        unchanged = unchanged_answer(request, f'"{etag}"', IMMUTABLE)
        if unchanged:
            return unchanged
        overview = statistics.overview(run, corpus, split)
        return for_ever(request, statistics.cluster_pictures(overview, _steps(steps), digest), etag, "image/webp")

    def for_ever(request: Request, data: bytes, tag: str, kind: str = "application/octet-stream") -> Response:
        etag = f'"{tag}"'
        unchanged = unchanged_answer(request, etag, IMMUTABLE)
        return unchanged or answer(request, data, kind, etag, IMMUTABLE)

    @api.get("/statistics/image_ids", response_model=IdsAnswer)
    def image_ids(request: Request, run: RunName, corpus: CorpusChoice = None, split: SplitChoice = None) -> Response:
        """The ids and classes of a split's images, in the order in which statistics and points count them."""
        ids, labels = statistics.image_ids(run, corpus, split), statistics.image_labels(run, corpus, split)
        return json_answer(request, {"ids": ids, "labels": labels})

    @api.get("/statistics/moves", response_model=MovesAnswer, responses=_TABLE)
    def moves(
        request: Request,
        run: RunName,
        from_step: Annotated[int, Query(alias="from", description="The earlier step.")],
        to_step: Annotated[int, Query(alias="to", description="The later step.")],
        actual: Annotated[int | None, Query(description="Only images of this class.")] = None,
        before: Annotated[int | None, Query(description="Only images that were predicted so.")] = None,
        after: Annotated[int | None, Query(description="Only images that are predicted so now.")] = None,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        offset: Offset = 0,
        limit: Limit = 60,
        format: Format = "json",
    ) -> Response:
        """Images that are predicted otherwise at one step than at another, and from where to where they went."""
        if format != "json":
            subject = statistics.subject(run, corpus, split)
            rows = statistics.moves_table(subject, from_step, to_step)
            return table(request, rows, format, subject, "moves", from_step, to_step)
        found = statistics.moves(run, from_step, to_step, corpus, split, actual, before, after, offset, limit)
        return noticed(request, run, corpus, found)

    @api.get("/statistics/pairs", response_model=PairsAnswer)
    def pairs(
        request: Request,
        run: RunName,
        step: Annotated[int, Query(description="The step.")],
        since: Annotated[int | None, Query(description="An earlier step: pairs that grew most since.")] = None,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        limit: Limit = 50,
    ) -> Response:
        """The pairs of classes that are confused most, or with ``since`` whose confusion grew most."""
        if since is None:
            found = statistics.most_confused(run, step, corpus, split, limit)
        else:
            found = statistics.fastest_growing(run, since, step, corpus, split, limit)
        return noticed(request, run, corpus, {"pairs": found})

    @api.get("/statistics/class_order", response_model=OrderAnswer)
    def class_order(
        request: Request,
        run: RunName,
        rule: Annotated[
            Literal["given", "name", "similarity", "group"],
            Query(description="By number, by name, what is confused side by side, or by a hierarchy file."),
        ] = "given",
        step: Annotated[int | None, Query(description="For similarity; default: the last that is ready.")] = None,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
    ) -> Response:
        """An order of the classes for the axes of a confusion matrix."""
        return json_answer(request, statistics.class_order(run, rule, step, corpus, split))

    # ---- a step

    at_step = "/checkpoints/{step}"

    @api.get(at_step + "/confusion", response_model=ConfusionAnswer, responses=_TABLE)
    def confusion(
        request: Request,
        run: RunName,
        step: Step,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        format: Format = "json",
    ) -> Response:
        """The confusion matrix: how many images of each class are taken for which."""
        subject = statistics.subject(run, corpus, split)
        if format != "json":
            return table(request, statistics.confusion_table(subject, step), format, subject, step, "confusion")
        plane = statistics.plane(run, step, subject.corpus, subject.split)
        names = statistics.class_names(run, subject.corpus, plane.classes)
        content = {"class_names": names, "cells": plane.cells, "not_predicted_column": plane.classes}
        return noticed(request, run, subject.corpus, content)

    @api.get(at_step + "/confusion/{actual}/{predicted}", response_model=CellAnswer)
    def cell_images(
        request: Request,
        run: RunName,
        step: Step,
        actual: Class,
        predicted: Predicted,
        order: Annotated[
            Literal["confident", "unsure", "position"],
            Query(description="The surest first, the least sure first, or as in the split."),
        ] = "confident",
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        offset: Offset = 0,
        limit: Limit = 60,
    ) -> Response:
        """The images of one cell; ``total`` is the cell's count."""
        found = statistics.cell_images(run, step, actual, predicted, corpus, split, order, offset, limit)
        return noticed(request, run, corpus, vars(found))

    @api.get(at_step + "/classes", response_model=ClassesAnswer, responses=_TABLE)
    def classes_of_step(
        request: Request,
        run: RunName,
        step: Step,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        format: Format = "json",
    ) -> Response:
        """Precision, recall and support of every class."""
        subject = statistics.subject(run, corpus, split)
        rows = statistics.classes_table(subject, step)
        if format != "json":
            return table(request, rows, format, subject, step, "classes")
        names = ("precision", "recall", "support")
        content = {"class_names": rows["class_name"], **{name: rows[name] for name in names}}
        return noticed(request, run, subject.corpus, content)

    @api.get(at_step + "/images", response_class=Response, responses=_COLUMNS)
    def images_of_step(
        request: Request,
        run: RunName,
        step: Step,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        format: Format = "csv",
    ) -> Response:
        """What every image is held for: id, actual, predicted, confidence, true_probability, loss, margin, in_top_5. JSON
        is an object of lists by column."""
        subject = statistics.subject(run, corpus, split)
        return table(request, statistics.images_table(subject, step), format, subject, step, "images")

    @api.get(at_step + "/clusters", response_model=ClustersAnswer, responses=_TABLE)
    def clusters(
        request: Request,
        run: RunName,
        step: Step,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        format: Format = "json",
    ) -> Response:
        """The clusters of the images by their probabilities, each with its size, classes and where its images came from
        and go to."""
        if format != "json":
            subject = statistics.subject(run, corpus, split)
            return table(request, statistics.clusters_table(subject, step), format, subject, step, "clusters")
        return noticed(request, run, corpus, statistics.clusters(run, step, corpus, split))

    @api.get(at_step + "/clusters/members", response_class=Response, responses=_COLUMNS)
    def members_of_all_clusters(
        request: Request,
        run: RunName,
        step: Step,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        format: Format = "csv",
    ) -> Response:
        """The cluster of every image: id, cluster, distance from its centre. JSON is an object of lists by column."""
        subject = statistics.subject(run, corpus, split)
        return table(request, statistics.members_table(subject, step), format, subject, step, "cluster-members")

    @api.get(at_step + "/clusters/{cluster}", response_model=MembersAnswer)
    def cluster_members(
        request: Request,
        run: RunName,
        step: Step,
        cluster: Annotated[int, Path(description="Number of a cluster.")],
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
        offset: Offset = 0,
        limit: Limit = 60,
    ) -> Response:
        """The images of one cluster, the nearest to its centre first."""
        found = statistics.cluster_members(run, step, cluster, corpus, split, offset, limit)
        return noticed(request, run, corpus, vars(found))

    # ---- an image, a job

    @api.get("/images/{image}/trajectory", response_model=TrajectoryAnswer)
    def trajectory(
        request: Request,
        run: RunName,
        image: ImageId,
        corpus: CorpusChoice = None,
        split: SplitChoice = None,
    ) -> Response:
        """What one image is held for at every step that has statistics; no network is needed. ``split``, by default, is
        the image's own."""
        return noticed(request, run, corpus, statistics.trajectory(run, image, corpus, split))

    @api.get("/statistics/job", response_model=JobAnswer)
    def job(request: Request, run: RunName, corpus: CorpusChoice = None, split: SplitChoice = None) -> Response:
        """How far the computation of the statistics is."""
        return json_answer(request, statistics.job(run, corpus, split))

    @api.post("/statistics/job", response_model=JobAnswer)
    def order_job(
        request: Request,
        run: RunName,
        order: JobOrder,
        x_mloscope: Annotated[str | None, Header(description="1. Other sites cannot send it.")] = None,
    ) -> Response:
        """Start, pause, go on with or cancel the computation of the statistics."""
        if x_mloscope != "1":  # where the request came from, the doors see to
            raise Forbidden("A computation is started by this server's own pages, or with the header X-Mloscope: 1.")
        return json_answer(request, statistics.act(order.action, run, order.corpus, order.split))

    return api
