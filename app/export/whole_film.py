"""All of a film at once: the frames that a browser would fetch chunk by chunk, and the reasons of steps that have none."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mloscope.app.errors import NotFound, NotPossible
from mloscope.app.films.chunks import ADDRESS
from mloscope.app.films.encoding import Film
from mloscope.app.films.kinds import FilmQuestion
from mloscope.app.films.manifest import Films
from mloscope.app.process.line_streams import Lines

MOST_BYTES = 512 << 20
"""Of the frames of a film that are held at once."""


class FilmFrame(NamedTuple):
    """One checkpoint, encoded as in :mod:`mloscope.app.films.encoding`."""

    codes: np.ndarray
    """uint8 (unit, channel, row, column, component)"""
    unit_ranges: np.ndarray
    """float32 (unit, 2)"""
    layer_range: np.ndarray
    """float32 (2,)"""


@dataclass(frozen=True)
class WholeFilm:
    """A film with all of its frames."""

    header: Mapping[str, Any]
    """The manifest's first line: ``layer``, ``parameter``, ``units``, ``channels``, ``rows``, ``columns``, ``components``, ..."""
    frames: Mapping[int, FilmFrame]
    missing: Mapping[int, str]
    """By step, why there is no frame."""


def whole_film(films: Films, question: FilmQuestion) -> Generator[Lines, None, WholeFilm]:
    """Yield the manifest's lines about progress, ``{"progress": {"done", "of", "doing"}}``; return the film. Raises what the manifest
    ends with."""
    header: Mapping[str, Any] = {}
    frames: dict[int, FilmFrame] = {}
    missing: dict[int, str] = {}
    for lines in films.manifest(question):
        for line in lines:
            if "film" in line:
                header = line["film"]
                _check_size(header)
            elif "chunk" in line:
                frames |= _frames(films, question, line["chunk"])
            elif "missing" in line:
                missing[line["missing"]["step"]] = line["missing"]["reason"]
            elif "error" in line:
                raise NotPossible(line["error"]["message"])
            elif "progress" in line:
                yield [line]
    return WholeFilm(header, frames, missing)


def _check_size(header: Mapping[str, Any]) -> None:
    values = len(header["units"]) * len(header["channels"]) * header["rows"] * header["columns"] * header["components"]
    if values * len(header["steps"]) > MOST_BYTES:
        raise NotPossible(
            f"{len(header['steps'])} steps of {values:,} values are more than {MOST_BYTES >> 20} MiB; choose fewer units or channels."
        )


def _frames(films: Films, question: FilmQuestion, chunk: Mapping[str, Any]) -> dict[int, FilmFrame]:
    try:
        data = films.chunk(chunk["address"].removeprefix(ADDRESS))
    except NotFound:  # the cache has dropped it already
        data = films.frames(question, chunk["steps"])
    film = Film.from_bytes(data)
    return {
        step: FilmFrame(*parts)
        for step, *parts in zip(film.steps, film.codes, film.unit_ranges, film.layer_ranges, strict=True)
    }
