"""Films: a question becomes a manifest, lines that name the film's chunks as they are made.

question ──► plan ──► chunks, nearest first ──► {"film"} {"chunk"} {"progress"} {"missing"} ... {"done"}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import BadRequest, NotPossible
from mloscope.app.evaluation.pacing import Pace
from mloscope.app.films.chunks import Chunk, Chunks
from mloscope.app.films.kinds import Figures, FilmKind, FilmQuestion, Sources, film_kinds, kind_of
from mloscope.app.films.plan import FilmPlan
from mloscope.app.process.line_streams import Lines, with_end

CHUNK_BYTES = 2 << 20


class Films:
    """Answers questions for films. Thread-safe. ``kinds``: default, those that are installed."""

    def __init__(
        self,
        sources: Sources,
        cache: ResultCache,
        pace: Pace,
        *,
        chunk_bytes: int = CHUNK_BYTES,
        kinds: Mapping[str, FilmKind] | None = None,
    ) -> None:
        self.kinds = film_kinds() if kinds is None else kinds
        self._sources = sources
        self._chunks = Chunks(cache)
        self._pace = pace
        self._chunk_bytes = chunk_bytes

    def manifest(self, question: FilmQuestion) -> Iterator[Lines]:
        """The film's manifest as it comes: JSON-able lines, those together that were made together. Raises at once where the
        question is wrong.

        First ``{"film": {...}}``; then ``{"chunk": {"address", "steps", "bytes"}}``, nearest to ``near`` first, the first
        one small, each followed by ``{"progress": {"done", "of", "doing"}}``; ``{"missing": {"step", "reason"}}`` for every
        checkpoint that has nothing; at the end ``{"done": true}``, or ``{"error": {...}}``. Closing the iterator stops the
        work. The same question again, with nothing changed, reads no file and evaluates nothing.
        """
        return with_end(self._pieces(self._plan(question)))

    def chunk(self, digest: str) -> bytes:
        """A chunk by the digest in its address. Raises :class:`NotFound` where the cache no longer has it."""
        return self._chunks.bytes_of(digest)

    def frames(self, question: FilmQuestion, steps: Sequence[int]) -> bytes:
        """What a chunk of the film would hold of these steps, at most as many as a chunk has, of their files as they are now;
        nothing of it is kept.

        So a film can be seen while the cache is away, and what the cache dropped need not be sought in a new manifest.
        Raises what is the matter with the first step that has nothing.
        """
        plan = self._plan(question)
        most = max(map(len, plan.blocks), default=1)
        if not 0 < len(steps) <= most:
            raise BadRequest(f"steps must name 1 to {most} steps of this film at a time; got {len(steps)}.")
        found = self._chunks.frames(plan, [question.run.checkpoint(step) for step in sorted(set(steps))])
        if isinstance(found, Mapping):
            step, reason = next(iter(found.items()))
            raise NotPossible(f"Step {step} is missing: {reason}")
        return found.to_bytes()

    def exact(self, question: FilmQuestion, step: int) -> tuple[np.ndarray, Figures]:
        """The frame of a step as its kind makes it, (unit, channel, row, column, component) of what is shown, and what stands beside
        those units. Raises what is the matter where there is none."""
        plan, run = self._plan(question), question.run
        checkpoint = run.checkpoint(step)
        fingerprints, missing = run.fingerprints([checkpoint])
        if missing:
            raise NotPossible(missing[step])
        (frame,) = plan.footage.frames([checkpoint], fingerprints)
        if frame.values is None:
            raise NotPossible(str(frame.problem))
        figures = {name: [of_all[unit] for unit in plan.units] for name, of_all in frame.figures.items()}
        return frame.values[np.ix_(plan.units, plan.channels)], figures

    def _plan(self, question: FilmQuestion) -> FilmPlan:
        return FilmPlan.of(question, kind_of(question.kind, self.kinds), self._sources, self._chunk_bytes)

    def _pieces(self, plan: FilmPlan) -> Iterator[Lines]:
        head = dict(plan.head())
        kept = self._chunks.kept(plan)
        if kept is not None:
            yield [head, *_lines(plan, plan.blocks, kept, 0)]
            return
        yield [head]
        groups: Iterable[list[range]] = ([block] for block in plan.blocks)
        if plan.kind.needs_evaluation:
            groups = self._pace.groups(plan.kind.pace(plan.question), plan.blocks)
        done = 0
        for group in groups:
            priority = 1 if done else 0  # the picture at the current step comes before all others
            yield _lines(plan, group, self._chunks.of(plan, group, priority), done)
            done += sum(map(len, group))


def _lines(plan: FilmPlan, blocks: Sequence[range], chunks: Sequence[Chunk], done: int) -> Lines:
    """The lines of the blocks; ``done`` checkpoints came before them."""
    lines: Lines = []
    for block, (description, missing) in zip(blocks, chunks, strict=True):
        if description is not None:
            lines.append({"chunk": description})
        lines += ({"missing": {"step": step, "reason": reason}} for step, reason in missing.items())
        done += len(block)
        lines.append({"progress": {"done": done, "of": len(plan.checkpoints), "doing": plan.kind.doing}})
    return lines
