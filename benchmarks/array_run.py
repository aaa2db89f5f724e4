"""A run made of arrays, and what stands for the model service that would evaluate it: for benchmarks of what lies behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


class ArrayRun:
    """A run whose layers and parameters are given. ``parameters(step, layer)``: the arrays of a layer by name."""

    format, description, backend = "arrays", "arrays made for a benchmark", "keras"
    class_names: tuple[str, ...] = ()
    preprocessing = None

    def __init__(
        self, steps: Sequence[int], layers: Sequence[Any], parameters: Callable[[int, Any], dict[str, np.ndarray]]
    ) -> None:
        from mloscope.adaptors.interface import Checkpoint

        self._checkpoints = tuple(Checkpoint(step, f"{step}.npz", epoch=step / 1000) for step in steps)
        self._layers, self._parameters = tuple(layers), parameters
        self.input_shape = layers[0].output_shape

    @classmethod
    def can_open(cls, path: Path) -> bool:
        return False

    @classmethod
    def open(cls, path: Path, options: Any) -> ArrayRun:
        raise AssertionError("it is made, not opened")

    def checkpoints(self) -> tuple[Any, ...]:
        return self._checkpoints

    def layers(self) -> tuple[Any, ...]:
        return self._layers

    def parameters(self, checkpoint: Any, layer: Any) -> dict[str, np.ndarray]:
        return self._parameters(checkpoint.step, layer)

    def fingerprint(self, checkpoint: Any) -> str:
        return f"{checkpoint.step:x}"

    def problems(self) -> tuple[str, ...]:
        return ()

    def weights(self, checkpoint: Any) -> dict[str, np.ndarray]:
        raise AssertionError("the web process never reads all weights")


class ArrayService:
    """Stands for the model service. ``outputs``: a layer's output at a step, by the layer's name."""

    def __init__(self, outputs: Mapping[str, Callable[[int], np.ndarray]]) -> None:
        self._outputs = outputs

    def evaluate(
        self, spec: Any, steps: Sequence[int], layers: Sequence[str], image: np.ndarray, priority: int = 0
    ) -> Any:
        from mloscope.app.model_service.client import Evaluation

        return Evaluation({name: np.stack([self._outputs[name](step) for step in steps]) for name in layers}, steps, {})
