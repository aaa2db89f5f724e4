"""What strangers register, broken in every way in which a package can be."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mloscope.adaptors.entry_points import Group, registered
from mloscope.adaptors.installation import how_to_install

THINGS = Group("strangers.things", "thing", "serve")


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, THINGS.name)


def test_what_cannot_be_imported_costs_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stranger_needs.py").write_text("import package_that_is_nowhere\n")
    (tmp_path / "stranger_raises.py").write_text("raise SyntaxWarning('half written')\n")
    (tmp_path / "stranger_empty.py").write_text("Thing = 3\n")
    (tmp_path / "stranger_whole.py").write_text("class Thing:\n    def serve(self): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    names = ("raises", "needs", "empty", "gone", "whole")
    found = registered(THINGS, [point(name, f"stranger_{name}:Thing") for name in names])
    problems = {each.name: each.problem for each in found}
    assert list(problems) == sorted(names)
    assert "needs the package package_that_is_nowhere" in problems["needs"]
    assert how_to_install("package_that_is_nowhere") in problems["needs"]
    assert "half written" in problems["raises"]
    assert "no serve" in problems["empty"]
    assert "stranger_gone is missing" in problems["gone"]
    assert all(
        problem.startswith(f"The thing {name} of stranger_{name} ") for name, problem in problems.items() if problem
    )
    assert [each.name for each in found if each.implementation] == ["whole"]
    assert problems["whole"] is None
