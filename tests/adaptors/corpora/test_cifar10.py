from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import CorpusConformance
from mloscope.adaptors.corpora.cifar10 import Cifar10Corpus
from mloscope.adaptors.interface import Refused, Unreadable

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def values(count: int) -> np.ndarray:
    """uint8 (image, 3072): channel, row, column."""
    return np.random.default_rng(count).integers(0, 256, (count, 3072), np.uint8)


def write_binary(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for name, count in (("data_batch_1", 6), ("data_batch_2", 5), ("test_batch", 4)):
        labels = (np.arange(count, dtype=np.uint8) % 10)[:, np.newaxis]
        (folder / f"{name}.bin").write_bytes(np.hstack([labels, values(count)]).tobytes())
    (folder / "batches.meta.txt").write_text("\n".join(NAMES) + "\n\n")
    return folder


def write_python(folder: Path, as_bytes: bool = False, protocol: int = 2) -> Path:
    folder.mkdir(exist_ok=True)

    def text(word: str) -> Any:
        return word.encode() if as_bytes else word

    for name, count in (("data_batch_1", 6), ("data_batch_2", 5), ("test_batch", 4)):
        batch = {
            text("data"): values(count),
            text("labels"): [number % 10 for number in range(count)],
            text("filenames"): [text(f"{name}_{number}.png") for number in range(count)],
        }
        (folder / name).write_bytes(pickle.dumps(batch, protocol))
    meta = {text("label_names"): [text(name) for name in NAMES]}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta, 2))
    return folder


class TestBinary(CorpusConformance):
    adaptor = Cifar10Corpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write_binary(tmp_path / "cifar")


class TestPython(CorpusConformance):
    adaptor = Cifar10Corpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write_python(tmp_path / "cifar")


@pytest.mark.parametrize("writer", [write_binary, write_python])
def test_pictures_labels_and_names(tmp_path: Path, writer: Any) -> None:
    corpus = registry.open_corpus(writer(tmp_path / "cifar"))
    assert corpus.format == "cifar10"
    assert corpus.splits == {"training": range(11), "test": range(11, 15)}
    assert corpus.image_shape == (32, 32, 3)
    assert corpus.class_names == tuple(NAMES)
    assert corpus.labels.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 0, 1, 2, 3]
    for position, batch, number in ((5, 6, 5), (6, 5, 0), (10, 5, 4), (11, 4, 0), (14, 4, 3)):
        expected = values(batch)[number].reshape(3, 32, 32).transpose(1, 2, 0)
        assert np.array_equal(corpus.pixels(position), expected)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_the_python_version_has_file_names(tmp_path: Path, as_bytes: bool) -> None:
    corpus = registry.open_corpus(write_python(tmp_path / "cifar", as_bytes))
    assert corpus.names()[6] == "data_batch_2_0.png"
    assert corpus.class_names == tuple(NAMES)


def test_the_folder_around_the_batches_will_do(tmp_path: Path) -> None:
    write_python(tmp_path / "cifar-10-batches-py")
    assert len(registry.open_corpus(tmp_path)) == 15


def test_one_split_alone(tmp_path: Path) -> None:
    folder = write_binary(tmp_path / "cifar")
    for batch in folder.glob("data_batch*"):
        batch.unlink()
    assert registry.open_corpus(folder).splits == {"test": range(4)}


def test_without_class_names_classes_are_numbered(tmp_path: Path) -> None:
    folder = write_binary(tmp_path / "cifar")
    (folder / "batches.meta.txt").unlink()
    corpus = registry.open_corpus(folder)
    assert corpus.class_names == ("0", "1", "2", "3", "4", "5")
    assert any("batches.meta" in problem for problem in corpus.problems())


def test_batches_that_are_missing_are_said(tmp_path: Path) -> None:
    assert "no data_batch_3, data_batch_4, data_batch_5" in registry.open_corpus(write_binary(tmp_path)).problems()[0]


