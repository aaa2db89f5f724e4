"""From a question to a film's plan: what is shown of the layer, and in which order its checkpoints are worked on."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mloscope.adaptors.interface import Checkpoint
from mloscope.app.evaluation.pacing import BLOCK_STEPS, nearest_first, place_of
from mloscope.app.films.kinds import FilmKind, FilmQuestion, Footage, Sources, options_of
from mloscope.app.films.selection import selection


@dataclass(frozen=True)
class FilmPlan:
    """A film in the making: the question, checked, and what follows from it."""

    question: FilmQuestion
    kind: FilmKind
    footage: Footage
    units: tuple[int, ...]
    channels: tuple[int, ...]
    blocks: list[range]
    """Places among :attr:`checkpoints`, a chunk each, the nearest first."""

    @classmethod
    def of(cls, question: FilmQuestion, kind: FilmKind, sources: Sources, chunk_bytes: int) -> FilmPlan:
        """Check the question and find out all that can be known before anything is read or evaluated."""
        units = question.units if kind.of_units else None
        question = replace(question, options=options_of(kind, question.options), units=units)
        checkpoints = question.run.checkpoints
        if question.near is not None:
            question.run.checkpoint(question.near)
        footage = kind.open(question, sources)
        units, channels = selection(question, footage.shape)
        frame_bytes = len(units) * len(channels) * int(np.prod(footage.shape[2:]))
        size = BLOCK_STEPS
        while size > 1 and size * frame_bytes > chunk_bytes:
            size //= 2
        place = 0 if kind.is_chained else place_of(checkpoints, question.near)
        blocks = nearest_first(len(checkpoints), place, size)
        return cls(question, kind, footage, units, channels, blocks)

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return self.question.run.checkpoints

    def in_block(self, block: range) -> list[Checkpoint]:
        return [self.checkpoints[i] for i in block]

    @functools.cached_property
    def shows_everything(self) -> bool:
        return self.units == tuple(range(self.footage.shape[0])) and self.channels == tuple(
            range(self.footage.shape[1])
        )

    @functools.cached_property
    def frames_identity(self) -> str:
        """All that decides a whole frame, but for the checkpoint and the architecture."""
        return json.dumps([self.kind.name, self.question.layer.name, self.footage.content])

    @functools.cached_property
    def identity(self) -> str:
        """All that decides what is encoded of a frame, but for the checkpoint and the architecture."""
        return json.dumps([self.frames_identity, self.units, self.channels, self.footage.shape])

    def head(self) -> Mapping[str, object]:
        """The manifest's first line."""
        units, channels, rows, columns, components = self.footage.shape
        return {
            "film": {
                "show": self.kind.name,
                "layer": self.question.layer.name,
                "parameter": self.footage.parameter,
                "units": list(self.units),
                "channels": list(self.channels),
                "unit_total": units,
                "channel_total": channels,
                "rows": rows,
                "columns": columns,
                "components": components,
                "steps": [checkpoint.step for checkpoint in self.checkpoints],
            }
        }
