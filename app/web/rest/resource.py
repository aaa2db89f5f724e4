"""What every router of the REST API has in common: where it lies, and how what a route function returns becomes an answer.

A route function returns a dataclass, which is the answer's JSON and its schema in the OpenAPI document in one, or a finished
response. Answers about a run link to the record of what their numbers rest on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import Field

from mloscope.app.evaluation.notices import Notice
from mloscope.app.web.rest.answers import ASK_AGAIN, held, json_answer, unchanged_answer

PREFIX = "/api/v1"

Notices = Annotated[
    tuple[Notice, ...],
    Field(
        description="What was assumed, left out or guessed (kind: warning, assumed, left out or note); "
        "the whole record is at /basis."
    ),
]
"""Every answer with numbers of a network ends with them."""


def resource(heading: str, path: str = "") -> APIRouter:
    """Return the router for the routes under ``/api/v1`` and ``path``, documented under ``heading``."""
    return APIRouter(
        prefix=PREFIX + path,
        tags=[heading],
        route_class=AnswerRoute,
        generate_unique_id_function=lambda route: route.name,
    )


class AnswerRoute(APIRoute):
    """A route whose function returns what :func:`json_answer` takes, or a response.

    Content that the caller holds already is answered with 304. Where the address names a run, the answer has
    ``Link: <.../basis>; rel="describedby"``.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, _answering(endpoint), **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            response = await handle(request)
            etag = response.headers.get("etag")
            if etag is not None and held(request, etag):
                response = unchanged_answer(etag, response.headers.get("cache-control", ASK_AGAIN))
            runs = [request.path_params[name] for name in ("run", "other") if name in request.path_params]
            links = [f'<{basis_address(run, request.query_params.get("corpus"))}>; rel="describedby"' for run in runs]
            if links:
                response.headers["Link"] = ", ".join(links)
            return response

        return handled


def _answering(endpoint: Callable[..., Any]) -> Callable[..., Response]:
    """Return the route function with its answer as a response: FastAPI would validate each value of the dataclass again."""

    @functools.wraps(endpoint)
    def answering(*args: Any, **kwargs: Any) -> Response:
        found = endpoint(*args, **kwargs)
        return found if isinstance(found, Response) else json_answer(found)

    return answering


def basis_address(run: str, corpus: str | None) -> str:
    """Return where the record of a run over a corpus (default: the run's) can be had."""
    query = "?" + urlencode({"corpus": corpus}) if corpus else ""
    return f"{PREFIX}/runs/{quote(run, safe='')}/basis{query}"
