"""The conformance suite passes a backend that keeps its promises, and notices each promise that is broken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from array_backend import SHAPE, ArrayBackend, ArrayNetwork, ArrayRun, Arrays, DifferentiatingNetwork, StackingNetwork

from mloscope.app.model_service.conformance import BackendConformance

IMAGES = np.random.default_rng(0).random((5, *SHAPE)).astype(np.float32)


class Stacking(ArrayBackend):
    def __init__(self) -> None:
        super().__init__(StackingNetwork())


class Differentiating(ArrayBackend):
    def __init__(self) -> None:
        super().__init__(DifferentiatingNetwork())


class TestArrays(BackendConformance):
    backend = ArrayBackend
    test_importing_it_stays_light = None  # no other interpreter finds a module of tests

    @pytest.fixture
    def run(self) -> ArrayRun:
        return ArrayRun()


class TestStackedArrays(TestArrays):
    backend = Stacking


class TestDifferentiatingArrays(TestArrays):
    backend = Differentiating


class Doubles(ArrayNetwork):
    def outputs(self, *question: Any) -> dict[str, np.ndarray]:
        return {layer: values.astype(np.float64) for layer, values in super().outputs(*question).items()}


class DependsOnTheBatch(ArrayNetwork):
    def outputs(self, images: np.ndarray, weights: Any, layers: Any) -> dict[str, np.ndarray]:
        return super().outputs(images - images.mean(0), weights, layers)


class ChangesItsImages(ArrayNetwork):
    def outputs(self, images: np.ndarray, weights: Any, layers: Any) -> dict[str, np.ndarray]:
        images *= 2
        return super().outputs(images, weights, layers)


class KeepsTheFirstWeights(ArrayNetwork):
    def weights(self, arrays: Mapping[str, np.ndarray], checkpoint: Any) -> Arrays:
        self.first = getattr(self, "first", Arrays(arrays))
        return self.first


class SaysNothing(ArrayNetwork):
    def weights(self, arrays: Mapping[str, np.ndarray], checkpoint: Any) -> Arrays:
        return Arrays(arrays)


class AnotherShape(ArrayNetwork):
    layers = {"scaled": (4, 5, 3), "output": (3,)}  # noqa: RUF012 - as of the network it breaks


class TakesTheWrongRow(StackingNetwork):
    def outputs_of_stack(self, images: np.ndarray, stack: Any, layers: Any) -> Any:
        return {layer: values[::-1] for layer, values in super().outputs_of_stack(images, stack, layers).items()}


class ForgetsTheSquares(DifferentiatingNetwork):
    def backward(self, *question: Any, scale: float = 0.0, **more: Any) -> Any:
        return super().backward(*question, **more)


class MixesSeeds(DifferentiatingNetwork):
    def backward(self, images: np.ndarray, weights: Any, layer: str, seeds: np.ndarray, **more: Any) -> Any:
        return super().backward(images, weights, layer, seeds.mean(0, keepdims=True) + 0 * seeds, **more)


@pytest.mark.parametrize(
    ("network", "promise"),
    [
        (Doubles, "outputs_are_as_described"),
        (AnotherShape, "outputs_are_as_described"),
        (ChangesItsImages, "outputs_are_as_described"),
        (DependsOnTheBatch, "an_image_is_the_same_alone_and_beside_others"),
        (KeepsTheFirstWeights, "checkpoints_do_not_disturb_each_other"),
        (SaysNothing, "arrays_that_do_not_fit_are_named"),
        (ForgetsTheSquares, "the_gradient_is_what_small_changes_of_the_image_say"),
        (ForgetsTheSquares, "a_layer_passes_what_it_is_given_back_to_itself"),
        (MixesSeeds, "one_image_serves_all_seeds"),
        (TakesTheWrongRow, "several_sets_of_weights_at_once_are_the_same"),
    ],
)
def test_a_broken_promise_is_noticed(network: type[ArrayNetwork], promise: str) -> None:
    run, test = ArrayRun(), getattr(BackendConformance(), f"test_{promise}")
    given = {"run": run, "network": network(), "checkpoints": list(run.checkpoints()), "images": IMAGES.copy()}
    given["rule"] = "gradient"
    wanted = test.__func__.__code__.co_varnames[1 : test.__func__.__code__.co_argcount]
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(**{name: given[name] for name in wanted})
