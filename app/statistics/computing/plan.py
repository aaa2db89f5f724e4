"""What there is to compute: checkpoints x slices of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mloscope.adaptors.interface import Checkpoint, CorpusAdaptor, EvaluableRun
from mloscope.app.errors import MloscopeError, NotPossible
from mloscope.app.evaluation.basis import Basis
from mloscope.app.images.opened_corpus import OpenedCorpus
from mloscope.app.model_service.wire import RunSpec
from mloscope.app.runs.opened_run import OpenedRun
from mloscope.app.statistics.computing.step_in_the_making import NO_PATCHES
from mloscope.app.statistics.computing.tasks import NetworkSource, Source, Span
from mloscope.app.statistics.identity import Identity
from mloscope.app.statistics.patches.asked import PER_UNIT, AskedPatches, asked_patches, batch_that_fits
from mloscope.app.workspace.workspace import Workspace

SLICE_IMAGES = 2500
"""A slice has at most this many images, so that little is lost with a task."""
SLICE_INPUT_BYTES = 64 << 20
SLICE_OUTPUT_BYTES = 16 << 20
BATCH_IMAGES = 250
BATCH_INPUT_BYTES = 4 << 20
UNKNOWN_INPUT_BYTES = 224 * 224 * 3 * 4
"""The assumed size of an image if neither run nor corpus tells it."""
_MOST_NAMES = 1000


@dataclass(frozen=True)
class PlannedStep:
    """One checkpoint of a job."""

    step: int
    key: str
    fingerprint: str
    about: Mapping[str, Any] = field(default_factory=dict)
    """What goes into ``about.json`` beside the numbers."""


@dataclass(frozen=True)
class Job:
    """Some checkpoints of a run over one split of one corpus."""

    source: Source
    labels: np.ndarray
    """int32 (image,): which of the network's classes is right, -1 if none is or it is not known"""
    steps: tuple[PlannedStep, ...]
    input_bytes: int
    """Of one prepared image."""
    problems: Mapping[int, str] = field(default_factory=dict)
    """By step: why it is known to be unusable before anything is evaluated."""
    batch: int = BATCH_IMAGES
    form: str | None = None
    """Which probabilities to keep, see :meth:`StatisticsStore.begin`; None: by size."""
    patches: AskedPatches = NO_PATCHES
    """The top patches that are to be found on the way."""

    @property
    def images(self) -> int:
        return len(self.labels)

    def slices(self, classes: int) -> list[Span]:
        """The images in equal pieces, each but the last a multiple of the batch. The same for the same job, so that what an
        earlier process wrote fits."""
        most = min(
            SLICE_IMAGES, SLICE_INPUT_BYTES // max(1, self.input_bytes), SLICE_OUTPUT_BYTES // max(1, 4 * classes)
        )
        size = max(1, most // self.batch) * self.batch
        return [(start, min(start + size, self.images)) for start in range(0, self.images, size)]


def default_split(splits: Mapping[str, range]) -> str:
    """``test`` if there is one, else the last split that has images. Raises :class:`NotPossible` if none has."""
    filled = [name for name, positions in splits.items() if len(positions)]
    if not filled:
        raise NotPossible("The corpus has no images, so there is nothing to compute.")
    return "test" if "test" in filled else filled[-1]


def plan(
    workspace: Workspace,
    run: str,
    corpus: str,
    split: str,
    *,
    steps: Sequence[int] | None = None,
    batch: int | None = None,
    form: str | None = None,
    identity: Identity | None = None,
    patches_of: Sequence[str] | None = None,
    patches_per_unit: int = PER_UNIT,
) -> Job:
    """Plan the job for a run of a workspace; reads no weights.

    ``steps``: default all. ``patches_of``: also find the top patches of the units of these layers; of none, those of
    :func:`mloscope.app.statistics.patches.asked.default_layers`. Raises :class:`NotFound` for a split, step or layer that
    does not exist, and :class:`NotPossible` if the run's network cannot be evaluated.
    """
    opened, images = workspace.opened_run(run), workspace.opened_corpus(corpus)
    positions = images.split(split)
    if not isinstance(opened.adaptor, EvaluableRun):
        raise NotPossible(
            f'The network of the run "{run}" cannot be evaluated: the format {opened.format} holds its weights only. '
            "Predictions computed elsewhere can be imported: mloscope statistics import --help."
        )
    basis = opened.basis(corpus)
    input_bytes = _input_bytes(opened.adaptor, images.adaptor)
    usual = max(8, min(BATCH_IMAGES, BATCH_INPUT_BYTES // input_bytes))
    patches = NO_PATCHES
    if patches_of is not None:
        patches = asked_patches(opened.layers, patches_of, patches_per_unit, batch or usual)
    batch = batch or batch_that_fits(opened.layers, patches, usual)
    source = _source(opened, images, split, batch, basis)
    planned, problems = [], {}
    identity = identity or Identity(workspace)
    for checkpoint in _chosen(opened, steps):
        try:
            if checkpoint.problem:
                raise NotPossible(checkpoint.problem)
            key = identity.step(run, checkpoint, corpus, split)
            about = _about(source, checkpoint, basis)
            planned.append(PlannedStep(checkpoint.step, key, opened.fingerprint(checkpoint), about))
        except (MloscopeError, OSError) as error:
            problems[checkpoint.step] = str(error)
    labels = basis.classes.outputs_of(np.asarray(images.adaptor.labels)[positions.start : positions.stop])
    return Job(source, labels, tuple(planned), input_bytes, problems, batch, form, patches)


def _source(run: OpenedRun, corpus: OpenedCorpus, split: str, batch: int, basis: Basis) -> NetworkSource:
    if basis.output.layer is None or basis.output.rule is None:
        raise NotPossible(f'The run "{run.name}" gives no class probabilities. {basis.output.refusal}')
    return NetworkSource(
        RunSpec(str(run.path.expanduser().absolute()), run.format, run.options),
        str(corpus.path.expanduser().absolute()),
        corpus.adaptor.format,
        split,
        batch,
        basis.output.layer,
        basis.output.rule,
        basis.classes.corpus_classes,
    )


def _input_bytes(run: EvaluableRun, corpus: CorpusAdaptor) -> int:
    """Size of one prepared image."""
    shape = run.input_shape or (None, None, 3)
    own = corpus.image_shape or (None, None, shape[2])
    rows, columns = shape[0] or own[0], shape[1] or own[1]
    return 4 * rows * columns * shape[2] if rows and columns else UNKNOWN_INPUT_BYTES


def _about(source: NetworkSource, checkpoint: Checkpoint, basis: Basis) -> dict[str, Any]:
    return {
        "run": source.run.path,
        "format": source.run.format,
        "step": checkpoint.step,
        "label": checkpoint.label or str(checkpoint.step),
        "checkpoint": checkpoint.name,
        "corpus": source.corpus,
        "split": source.split,
        "source": "evaluated",
        "output": source.output,
        "rule": source.rule,
        "class_names": list(basis.classes.names[:_MOST_NAMES]),
    }


def _chosen(run: OpenedRun, steps: Sequence[int] | None) -> Sequence[Checkpoint]:
    """The run's checkpoints, or those of the steps."""
    return run.checkpoints if steps is None else [run.checkpoint(step) for step in sorted(set(steps))]
