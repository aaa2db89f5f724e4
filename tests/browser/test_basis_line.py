"""assets/basis/*.mjs: what the page's numbers rest on is seen without opening anything, whole when opened, and settled there."""

from __future__ import annotations

from typing import Any

import pytest
from basis_record import basis, unnamed
from statistics_server import CLASSES

pytestmark = pytest.mark.browser

ASSUMED = {
    "scale": 1 / 255, "scale_from": "assumed", "mean": None, "mean_from": "default", "channel_order": "rgb",
    "channel_order_from": "default", "assumed": True, "own_layers": ["rescaling"],
}  # fmt: skip
NOTICES = [
    ("warning", "The network's classes are not matched with the corpus's: they are called otherwise."),
    ("assumed", "Pixels are divided by 255. That is assumed."),
    ("left out", "Step 450 is left out: the file is cut off."),
    ("note", "Images of another size are resized."),
]


class Line:
    """The stage with the line on it."""

    def __init__(self, stage: Any) -> None:
        self.stage, self.page = stage, stage.page
        self.sent: list[dict] = []
        self.answer: dict[str, Any] = {"status": 200, "json": {}}

    def show(self, subject: dict[str, Any], editor: bool = True) -> Line:
        self.page.route("**/api/v1/runs/demo/outputs", self.take)
        self.stage.show("BasisLine:line:editor" if editor else "BasisLine:line", subject=subject)
        self.page.wait_for_selector(".basis-button:visible")
        return self

    def take(self, route: Any) -> None:
        request = route.request
        self.sent.append({"method": request.method, "own": request.headers.get("x-mloscope"), **request.post_data_json})
        route.fulfill(**self.answer)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()

    def open(self) -> Line:
        self.page.click(".basis-button:visible")
        self.page.wait_for_selector("#basis-panel:visible")
        return self

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()


@pytest.fixture
def line(stage: Any) -> Line:
    return Line(stage)


def test_warnings_and_what_is_assumed_are_seen_without_opening(line: Line) -> None:
    line.show({**unnamed(3), "basis": basis(CLASSES[:3], [None] * 3, notices=NOTICES, preprocessing=ASSUMED)})
    said = line.text(".basis-button")
    for part in (
        "÷255 (assumed)",
        "softmax",
        "not matched",
        "1 warning: The network's classes are not matched",
        "1 assumed",
        "1 left out",
    ):
        assert part in said
    colours = line.page.locator(".basis-flag").evaluate_all(
        "flags => flags.map((flag) => getComputedStyle(flag).color)"
    )
    assert len(set(colours)) == 3
    assert line.page.locator("#line").bounding_box()["height"] == 26


def test_the_whole_record_opens_and_escape_closes_it(line: Line) -> None:
    left_out = [{"step": 450, "name": "ckpt-450.keras", "reason": "The file is cut off."}]
    line.show({"basis": basis(notices=NOTICES, preprocessing=ASSUMED, checkpoints_left_out=left_out)})
    line.page.locator(".basis-button").first.focus()
    line.page.keyboard.press("Enter")
    panel = line.page.locator("#basis-panel")
    said = panel.inner_text()
    for part in (
        "divided by 255 (assumed)",
        "rescaling",
        "classes (declared)",
        "matched with the corpus's by name",
        "ckpt-450.keras",
    ):
        assert part in said
    kinds = panel.locator(".basis-notices").evaluate_all("all => all.map((one) => one.dataset.kind)")
    assert kinds == ["warning", "assumed", "left out", "note"]
    assert [sentence in said for _, sentence in NOTICES] == [True] * 4
    assert panel.locator("a").get_attribute("href") == "/api/v1/runs/demo/basis?corpus=digits"
    step = line.stage.js("time.step")
    line.page.keyboard.press("ArrowLeft")
    assert line.stage.js("time.step") == step
    line.page.keyboard.press("Escape")
    assert panel.is_hidden()
    assert line.stage.js("document.activeElement.className") == "basis-button"


def test_each_output_is_listed_with_its_class(line: Line) -> None:
    line.show({"basis": basis(["b", "a", "other"], [1, 0, None])}).open()
    line.page.locator(".basis-outputs summary").click()
    line.page.wait_for_selector(".basis-outputs tbody tr")
    rows = line.page.locator(".basis-outputs tbody tr").all()
    assert [row.locator("td").all_inner_texts() for row in rows] == [
        ["0", "b", "one"],
        ["1", "a", "zero"],
        ["2", "other", "–"],
    ]


