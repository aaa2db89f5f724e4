"""Which images of a set (a cell, a cluster, a lasso, a whole split) a caller wants to see: narrowed as the search in a corpus,
ordered by what statistics say of them, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from mloscope.adaptors.interface import NOT_FACETS
from mloscope.app.images.image_query import JUDGED, ORDER, ImageQuery
from mloscope.app.statistics import image_orders
from mloscope.app.statistics.images import ImageSet, Page
from mloscope.app.web.rest.addresses import Limit, Offset
from mloscope.app.web.rest.image_words import ImageWords

OTHER_WORDS = frozenset({*NOT_FACETS, "corpus", "split", "lasso"})
"""What the routes take besides facets; a corpus's facet of such a name cannot narrow their lists."""

_ORDERS = "; ".join(f"{order.name}: {order.help[0].lower()}{order.help[1:]}" for order in image_orders.ORDERS.values())


@dataclass(frozen=True)
class RestsOn:
    """What order and choice of images rest on."""

    step: int
    split: str
    key: Annotated[str, Field(description="Of the statistics, as the overview has it.")]
    order: Annotated[str, Field(description="Empty: the order of the list itself.")]
    judged: Annotated[str, Field(description="right, wrong, or empty for both")]


@dataclass(frozen=True)
class ImagesPage(Page):
    """Some images of many, and how they were chosen."""

    offset: int
    rests_on: RestsOn


@dataclass(frozen=True)
class AskedImages:
    words: Mapping[str, str]
    """All of the address."""
    offset: int
    limit: int

    def page(self, images: ImageSet, step: int, order: str = "", at: str | None = None) -> ImagesPage:
        """Return the page of those that match. ``order``: where the address names none; ``at``: the id of an image, whose page it
        is. Raises as :meth:`ImageQuery.parse` and :meth:`ImageSet.narrowed`."""
        named = self.words.keys() - OTHER_WORDS
        # A corpus may take long to tell its facets; most questions name none.
        facets = [name for name in images.of.image_index.facets if name in named] if named else []
        words = {**self.words, ORDER: self.words.get(ORDER) or order, JUDGED: self.words.get(JUDGED, "")}
        narrowed = images.narrowed(ImageQuery.parse(words, facets))
        offset = self.offset
        if at is not None:
            offset = narrowed.page_of(images.of.opened_corpus.position(at) - images.of.positions.start, self.limit)
        found = narrowed.page(offset, self.limit)
        rests_on = RestsOn(step, images.of.split, images.step.key, words[ORDER], words[JUDGED])
        return ImagesPage(found.total, found.images, offset, rests_on)


async def asked_images(
    words: ImageWords,
    offset: Offset = 0,
    limit: Limit = 60,
    order: Annotated[str, Query(description=f"By what statistics say of images at the step. {_ORDERS}.")] = "",
    judged: Annotated[str, Query(description="right or wrong: only images that are predicted so.")] = "",
) -> AskedImages:
    return AskedImages(words, offset, limit)


Wanted = Annotated[AskedImages, Depends(asked_images)]
