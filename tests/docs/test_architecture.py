"""docs/architecture.md against the tree: rooms and floors, and every function that it names."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.(?:py|mjs)): ([\w.]+)`", PAGE)))


def rooms() -> list[str]:
    table = PAGE.split("<!-- rooms")[1].split("|---|---|\n")[1].split("\n\n")[0]
    return [re.match(r"\| `app/(\w+)/`", line).group(1) for line in table.splitlines()]  # type: ignore[union-attr]


def test_every_room_is_described_once() -> None:
    folders = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}
    assert sorted(rooms()) == sorted(folders)


def test_the_rooms_stand_in_the_order_of_the_floors() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["name"] == "the floors of app/")
    floor_of = {
        name.strip().removeprefix("mloscope.app."): floor
        for floor, names in enumerate(layers)
        for name in re.split(r"[|:]", names)
    }
    floors = [floor_of[room] for room in rooms()]
    assert floors == sorted(floors)


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda text: text)
def test_every_function_that_is_named_exists(path: str, name: str) -> None:
    source = (ROOT / path).read_text()
    if path.endswith(".py"):
        found: list[ast.stmt] = ast.parse(source).body
        for part in name.split("."):
            inner = [
                node
                for node in found
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == part
            ]
            assert inner, f"{path} has no {name}"
            found = inner[0].body
    else:
        assert re.search(rf"^(?:export )?(?:async )?(?:const|let|function|class) {name}\b", source, re.MULTILINE)


def test_both_walks_are_there_and_enter_no_file_more_than_twice() -> None:
    for heading in ("From the slider to pixels", "From an image in the grid to its feature maps"):
        walk = PAGE.split(f"## {heading}")[1].split("\n## ")[0]
        entered = [path for path, _ in re.findall(r"`([\w/]+\.(?:py|mjs)): ([\w.]+)`", walk)]
        assert len(entered) >= 6
        assert max(map(entered.count, entered)) <= 2
