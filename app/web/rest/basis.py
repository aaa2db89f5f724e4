"""The REST API's part that says what numbers rest on, and that takes what somebody says of a network's outputs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from mloscope.app.errors import BadRequest, Forbidden
from mloscope.app.evaluation.basis import Basis
from mloscope.app.evaluation.named_outputs import NamedOutputs, checked_names
from mloscope.app.observatory import Observatory
from mloscope.app.web.rest.basis_link import PREFIX, LinkedRoute, NoticedAnswer
from mloscope.app.web.rest.rest import REFUSAL_ANSWERS, CorpusChoice, RunName, json_answer


class InputBody(BaseModel):
    shape: list[int | None] | None = Field(description="row, column, channel")
    dtype: str | None = Field(description="As the network declares it.")
    range: list[float] | None = Field(description="What pixels 0..255 become before they enter; null for a mean image.")
    fitted: list[str] = Field(description="How images are made to fit where they are of another size or other colours.")


class PreparedBody(BaseModel):
    """What is done to pixels 0..255: ``pixels * scale - mean``; and where each part comes from."""

    scale: float
    scale_from: str = Field(description='"option", "the run\'s files", a file, the network\'s own layers, or "assumed"')
    mean: list[float] | str | None
    mean_from: str
    channel_order: str
    channel_order_from: str
    assumed: bool
    own_layers: list[str] = Field(description="Layers of the network that prepare pixels themselves.")


class OutputBody(BaseModel):
    layer: str | None = Field(description="The layer that tells classes.")
    rule: str | None = Field(description="How its values become probabilities; null where they do not.")
    from_: str = Field(alias="from", description="How the layer was found: declared, chosen, an end of the graph.")
    others: list[str] = Field(description="Other outputs that tell classes and can be chosen.")
    refusal: str | None = Field(description="Why these are no class probabilities.")


class MatchedClassesBody(BaseModel):
    count: int
    names: list[str] = Field(description="Of each output, in the network's order.")
    named_by: str | None = Field(description="the run's files, option, saved; null where nobody named them.")
    corpus_classes: list[int | None] = Field(description="The class of the corpus that each output stands for.")
    matched_by: str = Field(description="name, position or not matched")


class LeftOutBody(BaseModel):
    step: int
    name: str
    reason: str


class BasisAnswer(NoticedAnswer):
    run: str
    corpus: str | None
    input: InputBody
    preprocessing: PreparedBody
    output: OutputBody
    classes: MatchedClassesBody
    checkpoints_left_out: list[LeftOutBody]


class OutputsOrder(BaseModel):
    output: str | None = Field(None, description="The layer that tells classes; null: as the network declares it.")
    classes: list[str] = Field(
        default=[], description="A name for each class, in the network's order; empty: not settled."
    )
    corpus: str | None = Field(None, description="The corpus to answer for.")


OwnPage = Annotated[str | None, Header(description="1. Other sites cannot send it.")]


def settle(observatory: Observatory, run: str, order: OutputsOrder) -> Basis:
    """Keep what somebody said of a run's output and classes; the record afterwards. Raises :class:`BadRequest` where it does
    not fit the network; nothing is kept then."""
    workspace = observatory.workspace
    connected = workspace.opened_run(run)
    before = workspace.named_outputs.find(connected.path)
    classes = checked_names(order.classes)
    workspace.named_outputs.save(
        connected.path, NamedOutputs(order.output, classes) if order.output or classes else None
    )
    after = workspace.basis(run, order.corpus)
    problem = None
    if order.output and after.output.rule is None:
        problem = after.output.refusal
    elif classes and after.output.rule is not None and len(classes) != after.output.classes:
        problem = f"{len(classes)} class names were given, and the network has {after.output.classes} classes."
    if problem is not None:
        workspace.named_outputs.save(connected.path, before)
        raise BadRequest(problem)
    return after


def basis_router(observatory: Observatory) -> APIRouter:
    """Routes under /api/v1/runs/{run}. To be included before the error handlers are installed."""
    api = APIRouter(
        prefix=PREFIX + "/runs/{run}",
        tags=["runs"],
        responses=REFUSAL_ANSWERS,
        route_class=LinkedRoute,
        generate_unique_id_function=lambda route: route.name,
    )

    @api.get("/basis", response_model=BasisAnswer)
    def basis(request: Request, run: RunName, corpus: CorpusChoice = None) -> Response:
        """What predictions and statistics of the run over a corpus rest on: input, preprocessing with the source of each
        part, output, how its classes are matched with the corpus's, and what was assumed or left out."""
        return json_answer(request, observatory.workspace.basis(run, corpus).json())

    @api.put("/outputs", response_model=BasisAnswer)
    def settle_outputs(request: Request, run: RunName, order: OutputsOrder, x_mloscope: OwnPage = None) -> Response:
        """Say which layer tells the network's classes and what they are called. Kept for everybody who uses this server;
        with neither, what was said is forgotten."""
        if x_mloscope != "1":
            raise Forbidden("Outputs are named by this server's own pages, or with the header X-Mloscope: 1.")
        return json_answer(request, settle(observatory, run, order).json())

    return api
