"""The image lab: an image that is moved, turned, covered, blurred …, and what the network makes of it at every moment of training.

Everything is drawn in the browser (assets/lab/*.mjs): films, probabilities and sweeps of the image that the view names by
``image`` or ``own`` and ``change`` (:mod:`mloscope.app.images.changes`). Moving time makes no request; there are no callbacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import Dash, html
from dash.development.base_component import Component

from mloscope.app.evaluation.sweeps import SWEEPS
from mloscope.app.films.kinds import film_kinds
from mloscope.app.web.dash.page import Page
from mloscope.app.web.dash.view_state import FILM, IMAGES, Field
from mloscope.components.browser_parts import (
    ImageGrid,
    LabBars,
    LabChanges,
    LabFilms,
    LabLayer,
    LabPicture,
    LabSweep,
    ViewSelect,
)

if TYPE_CHECKING:
    from mloscope.app.web.services import Services

_OF_AN_IMAGE = {kind.name: kind.title for kind in film_kinds().values() if kind.needs_image}
LONGEST_CHANGE = 4000


def layout() -> html.Div:
    shown = ViewSelect(
        id="lab-show", field="lab-show", label="Shown", help="What is shown of the selected layer",
        options=list(_OF_AN_IMAGE.items()),
    )  # fmt: skip
    return html.Div(
        [
            html.Aside(
                [
                    _part("Picture", LabPicture(id="lab-picture"), LabChanges(id="lab-changes")),
                    _part("Images of the corpus", ImageGrid(id="lab-images")),
                ],
                className="lab-side",
                **{"aria-label": "Picture"},
            ),
            html.Section(
                [
                    html.Div(
                        [html.H2("Layer", className="panel-title"), LabLayer(id="lab-layer"), shown],
                        className="toolbar",
                    ),
                    LabFilms(id="lab-films"),
                ],
                className="lab-centre",
                **{"aria-label": "What the layer makes of it"},
            ),
            html.Aside(
                [
                    _part("Predicted class", LabBars(id="lab-bars")),
                    _part("When the network became indifferent", LabSweep(id="lab-sweep")),
                ],
                className="lab-side",
                **{"aria-label": "What the network makes of it"},
            ),
        ],
        className="lab",
    )


def _part(title: str, *parts: Component) -> html.Div:
    return html.Div([html.H2(title, className="panel-title"), *parts], className="lab-part")


def bind(_app: Dash, _services: Services) -> None:
    """There is nothing to bind."""


PAGE = Page(
    name="lab",
    path="/lab",
    label="Image lab",
    title="Image lab: {layer}",
    help="An image that you move, turn, cover or blur, and what the network makes of it",
    layout=layout,
    bind=bind,
    fields=(
        *FILM,
        IMAGES,
        Field("own", "text", "", "id of an image of one's own", longest=40),
        Field("change", "text", "", 'changes of the image, "shift=4,0~noise=20,1"', longest=LONGEST_CHANGE),
        Field("lab-show", "choice", next(iter(_OF_AN_IMAGE)), "kind of film in the lab", tuple(_OF_AN_IMAGE)),
        Field("sweep", "choice", next(iter(SWEEPS)), "change whose amount grows in the lab", tuple(SWEEPS)),
        Field("swept", "text", "", "layer whose distance is mapped; the probability where absent", of=("network",)),
    ),
)
