"""The tool that changes modules: what it changes, and that it tells tests that notice from tests that do not."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

pytest.importorskip("cosmic_ray", reason="needs Cosmic Ray: make mutation installs it")

from mutation import forked_tests  # noqa: E402
from mutation.mutants import mutants_of  # noqa: E402

SOURCE = '''"""A module of 3 lines."""
from dataclasses import dataclass

def larger(a: int | None, b: int) -> int:
    """Of two."""
    return a if a > b else b


@dataclass(frozen=True)
class Two:
    a: int | None
'''


def test_one_place_is_changed_at_a_time_and_annotations_docstrings_and_decorators_are_left_alone() -> None:
    made = list(mutants_of(SOURCE))
    assert {mutant.line for mutant in made} == {6}
    for mutant in made:
        differing = [
            (old, new) for old, new in zip(SOURCE.splitlines(), mutant.source.splitlines(), strict=True) if old != new
        ]
        assert [(old.strip(), new.strip()) for old, new in differing] == [(mutant.before, mutant.after)]
    assert list(mutants_of(SOURCE)) == made


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize(("asserted", "outcome"), [("larger(3, 2) == 3", "failed"), ("larger(2, 2) == 2", "passed")])
def test_a_change_is_noticed_or_not(tmp_path: Path, asserted: str, outcome: str) -> None:
    module = tmp_path / "larger_of_two.py"
    module.write_text(SOURCE)
    test = tmp_path / "test_larger.py"
    test.write_text(
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nfrom larger_of_two import larger\n"
        f"def test_larger():\n    assert {asserted}\n"
    )
    running = forked_tests.start("larger_of_two", module, SOURCE.replace("a > b", "a < b"), [str(test)], 60)
    while (found := running.outcome()) is None:
        time.sleep(0.01)
    assert found == outcome
    assert module.read_text() == SOURCE
