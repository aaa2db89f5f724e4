"""How connections are held: one on which no whole head of a request arrives in time is closed.

uvicorn waits for ever, so that somebody who opens many and says little (slow loris) would have them all. Bodies have a limit of
their own (gate.py), and an idle connection is closed by uvicorn itself.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_HEAD_BYTES = 64 * 1024
"""A request's address and headers together. A selection of thousands of single units is some 20,000 characters long; uvicorn's own
limit of 16,384 bytes holds only for a head that comes in pieces."""


class ImpatientProtocol(H11Protocol):
    """uvicorn's, with a limit. It refuses header lines that hold what they must not, which faster ones send on."""

    head_within_s: ClassVar[float] = 20.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._head_due is None and self.timeout_keep_alive_task is None:
            self._head_due = self.loop.call_later(self.head_within_s, self._give_up)

    def _stop_watching(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
