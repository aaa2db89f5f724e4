"""Requests to Dash itself, checked before Dash sees them: it answers 500 to what it does not expect.

    POST /_dash-update-component      one of our callbacks, with its inputs, and in them what our scripts write ──► Dash
    GET  /_dash-component-suites/...  a file that a component brought                                           ──► Dash

Anything else is refused with a sentence. So a callback can rely on what is in its stores, whoever sent it. Where an address is no page,
Dash shows that; the answer's status says it too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
import orjson
from dash.fingerprint import check_fingerprint
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from mloscope.app.errors import BadRequest, MloscopeError, NotFound, as_json
from mloscope.app.process.url_prefix import URL_PREFIX, inside
from mloscope.app.web.dash import ids, shell
from mloscope.app.web.dash.page import Page, ViewPart, view_schema

if TYPE_CHECKING:
    from dash import Dash
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLBACKS = "/_dash-update-component"
COMPONENT_FILES = "/_dash-component-suites/"
_NO_PAGES = ("/api/", "/assets/", "/_dash")
_NO_STORE = {"Cache-Control": "no-store"}
_QUICK_BYTES = 32 << 10
_STRICT = ConfigDict(strict=True)

Checks = Mapping[str, Callable[[Any], Any]]
"""By ``"id.property"`` of each input: raises ValueError unless the value can be."""


def checks_of(pages: Sequence[Page]) -> Checks:
    """Return what each input of a callback on the server may be: what the shell holds, and what pages declare."""
    view = view_schema(pages)

    def of_view(*keys: str) -> Any:
        def checked(held: dict[str, Any]) -> dict[str, Any]:
            view.check(held, keys or None)
            return held

        return Annotated[dict[str, Any], AfterValidator(checked)] | None

    held: dict[str, Any] = {**shell.HELD, f"{ids.VIEW}.data": of_view()}
    for page in pages:
        held |= page.controls
        for store in page.stores:
            held[f"{store.id}.data"] = of_view(*store.keys) if isinstance(store, ViewPart) else store.holds | None
    return {name: TypeAdapter(kind, config=_STRICT).validate_python for name, kind in held.items()}


class DashRequests:
    """An ASGI application around the one that Dash is part of."""

    def __init__(self, app: ASGIApp, dash_app: Dash, checks: Checks, paths: Iterable[str]) -> None:
        """``paths``: of the pages."""
        self._application = app
        self._dash = dash_app
        self._checks = checks
        self._paths = {path.strip("/") for path in paths}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                if scope["path"] == CALLBACKS and scope["method"] == "POST":
                    receive = await self._checked_callback(Request(scope, receive))
                    send = _as_json(send)
                elif scope["path"].startswith(COMPONENT_FILES):
                    self._check_file(scope["path"].removeprefix(COMPONENT_FILES))
            except MloscopeError as refusal:
                await JSONResponse(as_json(refusal), refusal.status, _NO_STORE)(scope, receive, send)
                return
            except ClientDisconnect:
                return
            if not scope["path"].startswith(_NO_PAGES) and scope["path"].strip("/") not in self._paths:
                send = _as_not_found(send)
        await self._application(scope, receive, send)

    async def _checked_callback(self, request: Request) -> Receive:
        """``receive`` with the request's body in hand."""
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise BadRequest("A callback is asked in JSON, with Content-Type: application/json.")
        body = await request.body()
        check = functools.partial(check_callback, body, self._dash.callback_map, self._checks)
        # What is large is not read where everybody waits for it.
        body = await (anyio.to_thread.run_sync(check) if len(body) > _QUICK_BYTES else _done(check))
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return whole.pop() if whole else await request.receive()

        return receive

    def _check_file(self, path: str) -> None:
        package, _, file = path.partition("/")
        if check_fingerprint(file)[0] not in self._dash.registered_paths.get(package, ()):
            raise NotFound(f"No component has a file {path[:200]}.")


def _as_json(send: Send) -> Send:
    """``send`` that says what Dash's answers to callbacks are: it does not."""

    async def send_as_json(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 204:
            message = {**message, "headers": list(message.get("headers", ()))}
            MutableHeaders(raw=message["headers"]).setdefault("content-type", "application/json")
        await send(message)

    return send_as_json


def _as_not_found(send: Send) -> Send:
    """``send`` with the status of an address that is no page, where Dash answers with its document."""

    async def sending(message: Message) -> None:
        is_start = message["type"] == "http.response.start" and message["status"] == 200
        if is_start and Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
            message = {**message, "status": 404}
        await send(message)

    return sending


async def _done(function: Callable[[], bytes]) -> bytes:
    return function()


def check_callback(body: bytes, callbacks: Mapping[str, Mapping[str, Any]], checks: Checks) -> bytes:
    """Return the body as Dash takes it: Dash knows no prefix of addresses.

    ``callbacks`` are Dash's, by their outputs. Raises :class:`BadRequest` or :class:`NotFound` unless the body asks one of
    them for its outputs, with its inputs, and each input is what it can be.
    """
    try:
        question = orjson.loads(body)
    except ValueError:
        question = None
    if not isinstance(question, dict):
        raise BadRequest("A callback is asked with a JSON object, and this is not one.")
    output = question.get("output")
    callback = callbacks.get(output) if isinstance(output, str) else None
    if callback is None or "callback" not in callback:
        raise NotFound("There is no such callback here; reload the page, which may be another version's.")
    _check_names(question, callback)
    for each in (*question["inputs"], *question.get("state", ())):
        name = f"{each['id']}.{each['property']}"
        if name in checks:
            _check_value(name, each.get("value"), checks[name])
    return _inside(question, body)


def _check_names(question: Mapping[str, Any], callback: Mapping[str, Any]) -> None:
    """Check that the question names the callback's inputs, states and outputs, in their order."""
    wanted = {"inputs": callback["inputs"], "state": callback["state"], "outputs": _outputs(callback)}
    for word, expected in wanted.items():
        given = question.get(word, [])
        listed = [given] if word == "outputs" and isinstance(given, dict) else given
        if not isinstance(listed, list) or [_named(each) for each in listed] != [_named(each) for each in expected]:
            raise BadRequest(f'The {word} of the callback "{question["output"]}" are others; reload the page.')
    changed = question.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(each, str) for each in changed):
        raise BadRequest("changedPropIds must be a list of names.")


def _check_value(name: str, value: Any, check: Callable[[Any], Any]) -> None:
    try:
        check(value)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in problem["loc"] if isinstance(part, int) or part.isidentifier())
        at = f", at {where}" if where else ""
        raise BadRequest(f"The value of {name} is not valid{at}: {problem['msg'].rstrip('.')}.") from None


def _inside(question: dict[str, Any], body: bytes) -> bytes:
    """Return the body with the path of the page as it is inside the application."""
    if not URL_PREFIX.get():
        return body
    for each in (*question["inputs"], *question.get("state", ())):
        if (each["id"], each["property"]) == ("_pages_location", "pathname") and each.get("value"):
            each["value"] = inside(each["value"])
    return orjson.dumps(question)


def _outputs(callback: Mapping[str, Any]) -> list[dict[str, str]]:
    if callback["no_output"]:
        return []
    outputs = callback["output"] if isinstance(callback["output"], list | tuple) else [callback["output"]]
    return [{"id": each.component_id, "property": each.component_property} for each in outputs]


def _named(each: Any) -> Any:
    return (each.get("id"), each.get("property")) if isinstance(each, dict) else None
