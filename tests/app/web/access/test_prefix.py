"""The server below a path of somebody's host: every address that leaves it, and what a proxy may say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from mloscope.app.process.settings import Settings
from mloscope.app.web.access.authentication import SESSION_COOKIE
from mloscope.app.web.access.own_page import CSRF_COOKIE

HOME = "http://127.0.0.1:8050"
PREFIX = "/tools/mloscope"
PROXY = Settings.from_environment({"MLOSCOPE_TRUSTED_PROXIES": "127.0.0.1"}).trusted_proxies
PAGES = ("/", "/confusion", "/compare", "/login", "/status")


@pytest.fixture(params=["setting, kept", "setting, taken away", "header"])
def seen(request: pytest.FixtureRequest, house: Callable[..., Any]) -> Callable[..., Any]:
    """``seen(people)``: a browser, and how the proxy hands on one of its paths."""

    def build(people: bool = True) -> tuple[Any, Callable[[str], str]]:
        if request.param == "header":
            visitor = house(people, trusted_proxies=PROXY).visitor(**{"x-forwarded-prefix": PREFIX + "/"})
        else:
            visitor = house(people, url_prefix=PREFIX).visitor()
        kept = request.param == "setting, kept"
        return visitor, (lambda path: PREFIX + path) if kept else (lambda path: path)

    return build


def addresses(page: str) -> list[str]:
    return re.findall(r'(?:src|href|action)="([^"#]*)', page)


def test_every_address_of_a_page_is_below_the_prefix(seen: Callable[..., Any]) -> None:
    visitor, handed_on = seen(people=False)
    for path in PAGES:
        page = visitor.get(handed_on(path), follow_redirects=False)
        found = [address for address in addresses(page.text) if not address.startswith("data:")]
        assert all(address.startswith(f"{PREFIX}/") for address in found), found
        if path in ("/", "/confusion"):
            assert len(found) > 10
            config = re.search(r'id="_dash-config" type="application/json">(.*?)</script>', page.text)
            assert config is not None
            assert json.loads(config[1])["requests_pathname_prefix"] == f"{PREFIX}/"
            for address in found:
                answer = visitor.get(handed_on(address.removeprefix(PREFIX)))
                assert answer.status_code == 200, address


def test_links_of_the_layout_are_below_the_prefix(seen: Callable[..., Any]) -> None:
    visitor, handed_on = seen(people=False)
    layout = json.dumps(visitor.get(handed_on("/_dash-layout")).json())
    links = re.findall(r'"href": "([^"#]+)"', layout)
    assert {f"{PREFIX}/", f"{PREFIX}/confusion", f"{PREFIX}/clusters", f"{PREFIX}/compare", f"{PREFIX}/status"} <= set(
        links
    )
    assert all(link.startswith(PREFIX) for link in links)


def test_dash_is_asked_for_the_page_as_it_is_called_inside(seen: Callable[..., Any]) -> None:
    visitor, handed_on = seen(people=False)
    dependencies = visitor.get(handed_on("/_dash-dependencies")).json()
    page = next(each for each in dependencies if "_pages_content.children" in each["output"])
    values = {"pathname": f"{PREFIX}/confusion", "search": ""}
    question = {
        "output": page["output"],
        "outputs": [
            {"id": name.rpartition(".")[0], "property": name.rpartition(".")[2]}
            for name in page["output"].strip(".").split("...")
        ],
        "inputs": [{**each, "value": values.get(each["property"])} for each in page["inputs"]],
        "state": page["state"],
        "changedPropIds": ["_pages_location.pathname"],
    }
    answer = visitor.post(
        handed_on("/_dash-update-component"), json=question, headers={"x-mloscope": "1", "origin": HOME}
    )
    assert answer.status_code == 200, answer.text
    assert "Confusion" in answer.json()["response"]["_pages_store"]["data"]["title"]


def test_one_signs_in_below_the_prefix(seen: Callable[..., Any]) -> None:
    visitor, handed_on = seen()
    sent_away = visitor.get(handed_on("/confusion?run=lenet"), headers={"accept": "text/html"})
    assert sent_away.headers["location"] == f"{PREFIX}/login?next=%2Fconfusion%3Frun%3Dlenet"
    page = visitor.get(handed_on("/login?next=%2Fconfusion%3Frun%3Dlenet"))
    cookies = page.headers.get_list("set-cookie")
    assert [line for line in cookies if line.startswith(CSRF_COOKIE) and f"Path={PREFIX};" in line]
    token = re.search(r'name="token" value="([\w-]+)"', page.text)
    assert token is not None
    fields = {"name": "anna", "password": "correct horse", "next": "/confusion?run=lenet#step=3", "token": token[1]}
    headers = {"origin": HOME, "cookie": f"{CSRF_COOKIE}={token[1]}"}
    answer = visitor.post(handed_on("/login"), data=fields, headers=headers)
    assert answer.headers["location"] == f"{PREFIX}/confusion?run=lenet#step=3"
    line = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(SESSION_COOKIE))
    assert f"Path={PREFIX};" in line


@pytest.mark.parametrize(
    "wanted", ["//evil.example", PREFIX + "//evil.example", PREFIX + "/\\evil.example", "https://evil.example"]
)
def test_nobody_is_led_away_from_below_the_prefix(house: Callable[..., Any], wanted: str) -> None:
    visitor = house(url_prefix=PREFIX).visitor()
    page = visitor.get("/login", params={"next": wanted})
    assert 'name="next" value="/"' in page.text
    open_house = visitor.get(PREFIX + wanted.removeprefix(PREFIX), headers={"accept": "text/html"})
    assert open_house.headers.get("location", PREFIX).startswith(PREFIX)


def test_documentation_gives_lines_that_work(seen: Callable[..., Any]) -> None:
    visitor, handed_on = seen(people=False)
    text = unescape(visitor.get(handed_on("/api/docs")).text)
    assert f"curl '{HOME}{PREFIX}/api/v1/runs" in text


@pytest.mark.parametrize(
    "said", ["//evil.example", '/a"><script>', "/a\\b", "https://evil.example", "/x, /tools/mloscope", "/..", "/api"]
)
def test_a_hostile_prefix_is_ignored(house: Callable[..., Any], said: str, caplog: pytest.LogCaptureFixture) -> None:
    visitor = house(people=False, trusted_proxies=PROXY).visitor(**{"x-forwarded-prefix": said})
    for _ in range(2):
        page = visitor.get("/")
        assert page.status_code == 200
        assert said not in page.text
        assert all(re.match(r"/(?!/)|data:", address) for address in addresses(page.text))
    assert sum("X-Forwarded-Prefix" in record.getMessage() for record in caplog.records) == 1


def test_only_a_trusted_proxy_says_a_prefix(house: Callable[..., Any]) -> None:
    visitor = house(people=False, trusted_proxies=PROXY).visitor(address="10.0.0.9", **{"x-forwarded-prefix": PREFIX})
    assert PREFIX not in visitor.get("/").text
    assert "alive" not in visitor.get(PREFIX + "/healthz").text
