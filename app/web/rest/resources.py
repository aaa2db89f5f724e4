"""The resources of the REST API: one more is one line."""

from __future__ import annotations

import functools

from fastapi import APIRouter

from mloscope.app.web.rest import (
    api_docs,
    basis,
    comparison,
    corpora,
    feature_maps,
    films,
    histograms,
    lab,
    parameters,
    pictures,
    predictions,
    refusals,
    run_table,
    runs,
    saved_films,
    saved_page,
    views,
)
from mloscope.app.web.rest.statistics import clusters, confusion, images, jobs, overview, patches, table

RESOURCES = (
    runs, run_table, parameters, histograms, feature_maps, predictions, lab, films, pictures, saved_films, saved_page, corpora,
    overview, table, confusion, clusters, patches, images, jobs, comparison, basis, views,
)  # fmt: skip
ROUTERS = tuple(resource.router for resource in RESOURCES)


@functools.cache
def api_router() -> APIRouter:
    """Return all routes under /api, the one for unknown addresses last. The same for every application of this process."""
    router = APIRouter()
    # As they are: a router that includes others has FastAPI look at each route again.
    for part in (*ROUTERS, api_docs.router, refusals.router):
        router.routes.extend(part.routes)
    return router
