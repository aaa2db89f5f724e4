"""assets/images/grid.mjs over a corpus of 60,000 images."""

from __future__ import annotations

import pytest
from basis_record import unnamed
from statistics_server import CLASSES

pytestmark = pytest.mark.browser

GRID = "ImageGrid:images"


@pytest.fixture
def grid(stage):
    stage.show(GRID)
    stage.page.wait_for_selector('.image-tile[aria-selected="false"] img')
    return stage


def selected(stage) -> str:
    return stage.js("() => view.get().image")


def tile(position: int) -> str:
    return f'.image-tile[data-position="{position}"]'


def test_without_a_choice_the_first_test_image_is_selected_and_back_does_not_undo_it(stage):
    stage.page.goto(f"{stage.server.base}/?parts={GRID}")
    before = stage.js("() => history.length")
    stage.open()
    stage.wait("() => view.get().image === 'test-0'")
    assert stage.js("() => history.length") == before
    assert "image=test-0" in stage.js("() => location.hash")


def test_an_image_in_the_hash_is_kept_and_described(stage):
    stage.show(GRID, hash="#image=test-42")
    stage.page.wait_for_selector("text=test · test-42")
    assert selected(stage) == "test-42"
    facts = stage.page.inner_text(".images-facts").split("\n")
    assert facts == ["test 42", "two true", "test · test-42"]
    assert "/images/test-42.png" in stage.page.get_attribute(".images-selected-picture", "src")


def test_an_image_that_does_not_exist_is_said(stage):
    stage.show(GRID, hash="#image=nowhere")
    stage.page.wait_for_selector("text=The corpus digits has no image of this id.")
    stage.page.wait_for_selector(f"{tile(0)} img")  # the others are there
    stage.quiet()
    assert stage.page.locator("text=no such image").count() == 0


def test_the_total_is_shown_and_few_pictures_are_in_the_document(grid):
    assert grid.page.inner_text(".images-total") == "60\u202f000 images"
    for share in (0, 0.3, 0.77, 1):
        grid.js(
            """share => { const s = document.querySelector('.images-scroller');
            s.scrollTop = share * s.scrollHeight; }""",
            share,
        )
        grid.page.wait_for_timeout(60)
        assert 0 < grid.page.locator("#images img").count() <= 100
    grid.page.wait_for_selector(f"{tile(59_999)} img")


def test_scrolling_brings_the_images_of_that_place(grid):
    shown = grid.js(
        """() => { const s = document.querySelector('.images-scroller');
        const second = document.querySelectorAll('.image-tile')[1].getBoundingClientRect();
        const first = document.querySelector('.image-tile').getBoundingClientRect();
        const step = second.left - first.left; s.scrollTop = 300 * step;
        return 300 * Math.round(s.clientWidth / step); }"""
    )
    grid.page.wait_for_selector(f"{tile(shown)} img")
    assert grid.page.get_attribute(tile(shown), "data-id") == f"training-{shown}"
    top = grid.page.locator(tile(shown)).bounding_box()["y"]
    assert top == pytest.approx(grid.page.locator(".images-scroller").bounding_box()["y"], abs=4)


def test_a_click_selects(grid):
    grid.page.click(tile(6))
    assert selected(grid) == "training-6"
    assert grid.page.get_attribute(tile(6), "aria-selected") == "true"
    assert grid.page.locator('.image-tile[aria-selected="true"]').count() == 1


def test_search_waits_for_the_typing_and_finds(grid):
    grid.server.log.clear()
    grid.js(
        """() => { const field = document.querySelector('.images-search');
        for (const text of ['t', 'te', 'test', 'test 7', 'test 77']) {
          field.value = text; field.dispatchEvent(new Event('input', { bubbles: true })); } }"""
    )
    grid.wait("() => document.querySelector('.images-total').textContent === '280 images'")
    assert sum("search=" in line for line in grid.server.log) == 1
    assert grid.page.get_attribute(tile(0), "data-id") == "test-77"


def test_class_and_split_narrow_the_search(grid):
    grid.page.select_option('select[aria-label="Class"]', "three")
    grid.page.select_option('select[aria-label="Split"]', "test")
    grid.wait("() => document.querySelector('.images-total').textContent === '1\u202f000 images'")
    assert grid.page.get_attribute(tile(1), "data-id") == "test-13"
    grid.page.go_back()
    grid.wait("() => document.querySelector('select[aria-label=\"Split\"]').value === ''")
    assert grid.page.input_value('select[aria-label="Class"]') == "three", "Back undoes one choice"


def test_a_facet_of_the_corpus_is_a_choice_like_class_and_split(grid):
    grid.page.select_option('select[aria-label="Pen"]', "thick")
    grid.wait("() => document.querySelector('.images-total').textContent === '30\u202f000 images'")
    assert grid.page.get_attribute(tile(1), "data-id") == "training-3"
    assert grid.js("() => new URLSearchParams(location.hash.slice(1)).get('images')") == "pen=thick"


