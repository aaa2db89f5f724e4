"""Runs and corpora that come, grow and go: with real files, looked at by hand instead of by the clock."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from mloscope.app.errors import NotPossible
from mloscope.app.watched_folders import WatchedFolders, listing
from mloscope.app.workspace import Workspace

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
    return [checkpoint.step for checkpoint in workspace.opened_run(name)[1].checkpoints()]


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
    assert len(workspace.opened_corpus("noise")[1]) == 5

    assert not watched.look(), "nothing has changed"
    save(runs / "first", 20)
    assert watched.look()
    assert steps(workspace, "first") == [10, 20]


def test_what_vanishes_says_so_and_comes_back(folders):
    runs, corpora = folders
    save(runs / "first", 10)
    workspace = Workspace([])
    watched = WatchedFolders(workspace, runs, corpora)
    watched.look()
    shutil.move(runs / "first", runs.parent / "elsewhere")
    assert watched.look()
    with pytest.raises(NotPossible, match=r'The run "first" is gone: .*first was removed\.'):
        workspace.opened_run("first")
    assert not watched.look(), "it is said once"
    shutil.move(runs.parent / "elsewhere", runs / "first")
    assert watched.look()
    assert steps(workspace, "first") == [10]


def test_named_runs_grow_too_and_keep_their_names(folders, tmp_path):
    from mloscope.app.workspace import RunEntry

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
    assert "no run that any adaptor reads" in str(workspace.run("notes").problem)
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
    assert sorted(run.name for run in workspace.runs) == ["a-run", "a-run-2"]


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


def test_a_listing_sees_size_and_time_of_files_and_none_where_nothing_is(tmp_path):
    assert listing(tmp_path / "nowhere") is None
    file = tmp_path / "a.bin"
    file.write_bytes(b"12345")
    os.utime(file, ns=(7, 7))
    assert listing(file) == (("", 5, 7),)
    assert ("a.bin", 5, 7) in listing(tmp_path)


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
