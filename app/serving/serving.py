"""Serving: from what is connected to a web server on a socket, in this process or in several.

serve                one process: web application, supervised model service
serve_with_workers   this process watches over several that share the socket; uvicorn restarts them when they die
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mloscope.adaptors.interface import NothingFits, Unreadable
from mloscope.app.errors import BadRequest, MloscopeError
from mloscope.app.process.terminal import Terminated, printable, say
from mloscope.app.serving import wiring

if TYPE_CHECKING:
    from mloscope.app.process.settings import Settings
    from mloscope.app.serving.running_servers import RunningServer
    from mloscope.app.statistics.queries import Statistics
    from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
    from mloscope.app.workspace.entries import CorpusEntry, RunEntry
    from mloscope.app.workspace.links import LinkFolder
    from mloscope.app.workspace.watched_folders import WatchedFolders
    from mloscope.app.workspace.workspace import Workspace

logger = logging.getLogger(__name__)

_FAILED = 1
_STOP_WITHIN_S = 3
_LINES_OF_BASIS = 8
"""Printed of each run at the start."""
_BACKLOG = 2048
_COMMAND_LINE, _ANNOUNCED = "MLOSCOPE_WORKER_COMMAND_LINE", "MLOSCOPE_WORKER_ANNOUNCED"
"""How a worker is told what its parent was told: by the environment, which is all that a new process gets."""


def connect(runs: Sequence[RunEntry], corpora: Sequence[CorpusEntry], settings: Settings) -> Workspace:
    """Open everything; what cannot be opened is said, and is an error only where no run can be and no folder is watched."""
    from mloscope.app.workspace.workspace import Workspace

    workspace = Workspace.connect(runs, corpora)
    problems = [connected.problem for connected in (*workspace.runs, *workspace.corpora) if connected.problem]
    if all(run.adaptor is None for run in workspace.runs) and settings.watch_runs is None:
        is_foreign = any(run.is_foreign for run in workspace.runs) or not workspace.runs
        raise (NothingFits if is_foreign else Unreadable)(" ".join(problems))
    for problem in problems:
        print(f"mloscope: {problem}", file=sys.stderr)
    return workspace


class PortInUse(BadRequest):
    """Another program listens there, perhaps a server of ours."""


def serve(
    workspace: Workspace,
    settings: Settings,
    listener: socket.socket,
    *,
    open_browser: bool,
    meanwhile: Callable[[Statistics], None] | None = None,
) -> int:
    """Serve until told to stop; the exit code. Closes the socket. ``meanwhile`` runs in a thread of its own once requests
    are answered."""
    from mloscope.app.process import logs
    from mloscope.app.serving import running_servers
    from mloscope.app.serving.warm_up import warm_up_in_background

    recent_warnings = logs.configure(settings.log_level, settings.log_format, settings.secrets)
    service = wiring.model_service(settings)
    statistics = wiring.statistics(workspace, settings)
    with running_servers.announced(_address(settings, listener), settings, os.environ, workspace) as announced:
        watched = _watched(workspace, settings, announced)

        def listening(address: str) -> None:
            # Only now, for loading TensorFlow would double the time until the first page is there.
            service.start()
            if service.state is not None:  # it is our own
                warm_up_in_background(service.client, workspace)
            watched.start()
            _announce(workspace, address, settings)
            if open_browser:
                show(address)
            if meanwhile is not None:
                threading.Thread(target=meanwhile, args=(statistics,), name="meanwhile", daemon=True).start()

        links = _link_folder(settings, announced)
        application = wiring.application(workspace, settings, service, statistics, recent_warnings, links)
        try:
            return _listen(application, settings, listener, listening)
        except (KeyboardInterrupt, Terminated):
            return 0
        finally:
            watched.stop()
            service.stop()
            listener.close()


def check_can_share(count: int, settings: Settings) -> None:
    """Raise BadRequest if several processes could not share results."""
    from mloscope.app.process.settings import cache_folder_of

    needed = {"MLOSCOPE_REDIS_URL": settings.redis_url, "MLOSCOPE_MODEL_SERVICE_URL": settings.model_service_url}
    missing = [variable for variable, value in needed.items() if not value]
    if missing:
        raise BadRequest(
            f"--workers {count} needs {' and '.join(missing)}, for workers share results and the model service."
        )
    cache_folder_of(settings, os.environ)  # of which each worker, without a home folder, would make one of its own


def serve_with_workers(count: int, command_line: Sequence[str], settings: Settings, listener: socket.socket) -> int:
    """Serve from several processes until told to stop; the exit code. Each is given the same command line. See
    :func:`check_can_share`."""
    from mloscope.app.serving import running_servers
    from mloscope.app.web.access.prometheus import SHARED_FOLDER

    logging.basicConfig(level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    config = _server_config("mloscope.app.commands.serve:worker_application", settings, factory=True, workers=count)
    listener.listen(_BACKLOG)
    address = _address(settings, listener)
    say(f"ML-o-scope listens on {address} with {count} workers (Ctrl-C stops it).\n")
    try:
        with _folder_of_counts() as folder, running_servers.announced(address, settings, os.environ) as announced:
            found = json.dumps([str(announced.folder), address] if announced else None)
            os.environ |= {_COMMAND_LINE: json.dumps(list(command_line)), SHARED_FOLDER: folder, _ANNOUNCED: found}
            _supervisor(config, listener, folder).run()
    except (KeyboardInterrupt, Terminated):
        pass
    finally:
        listener.close()
    return 0


@contextmanager
def _folder_of_counts() -> Iterator[str]:
    """Where the workers count together: the folder that is set, else one of our own, for as long as we live."""
    from mloscope.app.web.access.prometheus import SHARED_FOLDER

    named = os.environ.get(SHARED_FOLDER)
    if named:
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="mloscope-counts-", ignore_cleanup_errors=True) as folder:
        yield folder


def _supervisor(config: Any, listener: socket.socket, folder_of_counts: str) -> Any:
    from prometheus_client.multiprocess import mark_process_dead
    from uvicorn.supervisors import Multiprocess

    class Supervisor(Multiprocess):
        """Uvicorn's, that also strikes out what workers which are gone had under way."""

        def keep_subprocess_alive(self) -> None:
            before = {process.pid for process in self.processes}
            super().keep_subprocess_alive()
            for pid in before - {process.pid for process in self.processes}:
                mark_process_dead(pid, folder_of_counts)

    return Supervisor(config, sockets=[listener])


