"""Answers that come as lines of JSON while the work goes on: pieces of lines, and how they end."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from mloscope.app.errors import UNEXPECTED, MloscopeError, as_json

logger = logging.getLogger(__name__)

Lines = list[dict[str, Any]]
"""JSON-able lines that were computed together."""


def with_end(pieces: Iterable[Lines]) -> Iterator[Lines]:
    """The pieces and how they ended: ``{"done": true}``, or the error as the last line, because the answer has begun."""
    try:
        yield from pieces
    except MloscopeError as error:
        yield [as_json(error)]
    except Exception:
        logger.exception("a stream broke off")
        yield [as_json(MloscopeError(UNEXPECTED))]
    else:
        yield [{"done": True}]
