"""One unit at one moment of training: what it is, what it makes of the selected image, what excites it most, and its course.

Films and patches are drawn in the browser from what is loaded once per unit (assets/unit/*.mjs): moving time makes no request. When
unit or split have changed:

    Store "subject", "unit-page-view", "patches-ready", "theme" ──► draw_weights, draw_mean, draw_excited ──► charts
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dash import Dash, Input, Output, html, no_update

from mloscope.app import errors
from mloscope.app.films.kinds import film_kinds
from mloscope.app.runs.units import unit_values_over_time
from mloscope.app.statistics.patches.course import patch_course
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.chart_over_time import chart_over_time
from mloscope.app.web.dash.page import Page, Store, ViewPart
from mloscope.app.web.dash.threaded_callbacks import threaded
from mloscope.app.web.dash.view_state import FILM, SPLIT
from mloscope.components import theme as themes
from mloscope.components.browser_parts import UnitFilm, UnitHead, UnitPatches
from mloscope.components.chart import chart
from mloscope.components.figures.statistic_course import statistic_course
from mloscope.components.numbers import step_names

if TYPE_CHECKING:
    from mloscope.app.web.services import Services

UNIT_PAGE_VIEW = "unit-page-view"  # JS. Store: which unit, of which split. One writer: assets/shell/view_parts.mjs
PATCHES_READY = "patches-ready"  # JS. Store: which top patches there are. One writer: assets/unit/patches.mjs
HEAD, PATCHES = "unit-head", "unit-patches"
WEIGHTS, MEAN, EXCITED = "unit-weights-course", "unit-mean-course", "unit-excited-course"
_CHART_PX = 170
_CHARTS = (
    (WEIGHTS, "norm and change", "L2 norm of the unit's weights, and of their change since the step before"),
    (MEAN, "mean activation", "The unit's activation over all images and places, at every step"),
    (EXCITED, "images that excite it", "Share of the images that drive the unit above 0, at every step"),
)


def layout() -> html.Div:
    films = [
        html.Div(UnitFilm(id=f"unit-{name}", show=name), className="unit-film", **{"data-show": name})
        for name, kind in film_kinds().items()
        if kind.of_units
    ]
    charts = [
        html.Div([html.H2(title, className="panel-subtitle"), chart(name, help, _CHART_PX, cursor=True)])
        for name, title, help in _CHARTS
    ]
    return html.Div(
        [
            UnitHead(id=HEAD),
            html.Section(films, className="unit-films", **{"aria-label": "What the unit is and does"}),
            UnitPatches(id=PATCHES),
            html.Section(charts, className="unit-courses", **{"aria-label": "The unit over all steps"}),
        ],
        className="unit-page",
    )


def bind(app: Dash, services: Services) -> None:
    subject, view, theme = Input(ids.SUBJECT, "data"), Input(UNIT_PAGE_VIEW, "data"), Input(ids.THEME, "data")
    here = Unit(services)
    threaded(app, Output(WEIGHTS, "figure"), subject, view, theme)(here.draw_weights)
    for name, draw in ((MEAN, here.draw_mean), (EXCITED, here.draw_excited)):
        threaded(app, Output(name, "figure"), subject, view, Input(PATCHES_READY, "data"), theme)(draw)


class Unit:
    """The callbacks' bodies, as plain methods over stores' contents."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def draw_weights(self, subject: dict | None, view: dict | None, theme: str | None) -> Any:
        if not subject or not subject.get("run") or not view or not view["layer"] or theme is None:
            return no_update
        try:
            run = self.services.workspace.opened_run(subject["run"])
            values, _names = unit_values_over_time(self.services.cache, run, view["layer"], None, view["unit"])
        except errors.MloscopeError as error:
            return themes.empty_figure(theme, themes.wrapped(str(error)))
        values = values.astype(np.float64)
        change = np.full(len(values), np.nan)
        change[1:] = np.linalg.norm(np.diff(values, axis=0), axis=1)
        courses = np.stack([np.linalg.norm(values, axis=1), change], axis=1)
        names = ("the weights", "their change since the step before")
        labels = step_names(subject["checkpoints"])
        return statistic_course(courses, names, labels, title="L2 norm", unit="", theme=theme)

    def draw_mean(self, subject: dict | None, view: dict | None, ready: Any, theme: str | None) -> Any:
        """``ready`` only says that there may be more to see than before."""
        return self._draw(subject, view, theme, "mean activation", "", lambda found, unit: found.mean[unit])

    def draw_excited(self, subject: dict | None, view: dict | None, ready: Any, theme: str | None) -> Any:
        def share(found: Any, unit: int) -> float:
            return found.excited[unit] / found.counted[unit] if found.counted[unit] else np.nan

        return self._draw(subject, view, theme, "images that excite it", "share", share)

    def _draw(self, subject: dict | None, view: dict | None, theme: str | None, title: str, unit: str, of: Any) -> Any:
        def draw(statistics: Any, steps: list[int], labels: list[str]) -> Any:
            try:
                course = patch_course(statistics, view["layer"])
            except errors.NotFound as error:  # which says how to get it; the page says so in full
                raise errors.NotFound("Not computed yet.") from error
            if view["unit"] >= course.units:
                raise errors.NotFound(f"There are the units 0 to {course.units - 1}.")
            known = {step: of(found, view["unit"]) for step, found in zip(course.steps, course.found, strict=True)}
            values = np.array([[known.get(step, np.nan)] for step in steps])
            figure = statistic_course(values, ("",), labels, title=title, unit=unit, theme=theme)
            return figure.update_yaxes(range=[0, 1.03]) if unit == "share" else figure

        return chart_over_time(self.services.statistics, subject, view if view and view["layer"] else None, theme, draw)


PAGE = Page(
    name="unit",
    path="/unit",
    label="Unit",
    title="{layer}, one unit",
    help="One unit at every moment of training: filter, feature map, what excites it most, and its course",
    layout=layout,
    bind=bind,
    fields=(*FILM, SPLIT),
    stores=(Store(PATCHES_READY), ViewPart(UNIT_PAGE_VIEW, ("layer", "unit", "split"))),
)
