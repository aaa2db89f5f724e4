"""The parts of the program that answer questions, as routes, pages and callbacks are handed them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.comparison.compared_runs import ComparedRuns
from mloscope.app.evaluation.evaluations import Evaluations, ModelService
from mloscope.app.evaluation.feature_maps import FeatureMaps
from mloscope.app.evaluation.pacing import Pace
from mloscope.app.evaluation.pictures import Pictures
from mloscope.app.evaluation.predictions import Predictor
from mloscope.app.evaluation.sweeps import Sweeps
from mloscope.app.export.film_export import FilmExport
from mloscope.app.films.kinds import Sources
from mloscope.app.films.manifest import CHUNK_BYTES, Films
from mloscope.app.images.own_images import OwnImages
from mloscope.app.runs.training_curves import TrainingCurvesReader
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.links import PageConnections
from mloscope.app.workspace.run_table import RunTable
from mloscope.app.workspace.workspace import Workspace


@dataclass(frozen=True)
class Services:
    """One of each. All are thread-safe; questions about a run begin with ``workspace.opened_run(name)``."""

    workspace: Workspace
    cache: ResultCache
    evaluations: Evaluations
    feature_maps: FeatureMaps
    pictures: Pictures
    predictor: Predictor
    sweeps: Sweeps
    films: Films
    film_export: FilmExport
    training_curves: TrainingCurvesReader
    statistics: Statistics
    comparison: ComparedRuns
    run_table: RunTable
    connecting: PageConnections

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        cache: ResultCache,
        model_service: ModelService | None = None,
        *,
        service_state: Callable[[], tuple[str, str | None]] | None = None,
        charge: Callable[[int], None] = lambda _count: None,
        pace: Pace | None = None,
        film_chunk_bytes: int = CHUNK_BYTES,
        statistics: Statistics | None = None,
        connecting: PageConnections | None = None,
    ) -> Self:
        """Put the parts together. ``model_service``, ``service_state``, ``charge``: see :class:`Evaluations`. ``statistics``:
        default, there are none. ``connecting``: default, pages may connect nothing."""
        evaluations = Evaluations(model_service, service_state=service_state, charge=charge, pace=pace)
        feature_maps = FeatureMaps(cache, evaluations)
        curves = TrainingCurvesReader()
        workspace.own_images = OwnImages(cache)
        statistics = statistics or Statistics(workspace, StatisticsStore(None))
        pictures = Pictures(cache, evaluations)
        films = Films(Sources(workspace, feature_maps, pictures), cache, evaluations.pace, chunk_bytes=film_chunk_bytes)
        return cls(
            workspace,
            cache,
            evaluations,
            feature_maps,
            pictures,
            Predictor(cache, evaluations, feature_maps),
            Sweeps(cache, evaluations),
            films,
            FilmExport(films, cache),
            curves,
            statistics,
            ComparedRuns(workspace, statistics, feature_maps, curves),
            RunTable(workspace, curves),
            connecting or PageConnections(),
        )

    def vitals(self, timeout_s: float = 1.0) -> dict[str, dict[str, Any]]:
        """How the cache and the model service are, JSON-able. Takes about ``timeout_s`` at most."""
        return {"cache": self.cache.status(), "model_service": self.evaluations.service_status(timeout_s)}
