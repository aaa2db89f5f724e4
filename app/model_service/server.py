"""The model service's process: HTTP in front of one thread that evaluates networks.

    POST /evaluate   wire message (run, steps, layers, priority; the image) -> wire message (layers, failed; the maps)
    POST /describe   {"run": spec} -> {"output_layer", "layers", "input_shape"}
    GET  /status     what it is doing and has done
    GET  /healthz    {"state": "starting" | "ready" | "failed", "problem"}: answers before the backends are loaded;
                     needs no token

A request names the run by its path, and an adaptor may read any file, so the service is private: it listens
on the loopback address unless told otherwise, and answers only who sends the token that it was given in its
environment.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mloscope.adaptors.interface import AdaptorError
from mloscope.app import errors
from mloscope.app.errors import BadRequest
from mloscope.app.model_service.backends import LoadedBackends, loading
from mloscope.app.model_service.evaluator import Evaluator
from mloscope.app.model_service.wire import (
    CONTENT_TYPE,
    STARTING_HEADER,
    TOKEN_HEADER,
    TOKEN_VARIABLE,
    RunSpec,
    pack_evaluation,
    unpack,
)
from mloscope.app.model_service.work_queue import WorkQueue
from mloscope.app.process import logs
from mloscope.app.process.request_context import REQUEST_ID, REQUEST_ID_HEADER, request_id_from
from mloscope.app.process.settings import ABOUT_SERVING, Settings

logger = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
Work = Callable[[Callable[[], bool]], bytes]
"""Gives an answer; is passed a function that says whether nobody waits for it any more."""

_KEEP_ALIVE_S = 3600  # a client's idle connection must not be closed just as it asks again


class Worker:
    """The thread that evaluates, and the queue in front of it."""

    def __init__(self, load: Callable[[], Evaluator], loading: str) -> None:
        """``load`` loads the network backends; it is called in the thread. ``loading``: what is said meanwhile."""
        self.queue = WorkQueue()
        self.state = "starting"
        self.loading = loading
        self.problem: str | None = loading
        self.evaluator: Evaluator | None = None
        self._load = load
        self._thread = threading.Thread(target=self._run, name="evaluation", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.queue.close()

    def _run(self) -> None:
        try:
            self.evaluator = self._load()
            self.state, self.problem = "ready", None
        except Exception as error:
            logger.exception("The network backends cannot be loaded")
            known = isinstance(error, errors.MloscopeError)
            self.problem = str(error) if known else f"The network backends cannot be loaded: {error}"
            self.state = "failed"
        self.queue.run()

    def ready_evaluator(self) -> Evaluator:
        if self.evaluator is None:
            raise errors.Unavailable(self.problem or self.loading)
        return self.evaluator


def application(worker: Worker, token: str) -> Starlette:
    """The ASGI application. ``token``: what requests must carry in the header ``x-mloscope-token``."""
    service = _Service(worker, token)
    return Starlette(
        routes=[
            Route("/evaluate", service.guarded(service.evaluate), methods=["POST"]),
            Route("/describe", service.guarded(service.describe), methods=["POST"]),
            Route("/status", service.guarded(service.status)),
            Route("/healthz", service.healthz),
        ]
    )


@dataclass(frozen=True)
class _Service:
    """The routes."""

    worker: Worker
    token: str

    async def evaluate(self, request: Request) -> Response:
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
            return pack_evaluation(self.worker.ready_evaluator().evaluate(spec, steps, layers, image, stop))

        image_digest = hashlib.blake2b(image.data, digest_size=16).digest()
        key = ("evaluate", spec.key, tuple(steps), tuple(layers), image.shape, image_digest)
        return Response(await self._answer(request, key, priority, work), media_type=CONTENT_TYPE)

    async def describe(self, request: Request) -> Response:
        try:
            spec = RunSpec.from_json(json.loads(await request.body())["run"])
        except (ValueError, KeyError, TypeError) as error:
            raise errors.BadRequest('A question for a description is the JSON object {"run": {...}}.') from error

        def work(_stop: Callable[[], bool]) -> bytes:
            return json.dumps(self.worker.ready_evaluator().describe(spec)).encode()

        return Response(await self._answer(request, ("describe", spec.key), 0, work), media_type="application/json")

    async def status(self, _request: Request) -> Response:
        evaluator = self.worker.evaluator
        return JSONResponse(
            {
                "state": self.worker.state,
                "problem": self.worker.problem,
                "waiting": self.worker.queue.waiting,
                "memory_bytes": logs.resident_bytes(),
                **self.worker.queue.counts,
                **(evaluator.status() if evaluator else {}),
            }
        )

    async def healthz(self, _request: Request) -> Response:
        return JSONResponse({"state": self.worker.state, "problem": self.worker.problem})

    async def _answer(self, request: Request, key: tuple[Any, ...], priority: int, work: Work) -> bytes:
        """What the job of this key answers, unless the client hangs up before."""
        loop = asyncio.get_running_loop()
        answered = asyncio.Event()
        job = self.worker.queue.join(key, priority, work)
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
            self.worker.queue.leave(job)

    def guarded(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint for those who have the token; logs each request, and answers with errors as JSON."""

        async def answer(request: Request) -> Response:
            # Of the web process's request, so that the logs of both can be read together.
            REQUEST_ID.set(request_id_from(request.headers.get(REQUEST_ID_HEADER, "")))
            began = time.perf_counter()
            refused = self._refused(request)
            response = refused if refused is not None else await _with_errors_as_json(endpoint, request)
            seconds = time.perf_counter() - began
            facts = {"path": request.url.path, "status": response.status_code, "seconds": round(seconds, 4)}
            logger.info("%s %d %.3f s", request.url.path, response.status_code, seconds, extra={logs.EXTRA: facts})
            return response

        return answer

    def _refused(self, request: Request) -> Response | None:
        """The answer to those without the token, and to those who would rather ask another service than wait."""
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self.token.encode()):
            message = f"The header {TOKEN_HEADER} is wrong or missing."
            return JSONResponse({"error": {"kind": "forbidden", "message": message}}, 403)
        impatient = request.method == "POST" and request.headers.get(STARTING_HEADER) == "refuse"
        if impatient and self.worker.state == "starting":
            loading = errors.Unavailable(self.worker.loading)
            return JSONResponse(errors.as_json(loading), loading.status, {STARTING_HEADER: "yes"})
        return None