def command_line_of_worker() -> list[str]:
    """What the process was told that started this one as a worker."""
    return json.loads(os.environ[_COMMAND_LINE])


def worker_application(workspace: Workspace, settings: Settings) -> Any:
    """The web application of one worker, with its own watch over the folders."""
    from mloscope.app.process import logs
    from mloscope.app.serving import running_servers
    from mloscope.app.serving.ends_in_time import end_with_parent
    from mloscope.app.serving.running_servers import RunningServer
    from mloscope.app.web.access.prometheus import SHARED_FOLDER

    end_with_parent()
    recent_warnings = logs.configure(
        settings.log_level, settings.log_format, settings.secrets, shared_folder=os.environ.get(SHARED_FOLDER)
    )
    found = json.loads(os.environ.get(_ANNOUNCED, "null"))
    announced = RunningServer(Path(found[0]), found[1]) if found else None
    if announced:
        running_servers.use(announced)
    # Before it watches, so that the runs are those that it was started with.
    application = wiring.application(
        workspace,
        settings,
        wiring.model_service(settings),
        wiring.statistics(workspace, settings),
        recent_warnings,
        _link_folder(settings, announced),
    )
    _watched(workspace, settings, announced).start()
    return application


def _watched(workspace: Workspace, settings: Settings, announced: RunningServer | None) -> WatchedFolders:
    """The folders that the settings name, else those that ``mloscope connect`` finds."""
    from mloscope.app.workspace.watched_folders import WatchedFolders

    links = _link_folder(settings, announced)
    runs = links.folder if links else None
    corpora = Path(settings.watch_corpora) if settings.watch_corpora else announced and announced.corpora
    return WatchedFolders(workspace, runs, corpora)


def _link_folder(settings: Settings, announced: RunningServer | None) -> LinkFolder | None:
    """The folder of runs that is watched, where there is one."""
    from mloscope.app.workspace.links import LinkFolder

    folder = Path(settings.watch_runs) if settings.watch_runs else announced and announced.runs
    return LinkFolder(folder, announced.named("run") if announced else {}) if folder else None


def listener(settings: Settings) -> socket.socket:
    """The socket to listen on. Raises :class:`BadRequest` where strangers could come in and nobody said that they may."""
    from mloscope.app.accounts.users import users_of_server
    from mloscope.app.web.access.authentication import Authentication, check_address

    check_address(settings, Authentication(settings, users_of_server(settings, os.environ)))
    return _bind(settings.host, settings.port)


