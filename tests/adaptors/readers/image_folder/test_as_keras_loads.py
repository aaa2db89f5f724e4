"""Folders and pictures as Keras's own loader gives them to a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mloscope.adaptors import registry

SIZE = (24, 32)
ROWS, COLUMNS = np.mgrid[: SIZE[0], : SIZE[1]]
COLOURS = np.stack([ROWS * 10, COLUMNS * 7, ROWS + COLUMNS * 3], axis=-1).astype(np.uint8)
KINDS = ("10", "2", "B", "a", "a b", "empty", "nested", "train")


def loaded(folder: Path) -> tuple[dict[str, tuple[int, np.ndarray]], list[str]]:
    """Label and pixels of every file by its path from the folder, and the class names."""
    keras = pytest.importorskip("keras")
    data: Any = keras.utils.image_dataset_from_directory(
        folder, image_size=SIZE, batch_size=None, shuffle=False, verbose=False
    )
    files = [str(Path(path).relative_to(folder)) for path in data.file_paths]
    found = [(int(label), np.asarray(pixels)) for pixels, label in data]
    return dict(zip(files, found, strict=True)), list(data.class_names)


def ours(folder: Path) -> tuple[dict[str, tuple[int, np.ndarray]], list[str]]:
    corpus = registry.open_corpus(folder)
    found = {}
    for position in range(len(corpus)):
        pixels = corpus.pixels(position)
        colours = np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels
        found[str(corpus.record(position).metadata["file"])] = (int(corpus.labels[position]), colours)
    return found, list(corpus.class_names)


def save(image: Image.Image, path: Path, **how: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **how)


def test_classes_labels_and_pixels_are_those_that_keras_gives(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    alpha = Image.fromarray(np.dstack([COLOURS, COLOURS[..., :1]]))
    palette = image.quantize(16)
    (tmp_path / "empty").mkdir()
    save(image, tmp_path / "10" / "rgb.PNG")
    save(alpha, tmp_path / "10" / "alpha.png")
    save(image.convert("LA"), tmp_path / "10" / "grey and alpha.png")
    save(palette, tmp_path / "2" / "palette.png", transparency=3)
    save(image.convert("1"), tmp_path / "2" / "one bit.png")
    save(Image.fromarray(COLOURS[..., 0].astype(np.uint16) * 200), tmp_path / "B" / "16 bits.png")
    save(image, tmp_path / "a" / "colours.bmp")
    save(image.convert("L"), tmp_path / "a" / "grey.bmp")
    save(palette, tmp_path / "a b" / "moving.gif", save_all=True, append_images=[palette.rotate(180)])
    save(palette, tmp_path / "a b" / "transparent.gif", transparency=palette.getpixel((3, 3)))
    save(image, tmp_path / "nested" / "deep" / "er" / "1.png")
    save(image, tmp_path / "train" / "1.png")
    expected, names = loaded(tmp_path)
    found, found_names = ours(tmp_path)
    assert found_names == names == list(KINDS)
    assert {file: label for file, (label, _) in found.items()} == {file: label for file, (label, _) in expected.items()}
    for file, (_, pixels) in expected.items():
        assert np.array_equal(found[file][1], pixels), file


def test_jpegs_differ_from_what_keras_decodes_by_a_few_levels(tmp_path: Path) -> None:
    image = Image.fromarray(COLOURS)
    turned = Image.Exif()
    turned[0x112] = 6
    save(image, tmp_path / "a" / "plain.jpg", quality=95)
    save(image, tmp_path / "a" / "turned.jpeg", exif=turned)
    save(image.convert("CMYK"), tmp_path / "a" / "cmyk.jpg", quality=95)
    save(image.convert("L"), tmp_path / "b" / "grey.JPG")
    expected, _ = loaded(tmp_path)
    found, _ = ours(tmp_path)
    assert len(found) == len(expected) == 4
    for file, (label, pixels) in expected.items():
        assert found[file][0] == label
        difference = np.abs(found[file][1] - pixels)
        assert difference.max() <= 8, file
        assert difference.mean() <= 1.5, file
