"""The words of an address that every list of images takes: they narrow and order it, see :mod:`mloscope.app.images.image_query`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Depends, Query, Request


async def image_words(
    request: Request,
    search: Annotated[
        str, Query(description="Words that name, id or class name must all have; label:7 asks for exactly that class.")
    ] = "",
    label: Annotated[str | None, Query(description="Number or name of a class of the corpus.")] = None,
    random: Annotated[int | None, Query(description="A seed: shuffled, always the same way for the same seed.")] = None,
) -> Mapping[str, str]:
    """Return all words of the address: what is declared here is documented, the corpus's own facets are taken besides."""
    return request.query_params


ImageWords = Annotated[Mapping[str, str], Depends(image_words)]