async def _with_errors_as_json(endpoint: Endpoint, request: Request) -> Response:
    try:
        return await endpoint(request)
    except errors.MloscopeError as error:
        said = error
    except AdaptorError as error:
        said = errors.from_adaptor(error)
    except MemoryError:
        logger.exception("Out of memory")
        said = errors.Unavailable("The model service has not enough memory for this just now; ask again.")
    except Exception:
        logger.exception("An error in the model service")
        said = errors.MloscopeError("The model service met an error of its own; its log says more.")
    return JSONResponse(errors.as_json(said), said.status)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; ``port`` 0 takes any free one."""
    listener = socket.create_server((host, port), backlog=128)
    # Connections inherit it. asyncio sets it only where a socket says that its protocol is TCP, which these
    # do not; without it every small answer waits 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def serve(worker: Worker, token: str, host: str, port: int, announce: Callable[[int], None]) -> None:
    """Answer until told to stop by a signal. ``port`` 0 takes any free one; ``announce`` is given the one in
    use."""
    listener = listen(host, port)
    announce(listener.getsockname()[1])
    worker.start()
    config = uvicorn.Config(
        application(worker, token),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=2,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        worker.stop()


def _exit_with_stdin() -> None:
    """The supervisor holds the other end of standard input; when it is gone, however it went, so are we."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        os._exit(0)  # stateless: there is nothing to put away

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _announce_on_stdout(port: int) -> None:
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    os.dup2(2, 1)  # nobody reads the pipe any more; what libraries print belongs to the log


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m mloscope.app.model_service.server",
        description="Evaluates networks for ML-o-scope's web process. The environment variable "
        f"{TOKEN_VARIABLE} holds the token that requests must carry.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8060, help="0 takes any free port (default: %(default)s)")
    parser.add_argument("--weights-budget-bytes", type=int, default=1 << 30, help="memory for checkpoints' weights")
    parser.add_argument("--gpu-memory-bytes", type=int, default=None, help="at most this much of each GPU's memory")
    parser.add_argument("--supervised", action="store_true", help="print the port; end when standard input ends")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_environment(os.environ, but=ABOUT_SERVING)
    except BadRequest as error:
        parser.error(str(error))
    token = settings.model_service_token
    if not token:
        parser.error(f"the environment variable {TOKEN_VARIABLE} must be set to a secret of your choice, in ASCII")
    # As text only what is wrong: a supervised child's log is looked into when it has died.
    logs.configure(settings.log_level if settings.log_format == "json" else "warning", settings.log_format, (token,))
    if options.supervised:
        _exit_with_stdin()

    def load() -> Evaluator:
        backends = LoadedBackends(gpu_memory_bytes=options.gpu_memory_bytes)
        backends.load_installed()
        return Evaluator(backends, weights_budget_bytes=options.weights_budget_bytes)

    def announce(port: int) -> None:
        if options.supervised:
            _announce_on_stdout(port)
        else:
            print(f"The model service listens on http://{options.host}:{port}", file=sys.stderr)

    serve(Worker(load, loading()), token, options.host, options.port, announce)


if __name__ == "__main__":
    main()
