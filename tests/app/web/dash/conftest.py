"""The dashboard over made-up arrays, in Chromium."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mloscope.app.process.settings import Settings
from mloscope.app.web.server import create_app

sys.path.insert(0, str(Path(__file__).parents[1] / "access"))  # tests are imported by path, their neighbours are not


@pytest.fixture
def in_browser(open_page: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """``in_browser(bench, path, pages=None, prepare=None)``: a page of the dashboard, with what it complains of in ``page.problems``
    and the outputs of the callbacks it asked for in ``page.asked``. ``prepare`` is called with the page before it opens."""
    from browsing import listening

    with ExitStack() as stack:

        def build(bench: Any, path: str, pages: Any = None, prepare: Callable[[Any], None] | None = None) -> Any:
            application = create_app(bench.services, Settings.from_environment({}), pages)
            home = stack.enter_context(listening(application))
            page = open_page()
            page.set_default_timeout(60_000)
            page.problems, page.asked = [], []
            listeners = {
                "pageerror": lambda error: page.problems.append(f"page: {error}"),
                "console": lambda said: said.type in ("error", "warning") and page.problems.append(said.text),
                "request": lambda request: _note(request, page.asked),
            }
            for event, listener in listeners.items():
                page.on(event, listener)
                stack.callback(page.remove_listener, event, listener)
            stack.callback(page.goto, "about:blank")  # before its server goes
            if prepare is not None:
                prepare(page)
            page.goto(home + path)
            return page

        yield build


def _note(request: Any, asked: list[str]) -> None:
    if request.method == "POST" and "_dash-update-component" in request.url:
        asked.append(request.post_data_json["output"])
