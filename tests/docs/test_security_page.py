"""docs/security.md against the tests: every threat names one that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
VISITORS = ("a hostile checkpoint", "a hostile image", "a hostile URL", "a viewer", "a neighbour in the network")


def threats() -> list[list[str]]:
    """The table's rows: who, what they might try, why it does not work, tested in; an empty "who" is that of the row before."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")
    ]
    assert rows[0] == ["who", "what they might try", "why it does not work", "tested in"]
    for row, before in zip(rows[1:], rows, strict=False):
        row[0] = row[0] or before[0]
    return rows[1:]


def test_every_threat_says_why_and_names_a_test_that_exists() -> None:
    for row in threats():
        assert len(row) == 4, row
        assert all(row), row
        named = re.findall(r"`(tests/[\w./]+)`", row[3])
        assert named, row
        for name in named:
            path = ROOT / name
            files = [path] if path.is_file() else sorted(path.glob("test_*.py"))
            assert any("def test_" in file.read_text() for file in files), name


def test_everybody_to_be_afraid_of_is_there() -> None:
    assert set(VISITORS) <= {row[0] for row in threats()}
