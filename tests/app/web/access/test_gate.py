"""What every request passes: names, roles, senders, sizes; and what every answer tells the browser."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse

from mloscope.app.accounts.users import UserFile
from mloscope.app.errors import BadRequest
from mloscope.app.process.request_context import CALLER, REQUEST_ID
from mloscope.app.process.settings import Settings
from mloscope.app.web.access.authentication import Authentication
from mloscope.app.web.access.browser_policy import content_security_policy, script_hash
from mloscope.app.web.access.gate import AccessGate
from mloscope.app.web.access.health import Health
from mloscope.app.web.access.own_page import CSRF_COOKIE
from mloscope.app.web.access.prometheus import Metrics
from mloscope.app.web.access.senders import CSRF_HEADER

HOME = "http://127.0.0.1:8050"
ACTION = "/api/v1/runs/lenet/statistics/job"
ORDER = {"action": "start", "corpus": "noise", "split": "test"}
CALLBACK = "/_dash-update-component"
GOT_THROUGH = 503
"""Nothing can compute statistics here, and it is the application that says so."""
OWN = {"x-mloscope": "1"}


def kind(answer: Any) -> str:
    return answer.json()["error"]["kind"]


# ------------------------------------------------------------------------------------------- who may come in


PRIVATE = (
    "/", "/confusion", "/api/v1/runs", "/api/docs", "/api/openapi.json", "/status", "/metrics", "/_dash-layout",
     "/_dash-dependencies", "/assets/shell.css", "/assets/../api/v1/runs", "//login", "/login/", "/healthz/../status",
     "/api/v1/films/" + "0" * 32, "/nothing-there", "/_dash-component-suites/dash/deps/polyfill@7.min.js",
)  # fmt: skip


def test_whoever_is_not_signed_in_reads_nothing(house: Callable[..., Any]) -> None:
    visitor = house().visitor()
    for path in PRIVATE:
        answer = visitor.get(path)
        assert answer.status_code == 401
        assert kind(answer) == "not-signed-in"
        assert answer.headers["www-authenticate"].startswith("Bearer")
        for method in ("POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "NONSENSE"):
            assert visitor.request(method, path).status_code == 401


def test_a_browser_is_shown_where_to_sign_in_and_comes_back(house: Callable[..., Any]) -> None:
    visitor = house().visitor(accept="text/html,*/*;q=0.8")
    answer = visitor.get("/confusion?run=lenet&corpus=noise")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/login?next=%2Fconfusion%3Frun%3Dlenet%26corpus%3Dnoise",
    )
    assert visitor.get("/").headers["location"] == "/login"
    assert visitor.get("/api/v1/runs").status_code == 401


def test_what_strangers_need_they_get(house: Callable[..., Any]) -> None:
    visitor = house().visitor()
    for path in ("/login", "/healthz", "/readyz", "/assets/theme.css", "/assets/access.css"):
        assert visitor.get(path).status_code == 200


def test_a_token_comes_in_everywhere(house: Callable[..., Any]) -> None:
    program = house().with_token("viewer")
    for path in ("/", "/api/v1/runs", "/metrics", "/status"):
        assert program.get(path).status_code == 200
    program.headers["authorization"] = "Bearer mloscope_none"
    assert program.get("/healthz").status_code == 401  # a wrong one is always said


def test_with_nobody_to_ask_for_everything_is_as_it_was(house: Callable[..., Any]) -> None:
    visitor = house(people=False).visitor()
    assert visitor.get("/").status_code == 200
    assert visitor.get("/api/v1/runs").status_code == 200
    assert visitor.get("/login").headers["location"] == "/"
    answer = visitor.post(ACTION, json=ORDER, headers=OWN)
    assert answer.status_code not in (401, 403)


# ---------------------------------------------------------------------------------------------------- roles


def test_a_viewer_reads_and_evaluates_and_starts_nothing(house: Callable[..., Any]) -> None:
    home = house()
    viewer = home.signed_in("vera")
    assert viewer.get("/api/v1/runs").status_code == 200
    assert viewer.get("/api/v1/runs/lenet/checkpoints/20/predictions/test-0").status_code == 200
    refused = viewer.post(ACTION, json=ORDER, headers={**OWN, "origin": HOME})
    assert (refused.status_code, kind(refused)) == (403, "forbidden")
    assert "vera is a viewer" in refused.json()["error"]["message"]
    for method in ("PUT", "PATCH", "DELETE", "NONSENSE"):
        assert viewer.request(method, "/api/v1/runs/lenet", headers=OWN).status_code == 403
    assert home.with_token("viewer").post(ACTION, json=ORDER, headers=OWN).status_code == 403


def test_an_editor_gets_through_to_the_application(house: Callable[..., Any]) -> None:
    home = house()
    for editor in (home.signed_in("anna"), home.with_token("editor")):
        answer = editor.post(ACTION, json=ORDER, headers={**OWN, "origin": HOME})
        assert answer.status_code == GOT_THROUGH
        assert "x-request-id" in answer.headers


def test_a_viewer_s_page_may_ask_dash(house: Callable[..., Any]) -> None:
    viewer = house().signed_in("vera")
    viewer.get("/")
    token = viewer.cookies[CSRF_COOKIE]
    answer = viewer.post(CALLBACK, json={}, headers={"origin": HOME, CSRF_HEADER: token})
    assert answer.status_code not in (401, 403)


# ---------------------------------------------------------------------------------- requests of other sites


ELSEWHERE = (
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "http://127.0.0.1"},
    {"origin": "http://127.0.0.1:8050.evil.example"},
    {"origin": "http://127.0.0.1:99999999"},
    {"origin": "file://"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": HOME, "sec-fetch-site": "cross-site"},
)


@pytest.mark.parametrize("people", [True, False])
def test_another_site_changes_nothing_in_a_visitor_s_name(house: Callable[..., Any], people: bool) -> None:
    """Not even with the headers that its scripts could not send anyway."""
    home = house(people=people)
    visitor = home.signed_in() if people else home.visitor()
    visitor.get("/")
    token = visitor.cookies[CSRF_COOKIE]
    for path in (ACTION, CALLBACK, "/logout"):
        for headers in ELSEWHERE:
            answer = visitor.post(path, json=ORDER, headers={**headers, **OWN, CSRF_HEADER: token})
            assert (answer.status_code, kind(answer)) == (403, "forbidden"), (path, headers)
            assert "Another site" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", [ACTION, CALLBACK])
@pytest.mark.parametrize("people", [True, False])
def test_a_form_of_any_origin_lacks_the_header(house: Callable[..., Any], path: str, people: bool) -> None:
    home = house(people=people)
    visitor = home.signed_in() if people else home.visitor()
    visitor.get("/")
    for headers in (
        {"origin": HOME},
        {"sec-fetch-site": "same-origin"},
        {"origin": HOME, CSRF_HEADER: "guess"},
        {"origin": HOME, CSRF_HEADER: ""},
        {"origin": HOME, "x-mloscope": "0"},
    ):
        answer = visitor.post(path, content=b'{"action":"start"}', headers=headers)
        assert (answer.status_code, kind(answer)) == (403, "forbidden"), headers
    del visitor.cookies[CSRF_COOKIE]
    answer = visitor.post(path, content=b"{}", headers={"origin": HOME, CSRF_HEADER: ""})
    assert answer.status_code == 403


def test_a_session_needs_the_header_even_where_the_browser_says_nothing_of_the_sender(
    house: Callable[..., Any],
) -> None:
    visitor = house().signed_in()
    assert visitor.post(ACTION, json=ORDER).status_code == 403
    assert visitor.post(ACTION, json=ORDER, headers=OWN).status_code == GOT_THROUGH


def test_no_other_site_is_ever_told_that_it_may(house: Callable[..., Any]) -> None:
    visitor = house().signed_in()
    for path in (ACTION, CALLBACK, "/api/v1/runs"):
        headers = {"origin": "https://evil.example", "access-control-request-method": "POST",
                   "access-control-request-headers": "x-mloscope"}  # fmt: skip
        for answer in (visitor.options(path, headers=headers), visitor.get(path, headers=headers)):
            assert not any(name.startswith("access-control-") for name in answer.headers)


def test_behind_a_proxy_that_takes_tls_off_the_origin_may_be_https(house: Callable[..., Any]) -> None:
    home = house(allowed_hosts=("scope.lab.org",))
    visitor = home.signed_in(home="http://scope.lab.org")
    assert (
        visitor.post(ACTION, json=ORDER, headers={**OWN, "origin": "https://scope.lab.org"}).status_code == GOT_THROUGH
    )
    assert visitor.post(ACTION, json=ORDER, headers={**OWN, "origin": "https://lab.org"}).status_code == 403


# ----------------------------------------------------------------------------------------------------- names


STRANGE_NAMES = (
    "evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example:8050", "", "[::1].evil.example",
     "lab.org", "127.0.0.1@evil.example", "xscope.lab.org.", "0x7f.1",
)  # fmt: skip


@pytest.mark.parametrize("people", [True, False])
def test_a_stranger_s_name_that_leads_here_is_not_answered(house: Callable[..., Any], people: bool) -> None:
    """DNS rebinding."""
    visitor = house(people, allowed_hosts=("scope.lab.org", ".example.org")).visitor()
    for host in STRANGE_NAMES:
        answer = visitor.get("/login", headers={"host": host})
        assert answer.status_code == 400, host
        assert visitor.get("/api/v1/runs", headers={"host": host}).status_code == 400, host
        assert "MLOSCOPE_ALLOWED_HOSTS" in answer.json()["error"]["message"]


OUR_NAMES = (
    "127.0.0.1:8050", "[::1]:8050", "10.0.0.7", "localhost", "LOCALHOST:1", "a.localhost", "scope.lab.org",
     "Scope.Lab.org:443", "scope.lab.org.", "deep.in.example.org",
)  # fmt: skip


def test_names_of_ours_are_answered(house: Callable[..., Any]) -> None:
    visitor = house(allowed_hosts=("scope.lab.org", ".example.org")).visitor()
    for host in OUR_NAMES:
        assert visitor.get("/login", headers={"host": host}).status_code == 200, host


@pytest.mark.parametrize("people", [True, False])
def test_whoever_looks_after_servers_may_ask_by_any_name(house: Callable[..., Any], people: bool) -> None:
    visitor = house(people).visitor()
    for host in ("web:8050", "evil.example", ""):
        for path in ("/healthz", "/readyz"):
            assert visitor.get(path, headers={"host": host}).status_code == 200
            assert visitor.head(path, headers={"host": host}).status_code == 200


def test_a_token_is_nothing_that_a_browser_sends_to_a_stranger_s_name(house: Callable[..., Any]) -> None:
    program = house().with_token("viewer")
    assert program.get("/metrics", headers={"host": "web:8050"}).status_code == 200
    program.headers["authorization"] = "Bearer mloscope_none"
    assert program.get("/metrics", headers={"host": "web:8050"}).status_code == 401


def test_where_no_token_is_asked_for_none_opens_the_door(house: Callable[..., Any]) -> None:
    visitor = house(people=False).visitor(authorization="Bearer x")
    assert visitor.get("/metrics", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/confusion", "/api/v1/runs", "/status", "/metrics"])
def test_no_name_at_all_is_no_browser_s(around: Callable[[Any], AccessGate], path: str) -> None:
    """HTTP/1.0 knows no Host."""
    scope = scope_of(path)
    scope["headers"] = []
    assert asyncio.run(status_of(around(PlainTextResponse("here")), scope)) == 200


# ------------------------------------------------------------------------------------- proxies that change Host


def test_what_the_browser_says_of_the_sender_needs_no_name(house: Callable[..., Any]) -> None:
    """The proxy asks by its own name for the server, and the page is of the proxy's."""
    visitor = house().visitor(origin="http://lab.org:8443", **{"sec-fetch-site": "same-origin"})
    visitor.get("/login")
    fields = {"name": "anna", "password": "correct horse", "token": visitor.cookies[CSRF_COOKIE]}
    assert visitor.post("/login", data=fields).status_code == 303
    for headers in (OWN, {CSRF_HEADER: visitor.cookies[CSRF_COOKIE]}):
        assert visitor.post(CALLBACK, json={}, headers=headers).status_code not in (401, 403)
    assert visitor.post(ACTION, json=ORDER).status_code == 403


