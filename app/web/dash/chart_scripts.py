"""Addresses of what draws charts, for the browser's own loader: the part of Dash around Plotly, and Plotly (assets/base/chart_scripts.mjs).

Dash would load both itself when the first chart is drawn: once, within 30 seconds, and where that fails the whole page starts again.
Loaded before, they are there when Dash asks for them.
"""

from __future__ import annotations

import json
from pathlib import Path

import dash
import plotly
from dash.fingerprint import build_fingerprint

from mloscope.app.process.url_prefix import mounted

ELEMENT_ID = "chart-scripts"
_FILES = ((dash, "dcc/async-graph.js"), (plotly, "package_data/plotly.min.js"))


def chart_scripts() -> list[str]:
    """Addresses that change with the files, so that browsers keep what is behind them; in the order of loading."""
    return [mounted(_address(package.__name__, Path(package.__path__[0]), file)) for package, file in _FILES]


def head() -> str:
    """HTML for the page's head, below the prefix of the request at hand."""
    return f'<script id="{ELEMENT_ID}" type="application/json">{json.dumps(chart_scripts())}</script>\n'


def _address(package: str, folder: Path, file: str) -> str:
    modified = int((folder / file).stat().st_mtime)
    version = dash.__version__ if package == "dash" else plotly.__version__
    return f"/_dash-component-suites/{package}/{build_fingerprint(file, version, modified)}"
