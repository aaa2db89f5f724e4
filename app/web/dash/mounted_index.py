"""Dash's page below the prefix of a request (see :mod:`mloscope.app.process.url_prefix`): Dash itself knows one for all requests."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mloscope.app.process.url_prefix import URL_PREFIX
from mloscope.app.web.dash import chart_scripts
from mloscope.app.web.dash.javascript_modules import JavascriptModules

if TYPE_CHECKING:
    from dash import Dash

_ADDRESSES = re.compile(r'\b(src|href)="/(?!/)')
_CONFIG = re.compile(r'(<script id="_dash-config" type="application/json">)(.*?)(</script>)', re.DOTALL)


def mount_index(app: Dash, modules: JavascriptModules) -> None:
    """Have the application write its page, with the browser's modules, for the prefix of whoever asks."""
    interpolate = app.interpolate_index

    def mounted_index(**parts: Any) -> str:
        page = _mounted(parts, URL_PREFIX.get())
        return interpolate(**page | {"css": modules.head() + chart_scripts.head() + page["css"] + modules.styles()})

    app.interpolate_index = mounted_index


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
