"""Saved views: kept, found, changed and deleted, by several processes at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mloscope.app.errors import BadRequest, NotFound, NotPossible
from mloscope.app.workspace.saved_views import LONGEST_ADDRESS, LONGEST_NAME, LONGEST_NOTE, SavedViews

ADDRESS = "/confusion?run=mnist&corpus=digits#step=2000&actual=4&predicted=9"


@pytest.fixture
def views(tmp_path: Path) -> SavedViews:
    return SavedViews(tmp_path)


def test_a_saved_view_is_found_by_another_process_with_run_and_corpus(views: SavedViews, tmp_path: Path) -> None:
    saved = views.add(" fours as nines ", "since step 434 ", ADDRESS, "anna")
    assert (saved.name, saved.note, saved.run, saved.corpus) == ("fours as nines", "since step 434", "mnist", "digits")
    other = SavedViews(tmp_path)
    assert other.search() == [saved]
    assert other.find(saved.id) == saved


def test_all_words_of_a_search_are_in_name_note_author_or_address(views: SavedViews) -> None:
    nines = views.add("Fours as nines", "", ADDRESS, "anna")
    filters = views.add("filters", "dead UNITS", "/?run=lenet", "bela")
    assert views.search("nines ANNA") == [nines]
    assert views.search("units lenet") == [filters]
    assert views.search("nines bela") == []
    assert [view.id for view in views.search()] in ([filters.id, nines.id], [nines.id, filters.id])


def test_what_is_changed_is_changed_and_the_rest_stays(views: SavedViews) -> None:
    saved = views.add("one", "note", ADDRESS)
    assert views.change(saved.id, name="two") == views.find(saved.id)
    assert (views.find(saved.id).name, views.find(saved.id).note) == ("two", "note")
    with pytest.raises(BadRequest):
        views.change(saved.id, name="")
    assert views.find(saved.id).name == "two"
    views.remove(saved.id)
    assert views.search() == []
    for identifier in (saved.id, "../../secrets", "0" * 16):
        with pytest.raises(NotFound):
            views.remove(identifier)


@pytest.mark.parametrize(
    ("name", "note", "address", "said"),
    [
        ("  ", "", ADDRESS, "name"),
        ("x" * (LONGEST_NAME + 1), "", ADDRESS, str(LONGEST_NAME)),
        ("two\nlines", "", ADDRESS, "name"),
        ("name", "x" * (LONGEST_NOTE + 1), ADDRESS, "note"),
        ("name", "", "/" + "x" * LONGEST_ADDRESS, "address"),
        ("name", "", "//evil.example/", "evil.example"),
        ("name", "", "/\\evil.example/", "evil.example"),
        ("name", "", "javascript:alert(1)", "javascript"),
        ("name", "", "https://evil.example/", "evil.example"),
    ],
)
def test_bad_input_gets_a_sentence_and_nothing_is_saved(
    views: SavedViews, name: str, note: str, address: str, said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        views.add(name, note, address)
    assert views.search() == []


def test_files_that_are_no_views_are_left_alone(views: SavedViews, tmp_path: Path) -> None:
    saved = views.add("one", "", ADDRESS)
    (tmp_path / "views" / "broken.json").write_text("{")
    (tmp_path / "views" / "other.json").write_text('{"name": 1}')
    assert views.search() == [saved]
    assert not list((tmp_path / "views").glob("*.new"))


def test_without_a_folder_nothing_is_saved(tmp_path: Path) -> None:
    with pytest.raises(NotPossible):
        SavedViews(None).add("one", "", ADDRESS)
    assert SavedViews(None).search() == []
