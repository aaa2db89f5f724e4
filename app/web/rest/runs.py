"""Runs over HTTP: what is connected, a run's checkpoints, network, curves and the network's picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response
from pydantic import Field
from typing_extensions import TypedDict

from mloscope.app.errors import MloscopeError
from mloscope.app.runs.training_curves import curve_json
from mloscope.app.web.rest.addresses import CorpusChoice, RunName
from mloscope.app.web.rest.answers import SVG, answer
from mloscope.app.web.rest.dependencies import TheServices, TheWorkspace
from mloscope.app.web.rest.resource import resource
from mloscope.app.web.subject import checkpoint_json, layer_json, preprocessing_json
from mloscope.app.workspace.workspace import Workspace
from mloscope.components.figures.training_chart import curve_behind_timeline

router = resource("runs", "/runs")


@dataclass(frozen=True)
class RunSummary:
    name: Annotated[str, Field(description="Stands in addresses, and means this run for ever.")]
    title: Annotated[str, Field(description="What people call it: the name of its folder, in whatever script.")]
    format: str | None
    path: str
    checkpoints: int
    version: Annotated[
        str, Field(description="Changes whenever a file of the run, or what its outputs are called, changes.")
    ]
    problem: Annotated[str | None, Field(description="Why it could not be opened; null where it could.")]


@dataclass(frozen=True)
class RunsAnswer:
    runs: list[RunSummary]


@router.get("")
def list_runs(workspace: TheWorkspace) -> RunsAnswer:
    """All connected runs, those that could not be opened included."""
    runs = workspace.runs
    workspace.disks.answering([run.path for run in runs])  # all at once costs a tenth of one after the other
    return RunsAnswer([_summary(workspace, run.name) for run in runs])


def _summary(workspace: Workspace, name: str) -> RunSummary:
    run = workspace.run(name)
    count, problem = 0, run.problem
    if run.adaptor is not None:
        try:
            count = len(workspace.opened_run(name).checkpoints)
        except MloscopeError as error:
            problem = str(error)
    version = workspace.version(name)
    return RunSummary(run.name, run.shown_title, run.format, str(run.path), count, version, problem)


class PreprocessingBody(TypedDict):
    scale: float
    mean: Annotated[list[float] | str | None, Field(description='Numbers per channel, a file, "corpus", or null.')]
    channel_order: str
    assumed: Annotated[bool, Field(description="True where a part of it is a guess; /basis says which.")]


@dataclass(frozen=True)
class EvaluationBody:
    possible: bool
    state: Annotated[str, Field(description="ready, starting, restarting, stopped, not installed or impossible")]
    message: str | None
    passing: Annotated[bool, Field(description="True where retrying later may succeed.")]


@dataclass(frozen=True)
class RunAnswer:
    name: Annotated[str, Field(description="Stands in addresses, and means this run for ever.")]
    title: Annotated[str, Field(description="What people call it: the name of its folder, in whatever script.")]
    format: str | None
    path: str
    input_shape: Annotated[list[int | None] | None, Field(description="row, column, channel")]
    class_names: Sequence[str]
    corpus: Annotated[str | None, Field(description="The corpus that is shown with it.")]
    preprocessing: Annotated[
        PreprocessingBody, Field(description="What is done to pixels 0..255: pixels * scale - mean.")
    ]
    problem: str | None
    problems: Annotated[Sequence[str], Field(description="Sentences about files that were found and not used.")]
    evaluation: EvaluationBody | None


@router.get("/{run}")
def describe_run(services: TheServices, run: RunName) -> RunAnswer:
    """One run: what its network takes, and whether it can be evaluated just now."""
    workspace = services.workspace
    connected = workspace.run(run)
    adaptor = connected.adaptor
    evaluation = None
    if adaptor is not None:
        evaluation = EvaluationBody(**services.evaluations.availability(workspace.opened_run(run)).json())
    return RunAnswer(
        name=connected.name,
        title=connected.shown_title,
        format=connected.format,
        path=str(connected.path),
        input_shape=adaptor.input_shape if adaptor is not None else None,
        class_names=workspace.class_names(run) if adaptor is not None else (),
        corpus=workspace.corpus_of(run),
        preprocessing=preprocessing_json(connected.preprocessing),
        problem=connected.problem,
        problems=adaptor.problems() if adaptor is not None else (),
        evaluation=evaluation,
    )


class CheckpointBody(TypedDict):
    step: Annotated[int, Field(description="Position on the run's time axis; checkpoints are sorted by it.")]
    label: Annotated[str, Field(description="The step as people write it.")]
    name: Annotated[str, Field(description="File name within the run.")]
    epoch: float | None
    problem: Annotated[str | None, Field(description="Why it cannot be read; null where nothing is wrong.")]


@dataclass(frozen=True)
class CheckpointsAnswer:
    checkpoints: list[CheckpointBody]


@router.get("/{run}/checkpoints")
def list_checkpoints(workspace: TheWorkspace, run: RunName) -> CheckpointsAnswer:
    """Every checkpoint in the order of time, broken ones with their problem."""
    return CheckpointsAnswer([checkpoint_json(checkpoint) for checkpoint in workspace.opened_run(run).checkpoints])


class ParameterBody(TypedDict):
    name: str
    shape: list[int]
    axes: Annotated[
        list[str], Field(description="row, column, channel (what comes in), unit (what goes out), multiplier")
    ]


class LayerBody(TypedDict):
    name: str
    kind: str
    inputs: list[str]
    output_shape: Annotated[list[int | None] | None, Field(description="Without the batch axis, channels last.")]
    parameters: list[ParameterBody]
    parameter_count: int
    hyperparameters: dict[str, Any]
    source_class: str
    problem: str | None


@dataclass(frozen=True)
class LayersAnswer:
    layers: Annotated[list[LayerBody], Field(description="In topological order.")]


@router.get("/{run}/layers")
def list_layers(workspace: TheWorkspace, run: RunName) -> LayersAnswer:
    """The network: every layer with its inputs, shapes and hyperparameters."""
    return LayersAnswer([layer_json(layer) for layer in workspace.opened_run(run).layers])


class CurveBody(TypedDict):
    name: Annotated[
        str, Field(description="Such as training loss; training, validation or test come first where they are known.")
    ]
    axis: Annotated[str, Field(description="What x counts: step, or epoch (epochs done).")]
    x: list[float]
    y: Annotated[list[float | None], Field(description="As recorded; null for what is not finite.")]
    converted: Annotated[
        list[float] | None, Field(description="x on the other axis, where the checkpoints tell it; else null.")
    ]
    source: Annotated[
        str, Field(description="The file, relative to the run's folder; checkpoints where they hold it themselves.")
    ]


@dataclass(frozen=True)
class MetricsAnswer:
    curves: list[CurveBody]
    problems: Annotated[
        Sequence[str], Field(description="Sentences about logs that could not be read, and about what was assumed.")
    ]


@router.get("/{run}/metrics")
def list_metrics(services: TheServices, run: RunName) -> MetricsAnswer:
    """How training went: curves in the checkpoints themselves, and in CSV and TensorBoard files beside them."""
    found = services.training_curves.of(services.workspace.opened_run(run))
    return MetricsAnswer([curve_json(curve) for curve in found.curves], found.problems)


@dataclass(frozen=True)
class TrainingCurveAnswer:
    name: Annotated[str | None, Field(description="As in /metrics; null where neither loss nor accuracy is known.")]
    source: Annotated[str | None, Field(description="As in /metrics; statistics where they know it.")]
    steps: Annotated[list[float], Field(description="Between the first and the last checkpoint, ascending.")]
    values: Annotated[list[float | None], Field(description="By step; null for what is not finite.")]


@router.get("/{run}/training-curve")
def show_training_curve(services: TheServices, run: RunName, corpus: CorpusChoice = None) -> TrainingCurveAnswer:
    """The curve behind the timeline, thinned to what can be seen there: a loss, else an accuracy, as recorded or from the
    statistics over the corpus."""
    steps = services.workspace.opened_run(run).steps
    curve = curve_behind_timeline(services.comparison.curves([run], corpus)[run], steps)
    if curve is None:
        return TrainingCurveAnswer(None, None, [], [])
    return TrainingCurveAnswer(curve.name, curve.source, curve.x.tolist(), curve.y.tolist())


@router.get("/{run}/graph.svg", response_class=Response, responses={200: SVG})
def draw_graph(
    workspace: TheWorkspace,
    run: RunName,
    expanded: Annotated[str, Query(description="Ids of blocks that stand open, with commas between.")] = "",
    selected: Annotated[str | None, Query(description="Name of the layer to mark.")] = None,
) -> Response:
    """The network as a picture."""
    from mloscope.components import network_graph

    blocks = frozenset(filter(None, expanded.split(",")))
    picture = network_graph.svg(workspace.opened_run(run).layers, selected=selected or None, expanded=blocks)
    return answer(picture.encode(), "image/svg+xml")
