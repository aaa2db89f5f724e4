"""Signing in and out: /login and /logout, pages that work without Dash.

GET  /login?next=/   a form      POST /login   name, password -> a session    POST /logout   the end of it
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from mloscope.app.errors import Forbidden, NotSignedIn, TooManyRequests
from mloscope.app.process.url_prefix import URL_PREFIX, without
from mloscope.app.web.access.authentication import Authentication, Origin
from mloscope.app.web.access.own_page import (
    CSRF_COOKIE,
    CSRF_SCOPE_KEY,
    NO_STORE,
    Handler,
    is_own_form,
    read_form,
    require_get,
)
from mloscope.app.web.access.prometheus import Metrics
from mloscope.app.web.templates import render

LOGIN_SCRIPT = """
document.querySelector("form").addEventListener("submit", (event) => { event.target.next.value += location.hash; });
"""
"""What is behind # is the view; browsers do not send it, so it would be lost on the way through the login page."""


class SignIn:
    """The two pages, by path."""

    def __init__(self, authentication: Authentication, metrics: Metrics, session_s: float) -> None:
        self._authentication = authentication
        self._metrics = metrics
        self._session_s = session_s
        self.routes: Mapping[str, Handler] = {"/login": self._login, "/logout": self._logout}

    async def _login(self, request: Request, origin: Origin) -> Response:
        if request.method == "POST":
            return await self._sign_in(request, origin)
        require_get(request)
        wanted = local_path(request.query_params.get("next", "/"))
        if not self._authentication.demanded:
            return RedirectResponse(wanted, 303, NO_STORE)
        return self._login_page(request, wanted)

    def _login_page(
        self, request: Request, wanted: str, name: str = "", problem: str = "", status: int = 200
    ) -> Response:
        page = render(
            "sign_in.html",
            script=LOGIN_SCRIPT,
            by_password=self._authentication.by_password,
            token=request.scope[CSRF_SCOPE_KEY],
            wanted=wanted,
            name=name,
            problem=problem,
        )
        return HTMLResponse(page, status, NO_STORE)

    async def _sign_in(self, request: Request, origin: Origin) -> Response:
        form = await read_form(request)
        name, wanted = form.get("name", "").strip(), local_path(form.get("next", "/"))
        if not is_own_form(request, form):
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
        answer = RedirectResponse(wanted, 303, NO_STORE)
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
            return RedirectResponse("/status", 303, NO_STORE)
        if not is_own_form(request, await read_form(request)):
            raise Forbidden("Sign out with the button on /status, so that no other site can do it for you.")
        answer = RedirectResponse("/login", 303, {**NO_STORE, "Clear-Site-Data": '"cache"'})
        answer.delete_cookie(
            self._authentication.session_cookie,
            path=URL_PREFIX.get() or "/",
            httponly=True,
            samesite="lax",
            secure=_is_secure(request, origin),
        )
        return answer


def local_path(wanted: str) -> str:
    """The path inside the application that somebody wants to go on to, else ``/``: never the address of another site."""
    path = without(URL_PREFIX.get(), wanted)
    if not path.startswith("/") or path[1:2] in ("/", "\\") or any(ord(letter) < 32 for letter in path):
        return "/"
    return path


def _is_secure(request: Request, origin: Origin) -> bool:
    """Whether cookies may be kept from plain HTTP. Browsers tell the scheme truly in Origin, known proxy or not."""
    return origin.scheme == "https" or request.headers.get("origin", "").startswith("https://")
