"""The table of pages: ours in the order of the top bar, then those of other packages, by the entry points ``mloscope.pages``."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from mloscope.app.web.dash.page import Page, view_schema
from mloscope.app.web.dash.pages import clusters, compare, confusion, main_display

logger = logging.getLogger(__name__)

GROUP = "mloscope.pages"
OURS = (main_display.PAGE, confusion.PAGE, clusters.PAGE, compare.PAGE)


def installed_pages(points: Iterable[EntryPoint] | None = None) -> tuple[Page, ...]:
    """Return every page. One of another package that cannot be loaded, or that collides, is left out with a warning."""
    table = OURS
    for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda point: point.name):
        try:
            table = (*table, _loaded(point, table))
        except Exception as error:  # another package's module may raise anything while it is imported
            logger.warning("The page %s (%s) is left out: %s: %s", point.name, point.value, type(error).__name__, error)
    return table


def _loaded(point: EntryPoint, table: tuple[Page, ...]) -> Page:
    page = point.load()
    if not isinstance(page, Page):
        raise TypeError(f"expected a {Page.__module__}.Page, got {type(page).__name__}")
    for attribute in ("name", "path"):
        if getattr(page, attribute) in {getattr(other, attribute) for other in table}:
            raise ValueError(f'another page has the {attribute} "{getattr(page, attribute)}"')
    taken = {store.id for other in table for store in other.stores}
    if clashing := sorted(taken & {store.id for store in page.stores}):
        raise ValueError(f"another page has the store {clashing[0]}")
    view_schema((*table, page))
    return page
