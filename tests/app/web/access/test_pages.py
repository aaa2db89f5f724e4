"""Signing in and out, and how the server says that it is."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from mloscope.app.cache.memory_store import MemoryStore
from mloscope.app.process.logs import LoggedWarning
from mloscope.app.web.access.authentication import SESSION_COOKIE, Origin
from mloscope.app.web.access.gate import AccessGate
from mloscope.app.web.access.health import Health
from mloscope.app.web.access.own_page import CSRF_COOKIE
from mloscope.app.web.access.sign_in import local_path

HOME = "http://127.0.0.1:8050"
PASSWORD = "correct horse"


def sign_in(client: TestClient, wanted: str = "/", **fields: str) -> Any:
    client.get("/login")
    given = {"name": "anna", "password": PASSWORD, "next": wanted, "token": client.cookies[CSRF_COOKIE], **fields}
    return client.post("/login", data=given, headers={"origin": HOME})


def cookie_line(answer: Any, name: str) -> str:
    return next(line for line in answer.headers.get_list("set-cookie") if line.startswith(name))


# ------------------------------------------------------------------------------------------- signing in, out


def test_a_session_begins_with_a_cookie_that_scripts_do_not_see(house: Callable[..., Any]) -> None:
    visitor = house(session_s=3600.0).visitor()
    answer = sign_in(visitor, "/confusion?run=lenet#step=20")
    assert (answer.status_code, answer.headers["location"]) == (303, "/confusion?run=lenet#step=20")
    line = cookie_line(answer, SESSION_COOKIE).lower()
    assert {"httponly", "samesite=lax", "max-age=3600", "path=/"} <= {part.strip() for part in line.split(";")}
    assert "secure" not in line
    assert answer.headers["cache-control"] == "no-store"
    assert visitor.get("/").status_code == 200


def test_over_https_the_cookie_stays_there(house: Callable[..., Any]) -> None:
    home = house(allowed_hosts=("scope.lab.org",))
    for base, origin in (
        ("https://scope.lab.org", "https://scope.lab.org"),
        ("http://scope.lab.org", "https://scope.lab.org"),
    ):
        visitor = home.visitor(home=base)
        visitor.get("/login")
        fields = {"name": "anna", "password": PASSWORD, "token": visitor.cookies[CSRF_COOKIE]}
        answer = visitor.post("/login", data=fields, headers={"origin": origin})
        assert answer.status_code == 303
        assert "secure" in cookie_line(answer, SESSION_COOKIE).lower()


def test_a_wrong_password_is_said_on_the_page_and_kept_nowhere(house: Callable[..., Any]) -> None:
    visitor = house().visitor()
    answer = sign_in(visitor, password="<wrong horse>", name='an"na<script>')
    assert answer.status_code == 401
    assert "The name or the password is wrong." in answer.text
    assert "wrong horse" not in answer.text
    assert "an&#34;na&lt;script&gt;" in answer.text
    assert not [name for name in visitor.cookies if name.startswith(SESSION_COOKIE)]


def test_too_many_tries_are_told_how_long_to_wait(house: Callable[..., Any]) -> None:
    visitor = house().visitor(address="10.0.0.9")
    answers = [sign_in(visitor, password=f"wrong horse {n}") for n in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert sign_in(visitor).status_code == 429  # the right one as well: nobody learns that it is


@pytest.mark.parametrize("token", ["", "guess", None])
def test_another_site_s_form_signs_nobody_in(house: Callable[..., Any], token: str | None) -> None:
    """Or it could have a visitor look at the attacker's account."""
    home = house()
    visitor = home.visitor()
    visitor.get("/login")
    fields = {"name": "anna", "password": PASSWORD}
    if token is not None:
        fields["token"] = token
    assert visitor.post("/login", data=fields, headers={"origin": HOME}).status_code == 403
    fields["token"] = visitor.cookies[CSRF_COOKIE]
    assert visitor.post("/login", data=fields, headers={"origin": "https://evil.example"}).status_code == 403
    assert visitor.post("/login", data=fields).status_code == 403
    assert home.visitor().post("/login", data=fields, headers={"origin": HOME}).status_code == 403
    assert not [name for name in visitor.cookies if name.startswith(SESSION_COOKIE)]


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "", "/a\r\nSet-Cookie: x",
     "/\t/evil.example", " //evil.example"],
)  # fmt: skip
def test_signing_in_leads_to_no_other_site(wanted: str) -> None:
    assert local_path(wanted) == "/"


