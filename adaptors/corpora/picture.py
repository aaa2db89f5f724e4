"""Reading one picture file, within bounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mloscope.adaptors.interface import Refused, Unreadable

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LARGEST_PIXELS = 80_000_000


def is_picture_name(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def read_picture(path: Path) -> np.ndarray:
    """uint8 (row, column, channel), one channel for grey pictures, else three (RGB; transparency is dropped).

    As stored: a camera's rotation mark is not applied, since training on the same files would not apply it
    either. Raises Unreadable, and Refused where the picture is larger than :data:`LARGEST_PIXELS`.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > LARGEST_PIXELS:
                raise Refused(
                    f"{path} has {image.width} × {image.height} pixels; more than {LARGEST_PIXELS:,} are not unpacked."
                )
            if image.mode.startswith("I"):
                return (np.asarray(image, np.uint32) >> 8).astype(np.uint8)[..., np.newaxis]  # 16 bits of grey
            if image.mode in ("1", "L", "LA"):
                return np.asarray(image.convert("L"))[..., np.newaxis]
            return np.asarray(image.convert("RGB"))
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
