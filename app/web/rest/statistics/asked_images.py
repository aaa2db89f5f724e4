"""Which images of a set (a cell, a cluster, a lasso) a caller wants to see: narrowed as the search in a corpus, a page at a
time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends

from mloscope.adaptors.interface import NOT_FACETS
from mloscope.app.images.image_query import ImageQuery
from mloscope.app.statistics.images import ImageSet, Page
from mloscope.app.web.rest.addresses import Limit, Offset
from mloscope.app.web.rest.image_words import ImageWords

OTHER_WORDS = frozenset({*NOT_FACETS, "corpus", "split", "order", "lasso"})
"""What the routes take besides facets; a corpus's facet of such a name cannot narrow their lists."""


@dataclass(frozen=True)
class AskedImages:
    words: Mapping[str, str]
    """All of the address."""
    offset: int
    limit: int

    def page(self, images: ImageSet) -> Page:
        """Return the page of those that match. Raises as :meth:`ImageQuery.parse` and :meth:`ImageSet.narrowed`."""
        named = self.words.keys() - OTHER_WORDS
        # A corpus may take long to tell its facets; most questions name none.
        facets = [name for name in images.of.image_index.facets if name in named] if named else []
        return images.narrowed(ImageQuery.parse(self.words, facets)).page(self.offset, self.limit)


async def asked_images(words: ImageWords, offset: Offset = 0, limit: Limit = 60) -> AskedImages:
    return AskedImages(words, offset, limit)


Wanted = Annotated[AskedImages, Depends(asked_images)]