def test_where_it_says_nothing_the_sentence_says_what_the_proxy_must_do_and_is_logged_once(
    house: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    visitor = house(people=False).visitor(origin="http://lab.org:8443")
    for _ in range(3):
        answer = visitor.post(CALLBACK, json={}, headers=OWN)
        assert answer.status_code == 403
        assert "proxy_set_header Host $http_host" in answer.json()["error"]["message"]
    logged = [record.getMessage() for record in caplog.records if "lab.org" in record.getMessage()]
    assert len(logged) == 1


# ------------------------------------------------------------------------------------------------------ HEAD


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/", "/confusion", "/api/v1/runs", "/api/docs", "/login", "/assets/theme.css"]
)
def test_head_is_get_without_the_body(house: Callable[..., Any], path: str) -> None:
    visitor = house(people=False).visitor()
    plain = {"accept-encoding": "identity"}  # two documents of Dash are equally long, but not once they are compressed
    full, head = visitor.get(path, headers=plain), visitor.head(path, headers=plain)
    assert (head.status_code, head.content) == (full.status_code, b"")
    for name in ("content-type", "content-length", "location", "content-security-policy"):
        if name in full.headers:
            assert head.headers.get(name) == full.headers[name], name


def test_the_head_of_what_comes_bit_by_bit_computes_nothing_more(around: Callable[[Any], AccessGate]) -> None:
    came = []

    async def lines() -> Any:
        for number in range(1000):
            came.append(number)
            yield b"line\n"
            await asyncio.sleep(0.001)

    assert asyncio.run(status_of(around(StreamingResponse(lines())), scope_of("/film", "HEAD"))) == 200
    assert len(came) < 20


