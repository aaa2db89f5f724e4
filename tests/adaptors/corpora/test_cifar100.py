from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from mloscope.adaptors.conformance import CorpusConformance
from mloscope.adaptors.corpora.cifar100 import Cifar100Corpus
from mloscope.adaptors.interface import Unreadable

FINE = ["apple", "aquarium fish", "baby", "bear"]
LABELS = {"train": [3, 0, 1, 2, 2], "test": [1, 3]}


def values(count: int) -> np.ndarray:
    """uint8 (image, 3072): channel, row, column."""
    return np.random.default_rng(count).integers(0, 256, (count, 3072), np.uint8)


def write_python(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, labels in LABELS.items():
        batch = {
            b"data": values(len(labels)),
            b"fine_labels": labels,
            b"coarse_labels": [0] * len(labels),
            b"filenames": [f"{name}_{number}.png".encode() for number in range(len(labels))],
        }
        (folder / name).write_bytes(pickle.dumps(batch, 2))
    (folder / "meta").write_bytes(
        pickle.dumps({b"fine_label_names": [n.encode() for n in FINE], b"coarse_label_names": []})
    )
    return folder


def write_binary(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, labels in LABELS.items():
        columns = np.array([[0, label] for label in labels], np.uint8)
        (folder / f"{name}.bin").write_bytes(np.hstack([columns, values(len(labels))]).tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(FINE) + "\n")
    return folder


class TestPython(CorpusConformance):
    adaptor = Cifar100Corpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write_python(tmp_path / "cifar-100-python")


class TestBinary(CorpusConformance):
    adaptor = Cifar100Corpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write_binary(tmp_path / "cifar")


@pytest.mark.parametrize("writer", [write_python, write_binary])
def test_the_fine_labels_are_read_and_that_is_said(tmp_path: Path, writer: object) -> None:
    writer(tmp_path / "cifar-100-python")  # type: ignore[operator]
    corpus = Cifar100Corpus.open(tmp_path)
    assert corpus.splits == {"training": range(5), "test": range(5, 7)}
    assert corpus.labels.tolist() == [3, 0, 1, 2, 2, 1, 3]
    assert corpus.class_names == tuple(FINE)
    assert np.array_equal(corpus.pixels(6), values(2)[1].reshape(3, 32, 32).transpose(1, 2, 0))
    assert ["fine" in problem for problem in corpus.problems()] == [True]


def test_a_split_that_is_missing_is_said(tmp_path: Path) -> None:
    (write_binary(tmp_path) / "train.bin").unlink()
    assert "no train, so" in Cifar100Corpus.open(tmp_path).problems()[1]


def test_other_files_called_train_are_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "train").write_text("x")
    assert not Cifar100Corpus.can_open(tmp_path)
    with pytest.raises(Unreadable, match="meta"):
        Cifar100Corpus.open(tmp_path)
