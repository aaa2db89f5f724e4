"""The browser's modules in the index page: where each lies, by its content's hash, and hints to load all of them at once.

    assets/base/time_bus.mjs ──► import map: "mloscope/base/time_bus.mjs" is /assets/base/time_bus.mjs?m=<hash>
                             └─► <link rel="modulepreload">: nested imports do not wait for each other

A module imports others by these names, so that a browser keeps what has not changed and never runs what has. The folder of a page
of another package lies under ``mloscope/pages/<name>/``; its ``main.mjs`` runs after ours, its style sheets come after ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mloscope.app.process.url_prefix import mounted


class JavascriptModules:
    """All modules of a folder, and of the folders of pages by their names, as they are when the server starts."""

    def __init__(self, folder: Path, pages: Mapping[str, Path] | None = None) -> None:
        folders = {"": folder, **{f"pages/{name}/": path for name, path in (pages or {}).items()}}
        self._paths = {
            f"mloscope/{place}{name}": path
            for place, each in folders.items()
            for name, path in _addressed(each, place, ".mjs").items()
        }
        self._styles = [
            path for place, each in folders.items() if place for path in _addressed(each, place, ".css").values()
        ]

    def import_map(self) -> str:
        """Names and addresses as JSON, below the prefix of the request at hand."""
        return json.dumps({"imports": {name: mounted(path) for name, path in self._paths.items()}})

    def head(self) -> str:
        """HTML for the page's head, before any other script."""
        hints = "".join(f'<link rel="modulepreload" href="{mounted(path)}">\n' for path in self._paths.values())
        return f'<script type="importmap">{self.import_map()}</script>\n{hints}'

    def styles(self) -> str:
        """HTML for the page's head, after our own style sheets: those of other packages' pages."""
        return "".join(f'<link rel="stylesheet" href="{mounted(path)}">\n' for path in self._styles)

    def start_dash(self) -> str:
        """The script that starts Dash. Its own would start the page at once; its components and what it fetches with have to
        be there before. A page of another package that fails costs only itself."""
        theirs = [name for name in self._paths if name.startswith("mloscope/pages/") and name.endswith("/main.mjs")]
        others = ", ".join(f'import("{name}").catch(console.error)' for name in theirs)
        wait = f".then(() => Promise.all([{others}]))" if others else ""
        return f'import("mloscope/main.mjs"){wait}.then(() => {{ var renderer = new DashRenderer(); }});'


def _addressed(folder: Path, place: str, ending: str) -> dict[str, str]:
    """Return addresses with the hash of their content by the names of files within the folder."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{ending}"))
    return {
        name: f"/assets/{place}{name}?m={hashlib.sha256((folder / name).read_bytes()).hexdigest()[:16]}"
        for name in names
    }