# ----------------------------------------------------------------------------------------------------- sizes


def test_a_callback_may_be_far_smaller_than_other_requests(house: Callable[..., Any]) -> None:
    viewer = house(callback_limit_bytes=1000).with_token("viewer")
    assert viewer.post(CALLBACK, content=b" " * 1000).status_code == 400
    answer = viewer.post(CALLBACK, content=b" " * 1001)
    assert (answer.status_code, kind(answer)) == (413, "too-large")
    assert "MLOSCOPE_CALLBACK_LIMIT_BYTES" in answer.json()["error"]["message"]
    assert viewer.post(ACTION, content=b" " * 1001).status_code == 403


def test_what_is_too_large_is_not_read(house: Callable[..., Any]) -> None:
    home = house(body_limit_bytes=1000)
    editor = home.with_token()
    answer = editor.post(ACTION, content=b" " * 1001)
    assert (answer.status_code, kind(answer)) == (413, "too-large")
    assert "1,000 bytes" in answer.json()["error"]["message"]
    pieces = (b" " * 100 for _ in range(100_000))
    assert editor.post(ACTION, content=pieces).status_code == 413
    assert editor.post(ACTION, json=ORDER, headers=OWN).status_code == GOT_THROUGH
    assert home.visitor().post(ACTION, content=b" " * 1001).status_code == 401  # strangers send nothing at all
    big_form = home.visitor().post("/login", content=b"a" * 20_000, headers={"origin": HOME})
    assert big_form.status_code == 413


