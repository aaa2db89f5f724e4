"""What a page is: everything that the shell, the view, the check of requests and the top bar need to know of it, in one object.

A package outside this tree adds a page by an entry point of the group ``mloscope.pages`` that names a :class:`Page`
(docs/adding_a_page.md) and passes :mod:`mloscope.app.web.dash.page_conformance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mloscope.app.web.dash.view_state import Field, ViewSchema

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from mloscope.app.web.services import Services


@dataclass(frozen=True)
class Store:
    """A ``dcc.Store`` of a page. The page's machinery puts it into the layout."""

    id: str
    holds: Any = object
    """The type of its content, as pydantic understands types; None is always allowed. ``object``: anything, where a callback
    only takes notice that it changed."""


@dataclass(frozen=True)
class ViewPart:
    """A store that the browser keeps equal to some fields of the view: callbacks that take it run only when these change."""

    id: str
    keys: tuple[str, ...]
    only_where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By key: another key and the values it may have; elsewhere the key holds its default. ``{"image": ("mode", "features",
    "both")}``: a change of the image is a change of the part only while feature maps are shown."""


@dataclass(frozen=True)
class Page:
    """One page of the dashboard, on the shared time slider."""

    name: str
    """Unique among pages; small letters, digits and hyphens."""
    path: str
    """Its address, such as ``/confusion``."""
    label: str
    """What the top bar calls it."""
    title: str
    """What the title of the browser's window begins with, such as ``Confusion``; ``{layer}`` stands for the selected layer. Step,
    run and the program's name follow: ``Confusion @ 2000 · resnet20 – ML-o-scope``."""
    help: str
    """What it shows, in one phrase: the top bar's tooltip."""
    layout: Callable[[], Component]
    """Makes what is seen; called per visit."""
    bind: Callable[[Dash, Services], None]
    """Binds its callbacks; called once."""
    fields: tuple[Field, ...] = ()
    """Its fields of the view, in the order of the address. Several pages may list the same field."""
    stores: tuple[Store | ViewPart, ...] = ()
    controls: Mapping[str, Any] = field(default_factory=dict)
    """Types of what its callbacks take besides stores, by ``"id.property"``."""
    assets: Path | None = None
    """A folder of ``.mjs`` and ``.css`` files that the browser loads with the dashboard."""


def view_schema(pages: Iterable[Page]) -> ViewSchema:
    """Return the view that the pages share."""
    return ViewSchema(field for page in pages for field in page.fields)


def view_parts(pages: Iterable[Page]) -> tuple[ViewPart, ...]:
    return tuple(store for page in pages for store in page.stores if isinstance(store, ViewPart))
