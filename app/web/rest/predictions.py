"""Predictions over HTTP: what a network holds an image for, at one checkpoint or at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from mloscope.app.errors import NotPossible
from mloscope.app.web.rest.addresses import CorpusChoice, ImageId, RunName, Step
from mloscope.app.web.rest.answers import NDJSON, streamed_lines
from mloscope.app.web.rest.dependencies import TheServices
from mloscope.app.web.rest.resource import Notices, resource

router = resource("features", "/runs/{run}")


@dataclass(frozen=True)
class PredictionAnswer:
    step: int
    image: str
    class_names: Sequence[str]
    probabilities: Annotated[
        list[float | None], Field(description="One per class, 0..1; null where the network gives NaN.")
    ]
    kind: Annotated[str, Field(description="How the output's values became probabilities, as /basis has it.")]
    notices: Notices


@router.get("/checkpoints/{step}/predictions/{image}")
def predict(
    services: TheServices, run: RunName, step: Step, image: ImageId, corpus: CorpusChoice = None
) -> PredictionAnswer:
    """What the network holds an image for at one checkpoint."""
    opened = services.workspace.opened_run(run)
    taken = services.workspace.network_input(opened, corpus, image)
    found = services.predictor.at_steps(opened, (step,), corpus, taken)
    if step in found.missing:
        raise NotPossible(found.missing[step])
    basis = opened.basis(corpus)
    probabilities = found.probabilities[step].tolist()
    return PredictionAnswer(step, image, basis.classes.names, probabilities, found.kind, basis.notices)


@dataclass(frozen=True)
class MissingStep:
    step: int
    reason: str


@dataclass(frozen=True)
class PredictionsAnswer:
    image: str
    class_names: Sequence[str]
    steps: list[int]
    probabilities: Annotated[list[list[float | None]], Field(description="(step, class), 0..1")]
    missing: list[MissingStep]
    kind: str
    notices: Notices


@router.get("/predictions/{image}", response_model=PredictionsAnswer, responses={200: NDJSON})
def predict_all(
    request: Request,
    services: TheServices,
    run: RunName,
    image: ImageId,
    corpus: CorpusChoice = None,
    stream: Annotated[bool, Query(description="Lines of NDJSON as they come, instead of one answer.")] = False,
    near: Annotated[int | None, Query(description="With stream: the step whose neighbours come first.")] = None,
) -> PredictionsAnswer | Response:
    """What the network holds an image for at every checkpoint. As a stream: ``{"steps",
    "probabilities"}``, ``{"missing": {"step", "reason"}}``, at the end ``{"done": true}`` or
    ``{"error"}``.
    """
    opened = services.workspace.opened_run(run)
    taken = services.workspace.network_input(opened, corpus, image)
    if stream:
        return streamed_lines(request, services.predictor.stream(opened, corpus, taken, near))
    found, basis = services.predictor.at_steps(opened, opened.steps, corpus, taken), opened.basis(corpus)
    probabilities: Mapping[int, np.ndarray] = found.probabilities
    return PredictionsAnswer(
        image,
        basis.classes.names,
        list(probabilities),
        [row.tolist() for row in probabilities.values()],
        [MissingStep(step, reason) for step, reason in found.missing.items()],
        found.kind,
        basis.notices,
    )