def test_a_length_that_is_a_lie_is_found_out(house: Callable[..., Any]) -> None:
    home = house(body_limit_bytes=1000)
    editor = home.with_token()
    answer = editor.post(ACTION, content=b" " * 5000, headers={"content-length": "10"})
    assert answer.status_code == 413


# ----------------------------------------------------------------------------------------------- evaluations


def test_evaluations_are_shared_out_and_what_was_computed_stays(house: Callable[..., Any]) -> None:
    home = house(evaluations_a_minute=10)
    anna, vera = home.signed_in("anna"), home.signed_in("vera")
    address = "/api/v1/runs/lenet/predictions/{}"
    assert anna.get(address.format("test-0")).status_code == 200  # 40 checkpoints at once: a debt
    refused = anna.get(address.format("test-1"))
    assert (refused.status_code, kind(refused)) == (429, "too-many-requests")
    assert 150 < int(refused.headers["retry-after"]) <= 186
    assert anna.get(address.format("test-0")).status_code == 200
    assert anna.get("/api/v1/runs").status_code == 200
    assert vera.get(address.format("test-1")).status_code == 200
    assert anna.get(address.format("test-1")).status_code == 200  # vera has paid
    lines = anna.get("/api/v1/runs/lenet/layers/conv2/film?show=features&image=test-2").text.splitlines()
    assert json.loads(lines[-1])["error"]["kind"] == "too-many-requests"


