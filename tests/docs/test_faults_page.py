"""docs/faults.md against the tests of faults: every one has its row, and every row its test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_fault_has_a_row_and_every_row_a_test() -> None:
    page = (ROOT / "docs" / "faults.md").read_text()
    named = set(re.findall(r"\| `(test_\w+)` \|$", page, re.MULTILINE))
    tests = {
        name
        for file in (ROOT / "tests" / "faults").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    assert named == tests
