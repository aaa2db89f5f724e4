"""The REST API's part for comparing: what /compare follows by itself, and what it gives away as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from mloscope.app.comparison import pairing
from mloscope.app.comparison.compared_runs import ComparedRuns, Shown, Side
from mloscope.app.errors import BadRequest
from mloscope.app.observatory import Observatory
from mloscope.app.process.plain_json import plain
from mloscope.app.runs.unit_selection import parse_units
from mloscope.app.statistics.export import no_formula
from mloscope.app.web.rest.basis_link import LinkedRoute, NoticedAnswer
from mloscope.app.web.rest.rest import ASK_AGAIN, REFUSAL_ANSWERS, CorpusChoice, RunName


class PairBody(BaseModel):
    a: str | None = Field(description="A's layer; null where B's has no partner.")
    b: str | None
    how: str = Field(description="hand, name, kind and shape, kind, or none")
    agrees: bool = Field(description="Whether both have the same arrays and outputs of the same shape.")


class AlignmentBody(BaseModel):
    indices: list[int | None] = Field(description="For each checkpoint of A the position of B's.")
    problem: str | None = Field(description="Why nothing can be aligned so; null where it can.")


class ComparisonAnswer(NoticedAnswer):
    run: str
    other: str
    subject: dict[str, Any] = Field(description="B: its checkpoints, layers, class names, whether it can be evaluated.")
    pairs: list[PairBody]
    alignments: dict[str, AlignmentBody] = Field(description="By step, epoch, share, accuracy.")
    problems: list[str]


class UnitChangeBody(BaseModel):
    unit: int
    norm_a: float | None
    norm_b: float | None
    ratio: float | None
    variance_a: float | None
    variance_b: float | None
    change: float | None = Field(description="‖A − B‖ / ‖B‖; null for what is no finite number.")
    cosine: float | None


class CorrelationBody(BaseModel):
    pearson: float | None
    rank: float | None = Field(description="Spearman's.")
    chance: float | None = Field(description="Share of shuffles with a rank correlation at least as far from 0.")
    count: int


class MovedImages(BaseModel):
    total: int
    images: list[dict[str, Any]] = Field(
        description="As in a cell of one matrix; and what the other side took them for."
    )


class MovedAnswer(NoticedAnswer):
    into: MovedImages = Field(description="In the cell at A, not at B.")
    out_of: MovedImages = Field(description="In the cell at B, not at A.")


class ChangesAnswer(NoticedAnswer):
    units: list[UnitChangeBody]
    correlations: dict[str, CorrelationBody] = Field(description="Of norm and of variance, A with B.")


OtherRun = Annotated[str, Path(description="Name of the run on side B; it may be the same run.")]
StepOf = Annotated[int, Query(description="Step of the side's checkpoint.")]
LayerOf = Annotated[str, Query(description="Name of the side's layer.")]
ParameterOf = Annotated[str | None, Query(description="The side's array; default: the layer's first.")]
UnitsOf = Annotated[str, Query(description='The side\'s units, such as "0-15,40"; default: all.')]
SplitOf = Annotated[str | None, Query(description="Default: test where there is one, else the last.")]
CellClass = Annotated[int, Path(ge=0, description="Number of a class.")]
ImageOf = Annotated[str | None, Query(description="Id of an image: feature maps instead of parameters.")]


def comparison_router(observatory: Observatory) -> APIRouter:
    """Routes under /api/v1/runs/{run}/comparison. To be included before the error handlers are installed."""
    api = APIRouter(
        prefix="/api/v1/runs/{run}/comparison",
        tags=["comparison"],
        responses=REFUSAL_ANSWERS,
        route_class=LinkedRoute,
        generate_unique_id_function=lambda route: route.name,
    )
    compared = ComparedRuns(observatory)

    def sides(
        run: str, other: str, a_step: int, b_step: int, a_layer: str, b_layer: str, a_parameter: str | None,
        b_parameter: str | None, a_units: str, b_units: str, image: str | None, corpus: str | None,
    ) -> tuple[Side, Side, Shown]:  # fmt: skip
        corpus = corpus or observatory.workspace.corpus_of(run)
        return (
            Side(run, a_step, a_layer, a_parameter or None, _units(a_units, "a_units")),
            Side(other, b_step, b_layer or a_layer, b_parameter or None, _units(b_units, "b_units")),
            Shown(image or None, corpus),
        )

    def noticed(run: str, other: str, corpus: str | None, content: Mapping[str, Any]) -> Response:
        """The answer, and what a reader of its numbers has to know of both runs."""
        shown = corpus or observatory.workspace.corpus_of(run)
        both = [notice for name in (run, other) for notice in observatory.workspace.basis(name, shown).notices_json()]
        return _json({**content, "notices": [each for i, each in enumerate(both) if each not in both[:i]]})

    @api.get("/{other}", response_model=ComparisonAnswer)
    def compare_runs(
        run: RunName,
        other: OtherRun,
        corpus: CorpusChoice = None,
        split: Annotated[str | None, Query(description="Whose statistics tell accuracy.")] = None,
        pairs: Annotated[str, Query(description='Layers paired by hand: "conv1:conv1a,conv2:".')] = "",
    ) -> Response:
        """Which layers and which checkpoints of two runs belong together."""
        return noticed(run, other, corpus, compared.overview(run, other, corpus, split, pairs))

    @api.get(
        "/{other}/units",
        response_model=ChangesAnswer,
        responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    )
    def compare_units(
        run: RunName, other: OtherRun, a_step: StepOf, b_step: StepOf, a_layer: LayerOf, b_layer: LayerOf = "",
        a_parameter: ParameterOf = None, b_parameter: ParameterOf = None, a_units: UnitsOf = "", b_units: UnitsOf = "",
        image: ImageOf = None, corpus: CorpusChoice = None,
        format: Annotated[Literal["json", "csv"], Query(description="As a table of numbers, or with correlations.")] = "json",
    ) -> Response:  # fmt: skip
        """How each unit of a layer differs between A and B: norms, variances, ratio, relative change, cosine."""
        a, b, shown = sides(
            run, other, a_step, b_step, a_layer, b_layer, a_parameter, b_parameter, a_units, b_units, image, corpus
        )
        changes = compared.changes(a, b, shown)
        rows = pairing.unit_rows(changes, a.units)
        if format == "csv":
            name = f"{run}-{a_step}-{other}-{b_step}-{a_layer}.csv"
            return _file(_csv(pairing.UNIT_COLUMNS, rows), "text/csv; charset=utf-8", name)
        correlations = {name: asdict(pairing.correlate(*changes.measure(name))) for name in pairing.MEASURES}
        units = [dict(zip(pairing.UNIT_COLUMNS, row, strict=True)) for row in rows]
        return noticed(run, other, shown.corpus, {"units": units, "correlations": correlations})

    @api.get(
        "/{other}/arrays.npz",
        response_class=Response,
        responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
    )
    def compared_arrays(
        run: RunName, other: OtherRun, a_step: StepOf, b_step: StepOf, a_layer: LayerOf, b_layer: LayerOf = "",
        a_parameter: ParameterOf = None, b_parameter: ParameterOf = None, a_units: UnitsOf = "", b_units: UnitsOf = "",
        image: ImageOf = None, corpus: CorpusChoice = None,
    ) -> Response:  # fmt: skip
        """The compared arrays, exactly: ``a``, ``b`` (unit, channel, row, column), ``difference`` where shapes agree, and
        ``about``, JSON text that says what they are."""
        a, b, shown = sides(
            run, other, a_step, b_step, a_layer, b_layer, a_parameter, b_parameter, a_units, b_units, image, corpus
        )
        name = f"{run}-{a_step}-{other}-{b_step}-{a_layer}.npz"
        return _file(compared.arrays_npz(a, b, shown), "application/zip", name)

    @api.get("/{other}/confusion/{actual}/{predicted}", response_model=MovedAnswer)
    def moved_images(
        run: RunName, other: OtherRun, actual: CellClass, predicted: CellClass,
        a_step: StepOf, b_step: StepOf, corpus: CorpusChoice = None, split: SplitOf = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Images of each kind at most.")] = 60,
    ) -> Response:  # fmt: skip
        """Images that are in a cell of the confusion matrix on one side only."""
        cell = (actual, predicted)
        found = compared.moved((run, a_step), (other, b_step), cell, corpus, split or None, limit)
        return noticed(run, other, corpus, found)

    @api.get("/{other}/confusion", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
    def compared_confusion(
        run: RunName,
        other: OtherRun,
        a_step: StepOf,
        b_step: StepOf,
        corpus: CorpusChoice = None,
        split: SplitOf = None,
    ) -> Response:
        """Both confusion matrices and their difference as CSV: a line for each cell that is not empty on both sides."""
        names, rows = compared.confusion_rows((run, a_step), (other, b_step), corpus, split or None)
        named = [(*row, *(names[i] if i < len(names) else "not predicted" for i in row[:2])) for row in rows]
        columns = ("actual", "predicted", "a", "b", "difference", "actual_name", "predicted_name")
        return _file(_csv(columns, named), "text/csv; charset=utf-8", f"{run}-{a_step}-{other}-{b_step}-confusion.csv")

    return api


def _units(text: str, what: str) -> tuple[int, ...] | None:
    try:
        return parse_units(text) or None
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from None


def _json(value: Any) -> Response:
    body = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, media_type="application/json", headers={"Cache-Control": ASK_AGAIN})


def _csv(columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(no_formula, columns))
    writer.writerows(map(no_formula, row) for row in rows)
    return text.getvalue().encode()


def _file(body: bytes, media_type: str, name: str) -> Response:
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "-" for letter in name)
    headers = {"Cache-Control": ASK_AGAIN, "Content-Disposition": f'attachment; filename="{safe}"'}
    return Response(body, media_type=media_type, headers=headers)