def test_two_who_wait_for_one_thing_do_not_share_a_refusal(make_bench: Callable[..., Any]) -> None:
    """The one whose share is used up is refused; the other, who waited for the same result, computes it."""
    from mloscope.app.errors import TooManyRequests

    bench = make_bench()
    cache = bench.services.cache
    entered, joined = threading.Event(), threading.Event()

    def refused() -> bytes:
        entered.set()
        assert joined.wait(10)
        raise TooManyRequests("Enough.", 1.0)

    def first() -> None:
        with pytest.raises(TooManyRequests):
            cache.get_or_compute("key", refused)

    poor = threading.Thread(target=first)
    poor.start()
    assert entered.wait(10)
    threading.Timer(0.2, joined.set).start()
    assert cache.get_or_compute("key", lambda: b"value") == b"value"
    poor.join(10)


# --------------------------------------------------------------------------------------------------- answers


def test_every_answer_tells_the_browser_what_it_must_not_do(house: Callable[..., Any]) -> None:
    home = house()
    anna = home.signed_in()
    for path in (
        "/",
        "/status",
        "/api/v1/runs",
        "/api/docs",
        "/assets/shell.css",
        "/nothing",
        "/api/v1/nothing",
        "/login",
    ):
        headers = anna.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        is_page = headers["content-type"].startswith("text/html")
        assert headers.get("cross-origin-opener-policy") == ("same-origin" if is_page else None)
        assert ("camera=()" in headers.get("permissions-policy", "")) == is_page
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe-eval" not in policy
        assert "*" not in policy
        if path not in ("/api/docs",):
            assert "'unsafe-inline'" not in re.search(r"script-src[^;]*|$", policy)[0]  # type: ignore[index]


def test_only_pages_and_only_where_it_is_set_may_stand_in_a_frame(house: Callable[..., Any]) -> None:
    home = house(people=False, frame_ancestors=("http://localhost:*", "vscode-webview:"))
    client = home.visitor()
    page = client.get("/").headers
    assert "frame-ancestors http://localhost:* vscode-webview:" in page["content-security-policy"]
    assert "x-frame-options" not in page
    for path in ("/login", "/api/docs", "/api/v1/runs", "/assets/shell.css"):
        headers = client.get(path).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-frame-options"] == "DENY"
    for wrong in ("*", "https://*", "localhost", "http://a b", "'self'", "http://x; script-src *"):
        with pytest.raises(BadRequest, match="MLOSCOPE_FRAME_ANCESTORS"):
            Settings.from_environment({"MLOSCOPE_FRAME_ANCESTORS": wrong})


def test_what_never_changes_under_its_address_is_kept_by_browsers_and_by_nobody_on_the_way(
    house: Callable[..., Any],
) -> None:
    anna = house().signed_in()
    assert (
        anna.get("/assets/icon.svg").headers["cache-control"] == "public, max-age=86400"
    )  # the sign-in page has it too
    assert anna.get("/assets/shell.css?m=12.5").headers["cache-control"] == "private, max-age=31536000, immutable"
    assert anna.get("/assets/shell.css").headers["cache-control"] == "no-cache"
    assert anna.get("/assets/nothing.css?m=12.5").headers["cache-control"] == "no-store"


