"""A parameter of the layer, read from the checkpoints' files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.app.errors import MloscopeError, NotFound, NotPossible
from mloscope.app.films.kinds import FilmKind, FilmQuestion, Footage, Frame, Option, Scale, Shape, Sources
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.runs.parameters import ParameterPicture, parameter_of
from mloscope.app.runs.tiles import LAYOUTS


class Parameters(FilmKind):
    name: ClassVar[str] = "parameters"
    title: ClassVar[str] = "Parameters"
    help: ClassVar[str] = "The layer's weights, as stored in the checkpoints."
    order: ClassVar[int] = 0
    doing: ClassVar[str] = "reading parameters"
    needs_image: ClassVar[bool] = False
    needs_evaluation: ClassVar[bool] = False
    scale: ClassVar[Scale] = "diverging"
    options: ClassVar[tuple[Option, ...]] = (
        Option("parameter", "Name of a parameter; default: the layer's first."),
        Option("layout", "Dense kernels in the shape of the map before them, or a row per unit.", "tiles", LAYOUTS),
    )

    def open(self, question: FilmQuestion, sources: Sources) -> Footage:
        parameter = parameter_of(question.layer, question.option("parameter"))
        picture = ParameterPicture.of(question.run, question.layer, parameter, question.option("layout"))
        return _ParameterFootage(question.run, question.layer, picture, picture.shape)


@dataclass(frozen=True)
class _ParameterFootage:
    run: OpenedRun
    layer: Layer
    picture: ParameterPicture
    shape: Shape

    @property
    def parameter(self) -> str:
        return self.picture.parameter.name

    @property
    def content(self) -> str:
        parameter = self.picture.parameter
        return json.dumps([parameter.name, parameter.shape, parameter.axes, self.picture.layout])

    def frames(
        self, checkpoints: Sequence[Checkpoint], fingerprints: Mapping[int, str], priority: int = 0
    ) -> Iterator[Frame]:
        for checkpoint in checkpoints:
            yield self._frame(checkpoint, fingerprints[checkpoint.step])

    def _frame(self, checkpoint: Checkpoint, fingerprint: str) -> Frame:
        try:
            return Frame(checkpoint.step, self.picture.tiles(self.run.read(checkpoint, self.layer, fingerprint)))
        except MloscopeError as error:
            # What a file's content makes unreadable stays so while its fingerprint is the same.
            is_of_content = isinstance(error, NotPossible | NotFound)
            now = self.run.fingerprints((checkpoint,)).known.get(checkpoint.step)
            return Frame(checkpoint.step, None, str(error), is_of_content and now == fingerprint)
