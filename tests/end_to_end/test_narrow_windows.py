"""A window as narrow as a telephone's: one column, nothing beside the window, the slider always there."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

TELEPHONE = {"width": 390, "height": 844}
DRAWN = {
    "Network": '.film-canvas[data-state="ready"]',
    "Confusion": '.confusion-canvas[data-state="ready"]',
    "Clusters": ".cluster-row",
    "Unit": '.unit-patches[data-state="ready"]',
    "Compare": '.film-canvas[data-state="ready"]',
    "Metrics": ".metrics-name",
    "Runs": ".runs-table tbody tr",
}
"""What is seen of each page once it has something to show."""
WIDTHS = "() => [document.documentElement.scrollWidth, innerWidth]"
OUTSIDE = """() => [...document.querySelectorAll("#time-slider, .timeline-button, .timeline-readout, .timeline-jump")].filter((part) => {
  const box = part.getBoundingClientRect();
  return !box.width || box.left < 0 || box.right > innerWidth || box.bottom > innerHeight;
}).map((part) => part.className)"""


def test_every_page_is_one_column_with_the_slider_wholly_in_view(display):
    page = display.page
    page.set_viewport_size(TELEPHONE)
    display.open(search="?run=damaged")
    for label in page.locator(".nav-link").all_inner_texts():
        page.get_by_role("link", name=label, exact=True).click()
        display.wait("label => document.querySelector('.nav-link[aria-current=page]')?.textContent === label", label)
        page.wait_for_selector(DRAWN.get(label, "main *"), state="attached")
        wide, window = display.js(WIDTHS)
        assert wide <= window, label
        assert display.js(OUTSIDE) == [], label


def test_the_status_page_is_as_narrow_as_the_window(display):
    display.page.set_viewport_size(TELEPHONE)
    display.page.goto(f"{display.address}/status")
    wide, window = display.js(WIDTHS)
    assert wide <= window
