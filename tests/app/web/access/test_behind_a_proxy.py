"""Chromium, a real nginx that shows the server below a path or changes Host, and the server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import in_page
import pytest
from browsing import fill_in, listening
from nginx_before import NGINX, nginx_before

from mloscope.app.process.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(NGINX is None, reason="no nginx on the PATH (apt: nginx-light)"),
]

PREFIX = "/tools/mloscope"
PROXY = Settings.from_environment({"MLOSCOPE_TRUSTED_PROXIES": "127.0.0.1"}).trusted_proxies
TAKES_AWAY = "location /tools/mloscope/ {{ proxy_pass {home}/; proxy_set_header Host $http_host; {more} }}"
WAYS = {
    "header": ({"trusted_proxies": PROXY}, TAKES_AWAY, "proxy_set_header X-Forwarded-Prefix /tools/mloscope;"),
    "setting, taken away": ({"url_prefix": PREFIX}, TAKES_AWAY, ""),
    "setting, kept": ({"url_prefix": PREFIX}, TAKES_AWAY.replace("{home}/;", "{home};"), ""),
}


@pytest.mark.parametrize(
    "way", ["header", *(pytest.param(way, marks=pytest.mark.slow) for way in WAYS if way != "header")]
)
def test_everything_works_below_a_path(
    way: str,
    house: Callable[..., Any],
    street: ExitStack,
    browse: Callable[..., Any],
    tmp_path: Path,
) -> None:
    settings, server, more = WAYS[way]
    home = street.enter_context(listening(house(**settings).application))
    outside = street.enter_context(nginx_before(tmp_path / "nginx", server.format(home=home, more=more)))
    page = browse()
    asked: list[tuple[str, int]] = []

    def note(answer: Any) -> None:
        asked.append((urlsplit(answer.url).path, answer.status))

    page.on("response", note)
    street.callback(page.remove_listener, "response", note)
    page.goto(f"{outside}{PREFIX}/confusion?run=lenet")
    assert urlsplit(page.url).path == f"{PREFIX}/login"
    fill_in(page)
    page.wait_for_url(f"**{PREFIX}/confusion?run=lenet*")
    page.wait_for_selector(f'.nav-link[aria-current="page"][href^="{PREFIX}/confusion"]')
    page.click(f'.nav-link[href="{PREFIX}/"]')
    page.wait_for_selector('canvas.film-canvas[data-state="ready"]')
    steps = in_page.evaluate(page, "time.checkpoints.map(({ step }) => step)")
    for step in steps:
        in_page.evaluate(page, "step => time.requestStep(step)", step)
        page.wait_for_selector(f'canvas.film-canvas[data-state="ready"][data-step="{step}"]')
    page.wait_for_selector(".js-plotly-plot .main-svg")
    page.wait_for_function(
        "() => [...document.images].some((picture) => picture.src.includes('/corpora/') && picture.naturalWidth)"
    )
    page.click("text=anna")
    page.click(".user-menu >> text=Status")
    page.wait_for_url(f"**{PREFIX}/status")
    page.click("text=REST API")
    page.wait_for_url(f"**{PREFIX}/api/docs")
    page.go_back()
    page.click("text=Sign out")
    page.wait_for_url(f"**{PREFIX}/login")
    assert page.context.cookies() == [cookie for cookie in page.context.cookies() if cookie["path"] == PREFIX]
    assert [path for path, status in asked if not path.startswith(f"{PREFIX}/") or status >= 400] == []
    assert page.problems == []


@pytest.mark.parametrize("host", ["", pytest.param("proxy_set_header Host $host;", marks=pytest.mark.slow)])
def test_a_proxy_that_changes_host_is_no_obstacle_to_a_browser_that_says_who_asks(
    host: str,
    house: Callable[..., Any],
    street: ExitStack,
    browse: Callable[..., Any],
    tmp_path: Path,
) -> None:
    home = street.enter_context(listening(house(people=True).application))
    server = f"location / {{ proxy_pass {home}; {host} }}"
    outside = street.enter_context(nginx_before(tmp_path / "nginx", server))
    page = browse()
    page.goto(f"{outside}/?run=lenet")
    fill_in(page)
    page.wait_for_selector('canvas.film-canvas[data-state="ready"]')
    page.wait_for_selector(".js-plotly-plot .main-svg")
    assert page.problems == []


def test_without_cookies_and_storage_the_pages_work_on_this_machine(
    house: Callable[..., Any],
    street: ExitStack,
    chromium: Any,
) -> None:
    home = street.enter_context(listening(house(people=False).application))
    context = chromium.new_context()
    street.callback(context.close)
    context.add_init_script(
        """for (const [of, name] of [[window, "localStorage"], [window, "sessionStorage"], [document, "cookie"]])
          Object.defineProperty(of, name, { get() {
            if (name === "cookie") return "";
            throw new DOMException("denied", "SecurityError");
          }, set() {} });"""
    )
    context.route(
        "**/*", lambda route: route.continue_(headers={k: v for k, v in route.request.headers.items() if k != "cookie"})
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{home}/?run=lenet")
    page.wait_for_selector('canvas.film-canvas[data-state="ready"]')
    theme = page.evaluate("document.documentElement.dataset.theme")
    page.click("text=Theme")
    page.wait_for_function("before => document.documentElement.dataset.theme !== before", arg=theme)
    page.click('.nav-link[href="/confusion"]')
    page.wait_for_selector('.nav-link[aria-current="page"][href^="/confusion"]')
    assert page.locator(".notice-standing").count() == 0
    assert problems == []


def test_without_cookies_it_is_said_that_signing_in_needs_them(
    house: Callable[..., Any],
    street: ExitStack,
    browse: Callable[..., Any],
) -> None:
    home = street.enter_context(listening(house().application))
    page = browse()
    page.goto(f"{home}/login")
    page.context.clear_cookies()
    fill_in(page)
    page.wait_for_selector("[role=alert] >> text=needs cookies")


def test_two_servers_on_one_host_leave_each_other_alone(
    house: Callable[..., Any],
    street: ExitStack,
    browse: Callable[..., Any],
    tmp_path: Path,
) -> None:
    one = house()
    home = street.enter_context(listening(one.application))
    other = house(users_file=str(tmp_path / "other.json"))
    other.users.path.write_text(other.users.path.read_text().replace('"secret": "', '"secret": "other'))
    elsewhere = street.enter_context(listening(other.application))
    page = browse()
    for address in (home, elsewhere):
        page.goto(f"{address}/login?next=/status")
        fill_in(page)
        page.wait_for_selector("text=anna, editor")
    page.goto(f"{home}/status")
    page.wait_for_selector("text=anna, editor")
    page.click("text=Sign out")
    page.goto(f"{elsewhere}/status")
    page.wait_for_selector("text=anna, editor")


def test_a_tab_whose_sign_in_is_over_says_so_agrees_with_itself_and_goes_on(
    house: Callable[..., Any],
    street: ExitStack,
    browse: Callable[..., Any],
) -> None:
    built = house()
    home = street.enter_context(listening(built.application))
    page = browse()
    page.goto(f"{home}/?run=lenet#layer=conv2")
    fill_in(page)
    page.wait_for_selector('canvas.film-canvas[data-state="ready"]')
    page.context.clear_cookies()  # as when their time is over
    page.click('.nav-link[href="/confusion"]')
    notice = page.locator(".notice-standing")
    notice.wait_for()
    assert "signed out" in notice.inner_text()
    link = notice.locator("a").get_attribute("href")
    assert link.startswith("/login?next=%2Fconfusion")
    assert "layer%3Dconv2" in link
    assert page.locator('.nav-link[aria-current="page"]').get_attribute("href") == "/", "the page that is shown"
    assert page.locator("canvas.film-canvas").count()
    other = page.context.new_page()
    other.goto(f"{home}/login")
    fill_in(other)
    other.wait_for_selector('canvas.film-canvas[data-state="ready"]')
    page.bring_to_front()
    page.wait_for_selector('.nav-link[aria-current="page"][href^="/confusion"]')
    notice.wait_for(state="detached")
