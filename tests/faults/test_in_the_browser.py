"""What somebody who looks at a page sees of a fault: a sentence where a picture is missing, never an old picture, and everything
again without a reload. The last column of docs/faults.md."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import in_page
import pytest
from team import WELL_WITHIN_S, Team, predicted, until

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.browser, pytest.mark.timeout(400)]


@pytest.fixture
def page(chromium: Any, team: Team) -> Iterator[Any]:
    # Playwright waits by evaluating text, which the page's own policy forbids.
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    context.set_default_timeout(30_000)
    page = context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(f"{team.address}/?run=small&corpus=noise#layer=conv&mode=both&image=test-{team.unseen_image()}")
    in_page.wait(page, "() => subject !== null")
    shown(page)
    yield page
    context.close()
    assert broken == []


def shown(page: Any, patience_s: float = 30) -> float:
    """Seconds until the film of feature maps is drawn and complete, and the bars of the classes are those of the image."""
    began = time.monotonic()
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector('[data-show=features] canvas.film-canvas');
          const bars = document.querySelector('.predictions');
          return canvas && canvas.dataset.state === 'ready' && bars && bars.dataset.state === 'ready';
        }""",
        timeout=patience_s * 1000,
    )
    return time.monotonic() - began


def choose(page: Any, team: Team) -> int:
    """Look at an image that nobody has asked for."""
    image = team.unseen_image()
    in_page.evaluate(page, "image => view.set({ image })", f"test-{image}")
    in_page.wait(page, "image => view.get().image === image", f"test-{image}")
    return image


def states(page: Any) -> list[str]:
    """Of the film of feature maps and of the bars of the classes."""
    return page.evaluate(
        "() => ['[data-show=features] canvas.film-canvas', '.predictions'].map((what) => document.querySelector(what).dataset.state)"
    )


def check_bars(page: Any, team: Team, image: int) -> None:
    """The bars that are shown are those of the image and the step."""
    step, told = in_page.evaluate(
        page, "() => [time.step, [...document.querySelectorAll('.predictions-text')].map((text) => text.textContent)]"
    )
    assert told == [f"{100 * probability:.1f} %" for probability in predicted(step, image)]


@contextmanager
def services_paused(team: Team) -> Iterator[None]:
    with ExitStack() as stack:
        for service in team.services:
            stack.enter_context(service.paused())
        yield


@contextmanager
def services_killed(team: Team) -> Iterator[None]:
    for service in team.services:
        service.kill()
    yield
    for service in team.services:
        service.start()
    until(lambda: all(service.is_ready() for service in team.services), "TensorFlow is loaded", 90)


@contextmanager
def redis_killed(team: Team) -> Iterator[None]:
    team.redis.kill()
    yield
    team.redis.start()


@contextmanager
def web_killed(team: Team) -> Iterator[None]:
    for pid in team.worker_pids():
        os.kill(pid, signal.SIGKILL)
    yield


FAULTS: list[tuple[str, Callable[[Team], AbstractContextManager[None]], bool | None]] = [
    ("model services hang", services_paused, False),
    ("model services killed", services_killed, False),
    ("Redis killed", redis_killed, True),
    ("Redis hangs", lambda team: team.redis.paused(), True),
    ("web workers killed", web_killed, None),
]


@pytest.mark.parametrize(("name", "fault", "answers_meanwhile"), FAULTS, ids=[name for name, *_ in FAULTS])
def test_a_page_that_is_open(
    page: Any, team: Team, measured: Callable[..., None], name: str,
    fault: Callable[[Team], AbstractContextManager[None]], answers_meanwhile: bool | None,
):  # fmt: skip
    seen: set[str] = set()
    with fault(team):
        image = choose(page, team)
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            film, bars = states(page)
            seen |= {film, bars}
            if bars == "ready":
                check_bars(page, team, image)
            if film == bars == "ready":
                break
            page.wait_for_timeout(100)
        # What needs nothing of what is broken goes on meanwhile.
        in_page.evaluate(page, "() => time.requestStep(1)")
        page.wait_for_function(
            """() => { const canvas = document.querySelector('[data-show=parameters] canvas.film-canvas');
              return canvas.dataset.state === 'ready' && canvas.dataset.step === '1'; }"""
        )
    gone = time.monotonic()
    shown(page, WELL_WITHIN_S + 5)
    well_s = time.monotonic() - gone
    check_bars(page, team, image)
    if answers_meanwhile is not None:
        assert ("ready" in seen) == answers_meanwhile, "nothing is shown that was not answered"
    assert well_s <= WELL_WITHIN_S
    measured(f"in the browser: {name}", well_s=well_s, states=sorted(seen))
