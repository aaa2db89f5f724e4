"""The browser's modules in the index page: where each lies, by its content's hash, and hints to load all of them at once.

    assets/base/time_bus.mjs ──► import map: "mloscope/base/time_bus.mjs" is /assets/base/time_bus.mjs?m=<hash>
                             └─► <link rel="modulepreload">: nested imports do not wait for each other

A module imports others by these names, so that a browser keeps what has not changed and never runs what has.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from mloscope.app.process.url_prefix import mounted

START_DASH = 'import("mloscope/main.mjs").then(() => { var renderer = new DashRenderer(); });'
"""Dash's own script starts the page at once; its components and what it fetches with have to be there before."""


class JavascriptModules:
    """All modules of a folder, as they are when the server starts."""

    def __init__(self, folder: Path) -> None:
        self._paths = {
            f"mloscope/{name}": f"/assets/{name}?m={hashlib.sha256((folder / name).read_bytes()).hexdigest()[:16]}"
            for name in sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.mjs"))
        }

    def import_map(self) -> str:
        """Names and addresses as JSON, below the prefix of the request at hand."""
        return json.dumps({"imports": {name: mounted(path) for name, path in self._paths.items()}})

    def head(self) -> str:
        """HTML for the page's head, before any other script."""
        hints = "".join(f'<link rel="modulepreload" href="{mounted(path)}">\n' for path in self._paths.values())
        return f'<script type="importmap">{self.import_map()}</script>\n{hints}'
