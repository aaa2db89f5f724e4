"""What tests do with a browser: a server for it on a socket, and signing in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PASSWORD = "correct horse"


@contextmanager
def listening(application: Any) -> Iterator[str]:
    """The application on a socket; gives its address."""
    import uvicorn

    config = uvicorn.Config(application, host="127.0.0.1", port=0, log_level="warning", proxy_headers=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join(10)


def fill_in(page: Any, name: str = "anna") -> None:
    page.fill("[name=name]", name)
    page.fill("[name=password]", PASSWORD)
    page.click("text=Sign in")


def until(page: Any, true: Callable[[], object]) -> None:
    """Wait for something that is known here, such as what the page complains of."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)  # in which Playwright tells its events


def rest(page: Any) -> None:
    """Wait until the page asks for nothing any more; Playwright's "networkidle" is that of the document alone."""
    seen = -1
    while seen != len(page.asked):
        seen = len(page.asked)
        page.wait_for_timeout(250)
