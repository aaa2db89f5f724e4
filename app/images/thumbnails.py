"""Images of a corpus as small PNGs, the most recently shown ones remembered."""

from __future__ import annotations

import io
import threading
from collections.abc import MutableMapping

import numpy as np
from cachetools import LRUCache
from PIL import Image

from mloscope.app.errors import BadRequest
from mloscope.app.images.opened_corpus import OpenedCorpus

BUDGET_BYTES = 32 << 20
_LONGEST_EDGE_PX = 4096


class Thumbnails:
    """Draws thumbnails. Thread-safe; of corpora that stay the same, for it remembers them by name."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._drawn: MutableMapping[tuple[str, int, int | None], bytes] = LRUCache(
            budget_bytes, getsizeof=lambda png: min(len(png), budget_bytes)
        )
        self._lock = threading.Lock()

    def png(self, corpus: OpenedCorpus, position: int, edge_px: int | None = None) -> bytes:
        """The image as PNG, its longer edge at most ``edge_px`` pixels, never enlarged. None: at its own size."""
        key = (corpus.name, position, edge_px)
        with self._lock:
            found = self._drawn.get(key)
        if found is None:
            found = png(corpus.pixels(position), edge_px)
            with self._lock:
                self._drawn[key] = found
        return found


def png(pixels: np.ndarray, edge_px: int | None = None) -> bytes:
    """A picture, uint8 (row, column, 1 or 3), as PNG, its longer edge at most ``edge_px`` pixels, never enlarged. None: at its
    own size. Raises :class:`BadRequest` for another edge."""
    if edge_px is not None and not 1 <= edge_px <= _LONGEST_EDGE_PX:
        raise BadRequest(f"edge must be from 1 to {_LONGEST_EDGE_PX} pixels; got {edge_px}.")
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if edge_px is not None and max(picture.size) > edge_px:
        picture.thumbnail((edge_px, edge_px), Image.Resampling.BILINEAR, reducing_gap=None)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
