"""Corpora over HTTP: their classes and splits, search for images, and the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.responses import Response
from pydantic import Field

from mloscope.adaptors.interface import CorpusAdaptor
from mloscope.app.errors import BadRequest
from mloscope.app.images.image_query import ImageQuery
from mloscope.app.web.rest.addresses import MOST_IMAGES, CorpusName, ImageId, Offset
from mloscope.app.web.rest.answers import PNG, answer
from mloscope.app.web.rest.dependencies import TheWorkspace
from mloscope.app.web.rest.image_words import ImageWords
from mloscope.app.web.rest.resource import resource
from mloscope.app.workspace.connected import ConnectedCorpus

router = resource("corpora", "/corpora")


@dataclass(frozen=True)
class CorpusSummary:
    name: str
    title: Annotated[str, Field(description="What people call it.")]
    format: str | None
    path: str
    size: Annotated[int, Field(description="Number of images.")]
    problem: str | None


@dataclass(frozen=True)
class CorporaAnswer:
    corpora: list[CorpusSummary]


@router.get("")
def list_corpora(workspace: TheWorkspace) -> CorporaAnswer:
    """All connected corpora, those that could not be opened included."""
    return CorporaAnswer([_summary(workspace.corpus(corpus.name)) for corpus in workspace.corpora])


def _summary(corpus: ConnectedCorpus) -> CorpusSummary:
    size = len(corpus.adaptor) if corpus.adaptor is not None else 0
    return CorpusSummary(corpus.name, corpus.shown_title, corpus.format, str(corpus.path), size, corpus.problem)


@dataclass(frozen=True)
class FacetBody:
    name: Annotated[str, Field(description="The parameter of the search for images that takes one of the values.")]
    title: Annotated[str, Field(description="What people call it.")]
    values: Sequence[str]


@dataclass(frozen=True)
class CorpusAnswer(CorpusSummary):
    class_names: Sequence[str]
    splits: Annotated[Mapping[str, int], Field(description="Number of images of each split.")]
    image_shape: Annotated[Sequence[int] | None, Field(description="row, column, channel where all images share them")]
    problems: Sequence[str]
    facets: Annotated[list[FacetBody], Field(description="What images are chosen by, in the order of the choices.")]


@router.get("/{corpus}")
def describe_corpus(workspace: TheWorkspace, corpus: CorpusName) -> CorpusAnswer:
    """One corpus: its classes and splits, and what could not be read."""
    connected = workspace.corpus(corpus)
    adaptor, summary = connected.adaptor, vars(_summary(connected))
    if adaptor is None:
        return CorpusAnswer(**summary, class_names=(), splits={}, image_shape=None, problems=(), facets=[])
    return CorpusAnswer(
        **summary,
        class_names=adaptor.class_names,
        splits={name: len(positions) for name, positions in adaptor.splits.items()},
        image_shape=adaptor.image_shape,
        problems=adaptor.problems(),
        facets=[
            FacetBody(facet.name, facet.title, facet.values) for facet in workspace.image_index(corpus).facets.values()
        ],
    )


@dataclass(frozen=True)
class FoundImage:
    id: str
    name: str
    label: int | None
    class_name: str | None
    split: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class ImagesAnswer:
    images: list[FoundImage]
    total: Annotated[int, Field(description="How many images match in all.")]
    offset: int


def _image_query(
    workspace: TheWorkspace,
    words: ImageWords,
    corpus: CorpusName,
    split: Annotated[str | None, Query(description="training, test, or the corpus's own word.")] = None,
) -> ImageQuery:
    query = ImageQuery.parse(words, workspace.image_index(corpus).facets)
    if query.order or query.judged:
        raise BadRequest(
            "order and judged rest on what a run predicts at a step: "
            f"GET runs/{{run}}/checkpoints/{{step}}/images/search?corpus={corpus} lists images so."
        )
    return query


@router.get("/{corpus}/images")
def search_images(
    workspace: TheWorkspace,
    corpus: CorpusName,
    query: Annotated[ImageQuery, Depends(_image_query)],
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_IMAGES, description="How many at most.")] = 60,
    at: Annotated[
        str | None, Query(description="Id of an image: the page on which it stands, whatever offset.")
    ] = None,
) -> ImagesAnswer:
    """Images that match, a page at a time. Each facet of the corpus is a parameter too, which takes one of its values."""
    index, opened = workspace.image_index(corpus), workspace.opened_corpus(corpus)
    if at is not None:
        offset = index.page_of(opened.position(at), query, limit)
    found = index.find(query, offset, limit)
    adaptor = opened.adaptor
    images = [found_image(adaptor, position) for position in found.positions]
    return ImagesAnswer(images, found.total, offset)


def found_image(adaptor: CorpusAdaptor, position: int) -> FoundImage:
    """Return what is known of the image at a position."""
    record, classes = adaptor.record(position), adaptor.class_names
    known = record.label is not None and record.label < len(classes)
    class_name = classes[record.label] if known and record.label is not None else None
    return FoundImage(record.id, record.name, record.label, class_name, record.split, record.metadata)


@router.get("/{corpus}/images/{image}.png", response_class=Response, responses={200: PNG})
def image_png(
    workspace: TheWorkspace,
    corpus: CorpusName,
    image: ImageId,
    edge: Annotated[
        int | None, Query(ge=1, le=4096, description="Longer edge at most, in pixels; never enlarged.")
    ] = None,
) -> Response:
    """An image, grey or colour, at its own size or smaller; or a reference to one with changes, such as ``test-3~shift=4,0``."""
    picture = workspace.picture(corpus, image, edge)
    # The same name and id may stand for another picture after a restart, so a browser asks again; the
    # ETag makes that cheap.
    return answer(picture, "image/png")
