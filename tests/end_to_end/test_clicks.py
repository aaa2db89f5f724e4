"""How many clicks four questions take that somebody asks who has never seen the program: each from the start page, as the address
of the server shows it."""

from __future__ import annotations

import re

import pytest

pytestmark = pytest.mark.browser

MOST = {
    "images of the most confused pair": 2,
    "which filters changed most from a step to the end": 3,
    "why an image is wrong, and since when": 2,
    "two runs at the same accuracy": 4,
}


class Clicks:
    """Clicks on the start page and on what follows, counted."""

    def __init__(self, display) -> None:
        self.display, self.page, self.count = display, display.page, 0

    def on(self, locator) -> None:
        locator.click()
        self.count += 1

    def link(self, name: str) -> None:
        self.on(self.page.get_by_role("link", name=name, exact=True))
        self.display.wait("name => document.querySelector('.nav-link[aria-current=page]')?.textContent === name", name)

    def write(self, locator, text: str) -> None:
        self.on(locator)
        locator.fill(text)
        locator.press("Enter")

    def in_sight(self, selector: str) -> bool:
        """Whether something is seen without scrolling."""
        self.page.locator(selector).first.wait_for()
        return self.page.locator(selector).first.evaluate(
            """node => { const { top, bottom, left, right } = node.getBoundingClientRect();
            const seen = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
            return top >= 0 && bottom <= innerHeight && Boolean(seen) && (node.contains(seen) || seen.contains(node)); }"""
        )


@pytest.fixture
def clicks(evaluated_display) -> Clicks:
    evaluated_display.open()
    evaluated_display.wait_drawn()
    return Clicks(evaluated_display)


def test_images_of_the_most_confused_pair(clicks):
    clicks.link("Confusion")
    clicks.on(clicks.page.locator("#confusion-pairs .confusion-pair").first)
    most = clicks.page.locator("#confusion-pairs .confusion-pair-number").first.inner_text()
    clicks.display.wait("most => document.querySelector('.confusion-cell').dataset.count === most", most)
    clicks.page.wait_for_selector(f'.confusion-cell-images[data-total="{most}"]')
    assert clicks.in_sight(".confusion-cell-images .image-tile")
    assert clicks.count <= MOST["images of the most confused pair"]


def test_which_filters_changed_most_from_a_step_to_the_end(clicks):
    early, last = clicks.display.js("[time.checkpoints[1].step, time.checkpoints.at(-1).step]")
    clicks.link("Compare")
    clicks.write(clicks.page.get_by_label("step", exact=True), str(early))
    clicks.display.wait("step => compare.step() === step", early)
    assert clicks.display.js("time.step") == last
    bars = "document.querySelector('#compare-change .js-plotly-plot')?._fullData?.[0]?.y"
    clicks.display.wait(f"() => {bars}?.length === 12")
    assert clicks.in_sight("#compare-change .js-plotly-plot")
    heights = clicks.display.js(f"[...{bars}]")
    assert heights == sorted(heights, reverse=True)
    assert clicks.count <= MOST["which filters changed most from a step to the end"]


def test_why_an_image_is_wrong_and_since_when(clicks):
    clicks.on(clicks.page.get_by_role("button", name="wrong only"))
    clicks.page.locator(".images-total", has_text="wrong only").wait_for()
    clicks.on(clicks.page.locator(".image-tile").first)
    assert clicks.in_sight(".display-images .story-since")
    clicks.page.locator(".display-images .story-since", has_text=re.compile("Wrong .*as “[0-9]”")).wait_for()
    assert clicks.in_sight(".display-images .story .spark")  # how probable the true class was at each step
    assert clicks.count <= MOST["why an image is wrong, and since when"]


def test_two_runs_at_the_same_accuracy(clicks):
    clicks.link("Compare")
    clicks.on(clicks.page.get_by_role("button", name="Run of side B"))
    clicks.on(clicks.page.get_by_role("option", name="damaged"))
    clicks.display.wait("() => compare.overview && compare.run === 'damaged'")
    clicks.on(clicks.page.get_by_role("button", name="accuracy", exact=True))
    clicks.display.wait("() => compare.align === 'accuracy' && compare.index !== null")
    a, b = (clicks.display.js(f"compare.accuracy('{side}')") for side in "ab")
    others = clicks.display.js("compare.subject.checkpoints.map((_, index) => compare.overview.accuracies.b[index])")
    assert abs(a - b) == min(abs(a - other) for other in others if other is not None)
    assert f"accuracy {b:.3f}" in clicks.page.locator(".compare-film-b .film-moment").inner_text()
    assert clicks.count <= MOST["two runs at the same accuracy"]
