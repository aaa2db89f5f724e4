"""A disk that does not answer costs what lies on it, and nothing else."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mloscope.app.errors import NotPossible, Unavailable
from mloscope.app.workspace.answering_disks import AnsweringDisks, touch
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.entries import RunEntry
from mloscope.app.workspace.watched_folders import WatchedFolders
from mloscope.app.workspace.workspace import Workspace

GOOD, AWAY = Path("/good/run"), Path("/away/run")


class Mounts:
    """Disks that hang when told to, and count who waits."""

    def __init__(self) -> None:
        self.hangs: set[str] = set()
        self.waiting: Counter[str] = Counter()
        self._back = threading.Condition()

    def __call__(self, path: Path) -> None:
        name = path.parts[1] if path.parts[1] in ("good", "away") else path.name
        with self._back:
            self.waiting[name] += 1
            self._back.wait_for(lambda: name not in self.hangs)
            self.waiting[name] -= 1

    def come_back(self) -> None:
        with self._back:
            self.hangs.clear()
            self._back.notify_all()


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    made = Mounts()
    yield made
    made.come_back()


@pytest.fixture
def disks(mounts: Mounts) -> AnsweringDisks:
    return AnsweringDisks(mounts, patience_s=0.3, fresh_s=0.0)


def test_one_that_hangs_is_waited_for_once_by_one_thread(mounts: Mounts, disks: AnsweringDisks) -> None:
    assert disks.answering([GOOD, AWAY]) == {GOOD, AWAY}
    mounts.hangs.add("away")
    began = time.monotonic()
    assert disks.answering([GOOD, AWAY, AWAY / "x", AWAY / "y"]) == {GOOD}
    assert time.monotonic() - began > 0.2, "not waited for"
    for _ in range(100):
        with pytest.raises(Unavailable, match="does not answer"):
            disks.check(AWAY, 'The run "away"')
        disks.check(GOOD, 'The run "good"')
    assert mounts.waiting["away"] == 3, "a thread for each path"
    mounts.come_back()
    deadline = time.monotonic() + 5
    while not disks.answers(AWAY):
        assert time.monotonic() < deadline


def test_many_at_once_wait_no_longer_than_one(mounts: Mounts, disks: AnsweringDisks) -> None:
    mounts.hangs.add("away")
    answers: list[bool] = []
    threads = [threading.Thread(target=lambda: answers.append(disks.answers(AWAY))) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [False] * 50
    assert mounts.waiting["away"] == 1


def test_disks_that_answer_are_asked_in_turn_and_one_that_hangs_keeps_no_other_waiting(mounts: Mounts) -> None:
    threads: set[int] = set()

    def ask(path: Path) -> None:
        threads.add(threading.get_ident())
        mounts(path)

    mounts.hangs.add("away")
    disks = AnsweringDisks(ask, patience_s=2)
    good = [GOOD / str(number) for number in range(300)]
    assert disks.answering([AWAY / "x", *good[:150], AWAY / "y", *good[150:]]) == set(good)
    assert len(threads) < 100, "no thread for each path"


def test_an_answer_counts_for_a_while() -> None:
    asked: list[Path] = []
    now = [0.0]
    disks = AnsweringDisks(asked.append, patience_s=5, fresh_s=1.0, clock=lambda: now[0])
    for _ in range(5):
        disks.check(GOOD, "It")
    assert len(asked) == 1
    now[0] = 1.5
    disks.check(GOOD, "It")
    assert len(asked) == 2


@pytest.mark.parametrize("name", ["nothing", "file", "folder"])
def test_whatever_the_disk_says_is_an_answer(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    touch(tmp_path / name)


def test_a_question_about_what_lies_there_is_refused_at_once(
    array_run: Any, array_corpus: Any, mounts: Mounts, disks: AnsweringDisks
) -> None:
    workspace = Workspace(
        [ConnectedRun("good", GOOD, array_run()), ConnectedRun("away", AWAY, array_run())],
        [ConnectedCorpus("images", AWAY / "images", array_corpus())],
        disks=disks,
    )
    workspace.opened_run("away")
    mounts.hangs.add("away")
    for _ in range(3):
        workspace.opened_run("good")
        with pytest.raises(Unavailable, match='"away" does not answer'):
            workspace.opened_run("away")
        with pytest.raises(Unavailable, match='"images" does not answer'):
            workspace.opened_corpus("images")


def watched(tmp_path: Path, disks: AnsweringDisks, array_run: Any, **more: Any) -> tuple[Workspace, WatchedFolders]:
    workspace = Workspace([], disks=disks)
    folders = WatchedFolders(workspace, tmp_path, open_run=more.pop("open_run", lambda *_: array_run()), **more)
    return workspace, folders


def test_a_watched_folder_goes_on_beside_an_entry_that_hangs(
    tmp_path: Path, array_run: Any, mounts: Mounts, disks: AnsweringDisks
) -> None:
    workspace, folders = watched(tmp_path, disks, array_run)
    for name in ("first", "away"):
        (tmp_path / name).mkdir()
    folders.look()
    mounts.hangs.add("away")
    (tmp_path / "away2").symlink_to(tmp_path / "away")
    mounts.hangs.add("away2")
    (tmp_path / "second").mkdir()
    folders.look()
    assert {run.name for run in workspace.runs if run.adaptor is not None} == {"first", "away", "second"}
    assert "does not answer" in str(workspace.run("away2").problem)
    with pytest.raises(NotPossible, match="does not answer"):
        workspace.opened_run("away2")
    mounts.come_back()
    deadline = time.monotonic() + 5
    while any(run.adaptor is None for run in workspace.runs):
        folders.look()
        assert time.monotonic() < deadline


def test_a_watched_folder_goes_on_while_one_entry_is_being_opened(
    tmp_path: Path, array_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where one of a run's files, and not its folder, lies on the disk that hangs."""
    monkeypatch.setattr("mloscope.app.workspace.watched_folders._WAIT_FOR_ONE_S", 0.2)
    back = threading.Event()

    def open_run(path: Path, *_: Any) -> Any:
        if path.name == "slow":
            back.wait(30)
        return array_run()

    workspace, folders = watched(tmp_path, AnsweringDisks(), array_run, open_run=open_run)
    for name in ("slow", "z"):
        (tmp_path / name).mkdir()
    folders.look()
    folders.look()
    assert [run.name for run in workspace.runs if run.adaptor is not None] == ["z"]
    back.set()
    deadline = time.monotonic() + 5
    while workspace.run("slow").adaptor is None:
        folders.look()
        assert time.monotonic() < deadline


