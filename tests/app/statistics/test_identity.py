"""Keys of statistics: another content, another key; the same content, the same key."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Layer, Preprocessing, RunOptions
from mloscope.app.errors import NotFound
from mloscope.app.statistics.identity import Identity
from mloscope.app.workspace.connected import ConnectedCorpus, ConnectedRun
from mloscope.app.workspace.workspace import Workspace


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "cats").mkdir(parents=True)
    for number in range(3):
        (folder / "cats" / f"{number}.png").write_bytes(bytes(number))
    return folder


@pytest.fixture
def key(array_run: Any, array_corpus: Any, pictures: Path) -> Callable[..., str]:
    def make(
        run: Any = None,
        corpus: Any = None,
        options: RunOptions = RunOptions(),  # noqa: B008 - frozen
        split: str = "test",
        step: int = 10,
    ) -> str:
        run = run or array_run()
        workspace = Workspace(
            [ConnectedRun("lenet", Path("arrays"), run, options)],
            [ConnectedCorpus("noise", pictures, corpus or array_corpus())],
        )
        checkpoint = next(known for known in run.checkpoints() if known.step == step)
        return Identity(workspace).step("lenet", checkpoint, "noise", split)

    return make


def test_the_same_content_has_the_same_key(key: Callable[..., str]) -> None:
    assert key() == key()
    assert len(key()) == 64
    assert int(key(), 16)


def test_another_step_or_split_has_another_key(key: Callable[..., str]) -> None:
    assert len({key(), key(step=20), key(split="training")}) == 3


def test_a_retrained_checkpoint_has_another_key(key: Callable[..., str], array_run: Any) -> None:
    run = array_run()
    run.versions[10] += 1
    assert key(run) != key()
    assert key(run, step=20) == key(step=20)


def test_another_network_has_another_key(key: Callable[..., str], array_run: Any) -> None:
    layers = array_run().layers()
    other: tuple[Layer, ...] = (*layers[:-1], replace(layers[-1], hyperparameters={"activation": "sigmoid"}))
    assert key(array_run(layers=other)) != key()


def test_other_preprocessing_has_another_key(key: Callable[..., str], tmp_path: Path) -> None:
    mean = tmp_path / "mean.npy"
    np.save(mean, np.zeros(3))
    said = [
        Preprocessing(),
        Preprocessing(scale=0.5),
        Preprocessing(channel_order="bgr"),
        Preprocessing(mean=(1.0,)),
        Preprocessing(mean="corpus"),
        Preprocessing(mean=str(mean)),
    ]
    keys = [key(options=RunOptions(preprocessing=how)) for how in said]
    assert len(set(keys)) == len(said)
    np.save(mean, np.ones(3))
    assert key(options=RunOptions(preprocessing=said[-1])) != keys[-1]


def test_another_architecture_file_has_another_key(key: Callable[..., str], tmp_path: Path) -> None:
    model = tmp_path / "model.json"
    model.write_text("{}")
    first = key(options=RunOptions(architecture=str(model)))
    model.write_text("{ }")
    second = key(options=RunOptions(architecture=str(model)))
    assert len({key(), first, second, key(options=RunOptions(architecture="nets:lenet"))}) == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "cats" / "1.png").write_bytes(b"other"),
        lambda folder: os.utime(folder / "cats" / "1.png", ns=(1, 1)),
        lambda folder: (folder / "cats" / "1.png").rename(folder / "cats" / "9.png"),
        lambda folder: (folder / "cats" / "2.png").unlink(),
        lambda folder: (folder / "dogs.png").write_bytes(b""),
    ],
    ids=["other content", "other time", "other name", "removed", "added"],
)
def test_a_changed_corpus_has_another_key(key: Callable[..., str], pictures: Path, change: Any) -> None:
    before = key()
    change(pictures)
    assert key() != before


def test_other_labels_or_names_have_another_key(key: Callable[..., str], array_corpus: Any) -> None:
    relabelled, renamed = array_corpus(), array_corpus()
    relabelled.labels[3] = 0
    renamed._names[3] = "another"
    assert len({key(), key(corpus=relabelled), key(corpus=renamed)}) == 3


def test_hidden_files_and_the_place_of_the_corpus_do_not_matter(
    key: Callable[..., str], pictures: Path, tmp_path: Path
) -> None:
    before = key()
    (pictures / ".DS_Store").write_bytes(b"x")
    (pictures / ".cache").mkdir()
    (pictures / ".cache" / "x").write_bytes(b"x")
    (pictures / "dangling").symlink_to(tmp_path / "nowhere")
    assert key() == before


def test_a_series_is_known_by_the_path_of_its_run(array_run: Any, array_corpus: Any, tmp_path: Path) -> None:
    def series(name: str, path: Path, split: str) -> str:
        workspace = Workspace(
            [ConnectedRun(name, path, array_run())], [ConnectedCorpus("noise", tmp_path, array_corpus())]
        )
        return Identity(workspace).series(name, "noise", split)

    assert series("a", tmp_path / "run", "test") == series("b", tmp_path / "run", "test")
    assert series("a", Path(os.path.relpath(tmp_path)) / "run", "test") == series("a", tmp_path / "run", "test")
    assert (
        len(
            {
                series("a", tmp_path / "run", "test"),
                series("a", tmp_path / "x", "test"),
                series("a", tmp_path / "run", "training"),
            }
        )
        == 3
    )


def test_a_split_that_there_is_not_is_said(key: Callable[..., str]) -> None:
    with pytest.raises(NotFound, match=r'no split "validation"; it has: training, test'):
        key(split="validation")
