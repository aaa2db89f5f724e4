"""assets/asking_again.js: questions that nobody answered, of our own scripts and of Dash."""

from __future__ import annotations

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


@pytest.mark.parametrize("status", [None, 502, 504])
def test_what_a_killed_worker_swallowed_is_asked_again(stage, status):
    stage.show()
    of_dash = Unreliable(stage, "**/_dash-update-component", 2, status)
    assert stage.js(ASK_DASH) == 200
    assert of_dash.asked == 3
    own = Unreliable(stage, "**/api/v1/something", 2, status)
    assert stage.js("() => mloscope.fetchJson('/api/v1/something')") == {}
    assert own.asked == 3
    assert stage.page.locator("#notices .notice").count() == 0


@pytest.mark.parametrize("status", [400, 500, 503])
def test_an_answer_is_an_answer_whatever_it_says(stage, status):
    stage.show()
    of_dash = Unreliable(stage, "**/_dash-update-component", 9, status)
    assert stage.js(ASK_DASH) == status
    assert of_dash.asked == 1


def test_what_changes_something_is_asked_once(stage):
    stage.show()
    own = Unreliable(stage, "**/api/v1/something", 9)
    kind = stage.js(
        "() => mloscope.fetchAnswer('/api/v1/something', undefined, { method: 'POST' }).catch((error) => error.kind)"
    )
    assert (kind, own.asked) == ("unreachable", 1)


def test_whoever_looks_away_is_not_asked_for_again(stage):
    stage.show()
    own = Unreliable(stage, "**/api/v1/something", 9)
    name = stage.js(
        """async () => {
          const abort = new AbortController();
          setTimeout(() => abort.abort(), 50);
          return mloscope.fetchJson("/api/v1/something", abort.signal).catch((error) => error.name);
        }"""
    )
    assert (name, own.asked) == ("AbortError", 1)


def test_where_nobody_answers_in_the_end_it_is_said_that_charts_may_be_old(stage):
    stage.page.clock.install()
    stage.show()
    of_dash = Unreliable(stage, "**/_dash-update-component", 99)
    stage.js("() => { window.outcome = null; (" + ASK_DASH + ")().then((outcome) => { window.outcome = outcome; }); }")
    for _ in range(40):
        stage.page.clock.run_for(1000)
        stage.page.wait_for_timeout(20)
        if stage.js("() => window.outcome"):
            break
    assert stage.js("() => window.outcome") == "TypeError"
    assert of_dash.asked == 6
    sentence = stage.page.locator("#notices .notice span").inner_text()
    assert sentence.startswith("The server does not answer, so charts and tables may be those of an earlier moment")