def _bind(host: str, port: int) -> socket.socket:
    """A socket that has the port, but does not listen yet. Raises :class:`BadRequest` saying how to choose
    another."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise BadRequest(f'"{host}" is not an address of this machine; --host needs one, such as 127.0.0.1.') from None
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # So that a server can be started again at once; it does not let two listen.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        listener.close()
        raise _cannot_bind(host, port, error) from None
    return listener


def _cannot_bind(host: str, port: int, error: Exception) -> BadRequest:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return _in_use(host, port)
    if number == errno.EACCES:
        return BadRequest(f"Port {port} of {host} is not allowed to you; choose one above 1023, such as --port 8050.")
    if number == errno.EADDRNOTAVAIL:
        return BadRequest(f"{host} is not an address of this machine; --host needs one, such as 127.0.0.1.")
    return BadRequest(f"Port {port} of {host} cannot be opened: {getattr(error, 'strerror', None) or error}.")


def _in_use(host: str, port: int) -> PortInUse:
    from mloscope.app.serving.running_servers import running_at

    other = f"choose another with --port {port + 1 if port < 65535 else port - 1}, or any free one with --port 0."
    server = running_at(port, os.environ)
    if server is None:
        return PortInUse(f"Port {port} of {host} is in use, perhaps by another mloscope; {other}")
    return PortInUse(
        f"Port {port} of {host} is in use by your server at {server.address}; mloscope connect PATH shows another run or "
        f"corpus there, or {other}"
    )


def _listen(
    application: Any,
    settings: Settings,
    listener: socket.socket,
    listening: Callable[[str], None],
) -> int:
    """Serve until told to stop; ``listening(address)`` is called when requests are answered."""
    import asyncio

    import uvicorn

    address = _address(settings, listener)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            try:
                await super().startup(sockets)
            except OSError as error:  # somebody else began to listen since the socket was bound
                port = listener.getsockname()[1]
                raise _cannot_bind(settings.host, port, error) from None
            listening(address)

    def is_a_fault(record: logging.LogRecord) -> bool:
        """Requests that are cut off by stopping are none."""
        return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))

    logging.getLogger("uvicorn.error").addFilter(is_a_fault)
    server = Server(_server_config(application, settings))
    server.run(sockets=[listener])
    return 0 if server.started else _FAILED


def _server_config(application: Any, settings: Settings, **more: Any) -> Any:
    import uvicorn

    from mloscope.app.serving.connections import MOST_HEAD_BYTES, ImpatientProtocol

    chosen = settings.log_level
    return uvicorn.Config(
        application,
        http=ImpatientProtocol,
        h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        log_config=None,
        log_level="warning" if chosen == "info" else chosen,
        access_log=False,  # the access gate logs requests, with their numbers
        proxy_headers=False,  # and know which proxies may be believed
        server_header=False,
        # A film being streamed to a browser must not keep Ctrl-C waiting.
        timeout_graceful_shutdown=_STOP_WITHIN_S,
        **more,
    )


def _address(settings: Settings, listener: socket.socket) -> str:
    return f"http://{_as_browsers_write(settings.host)}:{listener.getsockname()[1]}"


def _as_browsers_write(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _announce(workspace: Workspace, address: str, settings: Settings) -> None:
    for run in workspace.runs:
        if run.adaptor is not None:
            checkpoints = run.adaptor.checkpoints()
            broken = sum(bool(checkpoint.problem) for checkpoint in checkpoints)
            unreadable = f", {broken} of them unreadable" if broken else ""
            counted = f"{len(checkpoints)} checkpoint{'s' * (len(checkpoints) != 1)}{unreadable}"
            say(f"Run {printable(_called(run))}: {counted}, {len(run.adaptor.layers())} layers ({run.format}).\n")
            _announce_basis(workspace, run.name)
    for corpus in workspace.corpora:
        if corpus.adaptor is not None:
            say(f"Corpus {printable(_called(corpus))}: {len(corpus.adaptor):,} images ({corpus.format}).\n")
    if not workspace.corpora:
        say("No images are named, so there are no feature maps: add --images CORPUS.\n")
    if settings.unprotected:
        say("Anyone who can connect to this address has access without signing in.\n")
    if settings.url_prefix:
        say(f"A proxy shows it below {settings.url_prefix}/.\n")
    say(f"ML-o-scope listens on {address} (Ctrl-C stops it).\n")


def _announce_basis(workspace: Workspace, run: str) -> None:
    """What numbers of the run over its corpus will rest on."""
    try:
        lines = workspace.basis(run).lines()
    except MloscopeError as error:
        lines = [str(error)]
    for line in lines[:_LINES_OF_BASIS]:
        say(f"  {printable(line)}\n")
    if len(lines) > _LINES_OF_BASIS:
        say(f"  {len(lines) - _LINES_OF_BASIS} more notices: mloscope inspect, or the page.\n")


def _called(connected: ConnectedRun | ConnectedCorpus) -> str:
    """Its name, and what people call it where that is not the same."""
    called = connected.title not in ("", connected.name)
    return f"{connected.title} ({connected.name})" if called else connected.name


def _has_display(environment: Mapping[str, str]) -> bool:
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def show(address: str, *, wait: bool = False) -> None:
    """Open the address in a browser, where there is a display. In a thread of its own unless it is to be waited for: a
    browser in the foreground must not hold up the server."""
    import webbrowser

    if not _has_display(os.environ):
        return
    if wait:
        webbrowser.open(address)
        return
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
