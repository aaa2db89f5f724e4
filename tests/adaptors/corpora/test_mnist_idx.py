from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import CorpusConformance
from mloscope.adaptors.corpora.mnist_idx import MnistIdxCorpus
from mloscope.adaptors.interface import Refused, Unreadable


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 5, 4), np.uint8)


def write(folder: Path, prefix: str, count: int, zipped: bool) -> None:
    labels = np.arange(count, dtype=np.uint8) % 10
    for name, array in (("images-idx3", pictures(count)), ("labels-idx1", labels)):
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))


class TestPlain(CorpusConformance):
    adaptor = MnistIdxCorpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "mnist"
        folder.mkdir()
        write(folder, "train", 12, zipped=False)
        write(folder, "t10k", 7, zipped=False)
        return folder


class TestZipped(CorpusConformance):
    adaptor = MnistIdxCorpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        folder = tmp_path / "mnist"
        folder.mkdir()
        write(folder, "t10k", 7, zipped=True)
        return folder


@pytest.mark.real_data
class TestReal(CorpusConformance):
    adaptor = MnistIdxCorpus

    @pytest.fixture
    def path(self, real_data: Path) -> Path:
        return real_data / "mnist_idx"


@pytest.mark.parametrize("zipped", [False, True])
def test_pictures_and_labels_are_those_written(tmp_path: Path, zipped: bool) -> None:
    write(tmp_path, "train", 12, zipped)
    write(tmp_path, "t10k", 7, zipped)
    corpus = registry.open_corpus(tmp_path)
    assert corpus.format == "mnist-idx"
    assert corpus.splits == {"training": range(12), "test": range(12, 19)}
    assert corpus.image_shape == (5, 4, 1)
    assert np.array_equal(corpus.pixels(12 + 3)[..., 0], pictures(7)[3])
    assert corpus.record(15).name == "test 3"
    assert corpus.position("test-3") == 15
    assert corpus.class_names == tuple("0123456789")
    assert corpus.labels.tolist()[:12] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


@pytest.mark.real_data
def test_the_official_files(real_data: Path) -> None:
    corpus = registry.open_corpus(real_data / "mnist_idx")
    assert corpus.splits == {"training": range(60000), "test": range(60000, 70000)}
    assert [corpus.record(position).label for position in (0, 1, 60000)] == [5, 0, 7]
    assert np.bincount(corpus.labels[60000:]).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]


def test_images_without_labels_are_shown_and_told(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 7, zipped=False)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    corpus = registry.open_corpus(tmp_path)
    assert corpus.labels.tolist() == [-1] * 7
    assert corpus.record(0).label is None
    assert "no t10k-labels-idx1-ubyte" in corpus.problems()[0]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("keep", [0, 3, 30, -1])
def test_cut_off_files_are_named(tmp_path: Path, zipped: bool, keep: int) -> None:
    write(tmp_path, "t10k", 7, zipped)
    path = next(tmp_path.glob("t10k-images*"))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Unreadable, match=path.name):
        registry.open_corpus(tmp_path)


def test_images_and_labels_must_agree_in_number(tmp_path: Path) -> None:
    write(tmp_path, "t10k", 7, zipped=False)
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.zeros(6, np.uint8)))
    with pytest.raises(Unreadable, match="7 images and 6 labels"):
        registry.open_corpus(tmp_path)


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    head = bytes((0, 0, 8, 3)) + struct.pack(">3I", 60000, 4000, 4000)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + bytes(100)))
    with pytest.raises(Refused, match="960,000,000,000"):
        registry.open_corpus(tmp_path)
