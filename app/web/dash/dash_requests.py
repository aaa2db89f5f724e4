"""What is asked of Dash itself, looked at before Dash sees it: what it does not expect, it answers with 500.

    POST /_dash-update-component      one of our callbacks, with its inputs, and in them what our scripts write ──► Dash
    GET  /_dash-component-suites/...  a file that a component brought                                           ──► Dash

Anything else is refused with a sentence. So a callback can rely on what is in its stores, whoever sent it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio.to_thread
import orjson
from dash.fingerprint import check_fingerprint
from pydantic import AfterValidator, BaseModel, ConfigDict, NonNegativeInt, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from mloscope.app.errors import BadRequest, MloscopeError, NotFound, as_json
from mloscope.app.observatory import RANKING_RULES
from mloscope.app.process.url_prefix import URL_PREFIX, inside
from mloscope.app.web import view_state
from mloscope.app.web.dash import ids

if TYPE_CHECKING:
    from dash import Dash
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALLBACKS = "/_dash-update-component"
COMPONENT_FILES = "/_dash-component-suites/"
_NO_STORE = {"Cache-Control": "no-store"}
_QUICK_BYTES = 32 << 10

# ------------------------------------------------------------------------------------------------ what stores hold


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Checkpoint(_Stored):
    step: int
    label: str


class _Subject(_Stored):
    run: str | None
    corpus: str | None
    runs: list[str]
    checkpoints: list[_Checkpoint]


class _SettledTime(_Stored):
    step: int | None


class _UnitView(_Stored):
    layer: str
    unit: NonNegativeInt
    parameter: str
    mode: Literal["parameters", "features", "both"]
    symmetric: Literal["auto", "yes", "no"]
    image: str


class _ImageView(_Stored):
    image: str


class _ConfusionView(_Stored):
    split: str
    actual: NonNegativeInt | None


class _ClusterView(_Stored):
    split: str
    cluster: NonNegativeInt | None


def _selection(text: str) -> str:
    view_state.parse_units(text)
    return text


def _page(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("a page's path begins with /")
    return path


class _SideB(_Stored):
    run: str
    step: int | None = None
    label: str | None
    layer: str | None = None
    parameter: str | None
    units: Annotated[str, AfterValidator(_selection)]
    reason: str | None = None
    problem: str | None = None


def _view(view: dict[str, Any]) -> dict[str, Any]:
    view_state.check(view)
    return view


_Checked = Callable[[Any], Any]


def _as(kind: Any) -> _Checked:
    return TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python


def _anything(_: Any) -> None:
    """It only says that something changed."""


INPUTS: Mapping[str, _Checked] = {
    "_pages_location.pathname": _as(Annotated[str, AfterValidator(_page)] | None),
    "_pages_location.search": _as(str | None),
    f"{ids.SUBJECT}.data": TypeAdapter(_Subject | None).validate_python,
    f"{ids.SETTLED_TIME}.data": TypeAdapter(_SettledTime | None).validate_python,
    f"{ids.COMPARE_SETTLED}.data": TypeAdapter(_SideB | None).validate_python,
    f"{ids.VIEW}.data": _as(Annotated[dict[str, Any], AfterValidator(_view)] | None),
    f"{ids.UNIT_VIEW}.data": TypeAdapter(_UnitView | None).validate_python,
    f"{ids.IMAGE_VIEW}.data": TypeAdapter(_ImageView | None).validate_python,
    f"{ids.CONFUSION_VIEW}.data": TypeAdapter(_ConfusionView | None).validate_python,
    f"{ids.CLUSTER_VIEW}.data": TypeAdapter(_ClusterView | None).validate_python,
    f"{ids.THEME}.data": _as(Literal["light", "dark"] | None),
    f"{ids.UNIT_RULE}.value": _as(Literal["", *RANKING_RULES] | None),
    f"{ids.CONNECTIONS}.data": _anything,
    f"{ids.STATISTICS_READY}.data": _anything,
    f"{ids.CLUSTERS_READY}.data": _anything,
}
"""What each input of a callback on the server may be. Raises ValueError."""

# --------------------------------------------------------------------------------------------------- requests


class DashRequests:
    """An ASGI application around the one that Dash is part of."""

    def __init__(self, app: ASGIApp, dash_app: Dash) -> None:
        self._application = app
        self._dash = dash_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                if scope["path"] == CALLBACKS and scope["method"] == "POST":
                    receive = await self._checked_callback(Request(scope, receive))
                elif scope["path"].startswith(COMPONENT_FILES):
                    self._check_file(scope["path"].removeprefix(COMPONENT_FILES))
            except MloscopeError as refusal:
                await JSONResponse(as_json(refusal), refusal.status, _NO_STORE)(scope, receive, send)
                return
            except ClientDisconnect:
                return
        await self._application(scope, receive, send)

    async def _checked_callback(self, request: Request) -> Receive:
        """``receive`` with the request's body in hand."""
        if not request.headers.get("content-type", "").startswith("application/json"):
            raise BadRequest("A callback is asked in JSON, with Content-Type: application/json.")
        body = await request.body()
        check = functools.partial(check_callback, body, self._dash.callback_map)
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


async def _done(function: Callable[[], bytes]) -> bytes:
    return function()


def check_callback(body: bytes, callbacks: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The body as Dash takes it, which knows of no prefix of addresses. Raises :class:`BadRequest` or :class:`NotFound` unless it
    asks one of the callbacks, which Dash has by their outputs, for what it gives, with what it takes."""
    try:
        question = orjson.loads(body)
    except ValueError:
        question = None
    if not isinstance(question, dict):
        raise BadRequest("A callback is asked with a JSON object, and this is none.")
    output = question.get("output")
    callback = callbacks.get(output) if isinstance(output, str) else None
    if callback is None or "callback" not in callback:
        raise NotFound("There is no such callback here; reload the page, which may be another version's.")
    wanted = {"inputs": callback["inputs"], "state": callback["state"], "outputs": _outputs(callback)}
    for word, expected in wanted.items():
        given = question.get(word, [])
        listed = [given] if word == "outputs" and isinstance(given, dict) else given
        if not isinstance(listed, list) or [_named(each) for each in listed] != [_named(each) for each in expected]:
            raise BadRequest(f'The {word} of the callback "{output}" are others; reload the page.')
    changed = question.get("changedPropIds", [])
    if not isinstance(changed, list) or not all(isinstance(each, str) for each in changed):
        raise BadRequest("changedPropIds must be a list of names.")
    for each in (*question["inputs"], *question.get("state", ())):
        name = f"{each['id']}.{each['property']}"
        try:
            INPUTS.get(name, _anything)(each.get("value"))
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in problem["loc"] if isinstance(part, int) or part.isidentifier())
            raise BadRequest(
                f"The value of {name} cannot be{f', at {where}' if where else ''}: {problem['msg'].rstrip('.')}."
            ) from None
    return _inside(question, body)


def _inside(question: dict[str, Any], body: bytes) -> bytes:
    """The body, with the path of the page that is shown as it is inside the application."""
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
