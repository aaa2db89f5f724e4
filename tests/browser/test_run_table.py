"""assets/runs/*.mjs: runs are searched, sorted, grouped, chosen and labelled; 300 of them at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytestmark = pytest.mark.browser

NOW_S = 1_700_000_000
RUNS = 300


def row(number: int, **changes: Any) -> dict[str, Any]:
    name = f"sweep-2026-lenet-momentum0.9-seed{number:03d}"
    loss = {"last": number / 100, "lowest": number / 200, "highest": 3.0}
    return {
        "name": name, "title": name, "path": f"/runs/{name}", "format": "keras", "state": "ready", "problem": None,
        "prepared": True, "checkpoints": number, "broken_checkpoints": 0, "first_step": "0", "last_step": str(number),
        "changed": NOW_S - number * 3600, "tags": [], "group": "", "settings": {"lr": [0.1, 0.01][number % 2]},
        "metrics": {"validation loss": loss}, **changes,
    }  # fmt: skip


ROWS = [
    row(0, title="first", tags=["baseline"], group="old", state="live"),
    row(1, name="lost", title="lost", state="broken", problem="It is gone. Nothing is there.", metrics={}, settings={}),
    *map(row, range(2, RUNS)),
]


class Table:
    """The stage with the table on it."""

    def __init__(self, stage: Any) -> None:
        self.stage, self.page = stage, stage.page
        self.sent: list[dict] = []

    def show(self, hash: str = "", editor: bool = True, count: int = 12) -> Table:
        answer = {"runs": ROWS[:count], "prepared": True}
        self.page.route("**/api/v1/run-table", lambda route: route.fulfill(json=answer))
        self.page.route("**/api/v1/runs/*/labels", self.take)
        self.page.route("**/api/v1/connections", self.connections)
        self.stage.show("RunTable:table:editor" if editor else "RunTable:table", hash=hash)
        self.page.wait_for_selector(".runs-table tbody tr")
        return self

    def take(self, route: Any) -> None:
        self.sent.append({"run": route.request.url.split("/")[-2], **json.loads(route.request.post_data)})
        route.fulfill(json={})

    def connections(self, route: Any) -> None:
        if route.request.method == "GET":
            route.fulfill(json={"folders": ["/runs"], "command": "mloscope connect PATH --port 8050"})
        else:
            self.sent.append(route.request.post_data_json)
            route.fulfill(json={"name": "second", "was_connected": False})

    def titles(self, most: int = 5) -> list[str]:
        return self.page.locator(".runs-name").evaluate_all(
            f"all => all.slice(0, {most}).map((each) => each.textContent)"
        )

    def search(self, words: str) -> list[str]:
        self.page.fill(".runs-search", words)
        return self.titles(RUNS)

    def view(self, key: str) -> str:
        return self.stage.js("(key) => view.get()[key]", key)


@pytest.fixture
def table(stage: Any) -> Table:
    return Table(stage)


def test_all_runs_are_there_at_once_and_searching_makes_none_of_them_again(table: Table) -> None:
    table.show(count=RUNS)
    assert len(table.titles(RUNS)) == RUNS
    # Lines are moved, none is made again.
    kept = table.page.evaluate(
        """() => {
          const search = document.querySelector(".runs-search");
          const lines = () => [...document.querySelectorAll("tr[data-run]")];
          const before = lines();
          for (const text of ["seed1", ""]) {
            search.value = text;
            search.dispatchEvent(new Event("input"));
          }
          return lines().filter((line) => before.includes(line)).length;
        }"""
    )
    assert kept == RUNS


def test_one_run_is_one_and_heads_stand_above_their_numbers(table: Table) -> None:
    table.show(count=1)
    assert table.page.inner_text("[role=status] >> text=/^1 run/") == "1 run"
    ends = table.page.evaluate(
        """() => [...document.querySelectorAll(".runs-table thead th")].map((head, at) => {
          const cell = document.querySelector(".runs-table tbody tr").children[at];
          return [getComputedStyle(head).textAlign, getComputedStyle(cell).textAlign];
        })"""
    )
    assert ["right", "right"] in ends
    assert all(head == cell for head, cell in ends)


def test_words_and_conditions_are_searched_for(table: Table) -> None:
    table.show(count=RUNS)
    expected = {
        "first": 1,
        "SEED10": 10,
        "tag:baseline": 1,
        "-tag:baseline": RUNS - 1,
        "state:broken": 1,
        "lr=0.1 checkpoints<10": 5,
        '"validation loss"<=0.05': 5,
        "checkpoints>=290 seed29": 10,
        "format!=keras": 0,
        "checkpoints>": RUNS,
    }
    assert {words: len(table.search(words)) for words in expected} == expected
    # What means nothing is said.
    assert len(table.search("colour:red checkpoints<abc")) == RUNS
    said = table.page.inner_text(".runs .warning-text")
    assert '"colour"' in said
    assert '"abc"' in said


def test_an_age_is_that_of_the_last_change(table: Table) -> None:
    found = table.show().stage.js(
        f"""async () => {{
          const {{ readQuery }} = await import("mloscope/runs/query.mjs");
          const columns = [{{ key: "changed", value: (row) => row.changed }}];
          const matches = (text) => readQuery(text, columns, {NOW_S * 1000}).matches({{ changed: {NOW_S - 7200} }});
          return [matches("changed<3h"), matches("changed<1h"), matches("changed>1h"), matches("changed>1d")];
        }}"""
    )
    assert found == [True, False, True, False]
    short = """async () => (await import("mloscope/base/names.mjs")).shortened("sweep-2026-lenet-seed042", 15)"""
    assert table.stage.js(short) == "sweep-2…seed042"


def test_a_head_sorts_up_and_down_and_what_has_no_value_is_last(table: Table) -> None:
    table.show()
    head = table.page.get_by_role("button", name="validation loss", exact=True)
    head.click()
    assert table.titles(1) == ["first"]
    assert table.titles(RUNS)[-1] == "lost"
    table.page.locator("th[aria-sort=ascending] button").click()
    assert table.titles(1)[0].endswith("seed011")
    assert table.titles(RUNS)[-1] == "lost"
    assert table.view("runs-sort") == "validation loss:down"


def test_groups_have_heads(table: Table) -> None:
    table.show(hash="#runs-group=lr&runs-search=seed")
    heads = table.page.locator(".runs-group").all_inner_texts()
    assert [head.split()[:2] for head in heads] == [["lr:", "0.1"], ["lr:", "0.01"]]


def test_columns_are_chosen(table: Table) -> None:
    table.show()
    table.page.get_by_text("Columns").click()
    table.page.get_by_label("validation loss (lowest)").check()
    assert table.page.get_by_role("columnheader", name="validation loss (lowest)").count() == 1
    assert "validation loss (lowest)" in table.view("runs-columns")


def test_two_runs_are_compared_and_several_have_curves(table: Table) -> None:
    table.show()
    boxes = table.page.locator("tbody input[type=checkbox]")
    boxes.nth(2).click()
    assert table.page.get_by_role("link", name="Open").count() == 1
    boxes.nth(4).click(modifiers=["Shift"])
    assert len(table.view("runs-chosen").split(",")) == 3
    boxes.nth(3).click()
    address = table.page.get_by_role("link", name="Compare").get_attribute("href")
    assert "/compare?" in address
    assert "run=sweep-2026-lenet-momentum0.9-seed002" in address
    assert "b-run=sweep-2026-lenet-momentum0.9-seed004" in address
    assert "/curves?" in table.page.get_by_role("link", name="Curves").get_attribute("href")
    table.page.get_by_role("button", name="Clear").click()
    assert table.view("runs-chosen") == ""


def test_the_keyboard_moves_chooses_and_opens(table: Table) -> None:
    table.show()
    table.page.locator(".runs-name").first.focus()
    table.page.keyboard.press("ArrowDown")
    table.page.keyboard.press("ArrowDown")
    table.page.keyboard.press(" ")
    assert table.view("runs-chosen") == ROWS[2]["name"]
    assert table.page.evaluate("document.activeElement.closest('tr').dataset.run") == ROWS[2]["name"]
    assert table.page.locator(".runs-name[tabindex='0']").count() == 1


def test_tags_are_given_to_all_chosen_runs(table: Table) -> None:
    table.show(hash=f"#runs-chosen={ROWS[0]['name']},{ROWS[2]['name']}")
    table.page.get_by_text("Tags and group").click()
    table.page.get_by_label("Tag", exact=True).fill("good")
    table.page.get_by_role("button", name="Add tag").click()
    while len(table.sent) < 2:
        table.page.wait_for_timeout(20)
    assert [(each["tags"], each["group"]) for each in table.sent] == [(["baseline", "good"], "old"), (["good"], "")]


def test_a_path_is_connected_and_a_viewer_sees_the_command(table: Table) -> None:
    table.show()
    table.page.get_by_text("Connect a run").click()
    table.page.get_by_label("A folder of checkpoints").fill("/runs/second")
    table.page.get_by_role("button", name="Connect", exact=True).click()
    table.page.get_by_text("second is connected").wait_for()
    assert table.sent == [{"path": "/runs/second"}]
    table.show(editor=False)
    table.page.get_by_text("Connect a run").click()
    table.page.get_by_text("mloscope connect PATH").wait_for()
    assert table.page.get_by_role("button", name="Connect", exact=True).count() == 0


def test_a_broken_run_says_why_and_opens_nothing(table: Table) -> None:
    table.show(hash="#runs-search=lost")
    assert table.page.locator("a.runs-name").count() == 0
    assert table.page.inner_text(".runs-problem summary") == "It is gone."
