from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import CorpusConformance
from mloscope.adaptors.corpora.npz import NpzCorpus
from mloscope.adaptors.interface import HasPixelValues, Refused, Unreadable

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_arrays_of_every_version_of_their_format_are_read(tmp_path: Path, version: tuple[int, int]) -> None:
    with zipfile.ZipFile(tmp_path / "some.npz", "w") as archive:
        for name, array in (("x_test", PICTURES), ("y_test", LABELS)):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, version)
    assert NpzCorpus.open(tmp_path / "some.npz").splits == {"test": range(6)}


class TestSplits(CorpusConformance):
    adaptor = NpzCorpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        test = {"x_test": PICTURES[:2, ..., 0:1], "y_test": LABELS[:2]}
        return write(tmp_path / "a.npz", x_train=PICTURES, y_train=LABELS, **test)


class TestCompressedAndUndivided(CorpusConformance):
    adaptor = NpzCorpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        np.savez_compressed(tmp_path / "a.npz", images=PICTURES[..., 0], labels=LABELS)
        return tmp_path / "a.npz"


@pytest.mark.parametrize(
    ("names", "split"),
    [
        (("x_train", "y_train"), "training"),
        (("x_test", "y_test"), "test"),
        (("images", "labels"), "all"),
        (("x", "y"), "all"),
    ],
)
def test_names_of_arrays(tmp_path: Path, names: tuple[str, str], split: str) -> None:
    images, labels = names
    corpus = registry.open_corpus(write(tmp_path / "a.npz", **{images: PICTURES, labels: LABELS}))
    assert corpus.format == "npz"
    assert corpus.splits == {split: range(6)}
    assert np.array_equal(corpus.pixels(4), PICTURES[4])
    assert corpus.labels.tolist() == LABELS.tolist()
    assert corpus.class_names == ("0", "1", "2")


@pytest.mark.parametrize(
    "array",
    [
        PICTURES.astype(np.float64),
        (PICTURES / np.float32(255)).astype(np.float32),
        PICTURES.astype(np.int64),
        PICTURES.transpose(0, 3, 1, 2),
    ],
    ids=["floats to 255", "floats to 1", "whole numbers", "channels first"],
)
def test_other_ways_of_holding_the_same_pictures(tmp_path: Path, array: np.ndarray) -> None:
    corpus = registry.open_corpus(write(tmp_path / "a.npz", x=array, y=LABELS))
    assert all(np.array_equal(corpus.pixels(number), PICTURES[number]) for number in range(6))


@pytest.mark.parametrize(
    "labels",
    [
        LABELS[:, np.newaxis],
        np.eye(3)[LABELS],
        np.array(["ant", "bee", "cat"])[LABELS],
        np.array([b"ant", b"bee", b"cat"])[LABELS],
    ],
    ids=["column", "one-hot", "texts", "bytes"],
)
def test_other_ways_of_holding_the_same_labels(tmp_path: Path, labels: np.ndarray) -> None:
    corpus = registry.open_corpus(write(tmp_path / "a.npz", x=PICTURES, y=labels))
    assert corpus.labels.tolist() == LABELS.tolist()
    assert corpus.class_names == (("ant", "bee", "cat") if labels.dtype.kind in "US" else ("0", "1", "2"))


def test_class_names_and_missing_labels(tmp_path: Path) -> None:
    named = registry.open_corpus(write(tmp_path / "a.npz", x=PICTURES, y=LABELS, class_names=["ant", "bee"]))
    assert named.class_names == ("ant", "bee", "2")
    assert "labels up to 2 but only 2 class names" in named.problems()[0]
    assert registry.open_corpus(write(tmp_path / "b.npz", x=PICTURES)).labels.tolist() == [-1] * 6


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"weights": PICTURES}, "holds weights, but none of x_train"),
        ({"x": np.zeros((4, 4))}, r"x is float64 \(4, 4\)"),
        ({"x": np.full((2, 4, 4), np.nan)}, "32 values that are not finite"),
        ({"x": np.full((2, 4, 4), -3.0)}, "runs from -3"),
        ({"x": PICTURES, "y": LABELS[:5]}, "6 images and 5 labels"),
    ],
)
def test_what_is_no_corpus_says_why(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        registry.open_corpus(write(tmp_path / "a.npz", **arrays))


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="pickled objects"):
        registry.open_corpus(write(tmp_path / "a.npz", x=np.array([{}, {}], object)))


@pytest.mark.parametrize("keep", [0, 3, 200, -30])
def test_a_cut_off_file_is_named(tmp_path: Path, keep: int) -> None:
    path = write(tmp_path / "a.npz", x=PICTURES, y=LABELS)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Unreadable, match=r"a\.npz"):
        registry.open_corpus(path)


