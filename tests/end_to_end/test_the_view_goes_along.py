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
    page.get_by_role("button", name="Run: mnist").click()
    page.get_by_role("option", name="damaged").click()
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
    display.open("#layer=flatten&image=test-7")
    address = display.page.url
    display.page.locator(".skip-link", has_text="slider").focus()
    display.page.keyboard.press("Enter")
    assert display.js("() => document.activeElement.id") == "time-slider"
    assert display.page.url == address
    assert display.page.locator("h1").all_inner_texts() == ["Network"]


@pytest.mark.slow
def test_a_view_is_saved_and_found_again_by_somebody_else(display, another_display):
    display.open("#layer=flatten&image=test-7", "?run=damaged")
    page = display.page
    page.locator(".views button", has_text="Save view").click()
    name = page.locator(".views-form input")
    assert "damaged" in name.input_value()
    name.fill("flat <b>")
    page.locator(".views-form textarea").fill("look at 7")
    page.locator(".views-form button").click()
    page.wait_for_selector(".views-item")
    other = another_display.open().page
    other.locator(".views button", has_text="Views").click()
    item = other.locator(".views-item", has_text="look at 7")
    item.locator(".views-name").click()
    another_display.wait(
        "() => subject.run === 'damaged' && view.get().layer === 'flatten' && view.get().image === 'test-7'"
    )
    other.go_back()
    another_display.wait("() => subject.run === 'mnist'")
    page.locator(".views-item button", has_text="Delete").click()
    page.locator(".views-item button", has_text="Delete now").click()
    page.locator(".views-message", has_text="No view is saved").wait_for()


def test_a_split_without_statistics_leaves_the_way_to_the_others(display, dashboard):
    page = display.page
    page.goto(f"{dashboard.address}/confusion?run=mnist#split=training")
    page.wait_for_selector('#statistics-state[data-state="empty"]')
    assert "about" in page.inner_text(".statistics-more")
    assert not page.locator(".confusion-matrix").is_visible()
    page.get_by_label("The split whose images are counted").select_option("test")
    display.wait("() => location.hash.includes('split=test')")
    page.go_back()
    display.wait("() => location.hash.includes('split=training')")


def test_an_address_that_names_only_a_corpus_names_it_once_and_gains_the_run(display):
    page = display.open("", "?corpus=mnist-digits").page
    page.wait_for_function("new URLSearchParams(location.search).has('run')")
    assert page.url.count("corpus=") == 1
