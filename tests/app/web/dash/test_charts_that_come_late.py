"""A chart library that does not come takes nothing of the page with it, and is asked for until it does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from mloscope.app.process.settings import Settings
from mloscope.app.web.server import create_app

pytestmark = pytest.mark.browser


def test_charts_without_their_library_say_so_and_the_page_goes_on(bench: Any, in_browser: Any) -> None:
    asked: list[str] = []
    cut = True

    def answer(route: Any) -> None:
        asked.append(route.request.url)
        route.abort("connectionreset") if cut else route.continue_()

    def routed(page: Any) -> None:
        page.route("**/plotly*.min.js", answer)

    page = in_browser(bench, "/", prepare=routed)
    missing = page.locator(".chart-missing[data-state=failed]")
    missing.first.wait_for()
    page.locator("canvas.film-canvas[data-state=ready]").first.wait_for()
    assert page.locator(".js-plotly-plot").count() == 0
    cut = False
    page.get_by_role("button", name="Try now").first.click()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert missing.count() == 0
    assert 2 <= len(asked) <= 6
    assert sum("_pages_content" in output for output in page.asked) == 1  # the page did not start again
    assert [problem for problem in page.problems if "ERR_CONNECTION_RESET" not in problem] == []


def test_addresses_of_the_library_lead_to_it_and_may_be_kept_for_ever(bench: Any) -> None:
    with TestClient(create_app(bench.services, Settings.from_environment({}))) as client:
        told = re.search(r'<script id="chart-scripts" type="application/json">(.*?)</script>', client.get("/").text)
        answers = [client.get(address) for address in json.loads(told[1])]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert "Plotly" in answers[1].text
    assert int(answers[1].headers["content-length"]) < 1.5e6 < len(answers[1].content)
    assert all("max-age=31536000" in answer.headers["cache-control"] for answer in answers)
