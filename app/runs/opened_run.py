"""A run that could be opened: the handle that is passed on to everything that answers questions about a run.

    workspace.opened_run(name) ──► OpenedRun ──► layers, checkpoints, arrays, fingerprints

Made once per question, so that the run is looked up by name once. Errors of adaptors are translated here and nowhere
else: every method raises :class:`mloscope.app.errors.MloscopeError`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mloscope.adaptors.interface import AdaptorError, Checkpoint, Layer, Preprocessing, RunAdaptor, RunOptions
from mloscope.app.errors import Conflict, MloscopeError, NotFound, NotPossible, from_adaptor, of_adaptors
from mloscope.app.runs.architecture import Architecture

if TYPE_CHECKING:
    from mloscope.app.evaluation.basis import Basis
    from mloscope.app.workspace.connected import ConnectedRun

logger = logging.getLogger(__name__)

_NAMED_LAYERS = 12


class Fingerprints(NamedTuple):
    """What the files of some checkpoints are just now, by step."""

    known: dict[int, str]
    missing: dict[int, str]
    """Why there is none: sentences."""


@dataclass(frozen=True, eq=False)
class OpenedRun:
    """A run and the adaptor that reads it. Cheap to make, safe to use from several threads."""

    connected: ConnectedRun
    adaptor: RunAdaptor
    corpus: str | None
    """The corpus to show with it where none is chosen."""
    basis_over: Callable[[str | None], Basis]

    @property
    def name(self) -> str:
        return self.connected.name

    @property
    def title(self) -> str:
        """What people call it."""
        return self.connected.shown_title

    @property
    def path(self) -> Path:
        return self.connected.path

    @property
    def format(self) -> str:
        return self.adaptor.format

    @property
    def options(self) -> RunOptions:
        return self.connected.options

    @property
    def preprocessing(self) -> Preprocessing:
        """What is done to pixels before the network sees them."""
        return self.connected.preprocessing

    def basis(self, corpus: str | None = None) -> Basis:
        """What numbers of the run over the corpus (default: :attr:`corpus`) rest on."""
        return self.basis_over(corpus)

    # ---------------------------------------------------------------------------------------- layers

    @functools.cached_property
    def _architecture(self) -> Architecture:
        with of_adaptors():
            return self.connected.architecture.of(self.adaptor, self.options)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in topological order."""
        return self._architecture.layers

    @property
    def layer_by_name(self) -> Mapping[str, Layer]:
        return self._architecture.by_name

    @property
    def architecture(self) -> str:
        """Digest of the layers and of what the user said about the architecture: part of keys in the cache."""
        return self._architecture.digest

    def layer(self, name: str) -> Layer:
        """One layer. Raises :class:`NotFound`."""
        try:
            return self.layer_by_name[name]
        except KeyError:
            names = list(self.layer_by_name)
            more = len(names) - _NAMED_LAYERS
            known = ", ".join(names[:_NAMED_LAYERS]) + (f" and {more} more" if more > 0 else "")
            raise NotFound(f'The run "{self.name}" has no layer "{name}"; it has: {known}.') from None

    # ----------------------------------------------------------------------------------- checkpoints

    @functools.cached_property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """All checkpoints by step, broken ones with their problem included, as they are when first asked for."""
        with of_adaptors():
            return self.adaptor.checkpoints()

    @functools.cached_property
    def _checkpoint_by_step(self) -> dict[int, Checkpoint]:
        return {checkpoint.step: checkpoint for checkpoint in self.checkpoints}

    @property
    def steps(self) -> tuple[int, ...]:
        return tuple(self._checkpoint_by_step)

    def checkpoint(self, step: int) -> Checkpoint:
        """The checkpoint of this step, broken or not. Raises :class:`NotFound`."""
        try:
            return self._checkpoint_by_step[step]
        except KeyError:
            span = f"its steps go from {self.steps[0]} to {self.steps[-1]}" if self.steps else "it has none"
            raise NotFound(f'The run "{self.name}" has no checkpoint of step {step}; {span}.') from None

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        """Changes whenever the checkpoint's file does."""
        with of_adaptors():
            return self.adaptor.fingerprint(checkpoint)

    def fingerprints(self, checkpoints: Iterable[Checkpoint]) -> Fingerprints:
        """Fingerprints of the checkpoints that can be read; raises for none of them."""
        known: dict[int, str] = {}
        missing: dict[int, str] = {}
        for checkpoint in checkpoints:
            if checkpoint.problem:
                missing[checkpoint.step] = checkpoint.problem
                continue
            try:
                known[checkpoint.step] = self.adaptor.fingerprint(checkpoint)
            except AdaptorError as error:
                missing[checkpoint.step] = str(error)
            except OSError as error:
                missing[checkpoint.step] = f"The checkpoint {checkpoint.name} cannot be read: {error.strerror}."
        return Fingerprints(known, missing)

    def read(self, checkpoint: Checkpoint, layer: Layer, fingerprint: str | None = None) -> dict[str, np.ndarray]:
        """Read the layer's arrays, as stored. Raises :class:`Conflict` where the file changed meanwhile, or is no longer the
        one with the ``fingerprint``."""
        if checkpoint.problem:
            raise NotPossible(checkpoint.problem)
        try:
            before = fingerprint or self.adaptor.fingerprint(checkpoint)
            values = self.adaptor.parameters(checkpoint, layer)
            if self.adaptor.fingerprint(checkpoint) != before:
                raise changed(checkpoint)
            return values
        except MloscopeError:
            raise
        except AdaptorError as error:
            raise from_adaptor(error) from error
        except Exception as error:  # a stranger's adaptor: one checkpoint must not take the others with it
            logger.exception("adaptor %s failed on %s", self.format, checkpoint.name)
            raise NotPossible(
                f"The checkpoint {checkpoint.name} could not be read: the adaptor {self.format} failed on it; "
                "the log has the details."
            ) from error


def changed(checkpoint: Checkpoint) -> Conflict:
    """The error for a file that is no longer the one that was asked about."""
    return Conflict(f"{checkpoint.name} was changed while it was read; ask again.")
