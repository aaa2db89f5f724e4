"""Pictures of what units see over HTTP: a kind of film that needs an image, at one checkpoint, as an array and as a picture."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import numpy as np
from fastapi import Depends, Path
from fastapi.responses import Response

from mloscope.app.films.kinds import Figures, FilmQuestion
from mloscope.app.web.rest.addresses import (
    LAYER_AT_STEP,
    CorpusChoice,
    ImageId,
    LayerName,
    RunName,
    Step,
    Units,
    read_numbers,
)
from mloscope.app.web.rest.answers import NPY, PNG, npy_answer
from mloscope.app.web.rest.dependencies import TheServices
from mloscope.app.web.rest.films import KINDS, film_options
from mloscope.app.web.rest.resource import resource
from mloscope.app.web.rest.tile_pictures import AskedColours, Zoom, picture_answer
from mloscope.app.web.services import Services

router = resource("films")

OF_IMAGES = tuple(name for name, kind in KINDS.items() if kind.needs_image and name != "features")
"""Feature maps have addresses of their own."""
Kind = Annotated[Literal[*OF_IMAGES], Path(description="A kind of film that needs an image.")]
FIGURES_HEADER = "X-Mloscope-Figures"
Options = Annotated[dict[str, str | None], Depends(film_options)]


@router.get(LAYER_AT_STEP + "/{kind}/{image}.npy", response_class=Response, responses={200: NPY})
def picture_npy(
    services: TheServices,
    options: Options,
    run: RunName,
    step: Step,
    layer: LayerName,
    kind: Kind,
    image: ImageId,
    corpus: CorpusChoice = None,
    units: Units = "",
) -> Response:
    """A kind's exact values: float32 (row, column, channel, unit), in the rows and columns of the network's input; of the units
    that a film would show. Options are the kind's, as for films. A unit of which there is no picture is NaN; the header
    X-Mloscope-Figures says what stands beside each unit, as JSON."""
    values, figures = _frame(services, options, run, step, layer, kind, image, corpus, units)
    pixels = np.moveaxis(values, (0, 1), (-1, -2))
    rows, columns, _components, _channels, shown = pixels.shape
    return npy_answer(pixels.reshape(rows, columns, -1, shown), **{FIGURES_HEADER: json.dumps(figures)})


@router.get(LAYER_AT_STEP + "/{kind}/{image}.png", response_class=Response, responses={200: PNG})
def picture_png(
    services: TheServices,
    colours: AskedColours,
    options: Options,
    run: RunName,
    step: Step,
    layer: LayerName,
    kind: Kind,
    image: ImageId,
    corpus: CorpusChoice = None,
    units: Units = "",
    zoom: Zoom = 2,
) -> Response:
    """A kind of film at one checkpoint as a picture, a tile per unit; the header X-Mloscope-Range has the two ends of its colours."""
    values, _figures = _frame(services, options, run, step, layer, kind, image, corpus, units)
    has_sign = KINDS[kind].scale == "diverging"
    table = colours.table or ("blue-red" if has_sign else "viridis")
    return picture_answer(values, colours.ends(values, symmetric=has_sign), table, zoom)


def _frame(
    services: Services,
    options: dict[str, str | None],
    run: str,
    step: int,
    layer: str,
    kind: str,
    image: str,
    corpus: str | None,
    units: str,
) -> tuple[np.ndarray, Figures]:
    opened = services.workspace.opened_run(run)
    numbers = read_numbers(units, "units") or None
    question = FilmQuestion(opened, opened.layer(layer), kind, options, image, corpus, numbers, near=step)
    return services.films.exact(question, step)
