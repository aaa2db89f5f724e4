"""Ask the model service whether a run's network can be evaluated now, and for the outputs of its layers for an
image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from mloscope.adaptors.interface import EvaluableRun, Layer
from mloscope.app.errors import MloscopeError, NotPossible, Unavailable
from mloscope.app.evaluation.network_input import NetworkInput
from mloscope.app.evaluation.pacing import Pace
from mloscope.app.model_service import backends
from mloscope.app.model_service.client import Asked, Evaluation, Pictures, RunSpec
from mloscope.app.runs.opened_run import OpenedRun, changed

READY, IMPOSSIBLE, NOT_INSTALLED = "ready", "impossible", "not installed"
_TEMPORARY = {"starting": "is starting", "restarting": "stopped and is being restarted"}


class ModelService(Protocol):
    """The part of :class:`mloscope.app.model_service.client.ModelServiceClient` used here."""

    def evaluate(
        self, spec: RunSpec, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Evaluation: ...

    def pictures(
        self,
        spec: RunSpec,
        steps: Sequence[int],
        method: str,
        asked: Asked,
        before: np.ndarray | None = None,
        priority: int = 0,
    ) -> Pictures: ...


@dataclass(frozen=True)
class Availability:
    """Whether a run's network can be evaluated now."""

    possible: bool
    state: str
    """The model service's: ``ready``, ``starting``, ``restarting``, ``not installed``, ``stopped``; or ``impossible``."""
    message: str | None
    """A sentence where it is not possible."""
    temporary: bool = False
    """Retrying later may succeed."""

    def json(self) -> dict[str, Any]:
        return {"possible": self.possible, "state": self.state, "message": self.message, "passing": self.temporary}


@dataclass(frozen=True)
class Outputs:
    """An answer of the model service."""

    arrays: Mapping[tuple[int, str], np.ndarray]
    """float32 in the layer's output shape, by step and layer."""
    failed: Mapping[int, str]
    """By step, a sentence why there is none."""


class Evaluations:
    """Asks the model service on behalf of the current caller. Thread-safe.

    ``model_service`` None: there is none. ``service_state()`` gives its state and a sentence or None, as
    ``ModelServiceProcess.state`` and ``.problem`` do; default: ready where there is a service. ``charge(count)`` is called
    before that many checkpoints are evaluated for the current caller; it may raise TooManyRequests.
    """

    def __init__(
        self,
        model_service: ModelService | None,
        *,
        service_state: Callable[[], tuple[str, str | None]] | None = None,
        charge: Callable[[int], None] = lambda _count: None,
        pace: Pace | None = None,
    ) -> None:
        self._service = model_service
        self._state = service_state or self._presumed_state
        self._charge = charge
        self.pace = pace or Pace()

    def _presumed_state(self) -> tuple[str, str | None]:
        return (NOT_INSTALLED, _no_service()) if self._service is None else (READY, None)

    def service_status(self, timeout_s: float = 1.0) -> dict[str, Any]:
        """Return JSON: ``state``, ``problem``, and the service's own status. Takes at most about ``timeout_s``."""
        state, problem = self._state()
        status: dict[str, Any] = {}
        ask = getattr(self._service, "status", None)
        if ask is not None and state == READY:
            try:
                status = ask(timeout_s)
                state, problem = status["state"], status["problem"]
            except MloscopeError as error:
                state, problem = "unreachable", str(error)
            several = getattr(self._service, "services", None)
            if several is not None:
                status["services"] = several(timeout_s)
        return {**status, "state": state, "problem": problem}

    def availability(self, run: OpenedRun) -> Availability:
        """Return whether feature maps and predictions of the run are available now, and if not, why."""
        if not isinstance(run.adaptor, EvaluableRun):
            return Availability(
                False,
                IMPOSSIBLE,
                f'The network of the run "{run.name}" cannot be evaluated: the format {run.format} contains only weights.',
            )
        state, problem = self._state()
        if state == READY and self._service is not None:
            return Availability(True, state, None)
        if state == NOT_INSTALLED or self._service is None:
            return Availability(False, NOT_INSTALLED, problem or _no_service())
        words = _TEMPORARY.get(state, f"is {state}")
        return Availability(False, state, problem or f"The model service {words}.", state in _TEMPORARY)

    def check(self, run: OpenedRun, layer: Layer) -> None:
        """Raise if the layer can never be evaluated. A service that is starting is not an error, because cached results
        are available."""
        if layer.problem:
            raise NotPossible(layer.problem)
        available = self.availability(run)
        if available.state == IMPOSSIBLE:
            raise NotPossible(str(available.message))
        if self._service is None:
            raise Unavailable(str(available.message))

    def outputs(
        self,
        run: OpenedRun,
        wanted: Sequence[tuple[int, str]],
        fingerprints: Mapping[int, str],
        image: NetworkInput,
        priority: int,
    ) -> Outputs:
        """Evaluate layers at steps, ``wanted`` as (step, layer), in one call. Steps that fail, or whose file no longer
        has the given fingerprint, are in ``failed`` and left out."""
        assert self._service is not None
        steps = sorted({step for step, _ in wanted})
        layers = list(dict.fromkeys(layer for _, layer in wanted))
        self._charge(len(steps))
        with self.pace.timed(run.architecture, len(steps)):
            answer = self._service.evaluate(spec_of(run), steps, layers, image.values, priority)
        # Otherwise the new file's result would be cached under the old file's fingerprint.
        failed = {**_changed(run, steps, fingerprints), **answer.failed}
        row = {step: number for number, step in enumerate(steps)}
        arrays = {
            (step, layer): np.asarray(answer[layer][row[step]], np.float32)
            for step, layer in wanted
            if step not in failed
        }
        return Outputs(arrays, failed)

    def pictures(
        self,
        run: OpenedRun,
        steps: Sequence[int],
        fingerprints: Mapping[int, str],
        method: str,
        asked: Asked,
        before: np.ndarray | None,
        priority: int,
    ) -> Pictures:
        """Ask for pictures at the steps, in this order, in one call. Steps that fail, or whose file no longer has the given
        fingerprint, are in ``failed``."""
        assert self._service is not None
        self._charge(len(steps))
        answer = self._service.pictures(spec_of(run), steps, method, asked, before, priority)
        return replace(answer, failed={**_changed(run, steps, fingerprints), **answer.failed})


def _no_service() -> str:
    return backends.missing() or "No model service is running."


def spec_of(run: OpenedRun) -> RunSpec:
    """Return what the model service needs to open the run by itself."""
    return RunSpec(str(run.path.absolute()), run.format, run.options)


def _changed(run: OpenedRun, steps: Sequence[int], fingerprints: Mapping[int, str]) -> dict[int, str]:
    """Return sentences about the steps whose files no longer have these fingerprints."""
    now, missing = run.fingerprints(run.checkpoint(step) for step in steps)
    return {
        step: missing.get(step) or str(changed(run.checkpoint(step)))
        for step in steps
        if now.get(step) != fingerprints[step]
    }
