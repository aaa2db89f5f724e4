"""What pages may connect, and what they may not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mloscope.adaptors.interface import NothingFits
from mloscope.app.errors import BadRequest, Forbidden, MloscopeError, NotPossible, Unrecognised
from mloscope.app.workspace.links import LinkFolder, PageConnections

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs links as Unix has them")


@pytest.fixture
def places(tmp_path: Path) -> Path:
    for name in ("watched", "runs/first", "runs/second", "runs/deep/third", "secret/fourth"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs" / "way-out").symlink_to(tmp_path / "secret" / "fourth")
    return tmp_path


def connecting(places: Path, allowed: list[Path] | None = None, open_run: Any = lambda *_: None) -> PageConnections:
    made = PageConnections.of(LinkFolder(places / "watched"), allowed or [], [places / "runs" / "first"])
    return PageConnections(made.links, made.allowed, made.beside, open_run=open_run)


def test_what_lies_beside_the_servers_runs_may_be_connected(places: Path) -> None:
    linked = connecting(places).connect(str(places / "runs" / "second"))
    assert (linked.name, linked.was_there) == ("second", False)
    assert os.readlink(places / "watched" / "second") == os.path.realpath(places / "runs" / "second")
    assert connecting(places).connect(str(places / "runs" / "second")).was_there


@pytest.mark.parametrize(
    "path", ["secret/fourth", "runs/deep/third", "runs/way-out", "runs/../secret/fourth", "runs", "secret/nothing"]
)
def test_what_lies_elsewhere_may_not(places: Path, path: str) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("what may not be connected must not be opened")

    with pytest.raises(Forbidden):
        connecting(places, open_run=never).connect(str(places / path))
    assert not any((places / "watched").iterdir())


def test_settings_say_other_folders_at_any_depth(places: Path) -> None:
    here = connecting(places, [places / "runs" / "deep", places / "secret"])
    assert here.connect(str(places / "secret" / "fourth")).name == "fourth"
    with pytest.raises(Forbidden):
        here.connect(str(places / "runs" / "second"))


@pytest.mark.parametrize("path", ["runs/second", "", "a\0b"])
def test_only_absolute_paths_are_paths(places: Path, path: str) -> None:
    with pytest.raises(BadRequest):
        connecting(places).connect(path)


def test_what_no_adaptor_reads_is_not_connected(places: Path) -> None:
    def refuse(*_: Any) -> None:
        raise NothingFits("No adaptor reads this.")

    with pytest.raises(Unrecognised):
        connecting(places, open_run=refuse).connect(str(places / "runs" / "second"))
    assert not any((places / "watched").iterdir())


def test_a_name_of_another_is_refused(places: Path) -> None:
    links = LinkFolder(places / "watched", {"first": places / "runs" / "first"})
    with pytest.raises(BadRequest):
        links.add(places / "runs" / "second", "first")
    with pytest.raises(BadRequest):
        links.add(places / "runs" / "second", "no name")
    assert links.add(places / "runs" / "first").was_there


def test_a_folder_that_cannot_be_written_is_a_sentence(places: Path) -> None:
    (places / "watched" / "second").symlink_to(places / "nowhere")
    with pytest.raises(MloscopeError):
        LinkFolder(places / "watched").add(places / "runs" / "second")


def test_a_server_that_watches_nothing_connects_nothing(places: Path) -> None:
    nowhere = PageConnections.of(None, [], [places / "runs" / "first"])
    assert nowhere.folders == ()
    with pytest.raises(NotPossible):
        nowhere.connect(str(places / "runs" / "second"))
