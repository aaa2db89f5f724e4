"""Which images are requested, in which order: parsed once. The REST API, the grid and addresses write it the same way, for
all images of a corpus and for those of a cell of a confusion matrix, of a cluster and within a lasso.

search=img 42&label=cat&split=test&random=7      words, a value per facet, the seed of a random order
search=img label:7                               a facet's value among the words: exactly the class 7, not a 7 in a name
order=loss&judged=wrong                          by what statistics say of the images at a step, where there is one
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from mloscope.app.errors import BadRequest

MOST_WORDS = 32
_WORD = re.compile(r'((?:([a-z0-9-]+):)?(?:"([^"]+)"|(\S+)))')
"""A word, or a facet's name, a colon and a value."""
TEXT, SEED, ORDER, JUDGED = "search", "random", "order", "judged"


@dataclass(frozen=True)
class ImageQuery:
    """A question for images of a corpus. The default asks for all, in the order that they have without it."""

    text: str = ""
    """Words; name, id or class name of an image must have each of them in it, in any case."""
    facets: Mapping[str, str] = field(default_factory=dict)
    """The chosen value by the name of its facet."""
    seed: int | None = None
    """Of a random order, always the same for the same seed. None: the order remains."""
    order: str = ""
    """One of :data:`mloscope.app.statistics.image_orders.ORDERS`. Empty: the order remains. A random order goes before it."""
    judged: str = ""
    """One of :data:`mloscope.app.statistics.image_orders.JUDGED`. Empty: right and wrong."""

    @classmethod
    def parse(cls, words: Mapping[str, str], facets: Iterable[str]) -> Self:
        """Return the query that the words of an address mean, for a corpus with these facets; other words are not its business.

        Raises :class:`BadRequest`.
        """
        seed = words.get(SEED) or None
        if seed is not None and not re.fullmatch("-?[0-9]{1,40}", seed):
            raise BadRequest(f'{SEED} must be a whole number, got "{seed}".')
        chosen = {name: words[name] for name in facets if words.get(name)}
        seed_number = None if seed is None else int(seed)
        return cls(words.get(TEXT, ""), chosen, seed_number, words.get(ORDER, ""), words.get(JUDGED, ""))

    def split(self, is_facet: Callable[[str], bool]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
        """Return the words that must be found, in lower case, each once; and what ``label:7`` and ``label:"traffic light"`` among
        them mean: the facet and its value. Raises :class:`BadRequest` if there are too many.
        """
        exact, words = [], []
        for whole, name, quoted, value in _WORD.findall(self.text):
            if name and is_facet(name):
                exact.append((name, quoted or value))
            else:
                words.extend(whole.casefold().split())
        found = tuple(dict.fromkeys(words))
        if len(found) + len(exact) > MOST_WORDS:
            raise BadRequest(f"A search may have at most {MOST_WORDS} words, got {len(found) + len(exact)}.")
        return found, tuple(exact)
