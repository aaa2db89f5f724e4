"""The words that addresses are made of, each with its type and description, and what they are read as."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from fastapi import Header, Path, Query

from mloscope.app.errors import BadRequest, Forbidden, NotFound
from mloscope.app.runs.unit_selection import parse_units

MOST_IMAGES = 1000
LAYER_AT_STEP = "/runs/{run}/checkpoints/{step}/layers/{layer:path}"

RunName = Annotated[str, Path(description="Name of a run.")]
CorpusName = Annotated[str, Path(description="Name of a corpus.")]
Step = Annotated[int, Path(description="Step of a checkpoint of the run.")]
LayerName = Annotated[str, Path(description='Name of a layer; it may hold "/".')]
ImageId = Annotated[str, Path(description="Id of an image of the corpus.")]
CorpusChoice = Annotated[str | None, Query(description="Name of the image's corpus; default: the run's.")]
SplitChoice = Annotated[str | None, Query(description="Which images; default: test where there is one, else the last.")]
ParameterChoice = Annotated[str | None, Query(description="Name of a parameter; default: the layer's first.")]
Units = Annotated[str, Query(description='Units, such as "0-15,40"; default: all.')]
Channels = Annotated[str, Query(description='Incoming channels, such as "0-2"; default: all.')]
Layout = Annotated[
    Literal["tiles", "matrix"],
    Query(description="Dense kernels in the shape of the map before them, or a row per unit."),
]
Near = Annotated[int | None, Query(description="The step whose neighbours come first.")]
Offset = Annotated[int, Query(ge=0, description="How many to leave out at the beginning.")]
Limit = Annotated[int, Query(ge=0, le=MOST_IMAGES, description="How many at most.")]
OwnPage = Annotated[str | None, Header(description="1. Other sites cannot send it.")]


def read_numbers(text: str, what: str) -> tuple[int, ...]:
    """Return the numbers of a selection such as ``0-15,40``; raise :class:`BadRequest`, which names ``what``."""
    try:
        return parse_units(text)
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from None


def read_selection(text: str, total: int, what: str) -> np.ndarray:
    """Return the numbers of a selection below ``total``, all where it is empty."""
    numbers = read_numbers(text, what)
    if not numbers:
        return np.arange(total)
    if max(numbers) >= total:
        raise NotFound(f"{what} = {text}: there are {what} 0 to {total - 1}; {max(numbers)} is none of them.")
    return np.array(numbers)


def require_own_page(x_mloscope: str | None, what: str) -> None:
    """Raise :class:`Forbidden` unless the request has the header that other sites cannot send."""
    if x_mloscope != "1":
        raise Forbidden(f"{what} by this server's own pages, or with the header X-Mloscope: 1.")
