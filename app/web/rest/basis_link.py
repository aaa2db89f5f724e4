"""What every answer with numbers carries: a link to the record of what they rest on, and its notices."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

PREFIX = "/api/v1"


class NoticeBody(BaseModel):
    kind: str = Field(description="warning, assumed, left out or note")
    sentence: str


class NoticedAnswer(BaseModel):
    """An answer with numbers, and what a reader of them has to know."""

    notices: list[NoticeBody] = Field(
        description="What was assumed, left out or guessed; the whole record is at /basis."
    )


class LinkedRoute(APIRoute):
    """A route whose answers about a run link to what their numbers rest on: ``Link: <.../basis>; rel="describedby"``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        if "{run}" not in self.path:
            return handle

        async def linked(request: Request) -> Response:
            response = await handle(request)
            runs = [request.path_params[name] for name in ("run", "other") if name in request.path_params]
            links = [f'<{basis_address(run, request.query_params.get("corpus"))}>; rel="describedby"' for run in runs]
            response.headers["Link"] = ", ".join(links)
            return response

        return linked


def basis_address(run: str, corpus: str | None) -> str:
    """Where the record of a run over a corpus (default: the run's) can be had."""
    query = "?" + urlencode({"corpus": corpus}) if corpus else ""
    return f"{PREFIX}/runs/{quote(run, safe='')}/basis{query}"
