"""The end of a web process: in order while that goes quickly, and in any case.

A thread that waits for a disk which does not answer cannot be stopped, and Python waits for it for ever; so a process that
was told to end ends within :data:`END_WITHIN_S`, whatever its threads do.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

END_WITHIN_S = 8.0
"""From the signal on; ``docker stop`` waits for 10."""


class EndsInTime:
    """An ASGI application that calls ``at_end`` when it is shut down, before the process may go, and that sees to it that
    the process goes."""

    def __init__(self, application: ASGIApp, at_end: Callable[[], None], end_within_s: float = END_WITHIN_S) -> None:
        self._application, self._at_end, self._end_within_s = application, at_end, end_within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._application(scope, receive, send)
            return
        watch_signals(self._end_within_s)

        async def say(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await _in_a_thread(self._at_end)
            await send(message)

        await self._application(scope, receive, say)


async def _in_a_thread(work: Callable[[], None]) -> None:
    """In one of its own, for all others may be waiting for a disk."""
    done, loop = asyncio.Event(), asyncio.get_running_loop()

    def run() -> None:
        try:
            work()
        except Exception:
            logger.exception("Something could not be ended in order")
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name="at the end", daemon=True).start()
    await done.wait()


def watch_signals(end_within_s: float = END_WITHIN_S) -> None:
    """From the first signal to end on, give the process so long. What else these signals do stays as it is. Only the main
    thread of a process can ask for this; others, as in tests, change nothing."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(
            number: int, frame: FrameType | None, before: Callable[[int, FrameType | None], Any] | int | None = before
        ) -> None:
            end_within(end_within_s)
            if callable(before):
                before(number, frame)

        signal.signal(number, handle)


_ends = threading.Event()


def end_within(seconds: float) -> None:
    """End this process after so long, unless it has ended by itself. The first call counts."""
    if _ends.is_set():
        return
    _ends.set()

    def end() -> None:
        threading.Event().wait(seconds)
        with contextlib.suppress(Exception):
            logger.warning("What was under way did not end within %g s; the process ends without it.", seconds)
            sys.stdout.flush()
        os._exit(0)

    threading.Thread(target=end, name="end", daemon=True).start()


def end_with_parent(end_within_s: float = END_WITHIN_S) -> None:
    """End this process, which another one started with :mod:`multiprocessing`, when that one has ended, however it did."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        logger.warning("The process that watched over this one has ended, and so does this one.")
        end_within(end_within_s)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
