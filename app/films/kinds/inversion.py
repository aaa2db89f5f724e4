"""The chosen image, rebuilt from what the layer knows of it."""

from __future__ import annotations

from typing import ClassVar

from mloscope.app.errors import BadRequest
from mloscope.app.evaluation.pictures import PictureQuestion
from mloscope.app.films.kinds import FilmKind, FilmQuestion, Footage, Option, Scale, Sources
from mloscope.app.films.kinds.pictures import PictureFootage, number_of, pace_of, shape_of


class Inversion(FilmKind):
    name: ClassVar[str] = "inversion"
    title: ClassVar[str] = "Inversion"
    help: ClassVar[str] = (
        "The chosen image, rebuilt from what the layer knows of it: what is missing, the layer has thrown away."
    )
    order: ClassVar[int] = 5
    doing: ClassVar[str] = "rebuilding the image"
    needs_image: ClassVar[bool] = True
    needs_evaluation: ClassVar[bool] = True
    of_units: ClassVar[bool] = False
    is_chained: ClassVar[bool] = True
    scale: ClassVar[Scale] = "sequential"
    options: ClassVar[tuple[Option, ...]] = (
        Option("rounds", "How many steps of the search at each checkpoint, 1 to 2048.", "128"),
        Option("smoothness", "How much smooth images are preferred, from 0 on.", "0.01"),
    )

    def pace(self, question: FilmQuestion) -> str:
        return pace_of(question)

    def open(self, question: FilmQuestion, sources: Sources) -> Footage:
        image = sources.workspace.network_input(question.run, question.corpus, question.image)
        sources.pictures.check(question.run, question.layer)
        options = {
            "iterations": number_of(question, "rounds", 1, 2048),
            "smoothness": _smoothness(question),
            "seed": 0,
        }
        asked = PictureQuestion(question.layer, "inversion", options, image, 1, is_chained=True)
        return PictureFootage(question.run, asked, sources.pictures, shape_of(image.values, 1))


def _smoothness(question: FilmQuestion) -> float:
    text = question.option("smoothness").strip()
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1000:
        raise BadRequest(f'smoothness must be a number from 0 to 1000; got "{text[:40]}".')
    return value
