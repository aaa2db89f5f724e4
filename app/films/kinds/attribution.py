"""Where in one image a class's score, or a unit's activation, comes from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mloscope.adaptors.interface import Layer
from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.evaluation.pictures import PictureQuestion
from mloscope.app.films.kinds import FilmKind, FilmQuestion, Footage, Option, Scale, Sources
from mloscope.app.films.kinds.pictures import PictureFootage, number_of, pace_of, shape_of
from mloscope.app.model_service.class_probabilities import LOGIT_OF_CLASS_1, PROBABILITY_OF_CLASS_1
from mloscope.app.model_service.pictures.attribution import VARIANTS

_NOISE, _SEED = 0.15, 0
_BASELINES = ("black", "mean", "blurred")
_OF_A_BASELINE = ("method", ("integrated", "occlusion"))


class Attribution(FilmKind):
    name: ClassVar[str] = "attribution"
    title: ClassVar[str] = "Attribution"
    help: ClassVar[str] = "Where in the chosen image the score of a class, or a unit's activation, comes from."
    order: ClassVar[int] = 3
    doing: ClassVar[str] = "attributing the score to pixels"
    needs_image: ClassVar[bool] = True
    needs_evaluation: ClassVar[bool] = True
    of_units: ClassVar[bool] = False
    scale: ClassVar[Scale] = "diverging"
    options: ClassVar[tuple[Option, ...]] = (
        Option(
            "method",
            "How: the gradient, its mean over noisy images (smoothgrad), integrated gradients, Grad-CAM at the selected layer, or by "
            "covering parts of the image (occlusion).",
            "gradient",
            VARIANTS,
        ),
        Option(
            "target",
            'What is explained: a class, by its number or name, or "unit 3" of the selected layer; default: the image\'s own class.',
        ),
        Option("against", "A second class; the difference of the two scores is explained."),
        Option(
            "baseline", "What stands for no image, or for a covered part.", "black", _BASELINES, where=_OF_A_BASELINE
        ),
        Option("samples", "How many noisy images, 1 to 512.", "32", where=("method", ("smoothgrad",))),
        Option("points", "How many points on the way, 1 to 1024.", "64", where=("method", ("integrated",))),
        Option("patch", "Side of what is covered, in pixels; default: a quarter.", where=("method", ("occlusion",))),
        Option("stride", "How far it moves, in pixels; default: a sixteenth.", where=("method", ("occlusion",))),
    )

    def pace(self, question: FilmQuestion) -> str:
        return pace_of(question)

    def open(self, question: FilmQuestion, sources: Sources) -> Footage:
        image = sources.workspace.network_input(question.run, question.corpus, question.image)
        sources.pictures.check(question.run, question.layer)
        method = question.option("method")
        layer, weights = _target(question, sources)
        options = {"method": method, "target": [layer.name, weights], **_numbers(question, image.values.shape)}
        at = question.layer if method == "grad-cam" else layer
        sources.pictures.check(question.run, at)
        asked = PictureQuestion(at, "attribution", options, image, 1, _baseline(question, sources, image))
        channels = image.values if method not in ("grad-cam", "occlusion") else image.values[..., :1]
        return PictureFootage(question.run, asked, sources.pictures, shape_of(channels, 1))


def _numbers(question: FilmQuestion, shape: Sequence[int]) -> Mapping[str, float]:
    """The options that the method reads."""
    method, shorter = question.option("method"), min(shape[:2])
    if method == "smoothgrad":
        return {"samples": number_of(question, "samples", 1, 512), "noise": _NOISE, "seed": _SEED}
    if method == "integrated":
        return {"points": number_of(question, "points", 1, 1024)}
    if method == "occlusion":
        patch = number_of(question, "patch", 1, shorter, max(1, shorter // 4))
        return {"patch": patch, "stride": number_of(question, "stride", 1, shorter, max(1, shorter // 16))}
    return {}


def _baseline(question: FilmQuestion, sources: Sources, image: NetworkInput) -> np.ndarray | None:
    """None where the method takes none, or blurs the image for one."""
    chosen = question.option("baseline")
    if question.option("method") not in _OF_A_BASELINE[1] or chosen == "blurred":
        return None
    corpus = sources.workspace.corpus_for(question.run, question.corpus)
    inputs = sources.workspace.inputs
    shape = image.values.shape
    return (
        inputs.black(question.run, corpus, shape)
        if chosen == "black"
        else inputs.mean_image(question.run, corpus, shape)
    )


# ------------------------------------------------------------------------------------------------------- targets


def _target(question: FilmQuestion, sources: Sources) -> tuple[Layer, list[list[float]]]:
    """The layer, and which of its units are summed, each with its weight."""
    text, against = question.option("target").strip(), question.option("against").strip()
    if (unit := re.fullmatch(r"unit (\d{1,7})", text)) is not None:
        return question.layer, [[_unit_of(question.layer, int(unit[1])), 1.0]]
    basis = question.run.basis(question.corpus)
    output = basis.output
    if output.layer is None or output.rule is None:
        raise NotPossible(f'There is no class to explain; choose "unit 3" as target. {output.refusal}')
    names = basis.classes.names
    chosen = _class_of(text, names) if text else _own_class(question, sources)
    weights = {chosen: 1.0}
    if against:
        other = _class_of(against, names)
        if other == chosen:
            raise BadRequest(f'target and against are both "{names[chosen]}"; their difference is nought everywhere.')
        weights[other] = -1.0
    layer = question.run.layer(output.layer)
    if output.rule in (PROBABILITY_OF_CLASS_1, LOGIT_OF_CLASS_1):
        return layer, [[0, weights.get(1, 0.0) - weights.get(0, 0.0)]]
    return _before_softmax(question, layer), [[unit, weight] for unit, weight in weights.items()]


def _before_softmax(question: FilmQuestion, layer: Layer) -> Layer:
    """The layer whose softmax this one is, where that is a layer of its own: its scores do not saturate."""
    is_softmax = layer.kind == "softmax" or (
        layer.kind == "activation" and layer.hyperparameters.get("activation") == "softmax"
    )
    if not is_softmax or len(layer.inputs) != 1:
        return layer
    before: Any = question.run.layer(layer.inputs[0])
    return before if before.output_shape == layer.output_shape and not before.problem else layer


def _class_of(text: str, names: Sequence[str]) -> int:
    if text in names:
        return list(names).index(text)
    if re.fullmatch(r"\d{1,7}", text) and int(text) < len(names):
        return int(text)
    raise NotFound(
        f'There is no class "{text[:40]}"; there are {len(names)}, from 0 ({names[0]}) to {len(names) - 1} ({names[-1]}).'
    )


def _own_class(question: FilmQuestion, sources: Sources) -> int:
    corpus = sources.workspace.corpus_for(question.run, question.corpus)
    record = corpus.record(corpus.position(str(question.image)))
    output = question.run.basis(corpus.name).classes.output_of(record.label)
    if output is None:
        raise BadRequest(f'The class of the image "{question.image}" is not known here: choose a class as target.')
    return output


def _unit_of(layer: Layer, unit: int) -> int:
    total = (layer.output_shape or (None,))[-1]
    if total is not None and unit >= total:
        raise NotFound(f'The layer "{layer.name}" has the units 0 to {total - 1}; {unit} is not one of them.')
    return unit
