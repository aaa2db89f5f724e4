"""A corpus that could be opened: the handle that is passed on to everything that looks at images.

Made once per question by ``workspace.opened_corpus(name)``. Errors of adaptors are translated here: every method raises
:class:`mloscope.app.errors.MloscopeError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mloscope.adaptors.interface import CorpusAdaptor, HasPixelBlocks, HasPixelValues, ImageRecord
from mloscope.app.errors import NotFound, of_adaptors

if TYPE_CHECKING:
    from mloscope.app.workspace.connected import ConnectedCorpus

InputShape = tuple[int | None, int | None, int]
"""(row, column, channel) of the images that a network takes; None for a length that is not fixed."""


@dataclass(frozen=True, eq=False)
class OpenedCorpus:
    """A corpus and the adaptor that reads it. Cheap to make, safe to use from several threads."""

    connected: ConnectedCorpus
    adaptor: CorpusAdaptor

    @property
    def name(self) -> str:
        return self.connected.name

    @property
    def title(self) -> str:
        """What people call it."""
        return self.connected.shown_title

    @property
    def path(self) -> Path:
        return self.connected.path

    def __len__(self) -> int:
        return len(self.adaptor)

    def split(self, name: str) -> range:
        """Positions of the split's images. Raises :class:`NotFound`."""
        try:
            return self.adaptor.splits[name]
        except KeyError:
            known = ", ".join(self.adaptor.splits) or "none"
            raise NotFound(f'The corpus "{self.name}" has no split "{name}"; it has: {known}.') from None

    def position(self, image_id: str) -> int:
        """Where the image of this id stands in the corpus. Raises :class:`NotFound`."""
        with of_adaptors():
            return self.adaptor.position(image_id)

    def record(self, position: int) -> ImageRecord:
        return self.adaptor.record(position)

    def pixels(self, position: int) -> np.ndarray:
        """uint8 (row, column, channel), channel 1 or 3. Raises :class:`NotPossible` where the picture is broken."""
        if not 0 <= position < len(self):
            raise NotFound(
                f'The corpus "{self.name}" has no image at position {position}; it has 0 to {len(self) - 1}.'
            )
        with of_adaptors():
            return self.adaptor.pixels(position)

    def pixel_block(self, positions: range) -> np.ndarray | None:
        """The pixels of consecutive images, uint8 (image, row, column, channel); None where the corpus gives no blocks, or
        these images do not all have the same shape."""
        if not isinstance(self.adaptor, HasPixelBlocks):
            return None
        with of_adaptors():
            return self.adaptor.pixel_block(positions)

    def values(self, positions: range, shape: InputShape | None) -> np.ndarray | None:
        """What the files hold where that is finer than pixels and already has the network's shape: float32 (image, row,
        column, channel), 0..255. Else None: the network gets pixels, as whoever resizes them sees them."""
        if not isinstance(self.adaptor, HasPixelValues):
            return None
        with of_adaptors():
            values = self.adaptor.pixel_values(positions)
        return values if values is not None and has_shape(values.shape[1:], shape) else None


def has_shape(own: tuple[int, ...], shape: InputShape | None) -> bool:
    """Whether (row, column, channel) fits the network as it is: nothing to resize, no colours to turn grey."""
    return shape is None or all(wanted in (None, has) for wanted, has in zip(shape, own, strict=True))
