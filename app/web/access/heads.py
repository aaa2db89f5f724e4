"""HEAD is GET without the body. The application below knows only GET."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Scope, Send


def as_get(scope: Scope, receive: Receive, send: Send) -> tuple[Scope, Receive, Send]:
    """What to give to an application that answers GET, so that the answer is one to HEAD."""
    begun = asyncio.Event()

    async def receive_until_begun() -> Message:
        # A film would be computed to its end for nobody: as soon as its head is sent, nobody is there any more.
        waiting = [asyncio.ensure_future(receive()), asyncio.ensure_future(begun.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            message = waiting[0]
            return message.result() if message.done() and not begun.is_set() else {"type": "http.disconnect"}
        finally:
            for each in waiting:
                each.cancel()

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            begun.set()

    return {**scope, "method": "GET"}, receive_until_begun, send_head
