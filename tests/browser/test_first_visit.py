"""assets/shell/hints.mjs, glossary.mjs: hints go away for good, and words are explained with the keyboard alone."""

from __future__ import annotations

import pytest
from statistics_server import STEPS

from mloscope.components.glossary import WORDS

pytestmark = pytest.mark.browser

SHOW = "() => { localStorage.removeItem('mloscope-hints'); hints.show(document.body); }"


def shown(stage) -> list[str]:
    return stage.page.locator(".hint p").all_inner_texts()


def test_three_hints_come_one_after_the_other_and_never_again(stage):
    stage.show("KeyMap:keys")
    stage.js(SHOW)
    said = []
    while texts := shown(stage):
        assert len(texts) == 1
        said += texts
        stage.page.get_by_role("button", name="Got it").click()
    assert len(set(said)) == 3
    stage.js("() => hints.show(document.body)")
    assert shown(stage) == []


def test_all_hints_are_closed_at_once(stage):
    stage.show("KeyMap:keys")
    stage.js(SHOW)
    stage.page.get_by_role("button", name="Don't show hints").click()
    stage.js("() => hints.show(document.body)")
    assert shown(stage) == []


def test_a_word_is_explained_and_the_focus_stays(stage):
    stage.server.statistics = stage.server.new_statistics(ready=set(STEPS))
    stage.show("ConfusionMatrix:matrix", "ConfusionAccuracy:accuracy")
    button = stage.page.get_by_role("button", name="What is calibration error?")
    stage.wait("() => document.querySelector('.confusion-accuracy-others').textContent.includes('calibration')")
    button.focus()
    stage.page.keyboard.press("Enter")
    note = stage.page.locator(".what-is-note")
    assert WORDS["calibration error"] in note.inner_text()
    assert button.get_attribute("aria-expanded") == "true"
    assert button.evaluate("button => button === document.activeElement")
    stage.page.keyboard.press("Escape")
    assert not note.is_visible()
    assert button.get_attribute("aria-expanded") == "false"