def test_the_policy_lets_exactly_the_page_s_own_scripts_run(house: Callable[..., Any]) -> None:
    answer = house().signed_in().get("/")
    scripts = re.findall(r"<script((?:\s[^>]*)?)>(.*?)</script>", answer.text, re.DOTALL)
    inline = [text for attributes, text in scripts if "src=" not in attributes and "application/json" not in attributes]
    policy = answer.headers["content-security-policy"]
    assert len(inline) >= 2
    for script in inline:
        assert script_hash(script) in policy
    assert script_hash("alert(1)") not in policy
    assert content_security_policy(["'a'", "'a'"]).count("'a'") == 1


def test_nothing_on_the_way_keeps_what_somebody_signed_in_for(house: Callable[..., Any]) -> None:
    home = house()
    anna = home.signed_in()
    for path in ("/", "/api/v1/runs", "/api/v1/corpora/noise/images/test-0.png"):
        headers = anna.get(path).headers
        assert "public" not in headers["cache-control"]
        assert {"cookie", "authorization"} <= {name.strip().lower() for name in headers["vary"].split(",")}
    line = next(
        line for line in anna.get("/api/v1/runs/lenet/layers/conv2/film").text.splitlines() if '"chunk"' in line
    )
    chunk = anna.get(json.loads(line)["chunk"]["address"])
    assert chunk.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert home.visitor().get(json.loads(line)["chunk"]["address"]).status_code == 401


