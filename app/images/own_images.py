"""Images that people bring along, for as long as the cache keeps them: decoded with the same care as those of a corpus.

bytes of a file ──► read as a corpus's picture ──► PNG of its pixels ──► the cache, under their digest ──► id "own-DIGEST"
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mloscope.adaptors.readers.image_folder.picture import read_picture
from mloscope.app.cache.content_keys import digest
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, NotFound, TooLarge, of_adaptors

LARGEST_BYTES = 10 << 20
LONGEST_EDGE_PX = 1024
"""Larger pictures are reduced to it: networks take less, and every change is computed on all pixels."""
_ID = re.compile(r"own-([0-9a-f]{32})(?=~|\Z)")


def is_own(image: str) -> bool:
    """Whether an id, or a reference to one with changes, is of somebody's own image."""
    return _ID.match(image) is not None


class OwnImages:
    """Keeps them in a cache. Thread-safe."""

    def __init__(self, cache: ResultCache) -> None:
        self._cache = cache

    def add(self, file: bytes) -> tuple[str, np.ndarray]:
        """Keep a picture and return its id and pixels, uint8 (row, column, 1 or 3). The same picture has the same id.

        Raises :class:`TooLarge`, and :class:`BadRequest` or :class:`NotPossible` where it is no picture that is read.
        """
        if not file:
            raise BadRequest("The picture is empty.")
        if len(file) > LARGEST_BYTES:
            raise TooLarge(f"The picture has {len(file):,} bytes; at most {LARGEST_BYTES:,} are taken.")
        pixels = _reduced(_decoded(file))
        png = io.BytesIO()
        Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(png, "PNG", compress_level=1)
        name = digest(repr(pixels.shape), pixels.tobytes())
        self._cache.get_or_compute(f"own-image:{name}", png.getvalue)
        return f"own-{name}", pixels

    def pixels(self, image: str) -> np.ndarray:
        """Return the pixels of an id, uint8 (row, column, 1 or 3). Raises :class:`NotFound` where they are not kept any
        more."""
        found = _ID.fullmatch(image)
        key = f"own-image:{found[1]}" if found else ""
        png = self._cache.kept([key]).get(key) if found else None
        if png is None:
            raise NotFound("This image of your own is no longer kept; choose or drop its file again.")
        pixels = np.asarray(Image.open(io.BytesIO(png)))
        return pixels.reshape(*pixels.shape[:2], -1)


def _decoded(file: bytes) -> np.ndarray:
    """By the reader of picture files, which knows what may be unpacked; its sentences name the file, which here has no
    name that means anything."""
    with tempfile.TemporaryDirectory(prefix="mloscope-") as folder:
        path = Path(folder, "picture")
        path.write_bytes(file)
        try:
            with of_adaptors():
                return read_picture(path)
        except Exception as error:
            error.args = (str(error).replace(str(path), "The picture"),)
            raise


def _reduced(pixels: np.ndarray) -> np.ndarray:
    if max(pixels.shape[:2]) <= LONGEST_EDGE_PX:
        return pixels
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    picture.thumbnail((LONGEST_EDGE_PX, LONGEST_EDGE_PX), Image.Resampling.BILINEAR)
    reduced = np.asarray(picture)
    return reduced.reshape(*reduced.shape[:2], -1)
