"""What numbers rest on, over HTTP: the record of a run over a corpus, and what somebody says of its network's outputs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from mloscope.app.errors import BadRequest
from mloscope.app.evaluation.basis import Basis
from mloscope.app.evaluation.named_outputs import NamedOutputs, checked_names
from mloscope.app.web.rest.addresses import CorpusChoice, OwnPage, RunName, require_own_page
from mloscope.app.web.rest.dependencies import TheWorkspace
from mloscope.app.web.rest.resource import Notices, resource
from mloscope.app.workspace.workspace import Workspace

router = resource("runs", "/runs/{run}")


class InputBody(TypedDict):
    shape: Annotated[list[int | None] | None, Field(description="row, column, channel")]
    dtype: Annotated[str | None, Field(description="As the network declares it.")]
    range: Annotated[
        list[float] | None, Field(description="What pixels 0..255 become before they enter; null for a mean image.")
    ]
    fitted: Annotated[
        list[str], Field(description="How images are made to fit where they are of another size or other colours.")
    ]


class PreparedBody(TypedDict):
    scale: float
    scale_from: Annotated[
        str, Field(description='"option", "the run\'s files", a file, the network\'s own layers, or "assumed"')
    ]
    mean: list[float] | str | None
    mean_from: str
    channel_order: str
    channel_order_from: str
    assumed: bool
    own_layers: Annotated[list[str], Field(description="Layers of the network that prepare pixels themselves.")]


OutputBody = TypedDict(
    "OutputBody",
    {
        "layer": Annotated[str | None, Field(description="The layer that tells classes.")],
        "rule": Annotated[
            str | None, Field(description="How its values become probabilities; null where they do not.")
        ],
        "from": Annotated[str, Field(description="How the layer was found: declared, chosen, an end of the graph.")],
        "others": Annotated[list[str], Field(description="Other outputs that tell classes and can be chosen.")],
        "refusal": Annotated[str | None, Field(description="Why these are not class probabilities.")],
    },
)


class MatchedClassesBody(TypedDict):
    count: int
    names: Annotated[list[str], Field(description="Of each output, in the network's order.")]
    named_by: Annotated[str | None, Field(description="the run's files, option, saved; null where nobody named them.")]
    corpus_classes: Annotated[
        list[int | None], Field(description="The class of the corpus that each output stands for.")
    ]
    matched_by: Annotated[str, Field(description="name, position or not matched")]


class LeftOutBody(TypedDict):
    step: int
    name: str
    reason: str


class BasisAnswer(TypedDict):
    run: str
    corpus: str | None
    input: InputBody
    preprocessing: Annotated[
        PreparedBody,
        Field(description="What is done to pixels 0..255: pixels * scale - mean; and where each part comes from."),
    ]
    output: OutputBody
    classes: MatchedClassesBody
    checkpoints_left_out: list[LeftOutBody]
    notices: Notices


@router.get("/basis", response_model=BasisAnswer)
def basis(workspace: TheWorkspace, run: RunName, corpus: CorpusChoice = None) -> dict[str, Any]:
    """What predictions and statistics of the run over a corpus rest on: input, preprocessing with the source of each
    part, output, how its classes are matched with the corpus's, and what was assumed or left out."""
    return workspace.basis(run, corpus).json()


class OutputsOrder(BaseModel):
    output: str | None = Field(None, description="The layer that tells classes; null: as the network declares it.")
    classes: list[str] = Field(
        default=[], description="A name for each class, in the network's order; empty: not settled."
    )
    corpus: str | None = Field(None, description="The corpus to answer for.")


@router.put("/outputs", response_model=BasisAnswer)
def settle_outputs(
    workspace: TheWorkspace, run: RunName, order: OutputsOrder, x_mloscope: OwnPage = None
) -> dict[str, Any]:
    """Say which layer tells the network's classes and what they are called. Kept for everybody who uses this server;
    with neither, what was said is forgotten."""
    require_own_page(x_mloscope, "Outputs are named")
    return settle(workspace, run, order).json()


def settle(workspace: Workspace, run: str, order: OutputsOrder) -> Basis:
    """Keep what somebody said of a run's output and classes and return the record afterwards. Raise :class:`BadRequest`
    where it does not fit the network; nothing is kept then."""
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