def test_requests_have_numbers(house: Callable[..., Any]) -> None:
    visitor = house().visitor()
    assert visitor.get("/healthz", headers={"x-request-id": "proxy-4f1c.99"}).headers["x-request-id"] == "proxy-4f1c.99"
    for harmful in ("x", "a b c d e f", '"><script>', "a" * 65, "\x1b[31mred-alert"):
        given = visitor.get("/healthz", headers={"x-request-id": harmful}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{16}", given)
    assert len({visitor.get("/healthz").headers["x-request-id"] for _ in range(20)}) == 20


# ------------------------------------------------------------------------------------ as pure ASGI middleware


@pytest.fixture
def around(house: Callable[..., Any], tmp_path: Any) -> Callable[[Any], AccessGate]:
    """An access gate around an application of the test's own, open to everybody."""
    home = house(people=False)

    def build(application: Any) -> AccessGate:
        settings = Settings(users_file=str(tmp_path / "none.json"))
        authentication = Authentication(settings, UserFile(tmp_path / "none.json"))
        metrics = Metrics(home.bench.services.vitals)
        own_pages = Health(home.bench.services.vitals, metrics).routes
        return AccessGate(application, settings, authentication, own_pages, metrics, lambda: ())

    return build


def scope_of(path: str = "/", method: str = "GET", **headers: str) -> dict[str, Any]:
    given = {"host": "127.0.0.1", **headers}
    return {
        "type": "http", "method": method, "path": path, "query_string": b"", "scheme": "http",
        "client": ("127.0.0.1", 5), "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in given.items()],
    }  # fmt: skip


async def status_of(application: Any, scope: dict[str, Any]) -> int:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    bodies = [await no_body()]

    async def receive() -> dict[str, Any]:
        if not bodies:
            await asyncio.sleep(3600)  # nobody hangs up
        return bodies.pop()

    await application(scope, receive, send)
    return int(messages[0]["status"])


async def no_body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def test_a_stream_goes_through_line_by_line(around: Callable[[Any], AccessGate]) -> None:
    async def story() -> list[bytes]:
        arrived = asyncio.Event()
        got: list[bytes] = []

        async def lines() -> Any:
            yield b"first\n"
            await asyncio.wait_for(arrived.wait(), 10)  # goes on only when the first line is out
            yield b"second\n"

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and message["body"]:
                got.append(message["body"])
                arrived.set()

        async def waiting() -> Any:
            await asyncio.sleep(30)

        gate = around(StreamingResponse(lines(), media_type="application/x-ndjson"))
        await gate(scope_of("/api/v1/stream"), waiting, send)
        return got

    assert asyncio.run(story()) == [b"first\n", b"second\n"]


def answer_of(gate: AccessGate, scope: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(gate(scope, no_body, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def test_a_fault_is_one_sentence_and_its_traceback_is_in_the_log_only(
    around: Callable[[Any], AccessGate], caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the password is swordfish")

    status, headers, body = answer_of(around(broken), scope_of())
    assert status == 500
    assert json.loads(body)["error"]["message"] == "Something went wrong inside ML-o-scope; its log says what."
    assert b"swordfish" not in body
    assert b"Traceback" not in body
    assert "x-request-id" in headers
    assert "RuntimeError: the password is swordfish" in caplog.text


def test_a_fault_in_the_middle_of_an_answer_ends_it(
    around: Callable[[Any], AccessGate], caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("torn")

    status, _, body = answer_of(around(broken), scope_of())
    assert (status, body) == (200, b"half")
    assert "torn" in caplog.text


def test_whoever_works_for_a_request_knows_it_and_nobody_afterwards(around: Callable[[Any], AccessGate]) -> None:
    seen: list[tuple[str, str, str]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.to_thread(lambda: seen.append((REQUEST_ID.get(), CALLER.get().via, CALLER.get().address)))
        await PlainTextResponse("ok")(scope, receive, send)

    answer_of(around(application), scope_of(x_request_id="0123456789abcdef"))
    assert seen == [("0123456789abcdef", "open", "127.0.0.1")]
    assert REQUEST_ID.get() == ""


def test_web_sockets_are_turned_away(around: Callable[[Any], AccessGate]) -> None:
    sent: list[Any] = []

    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it got through")

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(around(never)({"type": "websocket", "path": "/", "headers": []}, no_body, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_cookies_are_for_https_only_where_the_visitor_has_https(around: Callable[[Any], AccessGate]) -> None:
    page = around(HTMLResponse("<p>hello"))
    plain = answer_of(page, scope_of())[1]["set-cookie"]
    assert plain.endswith("SameSite=Strict")
    scope = scope_of()
    scope["scheme"] = "https"
    assert answer_of(page, scope)[1]["set-cookie"].endswith("SameSite=Strict; Secure")
    known = scope_of(cookie=plain.partition(";")[0])
    assert "set-cookie" not in answer_of(page, known)[1]
    assert "set-cookie" in answer_of(page, scope_of(cookie='_csrf_token=<script>"'))[1]


def test_requests_are_logged_without_what_is_secret(
    house: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    home = house(log_format="json")
    with caplog.at_level(logging.INFO):
        anna = home.signed_in()
        token = home.users.add_token("nightly", "viewer")
        home.visitor(authorization=f"Bearer {token}").get("/api/v1/runs?secret=in-the-query")
        anna.post(ACTION, json=ORDER)
    facts = [record.mloscope for record in caplog.records if record.name == "mloscope.requests"]
    assert {"method": "POST", "path": "/login", "status": 303}.items() <= facts[1].items()
    assert "x-mloscope" in facts[-1]["refused"]
    said = json.dumps(facts) + "".join(r.getMessage() for r in caplog.records if not r.name.startswith("httpx"))
    for secret in ("correct horse", "correct+horse", token, *anna.cookies.values(), "in-the-query"):
        assert secret not in said


def test_an_address_writes_no_line_of_its_own_into_the_log(
    house: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        house(people=False).visitor().get("/api/v1/x%0aERROR%20mloscope:%20all%20is%20lost%1b[2J")
    said = [record.getMessage() for record in caplog.records if record.name == "mloscope.requests"]
    assert len(said) == 1
    assert said[0].startswith("GET /api/v1/x\\nERROR mloscope: all is lost\\x1b[2J 404")
