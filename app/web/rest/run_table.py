"""The table of runs over HTTP, tags and groups of runs, and connecting another run from a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from mloscope.app.web.rest.addresses import OwnPage, RunName, require_own_page
from mloscope.app.web.rest.dependencies import TheServices, TheWorkspace
from mloscope.app.web.rest.resource import resource
from mloscope.app.workspace.run_labels import RunLabels
from mloscope.app.workspace.run_table import RunRow

router = resource("runs")


class MetricEndsBody(TypedDict):
    last: Annotated[float | None, Field(description="The last finite value; null where there is none.")]
    lowest: float | None
    highest: float | None


class RunRowBody(TypedDict):
    name: Annotated[str, Field(description="Stands in addresses.")]
    title: str
    path: str
    format: str | None
    state: Annotated[
        str,
        Field(description="live (its files still change), new (found in the last 24 hours), ready, opening or broken"),
    ]
    problem: Annotated[str | None, Field(description="Why it cannot be shown; null where it can.")]
    prepared: Annotated[bool, Field(description="False where what follows is still to be read: ask again.")]
    checkpoints: int
    broken_checkpoints: int
    first_step: Annotated[str | None, Field(description="As people write it.")]
    last_step: str | None
    changed: Annotated[float | None, Field(description="When a file of it last changed, in Unix time.")]
    tags: list[str]
    group: Annotated[str, Field(description='"" for none.')]
    settings: Annotated[
        dict[str, Any], Field(description="From hparams.yaml, args.json and the like, and options given to the server.")
    ]
    metrics: Annotated[dict[str, MetricEndsBody], Field(description="By the name of the curve.")]


@dataclass(frozen=True)
class RunTableAnswer:
    runs: list[RunRowBody]
    prepared: Annotated[bool, Field(description="Whether all are.")]


@router.get("/run-table")
def run_table(services: TheServices) -> RunTableAnswer:
    """Every run with what one searches, sorts and filters by. Quick: what is not prepared yet comes with the next answer."""
    rows = services.run_table.rows()
    return RunTableAnswer([row_body(row) for row in rows], all(row.is_prepared for row in rows))


def row_body(row: RunRow) -> RunRowBody:
    run, facts = row.run, row.facts
    return RunRowBody(
        name=run.name,
        title=run.shown_title,
        path=str(run.path),
        format=run.format,
        state=row.state,
        problem=row.problem,
        prepared=row.is_prepared,
        checkpoints=facts.checkpoints,
        broken_checkpoints=facts.broken,
        first_step=facts.first_step,
        last_step=facts.last_step,
        changed=run.activity.changed_s if run.activity is not None else None,
        tags=list(row.labels.tags),
        group=row.labels.group,
        settings=dict(facts.settings),
        metrics={name: MetricEndsBody(**vars(ends)) for name, ends in facts.metrics.items()},
    )


class LabelsOrder(BaseModel):
    tags: list[str] = Field(default=[], description="All tags of the run; empty: none.")
    group: str = Field("", description='The group it belongs to; "": none.')


@dataclass(frozen=True)
class LabelsAnswer:
    tags: list[str]
    group: str


@router.put("/runs/{run}/labels")
def label_run(workspace: TheWorkspace, run: RunName, order: LabelsOrder, x_mloscope: OwnPage = None) -> LabelsAnswer:
    """Replace the run's tags and group. Kept for everybody who uses this server."""
    require_own_page(x_mloscope, "Runs are labelled")
    labels = RunLabels.of(order.tags, order.group)
    workspace.labels.save(workspace.run(run).path, labels)
    return LabelsAnswer(list(labels.tags), labels.group)


class ConnectionOrder(BaseModel):
    path: str = Field(description="A folder of checkpoints, or a file, as the server sees it.", max_length=4096)
    name: str | None = Field(None, description="Its name; default: that of the folder or file.")


@dataclass(frozen=True)
class ConnectionAnswer:
    name: Annotated[str, Field(description="The run's name in addresses; it is there within a few seconds.")]
    was_connected: Annotated[bool, Field(description="Whether it was connected already.")]


@dataclass(frozen=True)
class ConnectingAnswer:
    folders: Annotated[list[str], Field(description="Where runs may be connected from by pages; empty: nowhere.")]
    command: Annotated[str, Field(description="The command that connects from a terminal.")]


@router.get("/connections")
def describe_connecting(services: TheServices) -> ConnectingAnswer:
    """From where runs may be connected through pages, and the command that does it from a terminal."""
    connecting = services.connecting
    return ConnectingAnswer([str(folder) for folder in connecting.folders], connecting.command)


@router.post("/connections")
def connect_run(services: TheServices, order: ConnectionOrder, x_mloscope: OwnPage = None) -> ConnectionAnswer:
    """Connect a run that lies in one of the folders allowed for this, as mloscope connect does."""
    require_own_page(x_mloscope, "Runs are connected")
    linked = services.connecting.connect(order.path, order.name)
    return ConnectionAnswer(linked.name, linked.was_there)
