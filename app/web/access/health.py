"""How the server is, for machines: pages that work without Dash, and but for /metrics without signing in.

GET  /healthz        200 while the process answers
GET  /readyz         200 while it can answer everything: the cache answers, and the model service is ready or was never there
GET  /metrics        see prometheus.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mloscope.app.web.access.authentication import Origin
from mloscope.app.web.access.own_page import NO_STORE, Handler, require_get
from mloscope.app.web.access.prometheus import CONTENT_TYPE, Metrics

Vitals = Mapping[str, Mapping[str, Any]]
"""See :meth:`mloscope.app.web.services.Services.vitals`."""


class Health:
    """The three pages, by path."""

    def __init__(self, vitals: Callable[[], Vitals], metrics: Metrics) -> None:
        """``vitals`` may take a second."""
        self._ask = vitals
        self._metrics = metrics
        self._asking: asyncio.Task[Vitals] | None = None
        self.routes: Mapping[str, Handler] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics_page,
        }

    async def vitals(self) -> Vitals:
        """Return how cache and model service are, asked once for all who want to know at the same time: strangers may ask
        /readyz as often as they like."""
        loop = asyncio.get_running_loop()
        if self._asking is None or self._asking.done() or self._asking.get_loop() is not loop:
            self._asking = loop.create_task(anyio.to_thread.run_sync(self._ask))
        return await asyncio.shield(self._asking)

    async def _healthz(self, request: Request, origin: Origin) -> Response:
        require_get(request)
        return JSONResponse({"alive": True}, headers=NO_STORE)

    async def _readyz(self, request: Request, origin: Origin) -> Response:
        """States in one word each: strangers may read this."""
        require_get(request)
        vitals = await self.vitals()
        cache = "ready" if vitals["cache"].get("available") else "unreachable"
        service = vitals["model_service"]["state"]
        ready = cache == "ready" and service in ("ready", "not installed")
        body = {"ready": ready, "cache": cache, "model_service": service}
        return JSONResponse(body, 200 if ready else 503, NO_STORE)

    async def _metrics_page(self, request: Request, origin: Origin) -> Response:
        require_get(request)
        return Response(
            await anyio.to_thread.run_sync(self._metrics.exposition), headers={"Content-Type": CONTENT_TYPE}
        )
