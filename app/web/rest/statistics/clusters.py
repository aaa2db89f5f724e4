"""Clusters of images that a network finds similar, and the places of images on the map."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from fastapi.responses import Response
from pydantic import Field

from mloscope.app.statistics import tables
from mloscope.app.statistics.clusters import answers
from mloscope.app.statistics.clusters.answers import SHEET_ACROSS, SHEET_EDGE_PX
from mloscope.app.statistics.clusters.lasso import Lasso
from mloscope.app.statistics.clusters.map_kinds import MAP_KINDS, PCA
from mloscope.app.web.rest.addresses import Step
from mloscope.app.web.rest.answers import IMMUTABLE, held, immutable_answer, unchanged_answer
from mloscope.app.web.rest.resource import Notices, resource
from mloscope.app.web.rest.statistics.asked_images import RestsOn, Wanted
from mloscope.app.web.rest.statistics.asked_split import (
    BYTES,
    COLUMNS,
    RUN_PATH,
    STEP_PATH,
    TABLE,
    Asked,
    DescribedImage,
    Digest,
    Format,
    Steps,
    chunks_of,
    read_steps,
)

router = resource("statistics", RUN_PATH)

OnMap = Annotated[Literal[tuple(MAP_KINDS)], Query(description="Which map: one of those that the overview lists.")]  # type: ignore[valid-type]

SHEET: dict[int | str, dict[str, Any]] = {200: {"content": {"image/webp": {"schema": {"type": "string"}}}}}

# ------------------------------------------------------------------------------------------------- a whole run


@router.get("/statistics/points", response_class=Response, responses=BYTES)
def points_chunk(asked: Asked, steps: Steps, digest: Digest, map: OnMap = PCA.name) -> Response:
    """Where images lie on a map at some steps, for ever the same under this address. Little-endian: ``MLP1``, uint32
    H, H bytes of JSON ``{"steps", "images", "x": [lo, hi], "y": [lo, hi], "explained", "note", "clusters": k}``; then for each
    step int16 x and int16 y by image (``lo + (code + 32767) / 65534 * (hi - lo)``; -32768: none), uint16 cluster and
    uint16 predicted class (65535: none). 409 where the statistics changed since.
    """
    data = answers.points(asked.of, read_steps(steps), digest, map)
    return immutable_answer(data, f'"MLP1-{digest}"')


@dataclass(frozen=True)
class RowsAnswer:
    steps: Annotated[
        list[dict[str, Any]],
        Field(
            description="step, before, after, refit, inertia, clusters: cluster, size, state, purity, majority "
            "[[class, count]], mean [[class, probability]], nearest [positions within the split], from and to "
            "[[cluster, count]]"
        ),
    ]
    pictures: Annotated[
        dict[str, Any], Field(description="address, edge and across of the sheet with the nearest images")
    ]


@router.get("/statistics/cluster_rows", response_model=RowsAnswer)
def cluster_rows(asked: Asked, steps: Steps, digest: Digest) -> Response:
    """What the clusters' rows show at some steps, for ever the same under this address. 409 where the clusters changed
    since."""
    numbers = read_steps(steps)
    rows = answers.rows(asked.of, numbers, digest)
    (sheet,) = chunks_of(asked.of, "cluster_pictures", [(numbers, digest)])
    pictures = {"address": sheet.address, "edge": SHEET_EDGE_PX, "across": SHEET_ACROSS}
    data = json.dumps({"steps": rows, "pictures": pictures}, separators=(",", ":")).encode()
    return immutable_answer(data, f'"rows-{digest}"', "application/json")


@router.get("/statistics/cluster_pictures", response_class=Response, responses=SHEET)
def cluster_pictures(request: Request, asked: Asked, steps: Steps, digest: Digest) -> Response:
    """One picture of all images that the clusters' rows show at some steps (``cluster_rows`` says how large each is), in
    ascending order of their positions."""
    etag = f'"sheet-{digest}"'
    if held(request, etag):
        return unchanged_answer(etag, IMMUTABLE)
    sheet = answers.row_pictures(asked.of, read_steps(steps), digest)
    return immutable_answer(sheet, etag, "image/webp")


@dataclass(frozen=True)
class LassoAnswer:
    step: Annotated[int, Field(description="Whose map the line was drawn on; the images are described as of it.")]
    total: int
    images: list[DescribedImage]
    rests_on: RestsOn
    notices: Notices


@router.get("/statistics/lasso")
def lassoed_images(
    asked: Asked,
    wanted: Wanted,
    lasso: Annotated[
        str,
        Query(
            description="As in the address of the page: the step, then corners from 0 (left, below) to 999, such as "
            "200:0,0;999,0;500,999; 100 at most."
        ),
    ],
    map: OnMap = PCA.name,
) -> LassoAnswer:
    """The images within a line drawn on a map, in the order of the split; ``search``, ``label`` and the corpus's facets
    narrow them as in the search for images."""
    drawn = Lasso.parse(lasso)
    found = wanted.page(answers.lassoed_images(asked.of, drawn, map), drawn.step)
    images = [DescribedImage(**image) for image in found.images]
    return LassoAnswer(drawn.step, found.total, images, found.rests_on, asked.notices())


# ------------------------------------------------------------------------------------------------------ a step


@dataclass(frozen=True)
class ClustersAnswer:
    k: int
    seed: int
    step: int
    before: Annotated[int | None, Field(description="The step that from refers to.")]
    after: int | None
    refit: Annotated[bool, Field(description="Whether clusters were found again from nothing.")]
    inertia: float | None
    clusters: Annotated[
        list[dict[str, Any]],
        Field(
            description="cluster, size, state (alive, born, died, empty), purity, majority [{class, count}], "
            "mean [[class, probability]], nearest [ids], from and to [{cluster, count}]"
        ),
    ]
    class_names: tuple[str, ...]
    notices: Notices


@router.get(STEP_PATH + "/clusters", response_model=ClustersAnswer, responses=TABLE)
def clusters(asked: Asked, step: Step, format: Format = "json") -> ClustersAnswer | Response:
    """The clusters of the images by their probabilities, each with its size, classes and where its images came from
    and go to."""
    if format != "json":
        return asked.table(tables.clusters_table(asked.of, step), format, step, "clusters")
    found = answers.clusters(asked.of, step)
    return ClustersAnswer(**found, notices=asked.notices())


@router.get(STEP_PATH + "/clusters/members", response_class=Response, responses=COLUMNS)
def members_of_all_clusters(asked: Asked, step: Step, format: Format = "csv") -> Response:
    """The cluster of every image: id, cluster, distance from its centre. JSON is an object of lists by column."""
    return asked.table(tables.members_table(asked.of, step), format, step, "cluster-members")


@dataclass(frozen=True)
class Member(DescribedImage):
    distance: Annotated[float | None, Field(description="From the cluster's centre, between vectors of probabilities.")]


@dataclass(frozen=True)
class MembersAnswer:
    total: int
    images: list[Member]
    rests_on: RestsOn
    notices: Notices


@router.get(STEP_PATH + "/clusters/{cluster}")
def cluster_members(
    asked: Asked,
    step: Step,
    cluster: Annotated[int, Path(description="Number of a cluster.")],
    wanted: Wanted,
) -> MembersAnswer:
    """The images of one cluster, the nearest to its centre first; ``search``, ``label`` and the corpus's facets narrow
    them as in the search for images."""
    found = wanted.page(answers.cluster_members(asked.of, step, cluster), step)
    return MembersAnswer(found.total, [Member(**image) for image in found.images], found.rests_on, asked.notices())
