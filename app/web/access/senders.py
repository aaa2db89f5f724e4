"""Whether a page of ours sent a request that changes something, and not one of another site in the name of whoever looks at that
(cross-site request forgery).

    Sec-Fetch-Site: same-origin   the browser says so, and no page can say it for it; a proxy may have put another name into Host
    Origin                        names the host that was asked: what browsers say that send no Sec-Fetch-Site, as over plain HTTP
    x-csrftoken, x-mloscope: 1    headers that another site's page cannot send without asking first, and it is never told yes
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from urllib.parse import urlsplit

from mloscope.app.errors import Forbidden
from mloscope.app.process.request_context import Caller
from mloscope.app.process.terminal import printable
from mloscope.app.web.access.authentication import Origin

logger = logging.getLogger(__name__)

CSRF_HEADER = "x-csrftoken"
"""Dash sends the cookie back in it."""
OWN_HEADER = "x-mloscope"
"""Our scripts send it with ``1``."""


class Senders:
    """What is known of who sends; one for each process, so that a proxy's mistake is logged once."""

    def __init__(self) -> None:
        self._warned = False

    def check(
        self, caller: Caller, origin: Origin, headers: Mapping[str, str], csrf_cookie: str | None, *, form: bool
    ) -> None:
        """Raises :class:`Forbidden`. ``form``: it is one of ours that carries the cookie's token in a field, compared where the
        field is read."""
        if caller.via == "token":  # nothing that a browser sends by itself
            return
        site, page = headers.get("sec-fetch-site"), headers.get("origin")
        if site not in (None, "same-origin", "none"):
            raise Forbidden("Another site asked in your name; only pages of this server may.")
        if site != "same-origin" and page is not None and not _is_host(page, headers.get("host", ""), origin.scheme):
            raise Forbidden(self._other_host(page, headers.get("host", "")))
        if form:
            if site is None and page is None:
                raise Forbidden("Another site asked in your name; only pages of this server may.")
            return
        by_itself = caller.via in ("session", "proxy") or site is not None or page is not None
        returned = csrf_cookie is not None and hmac.compare_digest(
            csrf_cookie.encode(), headers.get(CSRF_HEADER, "").encode()
        )
        if by_itself and not returned and headers.get(OWN_HEADER) != "1":
            raise Forbidden(
                f"What changes something needs the header {OWN_HEADER}: 1, so that no other site can ask it."
            )

    def _other_host(self, page: str, host: str) -> str:
        sentence = (
            f'Another site asked in your name, "{_shown(page)}"; only pages of "{_shown(host)}" may. If that is one and the same '
            "server, the proxy before it must hand on Host as the browser sent it, with the port (nginx: proxy_set_header "
            "Host $http_host)."
        )
        if not self._warned:
            self._warned = True
            logger.warning("%s This is logged once.", sentence)
        return sentence


def _is_host(page: str, host: str, scheme: str) -> bool:
    """Whether an Origin header names the host that was asked. A proxy that is not known as one may have taken TLS off, so https
    may be what looks like http here; never the other way round."""
    standard = {"http": 80, "https": 443}
    try:
        parts, asked = urlsplit(page), urlsplit(f"//{host}")
        if parts.scheme not in standard or (scheme == "https" and parts.scheme == "http"):
            return False
        theirs = parts.hostname, parts.port or standard[parts.scheme]
        return theirs == (asked.hostname, asked.port or standard[parts.scheme])
    except ValueError:  # a port or an address that is none
        return False


def _shown(text: str) -> str:
    return printable(text[:100])
