"""Runs opened for evaluation: adaptor, network and checkpoints' weights, kept while they are used, within a budget.

RunSpec ──► adaptor ──► its backend ──► Network          kept for the runs used last
              └─ weights(checkpoint) ──► Weights         kept within a budget of bytes
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cachetools import LRUCache

from mloscope.adaptors.interface import AdaptorError, Checkpoint, EvaluableRun, RunAdaptor, RunOptions
from mloscope.app import errors
from mloscope.app.model_service.backends import Network, NetworkBackend, StacksWeights, Weights
from mloscope.app.model_service.wire import RunSpec

logger = logging.getLogger(__name__)

OpenRun = Callable[[Path, RunOptions, str], RunAdaptor]
WeightsKey = tuple[str, str, str]
"""Architecture, run, checkpoint fingerprint."""

_MOST_RUNS = 16
_MOST_STACKS = 16
"""Sets of checkpoints that are kept stacked: each is a second copy of their weights, and readers at other steps ask for other sets."""


class Backends(Protocol):
    """Backends by name, such as :class:`mloscope.app.model_service.backends.LoadedBackends`."""

    def backend(self, name: str) -> NetworkBackend: ...

    @property
    def loaded(self) -> Sequence[NetworkBackend]: ...


@dataclass(frozen=True)
class OpenedNetwork:
    """A run and its network."""

    spec: RunSpec
    adaptor: RunAdaptor
    checkpoints: Mapping[int, Checkpoint]
    backend: NetworkBackend
    network: Network


@dataclass
class _OpenedRun:
    spec: RunSpec
    adaptor: RunAdaptor
    checkpoints: Mapping[int, Checkpoint]
    built: tuple[NetworkBackend, Network] | errors.MloscopeError | None = None
    """The network, or why there is none; None while nobody has asked for it."""


class OpenedNetworks:
    """Used by one thread; only :attr:`networks` and :attr:`weights_bytes` may be asked for by others."""

    def __init__(self, backends: Backends, weights_budget_bytes: int, open_run: OpenRun) -> None:
        self._backends, self._open_run = backends, open_run
        self._runs: LRUCache[str, _OpenedRun] = LRUCache(_MOST_RUNS)
        self._weights: LRUCache[Any, Weights] = LRUCache(weights_budget_bytes, getsizeof=lambda each: each.nbytes)
        self._stacks: OrderedDict[tuple[WeightsKey, ...], None] = OrderedDict()

    @property
    def networks(self) -> list[tuple[str, Network]]:
        """Each network once, with the path of the first run that has it."""
        found: dict[int, tuple[str, Network]] = {}
        for run in list(self._runs.values()):
            if isinstance(run.built, tuple):
                _backend, network = run.built
                found.setdefault(id(network), (run.spec.path, network))
        return list(found.values())

    @property
    def weights_bytes(self) -> int:
        return int(self._weights.currsize)

    @property
    def weights_budget_bytes(self) -> int:
        return int(self._weights.maxsize)

    def opened(self, spec: RunSpec, steps: Sequence[int] = ()) -> OpenedNetwork:
        """The run's network; the folder is listed again where a step is not known. Raises whatever makes it impossible,
        again each time it is asked for."""
        run = self._run(spec, steps)
        if run.built is None:
            try:
                run.built = self._built(run.adaptor, spec.path)
            except AdaptorError as error:
                run.built = errors.from_adaptor(error)
            except errors.MloscopeError as error:
                run.built = error
        if isinstance(run.built, errors.MloscopeError):
            raise type(run.built)(str(run.built))
        return OpenedNetwork(spec, run.adaptor, run.checkpoints, *run.built)

    def weights(self, opened: OpenedNetwork, step: int) -> tuple[WeightsKey, Weights]:
        """A checkpoint's weights as the network takes them, with the key that :meth:`stacked` wants. Raises
        :class:`MloscopeError` or :class:`AdaptorError` where this step cannot be evaluated."""
        checkpoint = opened.checkpoints.get(step)
        if checkpoint is None:
            raise errors.NotFound(f"The run {opened.spec.path} has no checkpoint at step {step}.")
        if checkpoint.problem:
            raise errors.NotPossible(checkpoint.problem)
        fingerprint = opened.adaptor.fingerprint(checkpoint)
        key = (opened.network.digest, opened.spec.key, fingerprint)
        weights = self._weights.get(key)
        if weights is None:
            weights = self._read(opened, checkpoint, fingerprint)
            self._keep(key, weights)
        return key, weights

    def stacked(self, network: StacksWeights, sets: Sequence[tuple[WeightsKey, Weights]]) -> Weights:
        """Several checkpoints' weights as one."""
        key = tuple(key for key, _weights in sets)
        stack = self._weights.get(key)
        if stack is None:
            stack = network.stacked([weights for _key, weights in sets])
            self._keep(key, stack)
        self._stacks[key] = None
        self._stacks.move_to_end(key)
        if len(self._stacks) > _MOST_STACKS:
            oldest, _nothing = self._stacks.popitem(last=False)
            self._weights.pop(oldest, None)
        return stack

    def _run(self, spec: RunSpec, steps: Sequence[int]) -> _OpenedRun:
        run = self._runs.get(spec.key)
        if run is not None and all(step in run.checkpoints for step in steps):
            return run
        try:  # training may still be saving
            adaptor = self._open_run(Path(spec.path), spec.options, spec.format)
            checkpoints = {checkpoint.step: checkpoint for checkpoint in adaptor.checkpoints()}
        except AdaptorError as error:
            raise errors.from_adaptor(error) from error
        if run is None:
            run = self._runs[spec.key] = _OpenedRun(spec, adaptor, checkpoints)
        else:
            if adaptor.layers() != run.adaptor.layers():  # somebody trains another network into the same folder
                run.built = None
            run.adaptor, run.checkpoints = adaptor, checkpoints
        return run

    def _built(self, adaptor: RunAdaptor, path: str) -> tuple[NetworkBackend, Network]:
        if not isinstance(adaptor, EvaluableRun):
            raise errors.NotPossible(
                f"{path} was opened as {adaptor.format}, which tells weights but no network to evaluate."
            )
        backend = self._backends.backend(adaptor.backend)
        try:
            return backend, backend.open(adaptor, path)
        except (AdaptorError, errors.MloscopeError):
            raise
        except Exception as error:  # a stranger's backend, or the framework behind it
            logger.exception("The backend %s refused the network of %s", backend.name, path)
            raise errors.NotPossible(
                f"{backend.title} cannot run the network of {path}: {errors.lines_of(error)[0]}"
            ) from error

    def _read(self, opened: OpenedNetwork, checkpoint: Checkpoint, fingerprint: str) -> Weights:
        adaptor = opened.adaptor
        assert isinstance(adaptor, EvaluableRun)
        try:
            arrays = adaptor.weights(checkpoint)
            if opened.adaptor.fingerprint(checkpoint) != fingerprint:
                raise errors.Conflict(f"{checkpoint.name} was changed while it was read; ask again.")
            return opened.network.weights(arrays, checkpoint)
        except (AdaptorError, errors.MloscopeError, MemoryError):
            raise
        except Exception as error:  # one bad file, or one bad adaptor, costs its own step only
            logger.exception("The adaptor %s failed on %s", opened.adaptor.format, checkpoint.name)
            raise errors.NotPossible(f"{checkpoint.name} cannot be read: {errors.lines_of(error)[0]}") from error

    def _keep(self, key: Any, weights: Weights) -> None:
        """Unless they alone are over the budget."""
        if weights.nbytes <= self._weights.maxsize:
            self._weights[key] = weights
