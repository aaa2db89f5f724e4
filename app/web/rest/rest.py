"""The REST API under /api/v1. Each handler finds its words in the address and asks the observatory one
question.

Errors are always ``{"error": {"kind", "message"}}`` with the status of :mod:`mloscope.app.errors`. What lies
under an address that holds its content's digest is immutable; everything else carries an ETag and is asked
for anew each time.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

import anyio
import anyio.to_thread
import numpy as np
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from mloscope.adaptors.interface import AdaptorError
from mloscope.app.errors import (
    BadRequest,
    Conflict,
    MloscopeError,
    NotFound,
    NotPossible,
    from_adaptor,
)
from mloscope.app.films import encoding
from mloscope.app.images import pictures
from mloscope.app.observatory import (
    FilmQuestion,
    Observatory,
    checkpoint_json,
    layer_json,
    preprocessing_json,
)
from mloscope.app.process.plain_json import plain
from mloscope.app.runs.training_curves import curve_json
from mloscope.app.runs.unit_selection import parse_units
from mloscope.app.web.rest.basis_link import LinkedRoute, NoticedAnswer

logger = logging.getLogger(__name__)

IMMUTABLE = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
MOST_IMAGES = 1000

# -------------------------------------------------------------------------------------- what answers hold


class RunSummary(BaseModel):
    name: str = Field(description="Stands in addresses, and means this run for ever.")
    title: str = Field(description="What people call it: the name of its folder, in whatever script.")
    format: str | None
    path: str
    checkpoints: int
    version: str = Field(
        description="Another one whenever a file of the run, or what its outputs are called, is another one."
    )
    problem: str | None = Field(description="Why it could not be opened; null where it could.")


class RunsAnswer(BaseModel):
    runs: list[RunSummary]


class PreprocessingBody(BaseModel):
    """What is done to pixels 0..255: ``pixels * scale - mean``."""

    scale: float
    mean: list[float] | str | None = Field(description='Numbers a channel, a file, "corpus", or null.')
    channel_order: str
    assumed: bool = Field(description="True where a part of it is a guess; /basis says which.")


class EvaluationBody(BaseModel):
    possible: bool
    state: str = Field(description="ready, starting, restarting, stopped, not installed or impossible")
    message: str | None
    passing: bool = Field(description="True where waiting helps.")


class RunAnswer(BaseModel):
    name: str = Field(description="Stands in addresses, and means this run for ever.")
    title: str = Field(description="What people call it: the name of its folder, in whatever script.")
    format: str | None
    path: str
    input_shape: list[int | None] | None = Field(description="row, column, channel")
    class_names: list[str]
    corpus: str | None = Field(description="The corpus that is shown with it.")
    preprocessing: PreprocessingBody
    problem: str | None
    problems: list[str] = Field(description="Sentences about files that were found and not used.")
    evaluation: EvaluationBody | None


class CheckpointBody(BaseModel):
    step: int = Field(description="Position on the run's time axis; checkpoints are sorted by it.")
    label: str = Field(description="The step as people write it.")
    name: str = Field(description="File name within the run.")
    epoch: float | None
    problem: str | None = Field(description="Why it cannot be read; null where nothing is wrong.")


class CheckpointsAnswer(BaseModel):
    checkpoints: list[CheckpointBody]


class ParameterBody(BaseModel):
    name: str
    shape: list[int]
    axes: list[str] = Field(description="row, column, channel (what comes in), unit (what goes out), multiplier")


class LayerBody(BaseModel):
    name: str
    kind: str
    inputs: list[str]
    output_shape: list[int | None] | None = Field(description="Without the batch axis, channels last.")
    parameters: list[ParameterBody]
    parameter_count: int
    hyperparameters: dict[str, Any]
    source_class: str
    problem: str | None


class LayersAnswer(BaseModel):
    layers: list[LayerBody] = Field(description="In topological order.")


class CurveBody(BaseModel):
    name: str = Field(
        description="Such as training loss; training, validation or test come first where they are known."
    )
    axis: str = Field(description="What x counts: step, or epoch (epochs done).")
    x: list[float]
    y: list[float | None] = Field(description="As recorded; null for what is not finite.")
    converted: list[float] | None = Field(description="x on the other axis, where the checkpoints tell it; else null.")
    source: str = Field(
        description="The file, relative to the run's folder; checkpoints where they hold it themselves."
    )


class MetricsAnswer(BaseModel):
    curves: list[CurveBody]
    problems: list[str] = Field(description="Sentences about logs that could not be read, and about what was assumed.")


class PredictionAnswer(NoticedAnswer):
    step: int
    image: str
    class_names: list[str]
    probabilities: list[float | None] = Field(description="One a class, 0..1; null where the network gives NaN.")
    kind: str = Field(description="How the output's values became probabilities, as /basis has it.")


class MissingStep(BaseModel):
    step: int
    reason: str


class PredictionsAnswer(NoticedAnswer):
    image: str
    class_names: list[str]
    steps: list[int]
    probabilities: list[list[float | None]] = Field(description="(step, class), 0..1")
    missing: list[MissingStep]
    kind: str


class UnitsAnswer(BaseModel):
    units: list[int] = Field(description="Best first.")
    values: list[float | None] = Field(description="What the rule measured, by unit; null for NaN.")
    rule: str
    unit_total: int


class CorpusSummary(BaseModel):
    name: str
    title: str = Field(description="What people call it.")
    format: str | None
    path: str
    size: int = Field(description="Number of images.")
    problem: str | None


class CorporaAnswer(BaseModel):
    corpora: list[CorpusSummary]


class CorpusAnswer(CorpusSummary):
    class_names: list[str]
    splits: dict[str, int] = Field(description="Number of images of each split.")
    image_shape: list[int] | None = Field(description="row, column, channel where all images share them")
    problems: list[str]


class ImageBody(BaseModel):
    id: str
    name: str
    label: int | None
    class_name: str | None
    split: str
    metadata: dict[str, Any]


class ImagesAnswer(BaseModel):
    images: list[ImageBody]
    total: int = Field(description="How many images match in all.")
    offset: int


# ------------------------------------------------------------------------------------- words of addresses

RunName = Annotated[str, Path(description="Name of a run.")]
CorpusName = Annotated[str, Path(description="Name of a corpus.")]
Step = Annotated[int, Path(description="Step of a checkpoint of the run.")]
LayerName = Annotated[str, Path(description='Name of a layer; it may hold "/".')]
ImageId = Annotated[str, Path(description="Id of an image of the corpus.")]
CorpusChoice = Annotated[str | None, Query(description="Name of the image's corpus; default: the run's.")]
ParameterChoice = Annotated[str | None, Query(description="Name of a parameter; default: the layer's first.")]
Units = Annotated[str, Query(description='Units, such as "0-15,40"; default: all.')]
Channels = Annotated[str, Query(description='Incoming channels, such as "0-2"; default: all.')]
Low = Annotated[float | None, Query(description="Value of the colour table's lower end; default: by the layer.")]
High = Annotated[float | None, Query(description="Value of the colour table's upper end; default: by the layer.")]
Colour = Annotated[str | None, Query(description=f"Colour table: {', '.join(pictures.COLOUR_TABLES)}.")]
Zoom = Annotated[int, Query(description="Pixels a value, 1 to 32.")]
Layout = Annotated[
    Literal["tiles", "matrix"],
    Query(description="Dense kernels in the shape of the map before them, or a row a unit."),
]


def _filmed(
    run: RunName,
    layer: LayerName,
    show: Annotated[Literal["parameters", "features"], Query(description="What is filmed.")] = "parameters",
    parameter: ParameterChoice = None,
    units: Annotated[
        str, Query(description="Default: all up to 256 tiles, else the first 32 units and 16 channels.")
    ] = "",
    channels: Annotated[str, Query(description="Incoming channels; default as for units.")] = "",
    layout: Layout = "tiles",
    image: Annotated[str | None, Query(description="Id of an image, for features.")] = None,
    corpus: CorpusChoice = None,
) -> FilmQuestion:
    return FilmQuestion(
        run=run,
        layer=layer,
        show=show,
        parameter=parameter or None,
        units=_numbers(units, "units") or None,
        channels=_numbers(channels, "channels") or None,
        layout=layout,
        image=image,
        corpus=corpus,
    )


Filmed = Annotated[FilmQuestion, Depends(_filmed)]
Near = Annotated[int | None, Query(description="The step whose neighbours come first.")]

NPY = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_PNG = {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
_SVG = {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}
_NDJSON = {"content": {"application/x-ndjson": {"schema": {"type": "string"}}}}
REFUSAL_ANSWERS: dict[int | str, dict[str, Any]] = {}


def _selection(text: str, total: int, what: str) -> np.ndarray:
    """Numbers of a selection, all where it is empty."""
    numbers = _numbers(text, what)
    if not numbers:
        return np.arange(total)
    if max(numbers) >= total:
        raise NotFound(f"{what} = {text}: there are {what} 0 to {total - 1}; {max(numbers)} is none of them.")
    return np.array(numbers)


def _steps(text: str) -> list[int]:
    try:
        return [int(step) for step in text.split(",")]
    except ValueError:
        raise BadRequest(f'steps = "{text}" cannot be; it must be whole numbers with commas between them.') from None


def _numbers(text: str, what: str) -> tuple[int, ...]:
    try:
        return parse_units(text)
    except ValueError as error:
        raise BadRequest(f"{what}: {error}") from None


# ---------------------------------------------------------------------------------------------------- answers


def etag_of(*parts: Any) -> str:
    return '"' + hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest() + '"'


def unchanged_answer(request: Request, etag: str, cache_control: str) -> Response | None:
    """The answer 304 where the asker has this very content."""
    held = request.headers.get("if-none-match", "")
    if held.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in held.split(",")):
        return Response(status_code=304, headers={"ETag": etag, "Cache-Control": cache_control})
    return None


def answer(
    request: Request,
    body: bytes,
    media_type: str,
    etag: str | None = None,
    cache_control: str = ASK_AGAIN,
    **headers: str,
) -> Response:
    etag = etag or etag_of(body)
    unchanged = unchanged_answer(request, etag, cache_control)
    if unchanged is not None:
        return unchanged
    return Response(body, media_type=media_type, headers={"ETag": etag, "Cache-Control": cache_control, **headers})


def json_answer(request: Request, value: Any) -> Response:
    body = json.dumps(plain(value), ensure_ascii=False, separators=(",", ":")).encode()
    return answer(request, body, "application/json")


def _npy(array: np.ndarray) -> bytes:
    """As :func:`numpy.save` writes it, without a copy of its own: arrays may be large."""
    array = np.asarray(array, order="C")
    assert not array.dtype.hasobject, "numbers only: what an object's place in memory is concerns nobody"
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(array))
    return b"".join((head.getvalue(), array.data))


def _lines(request: Request, pieces: Iterator[list[dict[str, Any]]]) -> StreamingResponse:
    """NDJSON, each piece worked out in a thread of its own turn. A reader who hangs up stops the work at the
    next piece."""

    async def body() -> AsyncIterator[bytes]:
        nothing_more = object()
        try:
            while not await request.is_disconnected():
                lines = await anyio.to_thread.run_sync(next, pieces, nothing_more)
                if lines is nothing_more:
                    return
                yield b"".join(json.dumps(plain(line), separators=(",", ":")).encode() + b"\n" for line in lines)
        finally:
            pieces.close()  # type: ignore[attr-defined]

    return StreamingResponse(
        body(),
        media_type="application/x-ndjson",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _drawn(
    tiles: np.ndarray,
    shown: np.ndarray,
    low: float | None,
    high: float | None,
    colours: str,
    symmetric: bool,
    zoom: int,
) -> tuple[bytes, str]:
    """A PNG of ``shown`` and the range its colours span, ``low,high``: by default that of all ``tiles``."""
    found = encoding.joint_range(encoding.ranges(tiles)).tolist()
    if found[0] != found[0]:
        found = [0.0, 0.0]
    if symmetric and low is None and high is None:
        reach = max(abs(found[0]), abs(found[1]))
        found = [-reach, reach]
    ends = [found[0] if low is None else low, found[1] if high is None else high]
    if not np.isfinite(ends).all() or ends[0] > ends[1]:
        raise BadRequest(f"The range goes from low = {ends[0]:g} to high = {ends[1]:g}; low must not be above high.")
    return pictures.draw(shown, ends[0], ends[1], colours, zoom), f"{ends[0]!r},{ends[1]!r}"


# ----------------------------------------------------------------------------------------------------- routes


def rest_router(observatory: Observatory) -> APIRouter:
    """All routes under /api/v1. Together with :func:`install_error_handlers`, which see."""
    api = APIRouter(
        prefix="/api/v1",
        responses=REFUSAL_ANSWERS,
        route_class=LinkedRoute,
        generate_unique_id_function=lambda route: route.name,
    )
    workspace = observatory.workspace

    # ---- runs

    @api.get("/runs", response_model=RunsAnswer, tags=["runs"])
    def list_runs(request: Request) -> Response:
        """All connected runs, those that could not be opened included."""
        return json_answer(request, {"runs": [summary_of_run(run.name) for run in workspace.runs]})

    def summary_of_run(name: str) -> dict[str, Any]:
        run = workspace.run(name)
        count, problem = 0, run.problem
        if run.adaptor is not None:
            try:
                count = len(observatory.checkpoints(name))
            except MloscopeError as error:
                problem = str(error)
        return {
            "name": run.name,
            "title": run.shown_title,
            "format": run.format,
            "path": str(run.path),
            "checkpoints": count,
            "version": workspace.version(name),
            "problem": problem,
        }

    @api.get("/runs/{run}", response_model=RunAnswer, tags=["runs"])
    def describe_run(request: Request, run: RunName) -> Response:
        """One run: what its network takes, and whether it can be evaluated just now."""
        connected = workspace.run(run)
        adaptor = connected.adaptor
        return json_answer(
            request,
            {
                "name": connected.name,
                "title": connected.shown_title,
                "format": connected.format,
                "path": str(connected.path),
                "input_shape": adaptor.input_shape if adaptor is not None else None,
                "class_names": workspace.class_names(run) if adaptor is not None else (),
                "corpus": workspace.corpus_of(run),
                "preprocessing": preprocessing_json(connected),
                "problem": connected.problem,
                "problems": adaptor.problems() if adaptor is not None else (),
                "evaluation": vars(observatory.evaluation(run)) if adaptor is not None else None,
            },
        )

    @api.get("/runs/{run}/checkpoints", response_model=CheckpointsAnswer, tags=["runs"])
    def list_checkpoints(request: Request, run: RunName) -> Response:
        """Every checkpoint in the order of time, broken ones with their problem."""
        return json_answer(request, {"checkpoints": [checkpoint_json(c) for c in observatory.checkpoints(run)]})

    @api.get("/runs/{run}/layers", response_model=LayersAnswer, tags=["runs"])
    def list_layers(request: Request, run: RunName) -> Response:
        """The network: every layer with its inputs, shapes and hyper-parameters."""
        return json_answer(request, {"layers": [layer_json(layer) for layer in observatory.layers(run)]})

    @api.get("/runs/{run}/metrics", response_model=MetricsAnswer, tags=["runs"])
    def list_metrics(request: Request, run: RunName) -> Response:
        """How training went: curves in the checkpoints themselves, and in CSV and TensorBoard files beside them."""
        curves = [curve_json(curve) for curve in observatory.metrics(run)]
        return json_answer(request, {"curves": curves, "problems": observatory.metric_problems(run)})

    @api.get("/runs/{run}/graph.svg", response_class=Response, responses={200: _SVG}, tags=["runs"])
    def draw_graph(
        request: Request,
        run: RunName,
        expanded: Annotated[str, Query(description="Ids of blocks that stand open, with commas between.")] = "",
        selected: Annotated[str | None, Query(description="Name of the layer to mark.")] = None,
    ) -> Response:
        """The network as a picture."""
        from mloscope.components import network_graph

        blocks = frozenset(filter(None, expanded.split(",")))
        picture = network_graph.svg(observatory.layers(run), selected=selected or None, expanded=blocks)
        return answer(request, picture.encode(), "image/svg+xml")

    # ---- parameters

    layer_at_step = "/runs/{run}/checkpoints/{step}/layers/{layer:path}"

    def parameters_npy(
        request: Request,
        run: RunName,
        step: Step,
        layer: LayerName,
        parameter: ParameterChoice = None,
        units: Units = "",
        channels: Channels = "",
    ) -> Response:
        """One parameter of a layer exactly as stored: its shape, its type, no rounding. ``units`` and
        ``channels`` select along these axes. The header X-Mloscope-Axes names the axes.
        """
        wanted = observatory.parameter_of(run, layer, parameter)
        before = fingerprint(run, step)
        etag = etag_of(before, layer, wanted.name, units, channels)
        unchanged = unchanged_answer(request, etag, ASK_AGAIN)
        if unchanged is not None:
            return unchanged
        array = observatory.parameters(run, step, layer).get(wanted.name)
        must_be_still(run, step, before)
        if array is None:
            raise NotPossible(f"The checkpoint of step {step} has no {layer}/{wanted.name}.")
        for text, axis, what in ((units, "unit", "units"), (channels, "channel", "channels")):
            if text:
                if axis not in wanted.axes:
                    axes = ", ".join(wanted.axes)
                    raise BadRequest(f"{what} = {text}: {layer}/{wanted.name} has the axes {axes} only.")
                place = wanted.axes.index(axis)
                array = array.take(_selection(text, array.shape[place], what), axis=place)
        headers = {"X-Mloscope-Axes": ",".join(wanted.axes)}
        return answer(request, _npy(array), "application/octet-stream", etag, **headers)

    for ending in ("/parameters.npy", "/parameters"):
        api.add_api_route(
            layer_at_step + ending,
            parameters_npy,
            response_class=Response,
            responses={200: NPY},
            tags=["parameters"],
            include_in_schema=ending.endswith(".npy"),
        )

    @api.get(layer_at_step + "/parameters.png", response_class=Response, responses={200: _PNG}, tags=["parameters"])
    def parameters_png(
        request: Request,
        run: RunName,
        step: Step,
        layer: LayerName,
        parameter: ParameterChoice = None,
        units: Units = "",
        channels: Channels = "",
        layout: Layout = "tiles",
        low: Low = None,
        high: High = None,
        colour: Colour = None,
        zoom: Zoom = 4,
    ) -> Response:
        """A parameter as a picture, a tile for each unit and channel. The colours span the layer's values,
        the same way above and below zero; the header X-Mloscope-Range has the two ends.
        """
        wanted = observatory.parameter_of(run, layer, parameter)
        question = (units, channels, layout, low, high, colour, zoom)
        before = fingerprint(run, step)
        etag = etag_of("png", before, layer, wanted.name, question)
        unchanged = unchanged_answer(request, etag, ASK_AGAIN)
        if unchanged is not None:
            return unchanged
        tiles = observatory.parameter_tiles(run, step, layer, wanted.name, layout)
        must_be_still(run, step, before)
        shown = tiles[
            np.ix_(_selection(units, tiles.shape[0], "units"), _selection(channels, tiles.shape[1], "channels"))
        ]
        picture, ends = _drawn(tiles, shown, low, high, colour or "blue-red", True, zoom)
        return answer(request, picture, "image/png", etag, **{"X-Mloscope-Range": ends})

    def fingerprint(run: str, step: int) -> str:
        checkpoint = observatory.checkpoint(run, step)
        if checkpoint.problem:
            raise NotPossible(checkpoint.problem)
        try:
            return workspace.opened_run(run).fingerprint(checkpoint)
        except AdaptorError as error:
            raise from_adaptor(error) from error

    def must_be_still(run: str, step: int, before: str) -> None:
        """An answer's tag must not stand for another file's values, which a browser would show again for it."""
        if fingerprint(run, step) != before:
            raise Conflict(f"The checkpoint of step {step} was changed while it was read; ask again.")

    # ---- feature maps and predictions

    @api.get(
        layer_at_step + "/features/{image}.npy",
        response_class=Response,
        responses={200: NPY},
        tags=["features"],
    )
    def features_npy(
        request: Request,
        run: RunName,
        step: Step,
        layer: LayerName,
        image: ImageId,
        corpus: CorpusChoice = None,
    ) -> Response:
        """What a layer makes of an image: float32 (row, column, unit), or (unit,) where the layer's output is
        a vector."""
        array = observatory.feature_map(run, step, layer, image, corpus)
        return answer(request, _npy(array), "application/octet-stream")

    @api.get(
        layer_at_step + "/features/{image}.png",
        response_class=Response,
        responses={200: _PNG},
        tags=["features"],
    )
    def features_png(
        request: Request,
        run: RunName,
        step: Step,
        layer: LayerName,
        image: ImageId,
        corpus: CorpusChoice = None,
        units: Units = "",
        low: Low = None,
        high: High = None,
        colour: Colour = None,
        zoom: Zoom = 2,
    ) -> Response:
        """A layer's feature maps of an image as a picture, a tile a unit. The colours span the values of all
        of them; the header X-Mloscope-Range has the two ends.
        """
        tiles = encoding.map_tiles(observatory.feature_map(run, step, layer, image, corpus))[..., np.newaxis]
        shown = tiles[_selection(units, tiles.shape[0], "units")]
        picture, ends = _drawn(tiles, shown, low, high, colour or "viridis", False, zoom)
        return answer(request, picture, "image/png", **{"X-Mloscope-Range": ends})

    # After the two above, because an id may hold a dot.
    api.add_api_route(
        layer_at_step + "/features/{image}",
        features_npy,
        response_class=Response,
        responses={200: NPY},
        tags=["features"],
        include_in_schema=False,
    )

    @api.get(
        "/runs/{run}/checkpoints/{step}/predictions/{image}",
        response_model=PredictionAnswer,
        tags=["features"],
    )
    def predict(request: Request, run: RunName, step: Step, image: ImageId, corpus: CorpusChoice = None) -> Response:
        """What the network holds an image for at one checkpoint."""
        found = observatory.predictions(run, (step,), image, corpus)
        if step in found.missing:
            raise NotPossible(found.missing[step])
        return json_answer(
            request,
            {
                "step": step,
                "image": image,
                "class_names": workspace.class_names(run, corpus),
                "probabilities": found.probabilities[step],
                "kind": found.kind,
                "notices": workspace.basis(run, corpus).notices_json(),
            },
        )

    @api.get(
        "/runs/{run}/predictions/{image}",
        response_model=PredictionsAnswer,
        responses={200: _NDJSON},
        tags=["features"],
    )
    def predict_all(
        request: Request,
        run: RunName,
        image: ImageId,
        corpus: CorpusChoice = None,
        stream: Annotated[bool, Query(description="Lines of NDJSON as they come, instead of one answer.")] = False,
        near: Annotated[int | None, Query(description="With stream: the step whose neighbours come first.")] = None,
    ) -> Response:
        """What the network holds an image for at every checkpoint. As a stream: ``{"steps",
        "probabilities"}``, ``{"missing": {"step", "reason"}}``, at the end ``{"done": true}`` or
        ``{"error"}``.
        """
        if stream:
            return _lines(request, observatory.prediction_pieces(run, image, corpus, near))
        steps = [checkpoint.step for checkpoint in observatory.checkpoints(run)]
        found = observatory.predictions(run, steps, image, corpus)
        return json_answer(
            request,
            {
                "image": image,
                "class_names": workspace.class_names(run, corpus),
                "steps": list(found.probabilities),
                "probabilities": list(found.probabilities.values()),
                "missing": [{"step": step, "reason": reason} for step, reason in found.missing.items()],
                "kind": found.kind,
                "notices": workspace.basis(run, corpus).notices_json(),
            },
        )

    # ---- units and films

    @api.get("/runs/{run}/layers/{layer:path}/units", response_model=UnitsAnswer, tags=["parameters"])
    def rank_units(
        request: Request,
        run: RunName,
        layer: LayerName,
        rule: Annotated[
            Literal["largest-norm", "most-changed", "most-active"],
            Query(description="L2 norm; L2 distance from the first checkpoint; mean absolute feature map."),
        ] = "largest-norm",
        step: Annotated[int | None, Query(description="Step; default: the last checkpoint's.")] = None,
        image: Annotated[str | None, Query(description="Id of an image, for most-active.")] = None,
        corpus: CorpusChoice = None,
        count: Annotated[int, Query(ge=1, le=100_000, description="How many units.")] = 32,
        parameter: ParameterChoice = None,
    ) -> Response:
        """The units that a rule puts first."""
        if step is None:
            readable = [c.step for c in observatory.checkpoints(run) if not c.problem]
            if not readable:
                raise NotPossible(f'The run "{run}" has no checkpoint that can be read.')
            step = readable[-1]
        return json_answer(
            request,
            vars(observatory.unit_ranking(run, step, layer, rule, image, corpus, count, parameter)),
        )

    @api.get(
        "/runs/{run}/layers/{layer:path}/film",
        response_class=StreamingResponse,
        responses={200: _NDJSON},
        tags=["films"],
    )
    def film(request: Request, question: Filmed, near: Near = None) -> Response:
        """A film's manifest, one JSON object a line, as the work goes on: ``{"film": {...}}``, then for each
        chunk ``{"chunk": {"address", "steps", "bytes"}}`` and ``{"progress": {"done", "of", "doing"}}``,
        ``{"missing": {"step", "reason"}}`` for what there is not, at the end ``{"done": true}`` or
        ``{"error"}``. Hang up at any line and the work stops.
        """
        return _lines(request, observatory.film_pieces(replace(question, near=near)))

    @api.get(
        "/runs/{run}/layers/{layer:path}/frames",
        response_class=Response,
        responses={200: NPY},
        tags=["films"],
    )
    def frames(
        request: Request,
        question: Filmed,
        steps: Annotated[str, Query(description='Steps of checkpoints, 1 to 16, such as "0,10,20".')] = "",
    ) -> Response:
        """The frames of some steps, as a chunk holds them, of the files as they are now: what to ask for where a
        chunk's address is not there any more. A step that has nothing is an error that says why.
        """
        return answer(request, observatory.frames(question, _steps(steps)), "application/octet-stream")

    @api.get("/films/{digest}", response_class=Response, responses={200: NPY}, tags=["films"])
    def film_chunk(request: Request, digest: Annotated[str, Path(description="From a manifest's chunk.")]) -> Response:
        """A chunk of a film, for ever the same under this address. Little-endian: ``MLF1``, uint32 H, H bytes
        of JSON ``{"steps": [...], "shape": [units, channels, rows, columns, components]}``; float32
        ``unit_ranges[step, unit, 2]``; float32 ``layer_ranges[step, 2]``; uint8 ``codes[step, *shape]``. Code
        0 is NaN, 1 minus infinity, 2 plus infinity; 3 to 255 are ``lo + (code - 3) / 252 * (hi - lo)`` of the
        unit's range at the step.
        """
        if not re.fullmatch(r"[0-9a-f]{32}", digest):
            raise NotFound(f'There is no film "{digest}": the digest of one has 32 hexadecimal digits.')
        etag = f'"{digest}"'
        unchanged = unchanged_answer(request, etag, IMMUTABLE)
        if unchanged is not None:
            return unchanged
        data = observatory.film_bytes(digest)
        return answer(request, data, "application/octet-stream", etag, IMMUTABLE)

    # ---- corpora

    @api.get("/corpora", response_model=CorporaAnswer, tags=["corpora"])
    def list_corpora(request: Request) -> Response:
        """All connected corpora, those that could not be opened included."""
        return json_answer(request, {"corpora": [summary_of_corpus(corpus.name) for corpus in workspace.corpora]})

    def summary_of_corpus(name: str) -> dict[str, Any]:
        corpus = workspace.corpus(name)
        return {
            "name": corpus.name,
            "title": corpus.shown_title,
            "format": corpus.format,
            "path": str(corpus.path),
            "size": len(corpus.adaptor) if corpus.adaptor is not None else 0,
            "problem": corpus.problem,
        }

    @api.get("/corpora/{corpus}", response_model=CorpusAnswer, tags=["corpora"])
    def describe_corpus(request: Request, corpus: CorpusName) -> Response:
        """One corpus: its classes and splits, and what could not be read."""
        adaptor = workspace.corpus(corpus).adaptor
        splits = adaptor.splits if adaptor is not None else {}
        return json_answer(
            request,
            {
                **summary_of_corpus(corpus),
                "class_names": adaptor.class_names if adaptor is not None else (),
                "splits": {name: len(positions) for name, positions in splits.items()},
                "image_shape": adaptor.image_shape if adaptor is not None else None,
                "problems": adaptor.problems() if adaptor is not None else (),
            },
        )

    @api.get("/corpora/{corpus}/images", response_model=ImagesAnswer, tags=["corpora"])
    def search_images(
        request: Request,
        corpus: CorpusName,
        search: Annotated[str, Query(description="Words that name, id or class name must all have.")] = "",
        label: Annotated[str | None, Query(description="Number or name of a class.")] = None,
        split: Annotated[str | None, Query(description="training, test, or the corpus's own word.")] = None,
        offset: Annotated[int, Query(ge=0, description="How many to leave out at the beginning.")] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_IMAGES, description="How many at most.")] = 60,
        random: Annotated[
            int | None, Query(description="A seed: shuffled, always the same way for the same seed.")
        ] = None,
    ) -> Response:
        """Images that match, a page at a time."""
        found = workspace.search(
            corpus, search, label if label else None, split if split else None, offset, limit, random
        )
        adaptor = workspace.opened_corpus(corpus).adaptor
        classes = adaptor.class_names
        images = []
        for position in found.positions:
            record = adaptor.record(position)
            known = record.label is not None and record.label < len(classes)
            images.append(
                {
                    "id": record.id,
                    "name": record.name,
                    "label": record.label,
                    "class_name": classes[record.label] if known and record.label is not None else None,
                    "split": record.split,
                    "metadata": record.metadata,
                }
            )
        return json_answer(request, {"images": images, "total": found.total, "offset": offset})

    @api.get(
        "/corpora/{corpus}/images/{image}.png",
        response_class=Response,
        responses={200: _PNG},
        tags=["corpora"],
    )
    def image_png(
        request: Request,
        corpus: CorpusName,
        image: ImageId,
        edge: Annotated[
            int | None, Query(ge=1, le=4096, description="Longer edge at most, in pixels; never enlarged.")
        ] = None,
    ) -> Response:
        """An image, grey or colour, at its own size or smaller."""
        picture = workspace.thumbnail(corpus, workspace.opened_corpus(corpus).position(image), edge)
        # The same name and id may stand for another picture after a restart, so a browser asks again; the
        # ETag makes that cheap.
        return answer(request, picture, "image/png")

    return api
