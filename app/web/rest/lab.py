"""The image lab over HTTP: images of one's own, the changes that images take, and sweeps of a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import Field

from mloscope.app.evaluation.sweeps import MOST_AMOUNTS, SWEEPS, SweptImage, sweep_of
from mloscope.app.images import changes
from mloscope.app.images.own_images import is_own
from mloscope.app.images.thumbnails import png
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.web.rest.addresses import CorpusChoice, ImageId, Near, OwnPage, RunName, require_own_page
from mloscope.app.web.rest.answers import NDJSON, PNG, answer, streamed_lines
from mloscope.app.web.rest.dependencies import TheServices, TheWorkspace
from mloscope.app.web.rest.resource import resource
from mloscope.app.web.services import Services

router = resource("lab")


@dataclass(frozen=True)
class OwnImage:
    image: Annotated[
        str, Field(description='Its id, "own-" and a digest; may stand wherever an image of a corpus may.')
    ]
    rows: int
    columns: int
    channels: int


@dataclass(frozen=True)
class ChangesAnswer:
    changes: Annotated[
        Sequence[Mapping[str, Any]],
        Field(description="What may follow an image's id: ~name=number,number; numbers in this order."),
    ]


@router.get("/image-changes")
def list_changes() -> ChangesAnswer:
    """The changes that an image takes: ``test-3~shift=4,0~noise=20,1`` may stand wherever ``test-3`` may."""
    return ChangesAnswer(changes.as_json())


async def _file(request: Request) -> bytes:
    return await request.body()


_BODY = {"requestBody": {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}, "required": True}}


@router.post("/own-images", openapi_extra=_BODY)
def add_own_image(
    workspace: TheWorkspace, file: Annotated[bytes, Depends(_file)], x_mloscope: OwnPage = None
) -> OwnImage:
    """Bring an image along: the body is the file, at most 10 MiB. It is kept in the cache of results for as long as there is
    room, larger ones reduced to 1,024 pixels; the same picture has the same id.
    """
    require_own_page(x_mloscope, "Images are brought along")
    image, pixels = workspace.own_images.add(file)
    return OwnImage(image, *pixels.shape)


@router.get("/own-images/{image}.png", response_class=Response, responses={200: PNG})
def own_image_png(
    workspace: TheWorkspace,
    image: ImageId,
    edge: Annotated[int | None, Query(ge=1, le=4096, description="Longer edge at most, in pixels.")] = None,
) -> Response:
    """Somebody's own image, with its changes."""
    return answer(png(workspace.pixels(None, image), edge), "image/png")


@router.get("/runs/{run}/sweeps/{sweep}/{image}", response_class=StreamingResponse, responses={200: NDJSON})
def sweep(
    request: Request,
    services: TheServices,
    run: RunName,
    sweep: Annotated[Literal[*SWEEPS], Path(description="What is changed.")],
    image: ImageId,
    corpus: CorpusChoice = None,
    low: Annotated[float | None, Query(description="The first amount; default: the sweep's own.")] = None,
    high: Annotated[float | None, Query(description="The last amount.")] = None,
    count: Annotated[int | None, Query(description=f"How many, 2 to {MOST_AMOUNTS}.")] = None,
    layers: Annotated[
        str, Query(description="Names of layers between commas; default: up to 12 with parameters.")
    ] = "",
    near: Near = None,
) -> Response:
    """What becomes of an image that is changed little by little, at every checkpoint: how far the layers' outputs move from
    those of the unchanged image, relative to their norm, and the probability of its class. Lines of NDJSON: ``{"sweep"}``,
    then ``{"amount", "steps", "distances", "probabilities", "predicted"}``, ``{"missing"}``, at the end ``{"done": true}`` or
    ``{"error"}``.
    """
    opened = services.workspace.opened_run(run)
    swept = _swept(services, opened, corpus, image, sweep, (low, high, count))
    names = [name for name in layers.split(",") if name]
    return streamed_lines(request, services.sweeps.stream(opened, corpus, swept, names, near))


def _swept(
    services: Services, run: OpenedRun, corpus: str | None, image: str, name: str, asked: tuple[Any, Any, Any]
) -> SweptImage:
    workspace, found = services.workspace, sweep_of(name)
    amounts = found.amounts(*asked)
    label = None
    if not is_own(image):
        images = workspace.corpus_for(run, corpus)
        position, _reference = workspace.located(images, image)
        label = run.basis(images.name).classes.output_of(images.record(position).label)
    return SweptImage(
        found,
        amounts,
        workspace.network_input(run, corpus, image),
        tuple(workspace.network_input(run, corpus, image + found.change(amount)) for amount in amounts),
        label,
    )
