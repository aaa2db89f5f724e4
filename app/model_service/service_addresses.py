"""Several model services behind one name: which of them is asked next.

A name in a URL may stand for several addresses (``docker compose up --scale model-service=3`` gives it three), and a setting
may name several URLs. The service with the fewest requests under way is asked; one that does not answer is left out for a
while that doubles with each failure, and is taken back as soon as it answers.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

_RESOLVE_EVERY_S = 5.0
_LEFT_OUT_FIRST_S = 0.5
_LEFT_OUT_AT_MOST_S = 8.0

Resolve = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """All IPv4 and IPv6 addresses of a host, each once, sorted; empty where the name is not known just now."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        return []
    return sorted({str(address[0]) for *_ignored, address in found})


@dataclass(frozen=True)
class Address:
    """One service: where it is asked, and the Host header that it is asked with."""

    url: str
    host: str


@dataclass
class _Health:
    under_way: int = 0
    failures: int = 0
    left_out_until: float = 0.0


class ServiceAddresses:
    """The services of one or several URLs, separated by commas. Thread-safe."""

    def __init__(self, urls: str, *, resolve: Resolve = resolve, clock: Callable[[], float] = time.monotonic) -> None:
        self.urls = tuple(url.strip().rstrip("/") for url in urls.split(",") if url.strip())
        self._resolve = resolve
        self._clock = clock
        self._lock = threading.Lock()
        self._health: dict[str, _Health] = {}
        self._known: tuple[Address, ...] = ()
        self._resolve_at = float("-inf")

    def __str__(self) -> str:
        return ", ".join(self.urls)

    def known(self) -> tuple[Address, ...]:
        """All services, healthy or not. Names are looked up anew every few seconds; while none is known, each time."""
        now = self._clock()
        if now >= self._resolve_at or not self._known:
            found = tuple(address for url in self.urls for address in self._addresses(url))
            with self._lock:
                # A name server that is away for a moment takes no service away.
                self._known = found or self._known
                self._resolve_at = now + _RESOLVE_EVERY_S
                for address in self._known:
                    self._health.setdefault(address.url, _Health())
        return self._known

    def _addresses(self, url: str) -> Iterator[Address]:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            yield Address(url, parts.netloc)  # a certificate is for the name, so the name is what is asked
            return
        port = parts.port or 80
        for ip in self._resolve(parts.hostname, port):
            literal = f"[{ip}]" if ":" in ip else ip
            yield Address(f"http://{literal}:{port}{parts.path}", parts.netloc)

    @contextmanager
    def lent(self, key: str, tried: Collection[str] = ()) -> Iterator[Address | None]:
        """The service to ask, counted as busy inside the ``with``; None where all were tried.

        Of equally busy ones, the same ``key`` gets the same one, so that a run's weights stay where they are. Where all are left
        out, the one whose time is soonest over is asked nevertheless.
        """
        addresses = self.known()
        with self._lock:
            now = self._clock()
            chosen = min(
                (address for address in addresses if address.url not in tried),
                key=lambda address: (
                    max(0.0, self._health[address.url].left_out_until - now),
                    self._health[address.url].under_way,
                    hashlib.blake2b(f"{key} {address.url}".encode(), digest_size=8).digest(),
                ),
                default=None,
            )
            if chosen is not None:
                self._health[chosen.url].under_way += 1
        try:
            yield chosen
        finally:
            if chosen is not None:
                with self._lock:
                    self._health[chosen.url].under_way -= 1

    def answered(self, address: Address) -> None:
        """It is well."""
        with self._lock:
            health = self._health[address.url]
            health.failures, health.left_out_until = 0, 0.0

    def failed(self, address: Address) -> None:
        """It did not answer: leave it out for a while."""
        with self._lock:
            health = self._health[address.url]
            pause_s = min(_LEFT_OUT_FIRST_S * 2**health.failures, _LEFT_OUT_AT_MOST_S)
            health.failures += 1
            health.left_out_until = self._clock() + pause_s
