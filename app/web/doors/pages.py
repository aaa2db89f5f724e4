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
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import parse_qs

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from mloscope.app.errors import BadRequest, Forbidden, MloscopeError, NotSignedIn, TooManyRequests
from mloscope.app.logs import Trouble, resident_bytes
from mloscope.app.observatory import Observatory
from mloscope.app.request_context import ASKER
from mloscope.app.web.doors.authentication import SESSION_COOKIE, Authentication, Origin
from mloscope.app.web.doors.metrics import CONTENT_TYPE, Metrics
from mloscope.app.web.shell import THEME_SCRIPT

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
_REFRESH_S = 10
_PASSING = ("starting", "restarting")


class Pages:
    """The handlers by path."""

    def __init__(
        self,
        authentication: Authentication,
        observatory: Observatory,
        metrics: Metrics,
        session_s: float,
        troubles: Callable[[], Iterable[Trouble]] = tuple,
    ) -> None:
        """``troubles``: the last warnings and errors that were logged, the newest first."""
        self._authentication = authentication
        self._observatory = observatory
        self._metrics = metrics
        self._session_s = session_s
        self._troubles = troubles
        self._began = time.monotonic()
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
        hidden = f'<input type="hidden" name="token" value="{request.scope[CSRF_SCOPE_KEY]}">'
        alert = f'<p role="alert">{escape(problem)}</p>'
        if self._authentication.by_password:
            fields = (
                f'{hidden}<input type="hidden" name="next" value="{escape(wanted)}">'
                '<label class="door-field">Name<input name="name" autocomplete="username" autocapitalize="none" '
                f'spellcheck="false" required maxlength="64" value="{escape(name)}"{"" if name else " autofocus"}></label>'
                '<label class="door-field">Password<input name="password" type="password" maxlength="1024" '
                f'autocomplete="current-password" required{" autofocus" if name else ""}></label>'
                f'<button class="door-button">Sign in</button>{alert}'
            )
        else:
            fields = "<p>Come in through the proxy in front of this server, which knows who you are.</p>"
        page = _page(
            "Sign in",
            "door-sign-in",
            f'<form class="door-form" method="post" action="/login"><h1 class="door-brand">{_BRAND}</h1>{fields}</form>'
            f"<script>{LOGIN_SCRIPT}</script>",
        )
        return HTMLResponse(page, status, _NO_STORE)

    async def _sign_in(self, request: Request, origin: Origin) -> Response:
        form = await _form(request)
        name, wanted = form.get("name", "").strip(), local_path(form.get("next", "/"))
        if not _returned(request, form):
            return self._login_page(request, wanted, name, "The page was too old; please try once more.", 403)
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
            SESSION_COOKIE,
            session,
            max_age=int(self._session_s),
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
        answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax", secure=_is_secure(request, origin))
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
        connected = await anyio.to_thread.run_sync(self._connected)
        return HTMLResponse(
            _page(
                "Status",
                "door-status",
                self._bar(request)
                + f'<h1 class="door-summary">{escape(_summary(vitals, connected))}</h1>'
                + '<div class="door-columns">'
                + _section("Cache", _cache_facts(vitals["cache"]))
                + _section("Model service", _service_facts(vitals["model_service"]))
                + _section("This web process", self._process_facts())
                + "</div>"
                + _jobs_table(await anyio.to_thread.run_sync(self._jobs))
                + _connected_table(connected)
                + _troubles_table(self._troubles()),
                head=f'<meta http-equiv="refresh" content="{_REFRESH_S}">',
            ),
            headers=_NO_STORE,
        )

    def _bar(self, request: Request) -> str:
        asker = ASKER.get()
        who = ""
        if asker.name:
            who = f'<span class="door-quiet">{escape(asker.name)}, {asker.role}</span>'
        if asker.via == "session":
            token = request.scope[CSRF_SCOPE_KEY]
            who += (
                f'<form method="post" action="/logout"><input type="hidden" name="token" value="{token}">'
                '<button class="door-small-button">Sign out</button></form>'
            )
        return (
            f'<header class="door-bar"><a class="door-brand" href="/">{_BRAND}</a><span class="door-space"></span>'
            f'<a href="/api/docs">REST API</a>{who}</header>'
        )

    def _connected(self) -> list[tuple[str, str, str, str, str | None]]:
        """Kind, name, format, what it holds, problem, of runs and corpora."""
        rows = []
        for run in self._observatory.workspace.runs:
            holds, problem = "", run.problem
            if run.adaptor is not None:
                try:
                    checkpoints = self._observatory.checkpoints(run.name)
                    broken = sum(bool(checkpoint.problem) for checkpoint in checkpoints)
                    holds = f"{len(checkpoints):,} checkpoints"
                    problem = f"{broken} of them cannot be read." if broken else None
                except MloscopeError as error:
                    problem = str(error)
            rows.append(("run", run.name, run.format or "", holds, problem))
        for corpus in self._observatory.workspace.corpora:
            holds = f"{len(corpus.adaptor):,} images" if corpus.adaptor is not None else ""
            rows.append(("corpus", corpus.name, corpus.format or "", holds, corpus.problem))
        return rows

    def _jobs(self) -> list[tuple[tuple[str, str, str], Mapping[str, Any]]]:
        """Computations of statistics: run, corpus and split, and how far they are."""
        jobs = self._observatory.statistics.jobs
        return [(subject, jobs.state(*subject)) for subject in jobs.subjects()] if jobs is not None else []

    def _process_facts(self) -> Iterable[tuple[str, str]]:
        yield "up for", _duration(time.monotonic() - self._began)
        memory = resident_bytes()
        if memory is not None:
            yield "memory", _bytes(memory)
        yield "process", str(os.getpid())
        yield "evaluations", f"{self._metrics.evaluations:,.0f} asked for"


