"""What films of pictures have in common: footage that the model service makes, and how a picture is laid out as tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mloscope.adaptors.interface import Checkpoint
from mloscope.app.cache.content_keys import digest
from mloscope.app.errors import BadRequest
from mloscope.app.evaluation.pictures import PictureQuestion, Pictures
from mloscope.app.films.kinds import Figures, FilmQuestion, Frame, Shape
from mloscope.app.model_service.pictures.picture import Picture
from mloscope.app.runs.opened_run import OpenedRun


def pace_of(question: FilmQuestion) -> str:
    """Pictures of one layer by one method take as long as each other."""
    return f"{question.run.architecture} {question.kind} {question.layer.name} {sorted(question.options.items())}"


def number_of(question: FilmQuestion, name: str, least: int, most: int, default: int | None = None) -> int:
    """A whole number among the question's options. Raises :class:`BadRequest`."""
    text = question.option(name).strip()
    if not text and default is not None:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text[:9]) <= most:
        raise BadRequest(f'{name} must be a whole number from {least} to {most}; got "{text[:40]}".')
    return int(text)


def shape_of(values: np.ndarray, units: int) -> Shape:
    """Of pictures in the rows, columns and channels of an image, (row, column, channel): three channels are red, green and blue."""
    rows, columns, channels = values.shape
    return (units, 1, rows, columns, 3) if channels == 3 else (units, channels, rows, columns, 1)


@dataclass(frozen=True)
class PictureFootage:
    run: OpenedRun
    question: PictureQuestion
    pictures: Pictures
    shape: Shape
    units: tuple[int, ...] = (0,)
    """The units that pictures are made of; others are left empty."""
    parameter: None = None

    @property
    def content(self) -> str:
        if not self.question.is_chained:
            return self.question.content
        past = self.run.fingerprints(self.run.checkpoints).known  # which decides what comes later
        return f"{self.question.content} {digest(repr(list(past.items())))}"

    def frames(
        self, checkpoints: Sequence[Checkpoint], fingerprints: Mapping[int, str], priority: int = 0
    ) -> Iterator[Frame]:
        for step, found in self.pictures.at(self.run, checkpoints, self.question, fingerprints, priority):
            if isinstance(found, str):
                yield Frame(step, None, found)
            else:
                yield Frame(step, self._tiles(found), figures=self._figures(found.figures))

    def _tiles(self, picture: Picture) -> np.ndarray:
        """In :attr:`shape`; NaN where a unit has a word instead of a number."""
        values = np.moveaxis(picture.values, -1, 0)
        values = values[:, np.newaxis] if self.shape[4] == 3 else np.moveaxis(values, -1, 1)[..., np.newaxis]
        whole = len(self.units) == self.shape[0]
        tiles = values.copy() if whole else np.full(self.shape, np.nan, np.float32)
        if not whole:
            tiles[list(self.units)] = values
        for of_units in picture.figures.values():
            tiles[[unit for unit, said in zip(self.units, of_units, strict=True) if isinstance(said, str)]] = np.nan
        return tiles

    def _figures(self, figures: Figures) -> Figures:
        """Of all units of the layer."""
        spread = {}
        for name, of_units in figures.items():
            spread[name] = [None] * self.shape[0]
            for unit, said in zip(self.units, of_units, strict=True):
                spread[name][unit] = said
        return spread
