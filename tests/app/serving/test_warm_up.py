"""app/serving/warm_up.py: what the service is asked before anybody asks, and that nobody is hurt where it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mloscope.adaptors.interface import Checkpoint, Layer, Parameter, RunOptions
from mloscope.app.errors import NotPossible
from mloscope.app.model_service.wire import Evaluation, RunSpec
from mloscope.app.serving.warm_up import warm_up


@dataclass
class Service:
    """Remembers what it is asked."""

    input_shape: list[int | None]
    asked: list[tuple[list[int], list[str], tuple[int, ...], int]] = field(default_factory=list)

    def describe(self, spec: RunSpec) -> dict[str, Any]:
        if spec.format == "weights":
            raise NotPossible("No network.")
        return {"output_layer": "classes", "layers": {}, "input_shape": self.input_shape}

    def evaluate(
        self, spec: RunSpec, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Evaluation:
        self.asked.append((list(steps), list(layers), image.shape, priority))
        return Evaluation({}, steps, {})


@dataclass(frozen=True)
class Run:
    format: str = "keras"
    values: int = 1000
    path: Path = Path("run")
    options: RunOptions = field(default_factory=RunOptions)
    checkpoints: tuple[Checkpoint, ...] = tuple(
        Checkpoint(step, f"{step}.keras", problem="cut short" if step == 40 else None) for step in (0, 10, 20, 30, 40)
    )

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (Layer("dense", "dense", (), None, (Parameter("kernel", (self.values, 1), ("channel", "unit")),)),)


@pytest.mark.parametrize(("values", "steps"), [(1000, [0, 10, 20, 30]), (6_000_000, [20, 30]), (10**9, [20, 30])])
def test_the_last_steps_that_can_be_read_are_evaluated_after_all_others(values: int, steps: list[int]) -> None:
    service = Service([28, 28, 1])
    warm_up(service, Run(values=values))
    assert service.asked == [(steps, ["classes"], (28, 28, 1), 2)]


def test_a_network_that_takes_a_vector_gets_one() -> None:
    service = Service([784])
    warm_up(service, Run())
    assert [shape for _, _, shape, _ in service.asked] == [(1, 1, 784)]


@pytest.mark.parametrize(("shape", "run"), [([None, None, 3], Run()), ([28, 28, 1], Run(checkpoints=()))])
def test_what_cannot_be_evaluated_without_knowing_more_is_not(shape: list[int | None], run: Run) -> None:
    service = Service(shape)
    warm_up(service, run)
    assert service.asked == []


def test_a_refusal_is_the_callers() -> None:
    with pytest.raises(NotPossible):
        warm_up(Service([1]), Run("weights"))
