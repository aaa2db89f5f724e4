"""Every error a user can meet, as one small tree. Each has a kind, an HTTP status and a sentence.

    MloscopeError
    ├── BadRequest 400          a value in the question is wrong: which, and what would be right
    ├── NotSignedIn 401         the caller has not signed in, or not validly
    ├── Forbidden 403           they have, and may not do this; or another site asked in their name
    ├── NotFound 404            no such run, checkpoint, layer, unit, image, film
    ├── Conflict 409            what is asked for contradicts what is there (a checkpoint changed while it was read)
    ├── TooLarge 413            what was sent is larger than is taken
    ├── NotPossible 422         the question is understood, but this run or corpus cannot answer it
    ├── TooManyRequests 429     more than the caller's share; says when to ask again
    └── Unavailable 503         it will work later, or after something is installed or restarted

Errors of adaptors (``mloscope.adaptors.interface.AdaptorError``) are translated by :func:`from_adaptor`.
Anything else that escapes is a bug: it is logged, and the user reads one opaque sentence, never a traceback.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from mloscope.adaptors import interface

UNEXPECTED = "Something went wrong inside ML-o-scope; its log says what."
"""All that users read of a bug."""


class MloscopeError(Exception):
    """``str(error)`` is a full sentence: what was wrong, with which file, field or value, and what would be right."""

    kind = "error"
    status = 500


class BadRequest(MloscopeError):
    kind, status = "bad-request", 400


class NotSignedIn(MloscopeError):
    kind, status = "not-signed-in", 401


class Forbidden(MloscopeError):
    kind, status = "forbidden", 403


class NotFound(MloscopeError):
    kind, status = "not-found", 404


class Conflict(MloscopeError):
    kind, status = "conflict", 409


class TooLarge(MloscopeError):
    kind, status = "too-large", 413


class NotPossible(MloscopeError):
    kind, status = "not-possible", 422


class Unrecognised(NotPossible):
    """Nothing that is installed reads what was given."""


class TooManyRequests(MloscopeError):
    """Meant for one caller only: others waiting for the same result ask themselves."""

    kind, status = "too-many-requests", 429

    def __init__(self, sentence: str, retry_after_s: float) -> None:
        super().__init__(sentence)
        self.retry_after_s = retry_after_s


class Unavailable(MloscopeError):
    kind, status = "unavailable", 503


_OF_ADAPTORS: dict[type[interface.AdaptorError], type[MloscopeError]] = {
    interface.NothingThere: NotFound,
    interface.Unknown: NotFound,
    interface.NothingFits: Unrecognised,
    interface.Unreadable: NotPossible,
    interface.Refused: NotPossible,
    interface.DependencyMissing: Unavailable,
}


def from_adaptor(error: interface.AdaptorError) -> MloscopeError:
    """The same sentence as one of ours, with a status."""
    return _OF_ADAPTORS.get(type(error), NotPossible)(str(error))


@contextmanager
def of_adaptors() -> Iterator[None]:
    """Raise an adaptor's errors as ours."""
    try:
        yield
    except interface.AdaptorError as error:
        raise from_adaptor(error) from error


def as_json(error: MloscopeError) -> dict[str, dict[str, str]]:
    """``{"error": {"kind", "message"}}``, the body of every error answer of the REST API."""
    # Halves of letters, which JSON and names of files can hold, cannot be sent on.
    return {"error": {"kind": error.kind, "message": str(error).encode("utf-8", "replace").decode()}}


def lines_of(error: BaseException) -> list[str]:
    """What somebody else's code says went wrong, without blank lines and a terminal's colours; at least one line."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines()]
    return [line[:300] for line in lines if line] or [type(error).__name__]