@pytest.mark.parametrize("wanted", ["/", "/confusion?run=a&corpus=b#step=3&layer=conv1", "/a//b"])
def test_signing_in_leads_back(wanted: str) -> None:
    assert local_path(wanted) == wanted


def test_signing_out_ends_it(house: Callable[..., Any]) -> None:
    visitor = house().visitor()
    sign_in(visitor)
    assert visitor.get("/logout").status_code == 303
    assert visitor.get("/").status_code == 200  # looking does nothing
    assert visitor.post("/logout", data={"token": "guess"}, headers={"origin": HOME}).status_code == 403
    assert 'value="' + visitor.cookies[CSRF_COOKIE] in visitor.get("/status").text
    answer = visitor.post("/logout", data={"token": visitor.cookies[CSRF_COOKIE]}, headers={"origin": HOME})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert answer.headers["clear-site-data"] == '"cache"'
    assert visitor.get("/").status_code == 401


def test_what_is_taken_from_somebody_who_is_signed_in_is_taken_at_once(house: Callable[..., Any]) -> None:
    home = house()

    def act(visitor: Any) -> int:
        """Start a job, which only an editor may: 503 where they may, for the house can compute none."""
        headers = {"x-mloscope": "1", "origin": HOME}
        asked = {"action": "start", "corpus": "noise"}
        return visitor.post("/api/v1/runs/lenet/statistics/job", json=asked, headers=headers).status_code

    anna, vera, carl = home.signed_in("anna"), home.signed_in("vera"), home.signed_in("anna")
    assert (act(anna), act(vera)) == (503, 403)
    home.users.change_role("anna", "viewer")
    home.users.change_role("vera", "editor")
    assert (act(anna), act(vera)) == (403, 503)
    assert "anna, viewer" in anna.get("/status").text
    home.users.change_password("anna", "another horse")
    assert (anna.get("/api/v1/runs").status_code, carl.get("/api/v1/runs").status_code) == (401, 401)
    home.users.remove_user("vera")
    assert (vera.get("/api/v1/runs").status_code, act(vera)) == (401, 401)


def test_who_comes_through_a_proxy_only_is_told_so(house: Callable[..., Any]) -> None:
    from ipaddress import ip_network

    home = house(people=False, proxy_user_header="x-user", trusted_proxies=(ip_network("10.0.0.0/24"),))
    page = home.visitor().get("/login").text
    assert "through the proxy" in page
    assert "password" not in page
    assert home.visitor(address="10.0.0.1").get("/", headers={"x-user": "carl"}).status_code == 200
    assert home.visitor(address="10.0.1.1").get("/", headers={"x-user": "carl"}).status_code == 401
    status = home.visitor(address="10.0.0.1").get("/status", headers={"x-user": "carl"}).text
    assert "carl, viewer" in status
    assert "Sign out" not in status


# ------------------------------------------------------------------------------------------------------- how


def test_alive_and_ready(house: Callable[..., Any]) -> None:
    home = house()
    visitor = home.visitor()
    assert visitor.get("/healthz").json() == {"alive": True}
    assert visitor.get("/readyz").json() == {"ready": True, "cache": "ready", "model_service": "ready"}
    assert visitor.post("/healthz", headers={"origin": HOME}).status_code == 400


class FickleStore(MemoryStore):
    """Says of itself what a test wants."""

    available = True

    def status(self) -> dict[str, Any]:
        return {"kind": "redis", "available": self.available, "problem": "secret:1"}


def test_not_ready_while_the_model_service_or_the_cache_is_away(make_bench: Callable[..., Any], house: Any) -> None:
    from mloscope.app.process.settings import Settings

    home = house()
    for state, available, ready in (
        ("starting", True, False), ("unreachable", True, False), ("not installed", True, True), ("ready", False, False),
    ):  # fmt: skip
        store = FickleStore(1 << 20)
        store.available = available
        bench = make_bench(store=store, service_state=lambda state=state: (state, "Because."))
        inner = home.application
        own_pages = Health(bench.services.vitals, home.metrics).routes
        gate = AccessGate(inner.application, Settings(), inner.authentication, own_pages, home.metrics, tuple)
        answer = TestClient(gate, HOME).get("/readyz")
        assert (answer.status_code == 200) is ready
        assert answer.json()["ready"] is ready
        assert "Because" not in answer.text
        assert "secret" not in answer.text