def test_class_names_of_several_words(tmp_path: Path) -> None:
    folder = write_binary(tmp_path)
    (folder / "batches.meta.txt").write_text("light aircraft\n\nfamily car\nbird\ncat\ndeer\ndog\n")
    assert registry.open_corpus(folder).class_names[:3] == ("light aircraft", "family car", "bird")


@pytest.mark.parametrize("writer", [write_binary, write_python])
def test_a_cut_off_batch_is_named(tmp_path: Path, writer: Any) -> None:
    folder = writer(tmp_path / "cifar")
    path = next(folder.glob("data_batch_2*"))
    path.write_bytes(path.read_bytes()[:7000])
    with pytest.raises(Unreadable, match=path.name):
        registry.open_corpus(folder)


@pytest.mark.real_data
def test_the_real_cut_off_batch_is_named(real_data: Path, tmp_path: Path) -> None:
    shutil.copy(real_data / "broken" / "cifar10_test_batch_truncated", tmp_path / "test_batch")
    with pytest.raises(Unreadable, match="test_batch is not a whole pickle"):
        registry.open_corpus(tmp_path)


@pytest.mark.real_data
def test_the_real_class_names(real_data: Path, tmp_path: Path) -> None:
    folder = write_python(tmp_path / "cifar")
    shutil.copy(real_data / "cuda_convnet" / "cifar-10-batches.meta", folder / "batches.meta")
    assert registry.open_corpus(folder).class_names == tuple(NAMES)


class _Command:
    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> Any:
        return os.system, (self._command,)


@pytest.mark.parametrize("file", ["test_batch", "batches.meta"])
def test_a_command_in_a_pickle_is_refused_and_not_run(tmp_path: Path, file: str) -> None:
    folder = write_python(tmp_path / "cifar")
    marker = tmp_path / "ran"
    (folder / file).write_bytes(pickle.dumps({"data": _Command(f"touch {marker}")}, 2))
    with pytest.raises(Refused, match=r"system"):
        registry.open_corpus(folder)
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"data": 3},
        {"data": np.zeros((2, 5), np.uint8), "labels": [1, 2]},
        {"data": values(2), "labels": [1]},
    ],
)
def test_a_pickle_of_something_else_is_unreadable(tmp_path: Path, content: Any) -> None:
    (tmp_path / "test_batch").write_bytes(pickle.dumps(content, 2))
    with pytest.raises(Unreadable, match="test_batch"):
        registry.open_corpus(tmp_path)


def test_pictures_stay_in_the_file(tmp_path: Path) -> None:
    # Python 2 wrote the values as they are, as later protocols do; Python 3's protocol 2 does not.
    corpus = registry.open_corpus(write_python(tmp_path / "cifar", protocol=4))
    position = corpus.position("test-2")
    before = corpus.pixels(position)
    path = tmp_path / "cifar" / "test_batch"
    content = path.read_bytes()
    at = content.find(values(4)[2].tobytes())
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes(3072))
    assert before.any()
    assert not corpus.pixels(position).any()


@pytest.mark.parametrize("labels", [[0] * 5 + ["cat"], [0] * 5 + [1 << 70], [0] * 5 + [-1], [[0]] * 6, None])
def test_labels_that_are_no_labels_are_named(tmp_path: Path, labels: Any) -> None:
    (tmp_path / "test_batch").write_bytes(pickle.dumps({"data": values(6), "labels": labels}))
    with pytest.raises(Unreadable, match="test_batch does not hold one label, 0 to 255, for each of its 6 images"):
        registry.open_corpus(tmp_path)


def test_a_batch_that_holds_itself_is_read(tmp_path: Path) -> None:
    batch: dict[str, Any] = {"data": values(6), "labels": [0] * 6, "filenames": []}
    batch["filenames"].append(batch["filenames"])
    (tmp_path / "test_batch").write_bytes(pickle.dumps(batch))
    assert registry.open_corpus(tmp_path).names()[5] == "test 5"
