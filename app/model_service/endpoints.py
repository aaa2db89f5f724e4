"""What the model service answers over HTTP; see :mod:`mloscope.app.model_service.server` for the list.

Every endpoint but ``/healthz`` is for those who know the token. ``app.state`` has the worker and the token.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mloscope.adaptors.interface import AdaptorError
from mloscope.app import errors
from mloscope.app.model_service.pictures.picture import Asked, Picture
from mloscope.app.model_service.wire import (
    CONTENT_TYPE,
    STARTING_HEADER,
    TOKEN_HEADER,
    RunSpec,
    pack_evaluation,
    pack_pictures,
    unpack,
)
from mloscope.app.model_service.worker import Worker
from mloscope.app.process import logs
from mloscope.app.process.request_context import REQUEST_ID, REQUEST_ID_HEADER, request_id_from

logger = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
Work = Callable[[Callable[[], bool]], bytes]
"""Given a function that says whether to stop, the body of the answer."""


def application(worker: Worker, token: str) -> Starlette:
    """Return the ASGI application. ``token``: what requests must carry in the header ``x-mloscope-token``."""
    made = Starlette(
        routes=[
            Route("/evaluate", logged(guarded(evaluate)), methods=["POST"]),
            Route("/picture", logged(guarded(picture)), methods=["POST"]),
            Route("/describe", logged(guarded(describe)), methods=["POST"]),
            Route("/status", logged(guarded(status))),
            Route("/healthz", healthz),
        ]
    )
    made.state.worker, made.state.token = worker, token
    return made


# --------------------------------------------------------------------------------------------------- endpoints


async def evaluate(request: Request) -> Response:
    worker: Worker = request.app.state.worker
    head, arrays = unpack(await request.body())
    try:
        spec = RunSpec.from_json(head["run"])
        steps = [int(step) for step in head["steps"]]
        layers = [str(layer) for layer in head["layers"]]
        priority = int(head["priority"])
        (image,) = arrays
    except (KeyError, TypeError, ValueError) as error:
        raise errors.BadRequest(
            "A question has run, steps (whole numbers), layers (names), priority (a whole number) and "
            f"one image; wrong or missing: {error}."
        ) from error

    def work(stop: Callable[[], bool]) -> bytes:
        return pack_evaluation(worker.ready_evaluator().evaluate(spec, steps, layers, image, stop))

    image_digest = hashlib.blake2b(image.data, digest_size=16).digest()
    key = ("evaluate", spec.key, tuple(steps), tuple(layers), image.shape, image_digest)
    return Response(await _answer(request, key, priority, work), media_type=CONTENT_TYPE)


async def picture(request: Request) -> Response:
    worker: Worker = request.app.state.worker
    head, arrays = unpack(await request.body())
    try:
        spec = RunSpec.from_json(head["run"])
        steps = [int(step) for step in head["steps"]]
        given = dict(zip(head["arrays_are"], arrays, strict=True))
        asked = Asked(str(head["layer"]), dict(head["options"]), given["image"], given.get("beside"))
        before = Picture(given["before"], {}) if "before" in given else None
        method, priority = str(head["method"]), int(head["priority"])
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise errors.BadRequest(
            "A question for pictures has run, steps (whole numbers), layer, method, options, priority (a whole number), and "
            f"arrays_are (image, beside, before: what the arrays are); wrong or missing: {error}."
        ) from error

    def work(stop: Callable[[], bool]) -> bytes:
        return pack_pictures(worker.ready_evaluator().pictures(spec, steps, method, asked, before, stop))

    digests = tuple((name, hashlib.blake2b(array.data, digest_size=16).digest()) for name, array in given.items())
    key = (
        "picture",
        spec.key,
        tuple(steps),
        asked.layer,
        method,
        json.dumps(asked.options),
        asked.image.shape,
        digests,
    )
    return Response(await _answer(request, key, priority, work), media_type=CONTENT_TYPE)


async def describe(request: Request) -> Response:
    worker: Worker = request.app.state.worker
    try:
        spec = RunSpec.from_json(json.loads(await request.body())["run"])
    except (ValueError, KeyError, TypeError) as error:
        raise errors.BadRequest('A question for a description is the JSON object {"run": {...}}.') from error

    def work(_stop: Callable[[], bool]) -> bytes:
        return json.dumps(worker.ready_evaluator().describe(spec)).encode()

    return Response(await _answer(request, ("describe", spec.key), 0, work), media_type="application/json")


async def status(request: Request) -> Response:
    worker: Worker = request.app.state.worker
    evaluator = worker.evaluator
    return JSONResponse(
        {
            "state": worker.state,
            "problem": worker.problem,
            "waiting": worker.queue.waiting,
            "memory_bytes": logs.resident_bytes(),
            **worker.queue.counts,
            **(evaluator.status() if evaluator else {}),
        }
    )


async def healthz(request: Request) -> Response:
    worker: Worker = request.app.state.worker
    return JSONResponse({"state": worker.state, "problem": worker.problem})


async def _answer(request: Request, key: tuple[Any, ...], priority: int, work: Work) -> bytes:
    """Return what the job of this key answers, unless the client hangs up before."""
    queue = request.app.state.worker.queue
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()
    job = queue.join(key, priority, work)
    gone = asyncio.create_task(_hung_up(request))
    try:
        job.answer.add_done_callback(lambda _answer: loop.call_soon_threadsafe(answered.set))
        waiting = asyncio.create_task(answered.wait())
        await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not job.answer.done():
            raise errors.Unavailable("The client hung up.")
        return job.answer.result()
    finally:
        gone.cancel()
        queue.leave(job)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


# ------------------------------------------------------------------------------------------- before and behind


def logged(endpoint: Endpoint) -> Endpoint:
    """Give the request the number that it has in the web process, so that the logs of both can be read together, and log it."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        REQUEST_ID.set(request_id_from(request.headers.get(REQUEST_ID_HEADER, "")))
        began = time.perf_counter()
        response = await endpoint(request)
        seconds = time.perf_counter() - began
        facts = {"path": request.url.path, "status": response.status_code, "seconds": round(seconds, 4)}
        logger.info("%s %d %.3f s", request.url.path, response.status_code, seconds, extra={logs.EXTRA: facts})
        return response

    return answer


def guarded(endpoint: Endpoint) -> Endpoint:
    """Answer only those who know the token, and errors as JSON."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        worker, token = request.app.state.worker, request.app.state.token
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), token.encode()):
            return _refusal(errors.Forbidden(f"The header {TOKEN_HEADER} is wrong or missing."))
        impatient = request.method == "POST" and request.headers.get(STARTING_HEADER) == "refuse"
        if impatient and worker.state == "starting":
            return _refusal(errors.Unavailable(worker.loading), {STARTING_HEADER: "yes"})
        try:
            return await endpoint(request)
        except MemoryError:
            logger.exception("Out of memory")
            return _refusal(errors.Unavailable("The model service has not enough memory for this just now; ask again."))
        except errors.MloscopeError as error:
            return _refusal(error)
        except AdaptorError as error:
            return _refusal(errors.from_adaptor(error))
        except Exception:
            logger.exception("An error in the model service")
            return _refusal(errors.MloscopeError("The model service met an error of its own; its log says more."))

    return answer


def _refusal(error: errors.MloscopeError, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(errors.as_json(error), error.status, headers)
