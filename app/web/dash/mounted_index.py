"""Dash's page below the prefix of a request (see :mod:`mloscope.app.process.url_prefix`): Dash itself knows one for all requests."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mloscope.app.process.url_prefix import URL_PREFIX, mounted
from mloscope.app.web.dash import chart_scripts
from mloscope.app.web.dash.javascript_modules import JavascriptModules

if TYPE_CHECKING:
    from dash import Dash

_ADDRESSES = re.compile(r'\b(src|href)="/(?!/)')
_CONFIG = re.compile(r'(<script id="_dash-config" type="application/json">)(.*?)(</script>)', re.DOTALL)


def mount_index(
    app: Dash, modules: JavascriptModules, icon: str, first_shown: Callable[[], tuple[str | None, str | None]]
) -> None:
    """Have the application write its page, with the browser's modules, for the prefix of whoever asks.

    ``icon``: its path. ``first_shown``: run and corpus that are shown where an address names none.
    """
    interpolate = app.interpolate_index

    def mounted_index(**parts: Any) -> str:
        page = _mounted(parts, URL_PREFIX.get())
        head = modules.head() + chart_scripts.head() + _first_shown(*first_shown()) + _first_answers(app)
        favicon = f'<link rel="icon" type="image/svg+xml" href="{mounted(icon)}">'
        return interpolate(**page | {"css": head + page["css"] + modules.styles(), "favicon": favicon})

    app.interpolate_index = mounted_index


def _first_shown(run: str | None, corpus: str | None) -> str:
    """For assets/shell/first_address.mjs."""
    named = json.dumps({"run": run, "corpus": corpus}).replace("</", "<\\/")
    return f'<script id="first-shown" type="application/json">{named}</script>\n'


def _first_answers(app: Dash) -> str:
    """What Dash's scripts ask for first, for assets/base/brought_answers.mjs: two questions fewer before anything is seen."""
    answers = {"_dash-layout": app.serve_layout(), "_dash-dependencies": app.dependencies()}
    texts = {name: answer.body.decode().replace("</", "<\\/") for name, answer in answers.items()}
    return "".join(
        f'<script id="brought{name}" type="application/json">{text}</script>\n' for name, text in texts.items()
    )


def _mounted(parts: dict[str, Any], prefix: str) -> dict[str, Any]:
    if not prefix:
        return parts
    addressed = {
        name: _ADDRESSES.sub(rf'\1="{prefix}/', parts[name])
        for name in ("metas", "css", "scripts", "favicon")
        if parts.get(name)
    }

    def configured(found: re.Match[str]) -> str:
        config = json.loads(found[2]) | {"requests_pathname_prefix": f"{prefix}/"}
        return f"{found[1]}{json.dumps(config)}{found[3]}"

    return parts | addressed | {"config": _CONFIG.sub(configured, parts["config"])}
