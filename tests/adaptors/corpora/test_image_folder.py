from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mloscope.adaptors import registry
from mloscope.adaptors.conformance import CorpusConformance
from mloscope.adaptors.corpora.image_folder import ImageFolderCorpus
from mloscope.adaptors.interface import Refused, Unknown, Unreadable
from mloscope.adaptors.readers.image_folder.picture import SUFFIXES


def picture(path: Path, seed: int = 0, mode: str = "RGB", size: tuple[int, int] = (6, 5)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8)).convert(mode).save(path)
    return path


def write_classes(folder: Path) -> Path:
    for name in ("dog", "cat", "Ünïcode & ~ 100%"):
        for number, suffix in enumerate(("png", "jpg", "webp", "bmp", "JPEG")):
            picture(folder / name / f"{name} {number}.{suffix}", number, size=(6 + number, 5))
    return folder


class TestClasses(CorpusConformance):
    adaptor = ImageFolderCorpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write_classes(tmp_path / "pictures")


class TestSplits(CorpusConformance):
    adaptor = ImageFolderCorpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        write_classes(tmp_path / "pictures" / "train")
        write_classes(tmp_path / "pictures" / "test")
        return tmp_path / "pictures"


class TestFlat(CorpusConformance):
    adaptor = ImageFolderCorpus

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        for number in range(3):
            picture(tmp_path / "pictures" / f"{number}.png", number, "L")
        return tmp_path / "pictures"


def test_folders_are_classes(tmp_path: Path) -> None:
    corpus = registry.open_corpus(write_classes(tmp_path))
    assert corpus.format == "image-folder"
    assert corpus.class_names == ("cat", "dog", "Ünïcode & ~ 100%")
    assert corpus.splits == {"all": range(15)}
    assert corpus.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert corpus.record(0).name == "cat 0.png"
    assert corpus.record(0).metadata == {"file": "cat/cat 0.png"}
    assert corpus.names()[-1] == "Ünïcode & ~ 100% 4.JPEG"
    assert list(corpus.names()) == [corpus.record(position).name for position in range(15)]
    assert corpus.image_shape is None


def test_splits_are_kept_apart_and_share_classes(tmp_path: Path) -> None:
    picture(tmp_path / "test" / "b" / "1.png")
    picture(tmp_path / "Train" / "a" / "1.png")
    picture(tmp_path / "Train" / "b" / "1.png")
    picture(tmp_path / "val" / "a" / "deep" / "1.png")
    picture(tmp_path / "leftovers" / "1.png")
    corpus = registry.open_corpus(tmp_path)
    assert corpus.splits == {"training": range(2), "validation": range(2, 3), "test": range(3, 4)}
    assert corpus.class_names == ("a", "b")
    assert corpus.labels.tolist() == [0, 1, 0, 1]
    assert "leftovers beside them is left out" in corpus.problems()[0]
    assert "test has no folder for a" in corpus.problems()[1]
    assert "validation has no folder for b" in corpus.problems()[2]


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    colour = picture(tmp_path / "a.png", mode="RGB")
    grey = picture(tmp_path / "b.png", mode="L")
    picture(tmp_path / "c.png", mode="RGBA")
    picture(tmp_path / "d.png", mode="P")
    picture(tmp_path / "e.png", mode="1")
    Image.fromarray(np.array([[0, 256, 65535]], np.uint16)).save(tmp_path / "f.png")
    corpus = registry.open_corpus(tmp_path)
    assert np.array_equal(corpus.pixels(0), np.asarray(Image.open(colour)))
    assert np.array_equal(corpus.pixels(1)[..., 0], np.asarray(Image.open(grey)))
    assert [corpus.pixels(number).shape[2] for number in range(6)] == [3, 1, 3, 3, 1, 1]
    assert set(np.unique(corpus.pixels(4))) <= {0, 255}
    assert corpus.pixels(5)[..., 0].tolist() == [[0, 1, 255]]
    assert set(corpus.labels.tolist()) == {-1}


def test_a_broken_picture_is_found_when_asked_for_and_listed(tmp_path: Path) -> None:
    whole = picture(tmp_path / "a.jpg", size=(64, 64))
    (tmp_path / "b.jpg").write_bytes(whole.read_bytes()[:300])
    (tmp_path / "c.png").write_text("no picture at all")
    (tmp_path / "d.png").write_bytes(b"")
    corpus = registry.open_corpus(tmp_path)
    assert len(corpus) == 4
    assert corpus.problems() == ()
    assert corpus.pixels(0).shape == (64, 64, 3)
    for position, name in ((1, "b.jpg"), (2, "c.png"), (3, "d.png")):
        for _ in range(2):
            with pytest.raises(Unreadable, match=name):
                corpus.pixels(position)
    assert len(corpus.problems()) == 3
    assert "c.png is not a picture" in corpus.problems()[1]


