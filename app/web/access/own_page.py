"""What the pages without Dash have in common: how they are asked, and how their forms prove that they are ours."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from mloscope.app.errors import BadRequest
from mloscope.app.web.access.authentication import Origin

Handler = Callable[[Request, Origin], Awaitable[Response]]

CSRF_COOKIE = "_csrf_token"
"""The name under which Dash looks for it."""
CSRF_SCOPE_KEY = "mloscope.csrf_token"
"""Where a page finds the token that its forms send back; the gate puts it there, and sets the cookie."""
NO_STORE = {"Cache-Control": "no-store"}


def require_get(request: Request) -> None:
    """Raise :class:`BadRequest` unless the page is only read."""
    if request.method not in ("GET", "HEAD"):
        raise BadRequest(f"{request.url.path} is read with GET.")


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form, the last of each name."""
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise BadRequest("The form is not one that a page of this server sends.") from None
    return {name: values[-1] for name, values in fields.items()}


def is_own_form(request: Request, form: Mapping[str, str]) -> bool:
    """Whether the hidden field is the cookie: another site's form cannot know it."""
    cookie = request.cookies.get(CSRF_COOKIE, "")
    return bool(cookie) and hmac.compare_digest(cookie.encode(), form.get("token", "").encode())
