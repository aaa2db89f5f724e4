"""assets/base/asking_again.mjs: questions that nobody answered, of our own scripts and of Dash."""

from __future__ import annotations

import json
from urllib.parse import unquote

import in_page
import pytest

pytestmark = pytest.mark.browser

ASK_DASH = """async () => {
  try {
    const answer = await fetch("/_dash-update-component", { method: "POST", body: "{}" });
    return answer.status;
  } catch (error) {
    return String(error.name);
  }
}"""


class Unreliable:
    """Fails the first requests to addresses of a pattern, and then answers them."""

    def __init__(self, stage, pattern: str, failures: int, status: int | None = None) -> None:
        self.asked = 0
        self.failures, self.status = failures, status
        stage.page.route(pattern, self.answer)

    def answer(self, route) -> None:
        self.asked += 1
        if self.asked > self.failures:
            route.fulfill(status=200, content_type="application/json", body="{}")
        elif self.status is None:
            route.abort("connectionreset")
        else:
            route.fulfill(status=self.status, content_type="text/html", body="<h1>Bad gateway</h1>")


@pytest.mark.parametrize("status", [None, 502, pytest.param(504, marks=pytest.mark.slow)])
def test_what_a_killed_worker_swallowed_is_asked_again(stage, status):
    stage.show()
    of_dash = Unreliable(stage, "**/_dash-update-component", 2, status)
    assert stage.js(ASK_DASH) == 200
    assert of_dash.asked == 3
    own = Unreliable(stage, "**/api/v1/something", 2, status)
    assert stage.js("() => fetchJson('/api/v1/something')") == {}
    assert own.asked == 3
    assert stage.page.locator("#notices .notice").count() == 0


REFUSALS = {
    400: ("The inputs of the callback are others.", "Reload the page"),
    403: ("Another site asked in your name.", "Reload the page"),
    404: ("There is no such callback here.", "Reload the page"),
    409: ("This changed meanwhile.", "Reload the page"),
    413: ("What was sent is larger than 1,048,576 bytes.", ""),
    422: ("That cannot be.", "Reload the page"),
    500: ("Something went wrong inside ML-o-scope.", "Reload the page"),
    501: ("Not here.", "Reload the page"),
}
ASK_FOR = """([output, title]) => fetch("/_dash-update-component", {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ output, title }),
}).then((answer) => answer.status)"""
NOTICE = "#notices .notice-standing"


class Server:
    """Answers Dash's questions as it is told, by what they ask for; told nothing it answers well."""

    def __init__(self, stage) -> None:
        self.answers: dict[str, tuple] = {}
        self.asked: list[dict] = []
        self.headers: list[dict] = []
        stage.page.route("**/_dash-update-component", self.answer)

    def answer(self, route) -> None:
        question = route.request.post_data_json
        self.asked.append(question)
        self.headers.append(route.request.headers)
        status, kind, body, headers = self.answers.get(question["output"], (200, "application/json", "{}", {}))
        if status is None:
            route.abort("connectionrefused")
        else:
            route.fulfill(status=status, body=body, headers={"content-type": kind, **headers})

    def refuses(self, output: str, status: int | None, message: str = "", **headers: str) -> None:
        body = json.dumps({"error": {"kind": "refused", "message": message}})
        self.answers[output] = (
            status,
            "application/json",
            body,
            {name.replace("_", "-"): text for name, text in headers.items()},
        )

    def answers_page(self, output: str, status: int) -> None:
        self.answers[output] = (status, "text/html", "<h1>Gateway</h1>", {})

    def is_well(self, output: str) -> None:
        self.answers.pop(output)


@pytest.fixture
def server(stage) -> Server:
    stage.show()
    return Server(stage)


def test_a_refused_callback_is_told_until_it_is_answered(stage, server):
    notice = stage.page.locator(NOTICE)
    for status, (message, action) in REFUSALS.items():
        server.asked.clear()
        server.refuses("..chart.figure..", status, message)
        assert stage.js(ASK_FOR, ["..chart.figure..", ""]) == status
        assert stage.js(ASK_FOR, ["..chart.figure..", ""]) == status
        assert len(server.asked) == 2, "asking again would change nothing"
        assert notice.count() == 1, status
        assert notice.inner_text() == f"{message} {action}".strip()
        assert stage.js(ASK_FOR, ["table.children", ""]) == 200
        assert notice.count() == 1, "that is another question"
        server.is_well("..chart.figure..")
        assert stage.js(ASK_FOR, ["..chart.figure..", ""]) == 200
        assert notice.count() == 0, status


