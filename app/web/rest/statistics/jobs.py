"""The job that computes the statistics of a run: how far it is, and start, pause, resume, cancel, reorder."""

from __future__ import annotations

from typing import Annotated, Literal, Required

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from mloscope.app.statistics.clusters.map_kinds import MAP_KINDS
from mloscope.app.web.rest.addresses import OwnPage, RunName, require_own_page
from mloscope.app.web.rest.dependencies import TheStatistics
from mloscope.app.web.rest.resource import resource
from mloscope.app.web.rest.statistics.asked_split import RUN_PATH, Asked

ASKED_FOR = tuple(kind.name for kind in MAP_KINDS.values() if kind.is_asked_for)

router = resource("statistics", RUN_PATH)


class JobAnswer(TypedDict, total=False):
    """How far a computation is; what is not known may be missing."""

    state: Required[Annotated[str, Field(description="none, starting, running, paused, done, failed or cancelled")]]
    done: Annotated[float | None, Field(description="Images, each counted once per checkpoint.")]
    of: float | None
    rate: Annotated[float | None, Field(description="Images per second.")]
    seconds_left: float | None
    step: Annotated[int | None, Field(description="The checkpoint in hand.")]
    message: str | None
    notices: Annotated[list[str], Field(description="Sentences about checkpoints.")]


class JobOrder(BaseModel):
    action: Literal["start", "pause", "resume", "cancel", "reorder"]
    corpus: str | None = None
    split: str | None = None
    maps: Annotated[
        list[Literal[ASKED_FOR]],  # type: ignore[valid-type]
        Field(default_factory=list, max_length=len(ASKED_FOR), description="Maps of images to compute besides."),
    ]
    patches: Annotated[bool, Field(description="Find the top patches of units besides.")] = False
    step: Annotated[
        int | None,
        Field(ge=0, description="The checkpoint to begin with, or (reorder) to go on with; its neighbours follow."),
    ] = None


@router.get("/statistics/job")
def job(asked: Asked) -> JobAnswer:
    """How far the computation of the statistics is."""
    return asked.of.job()


@router.post("/statistics/job")
def order_job(statistics: TheStatistics, run: RunName, order: JobOrder, x_mloscope: OwnPage = None) -> JobAnswer:
    """Start, pause, resume, cancel or reorder the computation of the statistics."""
    require_own_page(x_mloscope, "A computation is started")
    return statistics.of(run, order.corpus, order.split).act(order.action, order.maps, order.step, order.patches)
