"""The image that excites each unit most, sought by following the gradient."""

from __future__ import annotations

from typing import ClassVar

from mloscope.app.evaluation.pictures import PictureQuestion
from mloscope.app.films.kinds import FilmKind, FilmQuestion, Footage, Option, Scale, Sources
from mloscope.app.films.kinds.feature_maps import shape_of_maps
from mloscope.app.films.kinds.pictures import PictureFootage, number_of, pace_of, shape_of
from mloscope.app.films.selection import selection
from mloscope.app.model_service.pictures.stimulus import CENTRE, MEAN, VARIANTS


class Stimulus(FilmKind):
    name: ClassVar[str] = "stimulus"
    title: ClassVar[str] = "Optimal stimulus"
    help: ClassVar[str] = (
        "The image that excites each unit most, with the norm of the chosen image, sought by following the gradient."
    )
    order: ClassVar[int] = 4
    doing: ClassVar[str] = "seeking what excites units most"
    needs_image: ClassVar[bool] = True
    needs_evaluation: ClassVar[bool] = True
    is_chained: ClassVar[bool] = True
    scale: ClassVar[Scale] = "diverging"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            "method",
            "Under what conditions: the chosen image's norm; its range too, with shifts and coarse detail preferred (regularised); or its "
            "spectrum's magnitudes (phase).",
            "norm",
            VARIANTS,
        ),
        Option("of", "What of a unit's map is to be large: its mean, or its centre.", MEAN, (MEAN, CENTRE)),
        Option("iterations", "How many steps of the ascent at each checkpoint, 1 to 1024.", "64"),
    )

    def pace(self, question: FilmQuestion) -> str:
        return pace_of(question)

    def open(self, question: FilmQuestion, sources: Sources) -> Footage:
        image = sources.workspace.network_input(question.run, question.corpus, question.image)
        sources.pictures.check(question.run, question.layer)
        maps = shape_of_maps(question, sources.feature_maps, image)
        units, _channels = selection(question, maps)
        options = {
            "method": question.option("method"),
            "of": question.option("of"),
            "units": units,
            "iterations": number_of(question, "iterations", 1, 1024),
            "seed": 0,
        }
        asked = PictureQuestion(question.layer, "stimulus", options, image, len(units), is_chained=True)
        return PictureFootage(question.run, asked, sources.pictures, shape_of(image.values, maps[0]), units)
