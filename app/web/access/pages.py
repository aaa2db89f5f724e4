"""The pages at the doors, which work without Dash and, but for /status and /metrics, without being signed in.

GET  /login?next=/   a form      POST /login   name, password -> a session    POST /logout   the end of it
GET  /status         what is cached, what runs, what failed
GET  /healthz        200 while the process answers
GET  /readyz         200 while it can answer everything: the cache answers, and the model service is ready or was never there
GET  /metrics        see metrics.py
"""

from __future__ import annotations

import asyncio
import datetime
import hmac
import math
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from mloscope.app.errors import BadRequest, Forbidden, MloscopeError, NotSignedIn, TooManyRequests
from mloscope.app.observatory import Observatory
from mloscope.app.process.logs import Trouble, resident_bytes
from mloscope.app.process.request_context import CALLER
from mloscope.app.process.url_prefix import URL_PREFIX, without
from mloscope.app.statistics.disk_usage import DaskCluster, KeptStatistics
from mloscope.app.web.access.authentication import Authentication, Origin
from mloscope.app.web.access.metrics import CONTENT_TYPE, Metrics
from mloscope.app.web.access.status_page import REFRESH_S, Connected, Seen
from mloscope.app.web.dash.shell import THEME_SCRIPT
from mloscope.app.web.templates import render
from mloscope.app.web.templates.filters import as_bytes

Handler = Callable[[Request, Origin], Awaitable[Response]]

CSRF_COOKIE = "_csrf_token"
"""The name under which Dash looks for it."""
CSRF_SCOPE_KEY = "mloscope.csrf_token"
"""Where a page finds the token that its forms send back; the doors put it there, and set the cookie."""
LOGIN_SCRIPT = """
document.querySelector("form").addEventListener("submit", (event) => { event.target.next.value += location.hash; });
"""
"""What is behind # is the view; browsers do not send it, so it would be lost on the way through the login page."""
_NO_STORE = {"Cache-Control": "no-store"}


