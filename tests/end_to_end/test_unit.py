"""The unit page over a run that really trained: what excites a unit, without a request while time moves."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

READY = '.unit-patches[data-state="ready"]'


def test_patches_follow_time_without_a_request_and_keys_go_from_unit_to_unit(dashboard, display):
    steps = [step for step in dashboard.steps if step != dashboard.cut_step]
    display.open(f"#layer=conv1&unit=1&step={steps[0]}", search="unit?run=damaged")
    page = display.page
    page.wait_for_selector(READY)
    display.wait("() => document.querySelectorAll('.unit-patch').length === 9")
    display.wait_quiet()
    first = page.locator(".unit-patch").first.get_attribute("title")
    display.js("time.hold()")
    display.requests.clear()
    for step in (steps[2], steps[-1]):
        display.js("step => time.requestStep(step)", step)
        page.wait_for_selector(READY)
    assert page.locator(".unit-patch").first.get_attribute("title") != first
    display.js("step => time.requestStep(step)", dashboard.cut_step)
    display.wait("() => document.querySelector('.unit-message').textContent.includes('not been searched')")
    assert display.requests == []
    display.js("time.release()")
    page.keyboard.press("n")
    display.wait(
        "() => view.get().unit === 2 && document.querySelector('.unit-title').textContent.startsWith('unit 2')"
    )
    page.keyboard.press("p")
    display.wait("() => view.get().unit === 1")


def test_the_network_page_leads_to_the_unit_that_is_selected_and_a_patch_selects_its_image(dashboard, display):
    display.open("#layer=conv1&unit=2", search="?run=damaged")
    page = display.page
    page.get_by_role("link", name="Unit page").click()
    page.wait_for_selector(READY)
    assert page.inner_text(".unit-title").startswith("unit 2 ")
    page.locator(".unit-patch").nth(4).click()
    display.wait("() => document.querySelectorAll('.unit-patch')[4].getAttribute('aria-pressed') === 'true'")
    assert display.js("() => view.get().image").startswith("test-")


def test_what_is_dead_and_what_was_not_computed_is_said(display):
    display.open("#layer=conv1&unit=3", search="unit?run=damaged")
    display.wait("() => document.querySelector('.unit-message')?.textContent.startsWith('Dead at step')")
    display.js("() => view.set({ layer: 'conv2' })")
    display.wait("() => document.querySelector('.unit-patches .statistics-code').textContent.includes('--top-patches')")
    assert "It takes about" in display.page.inner_text(".unit-message")