def test_formats_that_were_not_asked_for_stay_closed(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", format="TGA")
    with pytest.raises(Unreadable, match=r"a\.png is not a picture"):
        registry.open_corpus(tmp_path).pixels(0)


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_picture_with_too_many_pixels_is_refused(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.raises(Refused, match=r"a\.png"):
        registry.open_corpus(tmp_path).pixels(0)


def test_ids_of_similar_paths_differ(tmp_path: Path) -> None:
    for name in ("a-b.png", "a b.png", "a~20b.png", "a/b.png", "a~2Fb.png", "a%20b.png"):
        picture(tmp_path / name)
    corpus = registry.open_corpus(tmp_path)
    ids = [corpus.record(position).id for position in range(len(corpus))]
    assert len(set(ids)) == 6
    assert [corpus.position(image_id) for image_id in ids] == list(range(6))


def test_ids_cannot_leave_the_folder(tmp_path: Path) -> None:
    picture(tmp_path / "secret.png")
    picture(tmp_path / "pictures" / "a.png")
    corpus = registry.open_corpus(tmp_path / "pictures")
    for image_id in ("..~2Fsecret.png", "~2Fetc~2Fpasswd", "a~2epng", "~", "a.png~00"):
        with pytest.raises(Unknown):
            corpus.position(image_id)


def test_links_that_go_in_circles_end(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert len(registry.open_corpus(tmp_path)) == 1


def test_other_files_do_not_count(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "a" / ".hidden.png")
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    corpus = registry.open_corpus(tmp_path)
    assert len(corpus) == 1
    assert corpus.class_names == ("a", "empty")
    assert "empty without a picture" in corpus.problems()[0]
    assert "1 .txt, 1 hidden" in corpus.problems()[1]


def test_listing_opens_no_picture(tmp_path: Path) -> None:
    for name in range(50):
        folder = tmp_path / f"class {name:02}"
        folder.mkdir()
        for number in range(40):
            (folder / f"{number}.jpg").touch()
    corpus = registry.open_corpus(tmp_path)
    assert len(corpus) == 2000
    assert len(corpus.class_names) == 50
    assert corpus.position(corpus.record(1234).id) == 1234
    assert corpus.problems() == ()


@pytest.mark.parametrize("how", [{}, {"progressive": True}], ids=["in one pass", "progressive"])
def test_a_few_bytes_that_claim_many_pixels_are_refused(tmp_path: Path, how: dict[str, bool]) -> None:
    """Pillow makes room for them all before it finds that they are not there: 1 GB for these 700 bytes."""
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, **how)
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\xc2" if how else b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", 8900, 8900)
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"a\.jpg has 8900 × 8900 pixels; more than 80,000,000, or so many in so small"):
        registry.open_corpus(tmp_path).pixels(0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("rows", [1, 64, 131])
def test_pictures_higher_than_a_band_are_whole(tmp_path: Path, mode: str, rows: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (rows, 5, 3), np.uint8)
    if mode == "I;16":
        image = Image.fromarray(values[..., 0].astype(np.uint16) * 257)
        expected = values[..., :1]
    else:
        image = Image.fromarray(values).convert(mode)
        expected = np.asarray(image.convert("L" if mode in ("1", "L", "LA") else "RGB")).reshape(rows, 5, -1)
    if mode == "CMYK":
        image.save(tmp_path / "a.jpg", quality=100)
        expected = np.asarray(Image.open(tmp_path / "a.jpg").convert("RGB"))
    else:
        image.save(tmp_path / "a.png")
    assert np.array_equal(registry.open_corpus(tmp_path).pixels(0), expected)


@pytest.mark.parametrize("suffix", ["gif", "tif", "TIFF", "jfif", "jpe", "ppm", "pgm", "avif"])
def test_other_formats_that_pillow_reads(tmp_path: Path, suffix: str) -> None:
    if f".{suffix}".lower() not in SUFFIXES:
        pytest.skip("this Pillow does not read it")
    values = np.full((5, 6, 3), 100, np.uint8)
    kind = {"jfif": "JPEG", "jpe": "JPEG"}.get(suffix)
    Image.fromarray(values).convert("L" if suffix == "pgm" else "RGB").save(tmp_path / f"a.{suffix}", kind)
    pixels = registry.open_corpus(tmp_path).pixels(0)
    assert pixels.shape == (5, 6, 1 if suffix == "pgm" else 3)
    assert np.abs(pixels.astype(int) - 100).max() <= 2


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_numbers_of_32_bits_are_not_cut_off_to_white(tmp_path: Path, kind: type) -> None:
    Image.fromarray(np.full((4, 4), 1000, kind)).save(tmp_path / "a.tif")
    with pytest.raises(Unreadable, match=r"a\.tif cannot be read: .*32 bits"):
        registry.open_corpus(tmp_path).pixels(0)


def test_sixteen_bits_keep_the_higher_eight(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256, 32768, 65535]], np.uint16)
    for name in ("a.png", "b.tif", "c.pgm"):
        Image.fromarray(values).save(tmp_path / name)
    corpus = registry.open_corpus(tmp_path)
    assert [corpus.pixels(number)[0, :, 0].tolist() for number in range(3)] == [[0, 0, 1, 128, 255]] * 3


def test_a_tile_larger_than_its_picture_is_refused(tmp_path: Path) -> None:
    tags = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 277: 1, 322: 40000, 323: 40000, 324: 200, 325: 64}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    content = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(400)
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(Refused, match=r"a\.tif"):
        registry.open_corpus(tmp_path).pixels(0)


def test_only_files_are_opened(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    os.mkfifo(tmp_path / "a" / "2.png")
    (tmp_path / "a" / "3.png").symlink_to("/dev/zero")
    corpus = registry.open_corpus(tmp_path)
    for position in (1, 2):
        with pytest.raises(Unreadable, match="only regular files"):
            corpus.pixels(position)
