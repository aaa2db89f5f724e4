"""What a real browser makes of it: Chromium, a server on a socket, and another site that means no good."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import in_page
import pytest
from accessibility import violations
from browsing import fill_in, listening, rest, until

from mloscope.app.web.dash.pages import OURS

HOSTILE = '<img src=x onerror="window.hacked=1">"\'><script>window.hacked=1</script>'
TRAP = """<!doctype html><title>trap</title><body>
<iframe name="frame" src="{home}/"></iframe>
<form id="job" method="post" enctype="text/plain" target="frame" action="{home}/api/v1/runs/lenet/statistics/job">
  <input name='{{"action":"start","corpus":"noise","split":"test","x":"' value='"}}'></form>
<form id="logout" method="post" target="frame" action="{home}/logout"><input name="token" value="guess"></form>
<script>
  window.said = [];
  const ask = (path, options) => fetch("{home}" + path, {{ credentials: "include", ...options }})
    .then((answer) => answer.text()).then((text) => said.push(`read ${{path}}: ${{text}}`), () => said.push(`refused ${{path}}`));
  Promise.all([
    ask("/api/v1/runs"),
    ask("/api/v1/runs/lenet/statistics/job", {{ method: "POST", body: "{{}}",
      headers: {{ "x-mloscope": "1", "content-type": "application/json" }} }}),
    ask("/_dash-update-component", {{ method: "POST", mode: "no-cors", body: "{{}}" }}),
    ask("/logout", {{ method: "POST", mode: "no-cors" }}),
    new Promise((done) => {{ const picture = new Image(); picture.onload = () => {{ said.push("picture"); done(); }};
      picture.onerror = done; picture.src = "{home}/api/v1/corpora/noise/images/test-0.png"; }}),
  ]).then(() => {{ document.getElementById("job").submit();
    setTimeout(() => document.getElementById("logout").submit(), 300); setTimeout(() => {{ window.finished = true; }}, 900); }});
