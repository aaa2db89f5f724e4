"""The confusion page (report 5.2.1, Figure 4) over statistics that were really computed."""

from __future__ import annotations

import json
import urllib.request

import in_page
import pytest

pytestmark = pytest.mark.browser


@pytest.fixture
def page(open_page, evaluated_address):
    opened = open_page(viewport={"width": 1440, "height": 900}, bypass_csp=True)
    opened.set_default_timeout(20_000)
    problems: list[str] = []

    def note(error):
        problems.append(str(error))

    opened.on("pageerror", note)
    opened.goto(f"{evaluated_address}/confusion")
    in_page.wait(
        opened,
        """() => { const s = confusion.statistics;
        return s && s.total > 0 && s.loaded === s.total && document.querySelector(".confusion-canvas[data-state=ready]"); }""",
    )
    yield opened
    opened.remove_listener("pageerror", note)
    assert problems == []


def test_the_count_in_every_cell_is_the_number_of_images_behind_it(page, evaluated_address, runs):
    base = f"{evaluated_address}/api/v1/runs/mnist/checkpoints"
    for index in (0, 1, len(runs[1]) - 1):  # some images have no prediction at the second
        step = runs[1][index]
        counts = in_page.evaluate(
            page,
            """i => { const s = confusion.statistics.step(i); const all = [];
            for (let a = 0; a < s.classes; a += 1) for (let p = 0; p <= s.classes; p += 1)
              all.push(confusionCounts.count(s, a, p));
            return all; }""",
            index,
        )
        behind = []
        for cell in range(110):
            with urllib.request.urlopen(f"{base}/{step}/confusion/{cell // 11}/{cell % 11}?limit=1000") as answer:
                found = json.load(answer)
            assert found["total"] == len(found["images"])
            behind.append(found["total"])
        assert counts == behind
        assert sum(behind) == 200


def test_a_cell_is_followed_from_the_matrix_to_an_image(page, runs):
    steps = runs[1]
    assert in_page.evaluate(page, "confusion.columns") == 11, "some images have no prediction at one step"
    in_page.evaluate(page, "step => time.requestStep(step)", steps[0])
    page.wait_for_selector(f'.confusion-canvas[data-step="{steps[0]}"][data-state="ready"]')
    box = page.locator(".confusion-canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 4.5 / 11, box["y"] + box["height"] * 4.5 / 10)
    page.wait_for_function(
        """() => { const images = document.querySelector(".confusion-cell-images[data-total]");
        return images?.dataset.total === document.querySelector(".confusion-cell").dataset.count; }"""
    )
    tile = page.locator(".confusion-cell .image-tile").first
    tile.click()
    image = tile.get_attribute("data-id")
    assert in_page.evaluate(page, "view.get().image") == image
    page.wait_for_function("part => location.hash.includes(part)", arg=f"image={image}")
    assert "actual=4&predicted=4" in page.evaluate("location.hash")
    page.wait_for_selector(".card .story-since >> text=Right")  # a cell of the diagonal
    page.wait_for_selector(".card .predictions-predicted .true-mark")
    tile.dblclick()
    page.wait_for_selector("#images .images-selected-picture")
    page.wait_for_function(
        "id => document.querySelector('#images .images-selected-picture').src.includes(id)", arg=image
    )


def test_the_chart_beside_it_has_accuracy_and_recall_and_follows_time(page, runs):
    page.wait_for_function(
        "() => (document.querySelector('#confusion-course .js-plotly-plot')?.data || []).length === 11"
    )
    accuracy = page.evaluate("[...document.querySelector('#confusion-course .js-plotly-plot')._fullData[10].y]")
    exact = in_page.evaluate(page, "confusion.steps().map((s) => confusionCounts.sums(s).correct / 200)")
    assert accuracy == pytest.approx(exact)
    in_page.evaluate(page, "step => time.requestStep(step)", runs[1][2])
    page.wait_for_selector(f'.confusion-numbers .time-cursor-line[data-step="{runs[1][2]}"]', state="attached")


def test_on_a_narrow_screen_nothing_is_cut_off(page):
    page.set_viewport_size({"width": 1024, "height": 768})
    in_page.wait(
        page,
        """() => { const box = document.querySelector(".confusion-canvas").getBoundingClientRect();
        return document.documentElement.scrollWidth <= window.innerWidth && box.width > 350 && box.height > 250; }""",
    )
