"""The questions of views by names, answered by the rooms. On its way out: new code asks the rooms themselves."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Curve, Layer, Parameter
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.evaluation.evaluations import Availability, Evaluations, ModelService
from mloscope.app.evaluation.feature_maps import FeatureMaps, MapsByStep
from mloscope.app.evaluation.pacing import Pace
from mloscope.app.evaluation.predictions import PredictionCourse, Predictions, Predictor
from mloscope.app.films import kinds
from mloscope.app.films.manifest import CHUNK_BYTES, Films
from mloscope.app.process.line_streams import Lines
from mloscope.app.runs import units
from mloscope.app.runs.parameters import parameter_details, parameter_of, parameter_tiles
from mloscope.app.runs.training_curves import TrainingCurvesReader
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.stored.store import StatisticsStore
from mloscope.app.workspace.workspace import Workspace


@dataclass(frozen=True)
class FilmQuestion:
    """A question for a film, by names."""

    run: str
    layer: str
    show: str = "parameters"
    parameter: str | None = None
    units: tuple[int, ...] | None = None
    channels: tuple[int, ...] | None = None
    layout: str = "tiles"
    image: str | None = None
    corpus: str | None = None
    near: int | None = None


class Observatory:
    """See the module's docstring."""

    def __init__(
        self,
        workspace: Workspace,
        cache: ResultCache,
        model_service: ModelService | None = None,
        *,
        service_state: Callable[[], tuple[str, str | None]] | None = None,
        film_chunk_bytes: int = CHUNK_BYTES,
        clock: Callable[[], float] = time.perf_counter,
        charge: Callable[[int], None] = lambda _count: None,
        statistics: Statistics | None = None,
    ) -> None:
        self.workspace = workspace
        self.statistics = statistics or Statistics(workspace, StatisticsStore(None))
        self.cache = cache
        self.evaluations = Evaluations(model_service, service_state=service_state, charge=charge, pace=Pace(clock))
        self.maps = FeatureMaps(cache, self.evaluations)
        self.predictor = Predictor(cache, self.evaluations, self.maps)
        self.films = Films(
            kinds.Sources(workspace, self.maps), cache, self.evaluations.pace, chunk_bytes=film_chunk_bytes
        )
        self.training_curves = TrainingCurvesReader()

    def vitals(self, timeout_s: float = 1.0) -> dict[str, dict[str, Any]]:
        return {"cache": self.cache.status(), "model_service": self.evaluations.service_status(timeout_s)}

    def layers(self, run: str) -> tuple[Layer, ...]:
        return self.workspace.opened_run(run).layers

    def layer(self, run: str, name: str) -> Layer:
        return self.workspace.opened_run(run).layer(name)

    def checkpoints(self, run: str) -> tuple[Checkpoint, ...]:
        return self.workspace.opened_run(run).checkpoints

    def checkpoint(self, run: str, step: int) -> Checkpoint:
        return self.workspace.opened_run(run).checkpoint(step)

    def metrics(self, run: str) -> tuple[Curve, ...]:
        return self.training_curves.of(self.workspace.opened_run(run)).curves

    def metric_problems(self, run: str) -> tuple[str, ...]:
        return self.training_curves.of(self.workspace.opened_run(run)).problems

    def evaluation(self, run: str) -> Availability:
        return self.evaluations.availability(self.workspace.opened_run(run))

    def subject(self, run: str | None = None, corpus: str | None = None) -> dict[str, Any]:
        from mloscope.app.web.subject import subject

        return subject(self.workspace, self.evaluations, run, corpus)

    # ---------------------------------------------------------------------------------- parameters, units

    def parameters(self, run: str, step: int, layer: str) -> dict[str, np.ndarray]:
        opened = self.workspace.opened_run(run)
        return opened.read(opened.checkpoint(step), opened.layer(layer))

    def parameter_of(self, run: str, layer: str, name: str | None) -> Parameter:
        return parameter_of(self.layer(run, layer), name)

    def parameter_tiles(
        self, run: str, step: int, layer: str, parameter: str | None = None, layout: str = "tiles"
    ) -> np.ndarray:
        return parameter_tiles(self.workspace.opened_run(run), step, layer, parameter, layout)

    def layer_details(self, run: str, step: int, layer: str, unit: int | None = None) -> list[dict[str, Any]]:
        return parameter_details(self.cache, self.workspace.opened_run(run), step, layer, unit)

    def unit_course(self, run: str, layer: str, parameter: str | None, unit: int) -> units.UnitCourse:
        return units.unit_course(self.cache, self.workspace.opened_run(run), layer, parameter, unit)

    def unit_values(
        self,
        run: str,
        step: int,
        layer: str,
        unit: int,
        *,
        parameter: str | None = None,
        image: str | None = None,
        corpus: str | None = None,
        layout: str = "tiles",
    ) -> tuple[np.ndarray, tuple[float, float]]:
        if image:
            return units.enlarged_map(self.feature_map(run, step, layer, image, corpus), layer, unit)
        opened = self.workspace.opened_run(run)
        return units.enlarged_weights(self.cache, opened, step, layer, unit, parameter, layout)

    def unit_ranking(
        self,
        run: str,
        step: int,
        layer: str,
        rule: str,
        image: str | None = None,
        corpus: str | None = None,
        count: int = 32,
        parameter: str | None = None,
    ) -> units.UnitRanking:
        return units.unit_ranking(
            self.workspace.opened_run(run),
            step,
            layer,
            rule,
            count=count,
            parameter=parameter,
            feature_map=(lambda: self.feature_map(run, step, layer, image, corpus)) if image else None,
        )

    # -------------------------------------------------------------------------- feature maps, predictions

    def feature_map(self, run: str, step: int, layer: str, image: str, corpus: str | None = None) -> np.ndarray:
        opened = self.workspace.opened_run(run)
        return self.maps.one(opened, step, layer, self.workspace.network_input(opened, corpus, image))

    def feature_maps(
        self,
        run: str,
        steps: Iterable[int],
        layer: str,
        image: str,
        corpus: str | None = None,
        priority: int = 0,
    ) -> MapsByStep:
        opened = self.workspace.opened_run(run)
        taken = self.workspace.network_input(opened, corpus, image)
        return self.maps.at_steps(opened, steps, layer, taken, priority)

    def predictions(
        self, run: str, steps: Iterable[int], image: str, corpus: str | None = None, priority: int = 0
    ) -> Predictions:
        opened = self.workspace.opened_run(run)
        taken = self.workspace.network_input(opened, corpus, image)
        return self.predictor.at_steps(opened, steps, corpus, taken, priority)

    def prediction_course(self, run: str, corpus: str | None, image: str) -> PredictionCourse:
        opened = self.workspace.opened_run(run)
        taken, images = self.workspace.network_input(opened, corpus, image), self.workspace.corpus_for(opened, corpus)
        return self.predictor.course(opened, images, images.position(image), taken)

    def prediction_stream(
        self, run: str, image: str, corpus: str | None = None, near: int | None = None
    ) -> Iterator[dict[str, Any]]:
        return itertools.chain.from_iterable(self.prediction_pieces(run, image, corpus, near))

    def prediction_pieces(
        self, run: str, image: str, corpus: str | None = None, near: int | None = None
    ) -> Iterator[Lines]:
        opened = self.workspace.opened_run(run)
        return self.predictor.stream(opened, corpus, self.workspace.network_input(opened, corpus, image), near)

    # ---------------------------------------------------------------------------------------------- films

    def film(self, question: FilmQuestion) -> Iterator[dict[str, Any]]:
        return (line for piece in self.film_pieces(question) for line in piece)

    def film_pieces(self, question: FilmQuestion) -> Iterator[Lines]:
        return self.films.manifest(self._asked(question))

    def film_bytes(self, digest: str) -> bytes:
        return self.films.chunk(digest)

    def frames(self, question: FilmQuestion, steps: Sequence[int]) -> bytes:
        return self.films.frames(self._asked(question), steps)

    def _asked(self, question: FilmQuestion) -> kinds.FilmQuestion:
        run = self.workspace.opened_run(question.run)
        kind = kinds.kind_of(question.show, self.films.kinds)
        return kinds.FilmQuestion(
            run,
            run.layer(question.layer),
            kind.name,
            kinds.options_of(kind, {"parameter": question.parameter, "layout": question.layout}),
            question.image,
            question.corpus,
            question.units,
            question.channels,
            question.near,
        )
