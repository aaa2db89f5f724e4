"""HTML that the server writes itself, as Jinja2 templates: signing in, /status and /api/docs. Dash draws all other pages.

Every value is escaped unless it is marked as safe.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from mloscope.app.process.url_prefix import mounted
from mloscope.app.web.templates import filters

if TYPE_CHECKING:
    from jinja2 import Environment


THEME_SCRIPT = """
document.documentElement.dataset.theme = (() => {
  try { return localStorage.getItem("mloscope-theme"); } catch { return null; }  // a browser may keep nothing of sites
})() || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
"""
"""Chooses the colours before anything is drawn. The content security policy lets it run by its hash."""


@functools.cache
def _environment() -> Environment:
    # Imported with the first of these pages: most servers show none of them when they start.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__name__, ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= filters.ALL
    environment.globals |= {"mounted": mounted, "theme_script": THEME_SCRIPT}
    return environment


def render(template: str, **values: Any) -> str:
    """The page that the template makes of the values."""
    return _environment().get_template(template).render(values)
