"""The table of pages: ours in the order of the top bar, then those of other packages, by the entry points ``mloscope.pages``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from typing import Any

from mloscope.adaptors.entry_points import PAGES, registered
from mloscope.app.web.dash.page import Page, view_schema
from mloscope.app.web.dash.pages import clusters, compare, confusion, lab, main_display, metrics, runs, unit

logger = logging.getLogger(__name__)

OURS = (main_display.PAGE, unit.PAGE, lab.PAGE, confusion.PAGE, clusters.PAGE, compare.PAGE, metrics.PAGE, runs.PAGE)


def installed_pages(points: Iterable[EntryPoint] | None = None) -> tuple[Page, ...]:
    """Return every page. One of another package that cannot be loaded, or that collides, is left out with a warning."""
    table = OURS
    for found in registered(PAGES, points):
        problem = found.problem or collision(found.implementation, table)
        if problem:
            logger.warning("The page %s of %s is left out: %s", found.name, found.package, problem)
        else:
            table = (*table, found.implementation)
    return table


def collision(page: Any, table: tuple[Page, ...]) -> str | None:
    """Return why the page cannot stand beside the others; None if it can."""
    if not isinstance(page, Page):
        return f"it must be a {Page.__module__}.Page, got {type(page).__name__}"
    for attribute in ("name", "path"):
        if getattr(page, attribute) in {getattr(other, attribute) for other in table}:
            return f'another page has the {attribute} "{getattr(page, attribute)}"'
    taken = {store.id for other in table for store in other.stores}
    if clashing := sorted(taken & {store.id for store in page.stores}):
        return f"another page has the store {clashing[0]}"
    try:
        view_schema((*table, page))
    except ValueError as error:
        return str(error)
    return None
