"""The REST API under /api/v1, put together: one router per resource, its documentation, errors as JSON.

What lies under an address that holds its content's digest is immutable; everything else carries an ETag and is asked for
again each time. Errors are always ``{"error": {"kind", "message"}}`` with the status of :mod:`mloscope.app.errors`.
"""

from __future__ import annotations

from fastapi import FastAPI

from mloscope.app.observatory import Observatory
from mloscope.app.web.rest.api_docs import api_docs_router
from mloscope.app.web.rest.basis import basis_router
from mloscope.app.web.rest.comparison import comparison_router
from mloscope.app.web.rest.refusals import install_error_handlers
from mloscope.app.web.rest.rest import rest_router
from mloscope.app.web.rest.statistics import clusters, confusion, images, jobs, overview

ROUTERS = (overview.router, confusion.router, clusters.router, images.router, jobs.router)


def add_rest(server: FastAPI, observatory: Observatory) -> None:
    """Add all routes under /api. To be called before anything is added that answers every address."""
    server.state.observatory = observatory
    for router in (
        rest_router(observatory),
        *ROUTERS,
        comparison_router(observatory),
        basis_router(observatory),
        api_docs_router(server),
    ):
        server.include_router(router)
    install_error_handlers(server)
