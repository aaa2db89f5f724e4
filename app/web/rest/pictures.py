"""Pictures of what units see over HTTP: a kind of film that needs an image, at one checkpoint, as an array and as a picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
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


@dataclass(frozen=True)
class AskedPicture:
    """A question for a picture, in the words of its address."""

    run: RunName
    step: Step
    layer: LayerName
    kind: Kind
    image: ImageId
    options: Annotated[dict[str, str | None], Depends(film_options)]
    corpus: CorpusChoice = None
    units: Units = ""

    def frame(self, services: Services) -> tuple[np.ndarray, Figures]:
        """Return the exact values, and what stands beside each unit."""
        run = services.workspace.opened_run(self.run)
        units = read_numbers(self.units, "units") or None
        question = FilmQuestion(
            run, run.layer(self.layer), self.kind, self.options, self.image, self.corpus, units, near=self.step
        )
        return services.films.exact(question, self.step)


Asked = Annotated[AskedPicture, Depends()]


@router.get(LAYER_AT_STEP + "/{kind}/{image}.npy", response_class=Response, responses={200: NPY})
def picture_npy(services: TheServices, asked: Asked) -> Response:
    """A kind's exact values: float32 (row, column, channel, unit), in the rows and columns of the network's input; of the units
    that a film would show. Options are the kind's, as for films. A unit of which there is no picture is NaN; the header
    X-Mloscope-Figures says what stands beside each unit, as JSON."""
    values, figures = asked.frame(services)
    pixels = np.moveaxis(values, (0, 1), (-1, -2))
    rows, columns, _components, _channels, shown = pixels.shape
    return npy_answer(pixels.reshape(rows, columns, -1, shown), **{FIGURES_HEADER: json.dumps(figures)})


@router.get(LAYER_AT_STEP + "/{kind}/{image}.png", response_class=Response, responses={200: PNG})
def picture_png(services: TheServices, colours: AskedColours, asked: Asked, zoom: Zoom = 2) -> Response:
    """A kind of film at one checkpoint as a picture, a tile per unit; the header X-Mloscope-Range has the two ends of its colours."""
    values, _figures = asked.frame(services)
    has_sign = KINDS[asked.kind].scale == "diverging"
    table = colours.table or ("blue-red" if has_sign else "viridis")
    return picture_answer(values, colours.ends(values, symmetric=has_sign), table, zoom)
