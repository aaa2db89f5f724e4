"""Test whether a run's network can be evaluated, by evaluating it once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mloscope.adaptors.interface import EvaluableRun
from mloscope.app.errors import MloscopeError
from mloscope.app.evaluation.basis import Basis
from mloscope.app.model_service.backends import BackendMissing
from mloscope.app.model_service.evaluator import evaluator_in_this_process
from mloscope.app.model_service.wire import RunSpec

if TYPE_CHECKING:
    from mloscope.app.workspace.connected import ConnectedRun

_EDGE_WHERE_FREE = 64
"""Rows and columns of the image for a network that takes any size."""


@dataclass(frozen=True)
class Trial:
    """The result."""

    possible: bool | None
    """None where it was not tried."""
    problem: str | None
    """A sentence where it is not possible or was not tried."""
    step: int | None = None
    """The checkpoint that was evaluated."""


NOT_TRIED = Trial(None, "Whether the network can be evaluated was not tested.")


def try_network(run: ConnectedRun, basis: Basis) -> Trial:
    """Evaluate the last readable checkpoint on one black image, in this process. Loads the network's backend, which
    takes seconds."""
    adaptor = run.adaptor
    if adaptor is None or not isinstance(adaptor, EvaluableRun):
        return Trial(False, f"The format {run.format} contains only weights, without a network to evaluate.")
    readable = [checkpoint.step for checkpoint in adaptor.checkpoints() if not checkpoint.problem]
    if not readable:
        return Trial(False, "No checkpoint can be read.")
    try:
        evaluator = evaluator_in_this_process(adaptor, open_run=lambda *_: adaptor)
    except BackendMissing as error:
        return Trial(None, f"Whether the network can be evaluated was not tested. {error}")
    shape = basis.input_shape or (None, None, 3)
    image = np.zeros((shape[0] or _EDGE_WHERE_FREE, shape[1] or _EDGE_WHERE_FREE, shape[2]), np.float32)
    spec = RunSpec(str(run.path.expanduser().absolute()), adaptor.format, run.options)
    step = readable[-1]
    try:
        layer = basis.output.layer or evaluator.describe(spec)["output_layer"]
        found = evaluator.evaluate(spec, [step], [layer], image)
    except MloscopeError as error:
        return Trial(False, str(error), step)
    return Trial(not found.failed, found.failed.get(step), step)
