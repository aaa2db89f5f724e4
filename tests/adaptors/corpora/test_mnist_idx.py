from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import CorpusConformance
from mloscope.adaptors.corpora.mnist_idx import MnistIdxCorpus
from mloscope.adaptors.interface import Refused, Unreadable

TYPES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array: np.ndarray, kind: str = "u1") -> bytes:
    head = bytes((0, 0, TYPES[kind], array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(f">{kind}").tobytes()


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
    assert "no labels for test" in corpus.problems()[0]


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


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", ["i2", "i4", "f4", "f8"])
def test_every_type_of_idx_is_read(tmp_path: Path, kind: str, zipped: bool) -> None:
    for name, array in (("images-idx3", pictures(12)), ("labels-idx1", np.arange(12) % 10)):
        content = idx(array, kind)
        path = tmp_path / f"train-{name}-{'int' if kind[0] == 'i' else 'ubyte'}{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(content) if zipped else content)
    corpus = registry.open_corpus(tmp_path)
    assert all(np.array_equal(corpus.pixels(number)[..., 0], pictures(12)[number]) for number in range(12))
    assert corpus.labels.tolist() == (np.arange(12) % 10).tolist()
    assert corpus.problems() == ()


def test_floats_and_black_and_white_are_read_as_in_other_files(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(pictures(3) / 255 * 1.04, "f4"))
    corpus = registry.open_corpus(tmp_path)
    assert corpus.pixels(0).max() > 200
    assert any("0..1" in problem for problem in corpus.problems())
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(pictures(3) > 99))
    corpus = registry.open_corpus(tmp_path)
    assert np.array_equal(corpus.pixels(0)[..., 0], (pictures(3)[0] > 99) * 255)
    assert any("black and white" in problem for problem in corpus.problems())


def test_labels_of_several_columns_are_not_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(pictures(3)))
    (tmp_path / "train-labels-idx2-int").write_bytes(idx(np.array([[1, 1], [0, 1], [0, 0]]), "i4"))
    corpus = registry.open_corpus(tmp_path)
    assert corpus.labels.tolist() == [-1] * 3
    assert any("2 columns" in problem for problem in corpus.problems())


@pytest.mark.parametrize("head", [b"\0\0\x0a\3", b"\0\0\x08\0", b"\0\0\x08\x09", b"\x1f\x8b\x08\3"])
def test_what_is_no_idx_says_so(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(head + bytes(100))
    with pytest.raises(Unreadable, match="is not an idx file"):
        registry.open_corpus(tmp_path)


@pytest.mark.parametrize("folder", ["MNIST/raw", "raw", "FashionMNIST/raw", "gzip"])
def test_the_folders_of_torchvision_are_looked_into(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    write(tmp_path / folder, "train", 12, zipped=False)
    corpus = registry.open_corpus(tmp_path)
    assert corpus.splits == {"training": range(12)}
    assert corpus.class_names[0] == ("T-shirt/top" if "Fashion" in folder else "0")


def test_a_folder_of_a_files_name_around_it(tmp_path: Path) -> None:
    write(tmp_path, "train", 12, zipped=False)
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (tmp_path / name).rename(tmp_path / "moved")
        (tmp_path / name).mkdir()
        (tmp_path / "moved").rename(tmp_path / name / name)
    assert registry.open_corpus(tmp_path).labels.tolist() == (np.arange(12) % 10).tolist()


def test_several_sets_are_not_chosen_from(tmp_path: Path) -> None:
    write(tmp_path, "emnist-digits-test", 12, zipped=True)
    write(tmp_path, "emnist-letters-test", 7, zipped=True)
    with pytest.raises(Unreadable, match="2 sets of images"):
        registry.open_corpus(tmp_path)
    assert len(registry.open_corpus(tmp_path / "emnist-letters-test-images-idx3-ubyte.gz")) == 7
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / "both" / name / "raw").mkdir(parents=True)
        write(tmp_path / "both" / name / "raw", "train", 3, zipped=False)
    with pytest.raises(Unreadable, match="2 sets of images"):
        registry.open_corpus(tmp_path / "both")


@pytest.mark.parametrize(
    ("prefix", "labels", "names"),
    [
        ("emnist-letters-train", [1, 26, 2], ["A", "Z", "B"]),
        ("emnist-balanced-train", [0, 46, 10], ["0", "t", "A"]),
        ("emnist-byclass-test", [0, 61, 36], ["0", "z", "a"]),
        ("emnist-digits-test", [0, 9, 1], ["0", "9", "1"]),
    ],
)
def test_emnist(tmp_path: Path, prefix: str, labels: list[int], names: list[str]) -> None:
    (tmp_path / f"{prefix}-images-idx3-ubyte").write_bytes(idx(pictures(3)))
    (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.array(labels)))
    corpus = registry.open_corpus(tmp_path)
    assert corpus.labels.tolist() == labels
    assert [corpus.class_names[label] for label in labels] == names
    assert any("rows and columns exchanged" in problem for problem in corpus.problems())
    assert any("1 to 26" in problem for problem in corpus.problems()) == ("letters" in prefix)


def test_of_qmnists_labels_the_first_column_counts(tmp_path: Path) -> None:
    (tmp_path / "qmnist-test-images-idx3-ubyte").write_bytes(idx(pictures(3)))
    columns = np.array([[7, 1, 2, 3, 4, 5, 6, 7], [2, 4, 4, 4, 4, 4, 4, 4], [9, 0, 0, 0, 0, 0, 0, 0]])
    (tmp_path / "qmnist-test-labels-idx2-int").write_bytes(idx(columns, "i4"))
    corpus = registry.open_corpus(tmp_path)
    assert corpus.labels.tolist() == [7, 2, 9]
    assert corpus.class_names == tuple("0123456789")
    assert any("the first is the class" in problem for problem in corpus.problems())


def test_ten_classes_are_only_added_to_digits(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "digits").mkdir()
    for folder, side in (("cells", 5), ("digits", 28)):
        (tmp_path / folder / "train-images-idx3-ubyte").write_bytes(idx(np.full((3, side, side), 99)))
        (tmp_path / folder / "train-labels-idx1-ubyte").write_bytes(idx(np.array([0, 3, 1])))
    assert registry.open_corpus(tmp_path / "cells").class_names == ("0", "1", "2", "3")
    digits = registry.open_corpus(tmp_path / "digits")
    assert digits.class_names == tuple("0123456789")
    assert any("ten classes" in problem for problem in digits.problems())


def test_clothes_are_told_by_their_first_labels(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.full((10, 28, 28), 99)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.array([9, 0, 0, 3, 0, 2, 7, 2, 5, 5])))
    corpus = registry.open_corpus(tmp_path)
    assert corpus.class_names[9] == "Ankle boot"
    assert any("Fashion-MNIST" in problem for problem in corpus.problems())


def test_a_picture_beside_does_not_make_it_a_folder_of_pictures(tmp_path: Path) -> None:
    write(tmp_path, "train", 12, zipped=False)
    Image.new("L", (4, 4)).save(tmp_path / "preview.png")
    assert registry.open_corpus(tmp_path).format == "mnist-idx"
