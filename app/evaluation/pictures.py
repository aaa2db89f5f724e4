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


def _packed(picture: Picture) -> bytes:
    head = json.dumps(dict(picture.figures)).encode()
    return struct.pack("<I", len(head)) + head + pack(picture.values)


def _unpacked(data: bytes) -> Picture:
    (length,) = struct.unpack_from("<I", data)
    return Picture(unpack(data[4 + length :]), json.loads(data[4 : 4 + length]))
