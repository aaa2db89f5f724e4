"""What excites the units of a layer over all of training: what was found at every step, put side by side.

A unit has settled from the step on at which, and at all later steps, at least :data:`SHARE` of the images that excite it most at
the last step are among its best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mloscope.app.errors import NotFound
from mloscope.app.runs.receptive_fields import ReceptiveFields, receptive_fields
from mloscope.app.statistics.patches.search import TopPatches
from mloscope.app.statistics.patches.store import PatchStore
from mloscope.app.statistics.run_statistics import RunStatistics

SHARE = 0.5
"""Of the last step's images, so many must be there from when a unit has settled."""


@dataclass(frozen=True, eq=False)
class PatchCourse:
    """The top patches of a layer's units at all steps that have them."""

    steps: tuple[int, ...]
    found: tuple[TopPatches, ...]
    """By step."""

    @property
    def units(self) -> int:
        return len(self.found[0].counted)

    @cached_property
    def images(self) -> np.ndarray:
        """int32 (step, unit, k): as :attr:`TopPatches.images`; k is that of the step with the fewest."""
        count = min(found.images.shape[1] for found in self.found)
        return np.stack([found.images[:, :count] for found in self.found])

    @cached_property
    def overlap(self) -> np.ndarray:
        """float32 (step, unit): share of the last step's images that are among the best; NaN where the unit has none then, or
        is dead."""
        images, last = self.images, self.found[-1]
        of_last = images[-1]
        shared = np.zeros(images.shape[:2], np.int32)
        for place in range(images.shape[2]):  # one after the other, for all at once may take gigabytes
            shared += ((images == of_last[:, place, np.newaxis]) & (of_last[:, place, np.newaxis] >= 0)).any(axis=2)
        there = (of_last >= 0).sum(axis=1)
        means_something = (there > 0) & ~last.is_dead
        return np.where(means_something, shared / np.maximum(there, 1), np.nan).astype(np.float32)

    def settled(self, share: float = SHARE) -> list[int | None]:
        """By unit, the step from which on it looks as it does at the last one; None where it is dead then, or has no values."""
        holds = np.logical_and.accumulate((self.overlap >= share)[::-1], axis=0)[::-1]
        first = holds.argmax(axis=0)
        return [self.steps[place] if holds[place, unit] else None for unit, place in enumerate(first.tolist())]

    @cached_property
    def since(self) -> np.ndarray:
        """int32 (step, unit, k): the place among the steps from which on the image has been among the best without a break."""
        images = self.images
        since = np.zeros(images.shape, np.int32)
        for step in range(1, len(images)):
            same = images[step][:, :, np.newaxis] == images[step - 1][:, np.newaxis, :]
            stayed = np.take_along_axis(since[step - 1], same.argmax(axis=2), axis=1)
            since[step] = np.where(same.any(axis=2), stayed, step)
        return since


def patch_course(of: RunStatistics, layer: str) -> PatchCourse:
    """The course of a layer. Raises :class:`NotFound` with the command that computes it."""
    found = _stored(of, layer)
    if found is None:
        of.opened_run.layer(layer)  # which says so if there is none
        raise NotFound(f'The layer "{layer}" has no top patches yet; this finds them: {of.command} --top-patches')
    return found


def layers_with_patches(of: RunStatistics) -> dict[str, PatchCourse]:
    """By layer, in the network's order, what has been found."""
    courses = ((layer.name, _stored(of, layer.name)) for layer in of.opened_run.layers)
    return {name: course for name, course in courses if course is not None}


def fields_of(of: RunStatistics, layer: str) -> tuple[ReceptiveFields, tuple[int, int]] | None:
    """The receptive fields of the layer, and rows and columns of the image that they count in; None where images of several
    sizes are evaluated as they are."""
    wanted, own = of.opened_run.adaptor.input_shape, of.opened_corpus.adaptor.image_shape
    rows, columns = ((wanted[axis] if wanted else None) or (own[axis] if own else None) or 0 for axis in (0, 1))
    if not rows or not columns:
        return None
    fields = of.remembered(
        ("receptive fields", of.opened_run.architecture, rows, columns),
        lambda: receptive_fields(of.opened_run.layers, (rows, columns)),
    )
    return fields[layer], (rows, columns)


def _stored(of: RunStatistics, layer: str) -> PatchCourse | None:
    store = PatchStore(of.store.folder)
    keys = {state.step: state.key for state in of.steps if state.key is not None}
    counts = {step: count for step, key in keys.items() if (count := store.count(key, layer))}
    if not counts:
        return None
    content = ("patches", layer, tuple((step, keys[step], count) for step, count in counts.items()))
    return of.remembered(content, lambda: _read(store, layer, [(step, str(keys[step])) for step in counts]))


def _read(store: PatchStore, layer: str, keys: Sequence[tuple[int, str]]) -> PatchCourse | None:
    found = {step: patches for step, key in keys if (patches := store.find(key, layer)) is not None}
    return PatchCourse(tuple(found), tuple(found.values())) if found else None
