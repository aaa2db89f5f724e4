"""A film's chunks: several checkpoints encoded together, kept under their content.

Two entries of the cache per chunk: ``chunk:`` + question and fingerprints ──► its description, ``film:`` + digest of its
bytes ──► the bytes, which stay the same for ever under their address.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from cachetools import LRUCache

from mloscope.adaptors.interface import Checkpoint
from mloscope.app.cache.content_keys import content_key
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.errors import Conflict, NotFound
from mloscope.app.films.encoding import Film, quantise
from mloscope.app.films.kinds import Frame
from mloscope.app.films.plan import FilmPlan
from mloscope.app.runs.tiles import joint_range, ranges

ADDRESS = "/api/v1/films/"
_MOST_PROBLEMS = 10_000


class Chunk(NamedTuple):
    """One block of a film."""

    description: dict[str, Any] | None
    """``address``, ``steps``, ``bytes``; None where none of its checkpoints has anything."""
    missing: dict[int, str]
    """By step, why there is no frame."""


class _Keyed(NamedTuple):
    """A block of a film, as the cache knows it."""

    key: str | None
    """None where none of its checkpoints can be read."""
    checkpoints: list[Checkpoint]
    fingerprints: dict[int, str]
    missing: dict[int, str]


class Chunks:
    """Encodes chunks and keeps them. Thread-safe."""

    def __init__(self, cache: ResultCache) -> None:
        self._cache = cache
        self._lasting: MutableMapping[tuple[str, str], str] = LRUCache(_MOST_PROBLEMS)
        """Problems that remain while a file does, by its fingerprint and what was to be shown."""
        self._lock = threading.Lock()

    def bytes_of(self, digest: str) -> bytes:
        """A chunk's bytes by the digest in its address. Raises :class:`NotFound` where the cache no longer has them."""

        def gone() -> bytes:
            raise NotFound(f'There is no film "{digest}" any more: request its manifest again to recreate it.')

        return self._cache.get_or_compute(f"film:{digest}", gone)

    def kept(self, plan: FilmPlan) -> list[Chunk] | None:
        """All chunks of the film where the cache has them all, else None. Reads no file; most films are asked for again."""
        blocks = [self._keyed(plan, block) for block in plan.blocks]
        keys = [block.key for block in blocks if block.key is not None]
        kept = {key: json.loads(data) for key, data in self._cache.kept(keys).items()}
        if len(kept) < len(keys) or not self._cache.has_all([_bytes_key(chunk) for chunk in kept.values()]):
            return None
        return [Chunk(None if block.key is None else kept[block.key], block.missing) for block in blocks]

    def of(self, plan: FilmPlan, blocks: Sequence[range], priority: int) -> list[Chunk]:
        """The chunks of these blocks; the kind is asked once for all frames that the cache lacks."""
        keyed = [self._keyed(plan, block) for block in blocks]
        by_key = {block.key: block for block in keyed if block.key is not None}
        made: dict[str, Chunk] = {}

        def encode_missing(keys: Sequence[str]) -> dict[str, bytes]:
            chunks, for_cache = self._encode_all(plan, {key: by_key[key] for key in keys}, priority)
            made.update(chunks)
            return for_cache

        kept = self._cache.get_or_compute_many(list(by_key), encode_missing)
        chunks = []
        for block in keyed:
            if block.key is None:
                chunks.append(Chunk(None, block.missing))
            elif block.key in made:
                chunks.append(made[block.key])
            else:
                description = json.loads(kept[block.key])
                # The cache may have dropped its bytes since then.
                self._cache.get_or_compute(_bytes_key(description), lambda block=block: self._rebuild(plan, block))
                chunks.append(Chunk(description, block.missing))
        return chunks

    def frames(self, plan: FilmPlan, checkpoints: Sequence[Checkpoint]) -> Film | Mapping[int, str]:
        """These checkpoints encoded, of their files as they are now, nothing kept; or why some of them have nothing."""
        fingerprints, missing = plan.question.run.fingerprints(checkpoints)
        if missing:
            return missing
        film, missing = self._encode(plan, plan.footage.frames(checkpoints, fingerprints), fingerprints)
        return missing or film

    # -------------------------------------------------------------------------------------------- encoding

    def _keyed(self, plan: FilmPlan, block: range) -> _Keyed:
        run, checkpoints = plan.question.run, plan.in_block(block)
        known, missing = run.fingerprints(checkpoints)
        shown = plan.frames_identity
        with self._lock:
            lasting = {
                step: self._lasting[each, shown] for step, each in known.items() if (each, shown) in self._lasting
            }
        missing |= lasting
        known = {step: fingerprint for step, fingerprint in known.items() if step not in lasting}
        key = content_key("chunk", run.architecture, plan.identity, repr(list(known.items())))
        chosen = [checkpoint for checkpoint in checkpoints if checkpoint.step in known]
        return _Keyed(key if known else None, chosen, known, missing)

    def _encode_all(
        self, plan: FilmPlan, blocks: Mapping[str, _Keyed], priority: int
    ) -> tuple[dict[str, Chunk], dict[str, bytes]]:
        """Encode the blocks: chunks by key, and what the cache is to keep. A chunk that misses a frame is not kept under its
        key, so that the step is tried again."""
        chunks: dict[str, Chunk] = {}
        for_cache: dict[str, bytes] = {}
        checkpoints = [checkpoint for block in blocks.values() for checkpoint in block.checkpoints]
        fingerprints = {step: each for block in blocks.values() for step, each in block.fingerprints.items()}
        frames = iter(plan.footage.frames(checkpoints, fingerprints, priority))
        for key, block in blocks.items():
            film, missing = self._encode(plan, islice(frames, len(block.checkpoints)), fingerprints)
            description = None
            if film.steps:
                data = film.to_bytes()
                digest = hashlib.blake2b(data, digest_size=16).hexdigest()
                description = {"address": f"{ADDRESS}{digest}", "steps": list(film.steps), "bytes": len(data)}
                for_cache[_bytes_key(description)] = data
                if not missing:
                    for_cache[key] = json.dumps(description).encode()
            chunks[key] = Chunk(description, block.missing | missing)
        return chunks, for_cache

    def _encode(
        self, plan: FilmPlan, frames: Iterator[Frame], fingerprints: Mapping[int, str]
    ) -> tuple[Film, dict[int, str]]:
        """The film of the frames, and the reasons of those that there are not."""
        select, whole = np.ix_(plan.units, plan.channels), plan.shows_everything
        steps, shown, unit_ranges, layer_ranges, figures, missing = [], [], [], [], [], {}
        for frame in frames:
            if frame.values is None:
                missing[frame.step] = str(frame.problem)
                if frame.is_lasting:
                    with self._lock:
                        self._lasting[fingerprints[frame.step], plan.frames_identity] = missing[frame.step]
                continue
            everywhere = ranges(frame.values)
            steps.append(frame.step)
            layer_ranges.append(joint_range(everywhere))
            unit_ranges.append(everywhere if whole else everywhere[list(plan.units)])
            shown.append(frame.values if whole else frame.values[select])
            figures.append({name: [of_all[unit] for unit in plan.units] for name, of_all in frame.figures.items()})
        return quantise(steps, shown, np.array(unit_ranges), np.array(layer_ranges), figures), missing

    def _rebuild(self, plan: FilmPlan, block: _Keyed) -> bytes:
        film, missing = self._encode(
            plan, plan.footage.frames(block.checkpoints, block.fingerprints), block.fingerprints
        )
        for reason in missing.values():  # without that step it is not what the address stands for
            raise Conflict(reason)
        return film.to_bytes()


def _bytes_key(description: Mapping[str, Any]) -> str:
    return "film:" + description["address"].removeprefix(ADDRESS)