def test_a_watched_folder_that_hangs_itself_keeps_what_is_known(
    tmp_path: Path, array_run: Any, mounts: Mounts, disks: AnsweringDisks
) -> None:
    (tmp_path / "first").mkdir()
    workspace, folders = watched(tmp_path, disks, array_run)
    folders.look()
    mounts.hangs.add(tmp_path.name)
    assert not folders.look()
    assert workspace.run("first").adaptor is not None


def test_what_hangs_when_the_server_starts_is_opened_when_it_is_back(
    tmp_path: Path, array_run: Any, mounts: Mounts, disks: AnsweringDisks
) -> None:
    for name in ("first", "away"):
        (tmp_path / name).mkdir()
    mounts.hangs.add("away")
    workspace = Workspace.connect(
        [RunEntry(tmp_path / "first"), RunEntry(tmp_path / "away")], open_run=lambda *_: array_run(), disks=disks
    )
    assert workspace.run("first").adaptor is not None
    assert "does not answer" in str(workspace.run("away").problem)
    folders = WatchedFolders(workspace, open_run=lambda *_: array_run())
    mounts.come_back()
    deadline = time.monotonic() + 5
    while workspace.run("away").adaptor is None:
        folders.look()
        assert time.monotonic() < deadline


def test_the_pause_after_a_long_look_is_capped(tmp_path: Path, array_run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 1000.0])
    folders = WatchedFolders(Workspace([]), tmp_path, clock=lambda: next(now, 1000.0))
    pauses: list[float] = []

    class Ending(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            pauses.append(float(timeout or 0))
            self.set()
            return True

    folders._ending = Ending()
    monkeypatch.setattr(folders, "look", lambda: None)
    folders._watch()
    assert pauses == [60.0]
