"""Errors as answers: ``{"error": {"kind", "message"}}`` with the status of :mod:`mloscope.app.errors`."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException

from mloscope.adaptors.interface import AdaptorError
from mloscope.app import errors
from mloscope.app.errors import (
    UNEXPECTED,
    BadRequest,
    MloscopeError,
    NotFound,
    NotPossible,
    TooManyRequests,
    as_json,
    from_adaptor,
)

logger = logging.getLogger(__name__)

REFUSALS: dict[type[MloscopeError], str] = {
    errors.BadRequest: "A value in the question is wrong.",
    errors.NotSignedIn: "Sign in, or send `Authorization: Bearer` with a valid token.",
    errors.Forbidden: "Your role does not allow it, or another site asked in your name.",
    errors.NotFound: "There is no such run, checkpoint, layer, unit, image or film.",
    errors.Conflict: "What is asked for contradicts what is there, such as a file that changed meanwhile.",
    errors.TooLarge: "What was sent is larger than is taken.",
    errors.NotPossible: "The question is understood, but this run or corpus cannot answer it.",
    errors.TooManyRequests: "More than your share of evaluations; Retry-After says in how many seconds to ask again.",
    errors.Unavailable: "It will work later, or after something is installed or restarted.",
}
"""What each kind of error means. Every route may answer with any of them."""


@dataclass(frozen=True)
class ErrorBody:
    kind: Annotated[
        str, Field(description="bad-request, not-signed-in, forbidden, not-found, conflict, not-possible ...")
    ]
    message: Annotated[str, Field(description="A sentence: what was wrong, with which value, and what would be right.")]


@dataclass(frozen=True)
class ErrorAnswer:
    error: ErrorBody


router = APIRouter(include_in_schema=False)
"""Answers what no other route under /api does."""


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error with one sentence of JSON."""
    app.exception_handler(MloscopeError)(_our_error)
    app.exception_handler(AdaptorError)(_adaptor_error)
    app.exception_handler(RequestValidationError)(_wrong_fields)
    app.exception_handler(HTTPException)(_http_error)
    app.exception_handler(Exception)(_unexpected)


async def _our_error(_: Request, error: MloscopeError) -> Response:
    return _refusal(error)


async def _adaptor_error(_: Request, error: AdaptorError) -> Response:
    return _refusal(from_adaptor(error))


async def _wrong_fields(_: Request, error: RequestValidationError) -> Response:
    return _refusal(NotPossible(" ".join(_field_sentence(problem) for problem in error.errors())))


async def _http_error(_: Request, error: HTTPException) -> Response:
    known: dict[int, Callable[[str], MloscopeError]] = {404: NotFound}
    refusal = _refusal(known.get(error.status_code, BadRequest)(f"{error.detail}."), error.status_code)
    refusal.headers.update(error.headers or {})  # such as which methods are allowed
    return refusal


async def _unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s %r", request.method, request.url.path, exc_info=error)
    return _refusal(MloscopeError(UNEXPECTED))


async def unknown_address(request: Request) -> Response:
    return _refusal(NotFound(f"There is no {request.method} {request.url.path}; see /api/docs."))


def _refusal(error: MloscopeError, status: int | None = None) -> JSONResponse:
    headers = {"Cache-Control": "no-store"}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return JSONResponse(as_json(error), status_code=status or error.status, headers=headers)


def _field_sentence(problem: dict[str, Any]) -> str:
    where, *names = problem.get("loc", ("request",))
    field = ".".join(str(name) for name in names) or str(where)
    given = problem.get("input")
    value = f' is "{given}"' if isinstance(given, str | int | float) else ""
    return f"The {where} value {field}{value}: {problem.get('msg', 'it is wrong').rstrip('.')}."


for _path in ("/api", "/api/{rest:path}"):
    router.add_route(_path, unknown_address, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
