"""Reading one picture file, within bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from mloscope.adaptors.files.regular_files import open_regular
from mloscope.adaptors.interface import Refused, Unreadable

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
SUFFIXES = (
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".gif",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".pbm",
    ".pnm",
)
if features.check("avif"):  # as Pillow's own wheels have it
    FORMATS, SUFFIXES = (*FORMATS, "AVIF"), (*SUFFIXES, ".avif")
_SUFFIXES = frozenset(SUFFIXES)
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, MemoryError, RuntimeError)  # by the formats' readers in Pillow
_TILE_WIDTH, _TILE_LENGTH = 322, 323
LARGEST_PIXELS = 80_000_000
# A few bytes can say that they are a picture of any size, and unpacking makes room for all of it at once. So much is
# granted to any file, and four times its own size.
GRANTED_BYTES = 216 * 1024 * 1024
_BAND_ROWS = 64


def is_picture_name(name: str) -> bool:
    return name[name.rfind(".") :].lower() in _SUFFIXES and name[0] != "."


def read_picture(path: Path) -> np.ndarray:
    """uint8 (row, column, channel), one channel for grey pictures, else three (RGB; transparency is dropped).

    As TensorFlow's ``decode_image`` decodes it: a camera's rotation mark and colour profiles are not applied, of 16 bits
    the higher 8 are kept, and of several pictures in a file the first is read. Raises Unreadable, and Refused where the
    picture is larger than :data:`LARGEST_PIXELS`.
    """
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            pixels = max(image.width * image.height, _tile_pixels(image))
            if pixels > LARGEST_PIXELS or pixels * _bytes_a_pixel(image) > GRANTED_BYTES + 4 * path.stat().st_size:
                raise Refused(
                    f"{path} has {image.width} × {image.height} pixels; more than {LARGEST_PIXELS:,}, or so many in so "
                    "small a file, are not unpacked."
                )
            return _pixels(image)
    except Image.DecompressionBombError as error:
        raise Refused(f"{path} has too many pixels to unpack: {error}.") from error
    except UnidentifiedImageError as error:
        raise Unreadable(f"{path} is not a picture in one of the formats {', '.join(FORMATS)}.") from error
    except _BROKEN as error:
        raise Unreadable(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error


def _tile_pixels(image: Image.Image) -> int:
    """The pixels of a TIFF's tile, which may be larger than its picture and is unpacked as a whole."""
    tags = getattr(image, "tag_v2", {})
    width, length = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0)
    return width * length if isinstance(width, int) and isinstance(length, int) else 0


def _bytes_a_pixel(image: Image.Image) -> int:
    """What is held while the picture is unpacked: Pillow's four and the array's three, and a little; libwebp's and
    libavif's own buffers, TIFF's samples, and the coefficients of a progressive JPEG, which come in several passes."""
    return {"WEBP": 18, "AVIF": 18, "TIFF": 16}.get(image.format or "", 13 if "progressive" in image.info else 8)


def _is_deep(image: Image.Image) -> bool:
    """Whether it holds 16 bits of grey. Pillow gives those of PNG and PGM as 32 bits at times; where 32 bits are the
    file's own, nothing says which of them is white."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return True
    if image.mode in ("I", "F"):
        raise ValueError("it holds one number of 32 bits per pixel, and nothing says which is black and which white")
    return False


def _pixels(image: Image.Image) -> np.ndarray:
    """Band by band: Pillow would copy the whole picture for each step on the way."""
    image.load()
    is_deep, is_gif = _is_deep(image), image.format == "GIF"
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    found = np.empty((image.height, image.width, 1 if is_deep or mode == "L" else 3), np.uint8)
    for top in range(0, image.height, _BAND_ROWS):
        band = image.crop((0, top, image.width, min(image.height, top + _BAND_ROWS)))
        values = (np.asarray(band, np.uint32) >> 8).astype(np.uint8) if is_deep else _colours(band, mode, is_gif)
        found[top : top + _BAND_ROWS] = values.reshape(values.shape[0], image.width, -1)
    return found


def _colours(band: Image.Image, mode: str, is_gif: bool) -> np.ndarray:
    """Transparency is dropped and leaves the colours below it; only of a GIF are transparent pixels black."""
    if is_gif and "transparency" in band.info:
        values = np.array(band.convert("RGBA"))
        values[values[..., 3] == 0] = 0
        return values[..., :3] if mode == "RGB" else values[..., 0]
    return np.asarray(band.convert(mode))
