"""What the first question about a network would wait for, done before anybody asks: files opened, graphs traced.

    the model service is ready ──► of each of the first runs: describe, then evaluate a black image at its last steps

All steps where their weights are small, and two at least, for several are evaluated in another way than one. Whoever asks meanwhile
comes first, but for what is under way.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mloscope.adaptors.interface import AdaptorError
from mloscope.app.errors import MloscopeError
from mloscope.app.evaluation.evaluations import spec_of
from mloscope.app.model_service.wire import Evaluation, RunSpec

if TYPE_CHECKING:
    from mloscope.app.runs.opened_run import OpenedRun
    from mloscope.app.workspace.workspace import Workspace

logger = logging.getLogger(__name__)

_MOST_RUNS = 4
"""As many networks as the Keras backend keeps."""
_LEAST_STEPS = 2
_WEIGHTS_BYTES = 64 << 20
"""Of a run, a small part of what the service keeps."""
_AFTER_ALL_OTHERS = 2


class Asked(Protocol):
    """The part of :class:`mloscope.app.model_service.client.ModelServiceClient` used here."""

    def describe(self, spec: RunSpec) -> dict[str, Any]: ...

    def evaluate(
        self, spec: RunSpec, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Evaluation: ...


def warm_up_in_background(service: Asked, workspace: Workspace) -> None:
    """Warm up in a thread that waits until the service has started, and that nobody waits for."""

    def work() -> None:
        for name in [run.name for run in workspace.runs][:_MOST_RUNS]:
            try:
                warm_up(service, workspace.opened_run(name))
            except (MloscopeError, AdaptorError) as error:  # which whoever looks at the run is told
                logger.debug("%s is not warmed up: %s", name, error)

    threading.Thread(target=work, name="warming up", daemon=True).start()


def warm_up(service: Asked, run: OpenedRun) -> None:
    """Have the service open the run and trace its network. Raises what the service says."""
    spec = spec_of(run)
    network = service.describe(spec)
    shape = network["input_shape"]
    steps = [checkpoint.step for checkpoint in run.checkpoints if not checkpoint.problem]
    steps = steps[-max(_LEAST_STEPS, _WEIGHTS_BYTES // max(1, _weights_bytes(run))) :]
    if steps and None not in shape:
        image = np.zeros(shape if len(shape) == 3 else (1, 1, int(np.prod(shape))), np.float32)
        service.evaluate(spec, steps, [network["output_layer"]], image, priority=_AFTER_ALL_OTHERS)


def _weights_bytes(run: OpenedRun) -> int:
    """Return what one checkpoint's weights take in memory."""
    return 4 * sum(math.prod(parameter.shape) for layer in run.layers for parameter in layer.parameters)
