"""Reading one picture file, within bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mloscope.adaptors.interface import Refused, Unreadable

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LARGEST_PIXELS = 80_000_000
# A few bytes can say that they are a picture of any size, and unpacking makes room for all of it at once. So much is
# granted to any file, and four times its own size.
GRANTED_BYTES = 216 * 1024 * 1024
_BAND_ROWS = 64


def is_picture_name(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def read_picture(path: Path) -> np.ndarray:
    """uint8 (row, column, channel), one channel for grey pictures, else three (RGB; transparency is dropped).

    As stored: a camera's rotation mark is not applied, since training on the same files would not apply it
    either. Raises Unreadable, and Refused where the picture is larger than :data:`LARGEST_PIXELS`.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            pixels = image.width * image.height
            if pixels > LARGEST_PIXELS or pixels * _bytes_a_pixel(image) > GRANTED_BYTES + 4 * path.stat().st_size:
                raise Refused(
                    f"{path} has {image.width} × {image.height} pixels; more than {LARGEST_PIXELS:,}, or so many in so "
                    "small a file, are not unpacked."
                )
            return _pixels(image)
    except Image.DecompressionBombError as error:
        raise Refused(f"{path} has too many pixels to unpack: {error}.") from error
    except UnidentifiedImageError as error:
        raise Unreadable(f"{path} is not a JPEG, PNG, WebP or BMP picture, whatever its name says.") from error
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        MemoryError,
    ) as error:  # PIL raises all of these on broken files
        raise Unreadable(f"{path} cannot be read: {error}.") from error


def _bytes_a_pixel(image: Image.Image) -> int:
    """What is held while the picture is unpacked: Pillow's four and the array's three, and a little; libwebp's own
    buffers, and the coefficients of a progressive JPEG, which come in several passes."""
    return 18 if image.format == "WEBP" else 13 if "progressive" in image.info else 8


def _pixels(image: Image.Image) -> np.ndarray:
    """Band by band: Pillow would copy the whole picture for each step on the way."""
    image.load()
    is_deep = image.mode.startswith("I")  # 16 bits of grey
    mode = "L" if image.mode in ("1", "L", "LA") else "RGB"
    found = np.empty((image.height, image.width, 1 if is_deep or mode == "L" else 3), np.uint8)
    for top in range(0, image.height, _BAND_ROWS):
        band = image.crop((0, top, image.width, min(image.height, top + _BAND_ROWS)))
        values = (np.asarray(band, np.uint32) >> 8).astype(np.uint8) if is_deep else np.asarray(band.convert(mode))
        found[top : top + _BAND_ROWS] = values.reshape(values.shape[0], image.width, -1)
    return found
