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
def in_browser(chromium: Any) -> Iterator[Callable[..., Any]]:
    """``in_browser(bench, path, pages=None)``: a page of the dashboard, with what it complains of in ``page.problems`` and the
    outputs of the callbacks it asked for in ``page.asked``."""
    from browsing import listening

    with ExitStack() as stack:

        def open_page(bench: Any, path: str, pages: Any = None) -> Any:
            application = create_app(bench.services, Settings.from_environment({}), pages)
            home = stack.enter_context(listening(application))
            context = chromium.new_context(viewport={"width": 1280, "height": 800})
            stack.callback(context.close)
            context.set_default_timeout(60_000)
            page = context.new_page()
            page.problems, page.asked = [], []
            page.on("pageerror", lambda error: page.problems.append(f"page: {error}"))
            page.on("console", lambda m: page.problems.append(m.text) if m.type in ("error", "warning") else None)
            page.on("request", lambda request: _note(request, page.asked))
            page.goto(home + path)
            return page

        yield open_page


def _note(request: Any, asked: list[str]) -> None:
    if request.method == "POST" and "_dash-update-component" in request.url:
        asked.append(request.post_data_json["output"])
