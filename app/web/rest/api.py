"""The REST API under /api/v1, added to the web application: its routes, built when they are first asked for, and errors as JSON.

What lies under an address that holds its content's digest is immutable; everything else carries an ETag and is asked for
again each time. Errors are always ``{"error": {"kind", "message"}}`` with the status of :mod:`mloscope.app.errors`.
"""

from __future__ import annotations

import threading

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from mloscope.app.web.rest.refusals import install_error_handlers
from mloscope.app.web.services import Services


def add_rest(server: FastAPI, services: Services) -> None:
    """Add all routes under /api. Call it before anything is added that answers every address."""
    server.state.services = services
    server.router.routes.append(RoutesWhenAskedFor())
    install_error_handlers(server)


class RoutesWhenAskedFor(BaseRoute):
    """Everything under /api. FastAPI looks at each parameter of 50 routes, which takes a fifth of the time from the start to
    the first page, and that needs none of them: they are built in a thread while the browser loads the page's scripts."""

    def __init__(self) -> None:
        self._router: APIRouter | None = None
        self._building: threading.Thread | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if self._building is None:
            self._building = threading.Thread(target=_built, name="routes of the API")
            self._building.start()
        asked = scope["type"] == "http" and f"{scope['path']}/".startswith("/api/")
        return (Match.FULL if asked else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._router is None:
            self._router = await anyio.to_thread.run_sync(_built)
        await self._router(scope, receive, send)


def _built() -> APIRouter:
    from mloscope.app.web.rest.resources import api_router

    return api_router()
