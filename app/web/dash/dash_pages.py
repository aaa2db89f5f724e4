"""How Dash gets the pages: their place in its registry, their stores in front of their layouts, their callbacks."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dash
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from mloscope.app.process.url_prefix import mounted
from mloscope.app.web.dash import ids
from mloscope.app.web.dash.page import Page, ViewPart

if TYPE_CHECKING:
    from mloscope.app.web.services import Services


NAME = "ML-o-scope"
NOT_FOUND = "not_found_404"
"""The name under which Dash looks for what it shows where an address is no page."""


def register_pages(pages: Iterable[Page]) -> None:
    """Dash keeps pages in a global of the process: an application that is made later replaces them."""
    dash.page_registry.clear()
    pages = tuple(pages)
    for order, page in enumerate(pages):
        dash.register_page(
            page.name, path=page.path, order=order, name=page.label, title=title_of(page), description=page.help,
            layout=functools.partial(laid_out, page),
        )  # fmt: skip
    dash.register_page(
        NOT_FOUND, order=len(pages), title=f"Page not found – {NAME}", layout=functools.partial(not_found, pages)
    )


def title_of(page: Page) -> str:
    """Return the title of the browser's window until a run is open."""
    return f"{page.title.replace('{layer}', page.label)} – {NAME}"


def laid_out(page: Page, /, **_search: Any) -> list[Any]:
    """Return what Dash shows of a page: its stores and its name, which are not seen, and its layout."""
    stores = (dcc.Store(id=store.id) for store in page.stores)
    return [*stores, html.H1(page.label, className="only-for-screen-readers"), page.layout()]


def not_found(pages: Iterable[Page], /, **_search: Any) -> html.Div:
    """Return what is shown where an address is no page: what was asked for, and the way on."""
    return html.Div(
        [
            html.H1("There is no such page", className="not-found-title"),
            html.P([html.Code(dash.ctx.inputs.get("_pages_location.pathname")), " is not an address of ML-o-scope."]),
            html.Ul(
                [
                    html.Li(
                        [
                            html.A(page.label, href=mounted(page.path), **{"data-page": page.name}),
                            html.Span(page.help),
                        ]
                    )
                    for page in pages
                ],
                className="not-found-pages",
            ),
        ],
        className="not-found",
    )


def bind_pages(app: Dash, pages: Iterable[Page], services: Services) -> None:
    for page in pages:
        for store in page.stores:
            if isinstance(store, ViewPart):
                app.clientside_callback(
                    ClientsideFunction("mloscopeView", "part"),
                    Output(store.id, "data"), Input(ids.VIEW, "data"), State(store.id, "data"),
                )  # fmt: skip
        page.bind(app, services)
