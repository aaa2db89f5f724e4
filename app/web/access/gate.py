"""What every request passes on its way in, and every answer on its way out. Pure ASGI: a stream goes through line by line.

    number the request ► is the name in Host ours? ► who asks? ► may they? ► did a page of ours send it? ► is it small enough?
        ► the application ► headers that tell the browser what it must not do ► count and log

A refusal is a sentence as JSON, or for somebody who is not signed in and wants a page, the way to /login.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import math
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mloscope.app.errors import (
    UNEXPECTED,
    BadRequest,
    Forbidden,
    MloscopeError,
    NotSignedIn,
    TooLarge,
    TooManyRequests,
    as_json,
)
from mloscope.app.process.logs import EXTRA
from mloscope.app.process.request_context import CALLER, NOBODY, REQUEST_ID, REQUEST_ID_HEADER, request_id_from
from mloscope.app.process.settings import Settings
from mloscope.app.process.terminal import printable
from mloscope.app.process.url_prefix import URL_PREFIX, announced, mounted, without
from mloscope.app.web.access.authentication import Authentication, Origin, is_loopback
from mloscope.app.web.access.browser_policy import (
    HEADERS,
    IMAGES_AND_DATA,
    PAGE_HEADERS,
    content_security_policy,
    framing,
)
from mloscope.app.web.access.heads import as_get
from mloscope.app.web.access.own_page import CSRF_COOKIE, CSRF_SCOPE_KEY, Handler
from mloscope.app.web.access.prometheus import Metrics
from mloscope.app.web.access.senders import Senders

logger = logging.getLogger(__name__)
requests_logger = logging.getLogger("mloscope.requests")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
DASH_CALLBACKS = "/_dash-update-component"
_ASKING = frozenset({DASH_CALLBACKS, "/api/v1/own-images"})
ICON = "/assets/icon.svg"
HEALTH = frozenset({"/healthz", "/readyz"})
"""They say nothing that a name would protect, and whoever looks after servers asks by any name, or none."""
OPEN_TO_ALL = HEALTH | {"/login", "/assets/theme.css", "/assets/access.css", ICON}
_FORM_LIMIT_BYTES = 16 << 10
_BODY_WITHIN_S = 60.0


class AccessGate:
    """An ASGI application around another one."""

    def __init__(
        self,
        application: ASGIApp,
        settings: Settings,
        authentication: Authentication,
        own_pages: Mapping[str, Handler],
        metrics: Metrics,
        script_hashes: Callable[[], Iterable[str]],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``own_pages``: those that work without Dash, by path. ``script_hashes``: of the inline scripts that pages have just
        now, see :func:`script_hash`."""
        self.application = application
        self.settings = settings
        self.authentication = authentication
        self.own_pages = own_pages
        self.metrics = metrics
        self.script_hashes = script_hashes
        self.clock = clock
        self.senders = Senders()
        self._warned_of_prefix = False
        self._names = {settings.host.lower(), "localhost", *(settings.allowed_hosts or ())}
        if not is_loopback(settings.host):
            self._names.add(socket.gethostname().lower())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.application(scope, receive, send)
        elif scope["type"] == "http":
            visit = _Visit(self, scope, receive, send)
            prefix = URL_PREFIX.set(visit.prefix)
            try:
                await visit.answer()
            finally:
                URL_PREFIX.reset(prefix)
        else:  # nothing of ours talks over web sockets
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    def answers_to(self, host: str) -> bool:
        """Whether the host of a Host header is a name of ours. Addresses are: a stranger who makes a name of theirs lead
        here (DNS rebinding) has the browser send that name."""
        found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d{1,5})?", host.lower())
        if found is None:
            return False
        name = found[1].rstrip(".")
        if _is_address(name.strip("[]")) or name.endswith(".localhost"):
            return True
        return any(name == ours or (ours.startswith(".") and name.endswith(ours)) for ours in self._names)

    def prefix_of(self, origin: Origin, headers: Mapping[str, str]) -> str:
        """The path below which the browser that asks sees this server: as a trusted proxy says, else as it is set."""
        said = headers.get("x-forwarded-prefix", "")
        if origin.proxied and said.strip():
            prefix = announced(said)
            if prefix is not None:
                return prefix
            if not self._warned_of_prefix:
                self._warned_of_prefix = True
                logger.warning(
                    'X-Forwarded-Prefix is "%s", which is not a path such as "/tools/mloscope"; it is ignored. This is logged once.',
                    printable(said[:100]),
                )
        return self.settings.url_prefix


