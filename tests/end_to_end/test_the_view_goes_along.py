"""The view goes along to other pages and runs, and an address says all of it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def test_another_run_and_another_page_keep_what_means_something_there(display, dashboard):
    middle = dashboard.steps[3]
    layers = "() => subject.layers.filter((layer) => layer.parameters.length).map(({ name }) => name)"
    layer = display.open().js(layers)[1]
    display.js(
        "(values) => view.set(values)",
        {"layer": layer, "unit": 3, "image": "test-7", "mode": "features", "colour": "magma", "range": "step"},
    )
    display.js("(step) => time.requestStep(step)", middle)
    kept = "() => { const v = view.get(); return [time.step, v.layer, v.unit, v.image, v.mode, v.colour, v.range]; }"
    before = display.js(kept)
    page = display.page
    page.locator("#run-choice").select_option("damaged")
    display.wait("() => subject.run === 'damaged'")
    assert display.js(kept) == before
    display.wait("() => location.search.includes('run=damaged') && location.hash.includes('image=test-7')")
    page.locator(".nav-link", has_text="Confusion").click()
    page.wait_for_selector("#confusion-page", state="attached")
    assert display.js("() => subject.run") == "damaged"
    assert "run=damaged" in page.url
    assert "corpus=" in page.url
    display.wait(f"() => document.title.startsWith('Confusion @ {middle} · damaged – ')")
    page.go_back()
    page.wait_for_selector("#images", state="attached")
    display.wait(f"() => document.title.startsWith('{layer} @ {middle} · damaged – ')")
    page.go_back()
    display.wait("() => subject.run === 'mnist'")
    assert display.js(kept) == before


def test_links_to_pages_name_run_corpus_and_view_for_another_tab(display):
    display.open("#layer=flatten", "?run=damaged")
    display.page.locator(".nav-link", has_text="Clusters").hover()
    href = display.page.locator(".nav-link", has_text="Clusters").get_attribute("href")
    assert href.startswith("/clusters?run=damaged&corpus=mnist-digits#")
    assert "layer=flatten" in href


def test_an_address_that_is_no_page_says_so_and_leads_on(display_of, dashboard):
    page = display_of(dashboard.address).page
    answer = page.goto(f"{dashboard.address}/nonsense")
    assert answer.status == 404
    page.wait_for_selector(".not-found")
    assert page.locator(".not-found code").inner_text() == "/nonsense"
    page.locator(".not-found a", has_text="Confusion").click()
    page.wait_for_selector("#confusion-page", state="attached")
    assert "run=mnist" in page.url


def test_keyboard_users_skip_to_the_slider_and_the_address_stays(display):
    display.open("#layer=flatten")
    address = display.page.url
    display.page.locator(".skip-link", has_text="slider").focus()
    display.page.keyboard.press("Enter")
    assert display.js("() => document.activeElement.id") == "time-slider"
    assert display.page.url == address
    assert display.page.locator("h1").all_inner_texts() == ["Network"]
