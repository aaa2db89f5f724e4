"""assets/shell/panels.mjs, fold.mjs, panel_edge.mjs: panels fold and are resized by hand and keys, and stay as they were left."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

BUILD = """() => {
  const place = document.getElementById("stage");
  place.style.display = "block";
  place.innerHTML = `<div data-panel="course"><div id="heading" class="fold"></div><p id="inside">inside</p></div>
    <div id="sized" style="height: var(--panel-grid, 100px)"></div><div id="edge"></div>`;
  const put = (id, Part, props) => ReactDOM.createRoot(document.getElementById(id)).render(React.createElement(Part, props));
  put("heading", mloscope.Fold, { id: "fold", panel: "course", title: "over all steps", level: 3 });
  put("edge", mloscope.PanelEdge,
    { id: "bar", panel: "grid", label: "the grid", axis: "y", sized: "#sized", least: 40, most: 300, folds: true });
}"""
HEIGHT = "() => document.getElementById('sized').getBoundingClientRect().height"


@pytest.fixture
def panels(stage):
    stage.show()
    stage.js("() => localStorage.clear()")
    stage.page.reload()
    stage.js(BUILD)
    stage.page.wait_for_selector("#bar .panel-bar", state="attached")
    return stage


def test_a_heading_folds_its_panel_and_the_next_visit_finds_it_folded(panels):
    page = panels.page
    fold = page.get_by_role("button", name="over all steps")
    assert fold.get_attribute("aria-expanded") == "true"
    fold.click()
    assert fold.get_attribute("aria-expanded") == "false"
    assert not page.locator("#inside").is_visible()
    assert fold.is_visible()
    page.reload()
    panels.js(BUILD)
    page.wait_for_selector("#fold button[aria-expanded=false]")
    assert not page.locator("#inside").is_visible()
    fold.click()
    assert page.locator("#inside").is_visible()


def test_an_edge_is_dragged_within_its_limits(panels):
    page = panels.page
    assert panels.js(HEIGHT) == 100
    box = page.locator("#bar .panel-bar").bounding_box()
    x, y = box["x"] + 50, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 60)
    assert panels.js(HEIGHT) == 160
    page.mouse.move(x, y + 600)
    assert panels.js(HEIGHT) == 300
    page.mouse.move(x, y - 600)
    assert panels.js(HEIGHT) == 40
    page.mouse.up()
    page.mouse.move(x, y)
    assert panels.js(HEIGHT) == 40, "let go"


def test_keys_move_an_edge_that_tab_has_reached_and_time_keeps_its_own(panels):
    page = panels.page
    panels.open()
    step = panels.js("() => time.step")
    page.locator("#heading button").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert panels.js(HEIGHT) == 116
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert panels.js(HEIGHT) == 84
    assert page.locator("#bar .panel-bar").get_attribute("aria-valuenow") == "84"
    page.keyboard.press("Home")
    assert panels.js(HEIGHT) == 100
    page.keyboard.press("Enter")
    assert page.locator("#bar .panel-fold").get_attribute("aria-expanded") == "false"
    assert panels.js("() => time.step") == step


def test_what_another_version_kept_does_no_harm(panels):
    for kept in ("no JSON", '{"grid": 3}', '{"a}*{display:none": {"folded": true}, "grid": {"size": "wide"}}', "null"):
        panels.js("kept => localStorage.setItem('mloscope-panels', kept)", kept)
        panels.page.reload()
        panels.js(BUILD)
        panels.page.wait_for_selector("#bar .panel-bar", state="attached")
        assert panels.js(HEIGHT) == 100
