"""docs/security.md against the tests: every threat names one that is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
ATTACKERS = ("a hostile checkpoint", "a hostile image", "a hostile URL", "a viewer", "another machine")


def threats() -> list[list[str]]:
    """The table's rows: attacker, attack, defence, test; an empty attacker is that of the row before."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("| ")
    ]
    assert rows[0] == ["attacker", "attack", "defence", "test"]
    for row, before in zip(rows[1:], rows, strict=False):
        row[0] = row[0] or before[0]
    return rows[1:]


def test_every_threat_has_a_defence_and_a_test_that_exists() -> None:
    for row in threats():
        assert len(row) == 4, row
        assert all(row), row
        named = re.findall(r"`(tests/[\w./]+)`", row[3])
        assert named, row
        for name in named:
            path = ROOT / name
            files = [path] if path.is_file() else sorted(path.glob("test_*.py"))
            assert any("def test_" in file.read_text() for file in files), name


def test_every_kind_of_attacker_is_listed() -> None:
    assert set(ATTACKERS) <= {row[0] for row in threats()}
