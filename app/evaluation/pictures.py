"""Pictures of what a unit sees at the checkpoints, from the cache or made by the model service.

run, checkpoints, question ──► cache ── miss ──► model service, a few checkpoints a call
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Layer
from mloscope.app.cache.content_keys import content_key, digest, pack, unpack
from mloscope.app.cache.result_cache import ResultCache
from mloscope.app.evaluation.evaluations import Evaluations
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.model_service.client import Asked
from mloscope.app.model_service.pictures.picture import Picture
from mloscope.app.runs.opened_run import OpenedRun

_CALL_BYTES = 64 << 20
"""Of pictures in one answer of the model service at most."""
_CHAINED = 4
"""Checkpoints in one call where each begins with the one before: they take long."""


@dataclass(frozen=True)
class PictureQuestion:
    """Which picture is wanted of a layer."""

    layer: Layer
    method: str
    """One of :data:`mloscope.app.model_service.pictures.METHODS`."""
    options: Mapping[str, Any]
    image: NetworkInput
    units: int
    """How many units the picture has."""
    beside: np.ndarray | None = None
    is_chained: bool = False
    """Whether each checkpoint's picture is made from that of the one before."""

    @property
    def content(self) -> str:
        """All that decides a picture besides run and checkpoint, as text."""
        beside = "" if self.beside is None else digest(self.beside.tobytes())
        return json.dumps([self.layer.name, self.method, dict(self.options), self.image.digest, beside])


class Pictures:
    """Answers from the cache and has made what is missing. Thread-safe."""

    def __init__(self, cache: ResultCache, evaluations: Evaluations) -> None:
        self._cache = cache
        self._evaluations = evaluations

    def check(self, run: OpenedRun, layer: Layer) -> None:
        """Raise if the layer can never be evaluated; a service that is starting is not an error."""
        self._evaluations.check(run, layer)

    def at(
        self,
        run: OpenedRun,
        checkpoints: Sequence[Checkpoint],
        question: PictureQuestion,
        fingerprints: Mapping[int, str],
        priority: int = 0,
    ) -> Iterator[tuple[int, Picture | str]]:
        """Yield each step with its picture, or with a sentence why there is none, in the order of the checkpoints; of the files with
        these fingerprints. Raises where no picture can be made at all."""
        self._evaluations.check(run, question.layer)
        steps = [checkpoint.step for checkpoint in checkpoints]
        at_once = max(1, _CALL_BYTES // (4 * question.units * max(1, question.image.values.size)))
        if question.is_chained:
            yield from self._chained(run, steps, question, min(at_once, _CHAINED), priority)
            return
        for begin in range(0, len(steps), at_once):
            yield from self._some(run, steps[begin : begin + at_once], question, fingerprints, priority)

    def _some(
        self,
        run: OpenedRun,
        steps: Sequence[int],
        question: PictureQuestion,
        fingerprints: Mapping[int, str],
        priority: int,
    ) -> Iterator[tuple[int, Picture | str]]:
        content = question.content
        keys = {step: content_key("picture", run.architecture, fingerprints[step], content) for step in steps}
        step_of = {key: step for step, key in keys.items()}
        asked = Asked(question.layer.name, question.options, question.image.values, question.beside)
        failed: dict[int, str] = {}

        def make(wanted: Sequence[str]) -> dict[str, bytes]:
            asked_for = [step_of[key] for key in wanted if step_of[key] not in failed]
            if not asked_for:
                return {}
            made = self._evaluations.pictures(run, asked_for, fingerprints, question.method, asked, None, priority)
            failed.update(made.failed)
            return {
                keys[step]: _packed(Picture(values, made.figures[step]))
                for step, values in zip(asked_for, made.values, strict=True)
                if step not in made.failed
            }

        found = self._cache.get_or_compute_many(list(step_of), make)
        for step, key in keys.items():
            yield step, _unpacked(found[key]) if key in found else failed.get(step_of[key], "It could not be made.")

    def _chained(
        self, run: OpenedRun, steps: Sequence[int], question: PictureQuestion, at_once: int, priority: int
    ) -> Iterator[tuple[int, Picture | str]]:
        """The steps' pictures, and whatever comes before them and is not in the cache."""
        known, missing = run.fingerprints(run.checkpoints)
        chain = [checkpoint.step for checkpoint in run.checkpoints if checkpoint.step in known]
        keys, past = dict[int, str](), ""
        for step in chain:
            past = digest(past, known[step])
            keys[step] = content_key("chain", run.architecture, past, question.content)
        failed: dict[int, str] = dict(missing)
        for step in steps:
            if step in keys and step not in failed and not self._cache.has_all([keys[step]]):
                self._continue(run, chain[: chain.index(step) + 1], keys, known, question, at_once, priority, failed)
            found = self._cache.kept([keys[step]]) if step in keys and step not in failed else {}
            yield step, _unpacked(found[keys[step]]) if found else failed.get(step, "It could not be made.")

    def _continue(
        self,
        run: OpenedRun,
        chain: Sequence[int],
        keys: Mapping[int, str],
        fingerprints: Mapping[int, str],
        question: PictureQuestion,
        at_once: int,
        priority: int,
        failed: dict[int, str],
    ) -> None:
        """Have the last of the chain made, from the last before it that the cache has; a step that fails is passed over."""
        asked = Asked(question.layer.name, question.options, question.image.values, question.beside)
        held = [number for number, step in enumerate(chain) if self._cache.has_all([keys[step]])]
        first = held[-1] + 1 if held else 0
        kept = self._cache.kept([keys[chain[held[-1]]]]) if held else {}
        before = _unpacked(kept[keys[chain[held[-1]]]]).values if kept else None
        for begin in range(first if before is not None else 0, len(chain), at_once):
            some = list(chain[begin : begin + at_once])
            made = self._evaluations.pictures(run, some, fingerprints, question.method, asked, before, priority)
            failed.update(made.failed)
            for step, values in zip(some, made.values, strict=True):
                if step not in made.failed:
                    before = values
                    data = _packed(Picture(values, made.figures[step]))
                    self._cache.get_or_compute(keys[step], lambda data=data: data)


def _packed(picture: Picture) -> bytes:
    head = json.dumps(dict(picture.figures)).encode()
    return struct.pack("<I", len(head)) + head + pack(picture.values)


def _unpacked(data: bytes) -> Picture:
    (length,) = struct.unpack_from("<I", data)
    return Picture(unpack(data[4 + length :]), json.loads(data[4 : 4 + length]))
