"""Feature maps over HTTP: what a layer makes of an image at a checkpoint, as an array and as a picture."""

from __future__ import annotations

import numpy as np
from fastapi.responses import Response

from mloscope.app.runs.tiles import map_tiles
from mloscope.app.web.rest.addresses import (
    LAYER_AT_STEP,
    CorpusChoice,
    ImageId,
    LayerName,
    RunName,
    Step,
    Units,
    read_selection,
)
from mloscope.app.web.rest.answers import NPY, PNG, npy_answer
from mloscope.app.web.rest.dependencies import TheServices
from mloscope.app.web.rest.resource import resource
from mloscope.app.web.rest.tile_pictures import AskedColours, Zoom, picture_answer
from mloscope.app.web.services import Services

router = resource("features")


@router.get(LAYER_AT_STEP + "/features/{image}.npy", response_class=Response, responses={200: NPY})
def features_npy(
    services: TheServices,
    run: RunName,
    step: Step,
    layer: LayerName,
    image: ImageId,
    corpus: CorpusChoice = None,
) -> Response:
    """What a layer makes of an image: float32 (row, column, unit), or (unit,) where the layer's output is
    a vector."""
    return npy_answer(_feature_map(services, run, step, layer, image, corpus))


@router.get(LAYER_AT_STEP + "/features/{image}.png", response_class=Response, responses={200: PNG})
def features_png(
    services: TheServices,
    colours: AskedColours,
    run: RunName,
    step: Step,
    layer: LayerName,
    image: ImageId,
    corpus: CorpusChoice = None,
    units: Units = "",
    zoom: Zoom = 2,
) -> Response:
    """A layer's feature maps of an image as a picture, a tile per unit. The colours span the values of all
    of them; the header X-Mloscope-Range has the two ends.
    """
    tiles = map_tiles(_feature_map(services, run, step, layer, image, corpus))[..., np.newaxis]
    shown = tiles[read_selection(units, tiles.shape[0], "units")]
    return picture_answer(shown, colours.ends(tiles, symmetric=False), colours.table or "viridis", zoom)


def _feature_map(services: Services, run: str, step: int, layer: str, image: str, corpus: str | None) -> np.ndarray:
    opened = services.workspace.opened_run(run)
    return services.feature_maps.one(opened, step, layer, services.workspace.network_input(opened, corpus, image))


# After the two above, because an id may hold a dot.
router.get(LAYER_AT_STEP + "/features/{image}", include_in_schema=False)(features_npy)
