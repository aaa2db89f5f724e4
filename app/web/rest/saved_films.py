"""Films as files: MP4, GIF, or a PNG per step."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from mloscope.app.errors import NotFound
from mloscope.app.export.colour_scale import COLOURS, RANGES, SYMMETRIES, ColourChoice
from mloscope.app.export.film_export import FASTEST, SLOWEST, FilmOrder
from mloscope.app.export.film_formats import FORMATS
from mloscope.app.export.film_pictures import FilmLook
from mloscope.app.web.rest.answers import NDJSON, NPY, answer, file_answer, streamed_lines
from mloscope.app.web.rest.dependencies import TheServices
from mloscope.app.web.rest.films import Asked
from mloscope.app.web.rest.resource import PREFIX, resource
from mloscope.components.theme import TOKENS

router = resource("films")

FILE = "/runs/{run}/layers/{layer:path}/film.{format}"
FILES = {"content": {each.media_type: {"schema": {"type": "string", "format": "binary"}} for each in FORMATS.values()}}
Format = Annotated[
    str, Path(description=f"One of {', '.join(FORMATS)}: {', '.join(f.title for f in FORMATS.values())}.")
]


@dataclass(frozen=True)
class AskedFile:
    """How a film's file is to look, in the words of its address."""

    colour: Annotated[Literal[*COLOURS], Query(description="Colour table.")] = "auto"
    range: Annotated[Literal[*RANGES], Query(description="What the ends of the colour scale follow.")] = "fixed"
    symmetric: Annotated[Literal[*SYMMETRIES], Query(description="Whether zero is in the middle of the scale.")] = (
        "auto"
    )
    width: Annotated[int, Query(description="Pixels for the tiles; the picture is about as large.")] = 960
    height: Annotated[int, Query(description="The same, downwards.")] = 540
    across: Annotated[int | None, Query(description="Tiles in a row; default: as many as let them be largest.")] = None
    theme: Annotated[Literal[*TOKENS], Query(description="Light or dark ground.")] = "light"
    title: Annotated[bool, Query(description="Whether what is shown and the step are written above.")] = True
    legend: Annotated[bool, Query(description="Whether the colour scale stands below.")] = True
    first: Annotated[int | None, Query(description="The first step; default: that of the run.")] = None
    last: Annotated[int | None, Query(description="The last step; default: that of the run.")] = None
    speed: Annotated[float, Query(description=f"Steps per second, {SLOWEST:g} to {FASTEST:g}.")] = 10.0

    def order(self, format: str) -> FilmOrder:
        colours = ColourChoice(self.colour, self.range, self.symmetric)
        look = FilmLook(colours, self.width, self.height, self.across, self.theme, self.title, self.legend)
        return FilmOrder(format, look, self.first, self.last, self.speed)


Look = Annotated[AskedFile, Depends()]


@router.get(FILE, response_class=Response, responses={200: FILES})
def film_file(services: TheServices, asked: Asked, look: Look, format: Format) -> Response:
    """A film as a file: the film of the same address without the ending, drawn as on the page. A step that has nothing is hatched
    and says why."""
    saved = services.film_export.file(asked.question(services.workspace), look.order(format))
    return file_answer(saved.content, saved.media_type, saved.name)


@router.get(FILE + "/making", response_class=StreamingResponse, responses={200: NDJSON})
def film_file_making(request: Request, services: TheServices, asked: Asked, look: Look, format: Format) -> Response:
    """Make the same file and tell how it goes, one JSON object per line: ``{"progress": {"done", "of", "doing"}}``, then
    ``{"file": {"address", "name", "bytes"}}``, at the end ``{"done": true}`` or ``{"error"}``. Hang up at any line and the work
    stops.
    """
    told = services.film_export.lines(asked.question(services.workspace), look.order(format))
    return streamed_lines(request, ([_with_address(line) for line in lines] for lines in told))


def _with_address(line: dict) -> dict:
    if "file" not in line:
        return line
    file = dict(line["file"])
    return {"file": {"address": f"{PREFIX}/saved-films/{file.pop('digest')}", **file}}


@router.get("/saved-films/{digest}", response_class=Response, responses={200: NPY})
def saved_film(services: TheServices, digest: Annotated[str, Path(description="From a line of /making.")]) -> Response:
    """A file that was made a moment ago."""
    if not re.fullmatch(r"[0-9a-f]{32}", digest):
        raise NotFound(f'There is no saved film "{digest}": the digest of one has 32 hexadecimal digits.')
    return answer(services.film_export.kept(digest), "application/octet-stream", f'"{digest}"')