class Pages:
    """The handlers by path."""

    def __init__(
        self,
        authentication: Authentication,
        observatory: Observatory,
        metrics: Metrics,
        session_s: float,
        troubles: Callable[[], Iterable[Trouble]] = tuple,
        dask_address: str | None = None,
    ) -> None:
        """``troubles``: the last warnings and errors that were logged, the newest first. ``dask_address``: of the cluster that
        computes statistics; None: this machine does."""
        self._authentication = authentication
        self._observatory = observatory
        self._metrics = metrics
        self._session_s = session_s
        self._troubles = troubles
        self._began = datetime.datetime.now(datetime.UTC)
        self._cluster = DaskCluster(dask_address) if dask_address else None
        self._asking: asyncio.Task[dict[str, dict[str, Any]]] | None = None
        self.routes: Mapping[str, Handler] = {
            "/login": self._login,
            "/logout": self._logout,
            "/status": self._status,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics_page,
        }

    # ---- signing in and out

    async def _login(self, request: Request, origin: Origin) -> Response:
        if request.method == "POST":
            return await self._sign_in(request, origin)
        _must_be_get(request)
        wanted = local_path(request.query_params.get("next", "/"))
        if not self._authentication.demanded:
            return RedirectResponse(wanted, 303, _NO_STORE)
        return self._login_page(request, wanted)

    def _login_page(
        self, request: Request, wanted: str, name: str = "", problem: str = "", status: int = 200
    ) -> Response:
        page = render(
            "sign_in.html",
            theme_script=THEME_SCRIPT,
            script=LOGIN_SCRIPT,
            by_password=self._authentication.by_password,
            token=request.scope[CSRF_SCOPE_KEY],
            wanted=wanted,
            name=name,
            problem=problem,
        )
        return HTMLResponse(page, status, _NO_STORE)

    async def _sign_in(self, request: Request, origin: Origin) -> Response:
        form = await _form(request)
        name, wanted = form.get("name", "").strip(), local_path(form.get("next", "/"))
        if not _returned(request, form):
            problem = "The page was too old; please try once more."
            if CSRF_COOKIE not in request.cookies:
                problem = "Signing in needs cookies, and none came back. Let this site keep cookies, and try once more."
            return self._login_page(request, wanted, name, problem, 403)
        try:
            session = await self._authentication.sign_in(name, form.get("password", ""), origin.address)
        except (NotSignedIn, TooManyRequests) as refusal:
            self._metrics.signed_in(refusal.kind)
            answer = self._login_page(request, wanted, name, str(refusal), refusal.status)
            if isinstance(refusal, TooManyRequests):
                answer.headers["Retry-After"] = str(math.ceil(refusal.retry_after_s))
            return answer
        self._metrics.signed_in("signed-in")
        answer = RedirectResponse(wanted, 303, _NO_STORE)
        answer.set_cookie(
            self._authentication.session_cookie,
            session,
            max_age=int(self._session_s),
            path=URL_PREFIX.get() or "/",
            httponly=True,
            samesite="lax",
            secure=_is_secure(request, origin),
        )
        return answer

    async def _logout(self, request: Request, origin: Origin) -> Response:
        if request.method != "POST":
            return RedirectResponse("/status", 303, _NO_STORE)
        if not _returned(request, await _form(request)):
            raise Forbidden("Sign out with the button on /status, so that no other site can do it for you.")
        answer = RedirectResponse("/login", 303, {**_NO_STORE, "Clear-Site-Data": '"cache"'})
        answer.delete_cookie(
            self._authentication.session_cookie,
            path=URL_PREFIX.get() or "/",
            httponly=True,
            samesite="lax",
            secure=_is_secure(request, origin),
        )
        return answer

    # ---- how the server is

    async def _healthz(self, request: Request, origin: Origin) -> Response:
        _must_be_get(request)
        return JSONResponse({"alive": True}, headers=_NO_STORE)

    async def _readyz(self, request: Request, origin: Origin) -> Response:
        """States in one word each: strangers may read this."""
        _must_be_get(request)
        vitals = await self._vitals()
        cache = "ready" if vitals["cache"].get("available") else "unreachable"
        service = vitals["model_service"]["state"]
        ready = cache == "ready" and service in ("ready", "not installed")
        body = {"ready": ready, "cache": cache, "model_service": service}
        return JSONResponse(body, 200 if ready else 503, _NO_STORE)

    async def _metrics_page(self, request: Request, origin: Origin) -> Response:
        _must_be_get(request)
        return Response(
            await anyio.to_thread.run_sync(self._metrics.exposition), headers={"Content-Type": CONTENT_TYPE}
        )

    async def _vitals(self) -> dict[str, dict[str, Any]]:
        """Asked once for all who want them at the same time: strangers may ask /readyz as often as they like."""
        loop = asyncio.get_running_loop()
        if self._asking is None or self._asking.done() or self._asking.get_loop() is not loop:
            self._asking = loop.create_task(anyio.to_thread.run_sync(self._observatory.vitals))
        return await asyncio.shield(self._asking)

    async def _status(self, request: Request, origin: Origin) -> Response:
        _must_be_get(request)
        vitals = await self._vitals()
        seen = await anyio.to_thread.run_sync(self._seen, vitals)
        page = render(
            "status.html",
            theme_script=THEME_SCRIPT,
            seen=seen,
            refresh_s=REFRESH_S,
            caller=CALLER.get(),
            token=request.scope[CSRF_SCOPE_KEY],
        )
        return HTMLResponse(page, headers=_NO_STORE)

    @cached_property
    def _kept(self) -> KeptStatistics:
        return KeptStatistics(self._observatory.statistics.store.folder)

    def _seen(self, vitals: Mapping[str, Mapping[str, Any]]) -> Seen:
        caller = CALLER.get()
        return Seen(
            at=datetime.datetime.now(datetime.UTC),
            vitals=vitals,
            jobs=self._jobs(),
            cluster=self._cluster.look() if self._cluster is not None else None,
            kept=self._kept.look(),
            connected=list(self._connected()),
            troubles=list(self._troubles()),
            began=self._began,
            process=list(self._process_facts()),
            in_detail=caller.is_owner or (caller.role == "editor" and caller.via != "open"),
        )

    def _connected(self) -> Iterable[Connected]:
        for run in self._observatory.workspace.runs:
            holds, problem, broken = "", run.problem, []
            if run.adaptor is not None:
                try:
                    checkpoints = self._observatory.checkpoints(run.name)
                    broken = [(each.name, each.problem) for each in checkpoints if each.problem]
                    holds = f"{len(checkpoints):,} checkpoints"
                except MloscopeError as error:
                    problem = str(error)
            yield Connected("run", run.name, run.format or "", holds, problem, run.gone, broken, run.title)
        for corpus in self._observatory.workspace.corpora:
            holds = f"{len(corpus.adaptor):,} images" if corpus.adaptor is not None else ""
            yield Connected(
                "corpus", corpus.name, corpus.format or "", holds, corpus.problem, corpus.gone, title=corpus.title
            )

    def _jobs(self) -> list[tuple[tuple[str, str, str], Mapping[str, Any]]]:
        """Computations of statistics: run, corpus and split, and how far they are."""
        jobs, workspace = self._observatory.statistics.jobs, self._observatory.workspace
        if jobs is None:
            return []
        runs, corpora = {run.name for run in workspace.runs}, {corpus.name for corpus in workspace.corpora}
        # Another server of this machine may keep its statistics in the same folder.
        ours = [subject for subject in jobs.subjects() if subject[0] in runs and subject[1] in corpora]
        return [(subject, jobs.state(*subject)) for subject in ours]

    def _process_facts(self) -> Iterable[tuple[str, str]]:
        memory = resident_bytes()
        if memory is not None:
            yield "memory", as_bytes(memory)
        others = self._metrics.processes()
        yield "process", f"{os.getpid()}, one of {others} that share the work" if others > 1 else str(os.getpid())
        yield "evaluations", f"{self._metrics.evaluations:,.0f} asked for"


def local_path(wanted: str) -> str:
    """The path inside the application that somebody wants to go on to, else ``/``: never the address of another site."""
    path = without(URL_PREFIX.get(), wanted)
    if not path.startswith("/") or path[1:2] in ("/", "\\") or any(ord(letter) < 32 for letter in path):
        return "/"
    return path


def _must_be_get(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        raise BadRequest(f"{request.url.path} is read with GET.")


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name."""
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise BadRequest("The form is none that a page of this server sends.") from None
    return {name: values[-1] for name, values in fields.items()}


def _returned(request: Request, form: Mapping[str, str]) -> bool:
    """Whether the hidden field is the cookie: another site's form cannot know it."""
    cookie = request.cookies.get(CSRF_COOKIE, "")
    return bool(cookie) and hmac.compare_digest(cookie.encode(), form.get("token", "").encode())


def _is_secure(request: Request, origin: Origin) -> bool:
    """Whether cookies may be kept from plain HTTP. Browsers tell the scheme truly in Origin, known proxy or not."""
    return origin.scheme == "https" or request.headers.get("origin", "").startswith("https://")
