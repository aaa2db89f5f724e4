"""A view as one HTML file: our own modules and styles, and what the server knows, without a server.

JavaScript modules ──► import map of data: addresses ─┐
style sheets ────────────────────────────────────────┼──► one file that asks no host for anything
page data, answers of the REST API ──► JSON ─────────┘
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import mloscope.assets
from mloscope.app.web.dash.page import Page
from mloscope.app.web.dash.page_data import element_of, page_data
from mloscope.app.web.dash.view_state import FILM
from mloscope.app.web.templates import THEME_SCRIPT

_ASSETS = Path(mloscope.assets.__path__[0])
_ENTRY = "mloscope/saved_page/main.mjs"
_STYLES = ("theme.css", "shell.css", "timeline.css", "film.css", "images.css", "saved_page.css")
_IMPORTED = re.compile(r"""^import\s[^"]*"(mloscope/[\w/.]+)";""", re.MULTILINE)
_SELECTS = {"colour": "colour", "range": "range", "symmetric": "scale"}
"""Fields of the view that may still be set, and what they are called."""
# The file asks nobody for anything: a browser holds it to that.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'unsafe-inline' data:",
        "style-src 'unsafe-inline'",
        "img-src data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
    )
)


@dataclass(frozen=True)
class SavedAnswer:
    """What the server answers under an address."""

    type: str
    body: bytes

    def as_json(self) -> dict[str, str]:
        return {"type": self.type, "base64": base64.b64encode(self.body).decode()}


@dataclass(frozen=True)
class SavedView:
    """What goes into the file."""

    title: str
    about: Sequence[str]
    """Sentences: where and when it was saved, what its numbers rest on."""
    subject: Mapping[str, Any]
    kinds: Sequence[str]
    """Of the films."""
    answers: Mapping[str, SavedAnswer]
    """By address; without the query, but for ``?show=`` of a film."""
    picture: bytes | None
    """The image as PNG, whose predictions are among the answers."""
    picture_title: str
    hash: str
    """What the view is, unless the file's own address says so."""


def saved_page(view: SavedView, pages: Sequence[Page]) -> str:
    """Return the file."""
    data = {
        **page_data(pages),
        "saved-answers": {address: answer.as_json() for address, answer in view.answers.items()},
        "saved-subject": view.subject,
        "saved-parts": _parts(view),
    }
    films = "".join(f'<section class="saved-film" id="saved-{escape(kind)}"></section>' for kind in view.kinds)
    about = "".join(f"<p>{escape(line)}</p>" for line in view.about)
    styles = "\n".join((_ASSETS / name).read_text() for name in _STYLES)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(view.title)}</title>
<script>{THEME_SCRIPT}</script>
<script>if (location.hash.length < 2) location.replace({_in_script(view.hash or "#")});</script>
<style>{styles}</style>
{"".join(element_of(name, value) for name, value in data.items())}
<script type="importmap">{_import_map()}</script>
</head><body class="saved-page">
<header class="saved-head"><h1>{escape(view.title)}</h1><div class="saved-tools" id="saved-tools"></div></header>
<div class="notices" id="notices" role="status"></div>
<main class="saved-body">{_image(view)}{films}</main>
<details class="saved-about"><summary>About this file</summary>{about}</details>
<section class="shell-timeline" id="saved-timeline"></section>
<script type="module">import "{_ENTRY}";</script>
</body></html>
"""


def _parts(view: SavedView) -> list[dict[str, Any]]:
    """Which parts of the browser stand where."""
    fields = {field.key: field for field in FILM}
    selects = [
        {
            "part": "ViewSelect",
            "place": "saved-tools",
            "props": {
                "field": key,
                "label": label,
                "options": [(value, text) for value, text, _ in fields[key].options()],
            },
        }
        for key, label in _SELECTS.items()
    ]
    films = [
        {"part": "FilmCanvas", "place": f"saved-{kind}", "props": {"id": f"{kind}-canvas", "show": kind}}
        for kind in view.kinds
    ]
    bars = [{"part": "PredictionBars", "place": "saved-predictions", "props": {"id": "predictions"}}]
    timeline = {"part": "TimeSlider", "place": "saved-timeline", "props": {"id": "timeline"}}
    return [*selects, *films, *(bars if view.picture is not None else []), timeline]


def _image(view: SavedView) -> str:
    if view.picture is None:
        return ""
    source = f"data:image/png;base64,{base64.b64encode(view.picture).decode()}"
    return (
        f'<aside class="saved-image"><img src="{source}" alt="{escape(view.picture_title)}">'
        f'<p>{escape(view.picture_title)}</p><h2>Predicted class</h2><div id="saved-predictions"></div></aside>'
    )


def _import_map() -> str:
    """The modules that the entry needs, as addresses that hold them."""
    sources: dict[str, str] = {}
    wanted = [_ENTRY]
    while wanted:
        name = wanted.pop()
        if name in sources:
            continue
        source = (_ASSETS / name.removeprefix("mloscope/")).read_text()
        sources[name] = f"data:text/javascript;base64,{base64.b64encode(source.encode()).decode()}"
        wanted += _IMPORTED.findall(source)
    return _in_script({"imports": dict(sorted(sources.items()))})


def _in_script(value: Any) -> str:
    """JSON that may stand in a script element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
