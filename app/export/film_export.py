"""Films to take away: a question for a film and how it is to look become a file.

question ──► WholeFilm ──► FilmPictures, step by step ──► the format's writer ──► a file, kept until it has been fetched
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, NotFound, NotPossible, Unavailable
from mloscope.app.export.film_formats import format_of
from mloscope.app.export.film_pictures import FilmLook, FilmPictures
from mloscope.app.export.film_words import caption, file_name, unit_names
from mloscope.app.export.whole_film import WholeFilm, whole_film
from mloscope.app.films.kinds import FilmQuestion, kind_of
from mloscope.app.films.manifest import Films
from mloscope.app.process.line_streams import Lines, with_end
from mloscope.components.numbers import grouped, step_name

MOST_STEPS = 5000
SLOWEST, FASTEST = 0.1, 60.0
"""Steps per second."""
_AT_ONCE = threading.BoundedSemaphore(2)
"""Pictures of a film take memory, and both processors of a small machine."""
_PATIENCE_S = 60.0
_TOLD_EVERY = 8


@dataclass(frozen=True)
class FilmOrder:
    """What is wanted of a film."""

    format: str = "mp4"
    """An ending of :data:`mloscope.app.export.film_formats.FORMATS`."""
    look: FilmLook = field(default_factory=FilmLook)
    first: int | None = None
    """The first step; default: that of the run."""
    last: int | None = None
    speed: float = 10.0
    """Steps per second."""

    def __post_init__(self) -> None:
        format_of(self.format)
        if not SLOWEST <= self.speed <= FASTEST:
            raise BadRequest(f"speed must be from {SLOWEST:g} to {FASTEST:g} steps per second, got {self.speed:g}.")

    def steps(self, question: FilmQuestion) -> list[int]:
        """The steps that it is to have."""
        steps = [
            checkpoint.step
            for checkpoint in question.run.checkpoints
            if (self.first is None or checkpoint.step >= self.first)
            and (self.last is None or checkpoint.step <= self.last)
        ]
        if not steps:
            raise BadRequest(f"There is no checkpoint from step {self.first} to step {self.last}.")
        if len(steps) > MOST_STEPS:
            raise NotPossible(
                f"The film would have {len(steps)} steps; at most {MOST_STEPS} can be saved: choose a range."
            )
        return steps


@dataclass(frozen=True)
class SavedFilm:
    """A finished file."""

    name: str
    media_type: str
    content: bytes


class FilmExport:
    """Makes files of films. Thread-safe."""

    def __init__(self, films: Films, cache: ResultCache) -> None:
        self._films, self._cache = films, cache

    def file(self, question: FilmQuestion, order: FilmOrder) -> SavedFilm:
        """Make the file; takes about a second once the film is there."""
        making = self._make(question, order)
        while True:
            try:
                next(making)
            except StopIteration as made:
                return made.value

    def lines(self, question: FilmQuestion, order: FilmOrder) -> Iterator[Lines]:
        """Make the file and tell how it goes: ``{"progress": {"done", "of", "doing"}}``, then ``{"file": {"digest", "name",
        "bytes"}}``, at the end ``{"done": true}`` or ``{"error"}``. Raises at once where the order is wrong. Closing the iterator
        stops the work."""
        order.steps(question)
        return with_end(self._told(question, order))

    def kept(self, digest: str) -> bytes:
        """A file that :meth:`lines` has made. Raises :class:`NotFound` where the cache no longer has it."""

        def gone() -> bytes:
            raise NotFound(f'There is no saved film "{digest}" any more; save it again.')

        return self._cache.get_or_compute(f"saved-film:{digest}", gone)

    def _told(self, question: FilmQuestion, order: FilmOrder) -> Iterator[Lines]:
        saved = yield from self._make(question, order)
        digest = hashlib.blake2b(saved.content, digest_size=16).hexdigest()
        self._cache.get_or_compute(f"saved-film:{digest}", lambda: saved.content)
        yield [{"file": {"digest": digest, "name": saved.name, "bytes": len(saved.content)}}]

    def _make(self, question: FilmQuestion, order: FilmOrder) -> Generator[Lines, None, SavedFilm]:
        chosen, steps = format_of(order.format), order.steps(question)
        film = yield from whole_film(self._films, question)
        if not _AT_ONCE.acquire(timeout=_PATIENCE_S):
            raise Unavailable("Other films are being saved; try again in a minute.")
        try:
            pictures = self._pictures(film, question, order)
            width, height = pictures.size
            if width * height * len(steps) > chosen.most_pixels:
                raise NotPossible(
                    f"{len(steps)} pictures of {width} × {height} pixels are more than a {chosen.title} may have here "
                    f"({grouped(chosen.most_pixels / 1e6)} million pixels); choose fewer steps, fewer units or a smaller size."
                )
            writer = chosen.writer(pictures.size, order.speed)
            for done, step in enumerate(steps):
                if done % _TOLD_EVERY == 0:
                    yield [_progress(done, len(steps))]
                writer.add(step, pictures.picture(step))
            content = writer.finish()
        finally:
            _AT_ONCE.release()
        yield [_progress(len(steps), len(steps))]
        return SavedFilm(file_name(question, steps, order.format), chosen.media_type, content)

    def _pictures(self, film: WholeFilm, question: FilmQuestion, order: FilmOrder) -> FilmPictures:
        kind = kind_of(question.kind, self._films.kinds)
        names = unit_names(question.run, question.corpus, film.header)
        steps = {each.step: step_name({"step": each.step, "label": each.label}) for each in question.run.checkpoints}
        return FilmPictures(film, kind.scale, order.look, caption(question, kind, film.header), names, steps)


def _progress(done: int, of: int) -> dict[str, Any]:
    return {"progress": {"done": done, "of": of, "doing": "drawing pictures"}}
