"""Films over HTTP: a manifest as it comes, the chunks that it names, and the frames of single steps."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.observatory import FilmQuestion
from mloscope.app.web.rest.addresses import (
    CorpusChoice,
    LayerName,
    Layout,
    Near,
    ParameterChoice,
    RunName,
    read_numbers,
)
from mloscope.app.web.rest.answers import (
    IMMUTABLE,
    NDJSON,
    NPY,
    answer,
    held,
    immutable_answer,
    streamed_lines,
    unchanged_answer,
)
from mloscope.app.web.rest.dependencies import TheObservatory
from mloscope.app.web.rest.resource import resource

router = resource("films")


async def film_question(
    run: RunName,
    layer: LayerName,
    show: Annotated[Literal["parameters", "features"], Query(description="What is filmed.")] = "parameters",
    parameter: ParameterChoice = None,
    units: Annotated[
        str, Query(description="Default: all up to 256 tiles, else the first 32 units and 16 channels.")
    ] = "",
    channels: Annotated[str, Query(description="Incoming channels; default as for units.")] = "",
    layout: Layout = "tiles",
    image: Annotated[str | None, Query(description="Id of an image, for features.")] = None,
    corpus: CorpusChoice = None,
) -> FilmQuestion:
    return FilmQuestion(
        run=run,
        layer=layer,
        show=show,
        parameter=parameter or None,
        units=read_numbers(units, "units") or None,
        channels=read_numbers(channels, "channels") or None,
        layout=layout,
        image=image,
        corpus=corpus,
    )


AskedFilm = Annotated[FilmQuestion, Depends(film_question)]


@router.get("/runs/{run}/layers/{layer:path}/film", response_class=StreamingResponse, responses={200: NDJSON})
def film(request: Request, observatory: TheObservatory, question: AskedFilm, near: Near = None) -> Response:
    """A film's manifest, one JSON object per line, as the work goes on: ``{"film": {...}}``, then for each
    chunk ``{"chunk": {"address", "steps", "bytes"}}`` and ``{"progress": {"done", "of", "doing"}}``,
    ``{"missing": {"step", "reason"}}`` for what there is not, at the end ``{"done": true}`` or
    ``{"error"}``. Hang up at any line and the work stops.
    """
    return streamed_lines(request, observatory.film_pieces(replace(question, near=near)))


@router.get("/runs/{run}/layers/{layer:path}/frames", response_class=Response, responses={200: NPY})
def frames(
    observatory: TheObservatory,
    question: AskedFilm,
    steps: Annotated[str, Query(description='Steps of checkpoints, 1 to 16, such as "0,10,20".')] = "",
) -> Response:
    """The frames of some steps, as a chunk holds them, of the files as they are now: what to ask for where a
    chunk's address is not there any more. A step that has nothing is an error that says why.
    """
    try:
        numbers = [int(step) for step in steps.split(",")]
    except ValueError:
        raise BadRequest(f'steps = "{steps}" cannot be; it must be whole numbers with commas between them.') from None
    return answer(observatory.frames(question, numbers), "application/octet-stream")


@router.get("/films/{digest}", response_class=Response, responses={200: NPY})
def film_chunk(
    request: Request,
    observatory: TheObservatory,
    digest: Annotated[str, Path(description="From a manifest's chunk.")],
) -> Response:
    """A chunk of a film, for ever the same under this address. Little-endian: ``MLF1``, uint32 H, H bytes
    of JSON ``{"steps": [...], "shape": [units, channels, rows, columns, components]}``; float32
    ``unit_ranges[step, unit, 2]``; float32 ``layer_ranges[step, 2]``; uint8 ``codes[step, *shape]``. Code
    0 is NaN, 1 minus infinity, 2 plus infinity; 3 to 255 are ``lo + (code - 3) / 252 * (hi - lo)`` of the
    unit's range at the step.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", digest):
        raise NotFound(f'There is no film "{digest}": the digest of one has 32 hexadecimal digits.')
    etag = f'"{digest}"'
    if held(request, etag):
        return unchanged_answer(etag, IMMUTABLE)
    return immutable_answer(observatory.film_bytes(digest), etag)
