"""What excites each unit in one image, projected back to its pixels."""

from __future__ import annotations

import re
from typing import ClassVar

from mloscope.app.errors import BadRequest
from mloscope.app.evaluation.pictures import PictureQuestion
from mloscope.app.films.kinds import FilmKind, FilmQuestion, Footage, Option, Scale, Sources
from mloscope.app.films.kinds.feature_maps import shape_of_maps
from mloscope.app.films.kinds.pictures import PictureFootage, pace_of, shape_of
from mloscope.app.films.selection import selection
from mloscope.app.model_service.pictures.deconvolution import STRONGEST, VARIANTS, WHOLE_MAP


class Deconvolution(FilmKind):
    name: ClassVar[str] = "deconvolution"
    title: ClassVar[str] = "Deconvolution"
    help: ClassVar[str] = "What of the chosen image excites each unit, projected back to its pixels."
    order: ClassVar[int] = 2
    doing: ClassVar[str] = "projecting activations back to the image"
    needs_image: ClassVar[bool] = True
    needs_evaluation: ClassVar[bool] = True
    scale: ClassVar[Scale] = "diverging"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            "method",
            "How the signal passes back: rectified on its way (deconvolution), where units were positive too (guided), as the "
            "gradient, or as the gradient times the image.",
            "deconvolution",
            VARIANTS,
        ),
        Option(
            "of",
            'Which activation of the map: "strongest", the whole "map", or a position as "row,column".',
            STRONGEST,
        ),
    )

    def pace(self, question: FilmQuestion) -> str:
        return pace_of(question)

    def open(self, question: FilmQuestion, sources: Sources) -> Footage:
        image = sources.workspace.network_input(question.run, question.corpus, question.image)
        sources.pictures.check(question.run, question.layer)
        maps = shape_of_maps(question, sources.feature_maps, image)
        units, _channels = selection(question, maps)
        options = {"method": question.option("method"), "of": _of(question.option("of"), maps[2:4]), "units": units}
        asked = PictureQuestion(question.layer, "deconvolution", options, image, len(units))
        return PictureFootage(question.run, asked, sources.pictures, shape_of(image.values, maps[0]), units)


def _of(text: str, extent: tuple[int, int]) -> str | list[int]:
    if text in (STRONGEST, WHOLE_MAP):
        return text
    place = re.fullmatch(r"(\d{1,6}),(\d{1,6})", text)
    if place is None:
        raise BadRequest(f'of must be "{STRONGEST}", "{WHOLE_MAP}" or a position such as "3,5"; got "{text[:40]}".')
    row, column = int(place[1]), int(place[2])
    if row >= extent[0] or column >= extent[1]:
        raise BadRequest(
            f"The map has the rows 0 to {extent[0] - 1} and the columns 0 to {extent[1] - 1}; got the position {row},{column}."
        )
    return [row, column]
