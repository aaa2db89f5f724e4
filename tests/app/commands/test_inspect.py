from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mloscope.adaptors.interface import NothingFits, NothingThere, RunOptions, Unreadable
from mloscope.app.commands.inspect.report import inspect
from mloscope.app.commands.inspect.text import as_text
from mloscope.app.evaluation.trial import NOT_TRIED, Trial
from mloscope.app.process.terminal import printable
from mloscope.app.workspace.entries import CorpusEntry

REAL_DATA = Path(os.environ.get("MLOSCOPE_REAL_DATA", Path(__file__).parents[3] / "../shared/real"))


def save_corpus(path: Path) -> Path:
    np.savez(
        path,
        x_train=np.zeros((30, 8, 8), np.uint8),
        y_train=np.arange(30) % 3,
        x_test=np.zeros((7, 8, 8), np.uint8),
        y_test=np.zeros(7, int),
        class_names=np.array(["cat", "dog", "ship"]),
    )
    return path


def test_a_run_is_told_as_plain_data(keras_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = keras_folder(tmp_path / "run", steps=(0, 5, 20), damaged=(5,))
    report = json.loads(json.dumps(inspect(folder)))
    run = report["run"]

    assert (report["path"], report["corpus"], report["refused"]) == (str(folder), None, [])
    assert (run["format"], run["input_shape"], run["parameter_count"]) == ("keras", [8, 8, 1], 2610)
    assert [checkpoint["step"] for checkpoint in run["checkpoints"]] == [0, 5, 20]
    assert [bool(checkpoint["problem"]) for checkpoint in run["checkpoints"]] == [False, True, False]
    assert "step_0005.weights.h5" in run["checkpoints"][1]["problem"]
    layers = {layer["name"]: layer for layer in run["layers"]}
    assert list(layers) == ["image", "conv", "flatten", "classes"]
    assert layers["conv"]["parameters"][0] == {
        "name": "kernel", "shape": [3, 3, 1, 4], "axes": ["row", "column", "channel", "unit"],
    }  # fmt: skip
    assert layers["classes"]["inputs"] == ["flatten"]
    assert layers["classes"]["parameter_count"] == 2570


def test_a_run_as_text_is_aligned(keras_folder: Callable[..., Path], tmp_path: Path) -> None:
    text = as_text(inspect(keras_folder(tmp_path / "run", steps=(0, 5, 20), damaged=(5,))))
    lines = text.splitlines()

    assert lines[0] == f"Run {tmp_path / 'run'}, format keras"
    assert "  network  4 layers, 2,610 parameters; not tried" in lines
    assert any(line.startswith("  Assumed: Pixels are divided by 255") for line in lines)
    assert any(line.startswith("  Left out: Step 5") for line in lines)
    assert "Checkpoints: 3, steps 0 to 20, 1 unreadable" in lines
    rows = lines[lines.index("Layers: 4") + 1 :]
    assert [row.split()[0] for row in rows] == ["layer", "image", "conv", "flatten", "classes"]
    kinds = ("kind", "input", "convolution", "flatten", "dense")
    assert len({row.rindex(kind) for row, kind in zip(rows, kinds, strict=True)}) == 1
    assert rows[2].split("  ")[-1] == "kernel 3 x 3 x 1 x 4, bias 4"
    assert rows[2].index(" 40 ") + 3 == rows[4].index("2,570") + 5
    assert text.endswith("\n")
    assert not any(line.endswith(" ") for line in lines)


def test_the_user_says_which_number_is_the_step(keras_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = keras_folder(tmp_path / "run", steps=(10, 20))
    run = inspect(folder, RunOptions(step_pattern=r"step_00(\d)"))["run"]

    assert [checkpoint["step"] for checkpoint in run["checkpoints"]] == [1, 2]


def test_of_a_thousand_checkpoints_text_lists_some_and_all_that_are_broken() -> None:
    checkpoints = [
        {"step": step, "label": str(step), "epoch": None, "name": f"{step}.keras", "problem": None}
        for step in range(1000)
    ]
    checkpoints[500]["problem"] = "500.keras ends early."
    run = {
        "format": "keras", "input_shape": None, "class_names": [], "evaluable": True, "evaluation_problem": None,
        "parameter_count": 0, "checkpoints": checkpoints, "layers": [], "problems": ["One thing."],
        "basis_lines": ["Left out: One thing."],
    }  # fmt: skip
    lines = as_text({"path": "run", "run": run, "corpus": None, "refused": []}).splitlines()

    listed = [line for line in lines if ".keras" in line]
    assert len(listed) == 26
    assert [line.split()[0] for line in listed[19:23]] == ["19", "500", "995", "996"]
    assert listed[20].endswith("500.keras ends early.")
    assert "...  (480 more; --json lists them all)" in " ".join(lines)
    assert "...  (494 more; --json lists them all)" in " ".join(lines)
    assert "  Left out: One thing." in lines


def test_a_corpus_is_counted_by_split_and_class(tmp_path: Path) -> None:
    report = inspect(save_corpus(tmp_path / "images.npz"))

    assert report["run"] is None
    assert json.loads(json.dumps(report["corpus"])) == {
        "format": "npz",
        "images": 37,
        "image_shape": [8, 8, 1],
        "class_names": ["cat", "dog", "ship"],
        "splits": {
            "training": {"images": 30, "of_class": [10, 10, 10], "without_label": 0},
            "test": {"images": 7, "of_class": [7, 0, 0], "without_label": 0},
        },
        "problems": [],
    }
    assert as_text(report).splitlines()[4:] == [
        "  class  training  test",
        "  cat          10     7",
        "  dog          10     0",
        "  ship         10     0",
        "  all          30     7",
    ]


def test_what_cannot_be_told_is_said_once_and_by_the_one_who_knows(tmp_path: Path) -> None:
    with pytest.raises(NothingThere, match=r"^\S+ does not exist\.$"):
        inspect(tmp_path / "absent")

    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("nothing to see")
    with pytest.raises(NothingFits, match=r"No adaptor can read .* as a run.*No adaptor can read .* as a corpus"):
        inspect(tmp_path / "notes")

    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "step_1.h5").write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    with pytest.raises(Unreadable, match=r"step_1\.h5") as caught:
        inspect(tmp_path / "cut")
    assert "any adaptor reads" not in str(caught.value)


def test_a_named_format_is_the_only_one_that_looks(keras_folder: Callable[..., Path], tmp_path: Path) -> None:
    images = save_corpus(tmp_path / "images.npz")

    assert inspect(images, format="npz")["corpus"]["images"] == 37
    with pytest.raises(NothingFits, match="no run format 'frob'"):
        inspect(images, format="frob")


def test_what_a_terminal_would_obey_is_written_out() -> None:
    assert printable("r\x1b[31med\nline \u202e é 数") == r"r\x1b[31med\nline \u202e é 数"
    assert printable("bad \udcff byte") == r"bad \udcff byte"


@pytest.mark.real_data
@pytest.mark.skipif(not REAL_DATA.is_dir(), reason=f"no real snapshots at {REAL_DATA}")
def test_a_real_resnet_of_keras_2_is_told_whole() -> None:
    run = inspect(REAL_DATA / "keras" / "resnet20_cifar10")["run"]

    assert [checkpoint["step"] for checkpoint in run["checkpoints"]] == [1, 3, 7, 11, 18, 37, 65, 94, 135]
    assert (len(run["layers"]), run["parameter_count"]) == (72, 274_442)
    assert all(layer["output_shape"] for layer in run["layers"])


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        (Trial(True, None, 20), "can be evaluated (tested)"),
        (Trial(False, "step_0020.keras holds no kernel of the layer conv.", 20), "holds no kernel"),
        (NOT_TRIED, "not tried"),
    ],
)
def test_that_a_network_can_be_evaluated_is_said_only_where_it_was_tried(
    keras_folder: Callable[..., Path], tmp_path: Path, trial: Trial, words: str
) -> None:
    report = inspect(keras_folder(tmp_path / "run", steps=(0, 20)), attempt=lambda run, basis: trial)
    assert report["run"]["evaluable"] is trial.possible
    text = as_text(report)
    assert words in text
    assert ("can be evaluated (tested)" in text) == (trial.possible is True)


def test_with_images_the_record_is_that_of_the_run_over_them(keras_folder: Callable[..., Path], tmp_path: Path) -> None:
    images = CorpusEntry(save_corpus(tmp_path / "images.npz"), "corpus")
    report = inspect(keras_folder(tmp_path / "run", steps=(0,)), images=images)
    basis = report["run"]["basis"]
    assert (basis["corpus"], basis["classes"]["matched_by"]) == ("corpus", "not matched")
    assert any(notice["kind"] == "warning" for notice in basis["notices"])
