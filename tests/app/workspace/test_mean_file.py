"""Which file a mean may be, and what is said of one that is none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from mloscope.adaptors.files.run_folder import read_notes
from mloscope.adaptors.interface import Preprocessing, RunOptions
from mloscope.app.errors import MloscopeError, NotFound, NotPossible
from mloscope.app.workspace.entries import CorpusEntry, RunEntry
from mloscope.app.workspace.mean_file import read_mean_file
from mloscope.app.workspace.workspace import Workspace

SHAPE = (8, 8, 1)


@pytest.fixture
def run(tmp_path: Path, keras_folder) -> Path:
    folder = keras_folder(tmp_path / "run")
    np.save(folder / "mean.npy", np.full(SHAPE, 3.0))
    np.save(tmp_path / "private.npy", np.full(SHAPE, 7.0))
    (folder / "out.npy").symlink_to(tmp_path / "private.npy")
    (folder / "in.npy").symlink_to("mean.npy")
    return folder


def mean_of(run: Path, options: RunOptions | None = None) -> float:
    """The mean that is subtracted: what a black image lacks."""
    black = run.parent / "black.npz"
    np.savez(black, x_train=np.zeros((1, *SHAPE), np.uint8), y_train=np.zeros(1, np.int64))
    workspace = Workspace.connect(
        [RunEntry(run, "run", options=options or RunOptions())], [CorpusEntry(black, "black")]
    )
    return -float(workspace.inputs.one(workspace.opened_run("run"), workspace.opened_corpus("black"), 0).mean())


@pytest.mark.parametrize("named", ["../private.npy", "out.npy", "/absolute", "..", "/etc/passwd"])
def test_a_file_of_the_run_names_no_mean_outside_of_its_folder(tmp_path: Path, run: Path, named: str) -> None:
    named = str(tmp_path / "private.npy") if named == "/absolute" else named
    (run / "mloscope_run.json").write_text(json.dumps({"preprocessing": {"mean": named}}))
    assert any(str(run) in problem and "mean" in problem for problem in read_notes(run).problems)
    with pytest.raises(NotPossible, match="outside"):
        mean_of(run)


@pytest.mark.parametrize("named", ["mean.npy", "in.npy", "./mean.npy"])
def test_it_names_one_inside(run: Path, named: str) -> None:
    (run / "mloscope_run.json").write_text(json.dumps({"preprocessing": {"mean": named}}))
    assert read_notes(run).problems == ()
    assert mean_of(run) == 3.0


def test_the_user_names_any(tmp_path: Path, run: Path) -> None:
    (run / "mloscope_run.json").write_text(json.dumps({"preprocessing": {"mean": "../private.npy"}}))
    assert mean_of(run, RunOptions(preprocessing=Preprocessing(mean=str(tmp_path / "private.npy")))) == 7.0


def test_the_mean_of_a_data_set_may_lie_around_the_run(tmp_path: Path, run: Path) -> None:
    meta = tmp_path / "batches.meta"
    meta.write_bytes(pickle.dumps({"data_mean": np.full(64, 5.0), "label_names": []}, protocol=2))
    assert read_mean_file(str(meta), SHAPE, "run", 1.0, run).mean() == 5.0


@pytest.mark.parametrize("content", [b"root:x:0:0\n", b"", pickle.dumps([1]), b"\x93NUMPY\x01\x00"])
def test_what_is_no_mean_is_said_without_advice_that_opens_a_door(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mean.npy").write_bytes(content)
    with pytest.raises(NotPossible) as caught:
        read_mean_file(str(tmp_path / "mean.npy"), SHAPE, "digits", 1.0)
    assert "digits" in str(caught.value)
    assert "pickle" not in str(caught.value)
    assert "x:0:0" not in str(caught.value)


def test_a_mean_of_another_shape_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "mean.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 27, 8, 1)})
        file.write(b"x" * (1 << 20))
        file.truncate(file.tell() + (1 << 33))
    with pytest.raises(MloscopeError):
        read_mean_file(str(tmp_path / "mean.npy"), SHAPE, "digits", 1.0)
    with pytest.raises(NotFound):
        read_mean_file(str(tmp_path / "none.npy"), SHAPE, "digits", 1.0)