def test_what_answers_in_the_server_s_place_is_told_too(stage, server):
    for status, words in ((403, "403"), (413, "client_max_body_size"), (418, "418"), (200, "in its place")):
        server.answers_page("chart.figure", status)
        assert stage.js(ASK_FOR, ["chart.figure", ""]) == status
        assert words in stage.page.locator(NOTICE).inner_text()
        server.is_well("chart.figure")
        assert stage.js(ASK_FOR, ["chart.figure", ""]) == 200
        assert stage.page.locator(NOTICE).count() == 0, status


@pytest.mark.own_page  # a clock that is installed stays
@pytest.mark.parametrize(
    "status", [None, 504, *(pytest.param(status, marks=pytest.mark.slow) for status in (502, 503))]
)
def test_where_nobody_answers_it_is_told_and_asked_until_somebody_does(stage, status):
    stage.page.clock.install()
    stage.show()
    server = Server(stage)
    server.refuses("chart.figure", status)
    stage.js("() => { window.outcome = null; }")
    stage.page.evaluate(
        f"(asked) => {{ ({ASK_FOR})(asked).then((status) => {{ window.outcome = status; }}); }}", ["chart.figure", ""]
    )
    for _ in range(30):
        stage.page.clock.run_for(1000)
        stage.page.wait_for_timeout(20)
    assert stage.page.locator(NOTICE).inner_text().startswith("Connection lost")
    assert stage.js("() => window.outcome") is None
    server.is_well("chart.figure")
    for _ in range(10):
        stage.page.clock.run_for(1000)
        stage.page.wait_for_timeout(20)
    assert stage.js("() => window.outcome") == 200
    assert stage.page.locator(NOTICE).count() == 0


def test_a_server_that_is_busy_is_asked_when_it_says(stage, server):
    server.refuses("chart.figure", 429, "That is more than your share.", retry_after="1")
    stage.page.evaluate(f"(asked) => {{ window.outcome = ({ASK_FOR})(asked); }}", ["chart.figure", ""])
    stage.page.wait_for_selector(f"{NOTICE} :text('That is more than your share.')")
    server.is_well("chart.figure")
    assert stage.js("() => window.outcome") == 200
    assert stage.page.locator(NOTICE).count() == 0


def test_a_sign_in_that_is_over_is_told_with_a_link_and_the_page_goes_on_by_itself(stage, server):
    server.refuses("chart.figure", 401, "Sign in first, or send the header Authorization.")
    server.refuses("table.children", 401)
    own = Unreliable(stage, "**/api/v1/something", 1, 401)
    in_page.evaluate(
        stage.page,
        f"""() => {{ const ask = {ASK_FOR};
        window.outcome = Promise.all([ask(["chart.figure", ""]), ask(["table.children", ""]),
          fetchJson("/api/v1/something")]); }}""",
    )
    notice = stage.page.locator(NOTICE)
    notice.wait_for()
    stage.page.wait_for_timeout(200)
    assert notice.count() == 1
    assert "Authorization" not in notice.inner_text()
    link = notice.locator("a")
    assert link.inner_text() == "Sign in again"
    wanted = unquote(link.get_attribute("href").partition("/login?next=")[2])
    assert wanted == stage.js("() => location.pathname + location.search + location.hash")
    server.answers.clear()
    stage.js("() => window.dispatchEvent(new Event('focus'))")  # back from where somebody signed in
    assert stage.js("() => window.outcome") == [200, 200, {}]
    assert own.asked == 2
    assert notice.count() == 0


def test_what_changes_something_is_not_asked_again_when_somebody_signs_in(stage, server):
    job = Unreliable(stage, "**/api/v1/job", 9, 401)
    Unreliable(stage, "**/api/v1/runs", 1, 401)
    said = stage.js(
        "() => fetchAnswer('/api/v1/job', undefined, { method: 'POST' }).catch((error) => [error.status, error.message])"
    )
    assert said[0] == 401
    assert "signed out" in said[1]
    notice = stage.page.locator(NOTICE)
    notice.wait_for()
    stage.js("() => window.dispatchEvent(new Event('focus'))")
    notice.wait_for(state="detached")
    assert job.asked == 1


def test_what_is_asked_anew_is_waited_for_and_the_old_question_is_not(stage, server):
    server.refuses("chart.figure", 401)
    stage.page.evaluate(f"() => {{ window.old = ({ASK_FOR})(['chart.figure', 'old']); }}")
    stage.page.locator(NOTICE).wait_for()
    server.answers.clear()
    assert stage.js(ASK_FOR, ["chart.figure", "new"]) == 200
    stage.js("() => window.dispatchEvent(new Event('focus'))")
    assert stage.js("() => window.old") == 204, "Dash leaves the part as it is"


def test_callbacks_are_known_without_a_cookie(stage, server):
    stage.js(ASK_FOR, ["chart.figure", ""])
    assert server.headers[0]["x-mloscope"] == "1"
    assert server.headers[0]["content-type"] == "application/json"


