"""assets/runs/picker.mjs: one run among hundreds, by a few letters of its name, with the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.browser

RUNS = 300
NAMES = [f"sweep-2026-01-lenet-lr0.1-batch64-seed{number:03d}" for number in range(RUNS)]
QUICK_MS = 100
"""From a letter to the list: less than anybody notices."""


def row(name: str, number: int) -> dict[str, Any]:
    return {
        "name": name, "title": name, "state": "broken" if number == 7 else "ready", "tags": [], "group": "", "settings": {},
        "format": "keras", "problem": None, "prepared": True, "checkpoints": 1, "broken_checkpoints": 0, "first_step": "0",
        "last_step": "1", "changed": None, "path": name,
        "metrics": {"validation accuracy": {"last": number / RUNS, "lowest": 0.0, "highest": 1.0}},
    }  # fmt: skip


@pytest.fixture
def picker(stage: Any) -> Any:
    answer = {"runs": [row(name, number) for number, name in enumerate(NAMES)], "prepared": True}
    stage.page.route("**/api/v1/run-table", lambda route: route.fulfill(json=answer))
    stage.show("RunPicker:run-choice", subject={"run": NAMES[0], "runs": NAMES, "titles": {"runs": {}, "corpora": {}}})
    stage.page.get_by_role("button", name=f"Run: {NAMES[0]}").click()
    return stage


def options(stage: Any) -> list[str]:
    return stage.page.locator(".picker [role=option]").evaluate_all("all => all.map((one) => one.dataset.run)")


def test_a_few_letters_and_enter_show_another_run(picker: Any) -> None:
    page = picker.page
    assert page.get_by_role("combobox").evaluate("search => search === document.activeElement")
    page.keyboard.type("SEED29")
    assert options(picker) == NAMES[290:]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert not page.get_by_role("listbox").is_visible()
    picker.wait("name => new URLSearchParams(location.search).get('run') === name", NAMES[291])


def test_names_keep_both_ends_and_state_and_metric_stand_beside(picker: Any) -> None:
    page = picker.page
    picker.wait("() => document.querySelectorAll('.picker-about')[7]?.textContent.includes('broken')")
    assert page.locator(".picker-about").nth(30).inner_text() == "validation accuracy 0.1"
    assert page.locator(".picker .middle-tail").nth(12).inner_text().endswith("seed011")  # the button's is the first
    page.keyboard.press("Escape")
    assert not page.get_by_role("listbox").is_visible()
    assert page.get_by_role("button", name=f"Run: {NAMES[0]}").evaluate("button => button === document.activeElement")


def test_hundreds_of_runs_do_not_slow_the_typing(picker: Any) -> None:
    took = picker.page.evaluate(
        """() => {
          const search = document.querySelector(".picker-search");
          const times = ["s", "se", "seed1", ""].map((text) => {
            const began = performance.now();
            search.value = text;
            search.dispatchEvent(new Event("input"));
            document.querySelector(".picker").getBoundingClientRect();
            return performance.now() - began;
          });
          return Math.min(...times);
        }"""
    )
    assert took < QUICK_MS
    assert len(options(picker)) < RUNS
    assert "more" in picker.page.locator(".picker-foot").inner_text()
