"""axe-core has nothing to say against any page, in both themes, on a desk and on a telephone."""

from __future__ import annotations

import pytest
from accessibility import EVERY_RULE, RULES_ABOUT_COLOUR, violations

pytestmark = pytest.mark.browser

WINDOWS = {"desk": {"width": 1440, "height": 900}, "telephone": {"width": 390, "height": 844}}
RULES = {"light": EVERY_RULE, "dark": RULES_ABOUT_COLOUR}
"""What a theme changes is colours."""
DRAWN = {
    "": '.film-canvas[data-state="ready"]',
    "confusion": '.confusion-canvas[data-state="ready"]',
    "clusters": ".cluster-row",
    "unit": '.unit-patches[data-state="ready"]',
    "compare": '.film-canvas[data-state="ready"]',
    "curves": ".metrics-name",
    "lab": ".lab-sweep[data-state=ready]",
    "runs": ".runs-table tbody tr",
}
"""What is seen of each page, by its path, once it has something to show."""
STILL = """() => Promise.all(document.getAnimations()
  .filter((each) => each.effect.getComputedTiming().iterations !== Infinity).map((each) => each.finished.catch(() => null)))"""
"""What fades in has its colours once it has come."""
THEMED = "(theme) => { document.documentElement.dataset.theme = theme; }"


EACH_ONCE = (("light", "desk"), ("dark", "telephone"))
ALL = tuple((theme, window) for theme in RULES for window in WINDOWS)


def said_of(page, looks=EACH_ONCE) -> list[str]:
    """Violations of what is shown now."""
    said = []
    for theme, window in looks:
        page.evaluate(THEMED, theme)
        page.set_viewport_size(WINDOWS[window])
        page.evaluate(STILL)
        said += [f"{theme}, {window}: {line}" for line in violations(page, RULES[theme])]
    return said


@pytest.mark.slow
@pytest.mark.parametrize("path", DRAWN)
def test_no_page_has_violations_in_any_theme_and_window(display, path):
    display.page.goto(f"{display.address}/{path}?run=damaged#step=0")
    display.page.wait_for_selector(DRAWN[path], state="attached")
    display.wait_quiet()
    assert said_of(display.page, ALL) == []


@pytest.mark.parametrize("path", DRAWN)
def test_no_page_has_violations(display, path):
    display.page.goto(f"{display.address}/{path}?run=damaged#step=0")
    display.page.wait_for_selector(DRAWN[path], state="attached")
    display.wait_quiet()
    assert said_of(display.page) == []


def test_the_page_for_other_addresses_has_no_violations(display):
    display.page.goto(f"{display.address}/no-such-page")
    display.page.wait_for_selector(".not-found")
    assert said_of(display.page) == []
    display.problems.clear()  # the browser reports the 404 itself


def test_no_dialog_has_violations(display):
    display.open(search="runs")
    display.page.get_by_role("button", name="Save view").click()
    assert said_of(display.page) == []
    display.page.keyboard.press("Escape")
    display.page.set_viewport_size(WINDOWS["desk"])
    display.page.get_by_role("button", name="Keyboard map").click()
    display.page.wait_for_selector(".modal.show .key-table")
    assert said_of(display.page) == []


def test_the_list_of_runs_has_no_violations(display):
    display.open(search="runs")
    display.page.get_by_role("button", name="Run: mnist").click()
    display.page.get_by_role("option", name="damaged").wait_for()
    assert said_of(display.page) == []


def test_the_page_of_the_server_has_no_violations(display):
    display.page.goto(f"{display.address}/status")
    assert said_of(display.page) == []