def test_pictures_that_could_not_be_had_are_fetched_when_all_is_well(stage, server):
    pictures = Unreliable(stage, "**/thumbnail.png", 1, 401)
    stage.js(
        """() => new Promise((done) => {
        const picture = new Image();
        picture.onerror = done;
        picture.src = "/thumbnail.png";
        document.body.append(picture);
        })"""
    )
    server.refuses("chart.figure", 401)
    stage.page.evaluate(f"() => {{ window.outcome = ({ASK_FOR})(['chart.figure', '']); }}")
    stage.page.locator(NOTICE).wait_for()
    server.answers.clear()
    stage.js("() => window.dispatchEvent(new Event('focus'))")
    stage.js("() => window.outcome")
    stage.page.wait_for_timeout(100)
    assert pictures.asked == 2


def test_what_changes_something_is_asked_once(stage):
    stage.show()
    own = Unreliable(stage, "**/api/v1/something", 9)
    kind = stage.js(
        "() => fetchAnswer('/api/v1/something', undefined, { method: 'POST' }).catch((error) => error.kind)"
    )
    assert (kind, own.asked) == ("unreachable", 1)


def test_whoever_looks_away_is_not_asked_for_again(stage):
    stage.show()
    own = Unreliable(stage, "**/api/v1/something", 9)
    name = stage.js(
        """async () => {
          const abort = new AbortController();
          setTimeout(() => abort.abort(), 50);
          return fetchJson("/api/v1/something", abort.signal).catch((error) => error.name);
        }"""
    )
    assert (name, own.asked) == ("AbortError", 1)


def test_what_is_not_answered_for_is_greyed_out_until_it_is(stage, server):
    stage.js(
        """() => document.getElementById("stage").insertAdjacentHTML("beforeend",
        '<div class="chart" id="frame"><div id="chart"></div></div><table id="table"></table><p id="other"></p>')"""
    )
    old = stage.page.locator("[data-outdated]")
    server.refuses("..chart.figure...table.children..", 503)
    stage.page.evaluate(
        f"(asked) => {{ window.outcome = ({ASK_FOR})(asked); }}", ["..chart.figure...table.children..", ""]
    )
    stage.page.locator("#table[data-outdated]").wait_for(state="attached")
    assert [node.get_attribute("id") for node in old.all()] == ["frame", "table"]
    server.answers.clear()
    assert stage.js("() => window.outcome") == 200
    assert old.count() == 0


@pytest.mark.own_page  # a clock that is installed stays
def test_a_server_that_is_away_is_told_and_everything_is_asked_for_when_it_is_back(stage):
    stage.page.clock.install()
    stage.show()
    away = True
    stage.page.route(
        "**/healthz", lambda route: route.abort("connectionrefused") if away else route.fulfill(status=200, body="ok")
    )
    stage.page.route("**/api/v1/something", lambda route: route.abort("connectionrefused"))
    stage.js("() => { window.backs = 0; onBack(() => { window.backs += 1; }); }")
    stage.js("() => { fetchJson('/api/v1/something').catch(() => {}); }")
    notice = stage.page.locator(NOTICE)
    for _ in range(10):
        stage.page.clock.run_for(1000)
        stage.page.wait_for_timeout(20)
    assert notice.inner_text().startswith("Connection lost")
    assert notice.count() == 1
    assert stage.js("() => window.backs") == 0
    away = False
    for _ in range(5):
        stage.page.clock.run_for(1000)
        stage.page.wait_for_timeout(20)
    assert notice.count() == 0
    assert stage.js("() => window.backs") == 1


def test_one_question_that_fails_is_no_server_that_is_away(stage):
    stage.show()
    stage.page.route("**/healthz", lambda route: route.fulfill(status=200, body="ok"))
    stage.page.route("**/api/v1/something", lambda route: route.abort("connectionreset"))
    stage.js("() => { window.backs = 0; onBack(() => { window.backs += 1; }); }")
    stage.js("() => fetchJson('/api/v1/something').catch(() => null)")
    stage.page.wait_for_timeout(100)
    assert stage.page.locator(NOTICE).count() == 0
    assert stage.js("() => window.backs") == 0


def test_what_the_page_brought_is_not_asked_for_but_once_more_it_is(bare) -> None:
    def answer(route) -> None:
        route.fulfill(body="of the server", content_type="application/json")

    bare.page.route("**/_dash-layout", answer)
    answers = bare.js(
        """async () => {
          const place = document.createElement("script");
          Object.assign(place, { id: "brought_dash-layout", type: "application/json", textContent: "of the page" });
          document.head.append(place);
          const ask = async () => (await fetch("/_dash-layout")).text();
          return [await ask(), await ask()];
        }"""
    )
    bare.page.unroute("**/_dash-layout", answer)
    assert answers == ["of the page", "of the server"]
