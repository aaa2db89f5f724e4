"""A view of the page Network as one HTML file that needs no server."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote

from fastapi import Query, Request
from fastapi.responses import Response

from mloscope.app.errors import MloscopeError, NotFound, NotPossible
from mloscope.app.films.kinds import FilmKind, FilmQuestion
from mloscope.app.process.plain_json import plain
from mloscope.app.web.dash.pages import OURS
from mloscope.app.web.dash.pages.main_display_layout import IN_BOTH
from mloscope.app.web.dash.saved_page import SavedAnswer, SavedView, saved_page
from mloscope.app.web.rest.answers import HTML, file_answer
from mloscope.app.web.rest.corpora import found_image
from mloscope.app.web.rest.dependencies import TheServices
from mloscope.app.web.rest.films import KINDS, Asked, AskedFilm
from mloscope.app.web.rest.resource import PREFIX, resource
from mloscope.app.web.rest.runs import show_training_curve
from mloscope.app.web.services import Services
from mloscope.app.web.subject import subject
from mloscope.components.numbers import grouped

router = resource("films")

MOST_BYTES = 64 << 20
"""Of the films in a file."""
_NDJSON = "application/x-ndjson"


@router.get("/runs/{run}/layers/{layer:path}/page.html", response_class=Response, responses={200: HTML})
def saved_view(
    request: Request,
    services: TheServices,
    asked: Asked,
    hash: Annotated[
        str, Query(max_length=4000, description="The view: what stands behind # in a page's address.")
    ] = "",
) -> Response:
    """A layer's parameters and feature maps, and the kind of film that the view shows, the image and its predictions, with the slider,
    as one HTML file that asks no host for anything. ``show`` is not looked at."""
    view = _Collected(services, asked).view(str(request.base_url), hash)
    name = f"{asked.run}-{asked.layer}.html"
    return file_answer(saved_page(view, OURS).encode(), "text/html; charset=utf-8", name)


class _Collected:
    """What the server says of a view."""

    def __init__(self, services: Services, asked: AskedFilm) -> None:
        self._services, self._asked = services, asked
        self._answers: dict[str, SavedAnswer] = {}
        self._bytes = 0

    def view(self, server: str, hash: str) -> SavedView:
        services, asked = self._services, self._asked
        corpus = asked.corpus or services.workspace.corpus_of(asked.run)
        known = dict(subject(services.workspace, services.evaluations, asked.run, corpus))
        wanted = {*IN_BOTH, dict(parse_qsl(hash.lstrip("#"))).get("mode", "")}
        kinds = [name for name, kind in KINDS.items() if name in wanted and self._film(kind)]
        if not kinds:
            raise NotPossible(
                f"Nothing of the layer {asked.layer} can be saved: it has no parameters, and no image is chosen."
            )
        self._keep_json(f"/runs/{asked.run}/training-curve", show_training_curve(services, asked.run, corpus))
        picture, title = self._image(corpus)
        basis = services.workspace.basis(asked.run, corpus).lines()
        saved = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
        address = f"{server}?run={quote(asked.run)}#{hash.lstrip('#')}"
        about = [f"Run {asked.run}, layer {asked.layer}, saved {saved} from {address}", *basis]
        known |= {
            "problems": [],
            "evaluation": {"possible": True, "message": None},
            "titles": {"runs": {}, "corpora": {}},
        }
        known |= {"runs": [asked.run], "corpora": [corpus] if corpus else []}
        heading = f"{asked.layer} · {asked.run} – ML-o-scope"
        return SavedView(heading, about, plain(known), kinds, self._answers, picture, title, f"#{hash.lstrip('#')}")

    def _film(self, kind: FilmKind) -> bool:
        """Keep the film, where there is one."""
        question = self._question(kind)
        if question is None:
            return False
        films = self._services.films
        lines = [line for told in films.manifest(question) for line in told]
        for chunk in (line["chunk"] for line in lines if "chunk" in line):
            digest = chunk["address"].rpartition("/")[2]
            self._keep(chunk["address"], films.chunk(digest), "application/octet-stream")
        if not any("chunk" in line for line in lines):
            return False
        address = f"{PREFIX}/runs/{self._asked.run}/layers/{self._asked.layer}/film?show={kind.name}"
        self._keep(address, _ndjson(lines), _NDJSON)
        return True

    def _question(self, kind: FilmKind) -> FilmQuestion | None:
        """The question for a kind; units that the layer does not have as this kind are left out."""
        asked = replace(self._asked, show=kind.name)
        if not any(option.name == "parameter" for option in kind.options):
            asked = replace(asked, channels="")
        if kind.needs_image and not asked.image:
            return None
        for units in dict.fromkeys((asked.units, "")):
            question = replace(asked, units=units).question(self._services.workspace)
            try:
                next(iter(self._services.films.manifest(question)))
            except NotFound:
                continue
            except MloscopeError:
                return None
            return question
        return None

    def _image(self, corpus: str | None) -> tuple[bytes | None, str]:
        """Keep the predictions of the image and what is known of it; return it as PNG and its title."""
        image, workspace = self._asked.image, self._services.workspace
        if not image or corpus is None:
            return None, ""
        opened = workspace.opened_corpus(corpus)
        position = opened.position(image)
        run = workspace.opened_run(self._asked.run)
        try:
            told = self._services.predictor.stream(run, corpus, workspace.network_input(run, corpus, image), None)
            lines = [line for lines in told for line in lines]
        except MloscopeError:
            return None, ""
        self._keep(f"{PREFIX}/runs/{run.name}/predictions/{image}", _ndjson(lines), _NDJSON)
        record = found_image(opened.adaptor, position)
        self._keep_json(f"/corpora/{corpus}/images", {"images": [record], "total": 1, "offset": 0})
        label = f" · {record.class_name}" if record.class_name else ""
        return workspace.thumbnail(corpus, position, None), f"{record.name}{label}"

    def _keep_json(self, path: str, value: Any) -> None:
        self._keep(PREFIX + path, json.dumps(plain(value)).encode(), "application/json")

    def _keep(self, address: str, body: bytes, type: str) -> None:
        self._bytes += len(body)
        if self._bytes > MOST_BYTES:
            raise NotPossible(
                f"The file would hold more than {MOST_BYTES >> 20} MiB of films; choose fewer units or channels "
                f"(so far {grouped(self._bytes / 1e6)} MB)."
            )
        self._answers[address] = SavedAnswer(type, body)


def _ndjson(lines: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(plain(line)).encode() + b"\n" for line in lines)