def test_a_link_holds_the_images_searched_for(stage):
    stage.show(GRID, hash="#image=test-0&images=search%3Dtest%207%26label%3Dseven%26pen%3Dthick")
    stage.wait("() => document.querySelector('.images-total').textContent === '1\u202f000 images'")
    stage.page.wait_for_selector('select[aria-label="Class"] option[value="seven"]', state="attached")
    values = [stage.page.input_value(f'select[aria-label="{name}"]') for name in ("Class", "Split", "Pen")]
    assert (stage.page.input_value(".images-search"), values) == ("test 7", ["seven", "", "thick"])
    stage.js("() => view.set({ images: 'split=test' })")
    stage.wait("() => document.querySelector('.images-total').textContent === '10\u202f000 images'")
    assert stage.page.input_value(".images-search") == ""


def test_a_value_that_the_corpus_does_not_have_is_left_out(stage):
    stage.show(GRID, hash="#image=test-0&images=pen%3Dfelt%26split%3Dtest")
    stage.wait("() => document.querySelector('.images-total').textContent === '10\u202f000 images'")
    assert stage.js("() => new URLSearchParams(location.hash.slice(1)).get('images')") == "split=test"


def test_the_classes_to_choose_from_are_the_corpuss(stage):
    stage.show("ImageGrid:grid", subject=unnamed(3))
    stage.page.wait_for_selector('select[aria-label="Class"] option[value="three"]', state="attached")
    options = stage.page.locator('select[aria-label="Class"] option').all_text_contents()
    assert options == ["every class", *CLASSES]


def test_nothing_found_is_a_sentence(grid):
    grid.page.fill(".images-search", "zebra")
    grid.page.wait_for_selector('text=No image has "zebra" in its name, id or class.')
    grid.page.fill(".images-search", "")
    grid.page.wait_for_selector(f"{tile(0)} img")


def test_random_shows_another_order_each_time_and_their_own_again(grid):
    orders = []
    for _ in range(2):
        grid.server.log.clear()
        grid.page.click("text=random")
        grid.wait("() => document.querySelector('.image-tile img') !== null")
        orders.append(next(line for line in grid.server.log if "random=" in line))
    assert orders[0] != orders[1]
    grid.page.click("text=in order")
    grid.page.wait_for_selector(f'{tile(0)}[data-id="training-0"]')


def test_keys_walk_the_grid_and_enter_selects(grid):
    grid.page.focus(tile(0))
    across = grid.js("() => Math.round(document.querySelector('.images-scroller').clientWidth / 56)")
    for key in ("ArrowRight", "ArrowDown", "Enter"):
        grid.page.keyboard.press(key)
    assert selected(grid) == f"training-{1 + across}"
    assert grid.js("() => time.step") == 1200
    assert grid.page.locator('.image-tile[tabindex="0"]').count() == 1
    grid.page.keyboard.press("End")
    grid.page.wait_for_selector(f"{tile(59_999)} img")


def test_a_broken_picture_has_a_place_of_its_own(grid):
    grid.page.select_option('select[aria-label="Split"]', "test")
    grid.page.wait_for_selector(f"{tile(3)}.images-broken")
    grid.page.click(tile(3))
    grid.page.wait_for_selector(".images-selected.images-broken")
    grid.page.click(tile(4))
    grid.page.wait_for_selector(".images-selected:not(.images-broken)")


def test_without_a_corpus_it_says_how_to_connect_one(stage):
    stage.show(GRID, subject={"corpus": None})
    stage.page.wait_for_selector("text=--images PATH")
    assert not stage.page.is_visible(".images-search")


# ------------------------------------------------------------------------------------------- by what is predicted of them


def test_images_are_ordered_and_chosen_by_predictions_at_the_step_of_the_slider(grid):
    grid.server.statistics = statistics = grid.server.new_statistics()
    grid.page.get_by_label("Order of the images").select_option("unsure")
    grid.page.get_by_role("button", name="wrong only").click()
    for step in (1200, 20):
        grid.js("step => time.requestStep(step)", step)
        expected = statistics.listed(step, "unsure", "wrong")
        grid.page.wait_for_selector(f'{tile(0)}[data-id="test-{expected[0]}"]')
        assert grid.page.get_attribute(tile(3), "data-id") == f"test-{expected[3]}"
        said = f"{len(expected):,} images of test at step {step:,}: wrong only, least confident".replace(",", "\u202f")
        assert grid.page.inner_text(".images-total") == said.replace("wrong only\u202f", "wrong only,")
    assert grid.js("() => view.get().images") == "order=unsure&judged=wrong"


def test_a_step_without_statistics_is_said_instead_of_another_order(grid):
    grid.server.statistics = grid.server.new_statistics()
    grid.server.statistics.ready -= {20}
    grid.js("() => time.requestStep(20)")
    grid.page.get_by_label("Order of the images").select_option("confident")
    grid.page.wait_for_selector(".images-message >> text=Step 20 has not been evaluated yet.")
    assert not grid.page.is_visible(".images-scroller")
    grid.page.get_by_label("Order of the images").select_option("")
    grid.page.wait_for_selector(f"{tile(0)} img")
