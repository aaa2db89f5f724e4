"""Tags and groups of runs: checked, kept, seen by everybody who uses the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from mloscope.app.errors import BadRequest, NotPossible
from mloscope.app.workspace.run_labels import LONGEST, MOST_TAGS, NONE, RunLabels, RunLabelsStore

RUN = Path("/runs/lenet")


def test_tags_are_brought_to_one_form() -> None:
    assert RunLabels.of([" good ", "Bad", "good", ""], " sweep ") == RunLabels(("Bad", "good"), "sweep")


@pytest.mark.parametrize(
    ("tags", "group"), [(["a,b"], ""), (["x" * (LONGEST + 1)], ""), ([], "a\nb"), ([str(n) for n in range(MOST_TAGS + 1)], "")]
)  # fmt: skip
def test_what_cannot_be_a_label_is_refused(tags: list[str], group: str) -> None:
    with pytest.raises(BadRequest):
        RunLabels.of(tags, group)


def test_labels_are_seen_by_everybody_who_uses_the_folder(tmp_path: Path) -> None:
    here, there = RunLabelsStore(tmp_path), RunLabelsStore(tmp_path)
    assert here.find(RUN) == NONE
    here.save(RUN, RunLabels.of(["good"]))
    assert there.find(RUN).tags == ("good",)
    there.save(RUN, NONE)
    assert here.find(RUN) == NONE
    assert not any((tmp_path / "labels").iterdir())


def test_a_damaged_file_says_nothing(tmp_path: Path) -> None:
    store = RunLabelsStore(tmp_path)
    store.save(RUN, RunLabels.of(["good"]))
    (file,) = (tmp_path / "labels").iterdir()
    for text in ("{", "[]", '{"tags": ["a,b"], "group": ""}'):
        file.write_text(text)
        assert RunLabelsStore(tmp_path).find(RUN) == NONE


def test_without_a_folder_nothing_is_kept() -> None:
    with pytest.raises(NotPossible):
        RunLabelsStore(None).save(RUN, RunLabels.of(["good"]))