def npy_header(*shape: int) -> bytes:
    header = io.BytesIO()
    declared = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, declared)
    return header.getvalue()


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", npy_header(100, 1000, 1000) + bytes(100_000_000))
    with pytest.raises(Refused, match=r"x\.npy would unpack"):
        registry.open_corpus(tmp_path / "a.npz")


def test_a_header_that_claims_too_much_is_unreadable(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy_header(10**6, 10**6, 3) + bytes(100))
    with pytest.raises(Unreadable, match=r"a\.npz"):
        registry.open_corpus(tmp_path / "a.npz")


@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_member_that_does_not_begin_as_an_array_is_named(tmp_path: Path, place: int) -> None:
    """NumPy gives such a member's bytes instead of an array."""
    made = io.BytesIO()
    np.save(made, PICTURES)
    content = bytearray(made.getvalue())
    content[place] ^= 1
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", bytes(content))
    with pytest.raises(Unreadable, match=r"a\.npz: x\.npy does not begin as a NumPy array"):
        registry.open_corpus(tmp_path / "a.npz")


@pytest.mark.parametrize("header", [b"{'descr': '|u1', 'shape': (", b"{'descr': '|u1', 'shape': 1 2}", b"{" * 4000])
def test_a_header_that_is_no_python_is_unreadable(tmp_path: Path, header: bytes) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(100))
    with pytest.raises(Unreadable, match=r"a\.npz"):
        registry.open_corpus(tmp_path / "a.npz")


def test_texts_that_are_no_unicode_are_unreadable(tmp_path: Path) -> None:
    words = np.array(["ant", "bee"] * 3)
    words.view(np.uint32)[0] = 0xFFFFFFFF
    with pytest.raises(Unreadable, match=r"a\.npz"):
        registry.open_corpus(write(tmp_path / "a.npz", x=PICTURES, y=words))


def test_a_label_that_would_make_a_billion_classes_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"a\.npz has a label 2,147,483,647"):
        registry.open_corpus(write(tmp_path / "a.npz", x=PICTURES, y=np.array([0, 1, 2, 3, 4, 2**31 - 1])))


def test_whatever_is_read_by_guess_or_left_out_is_a_problem(tmp_path: Path) -> None:
    overshooting = (PICTURES / 255.0).astype(np.float32)
    overshooting[0, 0, 0, 0] = 1.0000002
    several = np.array([[1, 1, 0]] * 6)
    path = write(tmp_path / "a.npz", x_train=overshooting, y_train=several, x_test=PICTURES, other=LABELS)
    corpus = registry.open_corpus(path)
    assert np.array_equal(corpus.pixels(1), PICTURES[1])
    assert corpus.labels.tolist() == [-1] * 12
    for noun in ("other", "0..1", "several", "no labels for test"):
        assert sum(noun in problem for problem in corpus.problems()) == 1


def test_labels_from_1_are_said(tmp_path: Path) -> None:
    corpus = registry.open_corpus(write(tmp_path / "a.npz", x=PICTURES, y=LABELS + 1))
    assert corpus.labels.tolist() == (LABELS + 1).tolist()
    assert corpus.class_names == ("0", "1", "2", "3")
    assert "from 1 to 3" in corpus.problems()[0]


def test_labels_beyond_32_bits_do_not_wrap(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="label"):
        registry.open_corpus(write(tmp_path / "a.npz", x=PICTURES, y=LABELS.astype(np.uint64) + 2**32))


@pytest.mark.parametrize("kind", ["S", object])
def test_class_names_of_other_types(tmp_path: Path, kind: Any) -> None:
    names = np.array(["ant", "bee", "cat"]).astype(kind)
    corpus = registry.open_corpus(write(tmp_path / "a.npz", x=PICTURES, y=LABELS, class_names=names))
    assert corpus.class_names == (("0", "1", "2") if kind is object else ("ant", "bee", "cat"))
    assert any("pickled" in problem for problem in corpus.problems()) == (kind is object)


def test_the_values_beyond_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    floats = (PICTURES / np.float32(240)).astype(np.float32)
    corpus = registry.open_corpus(write(tmp_path / "a.npz", x_train=floats, y_train=LABELS, x_test=PICTURES))
    assert isinstance(corpus, HasPixelValues)
    assert np.allclose(corpus.pixel_values(range(2, 5)), floats[2:5] * 255, rtol=1e-6)
    assert np.array_equal(corpus.pixel_values(range(4, 8))[2:], PICTURES[:2])
    assert corpus.pixel_values(range(7, 8)) is None
