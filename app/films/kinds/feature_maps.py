"""What the layer makes of one image, evaluated by the model service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.app.errors import NotPossible
from mloscope.app.evaluation.feature_maps import FeatureMaps
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.evaluation.pacing import place_of
from mloscope.app.films.kinds import FilmKind, FilmQuestion, Footage, Frame, Option, Scale, Shape, Sources
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.tiles import map_tiles


class FeatureMapFilms(FilmKind):
    name: ClassVar[str] = "features"
    title: ClassVar[str] = "Feature maps"
    help: ClassVar[str] = "What the layer makes of the chosen image."
    order: ClassVar[int] = 1
    doing: ClassVar[str] = "evaluating feature maps"
    needs_image: ClassVar[bool] = True
    needs_evaluation: ClassVar[bool] = True
    scale: ClassVar[Scale] = "sequential"
    options: ClassVar[tuple[Option, ...]] = ()

    def open(self, question: FilmQuestion, sources: Sources) -> Footage:
        image = sources.workspace.network_input(question.run, question.corpus, question.image)
        sources.feature_maps.check(question.run, question.layer)
        shape = shape_of_maps(question, sources.feature_maps, image)
        return _MapFootage(question.run, question.layer, image, sources.feature_maps, shape)


def shape_of_maps(question: FilmQuestion, feature_maps: FeatureMaps, image: NetworkInput) -> Shape:
    """The shape of the layer's feature maps as pictures; evaluated where the architecture does not say it."""
    run, layer = question.run, question.layer
    if layer.output_shape is not None and None not in layer.output_shape:
        return _as_pictures(np.broadcast_to(np.float32(0), tuple(size or 0 for size in layer.output_shape))).shape
    checkpoints = run.checkpoints
    here = checkpoints[place_of(checkpoints, question.near)].step if checkpoints else 0
    for checkpoint in sorted(checkpoints, key=lambda c: abs(c.step - here)):
        for array in feature_maps.at(run, (checkpoint,), layer, image).maps.values():
            return _as_pictures(array).shape
    raise NotPossible(f'The layer "{layer.name}" cannot be evaluated at any checkpoint of the run "{run.name}".')


def _as_pictures(feature_map: np.ndarray) -> np.ndarray:
    return map_tiles(feature_map)[..., np.newaxis]


@dataclass(frozen=True)
class _MapFootage:
    run: OpenedRun
    layer: Layer
    image: NetworkInput
    feature_maps: FeatureMaps
    shape: Shape
    parameter: None = None

    @property
    def content(self) -> str:
        return self.image.digest

    def frames(
        self, checkpoints: Sequence[Checkpoint], fingerprints: Mapping[int, str], priority: int = 0
    ) -> Iterator[Frame]:
        found = self.feature_maps.at(self.run, checkpoints, self.layer, self.image, priority, fingerprints)
        for checkpoint in checkpoints:
            array = found.maps.get(checkpoint.step)
            if array is None:
                yield Frame(checkpoint.step, None, found.missing.get(checkpoint.step, "It could not be evaluated."))
            else:
                yield Frame(checkpoint.step, _as_pictures(array))
