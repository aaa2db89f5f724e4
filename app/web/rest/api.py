"""The REST API under /api/v1, put together: one router per resource, its documentation, errors as JSON.

What lies under an address that holds its content's digest is immutable; everything else carries an ETag and is asked for
again each time. Errors are always ``{"error": {"kind", "message"}}`` with the status of :mod:`mloscope.app.errors`.
"""

from __future__ import annotations

from fastapi import FastAPI

from mloscope.app.web.rest import (
    api_docs,
    basis,
    comparison,
    corpora,
    feature_maps,
    films,
    parameters,
    predictions,
    runs,
)
from mloscope.app.web.rest.refusals import install_error_handlers
from mloscope.app.web.rest.statistics import clusters, confusion, images, jobs, overview, table
from mloscope.app.web.services import Services

RESOURCES = (
    runs, parameters, feature_maps, predictions, films, corpora, overview, table, confusion, clusters, images, jobs, comparison, basis,
)  # fmt: skip
ROUTERS = tuple(resource.router for resource in RESOURCES)


def add_rest(server: FastAPI, services: Services) -> None:
    """Add all routes under /api. Call it before anything is added that answers every address."""
    server.state.services = services
    for router in (*ROUTERS, api_docs.router):
        server.include_router(router)
    install_error_handlers(server)
