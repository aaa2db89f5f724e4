"""The model service's process: HTTP in front of one thread that evaluates networks.

    POST /evaluate   wire message (run, steps, layers, priority; the image) -> wire message (layers, failed; the maps)
    POST /picture    wire message (run, steps, layer, method, options, priority; image, beside, before) -> wire message
                     (steps, figures, failed; the pictures)
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
import os
import socket
import sys
import threading
from collections.abc import Callable

import uvicorn

from mloscope.app.errors import BadRequest
from mloscope.app.model_service.backends import LoadedBackends, loading
from mloscope.app.model_service.endpoints import application
from mloscope.app.model_service.evaluator import Evaluator
from mloscope.app.model_service.wire import TOKEN_VARIABLE
from mloscope.app.model_service.worker import Worker
from mloscope.app.process import logs
from mloscope.app.process.settings import ABOUT_SERVING, Settings

_KEEP_ALIVE_S = 3600  # a client's idle connection must not be closed just as it asks again


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