def test_status_shows_what_is_cached_what_runs_and_what_failed(house: Callable[..., Any]) -> None:
    home = house()
    anna = home.signed_in()
    anna.get("/api/v1/runs/lenet/predictions/test-0")
    page = anna.get("/status").text
    for words in (
        "2 of the runs and corpora have a problem",
        "memory of this process",
        "of 64 MiB",
        "lenet",
        "40 checkpoints",
        "gone does not exist.",
        "noise",
        "60 images",
        "anna, editor",
        "40 asked for",
        "this machine",
        "0 checkpoints measured",
        "No jobs have been started here.",
        "Nothing, since <time",
    ):
        assert words in page, words


class Jobs:
    def subjects(self) -> tuple[tuple[str, str, str], ...]:
        return (("lenet", "noise", "<test>"), ("of-another-server", "noise", "test"))

    def state(self, run: str, corpus: str, split: str) -> dict[str, Any]:
        return {"state": "running", "done": 30, "of": 120, "rate": 10.0, "seconds_left": 9.0, "message": "<b>"}


def test_status_tells_troubles_and_jobs_and_escapes_them(house: Callable[..., Any]) -> None:
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=2)
    home = house(people=False, recent_warnings=lambda: [LoggedWarning(now, "warning", "<i>broken</i>", "4f1c")])
    home.services.statistics.jobs = Jobs()
    page = home.visitor().get("/status").text
    for words in (
        "25\u202f%",
        "9 s left",
        "noise, &lt;test&gt;",
        "&lt;b&gt;",
        "&lt;i&gt;broken&lt;/i&gt;",
        f"{now:%Y-%m-%d %H:%M:%S} UTC",
        "4f1c",
        "running",
    ):
        assert words in page, words
    assert "<b>" not in page
    assert "<i>" not in page
    assert "of-another-server" not in page


def test_what_was_logged_is_for_editors_and_the_owner(house: Callable[..., Any]) -> None:
    logged = [LoggedWarning(datetime.datetime.now(datetime.UTC), "error", "redis:6379 refused anna", "4f1c")]
    home = house(recent_warnings=lambda: logged)
    assert "redis:6379 refused anna" in home.signed_in("anna").get("/status").text
    page = home.signed_in("vera").get("/status").text
    assert "refused anna" not in page
    assert "1 error, the last at <time" in page


def test_where_nobody_signs_in_what_was_logged_is_for_this_very_machine(house: Callable[..., Any]) -> None:
    logged = [LoggedWarning(datetime.datetime.now(datetime.UTC), "error", "redis:6379 refused anna", "4f1c")]
    anybody = house(people=False, unprotected=True, recent_warnings=lambda: logged)
    assert "refused anna" in anybody.visitor().get("/status").text
    assert "refused anna" not in anybody.visitor(address="10.0.0.9").get("/status").text


def test_a_link_in_the_bar_says_who_is_signed_in(house: Callable[..., Any]) -> None:
    for visitor, words in (
        (house().signed_in(), "anna"),
        (house(people=False, unprotected=True).visitor(), "Status"),
    ):
        assert f'"children":"{words}"' in visitor.get("/_dash-layout").text.replace('": "', '":"')


def test_strangers_who_ask_all_at_once_cost_one_question() -> None:
    class Asked:
        count = 0

        def vitals(self) -> dict[str, Any]:
            self.count += 1
            time.sleep(0.2)
            return {"cache": {"available": True}, "model_service": {"state": "ready"}}

    async def all_at_once(health: Health) -> list[int]:
        request = Request({"type": "http", "method": "GET", "path": "/readyz", "headers": []})
        origin = Origin("10.0.0.9", "http", False)
        answers = await asyncio.gather(*(health.routes["/readyz"](request, origin) for _ in range(50)))
        return [answer.status_code for answer in answers]

    asked: Any = Asked()
    health = Health(asked.vitals, None)  # type: ignore[arg-type]
    assert asyncio.run(all_at_once(health)) == [200] * 50
    assert asked.count == 1
    assert asyncio.run(all_at_once(health)) == [200] * 50
    assert asked.count == 2
