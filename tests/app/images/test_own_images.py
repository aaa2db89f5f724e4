"""Images that people bring along: kept by their content, decoded with care, refused with sentences."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, MloscopeError, NotFound, TooLarge
from mloscope.app.images.own_images import LARGEST_BYTES, LONGEST_EDGE_PX, OwnImages, is_own


@pytest.fixture
def own() -> OwnImages:
    return OwnImages(ResultCache.from_settings(None, 8 << 20))


def file_of(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_image_is_kept_as_it_is_under_its_content(own: OwnImages, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3 if mode == "RGB" else 1), dtype=np.uint8)
    picture = Image.fromarray(pixels if mode == "RGB" else pixels[..., 0])
    image, taken = own.add(file_of(picture))
    assert is_own(image)
    np.testing.assert_array_equal(taken, pixels)
    np.testing.assert_array_equal(own.pixels(image), pixels)
    assert own.add(file_of(picture, "BMP"))[0] == image


def test_what_is_not_kept_is_said(own: OwnImages) -> None:
    for image in ("own-" + "0" * 32, "own-nothing", "test-1"):
        with pytest.raises(NotFound):
            own.pixels(image)


def test_one_pixel_large_pictures_films_and_ink_are_taken(own: OwnImages) -> None:
    assert own.add(file_of(Image.new("RGB", (1, 1), "red")))[1].shape == (1, 1, 3)
    assert own.add(file_of(Image.new("L", (3000, 300)), "PNG"))[1].shape == (102, LONGEST_EDGE_PX, 1)
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    film = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(own.add(film)[1][0, 0], (255, 0, 0))
    assert own.add(file_of(Image.new("CMYK", (4, 5), (0, 255, 255, 0)), "JPEG"))[1].shape == (5, 4, 3)


def huge_png(edge: int) -> bytes:
    """A PNG that says it has edge x edge pixels and holds a row of them."""
    head = struct.pack(">IIBBBBB", edge, edge, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(edge + 1))), (b"IEND", b"")]
    packed = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (b"", BadRequest),
        (b"\0" * (LARGEST_BYTES + 1), TooLarge),
        (np.random.default_rng(0).bytes(1 << 20), MloscopeError),
        (file_of(Image.new("RGB", (40, 40)))[:60], MloscopeError),
        (huge_png(20_000), MloscopeError),
    ],
    ids=["nothing", "too many bytes", "nonsense", "cut off", "a bomb"],
)
def test_what_is_no_picture_is_refused_in_a_sentence_without_paths(own: OwnImages, file: bytes, kind: type) -> None:
    with pytest.raises(kind) as refused:
        own.add(file)
    assert str(refused.value).startswith("The picture")
    assert "/" not in str(refused.value)


def test_what_is_somebody_s_own_is_told_by_its_id_whatever_is_changed_in_it() -> None:
    own = "own-" + "0f" * 16
    assert all(is_own(f"{own}{changes}") for changes in ("", "~shift=1", "~turn=1", "~"))
    assert not any(is_own(image) for image in ("test-1", own[:-1], f"{own}0", f"x{own}", f"test-1~{own}", f"{own}.png"))
