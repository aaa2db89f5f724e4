"""A network backend made of NumPy and a run for it, both in memory: what the tests of everything around backends look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from mloscope.adaptors.interface import Checkpoint, Layer, Parameter, Unreadable
from mloscope.app.errors import NotPossible
from mloscope.app.model_service.backends import LoadedBackends
from mloscope.app.model_service.evaluator import Evaluator

SHAPE = (4, 5, 2)
CLASSES = 3


class Arrays(dict[str, np.ndarray]):
    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.values())


@dataclass
class ArrayNetwork:
    """``scaled``: the image times a number; ``output``: logits of its pixels. Counts how it was asked."""

    digest: str = "arrays"
    input_shape: tuple[int | None, ...] = SHAPE
    holds_images: int = 1_000_000
    """More of them at once are too much for its memory."""
    batches: list[int] = field(default_factory=list)
    failure: Exception | None = None
    layers: ClassVar[dict[str, tuple[int, ...]]] = {"scaled": SHAPE, "output": (CLASSES,)}
    output_layer: ClassVar[str] = "output"

    def weights(self, arrays: Mapping[str, np.ndarray], checkpoint: Checkpoint) -> Arrays:
        kernel = arrays.get("output/kernel")
        if kernel is None or kernel.shape != (int(np.prod(SHAPE)), CLASSES):
            raise NotPossible(f"{checkpoint.name} holds no kernel of the layer output.")
        return Arrays(arrays)

    def outputs(self, images: np.ndarray, weights: Any, layers: Sequence[str]) -> dict[str, np.ndarray]:
        self.batches.append(len(images))
        if self.failure is not None:
            raise self.failure
        if len(images) > self.holds_images:
            raise MemoryError("too many images")
        found = {
            "scaled": images.reshape(-1, *SHAPE) * weights["scaled/factor"],
            "output": images.reshape(len(images), -1) @ weights["output/kernel"],
        }
        return {layer: found[layer] for layer in layers}

    def status(self) -> dict[str, Any]:
        return {"questions": len(self.batches)}


@dataclass
class StackingNetwork(ArrayNetwork):
    """One that takes ``at_once`` sets of weights; ``stacks`` counts the sets in each stack it was asked about."""

    at_once: int = 3
    can_stack: bool = True
    stacks: list[int] = field(default_factory=list)
    stacks_made: int = 0

    def sets_at_once(self, images: np.ndarray, weights: Any) -> int:
        return self.at_once if self.can_stack else 1

    def stacked(self, sets: Sequence[Any]) -> Arrays:
        self.stacks_made += 1
        return Arrays({name: np.stack([each[name] for each in sets]) for name in sets[0]})

    def outputs_of_stack(self, images: np.ndarray, stack: Any, layers: Sequence[str]) -> Any:
        self.stacks.append(len(stack["output/kernel"]))
        if self.at_once == 4:
            self.can_stack = False
            return None
        sets = [Arrays({name: array[row] for name, array in stack.items()}) for row in range(self.stacks[-1])]
        several = [self.outputs(images, each, layers) for each in sets]
        return {layer: np.stack([outputs[layer] for outputs in several]) for layer in layers}


@dataclass
class DifferentiatingNetwork(ArrayNetwork):
    """One that passes signals back; no unit of it is rectified, so all rules are the gradient. ``backwards`` has their layers."""

    backwards: list[str] = field(default_factory=list)

    def backward(
        self,
        images: np.ndarray,
        weights: Any,
        layer: str,
        seeds: np.ndarray,
        *,
        scale: float = 0.0,
        with_respect_to: str | None = None,
        rule: str = "gradient",
    ) -> tuple[np.ndarray, np.ndarray]:
        self.backwards.append(layer)
        output = self.outputs(images, weights, [layer])[layer]
        signal = seeds + scale * output
        if with_respect_to is None:
            factors = {"scaled": lambda: weights["scaled/factor"], "output": lambda: weights["output/kernel"].T}
            signal = signal * factors["scaled"]() if layer == "scaled" else signal @ factors["output"]()
            signal = signal.reshape(len(signal), *SHAPE)
        return np.broadcast_to(output, seeds.shape), signal.astype(np.float32)


class ArrayBackend:
    name: ClassVar[str] = "arrays"
    title: ClassVar[str] = "NumPy"
    loading_s: ClassVar[float] = 0.0

    @classmethod
    def missing(cls) -> str | None:
        return None

    @classmethod
    def load(cls, gpu_memory_bytes: int | None = None) -> Self:
        return cls()

    def __init__(self, network: ArrayNetwork | None = None, device: str = "a slide rule") -> None:
        self.device = device
        self.versions: dict[str, str] = {"numpy": np.__version__}
        self.network = network or ArrayNetwork()
        self.opened: list[str] = []
        self.refusal: Exception | None = None

    def open(self, run: Any, where: str) -> ArrayNetwork:
        self.opened.append(where)
        if self.refusal is not None:
            raise self.refusal
        return self.network


class ArrayRun:
    """Checkpoints 0, 10, 20 ... of random numbers; counts what is read."""

    format: ClassVar[str] = "arrays"
    description: ClassVar[str] = "nothing: made by tests"
    backend: ClassVar[str] = "arrays"
    preprocessing = None
    input_shape = SHAPE
    class_names: tuple[str, ...] = ()

    def __init__(self, steps: int = 5) -> None:
        self.arrays = {10 * step: _arrays(step) for step in range(steps)}
        self.broken: dict[int, str] = {}
        self.reads: list[int] = []

    @classmethod
    def can_open(cls, path: Any) -> bool:
        return False

    @classmethod
    def open(cls, path: Any, options: Any) -> Self:
        return cls()

    def parameters(self, checkpoint: Checkpoint, layer: Layer) -> dict[str, np.ndarray]:
        return {each.name: self.arrays[checkpoint.step][f"{layer.name}/{each.name}"] for each in layer.parameters}

    def problems(self) -> tuple[str, ...]:
        return ()

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return tuple(Checkpoint(step, f"step-{step}.npz") for step in sorted(self.arrays))

    def layers(self) -> tuple[Layer, ...]:
        kernel = Parameter("kernel", self.arrays[0]["output/kernel"].shape, ("channel", "unit"))
        return (
            Layer("output", "dense", (), (CLASSES,), (kernel,)),
            Layer("odd", "odd", (), None, problem="It is odd."),
        )

    def fingerprint(self, checkpoint: Checkpoint) -> str:
        return f"{id(self):x}-{checkpoint.step}"

    def weights(self, checkpoint: Checkpoint) -> dict[str, np.ndarray]:
        self.reads.append(checkpoint.step)
        if checkpoint.step in self.broken:
            raise Unreadable(self.broken[checkpoint.step])
        return self.arrays[checkpoint.step]

    def expected(self, step: int, images: np.ndarray, layer: str) -> np.ndarray:
        return ArrayNetwork().outputs(images, self.arrays[step], [layer])[layer]


def evaluator(run: Any, network: ArrayNetwork | None = None, weights_budget_bytes: int = 1 << 20) -> Evaluator:
    backends = LoadedBackends(loaded=[ArrayBackend(network)])
    return Evaluator(backends, weights_budget_bytes=weights_budget_bytes, open_run=lambda *_: run)


def _arrays(seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "scaled/factor": generator.normal(2, 1, (1,)).astype(np.float32),
        "output/kernel": generator.normal(0, 1, (int(np.prod(SHAPE)), CLASSES)).astype(np.float32),
    }
