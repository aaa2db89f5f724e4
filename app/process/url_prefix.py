"""The path on somebody's host below which this server is seen: ``https://lab.org/tools/mloscope/``, say.

    --url-prefix, or X-Forwarded-Prefix of a trusted proxy ──► URL_PREFIX, for each request ──► addresses in pages, redirects, cookies

Requests come with the prefix or without it, as the proxy hands them on; inside the application nothing knows of it. What the REST
API gives as an address begins with ``/api/``, below the prefix; the browser puts the two together (``mloscope.mounted``).
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from urllib.parse import unquote

URL_PREFIX: ContextVar[str] = ContextVar("url_prefix", default="")
"""Of the request at hand: empty, or checked by :func:`parse`, without a slash at its end."""

LONGEST = 200
_SEGMENT = r"(?:[A-Za-z0-9._~!$@:+=,-]|%(?![01]|2[27fF]|3[cCeE]|5[cC]|7[fF])[0-9A-Fa-f]{2})+"
_OURS = re.compile(r"/(api|assets|login|logout|status|healthz|readyz|metrics|confusion|clusters|compare|_[^/]*)(/|$)")
"""What addresses of this server begin with: nobody could tell whether the prefix is still in one."""


def parse(text: str) -> str:
    """The prefix, without a slash at its end; ``/`` is no prefix. Raises :class:`ValueError` saying what would be right."""
    prefix = text.rstrip("/")
    if not prefix:
        return ""
    segments = prefix.split("/")[1:]
    safe = re.fullmatch(rf"(?:/{_SEGMENT})+", prefix) and len(prefix) <= LONGEST and not {".", ".."} & set(segments)
    if not safe:
        raise ValueError('a path such as "/tools/mloscope"')
    if _OURS.match(prefix):
        raise ValueError(
            f'a path such as "/tools/mloscope" that does not begin with /{segments[0]}, which is an address of this server'
        )
    return prefix


def announced(header: str) -> str | None:
    """What ``X-Forwarded-Prefix`` says; None where it says nothing that a prefix may be."""
    try:
        return parse(header.strip())
    except ValueError:
        return None


def without(prefix: str, path: str) -> str:
    """The path inside the application, whether or not the proxy took the prefix away."""
    for written in {prefix, unquote(prefix)} - {""}:
        if path == written or path.startswith(written + "/"):
            return path[len(written) :] or "/"
    return path


def mounted(path: str) -> str:
    """A path inside the application as the browser has to ask for it. Other addresses stay as they are."""
    return f"{URL_PREFIX.get()}{path}" if path.startswith("/") and not path.startswith("//") else path


def inside(path: str) -> str:
    """A path that a browser shows, inside the application; also of a page that was opened without the proxy."""
    return without(URL_PREFIX.get(), unquote(path))
