"""Arrays as PNG pictures, for links and reports; what moves is drawn in the browser."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable

import numpy as np
from PIL import Image

from mloscope.app.errors import BadRequest
from mloscope.components import colour_tables

GAP = 1
_GAP_COLOUR = (236, 236, 236)
_HATCH = ((120, 120, 120), (200, 200, 200))
MOST_PIXELS, MOST_VALUES = 48_000_000, 20_000_000
"""What one picture may have: seconds of work, and half a GiB."""
_BLOCK_PIXELS = 1 << 20
_AT_ONCE = threading.BoundedSemaphore(2)
"""So that nobody fills the memory by asking for many large pictures at the same time."""
COLOUR_TABLES = colour_tables.NAMES


def colour_table(name: str) -> np.ndarray:
    """uint8 (256, 3), red, green, blue; the same as films have. Raises BadRequest for an unknown name."""
    if name not in COLOUR_TABLES:
        raise BadRequest(f'There is no colour table "{name}"; there are {", ".join(COLOUR_TABLES)}.')
    return colour_tables.colour_table(name)


def draw(tiles: np.ndarray, low: float, high: float, colours: str, zoom: int = 1) -> bytes:
    """Tiles (unit, channel, row, column, component) as a PNG, ``zoom`` pixels a value, 1 pixel between tiles.

    One channel: units in as square a grid as there is. Several: a row a unit, a column a channel. Values from
    ``low`` to ``high`` take the colours of the table; three components are red, green and blue from dark to
    light. NaN and infinities are hatched, never a colour.
    """
    table = colour_table(colours)
    units, channels, rows, columns, components = tiles.shape
    across = channels if channels > 1 else max(1, round((units * (rows + GAP) / (columns + GAP)) ** 0.5))
    if not 1 <= zoom <= 32:
        raise BadRequest(f"zoom must be from 1 to 32 pixels per value, got {zoom}.")
    down = -(-units * channels // across)
    height, width = down * (rows * zoom + GAP) - GAP, across * (columns * zoom + GAP) - GAP
    if height * width > MOST_PIXELS or tiles.size > MOST_VALUES:
        raise BadRequest(f"The picture would have {width} by {height} pixels; ask for fewer units or a smaller zoom.")
    with _AT_ONCE:
        canvas = np.empty((down * across, rows * zoom + GAP, columns * zoom + GAP, 3), np.uint8)
        canvas[:] = _GAP_COLOUR
        flat = tiles.reshape(units * channels, rows, columns, components)
        at_once = max(1, _BLOCK_PIXELS // max(1, rows * columns * zoom**2))
        for start in range(0, len(flat), at_once):
            block = flat[start : start + at_once]
            canvas[start : start + len(block), : rows * zoom, : columns * zoom] = _cells(block, low, high, table, zoom)
        whole = canvas.reshape(down, across, *canvas.shape[1:]).transpose(0, 2, 1, 3, 4)
        picture = whole.reshape(down * canvas.shape[1], across * canvas.shape[2], 3)[:-GAP, :-GAP]
        del canvas, whole
        file = io.BytesIO()
        # What is drawn of weights is mostly noise, which more effort makes no smaller.
        Image.fromarray(np.ascontiguousarray(picture)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _cells(tiles: np.ndarray, low: float, high: float, table: np.ndarray, zoom: int) -> np.ndarray:
    """uint8 (tile, row, column, 3) of tiles (tile, row, column, component), ``zoom`` pixels a value."""
    values = tiles.astype(np.float64)
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        share = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    levels = (np.clip(np.nan_to_num(share), 0, 1) * 255).round().astype(np.uint8)
    cells = levels if tiles.shape[3] == 3 else table[levels[..., 0]]
    cells = cells.repeat(zoom, axis=1).repeat(zoom, axis=2)
    if finite.all():
        return cells
    broken = ~finite.all(axis=3).repeat(zoom, axis=1).repeat(zoom, axis=2)
    row, column = np.indices(broken.shape[1:])
    stripes = np.array(_HATCH, np.uint8)[(row + column) // max(1, zoom // 4) % 2]
    return np.where(broken[..., np.newaxis], stripes, cells)


def sheet(images: Iterable[np.ndarray | None], count: int, edge_px: int, across: int) -> bytes:
    """``count`` images, uint8 (row, column, 1 or 3), as one WebP picture: ``across`` in a line, each as large as fits
    into a square of ``edge_px`` pixels; what it does not cover, and an image that is None, is transparent."""
    whole = Image.new("RGBA", (max(1, min(count, across)) * edge_px, max(1, -(-count // across)) * edge_px))
    for place, pixels in enumerate(images):
        if pixels is None:
            continue
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
        share = edge_px / max(picture.size)
        size = (max(1, round(picture.width * share)), max(1, round(picture.height * share)))
        if size != picture.size:
            how = Image.Resampling.BOX if share < 1 else Image.Resampling.NEAREST
            picture = picture.resize(size, how)
        left, top = (edge_px - size[0]) // 2, (edge_px - size[1]) // 2
        whole.paste(picture, (place % across * edge_px + left, place // across * edge_px + top))
    file = io.BytesIO()
    whole.save(file, "WEBP", quality=82, method=2)
    return file.getvalue()
