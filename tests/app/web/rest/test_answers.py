"""Answers that come line by line: what happens to the work when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mloscope.app.web.rest.answers import streamed_lines

PATIENCE_S = 10


class Reader:
    """A request whose reader stays."""

    async def is_disconnected(self) -> bool:
        return False


def test_a_server_that_stops_while_a_piece_is_made_stops_the_work_after_it() -> None:
    is_begun, may_end, is_closed = threading.Event(), threading.Event(), threading.Event()

    def pieces() -> Iterator[list[dict[str, Any]]]:
        try:
            is_begun.set()
            may_end.wait(PATIENCE_S)
            yield [{"done": 1}]
            raise AssertionError("nobody waits for more")
        finally:
            is_closed.set()

    async def stop() -> None:
        body = streamed_lines(Reader(), pieces()).body_iterator  # type: ignore[arg-type]
        reading = asyncio.ensure_future(anext(body))
        await asyncio.to_thread(is_begun.wait, PATIENCE_S)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        may_end.set()
        assert await asyncio.to_thread(is_closed.wait, PATIENCE_S)

    asyncio.run(stop())
