"""Runs and corpora that come, grow and go: with real files, looked at by hand instead of by the clock."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from mloscope.app.errors import NotPossible
from mloscope.app.workspace.watched_folders import FORGET_AFTER_S, WatchedFolders, listing
from mloscope.app.workspace.workspace import Workspace

NETWORK = """
input: "data" input_dim: 1 input_dim: 1 input_dim: 2 input_dim: 2
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
"""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    runs, corpora = tmp_path / "runs", tmp_path / "corpora"
    runs.mkdir()
    corpora.mkdir()
    return runs, corpora


def save(folder: Path, step: int) -> None:
    """A checkpoint as Caffe's HDF5 writes it, of a network of one layer, and the network's description beside it."""
    import h5py

    folder.mkdir(exist_ok=True)
    (folder / "deploy.prototxt").write_text(NETWORK)
    with h5py.File(folder / f"net_iter_{step}.caffemodel.h5", "w") as file:
        file["data/ip/0"] = np.full((3, 4), step, np.float32)
        file["data/ip/1"] = np.zeros(3, np.float32)


def save_images(path: Path, count: int) -> None:
    np.savez(path, x=np.zeros((count, 4, 4, 1), np.uint8), y=np.zeros(count, np.int64))


def steps(workspace: Workspace, name: str) -> list[int]:
    return [checkpoint.step for checkpoint in workspace.opened_run(name).checkpoints]


def test_what_is_added_is_connected_and_what_grows_is_opened_anew(folders):
    runs, corpora = folders
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    assert not watched.look()
    assert workspace.runs == ()

    save(runs / "first", 10)
    save_images(corpora / "noise.npz", 5)
    assert watched.look()
    assert steps(workspace, "first") == [10]
    assert len(workspace.opened_corpus("noise")) == 5

    assert not watched.look(), "nothing has changed"
    save(runs / "first", 20)
    assert watched.look()
    assert steps(workspace, "first") == [10, 20]


def test_a_run_has_another_version_when_a_file_is_another_one_whoever_looks(folders):
    runs, _ = folders
    save(runs / "first", 10)
    one, other = Workspace([]), Workspace([])
    watched = WatchedFolders(one, runs)
    watched.look()
    first = one.run("first").version
    assert first
    (checkpoint,) = (runs / "first").glob("*.h5")
    os.utime(checkpoint, ns=(1, 1))  # written again, with as many bytes
    assert watched.look()
    assert one.run("first").version != first
    WatchedFolders(other, runs).look()
    assert other.run("first").version == one.run("first").version
    WatchedFolders(other)
    assert other.run("first").version == one.run("first").version, "known from the start, without a look"


def test_a_run_knows_when_it_was_found_and_when_its_files_changed(folders):
    runs, _ = folders
    save(runs / "first", 10)
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, now=lambda: 1234.0)
    watched.look()
    save(runs / "second", 10)
    for number, file in enumerate((runs / "second").iterdir()):
        os.utime(file, (1000 + number * 60, 1000 + number * 60))
    watched.look()
    first, second = workspace.run("first"), workspace.run("second")
    assert (first.found_s, second.found_s) == (None, 1234.0), "what was there from the start was not found"
    assert (second.activity.changed_s, second.activity.pause_s) == (1060, 60)
    assert not second.is_being_opened


def test_what_vanishes_says_so_and_comes_back(folders):
    runs, corpora = folders
    save(runs / "first", 10)
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    watched.look()
    shutil.move(runs / "first", runs.parent / "elsewhere")
    assert watched.look()
    with pytest.raises(NotPossible, match=r'The run "first" is no longer available: .*first was removed\.'):
        workspace.opened_run("first")
    assert not watched.look(), "it is said once"
    shutil.move(runs.parent / "elsewhere", runs / "first")
    assert watched.look()
    assert steps(workspace, "first") == [10]


def test_named_runs_grow_too_and_keep_their_names(folders, tmp_path):
    from mloscope.app.workspace.entries import RunEntry

    save(tmp_path / "mine", 10)
    workspace = Workspace.connect([RunEntry(tmp_path / "mine", "baseline")])
    watched = WatchedFolders(workspace)
    save(tmp_path / "mine", 20)
    assert watched.look()
    assert steps(workspace, "baseline") == [10, 20]


def test_what_no_adaptor_reads_is_named_with_its_reason_until_it_is_mended(folders):
    runs, corpora = folders
    (runs / "notes").mkdir()
    (runs / "notes" / "read me.txt").write_text("no checkpoint yet")
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    watched.look()
    assert "No adaptor can read" in str(workspace.run("notes").problem)
    save(runs / "notes", 10)
    watched.look()
    assert workspace.run("notes").problem is None
    assert steps(workspace, "notes") == [10]


def test_names_that_would_be_the_same_in_an_address_are_told_apart(folders):
    runs, corpora = folders
    save(runs / "a run", 1)
    save(runs / "a+run", 2)
    workspace = Workspace([])
    WatchedFolders(workspace, runs, corpora).look()
    names = {run.title: run.name for run in workspace.runs}
    assert set(names) == {"a run", "a+run"}
    assert names["a run"] != names["a+run"]
    assert {steps(workspace, names["a run"])[0], steps(workspace, names["a+run"])[0]} == {1, 2}


@pytest.mark.parametrize("later", [False, True])
def test_a_name_means_one_run_whoever_looks_and_whenever(folders, later):
    """Two workers, one of which is started again when all is there: an address says the same to both."""
    runs, _ = folders
    long = "resnet50-imagenet-bs1024-augment-randaugment-ema0.9999-cosine-seed1-lr0.1"
    everything = {
        "实验一": 1,
        "学习": 2,
        "эксперимент": 3,
        long: 4,
        f"{long}5": 5,
        "b-1": 6,
        "b 1": 7,
        "b+1": 8,
        "ü": 9,
        "u\u0308x": 10,
    }
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs)
    for name, step in reversed(everything.items()) if later else everything.items():
        save(runs / name, step)
        if later:
            watched.look()
    watched.look()
    again = Workspace([])
    WatchedFolders(again, runs).look()
    found = {run.name: (run.title, steps(workspace, run.name)) for run in workspace.runs}
    assert found == {run.name: (run.title, steps(again, run.name)) for run in again.runs}
    assert sorted(found.values()) == sorted((name, [step]) for name, step in everything.items())
    assert found["b-1"] == ("b-1", [6])


def test_a_name_that_two_have_is_neithers(folders):
    runs, corpora = folders
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    save_images(corpora / "digits.npz", 3)
    watched.look()
    assert len(workspace.opened_corpus("digits")) == 3
    (corpora / "digits").mkdir()
    save_images(corpora / "digits" / "inside.npz", 4)
    watched.look()
    named = {corpus.name: corpus.path for corpus in workspace.corpora}
    assert set(named.values()) == {corpora / "digits.npz", corpora / "digits"}
    assert "digits" not in named
    again = Workspace([])
    WatchedFolders(again, runs, corpora).look()
    assert {corpus.name: corpus.path for corpus in again.corpora} == named
    shutil.rmtree(corpora / "digits")
    watched.look()
    assert len(workspace.opened_corpus("digits")) == 3


def test_what_was_named_keeps_its_name(folders, tmp_path):
    from mloscope.app.workspace.entries import RunEntry

    runs, _ = folders
    save(tmp_path / "lenet", 1)
    save(runs / "lenet", 2)
    workspace = Workspace.connect([RunEntry(tmp_path / "lenet")])
    WatchedFolders(workspace, runs).look()
    assert steps(workspace, "lenet") == [1]
    (other,) = [run.name for run in workspace.runs if run.name != "lenet"]
    assert steps(workspace, other) == [2]


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path):
    workspace = Workspace([])
    watched = WatchedFolders(workspace, tmp_path / "later", None)
    assert not watched.look()
    (tmp_path / "later").mkdir()
    save(tmp_path / "later" / "first", 1)
    assert watched.look()
    assert steps(workspace, "first") == [1]


def test_a_corpus_that_changes_forgets_what_was_remembered_of_its_images(folders):
    runs, corpora = folders
    save_images(corpora / "noise.npz", 5)
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    watched.look()
    before = workspace.thumbnail("noise", 0)
    np.savez(corpora / "noise.npz", x=np.full((5, 4, 4, 1), 255, np.uint8), y=np.zeros(5, np.int64))
    os.utime(corpora / "noise.npz", ns=(1, 1))
    assert watched.look()
    assert workspace.thumbnail("noise", 0) != before


def test_a_listing_sees_size_time_and_mode_of_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        listing(tmp_path / "nowhere")
    file = tmp_path / "a.bin"
    file.write_bytes(b"12345")
    os.utime(file, ns=(7, 7))
    file.chmod(0o640)
    assert listing(file) == (("", 5, 7, 0o100640),)
    assert listing(tmp_path) == (("a.bin", 5, 7, 0o100640),)


def test_the_watch_looks_by_itself_and_ends(folders):
    runs, corpora = folders
    opened = threading.Event()

    def open_run(path: Path, options: object, format: object) -> object:
        from mloscope.adaptors import registry

        opened.set()
        return registry.open_run(path)

    watched = WatchedFolders(Workspace([]), runs, corpora, open_run=open_run, look_every_s=0.01)
    watched.start()
    save(runs.parent / "made", 1)
    os.replace(runs.parent / "made", runs / "made")
    assert opened.wait(20)
    watched.stop()
    assert not any(thread.name == "watched folders" for thread in threading.enumerate())


# ------------------------------------------------------------------------------------------------- links


def test_a_link_is_what_it_leads_to_and_is_followed_when_it_leads_elsewhere(folders, tmp_path):
    runs, corpora = folders
    save(tmp_path / "one", 1)
    save(tmp_path / "two", 2)
    (runs / "latest").symlink_to(tmp_path / "one")
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    watched.look()
    assert workspace.run("latest").path == tmp_path / "one"
    (runs / "latest").unlink()
    (runs / "latest").symlink_to(tmp_path / "two")
    assert watched.look()
    assert workspace.run("latest").path == tmp_path / "two"
    assert steps(workspace, "latest") == [2]


def test_a_run_of_one_file_is_found_with_what_lies_beside_it_through_a_link(folders, tmp_path):
    runs, corpora = folders
    save(tmp_path / "one", 7)
    (runs / "mine.h5").symlink_to(tmp_path / "one" / "net_iter_7.caffemodel.h5")
    workspace = Workspace([])
    WatchedFolders(workspace, runs, corpora).look()
    assert workspace.run("mine").problem is None, "net.prototxt lies beside the file, not beside the link"


def test_a_link_says_what_was_removed_itself_or_what_it_leads_to(folders, tmp_path):
    runs, corpora = folders
    save(tmp_path / "one", 1)
    for name in ("a", "b"):
        (runs / name).symlink_to(tmp_path / "one")
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    watched.look()
    (runs / "a").unlink()
    watched.look()
    assert (
        workspace.run("a").problem == f'The run "a" is no longer available: its link to {tmp_path / "one"} was removed.'
    )
    shutil.rmtree(tmp_path / "one")
    watched.look()
    with pytest.raises(NotPossible) as refusal:
        workspace.opened_run("b")
    assert str(refusal.value) == f'The run "b" is no longer available: {tmp_path / "one"} was removed.'


def test_a_link_that_never_led_anywhere_says_so_until_it_does(folders, tmp_path):
    runs, corpora = folders
    (runs / "soon").symlink_to(tmp_path / "not-yet")
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    watched.look()
    assert workspace.run("soon").problem == f"{tmp_path / 'not-yet'} does not exist."
    assert not workspace.run("soon").gone
    save(tmp_path / "not-yet", 1)
    watched.look()
    assert steps(workspace, "soon") == [1]


def test_what_was_named_is_not_shown_a_second_time_where_it_is_linked(folders, tmp_path):
    from mloscope.app.workspace.entries import RunEntry

    runs, corpora = folders
    save(tmp_path / "mine", 1)
    (runs / "linked").symlink_to(tmp_path / "mine")
    workspace = Workspace.connect([RunEntry(tmp_path / "mine", "baseline")])
    WatchedFolders(workspace, runs, corpora).look()
    assert [run.name for run in workspace.runs] == ["baseline"]


# ------------------------------------------------------------------------------------------------ what else lies there


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_pipes_devices_and_links_in_circles_are_named_and_never_opened(folders):
    runs, corpora = folders
    os.mkfifo(runs / "pipe")
    (runs / "null").symlink_to(os.devnull)
    (runs / "circle").symlink_to(runs / "circle")
    opened: list[Path] = []
    workspace = Workspace([])
    WatchedFolders(workspace, runs, corpora, open_run=lambda path, *_: opened.append(path)).look()
    assert opened == []
    assert workspace.run("pipe").problem == f"{runs / 'pipe'} is neither a file nor a folder."
    assert workspace.run("null").problem == f"{os.devnull} is neither a file nor a folder."
    assert "cannot be reached" in str(workspace.run("circle").problem)


def test_a_run_that_appears_bit_by_bit_settles_to_the_whole_run(folders, tmp_path):
    """Looked at after every byte count at which a copy may stand, the last time while the copy goes on under the reader."""
    runs, corpora = folders
    for step in (1, 2):
        save(tmp_path / "whole", step)
    workspace = Workspace([])

    def open_run(path: Path, options: object, format: object) -> object:
        from mloscope.adaptors import registry

        run = registry.open_run(path)
        copy_some()  # more has come since it was looked at
        return run

    parts = [
        (source, end)
        for source in sorted((tmp_path / "whole").iterdir())
        for end in (0, source.stat().st_size // 2, source.stat().st_size)
    ]

    def copy_some() -> None:
        if parts:
            source, end = parts.pop(0)
            (runs / "copied").mkdir(exist_ok=True)
            (runs / "copied" / source.name).write_bytes(source.read_bytes()[:end])

    watched = WatchedFolders(workspace, runs, corpora, open_run=open_run)
    while parts:
        copy_some()
        watched.look()
    watched.look()
    assert not watched.look()
    assert steps(workspace, "copied") == [1, 2]
    assert all(checkpoint.problem is None for checkpoint in workspace.opened_run("copied").checkpoints)


def test_one_that_fails_in_an_unheard_of_way_takes_no_other_with_it(folders, caplog):
    runs, corpora = folders
    for name in ("bad", "good"):
        save(runs / name, 1)

    def open_run(path: Path, options: object, format: object) -> object:
        from mloscope.adaptors import registry

        if path.name == "bad":
            raise MemoryError
        return registry.open_run(path)

    workspace = Workspace([])
    WatchedFolders(workspace, runs, corpora, open_run=open_run).look()
    assert steps(workspace, "good") == [1]
    assert workspace.run("bad").problem == f"{runs / 'bad'} could not be opened: MemoryError."


def test_what_left_the_folder_is_forgotten_after_an_hour_and_what_was_named_never(folders, tmp_path):
    from mloscope.app.workspace.entries import RunEntry

    runs, corpora = folders
    now_s = 0.0
    save(tmp_path / "named", 1)
    save(runs / "first", 1)
    (runs / "nowhere").symlink_to(tmp_path / "nowhere")
    workspace = Workspace.connect([RunEntry(tmp_path / "named")])
    watched = WatchedFolders(workspace, runs, corpora, clock=lambda: now_s)
    watched.look()
    shutil.rmtree(runs / "first")
    shutil.rmtree(tmp_path / "named")
    watched.look()
    now_s = FORGET_AFTER_S - 1
    assert not watched.look()
    now_s = FORGET_AFTER_S
    assert watched.look()
    assert [run.name for run in workspace.runs] == ["named", "nowhere"]
    save(runs / "first", 2)
    watched.look()
    assert steps(workspace, "first") == [2]


def test_what_is_slow_to_open_appears_one_after_the_other(folders):
    runs, corpora = folders
    for name in "abc":
        save(runs / name, 1)
    now_s, states = 0.0, []
    workspace = Workspace([])

    def open_run(path: Path, options: object, format: object) -> object:
        from mloscope.adaptors import registry

        nonlocal now_s
        now_s += 2.0
        states.append([run.adaptor is not None for run in workspace.runs])
        return registry.open_run(path)

    WatchedFolders(workspace, runs, corpora, open_run=open_run, clock=lambda: now_s).look()
    assert states == [[], [True, False, False], [True, True, False]]
    assert all(run.adaptor is not None and run.problem is None for run in workspace.runs)


def test_a_folder_that_cannot_be_listed_is_said_once_each_time(tmp_path, caplog):
    folder = tmp_path / "later"
    watched = WatchedFolders(Workspace([]), folder, None)
    for _ in range(2):
        watched.look()
        watched.look()
        assert caplog.text.count("cannot be listed: No such file or directory.") == 1
        folder.mkdir()
        watched.look()
        folder.rmdir()
        caplog.clear()


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may read everything")
def test_what_nobody_may_read_says_so_until_somebody_may(folders):
    runs, corpora = folders
    save(runs / "first", 1)
    (runs / "first").chmod(0)
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    watched.look()
    assert workspace.run("first").problem == f"{runs / 'first'} cannot be reached: Permission denied."
    (runs / "first").chmod(0o700)
    watched.look()
    assert steps(workspace, "first") == [1]
