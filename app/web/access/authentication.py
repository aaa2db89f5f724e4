"""Who asks: by a token, by the word of a trusted proxy, by the signed cookie of a session.

The first of these that a request carries decides; one that is wrong is refused, and the next is not tried. Where nobody needs
to sign in, everybody is an editor without a name.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.to_thread
from itsdangerous import BadData, URLSafeSerializer

from mloscope.app.accounts.users import UserFile
from mloscope.app.errors import BadRequest, NotSignedIn, TooManyRequests
from mloscope.app.process.request_context import Caller
from mloscope.app.process.settings import Settings
from mloscope.app.web.access import forwarding
from mloscope.app.web.access.allowances import Allowance

logger = logging.getLogger(__name__)

SESSION_COOKIE = "mloscope_session_"
"""How the cookie of a session begins: cookies of one host go to every port of it, and its servers may have other users."""
SIGN_IN = "Sign in first, or send the header Authorization: Bearer with a token of mloscope token add."
WRONG = "The name or the password is wrong."
_TRIES_AT_ONCE, _SECONDS_A_TRY = 10, 10.0
_LONGEST_NAME = 64  # what is remembered of a name that was tried
_PASSWORDS_AT_ONCE = 2  # each takes 32 MiB and a processor for a fifth of a second


@dataclass(frozen=True)
class Origin:
    """Where a request came from, as far as it can be believed."""

    address: str
    """Of the machine that asks; empty where it is not known."""
    scheme: str
    """``http`` or ``https``, as the browser sees it."""
    proxied: bool
    """It came through a trusted proxy."""


class Authentication:
    """Believes requests, or does not. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        users: UserFile,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.monotonic,
    ) -> None:
        """``clock`` gives seconds since 1970; ``stopwatch``, which nobody sets, seconds since anything. Raises
        :class:`BadRequest` where the settings contradict each other."""
        if settings.proxy_user_header and not settings.trusted_proxies:
            raise BadRequest(
                "MLOSCOPE_PROXY_USER_HEADER says that a proxy names users, and MLOSCOPE_TRUSTED_PROXIES names no proxy; "
                "anybody could send that header."
            )
        self._settings = settings
        self._users = users
        self._clock = clock
        self._demanded = False
        self._tries = Allowance(1 / _SECONDS_A_TRY, _TRIES_AT_ONCE, stopwatch)
        self._tries_for_a_name = Allowance(1 / _SECONDS_A_TRY, 3 * _TRIES_AT_ONCE, stopwatch)
        self._passwords = anyio.Semaphore(_PASSWORDS_AT_ONCE)

    @property
    def demanded(self) -> bool:
        """Whether one has to sign in. It begins with the first user or token and does not end while the process lives,
        so that nobody gets in because a file vanished."""
        if self._settings.unprotected:
            return False
        if not self._demanded:
            self._demanded = bool(self._settings.proxy_user_header) or self._users.anybody
        return self._demanded

    @property
    def by_password(self) -> bool:
        """Whether there is anybody for whom a page to sign in would be of use."""
        return self._users.anybody_with_password

    @property
    def session_cookie(self) -> str:
        """Its name, the same for servers with the same users."""
        return SESSION_COOKIE + hashlib.sha256(b"name of the cookie" + self._users.signing_key).hexdigest()[:8]

    # ---- whose request it is

    def origin(self, peer: str, scheme: str, headers: Mapping[str, str]) -> Origin:
        """``peer``: the address at the other end of the connection. What it says of others is believed if it is trusted."""
        if not self._trusted(peer):
            return Origin(peer, scheme, False)
        address = peer
        # The proxy nearest to us wrote the last entry; those before a stranger's can be anything.
        for hop in forwarding.hops(headers.get("x-forwarded-for", "")):
            found = forwarding.address_of_hop(hop)
            if found is None:
                break
            address = str(found)
            if not self._trusted(address):
                break
        said = forwarding.nearest(headers.get("x-forwarded-proto", "")).lower()
        return Origin(address, said if said in ("http", "https") else scheme, True)

    def _trusted(self, address: str) -> bool:
        found = forwarding.address_in(address)
        return found is not None and any(found in network for network in self._settings.trusted_proxies or ())

    def caller(self, origin: Origin, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Caller:
        """Who asks. Raises :class:`NotSignedIn`."""
        if not self.demanded:
            return Caller("", "editor", "open", origin.address)
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            found = self._users.token(credentials.strip())
            if found is None:
                raise NotSignedIn("The token is invalid, expired or revoked; mloscope token add creates one.")
            return Caller(found[0], found[1].role, "token", origin.address)
        if origin.proxied and self._settings.proxy_user_header:
            name = headers.get(self._settings.proxy_user_header, "")
            if re.search(r"[^\w.@+ -]", name):  # a comma: the header came twice, once from a stranger
                raise NotSignedIn(f"The proxy's header {self._settings.proxy_user_header} names nobody.")
            if name:
                user = self._users.users().get(name)
                return Caller(name, user.role if user is not None else "viewer", "proxy", origin.address)
        cookie = cookies.get(self.session_cookie)
        if cookie is not None:
            return self._of_session(cookie, origin)
        raise NotSignedIn(SIGN_IN)

    def _of_session(self, cookie: str, origin: Origin) -> Caller:
        over = NotSignedIn("This sign-in is over; sign in again.")
        try:
            name, stamp, issued_s = self._signer().loads(cookie)
        except (BadData, ValueError, TypeError):
            raise over from None
        user = self._users.users().get(name)
        age_s = self._clock() - issued_s
        if user is None or stamp != self._users.stamp(name) or not -60 <= age_s <= self._settings.session_s:
            raise over
        return Caller(name, user.role, "session", origin.address)

    def _signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self._users.signing_key, salt="mloscope session", signer_kwargs=_SHA256)

    # ---- signing in

    async def sign_in(self, name: str, password: str, address: str) -> str:
        """The value of the session's cookie. Raises :class:`NotSignedIn` and :class:`TooManyRequests`."""
        for tries, key in ((self._tries, _neighbourhood(address)), (self._tries_for_a_name, name[:_LONGEST_NAME])):
            wait_s = tries.take(key)
            if wait_s:
                raise TooManyRequests(f"Too many tries; wait {wait_s:.0f} seconds.", wait_s)
        async with self._passwords:
            user = await anyio.to_thread.run_sync(partial(self._users.user_with_password, name, password))
        known = name in self._users.users()
        if user is None:
            # Who mistypes may have put the password where the name belongs, so only names of ours are logged.
            logger.warning("Failed sign-in as %s from %s", f'"{name}"' if known else "an unknown user", address)
            raise NotSignedIn(WRONG)
        logger.info("%s signed in from %s", name, address)
        return str(self._signer().dumps([name, self._users.stamp(name), int(self._clock())]))


_SHA256: dict[str, object] = {"digest_method": hashlib.sha256}


def _neighbourhood(text: str) -> str:
    """The address; of IPv6 the network that one household has."""
    address = forwarding.address_in(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or text)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address to listen on."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name that may be anything; "" is every address


def check_address(settings: Settings, authentication: Authentication) -> None:
    """Raises :class:`BadRequest` where strangers could come in and nobody said that they may."""
    if is_loopback(settings.host) or settings.unprotected or authentication.demanded:
        return
    where = settings.host or "every address"
    raise BadRequest(
        f"Anyone who can connect to {where} could use this server, because it has no users: add one with "
        "mloscope user add NAME, or say --unprotected."
    )
