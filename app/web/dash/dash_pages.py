"""How Dash gets the pages: their place in its registry, their stores in front of their layouts, their callbacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dash
from dash import ClientsideFunction, Dash, Input, Output, State, dcc

from mloscope.app.web.dash import ids
from mloscope.app.web.dash.page import Page, ViewPart

if TYPE_CHECKING:
    from mloscope.app.web.services import Services


def register_pages(pages: Iterable[Page]) -> None:
    """Dash keeps pages in a global of the process: an application that is made later replaces them."""
    dash.page_registry.clear()
    for order, page in enumerate(pages):
        dash.register_page(
            page.name, path=page.path, order=order, name=page.label, title=page.title, description=page.help,
            layout=lambda page=page, **_: laid_out(page),
        )  # fmt: skip


def laid_out(page: Page) -> list[Any]:
    """Return what Dash shows of a page: its stores, which nobody sees, and its layout."""
    return [*(dcc.Store(id=store.id) for store in page.stores), page.layout()]


def bind_pages(app: Dash, pages: Iterable[Page], services: Services) -> None:
    for page in pages:
        for store in page.stores:
            if isinstance(store, ViewPart):
                app.clientside_callback(
                    ClientsideFunction("mloscopeView", "part"),
                    Output(store.id, "data"), Input(ids.VIEW, "data"), State(store.id, "data"),
                )  # fmt: skip
        page.bind(app, services)
