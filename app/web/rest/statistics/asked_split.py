"""What all routes of statistics ask about: a run over one split of one corpus; and the forms of their answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import Depends, Path, Query
from fastapi.responses import Response
from pydantic import Field

from mloscope.app.errors import BadRequest
from mloscope.app.evaluation.notices import Notice
from mloscope.app.statistics import export
from mloscope.app.statistics.chunks import Chunks
from mloscope.app.statistics.queries import Statistics
from mloscope.app.statistics.run_statistics import RunStatistics
from mloscope.app.web.rest.addresses import CorpusChoice, RunName, SplitChoice
from mloscope.app.web.rest.answers import NPY, answer
from mloscope.app.web.rest.dependencies import TheStatistics
from mloscope.app.web.rest.resource import PREFIX

RUN_PATH = "/runs/{run}"
STEP_PATH = "/checkpoints/{step}"

Format = Annotated[Literal["json", "csv", "parquet"], Query(description="json, or a file of the table.")]
Steps = Annotated[str, Query(description="Steps with commas between, as the overview has them.")]
Digest = Annotated[str, Query(pattern="^[0-9a-f]{1,64}$", description="From the overview.")]
Class = Annotated[int, Path(description="Number of a class.")]

_TABLES = {"text/csv": {"schema": {"type": "string"}}, export.FORMATS["parquet"]: {"schema": {"type": "string"}}}
TABLE: dict[int | str, dict[str, Any]] = {200: {"content": _TABLES}}
"""A route's ``responses`` where its answer can also be a table."""
COLUMNS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}, **_TABLES}}
}
BYTES: dict[int | str, dict[str, Any]] = {200: NPY}


@dataclass(frozen=True)
class Chunk:
    """Where the content of some steps can be had, under an address that holds its digest."""

    steps: list[int]
    address: str


@dataclass(frozen=True)
class DescribedImage:
    id: str
    name: str
    position: Annotated[int, Field(description="Within the split.")]
    label: int | None
    class_name: str | None
    probability: Annotated[float | None, Field(description="Of what is predicted, 0..1.")]
    predicted: int | None
    predicted_name: str | None
    true_probability: float | None


@dataclass(frozen=True)
class AskedSplit:
    """The run, corpus and split that an address names."""

    statistics: Statistics
    run: str
    corpus: str | None
    split: str | None

    @cached_property
    def of(self) -> RunStatistics:
        """The statistics of that run over that split, the names filled in and checked."""
        return self.statistics.of(self.run, self.corpus, self.split)

    def notices(self) -> tuple[Notice, ...]:
        """Return what a reader of the numbers has to know."""
        return self.statistics.workspace.basis(self.run, self.corpus).notices

    def table(self, rows: export.Table, format: str, *words: object) -> Response:
        """Return the table as a file named after run, corpus, split and ``words``."""
        name = "-".join(str(word) for word in (self.of.run, self.of.corpus, self.of.split, *words))
        disposition = f"attachment; filename*=UTF-8''{quote(f'{name}.{format}')}"
        return answer(export.encode(rows, format), export.FORMATS[format], **{"Content-Disposition": disposition})


async def asked_split(
    statistics: TheStatistics, run: RunName, corpus: CorpusChoice = None, split: SplitChoice = None
) -> AskedSplit:
    return AskedSplit(statistics, run, corpus, split)


Asked = Annotated[AskedSplit, Depends(asked_split)]


def chunks_of(of: RunStatistics, what: str, cut: Chunks, **more: str) -> list[Chunk]:
    """Return the addresses of chunks: of ``what`` (the last word of the route), for the steps and digests of ``cut``;
    ``more`` of the query."""
    chunks = []
    for steps, digest in cut:
        query = {"corpus": of.corpus, "split": of.split, "steps": ",".join(map(str, steps)), "digest": digest, **more}
        address = f"{PREFIX}/runs/{quote(of.run)}/statistics/{what}?{urlencode(query, safe=',')}"
        chunks.append(Chunk(steps, address))
    return chunks


def read_steps(text: str) -> list[int]:
    """Return the steps of a chunk, each named once: a thousand times the same would be read a thousand times."""
    try:
        steps = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise BadRequest(f"steps = {text}: it must be whole numbers with commas between, such as 0,100.") from None
    if len(set(steps)) < len(steps):
        raise BadRequest("steps: each step is named once.")
    return steps