</script>"""

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_every_page_works_under_the_policy_and_the_view_survives_signing_in(
    house: Callable[..., Any], street: ExitStack, browse: Callable[..., Any], scheme: str
) -> None:
    home = street.enter_context(listening(house().application))
    page = browse(scheme)
    page.goto(f"{home}/?run=lenet#layer=conv2&unit=3")
    assert "/login" in page.url
    assert violations(page) == []
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    fill_in(page)
    in_page.wait(page, "() => view?.get().layer === 'conv2' && view.get().unit === 3")
    page.wait_for_selector('canvas.film-canvas[data-state="ready"]')
    page.wait_for_selector(".js-plotly-plot .main-svg")
    page.get_by_text("anna", exact=True).click()
    page.get_by_role("link", name="Status").wait_for()
    page.keyboard.press("Escape")
    assert not page.get_by_role("link", name="Status").is_visible()
    links = page.locator(".nav-link")
    assert links.count() == len(OURS)
    for number in range(len(OURS)):
        links.nth(number).click()
        page.wait_for_function("n => document.querySelectorAll('.nav-link')[n].ariaCurrent === 'page'", arg=number)
        rest(page)
    for path in ("/status", "/api/docs"):
        page.goto(f"{home}{path}")
        page.wait_for_load_state("networkidle")
    assert page.problems == []


def test_scripts_that_get_into_a_page_do_not_run(
    house: Callable[..., Any], street: ExitStack, browse: Callable[..., Any]
) -> None:
    home = street.enter_context(listening(house(people=False).application))
    page = browse()
    for path in ("/", "/status"):
        page.goto(home + path)
        page.wait_for_load_state("networkidle")
        assert page.problems == []
        page.evaluate(
            """() => {
              const script = document.createElement("script");
              script.textContent = "window.hacked = 1";
              document.body.append(script);
              document.body.insertAdjacentHTML("beforeend", '<img src="data:," onerror="window.hacked = 1">');
              document.body.insertAdjacentHTML("beforeend", '<a id="trap" href="javascript:window.hacked = 1">x</a>');
              document.getElementById("trap").click();
              const far = document.createElement("script");
              far.src = "https://evil.example/x.js";
              document.body.append(far);
            }"""
        )
        until(page, lambda: sum("Content Security Policy" in problem for problem in page.problems) >= 4)
        assert page.evaluate("window.hacked") is None
        page.problems.clear()


def test_names_in_hostile_files_are_only_text(
    make_bench: Callable[..., Any],
    array_run: Any,
    array_corpus: Any,
    house: Callable[..., Any],
    street: ExitStack,
    browse: Callable[..., Any],
) -> None:
    """Of layers, kinds, hyper-parameters, classes. Escaped, and not just blocked by the policy, which would complain."""
    from dataclasses import replace

    run = array_run(steps=(0, 10))
    layers = [replace(layer) for layer in run.layers()]
    first = replace(
        layers[1], name=HOSTILE, source_class=HOSTILE, hyperparameters={HOSTILE: HOSTILE, "activation": HOSTILE}
    )
    layers[1:3] = [first, replace(layers[2], inputs=(HOSTILE,), kind="convolution", problem=HOSTILE)]
    corpus = array_corpus()
    corpus.class_names = (HOSTILE, "cat")
    bench = make_bench(run=array_run(steps=(0, 10), layers=tuple(layers)), corpus=corpus)
    home = street.enter_context(listening(house(people=False, bench=bench).application))
    page = browse()
    page.goto(home)
    page.wait_for_selector('canvas.film-canvas[data-state="ready"]')
    in_page.evaluate(page, "name => view.set({ layer: name, unit: 1, image: 'test-0' })", HOSTILE)
    page.wait_for_function("name => document.getElementById('layer-details').textContent.includes(name)", arg=HOSTILE)
    page.wait_for_load_state("networkidle")
    page.goto(f"{home}/api/v1/runs/lenet/graph.svg")
    page.goto(f"{home}/status")
    assert page.evaluate("window.hacked") is None
    assert [problem for problem in page.problems if "Security Policy" in problem or "page:" in problem] == []


def test_another_site_can_neither_frame_nor_read_nor_ask_nor_sign_out(
    house: Callable[..., Any], street: ExitStack, browse: Callable[..., Any]
) -> None:
    """From another port of the same machine: the nearest that another site can be, for the browser sends our cookies along."""
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    built = house()
    home = street.enter_context(listening(built.application))
    trap = street.enter_context(
        listening(Starlette(routes=[Route("/", lambda _request: HTMLResponse(TRAP.format(home=home)))]))
    )
    page = browse()
    page.goto(f"{home}/login")
    fill_in(page)
    in_page.wait(page, "() => subject")
    page.goto(trap)
    page.wait_for_function("() => window.finished")
    said = page.evaluate("said")
    assert not any(line.startswith("read") for line in said), said
    assert "picture" not in said
    assert "refused /api/v1/runs" in said
    assert "refused /api/v1/runs/lenet/statistics/job" in said
    assert page.frames[1].evaluate("document.body.innerText").find("ML-o-scope") == -1
    page.goto(f"{home}/status")
    assert page.url == f"{home}/status"  # still signed in
    assert "anna, editor" in page.inner_text("body")
    answered = built.metrics.exposition().decode()
    assert 'mloscope_refusals_total{kind="forbidden"}' in answered
    assert 'route="/api/v1/runs/{run}/statistics/job"' not in answered  # nothing of it got through to the application


def test_the_status_page_follows_and_leaves_alone_what_is_the_same(
    house: Callable[..., Any], make_bench: Callable[..., Any], array_run: Any, browse: Callable[..., Any]
) -> None:
    import datetime

    from mloscope.app.process.logs import LoggedWarning

    recent_warnings: list[LoggedWarning] = []
    built = house(people=False, bench=make_bench(run=array_run(broken=(10,))), recent_warnings=lambda: recent_warnings)
    page = browse()
    with listening(built.application) as home:
        page.goto(f"{home}/status")
        assert "UTC" not in page.inner_text("main"), "times are the reader's own"
        page.click("text=cannot be read")
        page.evaluate("document.querySelector('[data-part=connected] table').isTheSame = true")
        recent_warnings.append(LoggedWarning(datetime.datetime.now(datetime.UTC), "error", "Something broke.", "4f1c"))
        look = "document.dispatchEvent(new Event('visibilitychange'))"  # as when somebody comes back to the page
        page.evaluate(look)
        page.wait_for_selector("text=Something broke.")
        assert "UTC" not in page.inner_text("main")
        assert page.evaluate("document.querySelector('[data-part=connected] table').isTheSame")
        assert page.evaluate("document.querySelector('details').open")
        assert page.problems == []
    page.evaluate(look)
    page.wait_for_selector("h1:has-text('has not answered since')")
    assert "Something broke." in page.inner_text("main")


def test_a_session_that_ends_while_the_status_page_is_open_leads_to_where_one_signs_in(
    house: Callable[..., Any], street: ExitStack, browse: Callable[..., Any]
) -> None:
    built = house()
    home = street.enter_context(listening(built.application))
    page = browse()
    page.goto(f"{home}/login?next=/status")
    fill_in(page)
    page.wait_for_selector("text=anna, editor")
    built.users.remove_user("anna")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_url("**/login?next=%2Fstatus")


@pytest.mark.slow  # the sibling in test_behind_a_proxy.py loses its cookies
def test_a_session_that_ends_while_a_page_is_open_is_said_there(
    house: Callable[..., Any], street: ExitStack, browse: Callable[..., Any]
) -> None:
    built = house()
    home = street.enter_context(listening(built.application))
    page = browse()
    page.goto(f"{home}/?run=lenet#layer=conv2")
    fill_in(page)
    page.wait_for_selector('canvas.film-canvas[data-state="ready"]')
    built.users.change_password("anna", "another horse")
    page.wait_for_selector("#notices :text('You have been signed out')")
    page.reload()
    page.fill("[name=name]", "anna")
    page.fill("[name=password]", "another horse")
    page.keyboard.press("Enter")
    in_page.wait(page, "() => view?.get().layer === 'conv2'")
