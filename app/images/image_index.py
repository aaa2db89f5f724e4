"""The images of a corpus, found by words and facets. Built when first asked, kept as long as the corpus is connected."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mloscope.adaptors.interface import CorpusAdaptor, Facet
from mloscope.app.errors import NotFound
from mloscope.app.images.facets import facets_of
from mloscope.app.images.image_query import ImageQuery


@dataclass(frozen=True)
class Found:
    """A page of a search."""

    positions: tuple[int, ...]
    total: int
    """How many images match in all."""


class ImageIndex:
    """Finds images of one corpus. Thread-safe: what two threads build at once is the same."""

    def __init__(self, name: str, corpus: CorpusAdaptor) -> None:
        self._name, self._corpus = name, corpus

    @functools.cached_property
    def facets(self) -> Mapping[str, Facet]:
        """By name, in the order in which they are offered."""
        return facets_of(self._corpus)

    def find(self, query: ImageQuery, offset: int = 0, limit: int = 60) -> Found:
        """Return positions of matching images, ``limit`` of them from ``offset`` on. Raises as :meth:`matching`."""
        positions = self.matching(query, np.arange(len(self._corpus)))
        return Found(tuple(positions[offset : offset + limit].tolist()), len(positions))

    def page_of(self, position: int, query: ImageQuery, limit: int = 60) -> int:
        """Return the offset of the page on which an image stands, 0 where it does not match. Raises as :meth:`matching`."""
        places = np.flatnonzero(self.matching(query, np.arange(len(self._corpus))) == position)
        return int(places[0]) // limit * limit if len(places) else 0

    def matching(self, query: ImageQuery, among: np.ndarray) -> np.ndarray:
        """Return those of the positions ``among`` whose images match, int64, in the same order. In a random order, how they
        were ordered before makes no difference.

        Raises :class:`NotFound` for a value that a facet does not have, :class:`BadRequest` for too many words.
        """
        positions = among.astype(np.int64)
        words, exact = query.split(lambda name: name in self.facets)
        for name, value in (*query.facets.items(), *exact):
            facet = self.facets[name]
            positions = positions[facet.of_images[positions] == self._number_of(facet, value)]
        for word in words:
            positions = np.array([p for p in positions.tolist() if word in self._texts[p]], np.int64)
        if query.seed is not None:
            shuffled = np.random.default_rng(query.seed % 2**64).permutation(len(positions))
            positions = np.sort(positions)[shuffled]
        return positions

    def _number_of(self, facet: Facet, value: str) -> int:
        """Return the index of the value; classes may be named by their number too."""
        if value in facet.values:
            return facet.values.index(value)
        numbered = facet.name == "label" and value.isdecimal() and len(value) < 20
        if numbered and int(value) < max(len(facet.values), 1 + int(facet.of_images.max(initial=-1))):
            return int(value)
        known = ", ".join(facet.values)
        raise NotFound(f'The corpus "{self._name}" has no {facet.title.lower()} "{value}"; it has: {known}.')

    @functools.cached_property
    def _texts(self) -> list[str]:
        """Name, id and class name of every image, in lower case."""
        classes = [name.casefold() for name in self._corpus.class_names]
        labels = np.asarray(self._corpus.labels).tolist()
        return [
            f"{name}\n{self._corpus.record(position).id}\n".casefold()
            + (classes[labels[position]] if 0 <= labels[position] < len(classes) else "")
            for position, name in enumerate(self._corpus.names())
        ]