def local_path(wanted: str) -> str:
    """The path on this server that somebody wants to go on to, else ``/``: never the address of another site."""
    if not wanted.startswith("/") or wanted[1:2] in ("/", "\\") or any(ord(letter) < 32 for letter in wanted):
        return "/"
    return wanted


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


# ------------------------------------------------------------------------------------------------------ HTML

_BRAND = '<span class="door-mark"></span>ML-o-scope'


def _page(title: str, kind: str, body: str, head: str = "") -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} · ML-o-scope</title>{head}"
        f'<link rel="icon" href="data:,"><script>{THEME_SCRIPT}</script>'
        '<link rel="stylesheet" href="/assets/theme.css"><link rel="stylesheet" href="/assets/doors.css">'
        f'</head><body class="door-page"><main class="{kind}">{body}</main></body></html>'
    )


def _section(title: str, facts: Iterable[tuple[str, str]]) -> str:
    """``facts``: words and HTML."""
    rows = "".join(f"<dt>{escape(word)}</dt><dd>{value}</dd>" for word, value in facts)
    return f'<section><h2>{title}</h2><dl class="door-facts">{rows}</dl></section>'


def _state(words: str, state: str) -> str:
    return f'<span class="door-state" data-state="{state}">{escape(words)}</span>'


def _summary(
    vitals: Mapping[str, Mapping[str, Any]], connected: Iterable[tuple[str, str, str, str, str | None]]
) -> str:
    service = vitals["model_service"]["state"]
    wrong = []
    if not vitals["cache"].get("available"):
        wrong.append("the cache does not answer")
    if service not in ("ready", "not installed"):
        wrong.append(f"the model service is {service}")
    broken = sum(bool(problem) for *_, problem in connected)
    if broken:
        wrong.append(f"{broken} of the runs and corpora {'has' if broken == 1 else 'have'} a problem")
    if not wrong:
        return "All is well."
    sentence = ", and ".join(wrong)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _cache_facts(cache: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "kept in", "Redis" if cache.get("kind") == "redis" else "memory of this process"
    yield "state", _state("answers", "good") if cache.get("available") else _state("does not answer", "bad")
    if cache.get("problem"):
        yield "", f'<span class="door-bad">{escape(str(cache["problem"]))}</span>'
    if cache.get("budget_bytes"):
        share = 100 * cache["used_bytes"] / cache["budget_bytes"]
        meter = f'<span class="door-meter"><span style="width: {share:.1f}%"></span></span>'
        yield "used", f"{_bytes(cache['used_bytes'])} of {_bytes(cache['budget_bytes'])}{meter}"
        yield "results", f"{cache['entries']:,}"
    asked = sum(cache.get(word, 0) for word in ("hits", "joined", "misses"))
    if asked:
        yield "found", f"{cache['hits']:,} of {asked:,} ({cache['hits'] / asked:.0%})"
        yield "computed", f"{cache['misses']:,}"
        yield "shared", f"{cache['joined']:,} while others computed them"


def _service_facts(service: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    state = service["state"]
    look = "good" if state == "ready" else "waiting" if state in (*_PASSING, "not installed") else "bad"
    yield "state", _state(state, look)
    if service.get("problem"):
        yield "", escape(str(service["problem"]))
    if service.get("device"):
        yield "device", escape(str(service["device"]))
    if service.get("waiting") is not None:
        yield "waiting", f"{service['waiting']:,} questions"
    if service.get("answered") is not None:
        yield "answered", f"{service['answered']:,} questions"
    if service.get("checkpoints_evaluated") is not None:
        yield "evaluated", f"{service['checkpoints_evaluated']:,} checkpoints"
    if service.get("weights_budget_bytes"):
        yield "weights", f"{_bytes(service['weights_bytes'])} of {_bytes(service['weights_budget_bytes'])}"
    if service.get("memory_bytes"):
        yield "memory", _bytes(service["memory_bytes"])


def _jobs_table(jobs: Iterable[tuple[tuple[str, str, str], Mapping[str, Any]]]) -> str:
    looks = {"failed": "bad", "paused": "waiting", "cancelled": "waiting"}
    rows = ""
    for (run, corpus, split), said in jobs:
        share = said["done"] / said["of"] if said.get("done") is not None and said.get("of") else None
        far = f"{share:.0%}" if share is not None else ""
        left = f", {_duration(said['seconds_left'])} left" if said.get("seconds_left") else ""
        rows += (
            f'<tr><td class="door-name">{escape(run)}</td><td>{escape(corpus)}</td><td>{escape(split)}</td>'
            f'<td class="door-name">{_state(said["state"], looks.get(said["state"], "good"))}</td>'
            f'<td class="door-number door-name">{far}{left}</td><td>{escape(str(said.get("message") or ""))}</td></tr>'
        )
    if not rows:
        return '<section class="door-part"><h2>What runs</h2><p class="door-quiet">No statistics were started here.</p></section>'
    return (
        '<section><h2>What runs</h2><table class="door-table"><thead><tr><th>statistics of</th><th>corpus</th><th>split</th>'
        f'<th></th><th class="door-number">done</th><th></th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _connected_table(connected: Iterable[tuple[str, str, str, str, str | None]]) -> str:
    rows = "".join(
        f'<tr><td class="door-quiet">{kind}</td><td class="door-name">{escape(name)}</td><td>{escape(form)}</td>'
        f'<td class="door-number door-name">{holds}</td><td class="door-bad">{escape(problem or "")}</td></tr>'
        for kind, name, form, holds, problem in connected
    )
    return (
        '<section><h2>Runs and corpora</h2><table class="door-table"><thead><tr><th></th><th>name</th><th>format</th>'
        f'<th class="door-number">holds</th><th>problem</th></tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _troubles_table(troubles: Iterable[Trouble]) -> str:
    now = datetime.datetime.now(datetime.UTC)
    rows = "".join(
        f'<tr><td class="door-name door-quiet">{_duration((now - trouble.time).total_seconds())} ago</td>'
        f"<td>{trouble.level}</td><td>{escape(trouble.message)}</td>"
        f'<td class="door-mono">{escape(trouble.request_id)}</td></tr>'
        for trouble in troubles
    )
    if not rows:
        return '<section><h2>What failed</h2><p class="door-quiet">Nothing, since the process began.</p></section>'
    return (
        '<section><h2>What failed</h2><table class="door-table"><thead><tr><th>when</th><th></th><th>what</th>'
        f"<th>request</th></tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _bytes(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