def test_the_form_names_outputs_and_the_page_follows(line: Line) -> None:
    line.show(unnamed(10)).open()
    assert line.page.input_value(".basis-names").split("\n") == unnamed(10)["classNames"]
    line.press("Use the corpus's names in its order")
    line.stage.js("() => { stores.connections = null; }")
    line.press("Save")
    line.stage.wait("() => stores.connections")
    assert line.sent == [{"method": "PUT", "own": "1", "output": None, "classes": list(CLASSES), "corpus": "digits"}]
    line.stage.open({"basis": basis(CLASSES)})
    assert "10 classes by name" in line.text(".basis-button")
    assert line.page.input_value(".basis-names").split("\n") == list(CLASSES)


def test_saving_names_that_were_only_assumed_settles_them(line: Line) -> None:
    record = basis()
    record["classes"] |= {"matched_by": "position", "named_by": None}
    line.show({"basis": record}).open()
    line.press("Save")
    line.stage.wait("() => stores.connections")
    assert line.sent[0]["classes"] == list(CLASSES)


def test_outputs_that_nobody_named_are_not_named_by_saving(line: Line) -> None:
    line.show(unnamed(10)).open()
    line.press("Save")
    line.stage.wait("() => stores.connections")
    assert line.sent[0]["classes"] == []


def test_another_output_is_chosen_without_the_names_of_the_one_before(line: Line) -> None:
    record = basis()
    line.show({"basis": {**record, "output": {**record["output"], "others": ["coarse"]}}}).open()
    line.page.select_option(".basis-output", "coarse")
    line.press("Save")
    line.stage.wait("() => stores.connections")
    assert (line.sent[0]["output"], line.sent[0]["classes"]) == ("coarse", [])
    line.press("Reset")
    line.stage.wait("() => !document.querySelector('.basis-action[type=submit]').disabled")
    assert (line.sent[1]["output"], line.sent[1]["classes"]) == (None, [])


def test_what_does_not_fit_is_said_at_the_form_and_what_was_written_stays(line: Line) -> None:
    line.answer = {
        "status": 400,
        "json": {"error": {"kind": "bad-request", "message": "2 class names were given, and the network has 10."}},
    }
    line.show(unnamed(10)).open()
    line.page.fill(".basis-names", "cat\ndog\n\n")
    line.press("Save")
    line.page.wait_for_selector(".basis-problem:has-text('the network has 10')")
    assert line.sent[0]["classes"] == ["cat", "dog"]
    assert line.page.input_value(".basis-names").startswith("cat\ndog")
    assert line.stage.js("stores.connections") is None


def test_who_may_only_look_finds_the_form_closed_and_why(line: Line) -> None:
    line.show(unnamed(10), editor=False).open()
    assert line.page.locator(".basis-names").is_disabled()
    assert all(button.is_disabled() for button in line.page.locator(".basis-action:visible").all())
    assert "editor" in line.text(".basis-problem")


def test_the_other_side_of_a_comparison_has_a_line_of_its_own_where_it_differs(line: Line) -> None:
    answer = {"run": "demo", "other": "other", "pairs": [], "problems": [], "alignments": {}}
    of_b = {"basis": basis(CLASSES[:2])}
    line.page.route(
        "**/comparison/**",
        lambda route: route.fulfill(
            json={**answer, "subject": {**line.page.evaluate("stageSubject"), "run": "other", **of_b}}
        ),
    )
    line.show({})
    line.stage.js("() => { window.leave = compare.subscribe(() => {}); }")
    line.page.wait_for_selector(".basis-button[data-side=B]:visible")
    assert "2 classes" in line.text(".basis-button[data-side=B]")
    assert line.page.locator(".basis-badge:visible").all_inner_texts() == ["A", "B"]
    line.page.click(".basis-button[data-side=B]")
    assert "numbers of other over digits" in line.text("#basis-panel")
    line.stage.js("leave()")
    line.page.wait_for_selector(".basis-button[data-side=B]", state="hidden")
    assert line.page.locator("#basis-panel").is_hidden()
