from __future__ import annotations

import json
from pathlib import Path

import pytest

from mloscope.adaptors.files.run_folder import Notes, checkpoints_of, none_readable, read_notes, shortened
from mloscope.adaptors.interface import Unreadable


@pytest.mark.parametrize(
    ("pattern", "step"), [(r"e(\d+)", 3), (r"b(\d+)", 450), (r"\d+", 3), (r"x(\d+)", None), (r"(b)", None)]
)
def test_a_pattern_says_which_number_it_is(pattern: str, step: int | None) -> None:
    checkpoints, problems = checkpoints_of(["e3_b450"], ["e3_b450"], Notes(), pattern)
    assert [checkpoint.step for checkpoint in checkpoints] == ([] if step is None else [step])
    assert bool(problems) == (step is None)


def test_a_pattern_that_is_no_pattern_is_named() -> None:
    with pytest.raises(Unreadable, match=r"\(\\d\+.*is not a regular expression"):
        checkpoints_of(["a_1"], ["a_1"], Notes(), r"(\d+")


def test_names_are_sorted_as_numbers_and_leftovers_told() -> None:
    names = ["m10", "m9", "m09", "best", "notes"]
    checkpoints, problems = checkpoints_of(names, names, Notes(), None)
    assert [(c.step, c.name) for c in checkpoints] == [(9, "m9"), (10, "m10")]
    assert len(problems) == 3
    said = " ".join(problems)
    assert "m09 has the same step, 9, as m9" in said
    assert "best stands beside the numbered checkpoints" in said
    assert "checkpoints.json" in said
    assert "notes has no whole number in its name" in said


def test_what_checkpoints_json_says_comes_first() -> None:
    names = ["best", "epoch_1", "epoch_2"]
    notes = Notes(steps={"best": 7, "epoch_2": 12}, epochs={"best": 7.5})
    checkpoints, problems = checkpoints_of(names, names, notes, None)
    assert [(c.step, c.name, c.epoch) for c in checkpoints] == [
        (1, "epoch_1", None),
        (7, "best", 7.5),
        (12, "epoch_2", None),
    ]
    assert problems == []


@pytest.mark.parametrize("names", [["best.keras", "last.keras"], ["a.h5", "b.h5", "c.h5"]])
def test_files_without_an_order_are_told_what_gives_one(names: list[str]) -> None:
    checkpoints, problems = checkpoints_of(names, [name.split(".")[0] for name in names], Notes(), None)
    assert checkpoints == []
    entries = json.loads(problems[0][problems[0].index("[{") :])
    assert [entry["file"] for entry in entries] == names
    assert [entry["step"] for entry in entries] == list(range(1, len(names) + 1))


def test_one_file_without_a_number_is_step_0() -> None:
    checkpoints, problems = checkpoints_of(["best"], ["best"], Notes(), None)
    assert [c.step for c in checkpoints] == [0]
    assert problems == []


def test_long_lists_of_problems_are_shortened() -> None:
    assert shortened(["a", "b"], 2) == ("a", "b")
    assert shortened(["a", "b", "c", "d"], 2) == ("a", "b", "And 2 more files with the same kind of problem.")


def test_numbers_that_no_axis_and_no_page_could_show_are_ignored_and_told(tmp_path: Path) -> None:
    entries = (
        '[{"file": "a_1.h5", "step": 99999999999999999999}, {"file": "a_2.h5", "step": true, "epoch": NaN}, '
        '{"file": "a_3.h5", "step": 30, "epoch": 1e999}, {"file": "a_4.h5", "epoch": 0.5}]'
    )
    (tmp_path / "checkpoints.json").write_text(entries)
    (tmp_path / "mloscope_run.json").write_text(
        '{"class_names": ["cat", "\\ud800"], "preprocessing": {"scale": NaN, "mean": [1e999]}}'
    )
    notes = read_notes(tmp_path)
    assert notes.steps == {"a_3.h5": 30}
    assert notes.epochs == {"a_4.h5": 0.5}
    assert notes.class_names == ("cat", "?")
    assert notes.preprocessing is None
    said = " ".join(notes.problems)
    assert "the step of a_1.h5 is ignored" in said
    assert "the step of a_2.h5 is ignored" in said
    assert "preprocessing is ignored" in said


def test_a_name_with_a_step_of_more_than_64_bits_has_no_place() -> None:
    names = ["epoch_99999999999999999999.h5", "epoch_2.h5"]
    found, problems = checkpoints_of(names, [name[:-3] for name in names], Notes(), None)
    assert [checkpoint.step for checkpoint in found] == [2]
    assert "epoch_99999999999999999999.h5 has a step of more than 64 bits" in problems[0]


def test_a_run_of_one_broken_checkpoint_is_spoken_of_in_the_singular() -> None:
    assert str(none_readable(1, Path("run"), "It is cut off.")).startswith("The only checkpoint in run cannot")
    assert str(none_readable(3, Path("run"), "It is cut off.")).startswith("None of the 3 checkpoints in run can")
