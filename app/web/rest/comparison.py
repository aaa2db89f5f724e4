"""Comparison over HTTP: what /compare follows by itself, and what it gives away as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query
from fastapi.responses import Response
from pydantic import Field
from typing_extensions import TypedDict

from mloscope.app.comparison import pairing
from mloscope.app.comparison.compared_runs import Shown, Side
from mloscope.app.evaluation.notices import Notice
from mloscope.app.statistics.export import no_formula
from mloscope.app.web.rest.addresses import CorpusChoice, RunName, SplitChoice, read_numbers
from mloscope.app.web.rest.answers import ZIP, file_answer
from mloscope.app.web.rest.dependencies import TheServices
from mloscope.app.web.rest.resource import Notices, resource
from mloscope.app.web.services import Services
from mloscope.app.web.subject import subject

router = resource("comparison", "/runs/{run}/comparison")

CSV = {"content": {"text/csv": {"schema": {"type": "string"}}}}

OtherRun = Annotated[str, Path(description="Name of the run on side B; it may be the same run.")]
StepOf = Annotated[int, Query(description="Step of the side's checkpoint.")]
LayerOf = Annotated[str, Query(description="Name of the side's layer.")]
ParameterOf = Annotated[str | None, Query(description="The side's array; default: the layer's first.")]
UnitsOf = Annotated[str, Query(description='The side\'s units, such as "0-15,40"; default: all.')]
CellClass = Annotated[int, Path(ge=0, description="Number of a class.")]

# -------------------------------------------------------------------------------------------------- questions


@dataclass(frozen=True)
class AskedRuns:
    """Two runs of the workspace, and the corpus whose images both are shown."""

    services: Services
    run: str
    other: str
    corpus: str | None
    """None: that of ``run``."""

    def notices(self) -> tuple[Notice, ...]:
        """Return what a reader of the numbers has to know of both runs, each once."""
        workspace = self.services.workspace
        shown = self.corpus or workspace.corpus_of(self.run)
        both = [notice for name in (self.run, self.other) for notice in workspace.basis(name, shown).notices]
        return tuple(dict.fromkeys(both))


async def asked_runs(services: TheServices, run: RunName, other: OtherRun, corpus: CorpusChoice = None) -> AskedRuns:
    return AskedRuns(services, run, other, corpus)


Asked = Annotated[AskedRuns, Depends(asked_runs)]


@dataclass(frozen=True)
class AskedSides:
    """A layer of each run, and what is compared of both."""

    a: Side
    b: Side
    shown: Shown

    def file_name(self, ending: str) -> str:
        return f"{self.a.run}-{self.a.step}-{self.b.run}-{self.b.step}-{self.a.layer}.{ending}"


async def asked_sides(
    asked: Asked,
    a_step: StepOf,
    b_step: StepOf,
    a_layer: LayerOf,
    b_layer: LayerOf = "",
    a_parameter: ParameterOf = None,
    b_parameter: ParameterOf = None,
    a_units: UnitsOf = "",
    b_units: UnitsOf = "",
    image: Annotated[str | None, Query(description="Id of an image: feature maps instead of parameters.")] = None,
) -> AskedSides:
    corpus = asked.corpus or asked.services.workspace.corpus_of(asked.run)
    units = [read_numbers(text, name) or None for text, name in ((a_units, "a_units"), (b_units, "b_units"))]
    return AskedSides(
        Side(asked.run, a_step, a_layer, a_parameter or None, units[0]),
        Side(asked.other, b_step, b_layer or a_layer, b_parameter or None, units[1]),
        Shown(image or None, corpus),
    )


Sides = Annotated[AskedSides, Depends(asked_sides)]

# ------------------------------------------------------------------------------------------------------ routes


class PairBody(TypedDict):
    a: Annotated[str | None, Field(description="A's layer; null where B's has no partner.")]
    b: str | None
    how: Annotated[str, Field(description="hand, name, kind and shape, kind, or none")]
    agrees: Annotated[bool, Field(description="Whether both have the same arrays and outputs of the same shape.")]


class AlignmentBody(TypedDict):
    indices: Annotated[list[int | None], Field(description="For each checkpoint of A the position of B's.")]
    problem: Annotated[str | None, Field(description="Why nothing can be aligned so; null where it can.")]


@dataclass(frozen=True)
class ComparisonAnswer:
    run: str
    other: str
    subject: Annotated[
        dict[str, Any],
        Field(description="B: its checkpoints, layers, class names, whether it can be evaluated."),
    ]
    pairs: list[PairBody]
    alignments: Annotated[dict[str, AlignmentBody], Field(description="By step, epoch, share, accuracy.")]
    alignment: Annotated[str, Field(description="Which of the alignments suits both runs best.")]
    accuracies: Annotated[
        dict[str, list[float | None]],
        Field(description="0..1 of a and of b by position of the checkpoint; null where it is not known."),
    ]
    problems: list[str]
    notices: Notices


@router.get("/{other}")
def compare_runs(
    asked: Asked,
    split: Annotated[str | None, Query(description="Whose statistics tell accuracy.")] = None,
    pairs: Annotated[str, Query(description='Layers paired by hand: "conv1:conv1a,conv2:".')] = "",
) -> ComparisonAnswer:
    """Which layers and which checkpoints of two runs belong together."""
    services = asked.services
    found = services.comparison.overview(asked.run, asked.other, asked.corpus, split, pairs)
    shown = asked.corpus or services.workspace.corpus_of(asked.run)
    described = {**subject(services.workspace, services.evaluations, asked.other, shown), "problems": []}
    return ComparisonAnswer(**found, subject=described, notices=asked.notices())


class UnitChangeBody(TypedDict):
    unit: int
    norm_a: float | None
    norm_b: float | None
    ratio: float | None
    variance_a: float | None
    variance_b: float | None
    change: Annotated[float | None, Field(description="‖A − B‖ / ‖B‖; null where it is not a finite number.")]
    cosine: float | None


class CorrelationBody(TypedDict):
    pearson: float | None
    rank: Annotated[float | None, Field(description="Spearman's.")]
    chance: Annotated[
        float | None, Field(description="Share of shuffles with a rank correlation at least as far from 0.")
    ]
    count: int


@dataclass(frozen=True)
class ChangesAnswer:
    units: list[UnitChangeBody]
    correlations: Annotated[dict[str, CorrelationBody], Field(description="Of norm and of variance, A with B.")]
    notices: Notices


@router.get("/{other}/units", response_model=ChangesAnswer, responses={200: CSV})
def compare_units(
    asked: Asked,
    sides: Sides,
    format: Annotated[
        Literal["json", "csv"], Query(description="As a table of numbers, or with correlations.")
    ] = "json",
) -> ChangesAnswer | Response:
    """How each unit of a layer differs between A and B: norms, variances, ratio, relative change, cosine."""
    changes = asked.services.comparison.changes(sides.a, sides.b, sides.shown)
    rows = pairing.unit_rows(changes, sides.a.units)
    if format == "csv":
        return _csv_file(pairing.UNIT_COLUMNS, rows, sides.file_name("csv"))
    correlations = {name: asdict(pairing.correlate(*changes.measure(name))) for name in pairing.MEASURES}
    units = [dict(zip(pairing.UNIT_COLUMNS, row, strict=True)) for row in rows]
    return ChangesAnswer(units, correlations, asked.notices())


@router.get("/{other}/arrays.npz", response_class=Response, responses={200: ZIP})
def compared_arrays(asked: Asked, sides: Sides) -> Response:
    """The compared arrays, exactly: ``a``, ``b`` (unit, channel, row, column), ``difference`` where shapes agree, and
    ``about``, JSON text that says what they are."""
    arrays = asked.services.comparison.arrays_npz(sides.a, sides.b, sides.shown)
    return file_answer(arrays, "application/zip", sides.file_name("npz"))


class MovedImages(TypedDict):
    total: int
    images: Annotated[
        list[dict[str, Any]],
        Field(description="As in a cell of one matrix; and what the other side took them for."),
    ]


@dataclass(frozen=True)
class MovedAnswer:
    into: Annotated[MovedImages, Field(description="In the cell at A, not at B.")]
    out_of: Annotated[MovedImages, Field(description="In the cell at B, not at A.")]
    notices: Notices


@router.get("/{other}/confusion/{actual}/{predicted}")
def moved_images(
    asked: Asked,
    actual: CellClass,
    predicted: CellClass,
    a_step: StepOf,
    b_step: StepOf,
    split: SplitChoice = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Images of each kind at most.")] = 60,
) -> MovedAnswer:
    """Images that are in a cell of the confusion matrix on one side only."""
    moments, cell = ((asked.run, a_step), (asked.other, b_step)), (actual, predicted)
    found = asked.services.comparison.moved(*moments, cell, asked.corpus, split or None, limit)
    return MovedAnswer(**found, notices=asked.notices())


@router.get("/{other}/confusion", response_class=Response, responses={200: CSV})
def compared_confusion(asked: Asked, a_step: StepOf, b_step: StepOf, split: SplitChoice = None) -> Response:
    """Both confusion matrices and their difference as CSV: a line for each cell that is not empty on both sides."""
    moments = (asked.run, a_step), (asked.other, b_step)
    names, rows = asked.services.comparison.confusion_rows(*moments, asked.corpus, split or None)
    named = [(*row, *(names[i] if i < len(names) else "not predicted" for i in row[:2])) for row in rows]
    columns = ("actual", "predicted", "a", "b", "difference", "actual_name", "predicted_name")
    return _csv_file(columns, named, f"{asked.run}-{a_step}-{asked.other}-{b_step}-confusion.csv")


# ------------------------------------------------------------------------------------------------------- files


def _csv_file(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], name: str) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(no_formula, columns))
    writer.writerows(map(no_formula, row) for row in rows)
    return file_answer(text.getvalue().encode(), "text/csv; charset=utf-8", name)
