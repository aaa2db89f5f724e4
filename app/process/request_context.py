"""Who asks, and by which number their request goes, for whatever is done on its behalf: threads that anyio starts for a
request see the same values. Both are unset, and then empty, outside of requests.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

REQUEST_ID_HEADER = "x-request-id"
ROLES = ("viewer", "editor")
Role = Literal["viewer", "editor"]


@dataclass(frozen=True)
class Caller:
    """The sender of a request."""

    name: str
    """Of the user or token; empty where nobody needs to sign in."""
    role: Role
    """A viewer reads, which may cost evaluations; an editor also starts jobs and changes things."""
    via: Literal["open", "session", "token", "proxy"]
    """How they said who they are; ``open``: nobody asked."""
    address: str
    """Of the machine; behind a trusted proxy the one that the proxy names. Empty where it is not known."""

    @property
    def is_owner(self) -> bool:
        """Somebody at this very machine whom nobody needs to tell from others, or the machine itself: no request."""
        if self.via != "open" or not self.address:
            return self.via == "open"
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False

    @property
    def key(self) -> str:
        """Who pays for what they ask."""
        return f"{self.via}:{self.name}" if self.name else f"address:{self.address}"


NOBODY = Caller("", "viewer", "open", "")

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
CALLER: ContextVar[Caller] = ContextVar("caller", default=NOBODY)


def request_id_from(header: str) -> str:
    """The number that a proxy gave the request where it is a harmless one, else a new one of 16 hexadecimal digits."""
    return header if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}", header) else secrets.token_hex(8)