class _Visit:
    """One request."""

    def __init__(self, gate: AccessGate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate = gate
        self.receive = receive
        self._send = send
        self.method: str = scope["method"]
        self.headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            joined_by = "; " if key == "cookie" else ", "
            self.headers[key] = f"{self.headers[key]}{joined_by}{text}" if key in self.headers else text
        self.cookies = cookie_parser(self.headers.get("cookie", ""))
        client = scope.get("client")
        peer = client[0] if client else ""
        self.origin = gate.authentication.origin(peer, scope.get("scheme", "http"), self.headers)
        self.prefix = gate.prefix_of(self.origin, self.headers)
        self.path = without(self.prefix, scope["path"])
        scope = {**scope, "scheme": self.origin.scheme}
        if self.path != scope["path"]:
            scope |= {"path": self.path, "raw_path": quote(self.path).encode()}
        self.scope = scope
        known = self.cookies.get(CSRF_COOKIE, "")
        self.has_csrf_token = re.fullmatch(r"[\w-]{16,64}", known) is not None
        scope[CSRF_SCOPE_KEY] = self.csrf_token = known if self.has_csrf_token else secrets.token_urlsafe(24)
        self.caller = NOBODY
        self.status = 0
        self.refusal: MloscopeError | None = None

    async def answer(self) -> None:
        metrics, began = self.gate.metrics, self.gate.clock()
        number = REQUEST_ID.set(request_id_from(self.headers.get(REQUEST_ID_HEADER, "")))
        asking = CALLER.set(NOBODY)
        metrics.began()
        try:
            await self._admitted()
        except MloscopeError as refusal:
            await self._refuse(refusal)
        except Exception as error:
            # FastAPI's handler answers with 500 and logs, and then the error comes here as well.
            if self.status != 500:
                logger.error("%s %s", self.method, printable(self.path), exc_info=error)
            if not self.status:
                await self._refuse(MloscopeError(UNEXPECTED))
        finally:
            seconds = self.gate.clock() - began
            method = self.method if self.method in _METHODS else "other"
            metrics.ended(method, self._route(), self.status or 499, seconds)
            self._log(seconds)
            CALLER.reset(asking)
            REQUEST_ID.reset(number)

    async def _admitted(self) -> None:
        """Raises :class:`MloscopeError` where the request is not to go further."""
        gate = self.gate
        self._check_host()
        own_page = gate.own_pages.get(self.path)
        if self.path not in OPEN_TO_ALL or "authorization" in self.headers:
            self.caller = gate.authentication.caller(self.origin, self.headers, self.cookies)
            CALLER.set(self.caller)
        if self.method not in SAFE_METHODS:
            csrf_cookie = self.csrf_token if self.has_csrf_token else None
            gate.senders.check(self.caller, self.origin, self.headers, csrf_cookie, form=own_page is not None)
            if own_page is None and not self._asks_only() and self.caller.role != "editor":
                raise Forbidden(f"{self.caller.name} is a viewer, and only an editor may do this.")
        receive, send = await self._body_within(self._limit(own_page is not None)), self.send
        if self.method == "HEAD":
            self.scope, receive, send = as_get(self.scope, receive, send)
        if own_page is not None:
            response = await own_page(Request(self.scope, receive), self.origin)
            await response(self.scope, receive, send)
        else:
            await gate.application(self.scope, receive, send)

    def _check_host(self) -> None:
        """Raises :class:`BadRequest`. No browser leaves the name out, and none sends a token by itself."""
        host = self.headers.get("host")
        if host is None or self.path in HEALTH or self.gate.answers_to(host):
            return
        if self.headers.get("authorization", "").lower().startswith("bearer ") and self.gate.authentication.demanded:
            return
        raise BadRequest(
            f'This server does not answer to the name "{printable(host[:100]) or "(none)"}"; MLOSCOPE_ALLOWED_HOSTS says to which. A '
            "proxy has to hand on Host as the browser sent it."
        )

    # ---- what it carries

    def _limit(self, is_form: bool) -> int:
        """How many bytes may be sent."""
        if is_form:
            return _FORM_LIMIT_BYTES
        settings = self.gate.settings
        return min(
            settings.body_limit_bytes, settings.callback_limit_bytes if self.path == DASH_CALLBACKS else math.inf
        )

    async def _body_within(self, limit: int) -> Receive:
        """``receive`` with the whole body in hand. Raises :class:`TooLarge` before more than the limit is."""
        length = self.headers.get("content-length", "0")
        if length == "0" and "transfer-encoding" not in self.headers:
            return self.receive
        variable = "MLOSCOPE_CALLBACK_LIMIT_BYTES" if self.path == DASH_CALLBACKS else "MLOSCOPE_BODY_LIMIT_BYTES"
        too_large = TooLarge(f"What was sent is larger than {limit:,} bytes, the most that is taken ({variable}).")
        if length.isdecimal() and int(length) > limit:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_WITHIN_S):
                more = True
                while more:
                    message = await self.receive()
                    if message["type"] == "http.disconnect":
                        raise BadRequest("The connection ended in the middle of the request.")
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > limit:
                        raise too_large
        except TimeoutError:
            raise BadRequest(f"The request did not arrive within {_BODY_WITHIN_S:g} seconds.") from None
        whole: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def receive() -> Message:
            return whole.pop() if whole else await self.receive()

        return receive

    # ---- the answer

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = list(message.get("headers", ()))  # the response's own list may be sent once more
            self._guard_headers(MutableHeaders(raw=headers))
            message = {**message, "headers": headers}
        await self._send(message)

    def _guard_headers(self, headers: MutableHeaders) -> None:
        is_page = headers.get("content-type", "").startswith("text/html")
        is_ours = is_page and not self.path.startswith("/api/") and self.path != "/login"
        framed, frames = framing(self.gate.settings.frame_ancestors or () if is_ours else ())
        for name, value in (HEADERS | framed | (PAGE_HEADERS if is_page else {})).items():
            headers[name] = value
        headers[REQUEST_ID_HEADER] = REQUEST_ID.get()
        if "location" in headers:
            headers["location"] = mounted(headers["location"])
        brought = headers.get("content-security-policy")
        if brought is not None:
            headers["content-security-policy"] = f"{brought}; {frames}"
        elif self.path.startswith("/api/") or not is_page:
            headers["content-security-policy"] = f"{IMAGES_AND_DATA}; {frames}"
        else:
            headers["content-security-policy"] = content_security_policy(self.gate.script_hashes(), frames)
        if self.status == 200 and "cache-control" not in headers:
            if self.path == ICON:  # Chromium asks for it whenever the address changes, unless it may keep it
                headers["cache-control"] = "public, max-age=86400"
            elif self.path.startswith("/assets/") and self.scope["query_string"].startswith(
                b"m="
            ):  # Dash: when it changed
                headers["cache-control"] = "public, max-age=31536000, immutable"
        if self.caller.via != "open":  # nobody on the way may keep it for others
            headers["cache-control"] = headers.get("cache-control", "no-cache").replace("public", "private")
            headers.add_vary_header("Cookie, Authorization")
        if is_page and not self.has_csrf_token:
            # Dash's script reads it as well, so not HttpOnly: it proves where a request comes from, and not whose it is.
            secure = "; Secure" if self.origin.scheme == "https" else ""
            headers.append(
                "set-cookie", f"{CSRF_COOKIE}={self.csrf_token}; Path={self.prefix or '/'}; SameSite=Strict{secure}"
            )

    async def _refuse(self, refusal: MloscopeError) -> None:
        self.refusal = refusal
        self.gate.metrics.refused(refusal.kind)
        if self.status:  # the answer has begun: all that is left is to end it
            return
        await self._refusal(refusal)(self.scope, self.receive, self.send)

    def _refusal(self, refusal: MloscopeError) -> Response:
        if isinstance(refusal, NotSignedIn) and self._wants_page() and "authorization" not in self.headers:
            query = self.scope["query_string"].decode("latin-1")
            wanted = quote(self.path) + (f"?{query}" if query else "")
            where = "/login" if wanted == "/" else f"/login?next={quote(wanted, safe='')}"
            return RedirectResponse(where, 303, {"Cache-Control": "no-store"})
        headers = {"Cache-Control": "no-store"}
        if isinstance(refusal, NotSignedIn):
            headers["WWW-Authenticate"] = 'Bearer realm="ML-o-scope"'
        if isinstance(refusal, TooManyRequests):
            headers["Retry-After"] = str(math.ceil(refusal.retry_after_s))
        return JSONResponse(as_json(refusal), refusal.status, headers)

    def _asks_only(self) -> bool:
        """Whether what is sent changes nothing for others, so that viewers may send it too."""
        return self.method == "POST" and self.path in _ASKING

    def _wants_page(self) -> bool:
        accepts = "text/html" in self.headers.get("accept", "")
        return self.method in ("GET", "HEAD") and accepts and not self.path.startswith(("/api/", "/_dash", "/assets/"))

    # ---- what is known of it afterwards

    def _route(self) -> str:
        if self.path in self.gate.own_pages:
            return self.path
        if self.refusal is not None:
            return "refused"
        pattern = getattr(self.scope.get("route"), "path", None)
        if pattern is None:
            return "/assets" if self.path.startswith("/assets/") else "other"
        return str(pattern)

    def _log(self, seconds: float) -> None:
        quiet = self.gate.settings.log_format == "text" or self.path == "/healthz"  # which is asked every few seconds
        facts: dict[str, Any] = {
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "seconds": round(seconds, 4),
            "address": self.origin.address,
        }
        if self.refusal is not None:
            facts["refused"] = str(self.refusal)
        requests_logger.log(
            logging.DEBUG if quiet else logging.INFO,
            "%s %s %d %.3f s%s",
            self.method,
            printable(self.path),  # or a line in it would look like one of ours
            self.status,
            seconds,
            f" {self.refusal}" if self.refusal is not None else "",
            extra={EXTRA: facts},
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
