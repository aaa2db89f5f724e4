"""assets/films/pins.mjs: pinned layers and units follow the slider, and stand in the address."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser
PIN = ".pin[data-pin='{}'] .film[data-state=ready][data-step='{}']"


def wait_pin(stage, pin: str, step: int) -> None:
    stage.page.wait_for_selector(PIN.format(pin, step), timeout=15_000)


def test_pinned_films_follow_time_without_a_request_while_another_layer_is_selected(stage):
    stage.show("PinTray:pins", hash="#step=300&layer=conv1&unit=2&mode=parameters")
    page = stage.page
    page.get_by_role("button", name="Pin conv1", exact=True).click()
    wait_pin(stage, "parameters:conv1", 300)
    stage.view(layer="conv2", unit=5)
    page.get_by_role("button", name="Pin unit 5", exact=True).click()
    wait_pin(stage, "parameters:conv2:5", 300)
    assert stage.js("() => view.get().pins") == "parameters:conv1,parameters:conv2:5"
    assert "pins=parameters:conv1,parameters:conv2:5" in stage.js("() => location.hash")
    assert stage.server.count("conv2/film?show=parameters&units=5") == 1
    stage.loaded()
    before = list(stage.server.log)
    stage.js("() => time.requestStep(20)")
    wait_pin(stage, "parameters:conv1", 20)
    wait_pin(stage, "parameters:conv2:5", 20)
    assert stage.server.log == before


def test_a_pin_is_gone_to_and_unpinned(stage):
    stage.show("PinTray:pins", hash="#layer=conv2&mode=parameters&pins=parameters:conv1:3,nonsense,features:nowhere")
    page = stage.page
    assert page.locator(".pin").count() == 1
    assert page.inner_text(".pins-said") == "2 of 6 pinned; 2 pins of the address are of no layer here"
    page.get_by_role("button", name="Select conv1 unit 3").or_(page.get_by_text("go to")).click()
    assert stage.js("() => [view.get().layer, view.get().unit]") == ["conv1", 3]
    assert page.locator(".pin").get_by_role("button", name="unit page").is_visible()
    page.get_by_role("button", name="Unpin conv1 unit 3").click()
    page.wait_for_selector(".pin", state="detached")
    stage.js("() => history.back()")
    page.wait_for_selector(".pin")


def test_as_many_as_are_said_and_names_with_commas_and_colons(stage):
    pins = ",".join(f"parameters:conv1:{unit}" for unit in range(6))
    stage.show("PinTray:pins", hash=f"#layer=conv1&mode=parameters&pins={pins}")
    assert stage.page.get_by_role("button", name="Pin conv1", exact=True).is_disabled()
    assert "6 of 6" in stage.page.locator(".pins-said").inner_text()
    text = stage.js(
        """async () => { const { pinsOf, textOf } = await import("mloscope/films/pins.mjs");
        const pins = [{ show: "features", layer: "a:b,c%/d", unit: 0 }, { show: "parameters", layer: "x", unit: null }];
        return [JSON.stringify(pinsOf(textOf(pins))) === JSON.stringify(pins), pinsOf("parameters:x:1z,:y,parameters:%").length]; }"""
    )
    assert text == [True, 1]
