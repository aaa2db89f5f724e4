"""Films over HTTP: a manifest as it comes, the chunks that it names, and the frames of single steps."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from mloscope.app.errors import BadRequest, NotFound
from mloscope.app.films.kinds import FilmQuestion, Option, film_kinds
from mloscope.app.web.rest.addresses import (
    CorpusChoice,
    LayerName,
    Near,
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
from mloscope.app.web.rest.dependencies import TheServices
from mloscope.app.web.rest.resource import resource
from mloscope.app.workspace.workspace import Workspace

router = resource("films")


KINDS = film_kinds()
FIRST_KIND = next(iter(KINDS))
Show = Annotated[Literal[*KINDS], Query(description=" ".join(f"{kind.name}: {kind.help}" for kind in KINDS.values()))]


def _options_as_parameters() -> inspect.Signature:
    """All kinds' options as parameters of the address, which FastAPI checks and documents. What several kinds call by one name is one
    parameter; each kind checks it again."""
    by_name: dict[str, list[Option]] = {}
    for option in (option for kind in KINDS.values() for option in kind.options):
        by_name.setdefault(option.name, []).append(option)
    return inspect.Signature([_parameter(name, options) for name, options in by_name.items()])


def _parameter(name: str, options: Sequence[Option]) -> inspect.Parameter:
    choices = tuple(dict.fromkeys(choice for option in options for choice in option.choices))
    is_free = any(not option.choices for option in options)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=(options[0].default or None) if len(options) == 1 else None,
        annotation=Annotated[
            (str if is_free else Literal[*choices]) | None,
            Query(description=" ".join(dict.fromkeys(option.help for option in options))),
        ],
    )


async def film_options(**options: str | None) -> Mapping[str, str | None]:
    return options


film_options.__signature__ = _options_as_parameters()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class AskedFilm:
    """A question for a film, in the words of its address."""

    run: RunName
    layer: LayerName
    options: Annotated[Mapping[str, str | None], Depends(film_options)]
    show: Show = FIRST_KIND
    units: Annotated[
        str, Query(description="Default: all up to 256 tiles, else the first 32 units and 16 channels.")
    ] = ""
    channels: Annotated[str, Query(description="Incoming channels; default as for units.")] = ""
    image: Annotated[str | None, Query(description="Id of an image, for kinds that need one.")] = None
    corpus: CorpusChoice = None

    def question(self, workspace: Workspace, near: int | None = None) -> FilmQuestion:
        run = workspace.opened_run(self.run)
        return FilmQuestion(
            run,
            run.layer(self.layer),
            self.show,
            self.options,
            self.image,
            self.corpus,
            read_numbers(self.units, "units") or None,
            read_numbers(self.channels, "channels") or None,
            near,
        )


Asked = Annotated[AskedFilm, Depends()]


@router.get("/runs/{run}/layers/{layer:path}/film", response_class=StreamingResponse, responses={200: NDJSON})
def film(request: Request, services: TheServices, asked: Asked, near: Near = None) -> Response:
    """A film's manifest, one JSON object per line, as the work goes on: ``{"film": {...}}``, then for each
    chunk ``{"chunk": {"address", "steps", "bytes"}}`` and ``{"progress": {"done", "of", "doing"}}``,
    ``{"missing": {"step", "reason"}}`` for what there is not, at the end ``{"done": true}`` or
    ``{"error"}``. Hang up at any line and the work stops.
    """
    return streamed_lines(request, services.films.manifest(asked.question(services.workspace, near)))


@router.get("/runs/{run}/layers/{layer:path}/frames", response_class=Response, responses={200: NPY})
def frames(
    services: TheServices,
    asked: Asked,
    steps: Annotated[str, Query(description='Steps of checkpoints, 1 to 16, such as "0,10,20".')] = "",
) -> Response:
    """The frames of some steps, as a chunk holds them, of the files as they are now: what to ask for where a
    chunk's address is not there any more. A step that has nothing is an error that says why.
    """
    try:
        numbers = [int(step) for step in steps.split(",")]
    except ValueError:
        raise BadRequest(f'steps must be whole numbers separated by commas, got "{steps}".') from None
    return answer(services.films.frames(asked.question(services.workspace), numbers), "application/octet-stream")


@router.get("/films/{digest}", response_class=Response, responses={200: NPY})
def film_chunk(
    request: Request,
    services: TheServices,
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
    return immutable_answer(services.films.chunk(digest), etag)
