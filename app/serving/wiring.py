"""The one place where the program is put together: from settings and what is connected to the web application."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mloscope.app.process.home_folder import NoHome

if TYPE_CHECKING:
    from mloscope.app.process.settings import Settings
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.workspace.links import LinkFolder
    from mloscope.app.workspace.workspace import Workspace

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WiredService:
    """The model service, and how it is started and stopped."""

    client: Any
    state: Callable[[], tuple[str, str | None]] | None = None
    start: Callable[[], None] = lambda: None
    stop: Callable[[], None] = lambda: None


def model_service(settings: Settings) -> WiredService:
    """The model service that the settings name, else a process of our own, which is still to be started."""
    from mloscope.app.model_service.client import ModelServiceClient

    timeout_s, token = settings.model_service_timeout_s, settings.model_service_token
    if settings.model_service_url:
        return WiredService(ModelServiceClient(settings.model_service_url, timeout_s=timeout_s, token=token))
    from mloscope.app.model_service.supervisor import ModelServiceProcess

    process = ModelServiceProcess(weights_budget_bytes=settings.weights_budget_bytes)
    return WiredService(
        ModelServiceClient(process, timeout_s=timeout_s),
        state=lambda: (process.state, process.problem),
        start=process.start,
        stop=process.stop,
    )


def statistics(workspace: Workspace, settings: Settings) -> Statistics:
    """Statistics over the workspace, and what computes them in the background."""
    from mloscope.adaptors.installation import program
    from mloscope.app.evaluation.named_outputs import NamedOutputsStore
    from mloscope.app.statistics.computing.jobs import StatisticsJobs
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.statistics.stored.store import StatisticsStore
    from mloscope.app.workspace.run_labels import RunLabelsStore
    from mloscope.app.workspace.saved_views import SavedViews

    cache_folder = _cache_folder(settings)
    workspace.named_outputs = NamedOutputsStore(cache_folder)
    workspace.labels = RunLabelsStore(cache_folder)
    workspace.saved_views = SavedViews(cache_folder)
    found = Statistics(workspace, StatisticsStore(cache_folder), program=program())
    # The children end with this process.
    found.jobs = StatisticsJobs(
        lambda *names: found.of(*names).command, cache_folder, dask_address=settings.dask_address
    )
    return found


def application(
    workspace: Workspace,
    settings: Settings,
    service: WiredService,
    statistics: Statistics,
    recent_warnings: Any,
    links: LinkFolder | None = None,
) -> Any:
    """The guarded web application. ``recent_warnings``: recent warnings, for the status page. ``links``: the folder of runs
    that is watched."""
    from mloscope.app.cache.result_cache import ResultCache
    from mloscope.app.serving.ends_in_time import EndsInTime
    from mloscope.app.web.access.allowances import EvaluationCharge
    from mloscope.app.web.access.prometheus import Metrics
    from mloscope.app.web.server import create_guarded_app
    from mloscope.app.web.services import Services
    from mloscope.app.workspace.links import PageConnections

    cache = ResultCache.from_settings(settings.redis_url, settings.cache_budget_bytes)
    metrics = Metrics(lambda: services.vitals(), lambda: cache.counts)
    services = Services.of(
        workspace,
        cache,
        service.client,
        service_state=service.state,
        film_chunk_bytes=settings.film_chunk_bytes,
        charge=EvaluationCharge(settings.evaluations_a_minute, metrics.evaluated),
        statistics=statistics,
        connecting=PageConnections.of(
            links,
            [Path(folder) for folder in settings.connect_folders or ()],
            [run.path for run in workspace.runs],
            settings.port,
        ),
    )
    guarded = create_guarded_app(services, settings, metrics, recent_warnings, _assets_folder(settings))
    return EndsInTime(guarded, statistics.jobs.stop)


def _assets_folder(settings: Settings) -> Path | None:
    """Where compressed scripts and styles are kept; without a home folder nowhere."""
    from mloscope.app.process.settings import cache_folder_of

    try:
        return cache_folder_of(settings, os.environ) / "assets"
    except NoHome:
        return None


def _cache_folder(settings: Settings) -> Path:
    """Where statistics and saved views are kept; without a home folder, a place that is gone when this process is."""
    from mloscope.app.process.settings import cache_folder_of

    try:
        return cache_folder_of(settings, os.environ)
    except NoHome:
        folder = tempfile.mkdtemp(prefix="mloscope-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        logger.warning(
            "There is no home folder, so statistics are kept in %s until this server stops; "
            "MLOSCOPE_CACHE_FOLDER names a place that stays.",
            folder,
        )
        return Path(folder)
