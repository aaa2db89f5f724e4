"""The browser's modules and style sheets in the index page: where they lie, and hints to load them at once.

    ours                     ──► mloscope/ is /assets/bundled/<digest>/, see bundle.py
    of another package's page ─► import map: "mloscope/pages/<name>/main.mjs" is /assets/pages/<name>/main.mjs?m=<hash>
                             └─► <link rel="modulepreload">: nested imports do not wait for each other

A module imports others by these names, so that a browser keeps what has not changed and never runs what has. The folder of a page
of another package lies under ``mloscope/pages/<name>/``; its ``main.mjs`` runs after ours, its style sheets come after ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mloscope.app.process.url_prefix import mounted
from mloscope.app.web.dash.bundle import Bundle, bundled_styles, digest_of
from mloscope.app.web.rest.answers import IMMUTABLE

BUNDLED = "/assets/bundled"
_ENTRY = "mloscope/main.mjs"
_STYLES = "styles.css"
_MEDIA = {".mjs": "text/javascript", ".css": "text/css"}


class JavascriptModules:
    """All modules of a folder, and of the folders of pages by their names, as they are when the server starts."""

    def __init__(self, folder: Path, pages: Mapping[str, Path] | None = None) -> None:
        self._bundle = Bundle(folder, _ENTRY)
        self._texts = {"main.mjs": self._bundle.text(), _STYLES: bundled_styles(folder)}
        self._place = f"{BUNDLED}/{digest_of(*self._texts.values())}"
        folders = {f"pages/{name}/": path for name, path in (pages or {}).items()}
        self._paths = {
            f"mloscope/{place}{name}": path
            for place, each in folders.items()
            for name, path in _addressed(each, place, ".mjs").items()
        }
        self._styles = [path for place, each in folders.items() for path in _addressed(each, place, ".css").values()]

    def import_map(self) -> str:
        """Names and addresses as JSON, below the prefix of the request at hand."""
        paths = {"mloscope/": f"{self._place}/", **self._paths}
        return json.dumps({"imports": {name: mounted(path) for name, path in paths.items()}})

    def head(self) -> str:
        """HTML for the page's head, before any other script."""
        paths = (f"{self._place}/main.mjs", *self._paths.values())
        hints = "".join(f'<link rel="modulepreload" href="{mounted(path)}">\n' for path in paths)
        return f'<script type="importmap">{self.import_map()}</script>\n{hints}'

    def styles(self) -> str:
        """HTML for the page's head: our own style sheets, then those of other packages' pages."""
        paths = (f"{self._place}/{_STYLES}", *self._styles)
        return "".join(f'<link rel="stylesheet" href="{mounted(path)}">\n' for path in paths)

    def start_dash(self) -> str:
        """The script that starts Dash. Its own would start the page at once; its components and what it fetches with have to
        be there before. A page of another package that fails costs only itself."""
        theirs = [name for name in self._paths if name.endswith("/main.mjs")]
        others = ", ".join(f'import("{name}").catch(console.error)' for name in theirs)
        wait = f".then(() => Promise.all([{others}]))" if others else ""
        return f'import("{_ENTRY}"){wait}.then(() => {{ var renderer = new DashRenderer(); }});'

    async def bundled(self, request: Request) -> Response:
        """Answer what lies under :data:`BUNDLED`. A page of another version of ours is told that it is not here."""
        digest, _, name = str(request.path_params["path"]).partition("/")
        text = self._texts.get(name) or self._bundle.alias(f"mloscope/{name}")
        if text is None or not self._place.endswith(f"/{digest}"):
            return PlainTextResponse("Not Found", 404)
        return Response(text, media_type=_MEDIA[Path(name).suffix], headers={"Cache-Control": IMMUTABLE})


def _addressed(folder: Path, place: str, ending: str) -> dict[str, str]:
    """Return addresses with the hash of their content by the names of files within the folder."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{ending}"))
    return {
        name: f"/assets/{place}{name}?m={hashlib.sha256((folder / name).read_bytes()).hexdigest()[:16]}"
        for name in names
    }
