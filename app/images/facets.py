"""What images of any corpus can be chosen by: class and split, and what the corpus adds (:class:`HasFacets`)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

import numpy as np

from mloscope.adaptors.interface import NOT_FACETS, CorpusAdaptor, Facet, HasFacets

logger = logging.getLogger(__name__)


def _classes(corpus: CorpusAdaptor) -> Facet:
    return Facet("label", "Class", corpus.class_names, np.asarray(corpus.labels))


def _splits(corpus: CorpusAdaptor) -> Facet:
    of_images = np.full(len(corpus), -1, np.int32)
    for number, positions in enumerate(corpus.splits.values()):
        of_images[positions.start : positions.stop] = number
    return Facet("split", "Split", tuple(corpus.splits), of_images)


OF_EVERY_CORPUS = (_classes, _splits)
"""The table: another facet of all corpora is one more line."""


def facets_of(corpus: CorpusAdaptor) -> Mapping[str, Facet]:
    """Return the facets of a corpus by name, in the order in which they are offered.

    A facet of the corpus that does not keep its promises is left out with a warning: the images are there all the same.
    """
    found = {facet.name: facet for facet in (made(corpus) for made in OF_EVERY_CORPUS)}
    for facet in corpus.facets() if isinstance(corpus, HasFacets) else ():
        problem = _problem(facet, found, len(corpus))
        if problem:
            logger.warning("The facet %s of the corpus adaptor %s is left out: %s", facet.name, corpus.format, problem)
        else:
            found[facet.name] = facet
    return found


def _problem(facet: Facet, known: Mapping[str, Facet], images: int) -> str | None:
    if not re.fullmatch(r"[a-z0-9-]+", facet.name) or facet.name in NOT_FACETS:
        return "its name cannot stand in an address"
    if facet.name in known:
        return "another facet has its name"
    if facet.of_images.shape != (images,):
        return f"it has values of {len(facet.of_images)} images, and there are {images}"
    return None
