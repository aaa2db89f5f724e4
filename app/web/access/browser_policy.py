"""What every answer tells the browser: which scripts may run, who may show our pages, what a picture may not do."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence

IMAGES_AND_DATA = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The policy of everything that is not a page of ours."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # not no-referrer: forms would then say that their origin is "null"
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""Of pages only, for nothing else can open a window or use a camera; a page is made of two hundred other answers."""


def script_hash(script: str) -> str:
    """What a content security policy calls an inline script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def framing(ancestors: Sequence[str] = ()) -> tuple[dict[str, str], str]:
    """Who may show an answer in a frame: headers, and a directive of the content security policy. Browsers of today follow the
    directive; the header, for others, knows no list."""
    if ancestors:
        return {}, f"frame-ancestors {' '.join(ancestors)}"
    return {"X-Frame-Options": "DENY"}, "frame-ancestors 'none'"


def content_security_policy(script_hashes: Iterable[str], frames: str = "frame-ancestors 'none'") -> str:
    """What pages may do: run our files and the inline scripts of these hashes, show our pictures and those they draw
    themselves, ask us. Plotly and Dash's components write style sheets of their own, so styles may stand inline."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {' '.join(dict.fromkeys(script_hashes))}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "base-uri 'none'",
            "form-action 'self'",
            frames,
        )
    )
